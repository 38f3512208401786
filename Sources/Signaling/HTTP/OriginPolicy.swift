// Which web pages may talk to the server: the Origin check of sockets (RFC 6455 §10.2) and CORS.
// Must not know requests.

struct OriginPolicy: Sendable {
    private let allowed: Set<String>
    private let allowsAll: Bool
    private let allowsLoopback: Bool

    /// - Parameters:
    ///   - origins: "https://chat.example", or "*".
    ///   - allowsLoopback: pages of localhost too, at any port.
    init(origins: [String], allowsLoopback: Bool) {
        allowsAll = origins.contains("*")
        allowed = Set(origins.compactMap { WebOrigin($0)?.serialized })
        self.allowsLoopback = allowsLoopback
    }

    var isEmpty: Bool { allowed.isEmpty && !allowsAll && !allowsLoopback }

    /// - Parameters:
    ///   - origin: the Origin header. Programs that are no browser send none, and are allowed.
    ///   - host: the host by which the client calls the server; its own page is always allowed.
    func allows(origin: String?, host: String?) -> Bool {
        guard let origin else { return true }
        if allowsAll { return true }
        guard let origin = WebOrigin(origin) else { return false }
        if allowed.contains(origin.serialized) { return true }
        if allowsLoopback, origin.isLoopback { return true }
        guard let host, let own = WebOrigin("\(origin.scheme)://\(host)") else { return false }
        return own == origin
    }

    /// The value of Access-Control-Allow-Origin; nil: none.
    func corsValue(for origin: String) -> String? {
        if allowsAll { return "*" }
        return allows(origin: origin, host: nil) ? origin : nil
    }
}

/// scheme://host[:port] (RFC 6454), without the port that the scheme implies.
struct WebOrigin: Equatable, Sendable {
    let scheme: String
    let host: String
    let port: UInt16?

    init?(_ text: String) {
        let text = text.lowercased()
        guard let separator = text.firstRange(of: "://") else { return nil }
        scheme = String(text[..<separator.lowerBound])
        guard scheme == "http" || scheme == "https" else { return nil }
        var authority = text[separator.upperBound...]
        guard !authority.isEmpty, !authority.contains(where: { "/?#@ ".contains($0) }) else { return nil }
        let nameEnd = authority.hasPrefix("[") ? authority.firstIndex(of: "]") : authority.startIndex
        guard let nameEnd else { return nil }
        var port: UInt16?
        if let colon = authority[nameEnd...].lastIndex(of: ":") {
            guard let number = UInt16(authority[authority.index(after: colon)...]) else { return nil }
            port = number
            authority = authority[..<colon]
        }
        guard !authority.isEmpty else { return nil }
        host = String(authority)
        self.port = port == (scheme == "https" ? 443 : 80) ? nil : port
    }

    var serialized: String { "\(scheme)://\(host)" + (port.map { ":\($0)" } ?? "") }

    var isLoopback: Bool {
        if host == "localhost" || host.hasSuffix(".localhost") { return true }
        let bare = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        return IPAddress(bare)?.isLoopback == true
    }
}
