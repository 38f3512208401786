// The dependency descriptor header extension (AV1 RTP specification, appendix A): one packet's frame, its
// layers and references. Must not know which targets anybody wants.

/// A parsed dependency descriptor; small enough for the stack, no heap.
public struct DependencyDescriptor: Sendable {
    public internal(set) var startsFrame = false
    public internal(set) var endsFrame = false
    public internal(set) var templateID: UInt8 = 0
    public internal(set) var frameNumber: UInt16 = 0
    /// It brings a new structure: a key frame's first packet.
    public internal(set) var hasStructure = false
    /// It carries its own active_decode_targets_bitmask.
    public internal(set) var hasActiveDecodeTargets = false
    /// Meaningful where it has a mask or a structure (then all targets).
    public internal(set) var activeDecodeTargets: UInt32 = 0
    public internal(set) var spatialLayer: UInt8 = 0
    public internal(set) var temporalLayer: UInt8 = 0
    /// Two bits per decode target, target 0 lowest.
    public internal(set) var indications: UInt64 = 0
    public internal(set) var differenceCount = 0
    /// How many frames before this one its references are; the first `differenceCount` count.
    public internal(set) var differences = InlineArray<8, UInt16>(repeating: 0)
    public internal(set) var chainCount = 0
    /// How many frames before this one the last frame of each chain is; 0: this frame starts it.
    public internal(set) var chainDifferences = InlineArray<16, UInt8>(repeating: 0)
    /// Pixels of this frame's layer; 0 unknown.
    public internal(set) var width: UInt16 = 0
    public internal(set) var height: UInt16 = 0

    /// The decode target of exactly this frame's layers; -1: none.
    public internal(set) var target = -1

    /// Where the mask is or would be, and the bits in use; for `rewrite`.
    var maskPosition = 0
    var usedBits = 0
    var targetCount = 0

    public init() {}

    public func indication(forTarget target: Int) -> DecodeTargetIndication {
        guard target >= 0, target < targetCount else { return .notPresent }
        let bits = UInt8(truncatingIfNeeded: indications >> UInt64(2 * target) & 3)
        return DecodeTargetIndication(rawValue: bits) ?? .notPresent
    }

    /// Parses one extension value.
    ///
    /// - Parameters:
    ///   - structure: the newest structure of the stream. A descriptor without one of its own is read with
    ///     it.
    ///   - isNewest: whether this packet is newer than all before. Only then does it change `structure`: a
    ///     late packet's structure or mask is used for that packet alone.
    /// - Returns: nil: malformed, no structure has come yet, or the template id is not in it.
    public static func parse(
        _ bytes: UnsafePointer<UInt8>,
        length: Int,
        structure: inout DependencyStructure,
        isNewest: Bool
    ) -> DependencyDescriptor? {
        guard length >= 3 else { return nil }
        var it = DependencyDescriptor()
        it.startsFrame = bytes[0] & 0x80 != 0
        it.endsFrame = bytes[0] & 0x40 != 0
        it.templateID = bytes[0] & 0x3F
        it.frameNumber = ByteOrder.load16(bytes, 1)
        guard length > 3 else {
            it.maskPosition = 29
            it.usedBits = 24
            return structure.isValid && it.takeTemplate(&structure) ? it : nil
        }
        // Bit 4 of the flags: a structure follows.
        guard bytes[3] & 0x80 != 0 else {
            guard structure.isValid, it.readExtended(bytes, length, &structure) else { return nil }
            if it.hasActiveDecodeTargets && isNewest {
                structure.activeDecodeTargets = it.activeDecodeTargets
            }
            return it
        }
        var bits = BitReader(bytes, length: length)
        _ = bits.read(29)
        var own = DependencyStructure()
        guard own.read(&bits) else { return nil }
        it.hasStructure = true
        it.activeDecodeTargets = own.allTargets
        it.maskPosition = bits.position
        guard it.readExtended(bytes, length, &own) else { return nil }
        if isNewest {
            own.activeDecodeTargets = it.activeDecodeTargets
            structure = own
        }
        return it
    }

    /// extended_descriptor_fields() behind the structure, and the frame's own definition.
    private mutating func readExtended(
        _ bytes: UnsafePointer<UInt8>,
        _ length: Int,
        _ structure: inout DependencyStructure
    ) -> Bool {
        if !hasStructure { maskPosition = 29 }
        var bits = BitReader(bytes, length: length)
        bits.seek(maskPosition)
        let flags = bytes[3]
        if flags & 0x40 != 0 {
            hasActiveDecodeTargets = true
            activeDecodeTargets = bits.read(structure.decodeTargetCount)
        }
        guard takeTemplate(&structure) else { return false }
        if flags & 0x20 != 0 {
            indications = 0
            for target in 0..<structure.decodeTargetCount {
                indications |= UInt64(bits.read(2)) << UInt64(2 * target)
            }
        }
        if flags & 0x10 != 0 {
            differenceCount = 0
            while true {
                let size = Int(bits.read(2))
                if size == 0 { break }
                guard differenceCount < Limits.Feedback.frameDifferences else { return false }
                differences[differenceCount] = UInt16(truncatingIfNeeded: bits.read(4 * size)) + 1
                differenceCount += 1
            }
        }
        if flags & 0x08 != 0 {
            for chain in 0..<structure.chainCount {
                chainDifferences[chain] = UInt8(truncatingIfNeeded: bits.read(8))
            }
        }
        usedBits = bits.position
        return !bits.isExhausted
    }

