// The gateway: owner of rooms, sockets and sessions, all on one event loop. Media reaches it as values of the seam.
// Must not know WebSocket frames, HTTP, the text of tokens, or anything of RTP beyond its parameters.
import Logging
import NIOCore
import RTP
import SDP
import Seam
import Tracing

public struct GatewayConfiguration: Sendable {
    /// Development server: a `hello` without a token may name its user.
    public var isDevelopment: Bool
    public var maximumRooms: Int
    public var maximumParticipantsPerRoom: Int
    public var maximumConnections: Int
    /// Accepted video codecs, preferred first.
    public var videoCodecs: [CodecName]
    /// How long a participant without a socket stays.
    public var detachGrace: Interval
    /// What all sessions may hold, bytes.
    public var sessionMemory: Int
    /// Critical events that one session keeps for a client that is away or slow.
    public var criticalEvents: Int
    /// The media plane is another process and goes on when this one ends.
    public var isMediaApart: Bool
    /// After a restart, how long those who were there have to come back before they are told as gone.
    public var returnWithin: Interval
    /// What publishers may send, told to them and to the media plane.
    public var maximumBitrates: SourceBitrates

    public init(
        isDevelopment: Bool = false,
        maximumRooms: Int = Limits.Signaling.rooms,
        maximumParticipantsPerRoom: Int = Limits.Signaling.participantsPerRoom,
        maximumConnections: Int = Limits.Signaling.connections,
        videoCodecs: [CodecName] = [.vp8, .vp9, .h264, .av1],
        detachGrace: Interval = Limits.Signaling.detachGrace,
        sessionMemory: Int = Limits.Signaling.sessionMemory,
        criticalEvents: Int = Limits.Signaling.criticalEvents,
        isMediaApart: Bool = false,
        returnWithin: Interval = Limits.Events.returnWithin,
        maximumBitrates: SourceBitrates = SourceBitrates()
    ) {
        self.isDevelopment = isDevelopment
        self.maximumRooms = maximumRooms
        self.maximumParticipantsPerRoom = maximumParticipantsPerRoom
        self.maximumConnections = maximumConnections
        self.videoCodecs = videoCodecs
        self.detachGrace = detachGrace
        self.sessionMemory = sessionMemory
        self.criticalEvents = criticalEvents
        self.isMediaApart = isMediaApart
        self.returnWithin = returnWithin
        self.maximumBitrates = maximumBitrates
    }
}

/// What the gateway counts.
public struct GatewayStatistics: Sendable, Equatable {
    public var connections = 0
    public var rooms = 0
    public var participants = 0
    public var publications = 0
    public var mediaSessions = 0
    /// Signaling sessions, and those of them without a socket.
    public var sessions = 0
    public var detachedSessions = 0
    /// Monotonic from here.
    public var joins: UInt64 = 0
    /// Sessions that came back, by outcome.
    public var resumes: [Welcome.Outcome: UInt64] = [:]
    /// Hellos with a resume token that was refused.
    public var resumesRefused: UInt64 = 0
    /// Steps of sessions from one stage to the next.
    var transitions: [SessionTransition: UInt64] = [:]
    /// Steps that no session may take: there are none.
    var impossibleTransitions: UInt64 = 0
    /// Bytes that all sessions hold, at the last look.
    public var sessionBytes = 0
    public var requests: UInt64 = 0
    /// Refused requests by code.
    public var errors: [ErrorCode: UInt64] = [:]
    /// Sockets that the gateway closed.
    public var closes: [CloseCode: UInt64] = [:]
    /// Sessions whose waiting events were given up for a snapshot.
    public var overflows: UInt64 = 0
    /// Ephemeral events that were dropped, by type.
    public var shed: [ServerMessage: UInt64] = [:]
    /// Media events that found the inbox full.
    public var mediaEventsDropped: UInt64 = 0
    /// Commands that found the backlog full.
    public var commandsDropped: UInt64 = 0
    /// Reports of clients about themselves.
    public var diagnosisReports: UInt64 = 0
    /// What waits for the sockets of all sessions, and of the one with the most.
    public var queuedEvents = 0
    public var longestQueue = 0
    /// From a socket's opening to the welcome of the session that it resumed.
    public var resumeTime = DurationHistogram()
    var quality = QualityStatistics()
}

