// Dependency descriptors (AV1 RTP specification, appendix A.8) for tests, written bit by bit, and records as they are
// kept of packets that carry them.
import RTP

@testable import SFU

/// A structure: what its templates say.
struct DescriptorPlan {
    struct Template {
        var spatial: UInt8
        var temporal: UInt8
        /// By decode target: "-" not present, "D" discardable, "S" switch, "R" required.
        var indications: String
        var differences: [Int] = []
        var chains: [Int] = []
    }

    var templates: [Template]
    /// By decode target, the chain that protects it; empty: no chains.
    var chains: [Int] = []

    private var targetCount: Int { templates[0].indications.count }
    private var chainCount: Int { (chains.max() ?? -1) + 1 }
    /// Template ids begin here.
    private static let offset = 5

    /// One frame's descriptor.
    /// - Parameters:
    ///   - differences: other ones than the template's.
    ///   - mask: active decode targets.
    func bytes(
        _ template: Int,
        number: UInt16,
        startsFrame: Bool = true,
        endsFrame: Bool = true,
        withStructure: Bool = false,
        indications: String? = nil,
        differences: [Int]? = nil,
        chains own: [Int]? = nil,
        mask: UInt32? = nil
    ) -> [UInt8] {
        var bits = Bits()
        bits.append(startsFrame ? 1 : 0, 1)
        bits.append(endsFrame ? 1 : 0, 1)
        bits.append(template + DescriptorPlan.offset, 6)
        bits.append(Int(number), 16)
        let flags = [withStructure, mask != nil, indications != nil, differences != nil, own != nil]
        guard flags.contains(true) else { return bits.bytes }
        for flag in flags { bits.append(flag ? 1 : 0, 1) }
        if withStructure { appendStructure(to: &bits) }
        if let mask { bits.append(Int(mask), targetCount) }
        if let indications { append(indications, to: &bits) }
        if let differences {
            for difference in differences {
                bits.append(3, 2)
                bits.append(difference - 1, 12)
            }
            bits.append(0, 2)
        }
        if let own { for chain in own { bits.append(chain, 8) } }
        return bits.bytes
    }

    private func append(_ indications: String, to bits: inout Bits) {
        for letter in indications {
            bits.append(letter == "-" ? 0 : letter == "D" ? 1 : letter == "S" ? 2 : 3, 2)
        }
    }

    private func appendStructure(to bits: inout Bits) {
        bits.append(DescriptorPlan.offset, 6)
        bits.append(targetCount - 1, 5)
        for (a, b) in zip(templates, templates.dropFirst()) {
            bits.append(a.spatial != b.spatial ? 2 : a.temporal != b.temporal ? 1 : 0, 2)
        }
        bits.append(3, 2)
        for template in templates { append(template.indications, to: &bits) }
        for template in templates {
            for difference in template.differences {
                bits.append(1, 1)
                bits.append(difference - 1, 4)
            }
            bits.append(0, 1)
        }
        bits.appendNonSymmetric(chainCount, of: targetCount + 1)
        if chainCount > 0 {
            for chain in chains { bits.appendNonSymmetric(chain, of: chainCount) }
            for template in templates { for chain in template.chains { bits.append(chain, 4) } }
        }
        bits.append(0, 1)
    }

    /// Most significant first.
    private struct Bits {
        private(set) var bytes: [UInt8] = []
        private var count = 0

        mutating func append(_ value: Int, _ width: Int) {
            for bit in (0..<width).reversed() {
                if count % 8 == 0 { bytes.append(0) }
                if value >> bit & 1 == 1 { bytes[count / 8] |= 0x80 >> UInt8(count % 8) }
                count += 1
            }
        }

        /// ns(n) of the AV1 specification, §4.10.7.
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
}

extension DescriptorPlan {
    /// Three temporal layers, 0 2 1 2. Where a new cycle of eight begins, everybody may step up.
    static let l1t3 = DescriptorPlan(
        templates: [
            Template(spatial: 0, temporal: 0, indications: "SSS", chains: [0]),
            Template(spatial: 0, temporal: 0, indications: "SRR", differences: [4], chains: [4]),
            Template(spatial: 0, temporal: 1, indications: "-SR", differences: [2], chains: [2]),
            Template(spatial: 0, temporal: 1, indications: "-RR", differences: [2, 4], chains: [2]),
            Template(spatial: 0, temporal: 2, indications: "--D", differences: [1], chains: [1]),
        ],
        chains: [0, 0, 0]
    )
    /// Two spatial layers, the upper one predicted from the lower one in every picture.
    static let l2t1 = DescriptorPlan(
        templates: [
            Template(spatial: 0, temporal: 0, indications: "SS", chains: [0, 0]),
            Template(spatial: 0, temporal: 0, indications: "SR", differences: [2], chains: [2, 1]),
            Template(spatial: 1, temporal: 0, indications: "-S", differences: [1], chains: [1, 1]),
            Template(spatial: 1, temporal: 0, indications: "-R", differences: [1, 2], chains: [1, 1]),
        ],
        chains: [0, 1]
    )
    /// Two spatial and two temporal layers.
    static let l2t2 = DescriptorPlan(
        templates: [
            Template(spatial: 0, temporal: 0, indications: "SSSS", chains: [0, 0]),
            Template(spatial: 0, temporal: 0, indications: "SRRR", differences: [4], chains: [4, 3]),
            Template(spatial: 0, temporal: 1, indications: "-D-R", differences: [2], chains: [2, 1]),
            Template(spatial: 1, temporal: 0, indications: "--SS", differences: [1], chains: [1, 1]),
            Template(spatial: 1, temporal: 0, indications: "--SR", differences: [1, 4], chains: [1, 1]),
            Template(spatial: 1, temporal: 1, indications: "---D", differences: [1, 2], chains: [3, 2]),
        ],
        chains: [0, 0, 1, 1]
    )
    /// The same with prediction from the lower layer on key pictures only.
    static let l2t1Key = DescriptorPlan(
        templates: [
            Template(spatial: 0, temporal: 0, indications: "SS", chains: [0, 0]),
            Template(spatial: 0, temporal: 0, indications: "S-", differences: [2], chains: [2, 1]),
            Template(spatial: 1, temporal: 0, indications: "-S", differences: [1], chains: [1, 1]),
            Template(spatial: 1, temporal: 0, indications: "-S", differences: [2], chains: [1, 2]),
        ],
        chains: [0, 1]
    )
}

extension StructureTable {
    /// Reads a descriptor as the packet with this number brings it.
    mutating func read(_ bytes: [UInt8], sequence: Int64, isNewest: Bool = true) -> DependencyDescriptor? {
        bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.flatMap {
                read($0, buffer.count, sequence: sequence, isNewest: isNewest)
            }
        }
    }
}
