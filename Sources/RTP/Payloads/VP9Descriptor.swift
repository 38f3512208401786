// The VP9 payload descriptor (RFC 9628 §4.2) with its scalability structure. Must not know layers' policies.

/// A parsed VP9 payload descriptor.
public struct VP9Descriptor: Sendable {
    /// Bytes of the descriptor; VP9 data follows.
    public var length = 0
    /// P: the frame refers to earlier pictures.
    public var isInterPredicted = false
    /// F: references are given as P_DIFFs; there is no TL0PICIDX.
    public var isFlexible = false
    /// B: first packet of a layer frame.
    public var startsFrame = false
    /// E: last packet of a layer frame.
    public var endsFrame = false
    /// Z: not a reference for the upper spatial layers of its picture.
    public var isNotReferenceForUpperLayers = false
    /// -1: absent.
    public var pictureID: Int32 = -1
    /// 0, 7 or 15.
    public var pictureIDBits: UInt8 = 0
    /// L: TID, U, SID and D are there.
    public var hasLayerIndices = false
    public var temporalLayer: UInt8 = 0
    /// U: later pictures of higher temporal layers do not reach behind this one.
    public var isSwitchingUpPoint = false
    public var spatialLayer: UInt8 = 0
    /// D: refers to the next lower spatial layer of the same picture.
    public var isInterLayerPredicted = false
    /// -1: absent.
    public var tl0PicIndex: Int16 = -1
    /// P_DIFFs of flexible mode, 0–3 of them.
    public var referenceCount: UInt8 = 0
    public var references = InlineArray<3, UInt8>(repeating: 0)
    /// V: a scalability structure follows.
    public var hasScalabilityStructure = false
    /// N_S + 1; 0 without structure.
    public var spatialLayerCount: UInt8 = 0
    /// Y: resolutions are there.
    public var hasResolutions = false
    /// Pixels by spatial layer.
    public var widths = InlineArray<8, UInt16>(repeating: 0)
    public var heights = InlineArray<8, UInt16>(repeating: 0)
    /// N_G: pictures in the group; 0 without.
    public var pictureGroupLength: UInt8 = 0
    /// Highest TID of the picture group.
    public var pictureGroupMaxTemporalLayer: UInt8 = 0

    public init() {}

    /// First packet of a frame from which a decoder can start: nothing earlier, nothing lower is needed.
    public var isKeyFrameStart: Bool {
        !isInterPredicted && startsFrame && spatialLayer == 0 && !isInterLayerPredicted
    }

    /// Pixels of the highest spatial layer; 0 unknown.
    public var topWidth: UInt16 {
        hasResolutions && spatialLayerCount > 0 ? widths[Int(spatialLayerCount) - 1] : 0
    }
    public var topHeight: UInt16 {
        hasResolutions && spatialLayerCount > 0 ? heights[Int(spatialLayerCount) - 1] : 0
    }

    /// nil: the payload ends inside or right behind the descriptor, or has more than three P_DIFFs.
    public static func parse(_ payload: UnsafePointer<UInt8>, length: Int) -> VP9Descriptor? {
        guard length >= 1 else { return nil }
        var it = VP9Descriptor()
        let first = payload[0]
        it.isInterPredicted = first & 0x40 != 0
        it.isFlexible = first & 0x10 != 0
        it.startsFrame = first & 0x08 != 0
        it.endsFrame = first & 0x04 != 0
        it.isNotReferenceForUpperLayers = first & 0x01 != 0
        var offset = 1
        if first & 0x80 != 0 {
            guard it.readPictureID(payload, length, &offset) else { return nil }
        }
        if first & 0x20 != 0 {
            guard it.readLayerIndices(payload, length, &offset) else { return nil }
        }
        if it.isFlexible && it.isInterPredicted {
            guard it.readReferences(payload, length, &offset) else { return nil }
        }
        if first & 0x02 != 0 {
            guard it.readScalabilityStructure(payload, length, &offset) else { return nil }
        }
        guard length > offset else { return nil }
        it.length = offset
        return it
    }

