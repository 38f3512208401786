// What happens in rooms, as values for the chat server: webhooks and `GET /v1/events` carry them as they are.
// Must not know who stores or sends them.
import RTP
import Seam

public enum RoomEventType: String, Codable, Sendable, CaseIterable {
    /// The first participant is there: a call begins.
    case roomStarted = "room.started"
    /// The last one has gone.
    case roomEnded = "room.ended"
    /// The first device of a user.
    case userJoined = "user.joined"
    /// The last device of a user.
    case userLeft = "user.left"
    case participantJoined = "participant.joined"
    /// Only of a participant whose `participant.joined` was told.
    case participantLeft = "participant.left"
    /// Of a participant that went before it was in.
    case participantAborted = "participant.aborted"
    case trackPublished = "track.published"
    case trackUnpublished = "track.unpublished"
    /// Follows `room.ended`.
    case callSummary = "call.summary"
}

/// One event. What does not apply to its type is absent.
public struct RoomEvent: Codable, Sendable, Equatable {
    /// `ev_…`, the same however often it is delivered.
    public var id: String
    public var type: RoomEventType
    public var room: String
    /// From `room.started` to `call.summary`; another one for the next call in this room.
    public var call: String?
    /// Milliseconds since 1970.
    public var time: UInt64
    /// Contiguous for each room; given by the log that stores the event.
    public var roomSeq: UInt64?

    public var uid: String?
    public var did: String?
    public var pid: String?
    public var name: String?
    public var role: Role?
    public var kind: String?
    /// Participants whose place this one takes; each of them gets its `participant.left` afterwards.
    public var replaces: [String]?
    /// Why somebody left or a call ended: a `LeaveReason`, or `lost` where nobody came back after a restart.
    public var reason: String?
    /// Of a participant's or user's stay, or of the call.
    public var durationMs: UInt64?
    public var track: Track?
    public var summary: CallSummary?
    /// W3C `traceparent` of what caused it.
    public var trace: String?

    public struct Track: Codable, Sendable, Equatable {
        public var tid: String
        public var kind: MediaKind
        public var source: Source
        public var name: String?

        public init(tid: String, kind: MediaKind, source: Source, name: String? = nil) {
            self.tid = tid
            self.kind = kind
            self.source = source
            self.name = name
        }
    }

    public init(id: String, type: RoomEventType, room: String, call: String?, time: UInt64) {
        self.id = id
        self.type = type
        self.room = room
        self.call = call
        self.time = time
    }
}

/// What a chat prints under "Call ended".
public struct CallSummary: Codable, Sendable, Equatable {
    public struct User: Codable, Sendable, Equatable {
        public var uid: String
        public var name: String?
        /// How often the user came with no other device there.
        public var visits: Int
        /// With at least one device, milliseconds.
        public var durationMs: UInt64
        /// Among those who spoke, milliseconds.
        public var talkMs: UInt64?
        /// How often a connection of the user was lost and came back.
        public var reconnects: Int?
        /// How well what the user sent and received arrived; absent: nothing was known.
        public var up: QualityDigest?
        public var down: QualityDigest?

        public init(
            uid: String,
            name: String?,
            visits: Int,
            durationMs: UInt64,
            talkMs: UInt64? = nil,
            reconnects: Int? = nil,
            up: QualityDigest? = nil,
            down: QualityDigest? = nil
        ) {
            self.uid = uid
            self.name = name
            self.visits = visits
            self.durationMs = durationMs
            self.talkMs = talkMs
            self.reconnects = reconnects
            self.up = up
            self.down = down
        }
    }

    /// Milliseconds since 1970.
    public var startedAt: UInt64
    public var durationMs: UInt64
    /// How many participants joined, in all.
    public var participants: Int
    public var peakParticipants: Int
    public var peakUsers: Int
    /// Longest stay first.
    public var users: [User]
    /// Users that did not fit into the list.
    public var otherUsers: Int

    public init(
        startedAt: UInt64,
        durationMs: UInt64,
        participants: Int,
        peakParticipants: Int,
        peakUsers: Int,
        users: [User],
        otherUsers: Int
    ) {
        self.startedAt = startedAt
        self.durationMs = durationMs
        self.participants = participants
        self.peakParticipants = peakParticipants
        self.peakUsers = peakUsers
        self.users = users
        self.otherUsers = otherUsers
    }
}

/// Where the gateway's events go.
public protocol EventSink: Sendable {
    /// Called on the gateway's loop in the order of what happened. Never waits and never fails: what cannot be kept
    /// is the sink's business to count.
    func append(_ event: RoomEvent)
}