    private mutating func takeTemplate(_ structure: inout DependencyStructure) -> Bool {
        let index = Int((templateID &+ 64 &- structure.templateIDOffset) & 63)
        guard index < structure.templateCount else { return false }
        targetCount = structure.decodeTargetCount
        spatialLayer = structure.templateLayers[index] >> 4
        temporalLayer = structure.templateLayers[index] & 0x0F
        target = Int(structure.templateTargets[index])
        indications = structure.templateIndications[index]
        differenceCount = Int(structure.templateDifferenceCounts[index])
        var packed = structure.templateDifferences[index]
        for position in 0..<differenceCount {
            differences[position] = UInt16(packed & 0x0F) + 1
            packed >>= 4
        }
        chainCount = structure.chainCount
        var chains = structure.templateChainDifferences[index]
        for chain in 0..<chainCount {
            chainDifferences[chain] = UInt8(chains & 0x0F)
            chains >>= 4
        }
        width = structure.width(ofSpatialLayer: spatialLayer)
        height = structure.height(ofSpatialLayer: spatialLayer)
        return true
    }
}

extension DependencyDescriptor {
    /// Most bytes that `rewrite` adds: flags and a mask of 32 bits.
    public static let maskBytes = 5

    /// Copies the descriptor that was parsed into this value to `out`, with another frame number and with
    /// `mask` as its active decode targets, added where it had none. Returns the bytes written; 0: no room.
    public func rewrite(
        _ bytes: UnsafePointer<UInt8>,
        length: Int,
        frameNumber: UInt16,
        mask: UInt32,
        to out: UnsafeMutablePointer<UInt8>,
        capacity: Int
    ) -> Int {
        DescriptorLayout(self, length: length).rewrite(
            bytes,
            frameNumber: frameNumber,
            mask: mask,
            to: out,
            capacity: capacity
        )
    }

    /// Puts another frame number into a descriptor in place; needs 3 bytes.
    public static func patchFrameNumber(_ bytes: UnsafeMutablePointer<UInt8>, _ frameNumber: UInt16) {
        ByteOrder.store16(frameNumber, bytes, 1)
    }
}

/// Where the parts of a descriptor lie: all that is needed to write it anew after it was parsed. Kept with a packet.
public struct DescriptorLayout: Equatable, Sendable {
    /// Bytes; 0: there is no descriptor.
    public private(set) var length: UInt8 = 0
    public private(set) var targetCount: UInt8 = 0
    public private(set) var hasMask = false
    public private(set) var frameNumber: UInt16 = 0
    private var maskPosition: UInt16 = 0
    private var usedBits: UInt16 = 0

    public init() {}

    /// Of a descriptor that could not be read yet.
    public init(unread length: Int) { self.length = UInt8(clamping: length) }

    public init(_ descriptor: DependencyDescriptor, length: Int) {
        self.length = UInt8(clamping: length)
        targetCount = UInt8(truncatingIfNeeded: descriptor.targetCount)
        hasMask = descriptor.hasActiveDecodeTargets
        frameNumber = descriptor.frameNumber
        maskPosition = UInt16(truncatingIfNeeded: descriptor.maskPosition)
        usedBits = UInt16(truncatingIfNeeded: descriptor.usedBits)
    }

    /// Bytes of the descriptor with a mask of its own.
    public var lengthWithMask: Int {
        let bits = length <= 3 ? 29 + Int(targetCount) : Int(usedBits) + (hasMask ? 0 : Int(targetCount))
        return (bits + 7) >> 3
    }

    /// Copies the descriptor with another frame number and with `mask` as its active decode targets, added where it
    /// had none. Returns the bytes written, the same as `lengthWithMask`; 0: no room.
    public func rewrite(
        _ bytes: UnsafePointer<UInt8>,
        frameNumber: UInt16,
        mask: UInt32,
        to out: UnsafeMutablePointer<UInt8>,
        capacity: Int
    ) -> Int {
        guard length >= 3 else { return 0 }
        var writer = BitWriter(out, capacity: capacity)
        writer.write(UInt32(bytes[0]), 8)
        writer.write(UInt32(frameNumber), 16)
        guard length > 3 else {
            writer.write(0b01000, 5)
            writer.write(mask, Int(targetCount))
            return writer.isFull ? 0 : writer.length
        }
        var reader = BitReader(bytes, length: Int(length))
        reader.seek(24)
        writer.write(reader.read(5) | 0b01000, 5)
        DescriptorLayout.copy(&reader, upTo: Int(maskPosition), to: &writer)
        if hasMask { _ = reader.read(Int(targetCount)) }
        writer.write(mask, Int(targetCount))
        DescriptorLayout.copy(&reader, upTo: Int(usedBits), to: &writer)
        return writer.isFull || reader.isExhausted ? 0 : writer.length
    }

    private static func copy(_ reader: inout BitReader, upTo end: Int, to writer: inout BitWriter) {
        while reader.position < end {
            let count = min(32, end - reader.position)
            writer.write(reader.read(count), count)
        }
    }
}

extension FrameInfo {
    /// Takes layers and switch points from the packet's dependency descriptor, which knows better than the
    /// payload.
    public mutating func apply(_ descriptor: DependencyDescriptor) {
        startsFrame = descriptor.startsFrame
        endsFrame = descriptor.endsFrame
        spatialLayer = descriptor.spatialLayer
        temporalLayer = descriptor.temporalLayer
        isKeyFrameStart =
            descriptor.hasStructure && descriptor.startsFrame && descriptor.spatialLayer == 0
        isInterPredicted = descriptor.differenceCount > 0
        isLayerSync = descriptor.indication(forTarget: descriptor.target) == .switch
        width = descriptor.width
        height = descriptor.height
    }
}
