// What the gateway holds of each connection, member and room. Used on the gateway's loop only; decides nothing.
import Logging
import NIOCore
import RTP
import SDP
import Seam
import Tracing

/// One open socket, from its upgrade to its end.
final class Connection {
    enum State {
        /// Its first message is awaited until then.
        case greeting(until: Instant)
        /// Its token is being verified.
        case verifying
        case member(Member)
        case closed
    }

    let id: ConnectionID
    let socket: any SignalingSocket
    let request: SignalingRequest
    var state: State
    /// What its client understands, and this server as well.
    var caps: Set<Capability> = []
    /// W3C `traceparent` of its hello.
    var traceparent: String?
    var isPaused = false
    let openedAt: Instant
    /// Of the session that it carries, from its hello on.
    var trace: TraceSpan?

    init(
        id: ConnectionID,
        socket: any SignalingSocket,
        request: SignalingRequest,
        state: State,
        at now: Instant
    ) {
        openedAt = now
        self.id = id
        self.socket = socket
        self.request = request
        self.state = state
    }
}

/// What waits for its turn to negotiate.
struct PendingOffer {
    enum Content {
        case offer(Offer, tracks: [OfferedTrack], generation: UInt32?)
        case fragment(ICECredentials)
    }
    /// What came of it: the answer, or our part of an ICE restart.
    struct Outcome: Sendable {
        /// Answer or fragment.
        var text: String
        var tracks: [TrackObject] = []
        var slots: [Answering.Slot] = []
        var revision: UInt64
    }

    var content: Content
    /// From here to the outcome.
    var trace: TraceSpan?
    var reply: (Result<Outcome, GatewayError>) -> Void
}

/// Somebody in a room: a socket's participant, a WHIP publisher, or a WHEP viewer that nobody sees.
final class Member {
    enum Front: Equatable {
        case socket
        case whip
        /// nil: everybody's publications.
        case whep(of: UserID?)
    }

    let id: ParticipantID
    /// The signaling session, and the first media session.
    let sid: SessionID
    let room: Room
    /// Moderators and renewed tokens change what it may do.
    var claims: Claims
    let front: Front
    let device: String?
    /// What it runs on, "web" for instance.
    let kind: String
    let joinedAt: Instant
    /// Milliseconds since 1970.
    let joinedAtWall: UInt64
    /// Until then it may stay.
    var leavesAt: Instant { didSet { nextLook = .zero } }
    /// Says who it is, at the price of a dictionary: made when there is something to say.
    var logger: Logger {
        var logger = plainLogger
        logger[metadataKey: "room"] = "\(room.id)"
        logger[metadataKey: "user"] = "\(claims.user)"
        logger[metadataKey: "sid"] = "\(sid)"
        if let address { logger[metadataKey: "address"] = "\(address)" }
        return logger
    }
    private let plainLogger: Logger
    /// Of a client without a socket, for logs.
    var address: String?

    var connection: Connection?
    var session: SignalSession
    /// It has had a welcome: what happens is queued for it, also while it has no socket.
    var isLive = false
    /// Of its session; without a socket, as with WHIP, it stays new.
    private(set) var stage = SessionStage.new
    /// Of the newest hello.
    var attempt: UInt64 = 0
    /// Names that its session had before the gateway was restarted: resume tokens bear them.
    var formerSessions: [SessionID] = []
    /// Of the newest resume token, and whether the client has shown that it has it.
    var ticketNumber: UInt64 = 0
    var isTicketConfirmed = true
    /// False for a session that was rebuilt and has not been resumed since.
    var isTicketKnown = true
    var resumes = 0
    /// The client was told that its stay ends.
    var isExpiryTold = false
    /// When its media session ended without its doing, and that its page closed it.
    var mediaLostAt: Instant? { didSet { nextLook = .zero } }
    var isPageClosed = false
    /// What of it the media plane has been given to keep: revision of its participant, generations of its link.
    var recorded: [UInt64] = []
    /// Of the newest record: the media plane keeps no older one.
    var recordRevision: UInt64 = 0
    /// What happened up to here was in its snapshot.
    var snapshotRevision: UInt64 = 0
    var detachedAt: Instant?
    var isDirty = false
    /// Before that nothing of it is due.
    var nextLook = Instant.zero
    /// What its session held when it was last accounted for.
    var heldBytes = 0

