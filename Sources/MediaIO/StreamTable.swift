// The ICE-TCP connections of one worker by number: accept, probation, reading, writing, and the way to another
// worker. It knows paths, not sessions.
import CLinux
import Glibc
import PeerTransport
import RTP

/// Not thread-safe: belongs to one worker.
final class StreamTable {
    private static let slotBits = 13
    private static let slotMask = Int32(1 << slotBits) - 1

    private var streams: [StreamConnection?] = []
    /// Tells a new connection in a slot from the old one, so that late packets do not reach it.
    private var generations: [Int32] = []
    private var freeSlots: [Int] = []
    private var dirty: [StreamConnection] = []
    private var unchecked = 0
    private var sweepAt = Instant.distantFuture
    private let poll: WorkerPoll
    private let ledger: StreamLedger
    private let tally: IOTally
    private let checkTimeout: Interval
    private let buffer: UnsafeMutableBufferPointer<UInt8>
    /// Connections that the shard may know and that are gone.
    private(set) var closed: [Int32] = []
    private(set) var count = 0

    /// - Parameter poll: where the descriptors are watched, with the token `WorkerPoll.stream(number)`.
    init(poll: WorkerPoll, ledger: StreamLedger, checkTimeout: Interval, tally: IOTally) {
        self.poll = poll
        self.ledger = ledger
        self.checkTimeout = checkTimeout
        self.tally = tally
        buffer = .allocate(capacity: Limits.MediaIO.streamReadBytes)
    }

    deinit {
        for stream in streams {
            if let stream { clinux_close(stream.descriptor) }
        }
        buffer.deallocate()
    }

    private func stream(numbered number: Int32) -> StreamConnection? {
        guard number >= 0 else { return nil }
        let slot = Int(number & StreamTable.slotMask)
        guard slot < streams.count, let stream = streams[slot], stream.path.connection == number else {
            return nil
        }
        return stream
    }

    // MARK: coming and going

    enum OnAccept: Equatable {
        case accepted
        case nothing
        /// Out of descriptors or memory: accepting again at once would only spin.
        case exhausted
    }

    /// Takes one connection from a listener, or turns it away.
    func accept(from listener: Int32, at now: Instant) -> OnAccept {
        var raw = clinux_address()
        let descriptor = clinux_tcp_accept(listener, &raw)
        guard descriptor >= 0 else {
            let isExhausted = [EMFILE, ENFILE, ENOMEM, ENOBUFS].contains(-descriptor)
            return isExhausted ? .exhausted : .nothing
        }
        let remote = SocketAddress(raw)
        guard let seat = ledger.admit(remote.address), clinux_socket_name(descriptor, &raw) == 0 else {
            clinux_close(descriptor)
            tally.counters.streamsRefused += 1
            return .accepted
        }
        _ = clinux_tcp_tune(
            descriptor,
            Int32(Limits.MediaIO.streamUnsentBytes),
            Int32(Limits.MediaIO.streamSendBufferBytes)
        )
        tally.counters.streamsAccepted += 1
        _ = add(
            descriptor: descriptor,
            remote: remote,
            local: IPAddress(raw),
            deadline: now + checkTimeout,
            seat: seat
        )
        return .accepted
    }

    private func add(
        descriptor: Int32,
        remote: SocketAddress,
        local: IPAddress,
        deadline: Instant,
        seat: StreamSeat
    ) -> StreamConnection? {
        if freeSlots.isEmpty && streams.count <= Int(StreamTable.slotMask) {
            freeSlots.append(streams.count)
            streams.append(nil)
            generations.append(0)
        }
        guard let slot = freeSlots.popLast() else {
            clinux_close(descriptor)
            tally.counters.streamsRefused += 1
            return nil
        }
        generations[slot] = (generations[slot] + 1) & 0x3ffff
        let number = generations[slot] << Int32(StreamTable.slotBits) | Int32(slot)
        let path = NetworkPath(
            remote: remote.address,
            remotePort: remote.port,
            local: local,
            scope: remote.address.isLinkLocal ? UInt16(clamping: remote.scope) : 0,
            connection: number
        )
        guard poll.watches(descriptor, token: WorkerPoll.stream(number)) else {
            clinux_close(descriptor)
            freeSlots.append(slot)
            tally.counters.streamsRefused += 1
            return nil
        }
        let stream = StreamConnection(
            descriptor: descriptor,
            path: path,
            remote: remote,
            deadline: deadline,
            seat: seat
        )
        streams[slot] = stream
        count += 1
        unchecked += 1
        if deadline < sweepAt { sweepAt = deadline }
        return stream
    }

    /// Takes a connection out of the table; its descriptor stays open.
    private func remove(_ stream: StreamConnection) {
        let slot = Int(stream.path.connection & StreamTable.slotMask)
        streams[slot] = nil
        freeSlots.append(slot)
        count -= 1
        if stream.stage != .checked { unchecked -= 1 }
        stream.isDirty = false
    }

    private func close(_ stream: StreamConnection, isAborted: Bool) {
        guard self.stream(numbered: stream.path.connection) === stream else { return }
        if isAborted { tally.counters.streamsAborted += 1 }
        if stream.stage != .awaitingFirstFrame { closed.append(stream.path.connection) }
        remove(stream)
        clinux_close(stream.descriptor)
    }

    /// Numbers to report to the shard, each once.
    func takeClosed() -> [Int32] {
        let numbers = closed
        closed.removeAll(keepingCapacity: true)
        return numbers
    }

    // MARK: in

