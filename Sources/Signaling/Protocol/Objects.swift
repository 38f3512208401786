// The objects of a room as clients see them: participants, tracks, slots. Each carries the room revision of its
// newest change. Must not know how they change.
import RTP
import Seam

/// How a participant is connected.
public enum ConnectionState: String, Codable, Sendable, CaseIterable {
    case active, reconnecting, mediaOnly, signalOnly
}

public struct ParticipantObject: Codable, Sendable, Equatable {
    public var pid: String
    public var uid: String
    public var did: String?
    public var name: String?
    public var role: Role
    /// What it runs on, "web" or "whip" for instance.
    public var kind: String
    public var attrs: [String: String]?
    public var conn: ConnectionState
    /// When the hand was raised, milliseconds since 1970; absent while it is down.
    public var hand: UInt64?
    public var tracks: [TrackObject]
    /// Milliseconds since 1970.
    public var joinedAt: UInt64
    public var rev: UInt64
}

/// One encoding of a track, or one spatial layer of an encoding that has several.
public struct LayerObject: Codable, Sendable, Equatable {
    public var rid: String?
    /// Spatial layer within the encoding, 0 the lowest and in simulcast.
    public var s: UInt8
    public var live: Bool
    public var width: UInt16
    public var height: UInt16
    /// 0: unknown.
    public var fps: UInt8
    public var kbps: UInt32

    /// The same to whoever looks at it: rates may differ, frame rates a little.
    func resembles(_ other: LayerObject) -> Bool {
        let distance = fps > other.fps ? fps - other.fps : other.fps - fps
        let sameRate = fps == other.fps || (fps > 0 && other.fps > 0 && distance <= max(2, other.fps / 5))
        return rid == other.rid && s == other.s && live == other.live && width == other.width
            && height == other.height && sameRate
    }
}

public struct TrackObject: Codable, Sendable, Equatable {
    public var tid: String
    public var pid: String
    /// The publisher's stable key.
    public var cid: String?
    /// The publisher's m-section; only in answers to the publisher.
    public var mid: String?
    public var kind: MediaKind
    public var source: Source
    public var name: String?
    public var muted: Bool
    /// `pid` of the moderator who muted it, or "server"; absent where the publisher did.
    public var mutedBy: String?
    /// The publisher cannot unmute it.
    public var locked: Bool?
    /// Known after the first packet.
    public var codec: CodecName?
    public var layers: [LayerObject]?
    public var rev: UInt64
}

/// A receive section and what it carries; `tid` and `pid` are absent while it is free.
public struct SlotObject: Codable, Sendable, Equatable {
    public struct Layer: Codable, Sendable, Equatable {
        /// Spatial layer or simulcast encoding, 0 the lowest.
        public var s: UInt8
        /// Highest temporal layer that is forwarded; absent for audio.
        public var t: UInt8?
        public var width: UInt16
        public var height: UInt16
    }

    public var mid: String
    public var kind: MediaKind
    public var tid: String?
    public var pid: String?
    /// Absent before the first frame.
    public var layer: Layer?
    public var paused: Bool
    public var reason: SlotState.Reason
    /// Where the reason is `bandwidth`: what the next better layer would need, with all else that is sent to this client.
    public var neededKbps: UInt32?
    /// And what there is.
    public var availableKbps: UInt32?
}

public struct RoomObject: Codable, Sendable, Equatable {
    public var id: String
    public var rev: UInt64
    /// Changes when revisions start anew.
    public var epoch: String
    public var meta: [String: String]?
    /// Nobody comes in but moderators and those who are in already.
    public var locked = false
    /// Who comes to the locked room may wait to be admitted.
    public var lobby = false
    /// `pid` of whom everybody should see large.
    public var spotlight: String?
    /// Fewer than the server's own bound.
    public var maxParticipants: Int?
}

public struct ErrorObject: Codable, Sendable, Equatable {
    public var code: ErrorCode
    public var message: String
    public var retryable: Bool
    public var retryAfterMs: Int?

    public init(_ error: GatewayError) {
        code = error.code
        message = error.message
        retryable = error.code.retryable || error.retryAfterMs != nil
        retryAfterMs = error.retryAfterMs
    }
}

/// A result that says nothing more than that it was done.
public struct Done: Codable, Sendable, Equatable {
    public var ok = true
    public init() {}
}
