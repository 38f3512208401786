// What the media plane reports. The gateway expands these to participants; nothing here is addressed to a socket.
import RTP

public enum Event: Codable, Sendable, Equatable {
    case sessionOpened(SessionID, LocalTransport)
    case sessionRefused(SessionID, Refusal)
    case configured(SessionID, generation: UInt32)
    case iceRestarted(SessionID, LocalTransport)
    case transport(SessionID, TransportState)
    case sessionClosed(SessionID, CloseReason)
    /// Newest wins per publication.
    case publication(PublicationState)
    /// All slots of a session that changed; newest wins per mid.
    case slots(SessionID, [SlotState])
    /// Which encodings the room wants of a publisher; newest wins per publication.
    case demand(PublicationDemand)
    /// Newest wins per room.
    case speakers(SpeakerReport)
    /// Newest wins per session; when it changed, at most once a second, and every ten seconds.
    case quality(SessionID, SessionQuality)
    /// One worker's counters, about once a second.
    case counters(WorkerCounters)
    /// Answers `Command.reportState`, and begins each connection of two processes. Afterwards publications, slots,
    /// demands, speakers and qualities are reported anew.
    case state(MediaState)
}

public enum Refusal: String, Codable, Sendable {
    /// The server has as many sessions as its limits allow.
    case full
    /// The peer offered what cannot work: no usable fingerprint, ICE-lite on both ends.
    case unusable
    case duplicate
}

public enum TransportState: String, Codable, Sendable, CaseIterable {
    /// No authenticated check yet.
    case new
    /// ICE has a path, DTLS runs.
    case connecting
    case connected
    /// No authenticated check for 10 s; media still flows if it can.
    case disconnected
    case failed
}

public enum CloseReason: String, Codable, Sendable {
    case requested
    /// DTLS close_notify from the peer.
    case peerClosed
    /// No consent for the whole grace (RFC 7675).
    case timeout
    case handshakeFailed
    case fingerprintMismatch
    case shutdown
}

/// What a publication sends at the moment.
public struct PublicationState: Codable, Sendable, Equatable {
    /// One encoding, or one spatial layer of an encoding that has several (SVC). Lowest first.
    public struct Layer: Codable, Sendable, Equatable {
        public var rid: String?
        /// 0 in simulcast.
        public var spatialLayer: UInt8
        public var live: Bool
        public var width: UInt16
        public var height: UInt16
        /// With the spatial layers below it.
        public var bitsPerSecond: UInt32
        /// 0: unknown.
        public var framesPerSecond: UInt8

        public init(
            rid: String?,
            spatialLayer: UInt8 = 0,
            live: Bool,
            width: UInt16,
            height: UInt16,
            bitsPerSecond: UInt32,
            framesPerSecond: UInt8 = 0
        ) {
            self.rid = rid
            self.spatialLayer = spatialLayer
            self.live = live
            self.width = width
            self.height = height
            self.bitsPerSecond = bitsPerSecond
            self.framesPerSecond = framesPerSecond
        }
    }

    public var publication: PublicationID
    public var room: RoomID
    /// nil until the first packet.
    public var codec: CodecName?
    public var layers: [Layer]

    public init(publication: PublicationID, room: RoomID, codec: CodecName?, layers: [Layer]) {
        self.publication = publication
        self.room = room
        self.codec = codec
        self.layers = layers
    }
}

/// Which encodings of a publication anybody wants. The publisher switches the others off (dynacast) and these on.
public struct PublicationDemand: Codable, Sendable, Equatable {
    public struct Encoding: Codable, Sendable, Equatable {
        public var rid: String?
        public var active: Bool
        /// The largest tile that this encoding is for, pixels; 0: no bound.
        public var maxWidth: UInt16
        public var maxHeight: UInt16
        /// 0: no bound.
        public var maxFrameRate: UInt8

        public init(
            rid: String?,
            active: Bool,
            maxWidth: UInt16 = 0,
            maxHeight: UInt16 = 0,
            maxFrameRate: UInt8 = 0
        ) {
            self.rid = rid
            self.active = active
            self.maxWidth = maxWidth
            self.maxHeight = maxHeight
            self.maxFrameRate = maxFrameRate
        }
    }

    public var publication: PublicationID
    public var room: RoomID
    /// All encodings, lowest first.
    public var encodings: [Encoding]

    public init(publication: PublicationID, room: RoomID, encodings: [Encoding]) {
        self.publication = publication
        self.room = room
        self.encodings = encodings
    }
}