    private mutating func readPictureID(
        _ payload: UnsafePointer<UInt8>,
        _ length: Int,
        _ offset: inout Int
    ) -> Bool {
        guard length > offset else { return false }
        if payload[offset] & 0x80 != 0 {
            guard length > offset + 1 else { return false }
            pictureID = Int32(ByteOrder.load16(payload, offset) & 0x7FFF)
            pictureIDBits = 15
            offset += 2
        } else {
            pictureID = Int32(payload[offset])
            pictureIDBits = 7
            offset += 1
        }
        return true
    }

    private mutating func readLayerIndices(
        _ payload: UnsafePointer<UInt8>,
        _ length: Int,
        _ offset: inout Int
    ) -> Bool {
        guard length > offset else { return false }
        let byte = payload[offset]
        hasLayerIndices = true
        temporalLayer = byte >> 5
        isSwitchingUpPoint = byte & 0x10 != 0
        spatialLayer = byte >> 1 & 0x07
        isInterLayerPredicted = byte & 0x01 != 0
        offset += 1
        if !isFlexible {
            guard length > offset else { return false }
            tl0PicIndex = Int16(payload[offset])
            offset += 1
        }
        return true
    }

    private mutating func readReferences(
        _ payload: UnsafePointer<UInt8>,
        _ length: Int,
        _ offset: inout Int
    ) -> Bool {
        var more = true
        while more {
            guard length > offset, referenceCount < 3 else { return false }
            references[Int(referenceCount)] = payload[offset] >> 1
            referenceCount += 1
            more = payload[offset] & 0x01 != 0
            offset += 1
        }
        return true
    }

    private mutating func readScalabilityStructure(
        _ payload: UnsafePointer<UInt8>,
        _ length: Int,
        _ offset: inout Int
    ) -> Bool {
        guard length > offset else { return false }
        let byte = payload[offset]
        offset += 1
        hasScalabilityStructure = true
        spatialLayerCount = (byte >> 5) + 1
        if byte & 0x10 != 0 {
            guard length >= offset + 4 * Int(spatialLayerCount) else { return false }
            hasResolutions = true
            for layer in 0..<Int(spatialLayerCount) {
                widths[layer] = ByteOrder.load16(payload, offset)
                heights[layer] = ByteOrder.load16(payload, offset + 2)
                offset += 4
            }
        }
        guard byte & 0x08 != 0 else { return true }
        guard length > offset else { return false }
        pictureGroupLength = payload[offset]
        offset += 1
        for _ in 0..<Int(pictureGroupLength) {
            guard length > offset else { return false }
            let picture = payload[offset]
            offset += 1 + Int(picture >> 2 & 0x03)
            guard length >= offset else { return false }
            pictureGroupMaxTemporalLayer = max(pictureGroupMaxTemporalLayer, picture >> 5)
        }
        return true
    }

    /// Puts new numbers into the descriptor at the start of `payload`, each only where the descriptor has
    /// that field, in the field's own width. false: not a descriptor; nothing changes.
    @discardableResult
    public static func patch(
        _ payload: UnsafeMutablePointer<UInt8>,
        length: Int,
        pictureID: UInt16,
        tl0PicIndex: UInt8
    ) -> Bool {
        guard length >= 1 else { return false }
        let first = payload[0]
        var offset = 1
        if first & 0x80 != 0 {
            guard length > offset else { return false }
            offset += payload[offset] & 0x80 != 0 ? 2 : 1
        }
        let hasTL0 = first & 0x30 == 0x20
        guard length >= offset + (hasTL0 ? 2 : 0) else { return false }
        if first & 0x80 != 0 {
            if payload[1] & 0x80 != 0 {
                ByteOrder.store16(pictureID | 0x8000, payload, 1)
            } else {
                payload[1] = UInt8(truncatingIfNeeded: pictureID & 0x7F)
            }
        }
        if hasTL0 { payload[offset + 1] = tl0PicIndex }
        return true
    }
}
