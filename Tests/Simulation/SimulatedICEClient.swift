// A full ICE agent as a server sees it: builds connectivity checks as browsers do and judges the answers. For
// tests; knows no time and no network, the scenario carries its datagrams.
import PeerTransport
import RTP

public struct SimulatedICEClient {
    /// What a check says besides its credentials.
    public struct Check: Sendable {
        public enum Role: Sendable { case controlling, controlled, unsaid }

        public var role = Role.controlling
        public var usesCandidate = false
        /// NOMINATION (0xC001), as Chromium sends it where renomination is negotiated.
        public var nomination: UInt32?
        public var priority: UInt32? = 1_845_501_695
        /// Further attributes before the integrity, with their values.
        public var extra: [(type: UInt16, value: [UInt8])] = []
        /// Further attributes between integrity and fingerprint, which a receiver must ignore.
        public var junk: [(type: UInt16, value: [UInt8])] = []
        public var hasUsername = true
        public var hasIntegrity = true
        public var hasFingerprint = true

        public init(usesCandidate: Bool = false, nomination: UInt32? = nil) {
            self.usesCandidate = usesCandidate
            self.nomination = nomination
        }
    }

    public enum Answer: Equatable, Sendable {
        case success(mapped: IPAddress, port: UInt16)
        case failure(code: Int, isSigned: Bool)
        /// Not a well-formed, authentic answer to a check of ours.
        case invalid
    }

    /// Ours, the client's.
    public var local: ICECredentials
    /// The server's.
    public var remote: ICECredentials
    public var tieBreaker: UInt64
    private var generator: Generator
    private var open: [[UInt8]] = []
    private let integrity: STUNIntegrity

    /// nil where OpenSSL offers no HMAC-SHA1.
    public init?(local: ICECredentials, remote: ICECredentials, seed: UInt64) {
        guard let integrity = STUNIntegrity() else { return nil }
        self.integrity = integrity
        self.local = local
        self.remote = remote
        generator = Generator(seed: seed)
        tieBreaker = generator.next()
    }

    /// A binding request; its transaction is remembered until it is answered.
    public mutating func check(_ check: Check = Check()) -> [UInt8] {
        let transaction = (0..<12).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        if open.count >= 64 { open.removeFirst() }
        open.append(transaction)
        return [UInt8](unsafeUninitializedCapacity: 1200) { buffer, count in
            guard let base = buffer.baseAddress else { return }
            var writer = transaction.withUnsafeBufferPointer { bytes -> STUNWriter? in
                bytes.baseAddress.map {
                    STUNWriter(base, capacity: 1200, kind: .bindingRequest, transaction: $0)
                }
            }
            guard var message = writer.take() else { return }
            write(check, to: &message)
            count = message.length
        }
    }

    private func write(_ check: Check, to message: inout STUNWriter) {
        if check.hasUsername {
            let name = Array("\(remote.usernameFragment):\(local.usernameFragment)".utf8)
            name.withUnsafeBufferPointer { message.add(STUN.Attribute.username, $0) }
        }
        if let priority = check.priority { message.add(STUN.Attribute.priority, priority) }
        switch check.role {
        case .controlling: message.add(STUN.Attribute.iceControlling, tieBreaker)
        case .controlled: message.add(STUN.Attribute.iceControlled, tieBreaker)
        case .unsaid: break
        }
        if check.usesCandidate { message.add(STUN.Attribute.useCandidate) }
        if let nomination = check.nomination { message.add(STUN.Attribute.nomination, nomination) }
        for (type, value) in check.extra { value.withUnsafeBufferPointer { message.add(type, $0) } }
        if check.hasIntegrity { message.seal(key: Array(remote.password.utf8), integrity: integrity) }
        for (type, value) in check.junk { value.withUnsafeBufferPointer { message.add(type, $0) } }
        if check.hasFingerprint { message.addFingerprint() }
    }

    /// Judges an answer as RFC 8445 §7.2.5 wants: fingerprint, transaction, integrity with the server's password.
    public mutating func receive(_ datagram: [UInt8]) -> Answer {
        let key = Array(remote.password.utf8)
        let integrity = integrity
        let (answer, transaction) = datagram.withUnsafeBufferPointer { bytes -> (Answer, [UInt8]) in
            guard let base = bytes.baseAddress, let message = STUNMessage(base, length: bytes.count) else {
                return (.invalid, [])
            }
            let transaction = Array(UnsafeBufferPointer(start: message.transaction, count: 12))
            let isSigned = message.isAuthentic(key: key, integrity: integrity)
            switch message.kind {
            case .success:
                guard isSigned, let mapped = message.xorMappedAddress else { return (.invalid, transaction) }
                return (.success(mapped: mapped.address, port: mapped.port), transaction)
            case .failure:
                guard let code = message.errorCode else { return (.invalid, transaction) }
                return (.failure(code: code, isSigned: isSigned), transaction)
            case .request, .indication:
                return (.invalid, transaction)
            }
        }
        guard let index = open.firstIndex(of: transaction) else { return .invalid }
        open.remove(at: index)
        return answer
    }

    /// Small, seeded, and the same everywhere (Steele, Lea, Flood: SplitMix64).
    public struct Generator: RandomNumberGenerator, Sendable {
        private var state: UInt64

        public init(seed: UInt64) { state = seed }

        public mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }
}
