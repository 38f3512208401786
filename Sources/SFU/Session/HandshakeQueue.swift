// DTLS datagrams that wait until media is on its way: a flight costs as much as a hundred forwarded packets. In order of
// arrival, bounded in all and for each session. Knows sessions by their places, and nothing of what the bytes say.
import PeerTransport
import RTP

/// Not thread-safe: belongs to one shard.
final class HandshakeQueue {
    struct Entry {
        /// The session's place in the shard, −1: it is gone.
        var index: Int32
        var path: NetworkPath
        /// A copy; whoever takes the entry gives it back.
        var datagram: UnsafeMutableBufferPointer<UInt8>
    }

    private var entries: ContiguousArray<Entry> = []
    private var head = 0
    /// Entries by the place of their session.
    private var waiting: ContiguousArray<UInt8> = []
    /// Entries of sessions that are still there.
    private(set) var count = 0

    deinit {
        for entry in entries[head...] { entry.datagram.deallocate() }
    }

    var isEmpty: Bool { count == 0 }

    /// Copies the datagram. False where there is no room, in all or for this session.
    func add(_ datagram: UnsafeMutableBufferPointer<UInt8>, of index: Int32, on path: NetworkPath) -> Bool {
        let place = Int(index)
        if place >= waiting.count {
            waiting.append(contentsOf: repeatElement(0, count: place + 1 - waiting.count))
        }
        guard entries.count - head < Limits.DTLS.waitingDatagrams,
            Int(waiting[place]) < Limits.DTLS.waitingPerSession
        else { return false }
        if head >= Limits.DTLS.waitingDatagrams {
            entries.removeFirst(head)
            head = 0
        }
        let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: datagram.count)
        _ = copy.initialize(fromContentsOf: datagram)
        entries.append(Entry(index: index, path: path, datagram: copy))
        waiting[place] += 1
        count += 1
        return true
    }

    /// The first entry whose session is still there; the caller deallocates its datagram.
    func take() -> Entry? {
        while head < entries.count {
            let entry = entries[head]
            head += 1
            if head == entries.count {
                entries.removeAll(keepingCapacity: true)
                head = 0
            }
            guard entry.index >= 0 else {
                entry.datagram.deallocate()
                continue
            }
            waiting[Int(entry.index)] -= 1
            count -= 1
            return entry
        }
        return nil
    }

    /// The session is gone, and its place may be another's soon.
    /// - Returns: how many of its datagrams are not worked off any more.
    func forget(_ index: Int32) -> Int {
        guard Int(index) < waiting.count, waiting[Int(index)] > 0 else { return 0 }
        for i in head..<entries.count where entries[i].index == index { entries[i].index = -1 }
        let forgotten = Int(waiting[Int(index)])
        waiting[Int(index)] = 0
        count -= forgotten
        return forgotten
    }
}
