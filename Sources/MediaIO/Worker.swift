// One thread of the media plane: wait, receive a batch, let the shard forward it, send, report. It owns sockets and
// time, and knows nothing of sessions.
import CLinux
import PeerTransport
import RTP
import SFU
import Seam

/// What all workers of a server share.
struct WorkerShared: Sendable {
    var mailboxes: [Mailbox]
    /// `rings[from][to]`; nil on the diagonal.
    var rings: [[HandOverRing?]]
    var hub: EventHub
    var ledger: StreamLedger
}

/// What one worker is made of; opened before its thread starts, so that errors reach the caller.
struct WorkerParts {
    var index: Int
    var poll: WorkerPoll
    var sockets: [UDPSocket]
    var listeners: [TCPListener]
    var streams: StreamTable
    var tally: IOTally
    var salt: UInt64
    var counterInterval: Interval
}

// @unchecked Sendable: made on the thread that starts the server, then handed to its own thread, which alone uses
// it until it ended; the start and the join order the two.
final class Worker: @unchecked Sendable {
    let index: Int
    private let poll: WorkerPoll
    private let sockets: [UDPSocket]
    private let listeners: [TCPListener]
    private let streams: StreamTable
    private let sender: Sender
    private let outbox: Outbox
    private let shard: Shard
    private let batch: ReceiveBatch
    private let tally: IOTally
    private let shared: WorkerShared
    private let mailbox: Mailbox
    private let handOver: HandOver
    private let counterInterval: Interval

    private var socketReady: [Bool]
    private var readableStreams: [Int32] = []
    /// Closed connections' paths, kept until what was queued for them is sent.
    private var forgottenStreams: [Int32] = []
    /// `distantFuture`: they are not paused.
    private var listenersResume = Instant.distantFuture
    private var firstSocket = 0
    private var nextCounters = Instant.zero
    private var nextBacklog = Instant.zero
    private var now = Instant.zero
    private var hasMoreWork = false
    private var stopping: [SessionID]?
    /// Commands and connections that wait for their turn.
    private var orders = OrderQueue()

    /// - Parameter makeShard: gets the outbox that this worker empties, and the way to the other workers.
    init(
        parts: WorkerParts,
        shared: WorkerShared,
        makeShard: (Outbox, RelayPort) throws -> Shard
    ) throws {
        index = parts.index
        poll = parts.poll
        sockets = parts.sockets
        listeners = parts.listeners
        streams = parts.streams
        tally = parts.tally
        counterInterval = parts.counterInterval
        self.shared = shared
        mailbox = shared.mailboxes[parts.index]
        let sender = Sender(sockets: parts.sockets, streams: parts.streams, tally: parts.tally)
        self.sender = sender
        outbox = Outbox { sender.send($0) }
        batch = try ReceiveBatch(
            slots: Limits.MediaIO.receiveSlots,
            slotBytes: Limits.MediaIO.receiveSlotBytes
        )
        let handOver = HandOver(index: parts.index, shared: shared, tally: parts.tally, salt: parts.salt)
        self.handOver = handOver
        socketReady = Array(repeating: false, count: parts.sockets.count)
        shard = try makeShard(outbox, RelayPort { handOver.relay($0, length: $1, $2, to: $3) })
        try poll.watch(mailbox.wakeup.descriptor, token: WorkerPoll.wakeup)
        for (i, socket) in sockets.enumerated() {
            try poll.watch(socket.descriptor, token: WorkerPoll.socket(i))
        }
        for (i, listener) in listeners.enumerated() {
            try poll.watch(listener.descriptor, token: WorkerPoll.listener(i))
        }
    }

    // MARK: the loop

    /// Runs until a `.stop` comes.
    func run() {
        now = MonotonicClock.now
        nextCounters = now + counterInterval
        while stopping == nil {
            wait()
            let filled = receive()
            // After the receive: whoever confirmed a path did so before its peer could send on it.
            readMail()
            dispatch(filled)
            readStreams()
            takeHandOvers()
            handOver.publish()
            finishLoop()
        }
        shutDown()
    }

