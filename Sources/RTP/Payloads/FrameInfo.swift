// What layer selection needs to know about one video packet, the same for every codec.
// Must not know which layer anybody wants.

/// One packet's place in its stream of frames; small and trivially copied.
public struct FrameInfo: Equatable, Sendable {
    /// First packet of a frame from which a decoder can start: a switch point between encodings.
    public var isKeyFrameStart = false
    /// First packet of a (layer) frame. H.264: it may start one; see `H264Payload`.
    public var startsFrame = false
    /// Last packet of a layer frame where the codec tells (VP9 E bit, dependency descriptor); otherwise use
    /// the marker.
    public var endsFrame = false
    public var spatialLayer: UInt8 = 0
    public var temporalLayer: UInt8 = 0
    /// A safe point to step up to this temporal layer (VP8 Y, VP9 U, dependency descriptor "switch").
    public var isLayerSync = false
    /// VP9 U bit: pictures behind this one need nothing of higher temporal layers that is older.
    public var isSwitchingUpPoint = false
    /// VP9 P bit, or a dependency descriptor frame with references: needs earlier pictures.
    public var isInterPredicted = true
    /// VP9 D bit: needs the next lower spatial layer of the same picture.
    public var isInterLayerPredicted = false
    /// No other frame needs this one (VP8 N bit, H.264 nal_ref_idc 0).
    public var isNonReference = false
    /// VP9 Z bit: no higher spatial layer of this picture needs this frame.
    public var isNotReferenceForUpperLayers = false
    /// -1: absent.
    public var pictureID: Int32 = -1
    /// 0, 7 or 15; 16 where it is the frame number of a dependency descriptor.
    public var pictureIDBits: UInt8 = 0
    /// -1: absent.
    public var tl0PicIndex: Int16 = -1
    /// -1: absent.
    public var keyIndex: Int8 = -1
    /// Pixels, 0 unknown.
    public var width: UInt16 = 0
    public var height: UInt16 = 0
    /// Bytes of the payload descriptor in front of the codec's data.
    public var descriptorLength: UInt16 = 0

    public init() {}

    /// nil: the payload is too short or malformed for its codec. Audio: every packet is a frame and a switch
    /// point.
    public static func parse(
        codec: CodecName,
        _ payload: UnsafePointer<UInt8>,
        length: Int
    ) -> FrameInfo? {
        switch codec {
        case .opus, .red:
            guard length > 0 else { return nil }
            var it = FrameInfo()
            it.isKeyFrameStart = true
            it.startsFrame = true
            it.endsFrame = true
            it.isInterPredicted = false
            return it
        case .vp8:
            guard let descriptor = VP8Descriptor.parse(payload, length: length) else { return nil }
            return FrameInfo(descriptor)
        case .vp9:
            guard let descriptor = VP9Descriptor.parse(payload, length: length) else { return nil }
            return FrameInfo(descriptor)
        case .h264:
            guard let parsed = H264Payload.parse(payload, length: length) else { return nil }
            return FrameInfo(parsed)
        case .av1:
            guard let header = AV1AggregationHeader.parse(payload, length: length) else { return nil }
            return FrameInfo(header)
        }
    }

    init(_ vp8: VP8Descriptor) {
        isKeyFrameStart = vp8.isKeyFrameStart
        startsFrame = vp8.startsFrame
        temporalLayer = vp8.temporalLayer
        isLayerSync = vp8.isLayerSync
        isInterPredicted = !vp8.isKeyFrameStart
        isNonReference = vp8.isNonReference
        pictureID = vp8.pictureID
        pictureIDBits = vp8.pictureIDBits
        tl0PicIndex = vp8.tl0PicIndex
        keyIndex = vp8.keyIndex
        width = vp8.width
        height = vp8.height
        descriptorLength = UInt16(truncatingIfNeeded: vp8.length)
    }

    init(_ vp9: VP9Descriptor) {
        isKeyFrameStart = vp9.isKeyFrameStart
        startsFrame = vp9.startsFrame
        endsFrame = vp9.endsFrame
        spatialLayer = vp9.spatialLayer
        temporalLayer = vp9.temporalLayer
        // U speaks of the pictures behind this one: it may itself need what its own layer had before. Only where
        // references are explicit senders set it for a picture that refers to lower temporal layers alone.
        isLayerSync =
            !vp9.isInterPredicted || vp9.isFlexible && vp9.isSwitchingUpPoint && vp9.temporalLayer > 0
        isSwitchingUpPoint = vp9.isSwitchingUpPoint
        isInterPredicted = vp9.isInterPredicted
        isInterLayerPredicted = vp9.isInterLayerPredicted
        isNotReferenceForUpperLayers = vp9.isNotReferenceForUpperLayers
        pictureID = vp9.pictureID
        pictureIDBits = vp9.pictureIDBits
        tl0PicIndex = vp9.tl0PicIndex
        width = vp9.topWidth
        height = vp9.topHeight
        descriptorLength = UInt16(truncatingIfNeeded: vp9.length)
    }

    init(_ h264: H264Payload) {
        isKeyFrameStart = h264.hasSPS
        startsFrame = h264.startsFrame
        isInterPredicted = !(h264.hasSPS || h264.hasIDR)
        isNonReference = h264.isNonReference
        // No frame needs it, and it needs frames of the base layer: a temporal layer in all but name.
        temporalLayer = h264.isNonReference ? 1 : 0
        isLayerSync = h264.isNonReference
        width = h264.width
        height = h264.height
    }

    init(_ av1: AV1AggregationHeader) {
        isKeyFrameStart = av1.startsCodedVideoSequence
        startsFrame = !av1.continuesOBU
        isInterPredicted = !av1.startsCodedVideoSequence
        descriptorLength = 1
    }
}
