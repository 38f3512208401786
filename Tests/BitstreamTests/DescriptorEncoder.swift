// Writes the dependency descriptor of a real encoder's frames (AV1 RTP specification, appendix A), with templates for
// everything that its structure repeats.
import CBitstreamCodecs

struct DescriptorEncoder {
    private struct Template: Equatable {
        var spatial: Int
        var temporal: Int
        /// By decode target: 0 not present, 1 discardable, 2 switch, 3 required.
        var indications: [UInt8]
        var differences: [Int]
        var chains: [Int]
    }

    private let settings: encoder_settings
    private let firstNumber: UInt16
    private var templates: [Template] = []
    /// The last frame of each chain, since the last key picture.
    private var chains: [Int?]
    private static let offset = 11

    private var layers: Int { Int(settings.spatial_layers) }
    private var temporalLayers: Int { Int(settings.temporal_layers) }
    private var targets: [(spatial: Int, temporal: Int)] {
        (0..<layers).flatMap { spatial in (0..<temporalLayers).map { (spatial, $0) } }
    }

    init(_ settings: encoder_settings, firstNumber: UInt16) throws {
        self.settings = settings
        self.firstNumber = firstNumber
        chains = Array(repeating: nil, count: Int(settings.spatial_layers))
        var found: [Template] = []
        for frame in try RealEncoder.plan(settings, pictures: 24) {
            let template = describe(frame)
            if !found.contains(template) { found.append(template) }
            finish(frame)
        }
        // Ordered by spatial, then temporal layer (A.8.2); else as they came.
        templates = found.enumerated()
            .sorted {
                ($0.element.spatial, $0.element.temporal, $0.offset)
                    < ($1.element.spatial, $1.element.temporal, $1.offset)
            }
            .map(\.element)
        chains = Array(repeating: nil, count: Int(settings.spatial_layers))
    }

    private func describe(_ frame: LayerFrame) -> Template {
        Template(
            spatial: frame.spatial,
            temporal: frame.temporal,
            indications: targets.map { indication(frame, spatial: $0.spatial, temporal: $0.temporal) },
            differences: frame.references.map { frame.number - $0 },
            chains: chains.map { last in
                frame.isKey && frame.spatial == 0 ? 0 : last.map { frame.number - $0 } ?? 0
            }
        )
    }

    private func indication(_ frame: LayerFrame, spatial: Int, temporal: Int) -> UInt8 {
        let isAlone = settings.is_key_mode != 0 && !frame.isKey
        guard frame.temporal <= temporal, isAlone ? frame.spatial == spatial : frame.spatial <= spatial else {
            return 0
        }
        if frame.isKey { return 2 }
        guard frame.spatial == spatial else { return 3 }
        if frame.isUnreferenced { return 1 }
        let cycle = temporalLayers == 3 ? 8 : temporalLayers == 2 ? 4 : 1
        switch frame.temporal {
        case 0: return temporal == 0 || frame.position % cycle == 0 ? 2 : 3
        case 1: return frame.isSync ? 2 : 3
        default: return 3
        }
    }

    /// The frame was sent: chains go on behind it.
    mutating func finish(_ frame: LayerFrame) {
        guard frame.temporal == 0 else { return }
        let isAlone = settings.is_key_mode != 0 && !frame.isKey
        for chain in chains.indices where isAlone ? chain == frame.spatial : chain >= frame.spatial {
            chains[chain] = frame.number
        }
    }

    /// - Parameter active: spatial layers that are sent at the moment.
    func write(_ frame: LayerFrame, isFirst: Bool, isLast: Bool, active: Int) -> [UInt8] {
        let wanted = describe(frame)
        let exact = templates.firstIndex(of: wanted)
        let index =
            exact
            ?? templates.firstIndex { $0.spatial == wanted.spatial && $0.temporal == wanted.temporal } ?? 0
        let used = templates[index]
        let hasStructure = frame.isKey && frame.spatial == 0 && isFirst
        let hasMask = active < layers
        var bits = BitList()
        bits.append(isFirst ? 1 : 0, 1)
        bits.append(isLast ? 1 : 0, 1)
        bits.append((index + DescriptorEncoder.offset) & 63, 6)
        bits.append(Int(firstNumber &+ UInt16(truncatingIfNeeded: frame.number)), 16)
        guard hasStructure || hasMask || used != wanted else { return bits.bytes }
        let isOther = (
            used.indications != wanted.indications, used.differences != wanted.differences,
            used.chains != wanted.chains
        )
        for flag in [hasStructure, hasMask, isOther.0, isOther.1, isOther.2] { bits.append(flag ? 1 : 0, 1) }
        if hasStructure { append(to: &bits) }
        if hasMask {
            for target in targets.reversed() { bits.append(target.spatial < active ? 1 : 0, 1) }
        }
        if isOther.0 { for indication in wanted.indications { bits.append(Int(indication), 2) } }
        if isOther.1 {
            for difference in wanted.differences {
                let size = difference <= 16 ? 1 : difference <= 256 ? 2 : 3
                bits.append(size, 2)
                bits.append(difference - 1, 4 * size)
            }
            bits.append(0, 2)
        }
        if isOther.2 { for chain in wanted.chains { bits.append(min(chain, 255), 8) } }
        return bits.bytes
    }

    /// template_dependency_structure()
    private func append(to bits: inout BitList) {
        bits.append(DescriptorEncoder.offset, 6)
        bits.append(targets.count - 1, 5)
        for (template, next) in zip(templates, templates.dropFirst()) {
            bits.append(
                next.spatial != template.spatial ? 2 : next.temporal != template.temporal ? 1 : 0,
                2
            )
        }
        bits.append(3, 2)
        for template in templates {
            for indication in template.indications { bits.append(Int(indication), 2) }
        }
        for template in templates {
            for difference in template.differences {
                bits.append(1, 1)
                bits.append(difference - 1, 4)
            }
            bits.append(0, 1)
        }
        bits.appendNonSymmetric(layers, of: targets.count + 1)
        for target in targets { bits.appendNonSymmetric(target.spatial, of: layers) }
        for template in templates {
            for chain in template.chains { bits.append(chain, 4) }
        }
        bits.append(1, 1)
        for layer in 0..<layers {
            bits.append(Int(settings.width) >> (layers - 1 - layer) - 1, 16)
            bits.append(Int(settings.height) >> (layers - 1 - layer) - 1, 16)
        }
    }
}

/// Bits, the most significant first.
private struct BitList {
    private(set) var bytes: [UInt8] = []
    private var count = 0

    mutating func append(_ value: Int, _ width: Int) {
        for bit in stride(from: width - 1, through: 0, by: -1) {
            if count & 7 == 0 { bytes.append(0) }
            if value >> bit & 1 != 0 { bytes[count >> 3] |= 0x80 >> UInt8(count & 7) }
            count += 1
        }
    }

    /// ns(n) of the AV1 specification §4.10.7.
    mutating func appendNonSymmetric(_ value: Int, of n: Int) {
        let width = Int.bitWidth - n.leadingZeroBitCount
        let short = 1 << width - n
        if value < short {
            append(value, width - 1)
        } else {
            append((value + short) >> 1, width - 1)
            append((value + short) & 1, 1)
        }
    }
}
