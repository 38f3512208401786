// The epoll of one worker, and what its tokens mean.
import CLinux
import RTP

/// Not thread-safe: belongs to one worker.
final class WorkerPoll {
    enum Ready {
        case wakeup
        case socket(Int)
        case listener(Int)
        case stream(Int32)
    }

    static let wakeup: UInt64 = 0
    static func socket(_ index: Int) -> UInt64 { 1 << 32 | UInt64(index) }
    static func listener(_ index: Int) -> UInt64 { 2 << 32 | UInt64(index) }
    static func stream(_ number: Int32) -> UInt64 { 3 << 32 | UInt64(UInt32(bitPattern: number)) }

    let descriptor: Int32
    private let events: UnsafeMutablePointer<clinux_event>
    private static let capacity = 128

    init() throws(MediaError) {
        descriptor = clinux_poll_new()
        guard descriptor >= 0 else { throw MediaError.system("epoll", systemReason(descriptor)) }
        events = .allocate(capacity: WorkerPoll.capacity)
    }

    deinit {
        clinux_close(descriptor)
        events.deallocate()
    }

    func watch(_ file: Int32, token: UInt64) throws(MediaError) {
        guard watches(file, token: token) else { throw MediaError.system("epoll", "cannot watch a socket") }
    }

    /// Watches for reading; false when the system refused.
    func watches(_ file: Int32, token: UInt64) -> Bool {
        clinux_poll_add(descriptor, file, UInt32(CLINUX_READABLE), token) == 0
    }

    func change(_ file: Int32, token: UInt64, isWritableToo: Bool) {
        let events = CLINUX_READABLE | (isWritableToo ? CLINUX_WRITABLE : 0)
        _ = clinux_poll_change(descriptor, file, UInt32(events), token)
    }

    func unwatch(_ file: Int32) { _ = clinux_poll_remove(descriptor, file) }

    /// Sleeps until something is ready, at most this long.
    ///
    /// - Returns: how many things are ready; see `ready(_:)`.
    func wait(_ interval: Interval) -> Int {
        let microseconds = min(max(0, interval.microseconds), 3_600_000_000)
        return max(
            0,
            Int(clinux_poll_wait(descriptor, events, Int32(WorkerPoll.capacity), microseconds * 1000))
        )
    }

    /// The i-th of what the last `wait` found.
    func ready(_ i: Int) -> (what: Ready, isReadable: Bool, isWritable: Bool) {
        let event = events[i]
        let id = UInt32(truncatingIfNeeded: event.token)
        let what: Ready
        switch event.token >> 32 {
        case 1: what = .socket(Int(id))
        case 2: what = .listener(Int(id))
        case 3: what = .stream(Int32(bitPattern: id))
        default: what = .wakeup
        }
        let readable = UInt32(CLINUX_READABLE | CLINUX_HANGUP)
        return (what, event.events & readable != 0, event.events & UInt32(CLINUX_WRITABLE) != 0)
    }
}
