// Bodies of the REST API that are not messages of the protocol, too. Must not know HTTP.
import RTP
import Seam

public struct RoomSummary: Codable, Sendable, Equatable {
    public var room: RoomObject
    /// In the roster.
    public var participants: Int
    public var users: Int
    /// In the lobby.
    public var waiting: Int
    public var tracks: Int
}

public struct RoomList: Codable, Sendable, Equatable {
    public var rooms: [RoomSummary]
    /// For `after`; absent on the last page.
    public var next: String?
}

public struct UserObject: Codable, Sendable, Equatable {
    public struct Device: Codable, Sendable, Equatable {
        public var pid: String
        public var did: String?
        public var kind: String
        public var conn: ConnectionState
        /// Milliseconds since 1970.
        public var since: UInt64
    }

    public var uid: String
    public var name: String?
    /// The best of its devices.
    public var conn: ConnectionState
    public var devices: [Device]
}

public struct UserList: Codable, Sendable, Equatable {
    public var users: [UserObject]
    public var rev: UInt64
}

/// What is absent stays as it is.
public struct PatchParticipant: Codable, Sendable, Equatable {
    public var name: String?
    /// Merged into what is there; null removes a key.
    public var attrs: [String: String?]?
    public var role: Role?
    public var grants: GrantsPatch?
    public var hand: Bool?
    /// true lets in who waits, false turns it away.
    public var admit: Bool?
}

public struct MuteBody: Codable, Sendable, Equatable {
    /// false asks the publisher to unmute: nobody is unmuted by others.
    public var muted: Bool
    /// The publisher cannot unmute.
    public var lockMuted: Bool?
}

public struct MoveBody: Codable, Sendable, Equatable {
    /// The other room.
    public var to: String
    /// Absent: everybody.
    public var pids: [String]?
    public var uids: [String]?
    public var reason: String?
}

public struct MoveResult: Codable, Sendable, Equatable {
    /// Who was asked to go; they have 10 s.
    public var moved: [String]
}

public struct BanObject: Codable, Sendable, Equatable {
    public var uid: String
    /// Milliseconds from now.
    public var endsInMs: Int64
}

public struct BanPage: Codable, Sendable, Equatable {
    public var bans: [BanObject]
}

public struct MintToken: Codable, Sendable, Equatable {
    /// Everything is denied unless it is said.
    public struct Rights: Codable, Sendable, Equatable {
        public var publish: [Source]?
        public var subscribe: Bool?
        public var data: Bool?
        public var hidden: Bool?
        public var moderate: Bool?
        public var record: Bool?
    }

    public var room: String
    public var user: String
    public var name: String?
    public var role: Role?
    public var grants: Rights?
    public var did: String?
    public var attrs: [String: String]?
    public var lobby: Bool?
    public var dup: DuplicatePolicy?
    /// How long it opens the room, seconds; 10 minutes where it is missing.
    public var ttlSec: Int64?
    /// How long the bearer may stay, seconds.
    public var maxSession: Int64?
}

public struct MintedToken: Codable, Sendable, Equatable {
    public var token: String
    public var room: String
    public var user: String
    public var expiresInSec: Int64
}

public struct DrainBody: Codable, Sendable, Equatable {
    /// false takes it back.
    public var on: Bool?
    /// Tells all clients to connect again, spread over so many milliseconds; absent: they stay.
    public var spreadMs: Int?
}

public struct DrainResult: Codable, Sendable, Equatable {
    public var draining: Bool
    public var connections: Int
    public var participants: Int
}