/// What a slot shows, and why no more.
public struct SlotState: Codable, Sendable, Equatable {
    public enum Reason: String, Codable, Sendable, CaseIterable {
        case none, bandwidth, viewport, publisher, keyframe, hidden, unsubscribed, muted, codec
    }

    public var mid: String
    public var kind: MediaKind
    /// nil: the slot is free.
    public var publication: PublicationID?
    public var participant: ParticipantID?
    /// The layer that is forwarded, 0 the lowest; nil before the first frame.
    public var spatialLayer: UInt8?
    /// The highest temporal layer that is forwarded; nil before the first frame and for audio.
    public var temporalLayer: UInt8?
    public var width: UInt16
    public var height: UInt16
    public var paused: Bool
    public var reason: Reason
    /// Where the reason is `bandwidth`, else 0: what the next better layer would need, with all else that is sent to
    /// this session, and what there is for it.
    public var neededBitsPerSecond: UInt32
    public var availableBitsPerSecond: UInt32

    public init(
        mid: String,
        kind: MediaKind,
        publication: PublicationID? = nil,
        participant: ParticipantID? = nil,
        spatialLayer: UInt8? = nil,
        temporalLayer: UInt8? = nil,
        width: UInt16 = 0,
        height: UInt16 = 0,
        paused: Bool = false,
        reason: Reason = .none,
        neededBitsPerSecond: UInt32 = 0,
        availableBitsPerSecond: UInt32 = 0
    ) {
        self.mid = mid
        self.kind = kind
        self.publication = publication
        self.participant = participant
        self.spatialLayer = spatialLayer
        self.temporalLayer = temporalLayer
        self.width = width
        self.height = height
        self.paused = paused
        self.reason = reason
        self.neededBitsPerSecond = neededBitsPerSecond
        self.availableBitsPerSecond = availableBitsPerSecond
    }
}

public struct SpeakerReport: Codable, Sendable, Equatable {
    public struct Level: Codable, Sendable, Equatable {
        public var participant: ParticipantID
        /// 0 (silent) to 127, that is 127 − the −dBov of RFC 6464.
        public var level: UInt8

        public init(participant: ParticipantID, level: UInt8) {
            self.participant = participant
            self.level = level
        }
    }

    public var room: RoomID
    public var dominant: ParticipantID?
    /// Those who speak now, loudest first.
    public var active: [Level]

    public init(room: RoomID, dominant: ParticipantID?, active: [Level]) {
        self.room = room
        self.dominant = dominant
        self.active = active
    }
}

/// Monotonic counts of one worker, and gauges of what it holds.
public struct WorkerCounters: Codable, Sendable, Equatable {
    public var worker: Int
    /// By metric name without the `sfu_` prefix and `_total` suffix.
    public var counts: [String: UInt64]
    /// By `DropReason`.
    public var drops: [String: UInt64]
    public var gauges: [String: Int64]

    public init(
        worker: Int,
        counts: [String: UInt64] = [:],
        drops: [String: UInt64] = [:],
        gauges: [String: Int64] = [:]
    ) {
        self.worker = worker
        self.counts = counts
        self.drops = drops
        self.gauges = gauges
    }
}

/// Everything the media plane knows; a gateway that starts rebuilds its rooms from it.
public struct MediaState: Codable, Sendable, Equatable {
    public struct Session: Codable, Sendable, Equatable {
        /// As it was opened; `remote` as of the last ICE restart.
        public var open: OpenSession
        /// Our side, as of the last ICE restart.
        public var local: LocalTransport?
        /// With what is muted now.
        public var media: SessionMedia?
        public var wishes: Wishes
        public var transport: TransportState
        /// What it publishes, as it is now: no `Event.publication` says it again.
        public var publications: [PublicationState]
        /// By key, what `Command.attach` left.
        public var attachments: [String: String]
        /// By key, how new that is; a key without text was emptied at this revision.
        public var revisions: [String: UInt64]

        public init(
            open: OpenSession,
            local: LocalTransport? = nil,
            media: SessionMedia?,
            wishes: Wishes = Wishes(),
            transport: TransportState,
            publications: [PublicationState] = [],
            attachments: [String: String],
            revisions: [String: UInt64] = [:]
        ) {
            self.open = open
            self.publications = publications
            self.local = local
            self.media = media
            self.wishes = wishes
            self.transport = transport
            self.attachments = attachments
            self.revisions = revisions
        }
    }

    /// Changes when the media process starts anew.
    public var epoch: String
    public var sessions: [Session]

    public init(epoch: String, sessions: [Session]) {
        self.epoch = epoch
        self.sessions = sessions
    }
}
