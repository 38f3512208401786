// When which session wants to be looked at: a binary heap of deadlines. A deadline that moves earlier is added, one
// that moves later is found stale when it comes up. Knows nothing of what is due.
import RTP

final class TimerQueue {
    private struct Entry {
        var at: Instant
        /// The session's place in the shard.
        var index: Int32
    }

    private var heap: ContiguousArray<Entry> = []

    var next: Instant { heap.first?.at ?? .distantFuture }
    var count: Int { heap.count }

    func add(_ index: Int32, at deadline: Instant) {
        heap.append(Entry(at: deadline, index: index))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].at < heap[parent].at else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// The earliest entry that is due; nil: none.
    func pop(dueAt now: Instant) -> (index: Int32, at: Instant)? {
        guard let first = heap.first, first.at <= now else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return (first.index, first.at) }
        heap[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count && heap[child + 1].at < heap[child].at { child += 1 }
            guard heap[child].at < heap[parent].at else { break }
            heap.swapAt(child, parent)
            parent = child
        }
        return (first.index, first.at)
    }
}
