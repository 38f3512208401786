// What POST requests with an `Idempotency-Key` were answered (draft-ietf-httpapi-idempotency-key-header-07), so that
// they are done once. Bounded. Must not know routes.
import Crypto
import HTTPTypes
import NIOCore
import RTP
import Synchronization

struct StoredAnswer: Sendable, Equatable {
    var status: Int
    var headers: HTTPFields
    var body: ByteBuffer
}

final class IdempotencyStore: Sendable {
    struct Key: Hashable, Sendable {
        /// Who asks: the key that signed its token.
        var caller: String
        /// Method and path.
        var operation: String
        var key: String
    }

    enum OnRequest: Equatable, Sendable {
        /// Do it, then say what came of it by `finish`.
        case execute
        case replay(StoredAnswer)
        /// The first one is still being done.
        case inProgress
        /// The same key with another body.
        case mismatch
        /// Too many are being done.
        case full
    }

    private struct Entry {
        var fingerprint: [UInt8]
        /// nil: being done.
        var answer: StoredAnswer?
    }
    private struct State {
        var entries: [Key: Entry] = [:]
        var order = Fifo<(key: Key, at: Instant)>()
        var running = 0
        var bytes = 0
    }

    private let capacity: Int
    private let capacityBytes: Int
    private let state = Mutex(State())

    init(capacity: Int = Limits.REST.answers, bytes: Int = Limits.REST.answerBytes) {
        self.capacity = capacity
        capacityBytes = bytes
    }

    var count: Int { state.withLock { $0.entries.count } }
    var bytes: Int { state.withLock { $0.bytes } }

    static func fingerprint(_ body: ByteBuffer) -> [UInt8] {
        Array(SHA256.hash(data: Array(body.readableBytesView)))
    }

    func begin(_ key: Key, fingerprint: [UInt8], at now: Instant) -> OnRequest {
        state.withLock { state in
            forget(&state, at: now)
            if let entry = state.entries[key] {
                guard entry.fingerprint == fingerprint else { return .mismatch }
                return entry.answer.map { .replay($0) } ?? .inProgress
            }
            guard state.running < capacity else { return .full }
            state.running += 1
            state.entries[key] = Entry(fingerprint: fingerprint, answer: nil)
            return .execute
        }
    }

    /// nil: it failed in a way that the same request may mend; it is forgotten.
    func finish(_ key: Key, _ answer: StoredAnswer?, at now: Instant) {
        state.withLock { state in
            guard state.entries[key] != nil else { return }
            state.running -= 1
            guard let answer else {
                state.entries[key] = nil
                return
            }
            state.entries[key]?.answer = answer
            state.order.append((key, now))
            state.bytes += answer.body.readableBytes
            forget(&state, at: now)
        }
    }

    private func forget(_ state: inout State, at now: Instant) {
        while let first = state.order.first,
            state.order.count > capacity || state.bytes > capacityBytes
                || now - first.at > Limits.REST.answerAge
        {
            _ = state.order.popFirst()
            let gone = state.entries.removeValue(forKey: first.key)
            state.bytes -= gone?.answer?.body.readableBytes ?? 0
        }
    }
}