    private func wait() {
        var deadline = min(shard.nextDeadline, nextCounters, streams.nextDeadline, listenersResume)
        if hasMoreWork || !orders.isEmpty || !streams.closed.isEmpty { deadline = .zero }
        var interval = deadline == .zero ? Interval.zero : deadline - MonotonicClock.now
        if interval > .zero {
            mailbox.wakeup.prepareToSleep()
            if !mailbox.isEmpty || !handOver.isEmpty { interval = .zero }
        }
        let count = poll.wait(interval)
        mailbox.wakeup.isAwake()
        tally.counters.wakeups += 1
        readableStreams.removeAll(keepingCapacity: true)
        var mayAccept = false
        for i in 0..<count {
            let (what, isReadable, isWritable) = poll.ready(i)
            switch what {
            case .wakeup: mailbox.wakeup.clear()
            case .socket(let i): socketReady[i] = true
            case .listener: mayAccept = true
            case .stream(let number):
                if isWritable { streams.writable(number) }
                if isReadable { readableStreams.append(number) }
            }
        }
        now = MonotonicClock.now
        if now >= listenersResume { resumeListeners() }
        if mayAccept { accept() }
    }

    /// Fills the batch from the sockets that are ready; another one comes first each time.
    private func receive() -> Int {
        var filled = 0
        firstSocket += 1
        for turn in sockets.indices {
            let i = (firstSocket + turn) % sockets.count
            guard socketReady[i] else { continue }
            socketReady[i] = false
            let count = sockets[i].receiveBatch(into: batch, from: filled)
            let bound = sockets[i].bound.address
            if !sockets[i].isWildcard {
                let raw = SocketAddress(address: bound, port: 0).raw
                for slot in filled..<filled + count { batch.datagrams[slot].local = raw }
            }
            filled += count
        }
        return filled
    }

    private func readMail() {
        if !mailbox.isEmpty && orders.count < Limits.MediaIO.mailboxCommands {
            for mail in mailbox.drain() {
                switch mail {
                case .path(let path, let owner, .confirmed): handOver.learn(path, owner: owner, at: now)
                case .path(let path, let owner, .forgotten): handOver.forget(path, owner: owner)
                case .command, .open, .relay, .stream, .stop: orders.add(mail)
                }
            }
        }
        if !orders.isEmpty { obey() }
    }

    /// What was received must not wait for a crowd that joins: the rest is for the next loops.
    private func obey() {
        let end = MonotonicClock.now + Limits.MediaIO.commandSlice
        while let mail = orders.next() {
            switch mail {
            case .command(let command): shard.apply(command, at: now)
            case .open(let open, let sharing): shard.apply(.open(open), sharing: sharing, at: now)
            case .relay(let message, let worker): shard.apply(message, from: worker, at: now)
            case .path: break
            case .stream(let moved): streams.adopt(moved, deliver)
            case .stop(let sessions): stopping = (stopping ?? []) + sessions
            }
            if MonotonicClock.now >= end { break }
        }
    }

    // MARK: in

    private func dispatch(_ filled: Int) {
        guard filled > 0 else { return }
        now = MonotonicClock.now
        let offset = MonotonicClock.realtimeOffset
        for slot in 0..<filled {
            let datagram = batch.datagrams + slot
            let length = Int(datagram.pointee.length)
            let segment = Int(datagram.pointee.segment_size)
            guard length > 0, segment > 0, datagram.pointee.truncated == 0, let bytes = datagram.pointee.bytes
            else {
                tally.malformed += 1
                continue
            }
            let remote = IPAddress(datagram.pointee.remote)
            let path = NetworkPath(
                remote: remote,
                remotePort: datagram.pointee.remote.port,
                local: IPAddress(datagram.pointee.local),
                scope: remote.isLinkLocal ? UInt16(clamping: datagram.pointee.remote.scope) : 0
            )
            let arrival = MonotonicClock.arrival(stamp: datagram.pointee.arrival, offset: offset, now: now)
            tally.counters.bytesReceived += UInt64(length)
            if segment < length { tally.counters.mergedReceives += 1 }
            var begin = 0
            while begin < length {
                let count = min(segment, length - begin)
                tally.counters.datagramsReceived += 1
                receive(bytes + begin, length: count, on: path, at: arrival)
                begin += count
            }
        }
    }

    @inline(__always)
    private func receive(
        _ bytes: UnsafeMutablePointer<UInt8>,
        length: Int,
        on path: NetworkPath,
        at arrival: Instant
    ) {
        guard length <= Limits.Media.datagramBytes else {
            tally.malformed += 1
            return
        }
        if handOver.takesMedia(bytes, length: length, on: path, at: arrival, now: now) { return }
        let result = shard.receive(
            UnsafeMutableBufferPointer(start: bytes, count: length),
            on: path,
            at: arrival
        )
        if case .belongsTo(let owner) = result {
            handOver.passCheck(bytes, length: length, on: path, at: arrival, now: now, to: owner)
        }
    }

