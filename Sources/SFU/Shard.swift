// One worker's share of the server: its sessions and rooms. The packet's road enters here (receive) and leaves
// through the outbox (advance). Knows no thread, socket or clock.
import PeerTransport
import RTP
import Seam

/// Not thread-safe: one worker owns it.
public final class Shard {
    let configuration: ShardConfiguration
    let windows: ForwardingWindows
    let outbox: Outbox
    let context: DTLSContext
    let integrity: STUNIntegrity
    var random: RandomSource

    private var paths = PathTable()
    /// By `Session.index`; a place is used again only after its session's paths are gone.
    var sessions: ContiguousArray<Session?> = []
    var freeIndices: [Int32] = []
    var sessionsByID: [SessionID: Session] = [:]
    var sessionsByFragment: [String: Session] = [:]
    var publications: [PublicationID: Publication] = [:]
    var roomsByID: [RoomID: Room] = [:]
    let relay: Relay
    var rooms: ContiguousArray<Room> = []

    var events: [Event] = []
    private var pathChanges: [(NetworkPath, PathChange)] = []
    let counts: UnsafeMutablePointer<Counters>
    private let departures: UnsafeMutablePointer<Departure>
    private let scratch: UnsafeMutablePointer<UInt8>
    let timers = TimerQueue()
    let handshakes = HandshakeQueue()
    /// Sessions whose deadline came, while they are looked at.
    private var due: ContiguousArray<Int32> = []
    var nextRoomTimer = Instant.zero
    /// Timers run at most once a millisecond.
    private var timersRan = Instant.zero
    /// Rooms that have something to forward: idle ones cost nothing per datagram.
    private var waitingRooms: ContiguousArray<Room> = []
    private var forwardDeadline = Instant.distantFuture

    /// - Parameter relayPort: carries packets to the other shards of this server; nil: there are none.
    public init(
        configuration: ShardConfiguration,
        random: RandomSource,
        outbox: Outbox,
        relayPort: RelayPort? = nil
    ) throws {
        guard let integrity = STUNIntegrity() else { throw TransportError.integrityUnavailable }
        self.configuration = configuration
        self.random = random
        self.outbox = outbox
        relay = Relay(worker: configuration.worker, port: relayPort)
        self.integrity = integrity
        windows = ForwardingWindows(audio: configuration.audioWindow, video: configuration.videoWindow)
        context = try DTLSContext(certificate: configuration.certificate)
        counts = .allocate(capacity: 1)
        counts.initialize(to: Counters())
        departures = .allocate(capacity: Downlink.departureCapacity)
        scratch = .allocate(capacity: 2 * Limits.Media.datagramBytes)
    }

    deinit {
        for session in sessionsByID.values { session.leave() }
        counts.deallocate()
        departures.deallocate()
        scratch.deallocate()
    }

    // MARK: The packet's road

    /// Decrypts in place and queues what is to be forwarded; DTLS waits for `advanceHandshake`.
    public func receive(
        _ datagram: UnsafeMutableBufferPointer<UInt8>,
        on path: NetworkPath,
        at now: Instant
    ) -> ShardReceive {
        counts.pointee.datagramsReceived &+= 1
        counts.pointee.bytesReceived &+= UInt64(truncatingIfNeeded: datagram.count)
        let index = paths.find(path)
        guard index >= 0, let session = sessions[Int(index)] else {
            return receiveFromUnknown(datagram, on: path, for: nil, at: now)
        }
        // RFC 7983 §7: below 64 there is no media.
        if datagram.count > 0, datagram[0] < 64 {
            return receiveControl(datagram, on: path, for: session, at: now)
        }
        if session.room.voices.isActive && leaveOut(datagram, of: session, at: now) { return .handled }
        receive(datagram, on: path, for: session, at: now)
        return .handled
    }

