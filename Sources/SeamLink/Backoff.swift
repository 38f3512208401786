// How long the gateway waits between two tries to connect.
import RTP

struct Backoff: Sendable {
    private var wait = Limits.Link.reconnectFirst

    /// The wait before the next try; doubles up to `Limits.Link.reconnectLongest`.
    mutating func next() -> Interval {
        defer { wait = min(wait * 2, Limits.Link.reconnectLongest) }
        return wait
    }

    mutating func reset() { wait = Limits.Link.reconnectFirst }
}
