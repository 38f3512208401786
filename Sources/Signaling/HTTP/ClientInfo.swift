// Who sent a request, and by what name it called us, once trusted proxies have had their say.
// Must not know routes.
import HTTPTypes

struct ClientInfo: Sendable, Equatable {
    /// Numeric address, or "" where the connection has none.
    var address: String
    /// "https" or "http"
    var scheme: String
    /// Host and port as the client wrote them; nil where it wrote none that is fit to use.
    var host: String?
    /// A proxy that is not trusted spoke up: what `scheme` and `host` say may not be what the client sees.
    var isBehindUnknownProxy: Bool

    var isLoopback: Bool { IPAddress(address)?.isLoopback == true }
}

/// Honours X-Forwarded-For, -Proto and -Host from listed addresses only.
struct ProxyPolicy: Sendable {
    let trusted: [AddressRange]

    private static let forwardedFor = headerName("x-forwarded-for")
    private static let forwardedProto = headerName("x-forwarded-proto")
    private static let forwardedHost = headerName("x-forwarded-host")

    func client(of request: HTTPRequest, peer: String?, isTLS: Bool) -> ClientInfo {
        let headers = request.headerFields
        let peerAddress = peer.flatMap { IPAddress($0) }
        var client = ClientInfo(
            address: peer ?? "",
            scheme: isTLS ? "https" : "http",
            host: Self.usable(request.authority),
            isBehindUnknownProxy: false
        )
        let spoke = headers[Self.forwardedFor] ?? headers[Self.forwardedProto] ?? headers[Self.forwardedHost]
        guard spoke != nil else { return client }
        guard let peerAddress, isTrusted(peerAddress) else {
            client.isBehindUnknownProxy = true
            return client
        }
        client.address = origin(of: Self.list(headers, Self.forwardedFor)) ?? client.address
        switch Self.list(headers, Self.forwardedProto).last?.lowercased() {
        case "https", "wss": client.scheme = "https"
        case "http", "ws": client.scheme = "http"
        default: break
        }
        if let host = Self.usable(Self.list(headers, Self.forwardedHost).last) { client.host = host }
        return client
    }

    /// The last address that no trusted proxy vouches for by being one itself; what stands left of it is hearsay.
    private func origin(of chain: [String]) -> String? {
        var found: String?
        for entry in chain.reversed() {
            let text = Self.withoutPort(entry)
            guard let address = IPAddress(text) else { break }
            found = text
            guard isTrusted(address) else { break }
        }
        return found
    }

    private func isTrusted(_ address: IPAddress) -> Bool { trusted.contains { $0.contains(address) } }

    private static func list(_ headers: HTTPFields, _ name: HTTPField.Name) -> [String] {
        headers[values: name].flatMap { $0.split(separator: ",") }
            .compactMap { $0.split(whereSeparator: \.isWhitespace).first.map(String.init) }
    }

    /// "192.0.2.1:4711" and "[2001:db8::1]:4711" as some proxies write them.
    private static func withoutPort(_ entry: String) -> String {
        if entry.hasPrefix("["), let end = entry.firstIndex(of: "]") {
            return String(entry[entry.index(after: entry.startIndex)..<end])
        }
        let parts = entry.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count == 2 ? String(parts[0]) : entry
    }

    /// A host that can stand in a URL and in a policy header without doing harm.
    private static func usable(_ host: String?) -> String? {
        guard let host, !host.isEmpty, host.utf8.count <= 255 else { return nil }
        let fits = host.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
                UInt8(ascii: "_"),
                UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"):
                true
            default: false
            }
        }
        return fits ? host : nil
    }
}

/// A header name that is known to be legal.
func headerName(_ name: StaticString) -> HTTPField.Name {
    HTTPField.Name(parsed: "\(name)") ?? .connection
}
