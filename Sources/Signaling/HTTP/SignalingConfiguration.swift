// What an operator can set about the HTTP side. Must not know files of settings, environment or flags.
import RTP

public struct SignalingConfiguration: Sendable {
    /// PEM files; both are looked at again when they change.
    public struct TLSFiles: Sendable, Equatable {
        /// The server's certificate first, then its chain.
        public var certificateChain: String
        public var privateKey: String

        public init(certificateChain: String, privateKey: String) {
            self.certificateChain = certificateChain
            self.privateKey = privateKey
        }
    }

    /// Where connections are accepted; port 0 lets the kernel choose.
    public var listen: [ListenAddress]
    /// Development server: requests without a token are allowed, pages of loopback hosts too.
    public var isDevelopment: Bool
    /// Shown by `/v1/config`.
    public var version: String
    /// Pages of other hosts that may open sockets and show the page in a frame: "https://chat.example". "*": all.
    public var origins: [String]
    /// Pages of other hosts that may read HTTP answers (CORS). "*": all.
    public var corsOrigins: [String]
    /// Whose X-Forwarded-* headers count.
    public var trustedProxies: [AddressRange]
    public var tls: TLSFiles?
    /// Bearer token that `/metrics` asks for; nil: everybody may read it.
    public var metricsToken: String?
    /// WHIP, WHEP and REST requests of one address per second; 0: any number. Loopback is exempt.
    public var requestsPerSecond: Int
    /// Whether `POST /v1/tokens` mints join tokens.
    public var mintsTokens: Bool

    public init(
        listen: [ListenAddress],
        isDevelopment: Bool = false,
        version: String = "",
        origins: [String] = [],
        corsOrigins: [String] = [],
        trustedProxies: [AddressRange] = [],
        tls: TLSFiles? = nil,
        metricsToken: String? = nil,
        requestsPerSecond: Int = Limits.HTTP.requestsPerSecond,
        mintsTokens: Bool = false
    ) {
        self.listen = listen
        self.isDevelopment = isDevelopment
        self.version = version
        self.origins = origins
        self.corsOrigins = corsOrigins
        self.trustedProxies = trustedProxies
        self.tls = tls
        self.metricsToken = metricsToken
        self.requestsPerSecond = requestsPerSecond
        self.mintsTokens = mintsTokens
    }
}

/// A host and a port, as in "127.0.0.1:8080", "[::1]:8080" or ":8080" (all addresses).
public struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
    public var host: String
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// nil where the text is no address with a port.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard IPAddress(String(host))?.isIPv6 == true else { return nil }
        } else if host.contains(":") {
            return nil
        }
        self.init(host: host.isEmpty ? "::" : String(host), port: Int(port))
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
