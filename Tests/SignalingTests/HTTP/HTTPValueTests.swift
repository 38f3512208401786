import HTTPTypes
import RTP
import Testing

@testable import Signaling

@Suite("Addresses, proxies, origins and other values of HTTP")
struct HTTPValueTests {
    @Test func addresses() {
        #expect(IPAddress("192.0.2.1")?.bytes == [192, 0, 2, 1])
        #expect(IPAddress("::ffff:192.0.2.1")?.bytes == [192, 0, 2, 1])
        #expect(IPAddress("fe80::1%eth0")?.isIPv6 == true)
        for text in ["", "1.2.3", "1.2.3.4.5", "256.0.0.1", "localhost", ":::", "1.2.3.4/8"] {
            #expect(IPAddress(text) == nil, "\(text)")
        }
        #expect(IPAddress("127.8.9.1")?.isLoopback == true)
        #expect(IPAddress("::1")?.isLoopback == true)
        #expect(IPAddress("::2")?.isLoopback == false)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false),
        ("192.168.4.0/22", "192.168.7.255", true), ("192.168.4.0/22", "192.168.8.0", false),
        ("0.0.0.0/0", "203.0.113.9", true), ("0.0.0.0/0", "2001:db8::1", false),
        ("192.0.2.7", "192.0.2.7", true), ("192.0.2.7", "192.0.2.8", false),
        ("2001:db8::/33", "2001:db8:7fff::1", true), ("2001:db8::/33", "2001:db8:8000::1", false),
        ("10.0.0.0/8", "::ffff:10.1.1.1", true),
    ])
    func ranges(_ range: String, _ address: String, _ contains: Bool) throws {
        let range = try #require(AddressRange(range))
        #expect(range.contains(try #require(IPAddress(address))) == contains)
    }

    @Test(arguments: ["10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "ten/8", "10.0.0.0/8/8", ""])
    func brokenRanges(_ text: String) { #expect(AddressRange(text) == nil) }

    @Test func listenAddresses() {
        #expect(ListenAddress("127.0.0.1:8080") == ListenAddress(host: "127.0.0.1", port: 8080))
        #expect(ListenAddress("[::1]:80") == ListenAddress(host: "::1", port: 80))
        #expect(ListenAddress(":443") == ListenAddress(host: "::", port: 443))
        #expect(ListenAddress(host: "::1", port: 80).description == "[::1]:80")
        for text in ["8080", "host", "host:", "host:65536", "::1:80", "[::1:80", "[name]:80", ""] {
            #expect(ListenAddress(text) == nil, "\(text)")
        }
    }

    private static func client(_ headers: [(String, String)], peer: String, trusted: [String]) -> ClientInfo {
        var request = HTTPRequest(method: .get, scheme: "http", authority: "inner:8080", path: "/")
        for (name, value) in headers {
            if let name = HTTPField.Name(name) {
                request.headerFields.append(HTTPField(name: name, value: value))
            }
        }
        return ProxyPolicy(trusted: trusted.compactMap { AddressRange($0) })
            .client(of: request, peer: peer, isTLS: false)
    }

    @Test func untrustedProxiesAreNotBelieved() {
        let client = Self.client(
            [
                ("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-Proto", "https"),
                ("X-Forwarded-Host", "evil.example"),
            ],
            peer: "203.0.113.5",
            trusted: ["10.0.0.0/8"]
        )
        #expect(
            client
                == ClientInfo(
                    address: "203.0.113.5",
                    scheme: "http",
                    host: "inner:8080",
                    isBehindUnknownProxy: true
                )
        )
    }

    @Test func trustedProxiesAre() {
        let client = Self.client(
            [
                ("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-Proto", "HTTPS"),
                ("X-Forwarded-Host", "chat.example"),
            ],
            peer: "10.0.0.1",
            trusted: ["10.0.0.0/8"]
        )
        #expect(
            client
                == ClientInfo(
                    address: "198.51.100.7",
                    scheme: "https",
                    host: "chat.example",
                    isBehindUnknownProxy: false
                )
        )
    }

    @Test(arguments: [
        // What the client itself wrote stands left of what the proxies saw.
        ("6.6.6.6, 198.51.100.7", "198.51.100.7"), ("6.6.6.6, 198.51.100.7, 10.0.0.9", "198.51.100.7"),
        ("198.51.100.7:4711, 10.0.0.9", "198.51.100.7"), ("[2001:db8::7]:4711", "2001:db8::7"),
        ("6.6.6.6, unknown, 10.0.0.9", "10.0.0.9"), ("garbage", "10.0.0.1"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
    ])
    func forwardedChains(_ chain: String, _ address: String) {
        let client = Self.client([("X-Forwarded-For", chain)], peer: "10.0.0.1", trusted: ["10.0.0.0/8"])
        #expect(client.address == address)
    }

    @Test func hostsThatCouldDoHarmAreNotUsed() {
        for host in ["a b", "x'; script-src *", "a\"b", "", String(repeating: "a", count: 300)] {
            let client = Self.client([("X-Forwarded-Host", host)], peer: "10.0.0.1", trusted: ["10.0.0.0/8"])
            #expect(client.host != host)
        }
    }

    @Test func webOrigins() {
        #expect(WebOrigin("HTTPS://Chat.Example:443")?.serialized == "https://chat.example")
        #expect(WebOrigin("http://[::1]:8080")?.isLoopback == true)
        #expect(WebOrigin("http://app.localhost")?.isLoopback == true)
        #expect(WebOrigin("http://localhost.evil.example")?.isLoopback == false)
        for text in [
            "null", "", "https://", "ftp://a", "https://a/b", "https://u@a", "https://a:b", "https://[::1",
        ] {
            #expect(WebOrigin(text) == nil, "\(text)")
        }
    }

    @Test func percentCoding() {
        #expect(PercentCoding.decode("st%C3%A4nd%20up%2fx") == "ständ up/x")
        for text in ["%", "%4", "%zz", "%ff", "a%c3"] {
            #expect(PercentCoding.decode(text) == nil, "\(text)")
        }
        #expect(PercentCoding.encode("ständ up/x?") == "st%C3%A4nd%20up%2Fx%3F")
        #expect(PercentCoding.decode(PercentCoding.encode("a-b_c.d~e%f")) == "a-b_c.d~e%f")
    }

    @Test(arguments: [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_827_696, "Tue, 29 Feb 2000 12:34:56 GMT"), (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"), (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
    ])
    func dates(_ seconds: Int64, _ text: String) {
        #expect(HTTPDate.format(secondsSince1970: seconds) == text)
    }

    @Test func ratesPerAddress() {
        let limiter = RateLimiter(perSecond: 2, burst: 3, capacity: 2)
        var now = Instant(microseconds: 5)
        #expect((0..<3).allSatisfy { _ in limiter.allows("a", at: now) })
        #expect(!limiter.allows("a", at: now))
        #expect(limiter.allows("b", at: now))
        now = now + .milliseconds(500)
        #expect(limiter.allows("a", at: now))
        #expect(!limiter.allows("a", at: now))
        // A third address makes the fullest forgotten, not the one that is throttled.
        #expect(limiter.allows("c", at: now))
        #expect(!limiter.allows("a", at: now))
        let unlimited = RateLimiter(perSecond: 0, burst: 0)
        #expect((0..<1000).allSatisfy { _ in unlimited.allows("a", at: now) })
    }

    @Test func bearerTokens() {
        #expect(BearerToken.read([.authorization: "Bearer abc"]) == "abc")
        #expect(BearerToken.read([.authorization: "bearer  abc"]) == "abc")
        for value in ["Basic abc", "Bearer", "Bearer ", "abc"] {
            #expect(BearerToken.read([.authorization: value]) == nil, "\(value)")
        }
        #expect(BearerToken.isEqual("abc", "abc"))
        for other in ["ab", "abcd", "abd", ""] { #expect(!BearerToken.isEqual(other, "abc")) }
    }
}