    @inline(never)
    private func receiveControl(
        _ datagram: UnsafeMutableBufferPointer<UInt8>,
        on path: NetworkPath,
        for session: Session,
        at now: Instant
    ) -> ShardReceive {
        // STUN. A peer may use its 5-tuple again for another session.
        if datagram[0] <= 3 { return receiveFromUnknown(datagram, on: path, for: session, at: now) }
        if datagram[0] < 20 {
            receive(datagram, on: path, for: session, at: now)
        } else if !handshakes.add(datagram, of: session.index, on: path) {
            counts.pointee.drop(.handshakeQueueFull)
        }
        return .handled
    }

    /// A packet of a voice that is not among the loudest of its room need not be decrypted.
    private func leaveOut(
        _ datagram: UnsafeMutableBufferPointer<UInt8>,
        of session: Session,
        at now: Instant
    ) -> Bool {
        guard let packet = datagram.baseAddress,
            session.leaveOut(packet, length: datagram.count, at: now)
        else { return false }
        counts.pointee.drop(.notLoudest)
        session.arm()
        return true
    }

    @inline(__always)
    private func receive(
        _ datagram: UnsafeMutableBufferPointer<UInt8>,
        on path: NetworkPath,
        for session: Session,
        at now: Instant
    ) {
        switch session.transport.receive(datagram, on: path, at: now, into: outbox) {
        case .rtp(let length):
            counts.pointee.rtpReceived &+= 1
            guard let packet = datagram.baseAddress else { return counts.pointee.drop(.malformed) }
            if path != session.downlink.pointee.path { takeChanges(of: session, at: now) }
            if let drop = session.uplink.receiveRTP(packet, length: length, windows: windows, at: now) {
                counts.pointee.drop(drop)
            } else {
                counts.pointee.rtpQueued &+= 1
            }
            queue(session.room, at: now)
        case .rtcp(let length):
            guard let packet = datagram.baseAddress else { return counts.pointee.drop(.malformed) }
            if path != session.downlink.pointee.path { takeChanges(of: session, at: now) }
            let isWhole = session.receiveRTCP(
                packet,
                length: length,
                ntp: ntp(at: now),
                counters: counts,
                at: now,
                into: outbox
            )
            if isWhole { counts.pointee.rtcpReceived &+= 1 } else { counts.pointee.drop(.rtcpMalformed) }
        case .consumed:
            counts.pointee.consumed &+= 1
            takeChanges(of: session, at: now)
        case .dropped(let reason):
            counts.pointee.drop(reason)
            takeChanges(of: session, at: now)
        }
        session.arm()
        if session.room.needsDealing { nextRoomTimer = now }
    }

    @inline(__always)
    func queue(_ room: Room, at now: Instant) {
        if room.isBatchFull { makeWay(in: room, at: now) }
        if room.forwardDeadline < .distantFuture && !room.isQueued {
            room.isQueued = true
            waitingRooms.append(room)
        }
        if room.forwardDeadline < forwardDeadline { forwardDeadline = room.forwardDeadline }
    }

    /// Only a check may come from where nobody is known, and only its username fragment says who it is for.
    /// - Parameter owner: whose path it came on.
    @inline(never)
    private func receiveFromUnknown(
        _ datagram: UnsafeMutableBufferPointer<UInt8>,
        on path: NetworkPath,
        for owner: Session?,
        at now: Instant
    ) -> ShardReceive {
        let fragment = STUN.localUsernameFragment(in: UnsafeBufferPointer(datagram))
        if let session = fragment.flatMap({ sessionsByFragment[$0] }) ?? nil {
            receive(datagram, on: path, for: session, at: now)
            return .handled
        }
        if let fragment, let worker = ICECredentials.worker(ofUsernameFragment: fragment),
            worker != configuration.worker
        {
            counts.pointee.handedOver &+= 1
            return .belongsTo(worker: worker)
        }
        guard let owner else {
            counts.pointee.drop(fragment == nil ? .unknownPath : .unknownUsernameFragment)
            return .handled
        }
        receive(datagram, on: path, for: owner, at: now)
        return .handled
    }

