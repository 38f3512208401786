// Packets of one kind on their way through a room: what waits, what goes out, and how many subscribers have that. A
// large room is served in slices; what arrives between two of them waits for its own turn.
import PeerTransport
import RTP

struct Lane {
    /// Encodings with packets that wait.
    private var waiting: ContiguousArray<UnsafeMutablePointer<ReceiveStream>> = []
    /// Encodings whose batch goes out.
    private var going: ContiguousArray<UnsafeMutablePointer<ReceiveStream>> = []
    /// Subscribers before this one have what goes out.
    var next = 0
    /// An encoding can take no more packets until its batch is closed.
    var isFull = false

    init() {
        waiting.reserveCapacity(64)
        going.reserveCapacity(64)
    }

    var isGoing: Bool { !going.isEmpty }
    var hasWaiting: Bool { !waiting.isEmpty }
    var isIdle: Bool { going.isEmpty && waiting.isEmpty }

    /// Packets that go out to each subscriber at most.
    var packetCount: Int {
        var count = 0
        for i in 0..<going.count { count += going[i].pointee.batchCount }
        return count
    }

    mutating func add(_ stream: UnsafeMutablePointer<ReceiveStream>) {
        stream.pointee.isQueued = true
        waiting.append(stream)
    }

    /// All that waits goes out; nothing may be going.
    mutating func begin() {
        swap(&waiting, &going)
        for i in 0..<going.count { going[i].pointee.closeBatch() }
        next = 0
        isFull = false
    }

    /// Everybody has it.
    mutating func end(counters: UnsafeMutablePointer<Counters>) {
        for i in 0..<going.count {
            if going[i].pointee.publication.viewers == 0 {
                counters.pointee.withhold(.noSubscriber, going[i].pointee.batchCount)
            }
            going[i].pointee.clearBatch()
        }
        going.removeAll(keepingCapacity: true)
    }

    /// The encodings of a publication are about to be freed.
    mutating func forget(_ gone: Publication) {
        func isGone(_ stream: UnsafeMutablePointer<ReceiveStream>) -> Bool {
            stream >= gone.layers && stream < gone.layers + gone.layerCount
        }
        waiting.removeAll(where: isGone)
        going.removeAll(where: isGone)
    }

    /// A subscriber left.
    mutating func forget(subscriber place: Int) {
        if place < next { next -= 1 }
    }
}

/// Which of its slots a subscriber is served.
enum Share {
    case everything, audio, video
}
