// How long our packets would take on a path that is as it was found to be: where they take no longer than that, it still is,
// and the queue is of our own making. Knows no arrival.
import RTP

struct OwnQueue {
    /// Microseconds that what was sent last would wait.
    private var wait = 0.0
    private var sentAt = Int64.min
    private var least = Double.infinity
    /// Of the packet of the last report that would have taken least, as `PathDelay.queue` is.
    private(set) var queue = Interval.zero

    /// What fills a path is noted a little lower than it is.
    private static let capacityShare = 1.05

    /// A packet was reported that came; in the order of their departures.
    /// - Parameters:
    ///   - sent: microseconds.
    ///   - capacity: where the path was found to end, bits per second; nil: nowhere yet.
    @inline(__always)
    mutating func note(_ size: Int, sent: Int64, capacity: Int?) {
        guard let capacity, capacity > 0 else { return }
        if sent > sentAt {
            wait = sentAt == .min ? 0 : max(0, wait - Double(sent - sentAt))
            sentAt = sent
        }
        // Its own time on the path is part of its delay.
        wait += Double(size) * 8_000_000 / (Double(capacity) * OwnQueue.capacityShare)
        least = min(least, wait)
    }

    /// All packets of the report were noted.
    mutating func settle() {
        queue = .microseconds(least == .infinity ? 0 : Int64(least))
        least = .infinity
    }

    mutating func reset() { self = OwnQueue() }
}
