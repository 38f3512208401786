// Offers that the server's own reader takes, and answers as servers write them.
import CLinux
import RTP
import SDP
import Testing

@testable import Load

@Suite struct DescriptionsTests {
    private let template = OfferTemplate(
        ice: ICECredentials(usernameFragment: "abcd", password: "0123456789012345678901"),
        fingerprint: Fingerprint(algorithm: "sha-256", digest: (0..<32).map { UInt8($0) }),
        hasVideo: true
    )

    @Test func offersCanBeRead() throws {
        let publishing = try Offer(parsing: template.publishing(audio: 11, video: 22))
        #expect(publishing.sections.map(\.mid) == ["0", "1"])
        #expect(publishing.sections.allSatisfy { $0.direction == .sendonly && $0.bundled && $0.rtcpMux })
        #expect(publishing.sections.map(\.announcedSSRCs) == [[11], [22]])
        #expect(publishing.remote.fingerprints == [template.fingerprint])
        #expect(publishing.sections[0].codecs.map(\.name) == [.opus])
        #expect(publishing.sections[1].codecs.map(\.name) == [.vp8])
        let receiving = try Offer(parsing: template.receiving)
        #expect(receiving.sections.allSatisfy { $0.direction == .recvonly && $0.announcedSSRCs.isEmpty })
    }

    private static let answer = [
        "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite", "a=group:BUNDLE 0 1",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 0.0.0.0",
        "a=candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host",
        "a=candidate:2 1 udp 2130706430 host.example 7882 typ host",
        "a=candidate:3 1 tcp 2130706432 127.0.0.1 7883 typ host tcptype passive",
        "a=ice-ufrag:AAxyzxyzxy", "a=ice-pwd:0123456789012345678901", "a=fingerprint:SHA-256 00:0A:FF",
        "a=setup:passive", "a=mid:0", "a=rtpmap:111 opus/48000/2", "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "c=IN IP4 0.0.0.0", "a=mid:1", "a=rtpmap:96 VP8/90000",
    ]

    private func text(_ lines: [String]) -> String { lines.map { $0 + "\r\n" }.joined() }

    @Test func readsWhatItNeeds() throws {
        let answer = try Answer(text(Self.answer))
        #expect(answer.ice.usernameFragment == "AAxyzxyzxy")
        #expect(answer.fingerprints == [Fingerprint(algorithm: "sha-256", digest: [0, 10, 255])])
        #expect(answer.candidate.port == 7882 && answer.candidate.isLoopback)
        #expect(answer.audioType == 111 && answer.videoType == 96 && answer.videoTypes == [96])
    }

    @Test(arguments: ["a=ice-pwd", "a=candidate:1", "a=setup"])
    func saysWhatIsMissing(prefix: String) {
        #expect(throws: LoadError.self) { try Answer(text(Self.answer.filter { !$0.hasPrefix(prefix) })) }
    }

    @Test func stampsAreFoundBehindDescriptors() {
        var payload = [UInt8](repeating: 0x55, count: 64)
        payload.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            #expect(Stamp.read(base, length: 64) == nil)
            Stamp.write(sentAt: 1_234_567_890_123, to: base + 16)
            #expect(Stamp.read(base, length: 64) == 1_234_567_890_123)
            #expect(Stamp.read(base, length: 27) == nil)
        }
    }

    @Test(arguments: [
        ("http://127.0.0.1:18080", true), ("http://[::1]:80/base/", true), ("http://192.0.2.1", false),
    ])
    func knowsLoopback(url: String, isLoopback: Bool) throws {
        #expect(try ServerURL(url).address.isLoopback == isLoopback)
    }

    @Test(arguments: ["https://127.0.0.1", "127.0.0.1:80", "http://:80", "http://127.0.0.1:port"])
    func refusesURLs(url: String) {
        #expect(throws: LoadError.self) { try ServerURL(url) }
    }
}
