// What two peers agree on for one payload type (RFC 8866 rtpmap, fmtp, rtcp-fb), as values.

public enum MediaKind: String, Codable, Sendable, Hashable, CaseIterable {
    case audio, video
}

/// The codecs that are forwarded, by the lower-case encoding name of the rtpmap.
public enum CodecName: String, Codable, Sendable, Hashable, CaseIterable {
    case opus, red, vp8, vp9, h264, av1

    public var kind: MediaKind {
        switch self {
        case .opus, .red: .audio
        case .vp8, .vp9, .h264, .av1: .video
        }
    }
}

/// Feedback messages a peer accepts for a payload type (RFC 4585 §4.2, RFC 5104, transport-cc draft).
public struct RTCPFeedback: OptionSet, Codable, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let nack = RTCPFeedback(rawValue: 1)
    public static let pli = RTCPFeedback(rawValue: 2)
    public static let fir = RTCPFeedback(rawValue: 4)
    public static let transportCC = RTCPFeedback(rawValue: 8)
    public static let remb = RTCPFeedback(rawValue: 16)
}

/// One payload type of one m-section, as the peer numbers it.
public struct CodecParameters: Codable, Sendable, Hashable {
    public var payloadType: UInt8
    public var name: CodecName
    /// Hz
    public var clockRate: UInt32
    public var channels: UInt8
    /// The `a=fmtp` value without the payload type, "" when there is none.
    public var formatParameters: String
    /// Payload type of the RFC 4588 retransmission format whose `apt` is this one.
    public var rtxPayloadType: UInt8?
    public var feedback: RTCPFeedback

    public init(
        payloadType: UInt8,
        name: CodecName,
        clockRate: UInt32,
        channels: UInt8 = 1,
        formatParameters: String = "",
        rtxPayloadType: UInt8? = nil,
        feedback: RTCPFeedback = []
    ) {
        self.payloadType = payloadType
        self.name = name
        self.clockRate = clockRate
        self.channels = channels
        self.formatParameters = formatParameters
        self.rtxPayloadType = rtxPayloadType
        self.feedback = feedback
    }
}
