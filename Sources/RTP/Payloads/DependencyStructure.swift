// The template dependency structure of the dependency descriptor (AV1 RTP specification, appendix A): what a
// key frame says about all frames to come. Must not know which targets anybody wants.

/// How a frame relates to a decode target (appendix A.8.2).
public enum DecodeTargetIndication: UInt8, Sendable {
    case notPresent = 0
    /// Not needed by later frames of the target.
    case discardable = 1
    /// A decoder may step up to the target here.
    case `switch` = 2
    case required = 3
}

/// Kept per incoming stream; `DependencyDescriptor.parse` fills it. About 2 kB, no heap.
public struct DependencyStructure: Sendable {
    /// false until the first structure has come.
    public internal(set) var isValid = false
    public internal(set) var templateIDOffset: UInt8 = 0
    public internal(set) var templateCount = 0
    /// 1–32
    public internal(set) var decodeTargetCount = 0
    /// 0–16
    public internal(set) var chainCount = 0
    public internal(set) var maxSpatialLayer: UInt8 = 0
    public internal(set) var maxTemporalLayer: UInt8 = 0
    public internal(set) var hasResolutions = false
    /// Targets that the sender produces now, bit i for target i; follows the newest frame that says so.
    public internal(set) var activeDecodeTargets: UInt32 = 0

    /// Spatial layer in the high, temporal layer in the low nibble.
    var templateLayers = InlineArray<64, UInt8>(repeating: 0)
    /// Two bits per decode target, target 0 lowest.
    var templateIndications = InlineArray<64, UInt64>(repeating: 0)
    var templateDifferenceCounts = InlineArray<64, UInt8>(repeating: 0)
    /// Four bits per difference, one less than it.
    var templateDifferences = InlineArray<64, UInt32>(repeating: 0)
    /// Four bits per chain.
    var templateChainDifferences = InlineArray<64, UInt64>(repeating: 0)
    /// The decode target of exactly the template's layers; -1: none.
    var templateTargets = InlineArray<64, Int8>(repeating: -1)
    var targetLayers = InlineArray<32, UInt8>(repeating: 0)
    var targetChains = InlineArray<32, UInt8>(repeating: 0)
    /// Width in the high, height in the low half.
    var resolutions = InlineArray<4, UInt32>(repeating: 0)

    public init() {}

    /// A mask with every decode target.
    public var allTargets: UInt32 {
        UInt32(truncatingIfNeeded: (UInt64(1) << UInt64(decodeTargetCount)) - 1)
    }

    public func spatialLayer(ofTarget target: Int) -> UInt8 {
        target >= 0 && target < decodeTargetCount ? targetLayers[target] >> 4 : 0
    }

    public func temporalLayer(ofTarget target: Int) -> UInt8 {
        target >= 0 && target < decodeTargetCount ? targetLayers[target] & 0x0F : 0
    }

    /// The chain that protects `target`; 0 without chains.
    public func chain(ofTarget target: Int) -> Int {
        target >= 0 && target < decodeTargetCount ? Int(targetChains[target]) : 0
    }

    /// The decode target of exactly these layers; -1: none.
    public func target(spatialLayer: UInt8, temporalLayer: UInt8) -> Int {
        guard spatialLayer < 16, temporalLayer < 16 else { return -1 }
        let wanted = spatialLayer << 4 | temporalLayer
        for target in 0..<decodeTargetCount where targetLayers[target] == wanted { return target }
        return -1
    }

    /// The decode targets up to both layers: the mask for a receiver that gets no more.
    public func targets(upToSpatialLayer spatial: UInt8, temporalLayer temporal: UInt8) -> UInt32 {
        var mask: UInt32 = 0
        for target in 0..<decodeTargetCount
        where targetLayers[target] >> 4 <= spatial && targetLayers[target] & 0x0F <= temporal {
            mask |= 1 << UInt32(target)
        }
        return mask
    }

    /// Whether every frame of `lower` also belongs to `upper`: then a receiver of `upper` may go down to `lower` at
    /// any picture, since it has all that is needed.
    public func contains(_ lower: Int, in upper: Int) -> Bool {
        guard lower >= 0, upper >= 0, lower < decodeTargetCount, upper < decodeTargetCount else {
            return false
        }
        for template in 0..<templateCount {
            let indications = templateIndications[template]
            let isInLower = indications >> UInt64(2 * lower) & 3 != 0
            if isInLower && indications >> UInt64(2 * upper) & 3 == 0 { return false }
        }
        return true
    }