    private func takeHandOvers() {
        hasMoreWork = handOver.take { header, bytes, from in
            if let relayed = header.relayed {
                return shard.receive(bytes, length: header.length, relayed, from: from)
            }
            let result = shard.receive(
                UnsafeMutableBufferPointer(start: bytes, count: header.length),
                on: header.path,
                at: header.arrival
            )
            if result != .handled { tally.handOverUnknown += 1 }
        }
    }

    // MARK: ICE-TCP

    private func deliver(_ frame: UnsafeMutableBufferPointer<UInt8>, _ path: NetworkPath) -> Int {
        guard case .belongsTo(let owner) = shard.receive(frame, on: path, at: now) else { return -1 }
        guard owner != index, shared.mailboxes.indices.contains(owner) else {
            tally.handOverUnknown += 1
            return -1
        }
        return owner
    }

    private func readStreams() {
        for number in readableStreams {
            guard let (moved, owner) = streams.readable(number, deliver) else { continue }
            // A full mailbox drops the connection; the peer tries again.
            if !shared.mailboxes[owner].post(.stream(moved)) { tally.counters.mailboxFull += 1 }
        }
    }

    private func accept() {
        for listener in listeners {
            var accepted = 0
            while accepted < Limits.MediaIO.acceptsPerLoop {
                let result = streams.accept(from: listener.descriptor, at: now)
                if result == .nothing { break }
                if result == .exhausted {
                    pauseListeners()
                    return
                }
                accepted += 1
            }
        }
    }

    /// Without descriptors a listener stays ready for ever: look away for a while.
    private func pauseListeners() {
        listeners.forEach { poll.unwatch($0.descriptor) }
        listenersResume = now + Limits.MediaIO.counterInterval
    }

    private func resumeListeners() {
        listenersResume = .distantFuture
        for (i, listener) in listeners.enumerated() {
            do {
                try poll.watch(listener.descriptor, token: WorkerPoll.listener(i))
            } catch {
                listenersResume = now + Limits.MediaIO.counterInterval
            }
        }
    }

    // MARK: out

    private func finishLoop() {
        now = MonotonicClock.now
        streams.advance(to: now)
        for number in streams.takeClosed() { shard.connectionClosed(number, at: now) }
        if now >= nextBacklog {
            nextBacklog = now + Limits.MediaIO.backlogInterval
            streams.eachBacklog { shard.note(backlog: $1, on: $0, at: now) }
        }
        shard.advance(to: now)
        handOver.release()
        flush()
        if shard.hasHandshakes { advanceHandshakes() }
        for number in forgottenStreams { streams.forget(number) }
        forgottenStreams.removeAll(keepingCapacity: true)
        noteDrops()
        reportEvents()
    }

    private func flush() {
        shard.drainRelay { worker, message in handOver.tell(message, to: worker) }
        drainPathChanges()
        outbox.flush()
    }

    /// Media is on its way; what is left when the time is up waits until the next media is.
    private func advanceHandshakes() {
        now = MonotonicClock.now
        let end = now + Limits.MediaIO.handshakeSlice
        while now < end, shard.advanceHandshake(at: now) { now = MonotonicClock.now }
        flush()
    }

    /// Before the outbox is flushed: the other workers must know a path before the peer has our answer.
    private func drainPathChanges() {
        shard.drainPathChanges { path, change in
            if path.isUDP {
                handOver.ownPathChanged(path, change)
            } else if change == .confirmed {
                streams.confirm(path.connection)
            } else {
                forgottenStreams.append(path.connection)
            }
        }
        handOver.answerConfirmations()
    }

    private func noteDrops() {
        func note(_ reason: DropReason, _ count: inout Int) {
            guard count > 0 else { return }
            shard.note(drop: reason, count: count)
            count = 0
        }
        note(.socketFull, &tally.socketFull)
        note(.socketError, &tally.socketError)
        note(.tcpBacklog, &tally.tcpBacklog)
        note(.handOverFull, &tally.handOverFull)
        note(.handOverUnknown, &tally.handOverUnknown)
        note(.malformed, &tally.malformed)
    }

    private func reportEvents() {
        shard.drainEvents { events in
            if !events.isEmpty { shared.hub.deliver(events, from: index) }
        }
        guard now >= nextCounters else { return }
        nextCounters = now + counterInterval
        handOver.sweep(at: now)
        var counters = shard.counters
        tally.counters.add(to: &counters)
        counters.gauges["ice_tcp_connections"] = Int64(streams.count)
        counters.gauges["foreign_paths"] = Int64(handOver.foreignPaths)
        shared.hub.deliver([.counters(counters)], from: index)
    }

    /// Ends every session, so that peers hear of it, and sends what that makes.
    private func shutDown() {
        for session in stopping ?? [] { shard.apply(.close(session), at: now) }
        finishLoop()
    }
}
