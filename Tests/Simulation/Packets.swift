// Packets as the simulated peers see them: what left a publisher, and what came to a subscriber. Values only.
import RTP

/// A packet that a peer got, decrypted, RTX undone.
public struct ReceivedPacket: Sendable {
    public var ssrc: UInt32
    public var sequence: Int64
    public var timestamp: UInt32
    public var marker: Bool
    public var payloadType: UInt8
    /// Of RED, the primary block.
    public var payload: [UInt8]
    public var isRED = false
    /// Earlier packets that it repeats, the oldest first.
    public var redundant: [RedundantBlock] = []
    public var padding: Int
    public var isRecovered: Bool
    public var audioLevel: UInt8?
    public var mid: String?
    public var at: Instant
    public var stamp: Stamp?
    public var descriptor: [UInt8]?
    /// Minimum and maximum, 12 bits each, of 10 ms.
    public var playoutDelay: UInt32?
    public var orientation: UInt8?
    public var contentType: UInt8?
    public var colorSpace: [UInt8]?
    /// Header extensions that a subscriber has no use for.
    public var foreign: [HeaderExtension] = []
    public var captureTime: UInt64?
    /// Of the capturer's clock against the clock of who sent the packet, signed 32.32 seconds.
    public var captureClockOffset: Int64?

    public init(
        ssrc: UInt32,
        sequence: Int64,
        timestamp: UInt32,
        marker: Bool,
        payloadType: UInt8,
        payload: [UInt8],
        at: Instant
    ) {
        self.ssrc = ssrc
        self.sequence = sequence
        self.timestamp = timestamp
        self.marker = marker
        self.payloadType = payloadType
        self.payload = payload
        self.at = at
        padding = 0
        isRecovered = false
        stamp = Stamp.read(payload[...])
    }

    /// What must be the same in every copy of a packet.
    func isSame(as other: ReceivedPacket) -> Bool {
        timestamp == other.timestamp && marker == other.marker && payload == other.payload
            && isRED == other.isRED && redundant == other.redundant
            && descriptor == other.descriptor && playoutDelay == other.playoutDelay
            && orientation == other.orientation && contentType == other.contentType
            && colorSpace == other.colorSpace
            && captureTime == other.captureTime && captureClockOffset == other.captureClockOffset
    }
}

/// What a publisher sent, and whether the server got it.
public struct OriginalPacket: Sendable {
    /// Of padding alone: of a frame that is none.
    public var stamp: Stamp
    public var codec: CodecName
    public var payload: [UInt8]
    public var ssrc: UInt32
    /// Extended.
    public var sequence: Int64
    public var timestamp: UInt32
    public var marker: Bool
    public var dependencies: FrameDependencies?
    public var orientation: UInt8?
    public var captureTime: UInt64?
    public var playoutDelay: UInt32?
    /// The first copy, of whatever kind.
    public var arrivedAt: Instant?
    public var sentAt: Instant

    public init(
        stamp: Stamp,
        codec: CodecName,
        payload: [UInt8],
        ssrc: UInt32,
        sequence: Int64,
        timestamp: UInt32,
        marker: Bool,
        sentAt: Instant
    ) {
        self.stamp = stamp
        self.codec = codec
        self.payload = payload
        self.ssrc = ssrc
        self.sequence = sequence
        self.timestamp = timestamp
        self.marker = marker
        self.sentAt = sentAt
    }
}

/// A packet of a simulated peer, before SRTP.
public struct ComposedPacket {
    public var bytes: [UInt8]
    public var headerLength: Int
    /// ROC and sequence number.
    public var index: UInt64
    public var ssrc: UInt32
    /// Place in `SimulatedPublisher.originals`, −1: none.
    public var original = -1
}
