// The `data` of what the server sends by itself.
import RTP
import Seam

public struct Welcome: Codable, Sendable, Equatable {
    public enum Outcome: String, Codable, Sendable, CaseIterable {
        /// A new session: a snapshot follows.
        case fresh
        /// What was missed follows, then `replayed`.
        case replay
        /// A `delta` follows: what changed in the room.
        case delta
        /// A snapshot follows; media and session are as they were.
        case snapshot
        /// The session is gone and another one was made: a new PeerConnection is needed. A snapshot follows.
        case rejoin
    }
    public struct Resume: Codable, Sendable, Equatable {
        /// Opaque; another one with each welcome.
        public var token: String
        /// How long the session waits for it without socket and media, milliseconds.
        public var windowMs: Int64
    }
    public struct Bounds: Codable, Sendable, Equatable {
        /// Largest `hello`, bytes: an offer that is larger comes after it.
        public var hello: Int
        /// Largest client message, bytes.
        public var message: Int
        /// The same where it carries SDP, bytes.
        public var offer: Int
        /// Requests that may wait for a response.
        public var inflight: Int
        /// Messages per second in the long run.
        public var rate: Int
        /// What publications may send. What is far above for long is not forwarded.
        public var bitrates: SourceBitrates?
    }

    public var outcome: Outcome
    public var sid: String
    public var pid: String
    public var uid: String
    public var resume: Resume?
    /// The next event has the number after this one; with `replay` the client's own.
    public var seq: UInt64
    /// With `replay`: up to here numbers may be missing, of states that newer ones have replaced.
    public var upTo: UInt64?
    /// The highest request id that was executed in this session.
    public var ackedId: UInt64
    /// The server has just restarted: whoever is missing may still come back for so long, milliseconds.
    public var settleMs: Int64?
    public var room: RoomObject
    public var role: Role
    public var grants: Grants
    public var limits: Bounds
    /// Milliseconds between heartbeats.
    public var hb: Int64
    /// Those of `hello.caps` that the server serves on this socket; absent: none.
    public var caps: [Capability]?
    /// The participant waits to be admitted: it hears nothing of the room, and may not send media yet.
    public var waiting: Bool?
    /// Answer to `hello.pc`.
    public var pc: Answering?
    /// Milliseconds since 1970.
    public var serverTime: UInt64
}

public struct Snapshot: Codable, Sendable, Equatable {
    /// From 1.
    public var page: Int
    public var of: Int
    public var rev: UInt64
    public var participants: [ParticipantObject]
    /// The client's own receive sections; in the first page.
    public var slots: [SlotObject]?
    public var speakers: Speakers?
    /// Of everybody about whom it is known; on the first page.
    public var qualities: [ParticipantQuality]?
    /// On the first page.
    public var standing: Standing?
    /// What of the relay follows and what is lost; on the first page, absent where nothing was missed.
    public var relay: RelayReport?
}

/// What changed in the room while the client was away.
public struct Delta: Codable, Sendable, Equatable {
    /// From 1.
    public var page: Int
    public var of: Int
    public var fromRev: UInt64
    public var rev: UInt64
    /// Whoever joined or changed.
    public var changed: [ParticipantObject]
    public var left: [RosterChange.Left]
    /// The client's own receive sections; in the first page.
    public var slots: [SlotObject]?
    public var speakers: Speakers?
    /// Of everybody about whom it is known; on the first page.
    public var qualities: [ParticipantQuality]?
    /// On the first page.
    public var standing: Standing?
    /// As in a snapshot.
    public var relay: RelayReport?
}

/// Ends a replay: from here on no number is missing.
public struct Replayed: Codable, Sendable, Equatable {
    public var upTo: UInt64
}

/// The stay ends soon unless `auth.refresh` brings another token.
public struct Expiring: Codable, Sendable, Equatable {
    public var inMs: Int64
}

public struct RosterChange: Codable, Sendable, Equatable {
    public struct Left: Codable, Sendable, Equatable {
        public var pid: String
        public var reason: LeaveReason
        public var rev: UInt64
    }

