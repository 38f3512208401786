// Facts of a transport that wait until its session asks for them, in order. Bounded.
import RTP

struct TransportChangeQueue {
    private var waiting: [TransportChange] = []
    private var head = 0

    /// A session that never asks loses the oldest facts, not the newest.
    mutating func append(_ change: TransportChange) {
        if waiting.count - head >= Limits.Transport.pendingChanges { head += 1 }
        if head >= Limits.Transport.pendingChanges {
            waiting.removeFirst(head)
            head = 0
        }
        waiting.append(change)
    }

    @inline(__always)
    mutating func next() -> TransportChange? {
        guard head < waiting.count else { return nil }
        let change = waiting[head]
        head += 1
        if head == waiting.count {
            waiting.removeAll(keepingCapacity: true)
            head = 0
        }
        return change
    }
}