    /// Spatial layers that the sender produces now, bit i for layer i.
    public var activeSpatialLayers: UInt8 {
        var layers: UInt8 = 0
        for target in 0..<decodeTargetCount where activeDecodeTargets >> UInt32(target) & 1 != 0 {
            layers |= 1 << (targetLayers[target] >> 4)
        }
        return layers
    }

    /// Pixels of a spatial layer; 0 unknown.
    public func width(ofSpatialLayer layer: UInt8) -> UInt16 {
        hasResolutions && layer <= maxSpatialLayer
            ? UInt16(truncatingIfNeeded: resolutions[Int(layer)] >> 16) : 0
    }

    public func height(ofSpatialLayer layer: UInt8) -> UInt16 {
        hasResolutions && layer <= maxSpatialLayer
            ? UInt16(truncatingIfNeeded: resolutions[Int(layer)]) : 0
    }
}

extension DependencyStructure {
    /// template_dependency_structure() of appendix A.8.2.
    mutating func read(_ bits: inout BitReader) -> Bool {
        self = DependencyStructure()
        templateIDOffset = UInt8(truncatingIfNeeded: bits.read(6))
        decodeTargetCount = Int(bits.read(5)) + 1
        guard readLayers(&bits) else { return false }
        readIndications(&bits)
        for template in 0..<templateCount {
            let layers = templateLayers[template]
            templateTargets[template] = Int8(
                truncatingIfNeeded: target(spatialLayer: layers >> 4, temporalLayer: layers & 0x0F)
            )
        }
        guard readDifferences(&bits), readChains(&bits) else { return false }
        if bits.readFlag() {
            hasResolutions = true
            for layer in 0...Int(maxSpatialLayer) {
                let width = bits.read(16)
                let height = bits.read(16)
                // 65536 does not fit the value and is no picture that anybody sends.
                resolutions[layer] = min(width + 1, 0xFFFF) << 16 | min(height + 1, 0xFFFF)
            }
        }
        guard !bits.isExhausted else { return false }
        activeDecodeTargets = allTargets
        isValid = true
        return true
    }

    private mutating func readLayers(_ bits: inout BitReader) -> Bool {
        var spatial: UInt8 = 0
        var temporal: UInt8 = 0
        while true {
            // AV1 has four spatial and eight temporal layers; 64 templates are all that an id can name.
            guard templateCount < 64, spatial < 4, temporal < 8 else { return false }
            templateLayers[templateCount] = spatial << 4 | temporal
            templateCount += 1
            maxSpatialLayer = max(maxSpatialLayer, spatial)
            maxTemporalLayer = max(maxTemporalLayer, temporal)
            switch bits.read(2) {
            case 0:
                if bits.isExhausted { return false }
            case 1:
                temporal += 1
            case 2:
                temporal = 0
                spatial += 1
            default:
                return true
            }
        }
    }

    private mutating func readIndications(_ bits: inout BitReader) {
        for template in 0..<templateCount {
            var packed: UInt64 = 0
            for target in 0..<decodeTargetCount { packed |= UInt64(bits.read(2)) << UInt64(2 * target) }
            templateIndications[template] = packed
            // decode_target_layers(): a target's layers are the highest of the frames that belong to it.
            let spatial = templateLayers[template] >> 4
            let temporal = templateLayers[template] & 0x0F
            for target in 0..<decodeTargetCount where packed >> UInt64(2 * target) & 3 != 0 {
                let s = max(targetLayers[target] >> 4, spatial)
                let t = max(targetLayers[target] & 0x0F, temporal)
                targetLayers[target] = s << 4 | t
            }
        }
    }

    private mutating func readDifferences(_ bits: inout BitReader) -> Bool {
        for template in 0..<templateCount {
            var count = 0
            var packed: UInt32 = 0
            while bits.readFlag() {
                guard count < Limits.Feedback.frameDifferences else { return false }
                packed |= bits.read(4) << UInt32(4 * count)
                count += 1
            }
            templateDifferenceCounts[template] = UInt8(truncatingIfNeeded: count)
            templateDifferences[template] = packed
        }
        return true
    }

    private mutating func readChains(_ bits: inout BitReader) -> Bool {
        chainCount = Int(bits.readNonSymmetric(UInt32(decodeTargetCount) + 1))
        guard chainCount <= Limits.Feedback.dependencyChains else { return false }
        guard chainCount > 0 else { return true }
        for target in 0..<decodeTargetCount {
            targetChains[target] = UInt8(truncatingIfNeeded: bits.readNonSymmetric(UInt32(chainCount)))
        }
        for template in 0..<templateCount {
            var packed: UInt64 = 0
            for chain in 0..<chainCount { packed |= UInt64(bits.read(4)) << UInt64(4 * chain) }
            templateChainDifferences[template] = packed
        }
        return true
    }
}