    var link: MediaLink?
    var links: UInt32 = 0
    var offers: [PendingOffer] = []
    var negotiating: PendingOffer?
    var wishing = Wishing()
    var sentWishes: Wishes?
    /// Video slots that `pc.need` asked for since the last offer.
    var askedSlots = 0
    var conduct = MemberConduct() { didSet { nextLook = .zero } }
    var trace = MemberTrace()
    var timeline = Timeline()
    /// What others were told last.
    var toldQuality: CoarseQuality?

    init(
        id: ParticipantID,
        sid: SessionID,
        room: Room,
        claims: Claims,
        front: Front,
        device: String?,
        kind: String,
        joinedAt: Instant,
        joinedAtWall: UInt64,
        leavesAt: Instant,
        criticalEvents: Int,
        logger: Logger
    ) {
        self.id = id
        self.sid = sid
        self.room = room
        self.claims = claims
        self.front = front
        self.device = device
        self.kind = kind
        self.joinedAt = joinedAt
        self.joinedAtWall = joinedAtWall
        self.leavesAt = leavesAt
        plainLogger = logger
        session = SignalSession(at: joinedAt, criticalEvents: criticalEvents)
    }

    /// The present socket has its welcome.
    var isWelcomed: Bool { stage == .attached }

    /// False where it cannot take this step: it stays where it is.
    func take(_ step: SessionStage.Step) -> Bool {
        guard let next = stage.after(step) else { return false }
        stage = next
        return true
    }

    /// How others see it, from what its socket and its media do.
    func connectionState(at now: Instant) -> ConnectionState {
        let isBroken = link?.transport == .disconnected || link?.transport == .failed
        guard front == .socket else { return isBroken ? .reconnecting : .active }
        let isConnected = link?.transport == .connected
        let hasSocket =
            connection != nil || detachedAt.map { now - $0 < Limits.Signaling.detachHidden } ?? false
        guard hasSocket else { return isConnected ? .mediaOnly : .reconnecting }
        return isConnected ? .active : isBroken ? .reconnecting : .signalOnly
    }
}

final class Room {
    var state: RoomState
    var members: [ParticipantID: Member] = [:]
    var speakers: Speakers?
    var levelsSentAt: Instant?
    var waitingLevels: AudioLevels?
    /// Whose quality changed since the others were told.
    var waitingQualities: Set<ParticipantID> = []
    var qualitiesSentAt: Instant?
    var relay = RelayLog()
    var people = EncodedPeople()
    var snapshot = SharedSnapshot()
    /// Users that were admitted, or came without waiting: they need not wait again.
    var admitted: Set<UserID> = []
    /// Sessions that were put out of it, oldest first.
    private(set) var expelled: [SessionID] = []
    /// Made on purpose: it stays while it is empty, until then.
    var isKept = false
    var emptySince: Instant?
    /// Of the settings that it was rebuilt with after a restart of the gateway.
    var restoredSettings: UInt64 = 0
    /// Of the changes that wait in its roster.
    var cause = RosterCause()
    /// Its totals; nil until somebody has joined.
    var conversation: Conversation?

    init(_ state: RoomState) { self.state = state }

    var id: RoomID { state.id }

    /// Those that nobody was told since the last time.
    func forgetTexts() {
        people.forgetUnused()
        snapshot = SharedSnapshot()
    }

    func noteExpelled(_ session: SessionID) {
        expelled.append(session)
        if expelled.count > Limits.Rooms.expelledOnRecord { expelled.removeFirst() }
        state.noteRecord()
    }
}
