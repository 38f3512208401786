// Writes dependency descriptors (AV1 RTP specification, appendix A.8) and video-layers-allocation extensions bit by
// bit, apart from the code that reads them. Knows no encoder.
import RTP

/// Appends bits, most significant first.
struct BitString {
    private(set) var bytes: [UInt8] = []
    private var used = 0

    mutating func append(_ value: UInt32, _ count: Int) {
        for bit in (0..<count).reversed() {
            if used & 7 == 0 { bytes.append(0) }
            if value >> UInt32(bit) & 1 == 1 { bytes[bytes.count - 1] |= 0x80 >> UInt8(used & 7) }
            used += 1
        }
    }

    /// ns(n), AV1 specification §4.10.7.
    mutating func appendNonSymmetric(_ value: Int, of n: Int) {
        var width = 0
        while n >> width > 0 { width += 1 }
        let short = 1 << width - n
        if value < short {
            append(UInt32(value), width - 1)
        } else {
            append(UInt32((value + short) >> 1), width - 1)
            append(UInt32((value + short) & 1), 1)
        }
    }
}

/// What a descriptor says of one frame.
public struct FrameDependencies: Sendable, Equatable {
    /// Extended.
    public var number: Int64
    /// By decode target: 0 not present, 1 discardable, 2 switch, 3 required.
    public var indications: [UInt8]
    /// How many frames back its references are.
    public var differences: [Int]
    public var chains: [Int]
    /// What the sender produces now.
    public var activeTargets: UInt32

    public init(
        number: Int64,
        indications: [UInt8],
        differences: [Int],
        chains: [Int],
        activeTargets: UInt32
    ) {
        self.number = number
        self.indications = indications
        self.differences = differences
        self.chains = chains
        self.activeTargets = activeTargets
    }
}

struct DescriptorWriter {
    var layout: DependencyLayout
    /// Template ids begin here; changes with each structure.
    var offset: UInt8 = 0
    /// Pixels by spatial layer.
    var resolutions: [(width: UInt16, height: UInt16)] = []

    /// - Parameter mask: written where it is not nil.
    func write(
        _ frame: FrameDependencies,
        spatial: UInt8,
        temporal: UInt8,
        startsFrame: Bool,
        endsFrame: Bool,
        withStructure: Bool,
        mask: UInt32?
    ) -> [UInt8] {
        let candidates = layout.templates.indices.filter {
            layout.templates[$0].spatial == spatial && layout.templates[$0].temporal == temporal
        }
        func misfit(_ index: Int) -> Int {
            let template = layout.templates[index]
            return (template.indications == frame.indications ? 0 : 1)
                + (template.differences == frame.differences ? 0 : 1)
                + (template.chains == frame.chains ? 0 : 1)
        }
        let index = candidates.min { misfit($0) < misfit($1) } ?? 0
        let template = layout.templates[index]
        let own = (
            indications: template.indications != frame.indications,
            differences: template.differences != frame.differences,
            chains: template.chains != frame.chains
        )
        var bits = BitString()
        bits.append(startsFrame ? 1 : 0, 1)
        bits.append(endsFrame ? 1 : 0, 1)
        bits.append(UInt32((Int(offset) + index) & 63), 6)
        bits.append(UInt32(UInt16(truncatingIfNeeded: frame.number)), 16)
        guard withStructure || mask != nil || own.indications || own.differences || own.chains else {
            return bits.bytes
        }
        for flag in [withStructure, mask != nil, own.indications, own.differences, own.chains] {
            bits.append(flag ? 1 : 0, 1)
        }
        if withStructure { writeStructure(&bits) }
        if let mask { bits.append(mask, layout.targetCount) }
        if own.indications { for it in frame.indications { bits.append(UInt32(it), 2) } }
        if own.differences {
            for difference in frame.differences {
                let value = UInt32(difference - 1)
                let size = value < 16 ? 1 : value < 256 ? 2 : 3
                bits.append(UInt32(size), 2)
                bits.append(value, 4 * size)
            }
            bits.append(0, 2)
        }
        if own.chains { for chain in frame.chains { bits.append(UInt32(min(chain, 255)), 8) } }
        return bits.bytes
    }

    private func writeStructure(_ bits: inout BitString) {
        bits.append(UInt32(offset), 6)
        bits.append(UInt32(layout.targetCount - 1), 5)
        for (a, b) in zip(layout.templates, layout.templates.dropFirst()) {
            bits.append(a.spatial != b.spatial ? 2 : a.temporal != b.temporal ? 1 : 0, 2)
        }
        bits.append(3, 2)
        for template in layout.templates { for it in template.indications { bits.append(UInt32(it), 2) } }
        for template in layout.templates {
            for difference in template.differences {
                bits.append(1, 1)
                bits.append(UInt32(difference - 1), 4)
            }
            bits.append(0, 1)
        }
        bits.appendNonSymmetric(layout.chainCount, of: layout.targetCount + 1)
        for target in 0..<layout.targetCount {
            bits.appendNonSymmetric(target / layout.temporalLayers, of: layout.chainCount)
        }
        for template in layout.templates { for chain in template.chains { bits.append(UInt32(chain), 4) } }
        bits.append(resolutions.isEmpty ? 0 : 1, 1)
        for size in resolutions {
            bits.append(UInt32(size.width - 1), 16)
            bits.append(UInt32(size.height - 1), 16)
        }
    }
}

/// What a publisher says about its layers (video-layers-allocation00).
struct LayerAllocation {
    struct Layer {
        var width: UInt16
        var height: UInt16
        var framesPerSecond: UInt8
        /// kbit/s up to and with each temporal layer.
        var bitrates: [Int]
    }

    /// By encoding, then by spatial layer; nil: not sent.
    var streams: [[Layer?]]

    func bytes(stream: Int) -> [UInt8] {
        let masks = streams.map { layers in
            layers.enumerated().reduce(UInt8(0)) { $1.element == nil ? $0 : $0 | 1 << UInt8($1.offset) }
        }
        guard masks.contains(where: { $0 != 0 }) else { return [0] }
        let isShared = masks.allSatisfy { $0 == masks[0] } && masks[0] != 0
        var bytes = [UInt8(stream) << 6 | UInt8(streams.count - 1) << 4 | (isShared ? masks[0] : 0)]
        if !isShared {
            for i in stride(from: 0, to: masks.count, by: 2) {
                bytes.append(masks[i] << 4 | (i + 1 < masks.count ? masks[i + 1] : 0))
            }
        }
        let active = streams.flatMap { $0.compactMap { $0 } }
        var counts = BitString()
        for layer in active { counts.append(UInt32(layer.bitrates.count - 1), 2) }
        bytes += counts.bytes
        for layer in active {
            for rate in layer.bitrates {
                var rest = rate
                repeat {
                    bytes.append(UInt8(rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
                    rest >>= 7
                } while rest > 0
            }
        }
        for layer in active {
            for value in [layer.width - 1, layer.height - 1] {
                bytes += [UInt8(value >> 8), UInt8(value & 0xff)]
            }
            bytes.append(layer.framesPerSecond)
        }
        return bytes
    }
}
