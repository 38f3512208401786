// How anything reaches a worker's thread from outside: a bounded queue and a wake that is only paid for when the
// worker sleeps.
import CLinux
import PeerTransport
import RTP
import SFU
import Seam
import Synchronization

/// Wakes one thread from its poll.
final class Wakeup: Sendable {
    /// An eventfd, readable after `signal`.
    let descriptor: Int32
    private let isSleeping = Atomic<Bool>(false)

    init() throws(MediaError) {
        descriptor = clinux_eventfd()
        guard descriptor >= 0 else { throw MediaError.system("eventfd", systemReason(descriptor)) }
    }

    deinit { clinux_close(descriptor) }

    /// Called after the work was made visible (sequentially consistent store, or a lock).
    func signal() {
        guard isSleeping.load(ordering: .sequentiallyConsistent),
            isSleeping.exchange(false, ordering: .sequentiallyConsistent)
        else { return }
        clinux_eventfd_signal(descriptor)
    }

    /// The sleeper must look for work once more after this, and only then sleep.
    func prepareToSleep() { isSleeping.store(true, ordering: .sequentiallyConsistent) }

    func isAwake() { isSleeping.store(false, ordering: .relaxed) }

    func clear() { clinux_eventfd_clear(descriptor) }
}

/// An ICE-TCP connection on its way to the worker that owns its session.
final class MovedStream: Sendable {
    private let descriptor: Atomic<Int32>
    let remote: SocketAddress
    let local: IPAddress
    /// The first frame, which named the owner; nothing more was read.
    let firstFrame: [UInt8]
    /// When the connection must have passed an authenticated check.
    let deadline: Instant
    let seat: StreamSeat

    init(
        descriptor: Int32,
        remote: SocketAddress,
        local: IPAddress,
        firstFrame: [UInt8],
        deadline: Instant,
        seat: StreamSeat
    ) {
        self.descriptor = Atomic(descriptor)
        self.remote = remote
        self.local = local
        self.firstFrame = firstFrame
        self.deadline = deadline
        self.seat = seat
    }

    deinit {
        let left = take()
        if left >= 0 { clinux_close(left) }
    }

    /// The descriptor, once; −1 afterwards.
    func take() -> Int32 { descriptor.exchange(-1, ordering: .acquiringAndReleasing) }
}

enum Mail: Sendable {
    case command(Command)
    /// A session whose room has members on other workers, too: on these.
    case open(OpenSession, sharing: [Int])
    case relay(RelayMessage, from: Int)
    /// The owner tells who asked that the path is its own, or everybody that it no longer is.
    case path(NetworkPath, owner: Int, PathChange)
    case stream(MovedStream)
    /// Close these sessions, send what is to be sent, and end the thread.
    case stop(closing: [SessionID])
}

/// Many producers, one consumer.
final class Mailbox: Sendable {
    private let queue = Lock<[Mail]>([])
    private let hasMail = Atomic<Bool>(false)
    private let capacity: Int
    let wakeup: Wakeup

    init(capacity: Int = Limits.MediaIO.mailboxCommands) throws(MediaError) {
        self.capacity = capacity
        wakeup = try Wakeup()
    }

    /// False when full; then nothing happened.
    ///
    /// - Parameter isUrgent: goes in even when full. For what is bounded otherwise: one stop, one state report.
    func post(_ mail: Mail, isUrgent: Bool = false) -> Bool {
        let isIn = queue.withLock { queue in
            guard isUrgent || queue.count < capacity else { return false }
            queue.append(mail)
            hasMail.store(true, ordering: .sequentiallyConsistent)
            return true
        }
        if isIn { wakeup.signal() }
        return isIn
    }

    /// One atomic load.
    @inline(__always)
    var isEmpty: Bool { !hasMail.load(ordering: .sequentiallyConsistent) }

    /// What came since the last call, in order.
    func drain() -> [Mail] {
        queue.withLock { queue in
            hasMail.store(false, ordering: .relaxed)
            let mail = queue
            queue = []
            return mail
        }
    }
}