public actor Gateway {
    public nonisolated let eventLoop: any EventLoop
    /// Everything runs on the event loop, so socket handlers of that loop enter by `assumeIsolated` without a hop.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        eventLoop.executor.asUnownedSerialExecutor()
    }

    let media: any MediaPlane
    let verifier: any TokenVerifier
    let configuration: GatewayConfiguration
    let logger: Logger
    let clock: @Sendable () -> Instant
    let wallClock: @Sendable () -> UInt64
    let inbox = MediaInbox()
    /// Hears the workers' counters.
    let counters: @Sendable (WorkerCounters) -> Void
    let tracing: GatewayTracer
    var traceClock = TraceClock()
    /// What the work in progress is for.
    var cause: InstrumentationContext?
    var timelines = TimelineArchive()

    var rooms: [RoomID: Room] = [:]
    var connections: [ConnectionID: Connection] = [:]
    /// By the media session in force.
    var links: [SessionID: Member] = [:]
    /// By the signaling session, those without a socket included.
    var sessions: [SessionID: Member] = [:]
    let seal: ResumeSeal
    /// When it started, for those who come back to a server that has forgotten them.
    var startedAt: Instant?
    /// Came back before the media plane had said whom it has.
    var returning: [ConnectionID: Hello] = [:]
    var isCrowded = false
    /// The media process that the sessions are in.
    var mediaEpoch: String?
    var statistics = GatewayStatistics()

    /// Members whose session has something to send.
    var dirty: [Member] = []
    var greeting: Set<ConnectionID> = []
    var detached: [ParticipantID: Member] = [:]
    var negotiating: [SessionID: Member] = [:]
    var paused: [ConnectionID: Connection] = [:]
    /// Commands that the media plane had no room for yet.
    var backlog = Fifo<Command>()
    /// Hears what happens in rooms.
    let events: (any EventSink)?
    var books: [RoomID: CallBook] = [:]
    /// Until then those that were there before a restart may come back.
    var absentUntil: Instant?
    var isDraining = false
    /// Nobody new comes in: the server is to be restarted soon.
    var admitsNobody = false
    var bans = BanList()
    /// Sockets that were told to close and have not closed yet.
    var closing: Set<ConnectionID> = []
    private var lastConnection: UInt64 = 0
    var lastSweep: Instant?
    var lastForgetting: Instant?
    var lastQualitySample: Instant?
    private var timer: Scheduled<Void>?
    private var isTimerSlow = false
    private var drained: [CheckedContinuation<Void, Never>] = []

    /// `clock` is monotonic; `wallClock` counts milliseconds since 1970. `counters` is called on the event loop.
    public init(
        eventLoop: any EventLoop,
        media: any MediaPlane,
        verifier: any TokenVerifier,
        configuration: GatewayConfiguration = GatewayConfiguration(),
        seal: ResumeSeal = ResumeSeal(),
        events: (any EventSink)? = nil,
        logger: Logger,
        tracer: any Tracer = NoOpTracer(),
        clock: @escaping @Sendable () -> Instant,
        wallClock: @escaping @Sendable () -> UInt64,
        counters: @escaping @Sendable (WorkerCounters) -> Void = { _ in }
    ) {
        self.eventLoop = eventLoop
        self.media = media
        self.verifier = verifier
        self.configuration = configuration
        self.seal = seal
        self.events = events
        self.logger = logger
        self.clock = clock
        self.wallClock = wallClock
        self.counters = counters
        tracing = GatewayTracer(tracer)
    }

    // MARK: Life

    /// Listens to the media plane and starts the timer.
    public func start() {
        listen()
        if timer == nil { setTimer() }
    }

    private func setTimer() {
        isTimerSlow = isQuiet
        let interval = isTimerSlow ? Self.quietTickInterval : Self.tickInterval
        timer = eventLoop.scheduleTask(in: .microseconds(interval.microseconds)) { [weak self] in
            self?.assumeIsolated { gateway in
                guard gateway.timer != nil else { return }
                gateway.tick(at: gateway.clock())
                gateway.setTimer()
            }
        }
    }

    /// It is not quiet any more.
    func hurry() {
        guard isTimerSlow, let timer else { return }
        timer.cancel()
        setTimer()
    }

    /// Only listens: the owner of time calls `tick(at:)` itself.
    func listen() {
        startedAt = startedAt ?? clock()
        media.deliverEvents(to: { [inbox, eventLoop, weak self] events in
            guard inbox.put(events), let self else { return }
            eventLoop.execute { self.assumeIsolated { $0.takeMediaEvents() } }
        })
    }

    /// Says goodbye to every socket (4000) and closes every session; returns when all sockets have closed, at most
    /// after `Limits.Signaling.drainTimeout`.
    public func shutdown() async {
        if !isDraining {
            isDraining = true
            let now = clock()
            // 500 come back per second.
            let spread = connections.count * 2
            for connection in connections.values {
                close(connection, .drain, "the server is restarting", spreadMs: spread)
            }
            for room in rooms.values where !configuration.isMediaApart {
                for member in room.members.values { remove(member, reason: .shutdown, at: now) }
            }
            for room in rooms.values {
                for member in room.members.values { endTraces(of: member, .shutdown, at: now) }
            }
            sendBacklog()
            timer?.cancel()
            timer = nil
        }
        guard !closing.isEmpty else { return }
        let timeout = TimeAmount.microseconds(Limits.Signaling.drainTimeout.microseconds)
        let alarm = eventLoop.scheduleTask(in: timeout) { [weak self] in
            self?.assumeIsolated { $0.finishDraining() }
        }
        await withCheckedContinuation { drained.append($0) }
        alarm.cancel()
    }

    func finishDraining() {
        let waiting = drained
        drained = []
        for continuation in waiting { continuation.resume() }
    }

    /// A picture of the moment, for metrics.
    public func readStatistics() -> GatewayStatistics {
        var result = statistics
        result.connections = connections.count
        result.rooms = rooms.count
        result.mediaSessions = links.count
        result.sessions = Set(sessions.values.map(ObjectIdentifier.init)).count
        result.detachedSessions = detached.count
        result.mediaEventsDropped = inbox.dropped
        for link in links.values.compactMap(\.link) { result.quality.count(link) }
        for room in rooms.values {
            result.participants += room.state.participants.count
            for participant in room.state.participants.values {
                result.publications += participant.publications.count { $0.mid != nil }
            }
            for member in room.members.values {
                result.count(shedBy: member.session)
                let waiting = member.session.waitingCount
                result.queuedEvents += waiting
                result.longestQueue = max(result.longestQueue, waiting)
            }
        }
        return result
    }

    // MARK: Commands

    /// In order, sooner or later. False where even the backlog is full.
    @discardableResult
    func order(_ command: Command) -> Bool {
        if backlog.isEmpty, media.send(command) { return true }
        guard backlog.count < Limits.Signaling.mediaCommands else {
            statistics.commandsDropped += 1
            return false
        }
        backlog.append(command)
        hurry()
        return true
    }

    func sendBacklog() {
        while let command = backlog.first, media.send(command) { _ = backlog.popFirst() }
    }

    // MARK: Names

    func nextConnectionID() -> ConnectionID {
        lastConnection += 1
        return ConnectionID(rawValue: lastConnection)
    }

    /// 80 random bits; 130 where the name is a secret at the same time, as in a WHIP session's URL (RFC 9725 §4.2).
    static func makeName(_ prefix: String, isSecret: Bool = false) -> String {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz")
        return prefix + String((0..<(isSecret ? 26 : 16)).map { _ in alphabet[Int(generator.next() & 31)] })
    }
}

extension GatewayStatistics {
    mutating func count(shedBy session: SignalSession) {
        overflows += UInt64(session.overflows)
        for (type, count) in session.shed { shed[type, default: 0] += count }
    }
}
