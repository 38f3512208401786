// Requests of one session: each is executed once and answered once, repeated ones are answered from memory.
// Must not know what a request means.
import NIOCore
import RTP

struct RequestLedger: Sendable {
    enum OnRequest: Equatable, Sendable {
        case execute
        /// Executed before: say this again.
        case answer(ByteBuffer)
        /// Being executed: its response will come.
        case inProgress
        /// Executed before, and the response is forgotten.
        case forgotten
        /// Too many wait for their response. The id is used up.
        case refuse
        /// The id is neither known nor the next.
        case gap
    }

    private struct Cached: Sendable {
        var id: UInt64
        var text: ByteBuffer
        var at: Instant
    }

    private(set) var lastID: UInt64 = 0
    private var executing: Set<UInt64> = []
    private var order = Fifo<Cached>()
    private var cache: [UInt64: ByteBuffer] = [:]
    private(set) var cachedBytes = 0

    var executingCount: Int { executing.count }
    var cachedCount: Int { cache.count }

    /// `unsent`: responses that wait for the socket.
    mutating func received(_ id: UInt64, unsent: Int, at now: Instant) -> OnRequest {
        forget(at: now)
        if id >= 1, id <= lastID {
            if executing.contains(id) { return .inProgress }
            return cache[id].map { .answer($0) } ?? .forgotten
        }
        guard id >= 1, id == lastID &+ 1 else { return .gap }
        lastID = id
        executing.insert(id)
        return executing.count + unsent > Limits.Signaling.requestsInFlight ? .refuse : .execute
    }

    /// False where the request was answered before: nothing may be sent.
    mutating func answered(_ id: UInt64, with text: ByteBuffer, at now: Instant) -> Bool {
        guard executing.remove(id) != nil else { return false }
        order.append(Cached(id: id, text: text, at: now))
        cache[id] = text
        cachedBytes += text.readableBytes
        forget(at: now)
        return true
    }

    private mutating func forget(at now: Instant) {
        while let first = order.first,
            order.count > Limits.Signaling.cachedResponses
                || cachedBytes > Limits.Signaling.cachedResponseBytes
                || now - first.at > Limits.Signaling.cachedResponseAge
        {
            _ = order.popFirst()
            cache[first.id] = nil
            cachedBytes -= first.text.readableBytes
        }
    }
}