    public var joined: [ParticipantObject]
    public var updated: [ParticipantObject]
    public var left: [Left]
}

public enum LeaveReason: String, Codable, Sendable, CaseIterable, OpenEnumeration {
    /// The participant said so.
    case left
    /// Nothing was heard from it any more.
    case timeout
    /// The same device joined again, or the token said that there is one session per user.
    case replaced
    /// Its token's time in the room is over.
    case expired
    case kicked
    /// The room was closed, or it was moved to another one.
    case closed
    /// It did not read what was sent to it, or sent what cannot be understood.
    case `protocol`
    /// Its only transport, a WHIP session, ended.
    case media
    case shutdown
}

public struct SlotsNeeded: Codable, Sendable, Equatable {
    public enum Reason: String, Codable, Sendable, CaseIterable, OpenEnumeration { case publications }

    /// How many receive sections the next offer should have.
    public var audio: Int
    public var video: Int
    public var reason: Reason
}

public struct RestartNeeded: Codable, Sendable, Equatable {
    public enum Mode: String, Codable, Sendable, CaseIterable {
        /// `restartIce()` on the same PeerConnection.
        case ice
        /// The server has forgotten the PeerConnection: a new one, with another `gen`.
        case new
    }

    public var mode: Mode
    public var reason: String
}

/// Who caused a change: other devices of the same user recognise their own doing.
public struct Origin: Codable, Sendable, Equatable {
    public var pid: String
    /// Request id of the session that caused it.
    public var id: UInt64?
}

public struct TrackMuted: Codable, Sendable, Equatable {
    public var tid: String
    public var pid: String
    public var muted: Bool
    /// `pid` of the moderator who did it, or "server".
    public var by: String?
    /// The publisher cannot unmute it.
    public var locked: Bool?
    public var rev: UInt64
    public var origin: Origin?
}

public struct TrackLayers: Codable, Sendable, Equatable {
    public var tid: String
    public var pid: String
    public var codec: CodecName?
    public var layers: [LayerObject]
}

/// Which encodings of a track anybody wants to receive: the publisher sends these and no others.
public struct TrackDemand: Codable, Sendable, Equatable {
    public struct Layer: Codable, Sendable, Equatable {
        /// Absent where the track has one encoding without a name.
        public var rid: String?
        public var active: Bool
        /// Size of the largest tile that it is for, device pixels; absent: no bound.
        public var maxW: UInt16?
        public var maxH: UInt16?
        /// Frames per second that anybody asks for; absent: no bound.
        public var maxFps: UInt16?
    }

    public var tid: String
    /// All encodings, lowest first.
    public var layers: [Layer]
}

public struct Speakers: Codable, Sendable, Equatable {
    /// `pid`, absent while nobody has spoken.
    public var dominant: String?
    /// Those who speak now, loudest first.
    public var active: [AudioLevels.Level]
}

public struct AudioLevels: Codable, Sendable, Equatable {
    public struct Level: Codable, Sendable, Equatable {
        public var pid: String
        /// 0 (silent) to 127.
        public var level: UInt8
    }

    public var active: [Level]
}

public struct ConnectionChange: Codable, Sendable, Equatable {
    public var pid: String
    public var conn: ConnectionState
}

public struct Heartbeat: Codable, Sendable, Equatable {
    /// The newest event that was sent: a larger number than the last one seen is a loss.
    public var seq: UInt64
    public var rev: UInt64
    /// Ephemeral events dropped since the session began.
    public var shed: UInt64
    /// Events that wait for this session.
    public var lag: Int
}

public struct Bye: Codable, Sendable, Equatable {
    public var code: UInt16
    public var reason: String
    public var action: ByeAction
    /// Wait that long before connecting again, milliseconds.
    public var afterMs: Int?
    /// Spread the reconnects over so many milliseconds.
    public var spreadMs: Int?
}

/// `data` of an `error` message.
public struct OutgoingError: Codable, Sendable, Equatable {
    public var error: ErrorObject
    /// The type of the refused message, if it could be read.
    public var of: String?
}
