// What happened to one participant, briefly: small values with times, bounded, also after it has left.
// No text of a client is in it. Must not know rooms, sockets or spans.
import RTP
import Seam

enum TimelineEvent: Sendable, Equatable {
    enum Front: String, Sendable { case socket, whip, whep }

    case joined(Front)
    case resumed(Welcome.Outcome)
    /// The socket is gone without a farewell.
    case detached
    /// The gateway closed the socket.
    case closed(CloseCode)
    case offered(isRestart: Bool)
    case answered
    case refused(ErrorCode)
    case transport(TransportState)
    case mediaClosed(CloseReason)
    /// The first packet of something that the participant publishes.
    case firstMedia(Source)
    /// The first frame towards the participant, in its nth video section.
    case firstFrame(slot: Int)
    case muted(Source, Bool)
    /// What a video section shows changed: nil layers, nothing.
    case layer(slot: Int, spatial: UInt8?, temporal: UInt8?, reason: SlotState.Reason)
    /// Waiting events were given up for a snapshot.
    case overflow
    case left(LeaveReason)

    /// Comes so often that it gives way first.
    var isRoutine: Bool {
        switch self {
        case .layer, .muted: true
        default: false
        }
    }
}

struct Timeline: Sendable {
    struct Entry: Sendable, Equatable {
        var at: Instant
        var event: TimelineEvent
    }

    private(set) var entries: [Entry] = []
    /// Entries that gave way to newer ones.
    private(set) var dropped = 0
    private let limit: Int

    init(limit: Int = Limits.Telemetry.timelineEntries) { self.limit = limit }

    mutating func note(_ event: TimelineEvent, at now: Instant) {
        if entries.count >= limit {
            entries.remove(at: entries.firstIndex { $0.event.isRoutine } ?? entries.startIndex)
            dropped += 1
        }
        entries.append(Entry(at: now, event: event))
    }
}

/// Timelines of those who have left, the oldest go first.
struct TimelineArchive: Sendable {
    struct Ended: Sendable {
        var room: RoomID
        var report: TimelineReport.Session
        var participant: ParticipantID
    }

    private var ended = Fifo<Ended>()
    private let limit: Int

    init(limit: Int = Limits.Telemetry.endedTimelines) { self.limit = limit }

    mutating func keep(_ timeline: Ended) {
        ended.append(timeline)
        while ended.count > limit { _ = ended.popFirst() }
    }

    /// Oldest first: the same participant may have been here several times.
    func timelines(of participant: ParticipantID, in room: RoomID) -> [TimelineReport.Session] {
        ended.all.filter { $0.participant == participant && $0.room == room }.map(\.report)
    }
}

/// The JSON of `GET /v1/rooms/{room}/participants/{pid}/timeline`.
public struct TimelineReport: Codable, Sendable, Equatable {
    public struct Session: Codable, Sendable, Equatable {
        public var uid: String
        /// Milliseconds since 1970.
        public var joinedAt: UInt64
        /// Not there any more.
        public var ended: Bool
        public var resumes: Int
        public var entries: [Entry]
        /// Entries that gave way to newer ones.
        public var dropped: Int
    }

    public struct Entry: Codable, Sendable, Equatable {
        /// Microseconds since `joinedAt`.
        public var t: Int64
        public var type: String
        public var front: String?
        public var outcome: String?
        public var code: UInt16?
        public var error: String?
        public var restart: Bool?
        public var state: String?
        public var source: String?
        public var muted: Bool?
        public var slot: Int?
        public var s: UInt8?
        /// Temporal layer.
        public var tl: UInt8?
        public var reason: String?

        init(_ type: String, _ t: Int64) {
            self.type = type
            self.t = t
        }
    }

    public var room: String
    public var pid: String
    /// Oldest first; the last one may still run.
    public var sessions: [Session]
}

extension TimelineReport.Entry {
    init(_ entry: Timeline.Entry, since start: Instant) {
        let t = (entry.at - start).microseconds
        switch entry.event {
        case .joined(let front):
            self.init("joined", t)
            self.front = front.rawValue
        case .resumed(let outcome):
            self.init("resumed", t)
            self.outcome = outcome.rawValue
        case .detached: self.init("detached", t)
        case .closed(let code):
            self.init("closed", t)
            self.code = code.rawValue
        case .offered(let isRestart):
            self.init("offer", t)
            restart = isRestart ? true : nil
        case .answered: self.init("answer", t)
        case .refused(let code):
            self.init("refused", t)
            error = code.rawValue
        case .transport(let state):
            self.init("transport", t)
            self.state = state.rawValue
        case .mediaClosed(let reason):
            self.init("mediaClosed", t)
            self.reason = reason.rawValue
        case .firstMedia(let source):
            self.init("firstMedia", t)
            self.source = source.rawValue
        case .firstFrame(let slot):
            self.init("firstFrame", t)
            self.slot = slot
        case .muted(let source, let isMuted):
            self.init("mute", t)
            self.source = source.rawValue
            muted = isMuted
        case .layer(let slot, let spatial, let temporal, let reason):
            self.init("layer", t)
            self.slot = slot
            s = spatial
            tl = temporal
            self.reason = reason.rawValue
        case .overflow: self.init("overflow", t)
        case .left(let reason):
            self.init("left", t)
            self.reason = reason.rawValue
        }
    }
}
