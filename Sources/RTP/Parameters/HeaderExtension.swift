// Which RTP header extensions (RFC 8285) the server knows, and how one peer numbers them.

/// A header extension by its meaning. `uri` is its name in SDP.
public enum HeaderExtension: UInt8, Codable, Sendable, Hashable, CaseIterable {
    case mid, rid, repairedRid, transportSequence, absoluteSendTime, absoluteCaptureTime, audioLevel
    case videoOrientation, playoutDelay, videoContentType, colorSpace, dependencyDescriptor
    case videoLayersAllocation

    public var uri: String {
        switch self {
        case .mid: "urn:ietf:params:rtp-hdrext:sdes:mid"
        case .rid: "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
        case .repairedRid: "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
        case .transportSequence:
            "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
        case .absoluteSendTime: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
        case .absoluteCaptureTime: "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
        case .audioLevel: "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
        case .videoOrientation: "urn:3gpp:video-orientation"
        case .playoutDelay: "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
        case .videoContentType: "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type"
        case .colorSpace: "http://www.webrtc.org/experiments/rtp-hdrext/color-space"
        case .dependencyDescriptor:
            "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
        case .videoLayersAllocation: "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00"
        }
    }
}

/// One `a=extmap` line that both sides agreed on.
public struct HeaderExtensionID: Codable, Sendable, Hashable {
    public var kind: HeaderExtension
    /// 1–14 in the one-byte form, up to 255 in the two-byte form.
    public var id: UInt8

    public init(_ kind: HeaderExtension, id: UInt8) {
        self.kind = kind
        self.id = id
    }
}
