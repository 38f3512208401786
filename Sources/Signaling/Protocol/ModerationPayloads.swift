// The `data` of what people in a room say about themselves and do to each other: profile, hand, reactions, moderation,
// lobby. Requests first, then results, then events. Must not know how any of it is done.
import RTP
import Seam

// MARK: Requests

/// What is absent stays as it is.
public struct UpdateMe: Codable, Sendable, Equatable {
    public var name: String?
    /// Merged into what is there; null removes a key.
    public var attrs: [String: String?]?
}

public struct UpdateRoom: Codable, Sendable, Equatable {
    /// Merged into what is there; null removes a key.
    public var meta: [String: String?]?
}

public struct RaiseHand: Codable, Sendable, Equatable {
    public var raised: Bool
}

public struct React: Codable, Sendable, Equatable {
    public var emoji: String
}

public struct RosterQuery: Codable, Sendable, Equatable {
    /// All that are named must hold.
    public struct Filter: Codable, Sendable, Equatable {
        public var uid: String?
        public var role: Role?
        /// Part of the name, without regard to case.
        public var name: String?
        public var hand: Bool?
        /// Publishes this.
        public var source: Source?
    }

    /// `next` of the page before.
    public var after: String?
    /// At most 500; 100 where it is missing.
    public var limit: Int?
    public var filter: Filter?
}

public struct ForceMute: Codable, Sendable, Equatable {
    /// One track.
    public var tid: String?
    /// What a participant publishes, all of it or one `source`.
    public var pid: String?
    public var source: Source?
    /// What everybody publishes who does not moderate: the `source`, microphones where it is missing.
    public var all: Bool?
    /// true: the publisher cannot unmute; false: it can again; absent: as it is.
    public var lockMuted: Bool?
}

public struct AskToUnmute: Codable, Sendable, Equatable {
    public var tid: String?
    public var pid: String?
    public var source: Source?
}

public struct Kick: Codable, Sendable, Equatable {
    public var pid: String
    public var reason: String?
    /// Keeps the user out of this room for so many seconds.
    public var banSec: Int64?
}

/// What of the grants changes; what is absent stays.
public struct GrantsPatch: Codable, Sendable, Equatable {
    public var publish: [Source]?
    public var subscribe: Bool?
    public var data: Bool?
    public var moderate: Bool?
    public var record: Bool?
}

public struct ChangeRole: Codable, Sendable, Equatable {
    public var pid: String
    public var role: Role?
    /// On top of what the role brings.
    public var grants: GrantsPatch?
}

public struct LockRoom: Codable, Sendable, Equatable {
    public var locked: Bool
    /// Whether those who come to the locked room may wait to be admitted; absent: as it is.
    public var lobby: Bool?
}

public struct StopShare: Codable, Sendable, Equatable {
    public var pid: String
}

public struct Spotlight: Codable, Sendable, Equatable {
    /// Absent or null: nobody.
    public var pid: String?
}

public struct Admit: Codable, Sendable, Equatable {
    public var pid: String
    public var admit: Bool
}

// MARK: Results

public struct ParticipantResult: Codable, Sendable, Equatable {
    public var participant: ParticipantObject
}

public struct RoomResult: Codable, Sendable, Equatable {
    public var room: RoomObject
}

public struct RosterPage: Codable, Sendable, Equatable {
    public var participants: [ParticipantObject]
    /// Absent on the last page.
    public var next: String?
    /// How many match the filter.
    public var total: Int
    public var rev: UInt64
}

public struct TracksResult: Codable, Sendable, Equatable {
    public var tracks: [TrackObject]
}

public struct StoppedTracks: Codable, Sendable, Equatable {
    public var pid: String
    public var tids: [String]
    public var rev: UInt64
}

public struct Removal: Codable, Sendable, Equatable {
    public var pid: String
    public var uid: String
    /// Milliseconds since 1970.
    public var bannedUntil: UInt64?
    public var rev: UInt64
}

public struct RoleResult: Codable, Sendable, Equatable {
    /// Absent where nobody sees the participant.
    public var participant: ParticipantObject?
    public var permissions: Permissions
}

public struct Admission: Codable, Sendable, Equatable {
    public var pid: String
    public var admitted: Bool
    /// As everybody sees it now, where it was admitted.
    public var participant: ParticipantObject?
    public var rev: UInt64
}

// MARK: Objects and events

/// What somebody may do now.
public struct Permissions: Codable, Sendable, Equatable {
    public var role: Role
    public var grants: Grants
    /// Own tracks that ended because they may not be published any more.
    public var ended: [String]?
    /// `pid` of who changed it; absent: the server.
    public var by: String?
    public var rev: UInt64
}

/// Somebody who waits to be admitted.
public struct WaitingObject: Codable, Sendable, Equatable {
    public var pid: String
    public var uid: String
    public var name: String?
    /// Milliseconds since 1970.
    public var since: UInt64
}

/// Asks the receiver to unmute; stays until its track of that source is muted or unmuted by its own request.
public struct UnmuteRequest: Codable, Sendable, Equatable {
    public var pid: String
    public var source: Source
    /// Absent where nothing is published from that source yet.
    public var tid: String?
    public var by: String?
    public var rev: UInt64
}

/// The receiver is asked to go to another room.
public struct RoomMove: Codable, Sendable, Equatable {
    public var room: String
    /// Opens that room, for a minute.
    public var token: String
    public var reason: String?
}

/// What a snapshot says beside participants and slots: the room itself, and what concerns its receiver alone.
public struct Standing: Codable, Sendable, Equatable {
    public var room: RoomObject
    public var me: Permissions
    /// The receiver waits to be admitted.
    public var waiting: Bool?
    /// Those who wait; only for who may admit them.
    public var lobby: [WaitingObject]?
    /// Not answered yet.
    public var unmute: [UnmuteRequest]?
    public var move: RoomMove?
}

public struct RoomUpdated: Codable, Sendable, Equatable {
    public var room: RoomObject
    public var by: String?
}

public struct Reaction: Codable, Sendable, Equatable {
    public var pid: String
    public var uid: String
    public var emoji: String
}

public struct ForceMuted: Codable, Sendable, Equatable {
    public var tid: String
    public var pid: String
    public var source: Source
    public var muted: Bool
    /// The receiver cannot unmute.
    public var locked: Bool
    public var by: String?
    public var rev: UInt64
}

public struct TracksStopped: Codable, Sendable, Equatable {
    public var tids: [String]
    public var by: String?
    public var rev: UInt64
}

public struct LobbyWaiting: Codable, Sendable, Equatable {
    public var waiting: WaitingObject
}

/// Somebody waits no more.
public struct LobbyResolved: Codable, Sendable, Equatable {
    public var pid: String
    public var uid: String
    public var by: String?
}
