// Reads sessions' sockets in batches and takes merged datagrams apart. Must not know what is in them, or when to read.
//
// Sockets of sessions that have joined are not polled: each is read at a fixed interval, which saves a wake per packet on both
// sides. What is measured does not depend on it, since every datagram bears the kernel's time of receipt.
import CLinux
import RTP

final class MediaReader {
    /// Nanoseconds from one slice to the next.
    static let slice: Int64 = 2_000_000
    /// Each session is read in one of so many slices: what comes of a voice in 80 ms is read at once.
    static let slices = 40
    /// One that has to answer soon, in one of so many: video, where something may be missing or asked for.
    static let slicesOfVideo = 10
    private static let slots: UInt32 = 16
    /// Batches that one session is read at a time.
    private static let batchesAtOnce = 8

    private let batch: OpaquePointer
    /// Kernel receipts are of the wall clock: what is taken off to get the monotonic one.
    private var clockOffset: Int64 = 0
    private var nextSlice: Int64 = 0
    private var currentSlice = 0

    /// - Throws: `LoadError` where there is no memory.
    init() throws {
        guard let batch = clinux_receive_batch_new(Self.slots, UInt32(Limits.MediaIO.receiveSlotBytes)) else {
            throw LoadError("no memory to receive into")
        }
        self.batch = batch
    }

    deinit { clinux_receive_batch_free(batch) }

    /// When the next slice is due, nanoseconds of the monotonic clock.
    var nextDue: Int64 { nextSlice }

    /// Calls `read` with each slice that is due, in turn.
    func advance(to now: Int64, _ read: (Int) -> Void) {
        guard now >= nextSlice else { return }
        let late = now - nextSlice
        let due = min(Int(late / Self.slice) + 1, Self.slicesOfVideo)
        nextSlice = now - late % Self.slice + Self.slice
        for _ in 0..<due {
            currentSlice = (currentSlice + 1) % Self.slices
            read(currentSlice)
        }
    }

    /// Now and then: the clocks drift.
    func compareClocks() { clockOffset = clinux_realtime_ns() - clinux_monotonic_ns() }

    /// Reads what waits for a client.
    func read(_ client: Client, _ take: (ReceivedSample) -> Void) {
        guard client.socket >= 0 else { return }
        for _ in 0..<Self.batchesAtOnce {
            let count = clinux_receive(client.socket, batch, 0, Self.slots)
            guard count > 0, let datagrams = clinux_receive_batch_datagrams(batch) else { return }
            let now = clinux_monotonic_ns()
            for i in 0..<Int(count) { split(datagrams[i], for: client, at: now, take) }
            guard count == Self.slots else { return }
        }
    }

    /// One datagram, or several that the kernel has merged.
    private func split(
        _ datagram: clinux_datagram,
        for client: Client,
        at now: Int64,
        _ take: (ReceivedSample) -> Void
    ) {
        guard let bytes = datagram.bytes, datagram.truncated == 0 else { return }
        let arrival = datagram.arrival > 0 ? datagram.arrival - clockOffset : now
        let instant = Instant(microseconds: now / 1000)
        let length = Int(datagram.length)
        let step = max(1, Int(datagram.segment_size))
        var offset = 0
        while offset < length {
            let size = min(step, length - offset)
            let sample = client.receive(
                UnsafeMutableBufferPointer(start: bytes + offset, count: size),
                arrival: arrival,
                at: instant
            )
            if let sample { take(sample) }
            offset += size
        }
    }
}
