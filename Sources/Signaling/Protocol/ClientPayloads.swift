// The `data` of what clients send, and of the responses. Unknown fields are ignored; lengths are checked by `Checked`.
import RTP
import Seam

public struct Hello: Codable, Sendable, Equatable {
    public struct User: Codable, Sendable, Equatable {
        public var uid: String
        public var name: String?
    }
    public struct Device: Codable, Sendable, Equatable {
        /// Stable per tab or installation: a second join with the same one replaces the first.
        public var did: String?
        public var kind: String?
        public var name: String?
    }
    public struct Resume: Codable, Sendable, Equatable {
        /// The newest `welcome.resume.token`.
        public var token: String
        /// Raised with each hello: the highest one has the session.
        public var attempt: UInt64
        /// The newest event that was applied.
        public var lastSeq: UInt64
    }
    public struct Client: Codable, Sendable, Equatable {
        public var sdk: String?
        public var ver: String?
        public var ua: String?
        public var os: String?
        public var net: String?
    }

    public var token: String?
    /// To come back to a session. With a `token` as well, a resume that is refused becomes a new join.
    public var resume: Resume?
    /// Only in development, instead of a token.
    public var user: User?
    public var device: Device?
    public var client: Client?
    /// What the client understands beyond the minor version, "batch" for instance.
    public var caps: [String]?
    /// The first offer may ride along.
    public var pc: Offering?
}

public struct Acknowledge: Codable, Sendable, Equatable {
    /// An alternative to the envelope's `ack`.
    public var seq: UInt64?
}

public struct Ping: Codable, Sendable, Equatable {
    /// The client's own time, sent back as it is.
    public var t: Double?
    public var rttMs: Double?
}

public struct Pong: Codable, Sendable, Equatable {
    public var t: Double?
    /// Milliseconds since 1970.
    public var serverTime: UInt64
}

public struct Leave: Codable, Sendable, Equatable {
    public var reason: String?
}

/// What an m-section of the offer means to the room.
public struct OfferedTrack: Codable, Sendable, Equatable {
    public var mid: String
    public var cid: String
    public var kind: MediaKind?
    public var source: Source?
    public var name: String?
    public var muted: Bool?
    /// The video codec that it is to be sent with, before the server's own preference: "vp9" for instance. One that
    /// the server does not accept, or the offer does not have, changes nothing.
    public var codec: String?
}

public struct Offering: Codable, Sendable, Equatable {
    /// Counts the client's PeerConnections: another number is another PeerConnection.
    public var gen: UInt32?
    public var offerId: UInt64?
    /// SDP text, in `sdp` or in `offer`.
    public var sdp: String?
    public var offer: String?
    public var tracks: [OfferedTrack]?
    public var iceRestart: Bool?

    public var text: String? { sdp ?? offer }
}

/// Response to `pc.offer`, and `welcome.pc`.
public struct Answering: Codable, Sendable, Equatable {
    public struct Slot: Codable, Sendable, Equatable {
        public var mid: String
        public var kind: MediaKind
    }

    public var gen: UInt32?
    public var offerId: UInt64?
    public var answer: String?
    public var tracks: [TrackObject]
    public var slots: [Slot]
    /// Only in `welcome.pc`: the offer was refused, the session is open all the same.
    public var error: ErrorObject?
}

public struct TrickledCandidate: Codable, Sendable, Equatable {
    public var gen: UInt32?
    public var mid: String?
    public var candidate: String?
}

public struct PublishTrack: Codable, Sendable, Equatable {
    public var cid: String
    /// The m-section that carries it, if the last offer has one to spare.
    public var mid: String?
    public var kind: MediaKind
    public var source: Source?
    public var name: String?
    public var muted: Bool?
}

public struct TrackSelector: Codable, Sendable, Equatable {
    public var tid: String?
    public var cid: String?
}

public struct MuteTrack: Codable, Sendable, Equatable {
    public var tid: String?
    public var cid: String?
    public var muted: Bool
}

public struct TrackResult: Codable, Sendable, Equatable {
    public var track: TrackObject
}

public struct Unpublished: Codable, Sendable, Equatable {
    public var tid: String
}

public struct UpdateSubscriptions: Codable, Sendable, Equatable {
    /// A track by `tid`, or what a participant publishes by `pid`, all of it or one `source`.
    public struct Rule: Codable, Sendable, Equatable {
        public var tid: String?
        public var pid: String?
        public var source: Source?
        public var on: Bool
    }

    public var set: [Rule]?
    /// Whether tracks without a rule are received.
    public var auto: Bool?
}

public struct SubscriptionResults: Codable, Sendable, Equatable {
    public struct Item: Codable, Sendable, Equatable {
        public var ok: Bool
        public var error: ErrorObject?
    }

    /// In the order of `set`.
    public var results: [Item]
    public var auto: Bool
}

public struct UpdateView: Codable, Sendable, Equatable {
    /// Without `tid`: the participant's camera, or its `source`.
    public struct Tile: Codable, Sendable, Equatable {
        public var tid: String?
        public var pid: String?
        public var source: Source?
        /// Device pixels.
        public var w: Double?
        public var h: Double?
        public var visible: Bool?
        /// 0–255, higher first.
        public var priority: Int?
        /// Frames per second that are enough; 0 or absent: as many as there are.
        public var maxFps: Double?
    }

    public var tiles: [Tile]
}

/// What the client wants, whatever became of its session.
public struct Synchronize: Codable, Sendable, Equatable {
    public struct Desired: Codable, Sendable, Equatable {
        /// All tracks of the client; those that are not listed end.
        public var publications: [PublishTrack]?
        /// All rules; those that are not listed are forgotten.
        public var subscriptions: UpdateSubscriptions?
        public var view: UpdateView?
        public var hand: Bool?
        /// All attributes; those that are not listed are removed.
        public var attrs: [String: String]?
    }

    public var desired: Desired
}

public struct Synchronized: Codable, Sendable, Equatable {
    public var tracks: [TrackObject]
    /// `cid`s of tracks that have no m-section: the next offer has to carry them.
    public var missing: [String]
}

public struct RefreshToken: Codable, Sendable, Equatable {
    public var token: String
}

public struct Refreshed: Codable, Sendable, Equatable {
    /// How long the participant may stay from now on, milliseconds.
    public var stayMs: Int64
    public var role: Role
    public var grants: Grants
}
