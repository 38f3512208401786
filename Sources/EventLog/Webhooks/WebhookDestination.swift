// Where webhooks go, as an operator writes it, and what may not be written. Must not know how they are sent.
import RTP

import struct Foundation.URLComponents

public struct WebhookDestination: Sendable, Equatable {
    /// Names its place in the log, in metrics and in log lines.
    public var name: String
    public var url: String
    /// The current one first; both sign while one replaces the other.
    public var secrets: [String]
    /// nil: all.
    public var types: Set<String>?
    public var timeout: Interval

    public static let minimumSecretBytes = 32

    /// - Parameters:
    ///   - name: the URL without its query where it is nil.
    ///   - allowsPlaintext: `http` even to a host of the public network.
    /// - Throws: `WebhookDestinationError`
    public init(
        name: String?,
        url: String,
        secrets: [String],
        types: Set<String>? = nil,
        timeout: Interval = Limits.Events.webhookTimeout,
        allowsPlaintext: Bool = false
    ) throws(WebhookDestinationError) {
        guard var parts = URLComponents(string: url), let scheme = parts.scheme?.lowercased(),
            let host = parts.host, !host.isEmpty
        else { throw WebhookDestinationError("\"\(url.prefix(200))\" is not a URL") }
        guard parts.user == nil, parts.password == nil else {
            throw WebhookDestinationError("a URL may not contain a user or a password")
        }
        guard scheme == "https" || scheme == "http" else {
            throw WebhookDestinationError("the URL must begin with https:// (or http://)")
        }
        guard scheme == "https" || allowsPlaintext || Self.isPrivate(host) else {
            throw WebhookDestinationError(
                "http:// is for loopback and private networks; use https://, or set allow-http for this one"
            )
        }
        guard (1...2).contains(secrets.count) else {
            throw WebhookDestinationError("one secret is needed, or two while you change it")
        }
        guard secrets.allSatisfy({ $0.utf8.count >= Self.minimumSecretBytes }) else {
            throw WebhookDestinationError(
                "a secret needs at least \(Self.minimumSecretBytes) bytes, for example from: openssl rand -base64 32"
            )
        }
        guard timeout > .zero, timeout <= Limits.Events.webhookTimeoutLongest else {
            let longest = Limits.Events.webhookTimeoutLongest.milliseconds / 1000
            throw WebhookDestinationError("the timeout must be from 1 to \(longest) seconds")
        }
        parts.query = nil
        parts.fragment = nil
        self.name = name ?? parts.string ?? host
        self.url = url
        self.secrets = secrets
        self.types = types
        self.timeout = timeout
    }

    /// Loopback and private addresses, and names that only a private network can know.
    static func isPrivate(_ host: String) -> Bool {
        var host = host.lowercased()
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        if host.contains(":") {
            return host == "::1" || ["fc", "fd", "fe8", "fe9", "fea", "feb"].contains { host.hasPrefix($0) }
        }
        let numbers = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        if numbers.count == 4, let a = numbers[0], let b = numbers[1], numbers[2] != nil, numbers[3] != nil {
            return a == 127 || a == 10 || (a == 172 && (16...31).contains(b)) || (a == 192 && b == 168)
                || (a == 169 && b == 254)
        }
        return host == "localhost" || !host.contains(".")
            || [".localhost", ".local", ".internal", ".home.arpa"].contains { host.hasSuffix($0) }
    }
}

/// What is wrong with a destination, in words for the operator, without its secrets.
public struct WebhookDestinationError: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String
    init(_ description: String) { self.description = description }
}