    /// Forwards what was received, at most a slice of video, and runs the timers. Called once after each batch of
    /// receives, and again at once, after another, while `nextDeadline` is over.
    public func advance(to now: Instant) {
        if now >= forwardDeadline { forwardWaiting(at: now) }
        if now >= timerDeadline { runTimers(at: now) }
    }

    private func sendingTurn(at now: Instant) -> SendingTurn {
        SendingTurn(
            departures: departures,
            counters: counts,
            absoluteSendTime: NTPTime(rawValue: ntp(at: now)).absoluteSendTime,
            now: now,
            outbox: outbox
        )
    }

    private func turn(at now: Instant) -> ForwardingTurn {
        ForwardingTurn(
            sending: sendingTurn(at: now),
            slice: configuration.copiesPerSlice,
            budget: configuration.copiesPerSlice
        )
    }

    @inline(never)
    private func makeWay(in room: Room, at now: Instant) {
        room.makeWay(turn(at: now))
    }

    private func forwardWaiting(at now: Instant) {
        forwardDeadline = .distantFuture
        var turn = turn(at: now)
        var kept = 0
        // The room that used the budget up and is not done.
        var last = -1
        for i in 0..<waitingRooms.count {
            let room = waitingRooms[i]
            let hadBudget = turn.budget > 0
            if room.forwardDeadline <= now { room.forward(&turn) }
            guard room.forwardDeadline < .distantFuture else {
                room.isQueued = false
                continue
            }
            forwardDeadline = min(forwardDeadline, room.forwardDeadline)
            if hadBudget && turn.budget <= 0 { last = kept }
            waitingRooms[kept] = room
            kept += 1
        }
        waitingRooms.removeLast(waitingRooms.count - kept)
        // The others come first next time.
        if last >= 0 && last < kept - 1 { waitingRooms.append(waitingRooms.remove(at: last)) }
    }

    /// DTLS waits for `advanceHandshake`.
    public var hasHandshakes: Bool { !handshakes.isEmpty }

    /// Takes the next datagram of DTLS, up to a millisecond of work: to be called when what was received is on its way.
    /// False when none waits.
    public func advanceHandshake(at now: Instant) -> Bool {
        guard let entry = handshakes.take() else { return false }
        defer { entry.datagram.deallocate() }
        if let session = sessions[Int(entry.index)] {
            receive(entry.datagram, on: entry.path, for: session, at: now)
        }
        return true
    }

    /// When `advance`, or where handshakes wait `advanceHandshake`, must be called at the latest.
    public var nextDeadline: Instant {
        handshakes.isEmpty ? min(forwardDeadline, timerDeadline) : .zero
    }

    private var timerDeadline: Instant {
        max(min(timers.next, nextRoomTimer), timersRan + .milliseconds(1))
    }

    // MARK: Time

    func ntp(at now: Instant) -> UInt64 {
        let seconds = UInt64(truncatingIfNeeded: now.microseconds / 1_000_000)
        let rest = UInt64(truncatingIfNeeded: now.microseconds % 1_000_000)
        return configuration.ntpAtZero &+ (seconds << 32) &+ (rest << 32) / 1_000_000
    }

    private func runTimers(at now: Instant) {
        timersRan = now
        if now >= nextRoomTimer {
            var next = Instant.distantFuture
            for room in rooms {
                if room.nextDeadline <= now { room.advance(to: now, events: &events) }
                next = min(next, room.nextDeadline)
            }
            nextRoomTimer = next
        }
        while let (index, deadline) = timers.pop(dueAt: now) {
            if sessions[Int(index)]?.isDue(deadline) == true { due.append(index) }
        }
        for index in due {
            if let session = sessions[Int(index)] { advance(session, to: now) }
        }
        due.removeAll(keepingCapacity: true)
    }

    private func advance(_ session: Session, to now: Instant) {
        if session.transport.nextDeadline <= now {
            session.transport.advance(to: now, into: outbox)
            takeChanges(of: session, at: now)
            guard sessions[Int(session.index)] === session else { return }
        }
        session.advancePacing(sendingTurn(at: now))
        session.advanceFeedback(to: now, ntp: ntp(at: now), scratch: scratch, counters: counts, into: outbox)
        session.advanceQuality(to: now, events: &events)
        session.arm()
    }

