// The transport part of a negotiated session: ICE (RFC 8445) and DTLS (RFC 8842) as values.

public struct ICECredentials: Codable, Sendable, Hashable {
    public var usernameFragment: String
    public var password: String

    public init(usernameFragment: String, password: String) {
        self.usernameFragment = usernameFragment
        self.password = password
    }
}

/// `a=fingerprint` (RFC 8122): hash name in lower case ("sha-256") and the raw digest.
public struct Fingerprint: Codable, Sendable, Hashable {
    public var algorithm: String
    public var digest: [UInt8]

    public init(algorithm: String, digest: [UInt8]) {
        self.algorithm = algorithm
        self.digest = digest
    }
}

/// `a=setup` (RFC 4145) of the one who speaks.
public enum SetupRole: String, Codable, Sendable, Hashable {
    case active, passive, actpass
}

/// What the peer said about its transport.
public struct RemoteTransport: Codable, Sendable, Hashable {
    public var ice: ICECredentials
    public var fingerprints: [Fingerprint]
    public var setup: SetupRole

    public init(ice: ICECredentials, fingerprints: [Fingerprint], setup: SetupRole) {
        self.ice = ice
        self.fingerprints = fingerprints
        self.setup = setup
    }
}

/// A host candidate of the server (RFC 8839 §5.1), component 1.
public struct Candidate: Codable, Sendable, Hashable {
    public enum Network: String, Codable, Sendable { case udp, tcp }
    public var network: Network
    /// A numeric address, or a host name where one is announced.
    public var address: String
    public var port: UInt16
    public var priority: UInt32
    public var foundation: String

    public init(network: Network, address: String, port: UInt16, priority: UInt32, foundation: String) {
        self.network = network
        self.address = address
        self.port = port
        self.priority = priority
        self.foundation = foundation
    }
}

/// What we answer: our ICE credentials, candidates and DTLS identity.
public struct LocalTransport: Codable, Sendable, Hashable {
    public var ice: ICECredentials
    public var candidates: [Candidate]
    public var fingerprints: [Fingerprint]
    /// `passive` unless the peer can only be passive itself.
    public var setup: SetupRole

    public init(
        ice: ICECredentials,
        candidates: [Candidate],
        fingerprints: [Fingerprint],
        setup: SetupRole
    ) {
        self.ice = ice
        self.candidates = candidates
        self.fingerprints = fingerprints
        self.setup = setup
    }
}
