// Puts the messages of one peer in order: times that wrap, messages that were lost, came twice or late. Must not know
// packets.
import RTP

struct FeedbackClock {
    private var lastRaw: Int64?
    private var last: Int64 = 0
    private var lastCount: UInt8?
    /// Messages since then that told nothing.
    private var refused = 0

    /// The time of an arrival without the wrap of the reference time, microseconds.
    mutating func unwrap(_ raw: Int64) -> Int64 {
        let value = peek(raw)
        lastRaw = raw
        last = value
        return value
    }

    func peek(_ raw: Int64) -> Int64 {
        guard let lastRaw else { return raw }
        let period = TransportFeedbackParser.referencePeriod
        var difference = (raw &- lastRaw) % period
        if difference > period / 2 { difference -= period }
        if difference < -period / 2 { difference += period }
        return last &+ difference
    }

    enum OnMessage: Equatable {
        /// Follows the one before.
        case next
        /// So many between were lost.
        case after(missed: Int)
        /// Came twice, or later than one that was sent later.
        case old
    }

    mutating func receive(_ count: UInt8) -> OnMessage {
        guard let before = lastCount else {
            lastCount = count
            return .next
        }
        let ahead = count &- before
        guard ahead > 0, ahead < 128 else { return .old }
        lastCount = count
        defer { refused = 0 }
        let missed = Int(ahead) - 1 + refused
        return missed == 0 ? .next : .after(missed: missed)
    }

    /// The message that was just received knows none of our packets, so that nobody has told of those it stands for.
    mutating func refuse() { refused = min(refused + 1, Int(UInt8.max)) }
}