    /// What reading a connection led to, for the worker.
    typealias Deliver = (UnsafeMutableBufferPointer<UInt8>, NetworkPath) -> Int

    /// Reads a connection that the poll named.
    ///
    /// - Parameter deliver: takes one frame and tells the worker that it belongs to, −1 for this one.
    /// - Returns: the connection, out of this table, and the worker it must move to.
    func readable(_ number: Int32, _ deliver: Deliver) -> (MovedStream, Int)? {
        guard let stream = stream(numbered: number) else { return nil }
        if stream.stage == .awaitingFirstFrame {
            switch stream.readFirstFrame() {
            case .open: return nil
            case .closed(let isAborted): close(stream, isAborted: isAborted)
            case .firstFrame: return handleFirstFrame(of: stream, deliver)
            }
            return nil
        }
        let path = stream.path
        if case .closed(let isAborted) = stream.read(into: buffer, { _ = deliver($0, path) }) {
            close(stream, isAborted: isAborted)
        }
        return nil
    }

    private func handleFirstFrame(of stream: StreamConnection, _ deliver: Deliver) -> (MovedStream, Int)? {
        var owner = -1
        if case .closed(let isAborted) = stream.deliverFirstFrame({ owner = deliver($0, stream.path) }) {
            close(stream, isAborted: isAborted)
            return nil
        }
        guard owner >= 0 else {
            stream.stage = .awaitingCheck
            stream.forgetFirstFrame()
            return nil
        }
        remove(stream)
        poll.unwatch(stream.descriptor)
        tally.counters.streamsMoved += 1
        let moved = MovedStream(
            descriptor: stream.descriptor,
            remote: stream.remote,
            local: stream.path.local,
            firstFrame: stream.firstFrame,
            deadline: stream.deadline,
            seat: stream.seat
        )
        return (moved, owner)
    }

    /// Takes a connection that another worker accepted.
    func adopt(_ moved: MovedStream, _ deliver: Deliver) {
        let descriptor = moved.take()
        guard descriptor >= 0,
            let stream = add(
                descriptor: descriptor,
                remote: moved.remote,
                local: moved.local,
                deadline: moved.deadline,
                seat: moved.seat
            )
        else { return }
        stream.resume(withFirstFrame: moved.firstFrame)
        var owner = -1
        if case .closed(let isAborted) = stream.deliverFirstFrame({ owner = deliver($0, stream.path) }) {
            close(stream, isAborted: isAborted)
            return
        }
        stream.stage = .awaitingCheck
        stream.forgetFirstFrame()
        // Moving twice would let a peer play two workers against each other.
        if owner >= 0 { close(stream, isAborted: true) }
    }

    /// The shard confirmed the path: probation is over.
    func confirm(_ number: Int32) {
        guard let stream = stream(numbered: number), stream.stage != .checked else { return }
        stream.stage = .checked
        stream.seat.markChecked()
        unchecked -= 1
    }

    /// The shard forgot the path: nobody reads the connection any more. Sends what is queued, if it goes at once.
    func forget(_ number: Int32) {
        guard let stream = stream(numbered: number) else { return }
        _ = stream.flush()
        close(stream, isAborted: false)
        closed.removeAll { $0 == number }
    }

    // MARK: out

    /// Queues each packet of a message as a frame.
    func enqueue(_ message: Outbox.Message, of slab: UnsafePointer<UInt8>) {
        guard let stream = stream(numbered: message.path.connection) else {
            tally.socketError += message.segments
            return
        }
        let size = message.segments > 1 && message.segmentSize > 0 ? message.segmentSize : message.length
        var offset = 0
        while offset < message.length {
            let length = min(size, message.length - offset)
            stream.enqueue(slab + message.offset + offset, length: length)
            offset += length
        }
        if !stream.isDirty {
            stream.isDirty = true
            dirty.append(stream)
        }
    }

    func flushQueues() {
        guard !dirty.isEmpty else { return }
        for stream in dirty where stream.isDirty {
            stream.isDirty = false
            // While the socket is full, the poll tells when to go on.
            if !stream.watchesWritable { flush(stream) }
            tally.tcpBacklog += stream.takeDrops()
        }
        dirty.removeAll(keepingCapacity: true)
    }

    /// What waits in front of each connection that a session uses.
    func eachBacklog(_ body: (NetworkPath, _ bytes: Int) -> Void) {
        for case let stream? in streams where stream.stage == .checked { body(stream.path, stream.backlog) }
    }

    func writable(_ number: Int32) {
        if let stream = stream(numbered: number), stream.watchesWritable { flush(stream) }
    }

    private func flush(_ stream: StreamConnection) {
        let result = stream.flush()
        guard result != .failed else {
            close(stream, isAborted: false)
            return
        }
        let isWaiting = result == .waiting
        guard isWaiting != stream.watchesWritable else { return }
        stream.watchesWritable = isWaiting
        poll.change(
            stream.descriptor,
            token: WorkerPoll.stream(stream.path.connection),
            isWritableToo: isWaiting
        )
    }

    // MARK: time

    /// When `advance` must be called.
    var nextDeadline: Instant { unchecked > 0 ? sweepAt : .distantFuture }

    /// Closes connections that did not prove themselves in time.
    func advance(to now: Instant) {
        guard unchecked > 0, now >= sweepAt else { return }
        var next = Instant.distantFuture
        for case let stream? in streams where stream.stage != .checked {
            if now >= stream.deadline {
                close(stream, isAborted: true)
            } else if stream.deadline < next {
                next = stream.deadline
            }
        }
        sweepAt = next == .distantFuture ? next : max(next, now + .milliseconds(10))
    }
}