    // MARK: Transport changes

    func takeChanges(of session: Session, at now: Instant) {
        while let change = session.transport.nextChange() {
            switch change {
            case .pathValidated(let path):
                paths.set(path, to: session.index)
                session.paths.append(path)
                pathChanges.append((path, .confirmed))
                report(session, .connecting, if: .new)
            case .pathForgotten(let path):
                forget(path, of: session)
            case .pathSelected: break
            case .usernameFragmentRetired(let fragment):
                sessionsByFragment[fragment] = nil
                session.usernameFragments.removeAll { $0 == fragment }
            case .connected: report(session, .connected)
            case .disconnected: report(session, .disconnected)
            case .reconnected: report(session, session.transport.srtp == nil ? .connecting : .connected)
            case .consentLost: report(session, .failed)
            case .closed(let end):
                session.settleDownlink(at: now)
                return close(session, reason: CloseReason(end))
            }
        }
        session.settleDownlink(at: now)
        if session.room.isChanged { nextRoomTimer = now }
    }

    func forget(_ path: NetworkPath, of session: Session) {
        session.paths.removeAll { $0 == path }
        // Another session may have it by now.
        guard paths.find(path) == session.index else { return }
        paths.remove(path, of: session.index)
        pathChanges.append((path, .forgotten))
    }

    private func report(_ session: Session, _ state: TransportState, if old: TransportState? = nil) {
        guard session.state != state, old == nil || session.state == old else { return }
        session.state = state
        events.append(.transport(session.id, state))
    }

    /// An ICE-TCP connection of this worker is gone.
    public func connectionClosed(_ connection: Int32, at now: Instant) {
        for session in sessionsByID.values
        where session.paths.contains(where: { $0.connection == connection }) {
            session.transport.connectionClosed(connection, at: now)
            takeChanges(of: session, at: now)
            session.arm()
        }
    }

    // MARK: Reports

    public func drainEvents(_ body: ([Event]) -> Void) {
        guard !events.isEmpty else { return }
        body(events)
        events.removeAll(keepingCapacity: true)
    }

    /// Paths that passed an authenticated check here, or left; other workers learn owners only from this.
    public func drainPathChanges(_ body: (NetworkPath, PathChange) -> Void) {
        guard !pathChanges.isEmpty else { return }
        for (path, change) in pathChanges { body(path, change) }
        pathChanges.removeAll(keepingCapacity: true)
    }

    /// Counts drops that the owner of the socket saw.
    public func note(drop: DropReason, count: Int) { counts.pointee.withhold(drop, count) }

    public var counters: WorkerCounters {
        WorkerCounters(
            worker: configuration.worker,
            counts: counts.pointee.values,
            drops: counts.pointee.dropsByName,
            gauges: [
                "sessions": Int64(sessionsByID.count), "rooms": Int64(rooms.count),
                "publications": Int64(publications.count), "paths": Int64(paths.count),
                "mirrors": Int64(relay.mirrorCount),
            ]
        )
    }

    public var sessionCount: Int { sessionsByID.count }

    /// Bytes that wait in front of an ICE-TCP connection of this worker.
    public func note(backlog bytes: Int, on path: NetworkPath, at now: Instant) {
        let index = paths.find(path)
        guard index >= 0, let session = sessions[Int(index)], session.downlink.pointee.path == path else {
            return
        }
        session.received(backlog: bytes, at: now)
        session.arm()
    }

    /// For those who look on.
    func session(_ id: SessionID) -> Session? { sessionsByID[id] }
}

extension CloseReason {
    init(_ end: TransportEnd) {
        switch end {
        case .peerClosed: self = .peerClosed
        case .timeout: self = .timeout
        case .handshakeFailed: self = .handshakeFailed
        case .fingerprintMismatch: self = .fingerprintMismatch
        }
    }
}
