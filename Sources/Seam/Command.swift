// What the gateway orders. Values only: no reference, no closure, nothing that knows SDP, names or roles.
import RTP

public enum Command: Codable, Sendable, Equatable {
    /// Makes a session; answered by `Event.sessionOpened` or `Event.sessionRefused`.
    case open(OpenSession)
    /// The whole negotiated media of a session; replaces what was there. Answered by `Event.configured`.
    case configure(SessionID, SessionMedia)
    /// New ICE credentials on both sides, same keys, same media (RFC 8445 §9). Answered by `Event.iceRestarted`.
    case restartICE(SessionID, RemoteTransport)
    /// What this session wants to receive; replaces what was wanted.
    case subscribe(SessionID, Wishes)
    /// The publisher muted or unmuted; muted media is not forwarded.
    case mute(PublicationID, Bool)
    /// DTLS close, then the session and its publications are gone. Answered by `Event.sessionClosed`.
    case close(SessionID)
    /// What only the gateway knows, kept with the session for a gateway that restarts: at most
    /// `Limits.Media.attachmentBytes` of UTF-8. An older revision than the one that is there does nothing; an empty text removes it.
    case attach(SessionID, key: String, revision: UInt64, text: String)
    /// Asks for `Event.state`.
    case reportState
}

public struct OpenSession: Codable, Sendable, Equatable {
    public var session: SessionID
    public var room: RoomID
    public var participant: ParticipantID
    public var user: UserID
    public var remote: RemoteTransport
    /// Whether this session also receives what the same user publishes (the echo rule says no).
    public var receivesOwnUser: Bool

    public init(
        session: SessionID,
        room: RoomID,
        participant: ParticipantID,
        user: UserID,
        remote: RemoteTransport,
        receivesOwnUser: Bool = false
    ) {
        self.session = session
        self.room = room
        self.participant = participant
        self.user = user
        self.remote = remote
        self.receivesOwnUser = receivesOwnUser
    }
}

public enum Source: String, Codable, Sendable, Hashable, CaseIterable {
    case camera, mic, screen, screenAudio
}

/// An m-section with what it means to the room.
public struct SectionMedia: Codable, Sendable, Equatable {
    public var section: MediaSection
    /// Set where the peer sends: the publication it feeds.
    public var publication: PublicationID?
    public var source: Source?
    public var muted: Bool
    /// What all encodings together may send, payload bits per second; nil: no maximum.
    public var maxBitsPerSecond: UInt32?

    public init(
        section: MediaSection,
        publication: PublicationID? = nil,
        source: Source? = nil,
        muted: Bool = false,
        maxBitsPerSecond: UInt32? = nil
    ) {
        self.section = section
        self.publication = publication
        self.source = source
        self.muted = muted
        self.maxBitsPerSecond = maxBitsPerSecond
    }
}

public struct SessionMedia: Codable, Sendable, Equatable {
    /// Counts the offers of a session; `Event.configured` repeats it.
    public var generation: UInt32
    public var sections: [SectionMedia]
    /// The peer sends and accepts transport-wide congestion control feedback.
    public var cname: String

    public init(generation: UInt32, sections: [SectionMedia], cname: String) {
        self.generation = generation
        self.sections = sections
        self.cname = cname
    }
}

/// What a subscriber wants; from `sub.update` and `view.update`, or from the path of a WHEP session.
public struct Wishes: Codable, Sendable, Equatable {
    public enum Scope: Codable, Sendable, Equatable {
        /// Everything in the room that `overrides` does not switch off.
        case all
        /// Only what `overrides` switches on.
        case none
        /// Only what this participant publishes.
        case participant(ParticipantID)
    }

    public struct Tile: Codable, Sendable, Equatable {
        /// CSS pixels times the device's pixel ratio.
        public var width: UInt16
        public var height: UInt16
        public var visible: Bool
        /// 0–255, higher first.
        public var priority: UInt8
        /// Frames per second, 0: no wish.
        public var maxFrameRate: UInt8

        public init(
            width: UInt16,
            height: UInt16,
            visible: Bool = true,
            priority: UInt8 = 100,
            maxFrameRate: UInt8 = 0
        ) {
            self.width = width
            self.height = height
            self.visible = visible
            self.priority = priority
            self.maxFrameRate = maxFrameRate
        }
    }

    public var scope: Scope
    public var overrides: [PublicationID: Bool]
    /// A publication without a tile is shown at its best layer.
    public var tiles: [PublicationID: Tile]

    public init(
        scope: Scope = .all,
        overrides: [PublicationID: Bool] = [:],
        tiles: [PublicationID: Tile] = [:]
    ) {
        self.scope = scope
        self.overrides = overrides
        self.tiles = tiles
    }
}
