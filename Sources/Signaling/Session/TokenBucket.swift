// How many messages a session may send. Must not know what they are.
import RTP

struct TokenBucket: Sendable {
    enum OnMessage: Equatable, Sendable {
        /// Perhaps on credit: see `isEmpty`.
        case accept
        case refuse
    }

    private let burst: Int64
    private let perSecond: Int64
    /// In millionths of a message; may fall to minus one burst.
    private var level: Int64
    private var updatedAt: Instant

    init(perSecond: Int, burst: Int, at now: Instant) {
        self.perSecond = Int64(perSecond)
        self.burst = Int64(burst) * 1_000_000
        level = self.burst
        updatedAt = now
    }

    mutating func take(at now: Instant) -> OnMessage {
        refill(at: now)
        guard level > -burst else { return .refuse }
        level -= 1_000_000
        return .accept
    }

    /// The client should be held back.
    var isEmpty: Bool { level < 1_000_000 }

    /// Reading may go on once a quarter of the burst is there again.
    mutating func isReady(at now: Instant) -> Bool {
        refill(at: now)
        return level >= burst / 4
    }

    private mutating func refill(at now: Instant) {
        let elapsed = max(0, min((now - updatedAt).microseconds, 3_600_000_000))
        level = min(burst, level + elapsed * perSecond)
        updatedAt = max(now, updatedAt)
    }
}
