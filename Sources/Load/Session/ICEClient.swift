// The controlling agent of one session (RFC 8445): checks with USE-CANDIDATE, consent (RFC 7675), which is the same check
// again, and answers to a server that is no ICE-lite agent and checks, too. Must not know sockets.
import CLinux
import PeerTransport
import RTP

struct ICEClient {
    private static let retryEvery = Interval.milliseconds(50)
    private static let consentEvery = Interval.milliseconds(2500)
    /// host, component 1 (RFC 8445 §5.1.2.1)
    private static let priority: UInt32 = 1_845_501_695
    private static let checkBytes = 256

    let local: ICECredentials
    let remote: ICECredentials
    private(set) var isValidated = false
    private(set) var nextCheck = Instant.zero
    private(set) var lastAnswer = Instant.zero
    private let integrity: STUNIntegrity
    private let tieBreaker: UInt64
    private var transaction = [UInt8](repeating: 0, count: 12)

    init(local: ICECredentials, remote: ICECredentials, integrity: STUNIntegrity) {
        self.local = local
        self.remote = remote
        self.integrity = integrity
        tieBreaker = .random(in: .min ... .max)
    }

    /// The next binding request.
    mutating func check(at now: Instant) -> [UInt8] {
        nextCheck = now + (isValidated ? Self.consentEvery : Self.retryEvery)
        for i in transaction.indices { transaction[i] = .random(in: .min ... .max) }
        let username = Array("\(remote.usernameFragment):\(local.usernameFragment)".utf8)
        return [UInt8](unsafeUninitializedCapacity: Self.checkBytes) { buffer, count in
            transaction.withUnsafeBufferPointer { transaction in
                guard let base = buffer.baseAddress, let transaction = transaction.baseAddress else { return }
                var message = STUNWriter(
                    base,
                    capacity: Self.checkBytes,
                    kind: .bindingRequest,
                    transaction: transaction
                )
                username.withUnsafeBufferPointer { message.add(STUN.Attribute.username, $0) }
                message.add(STUN.Attribute.priority, Self.priority)
                message.add(STUN.Attribute.iceControlling, tieBreaker)
                message.add(STUN.Attribute.useCandidate)
                message.seal(key: Array(remote.password.utf8), integrity: integrity)
                message.addFingerprint()
                count = message.length
            }
        }
    }

    /// Whether this was the authentic answer to the last check.
    mutating func receive(_ datagram: UnsafeBufferPointer<UInt8>, at now: Instant) -> Bool {
        guard let base = datagram.baseAddress, let message = STUNMessage(base, length: datagram.count),
            message.kind == .success,
            transaction.elementsEqual(UnsafeBufferPointer(start: message.transaction, count: 12)),
            message.isAuthentic(key: Array(remote.password.utf8), integrity: integrity)
        else { return false }
        isValidated = true
        lastAnswer = now
        nextCheck = now + Self.consentEvery
        return true
    }

    /// The answer to a check of the server's; nil: this is none, or not from who it says.
    func answer(_ datagram: UnsafeBufferPointer<UInt8>, from remote: clinux_address) -> [UInt8]? {
        guard let base = datagram.baseAddress, let request = STUNMessage(base, length: datagram.count),
            request.kind == .request,
            request.isAuthentic(key: Array(local.password.utf8), integrity: integrity)
        else { return nil }
        let address =
            remote.is_ipv6 == 0
            ? IPAddress(v4: UInt32(truncatingIfNeeded: remote.low))
            : IPAddress(v6High: remote.high, low: remote.low)
        return [UInt8](unsafeUninitializedCapacity: Self.checkBytes) { buffer, count in
            guard let base = buffer.baseAddress else { return }
            var message = STUNWriter(
                base,
                capacity: Self.checkBytes,
                kind: .bindingSuccess,
                transaction: request.transaction
            )
            message.addXORMappedAddress(address, port: remote.port)
            message.seal(key: Array(local.password.utf8), integrity: integrity)
            message.addFingerprint()
            count = message.length
        }
    }
}
