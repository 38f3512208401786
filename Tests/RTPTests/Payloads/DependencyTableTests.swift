// Structures written from tables by an encoder of this test's own and read back: the shapes of the AV1 RTP
// specification's appendix A.10, and frames with everything of their own.
import RTP
import Testing

private struct Bits {
    private var bits: [UInt8] = []

    mutating func put(_ value: Int, _ count: Int) {
        for shift in (0..<count).reversed() { bits.append(UInt8(value >> shift & 1)) }
    }

    mutating func putNonSymmetric(_ value: Int, _ n: Int) {
        var width = 0
        while n >> width > 0 { width += 1 }
        let short = (1 << width) - n
        if value < short { put(value, width - 1) } else { put(value + short, width) }
    }

    var bytes: [UInt8] {
        stride(from: 0, to: bits.count, by: 8).map { start in
            (0..<8).reduce(UInt8(0)) { $0 << 1 | (start + $1 < bits.count ? bits[start + $1] : 0) }
        }
    }
}

private struct Template {
    var spatial: Int
    var temporal: Int
    /// "S-DR" by decode target.
    var indications: String
    var differences: [Int]
    var chains: [Int]

    init(_ spatial: Int, _ temporal: Int, _ indications: String, _ differences: [Int], _ chains: [Int]) {
        self.spatial = spatial
        self.temporal = temporal
        self.indications = indications
        self.differences = differences
        self.chains = chains
    }
}

private func code(_ indication: Character) -> Int { ["-": 0, "D": 1, "S": 2, "R": 3][indication] ?? 0 }

private struct Shape {
    var name: String
    var offset: Int
    var protectedBy: [Int]
    var templates: [Template]
    var resolutions: [(Int, Int)] = []

    var targetCount: Int { templates[0].indications.count }
    var chainCount: Int { templates[0].chains.count }

    func write(_ bits: inout Bits) {
        bits.put(offset, 6)
        bits.put(targetCount - 1, 5)
        for (index, template) in templates.enumerated() {
            guard index + 1 < templates.count else {
                bits.put(3, 2)
                continue
            }
            let next = templates[index + 1]
            bits.put(next.spatial > template.spatial ? 2 : next.temporal > template.temporal ? 1 : 0, 2)
        }
        for template in templates { for character in template.indications { bits.put(code(character), 2) } }
        for template in templates {
            for difference in template.differences { bits.put(1 << 4 | difference - 1, 5) }
            bits.put(0, 1)
        }
        bits.putNonSymmetric(chainCount, targetCount + 1)
        if chainCount > 0 {
            for chain in protectedBy { bits.putNonSymmetric(chain, chainCount) }
            for template in templates { for difference in template.chains { bits.put(difference, 4) } }
        }
        bits.put(resolutions.isEmpty ? 0 : 1, 1)
        for (width, height) in resolutions {
            bits.put(width - 1, 16)
            bits.put(height - 1, 16)
        }
    }
}

private let shapes: [Shape] = [
    Shape(
        name: "L1T3",
        offset: 0,
        protectedBy: [0, 0, 0],
        templates: [
            Template(0, 0, "SSS", [], [0]), Template(0, 0, "SSS", [4], [4]),
            Template(0, 1, "-DS", [2], [2]), Template(0, 2, "--D", [1], [1]),
            Template(0, 2, "--D", [1], [3]),
        ],
        resolutions: [(640, 360)]
    ),
    Shape(
        name: "L2T2, offset that wraps",
        offset: 62,
        protectedBy: [0, 0, 1, 1],
        templates: [
            Template(0, 0, "SSSS", [], [0, 0]), Template(0, 0, "SSRR", [4], [4, 3]),
            Template(0, 1, "-D-R", [2], [2, 1]), Template(1, 0, "--SS", [1], [1, 1]),
            Template(1, 0, "--SS", [4, 1], [1, 1]), Template(1, 1, "---D", [2, 1], [3, 2]),
        ],
        resolutions: [(640, 360), (1280, 720)]
    ),
    Shape(
        name: "L2T1_KEY",
        offset: 13,
        protectedBy: [0, 1],
        templates: [
            Template(0, 0, "SS", [], [0, 0]), Template(0, 0, "S-", [2], [2, 1]),
            Template(1, 0, "-S", [1], [1, 1]), Template(1, 0, "-S", [2], [1, 2]),
        ]
    ),
    Shape(
        name: "L1T1 without chains",
        offset: 5,
        protectedBy: [],
        templates: [Template(0, 0, "S", [], []), Template(0, 0, "S", [1], [])]
    ),
    Shape(
        name: "L3T1 full",
        offset: 40,
        protectedBy: [0, 1, 2],
        templates: [
            Template(0, 0, "SSS", [], [0, 0, 0]), Template(0, 0, "SRR", [3], [3, 2, 1]),
            Template(1, 0, "-SS", [1], [1, 1, 1]), Template(1, 0, "-SR", [3, 1], [1, 1, 1]),
            Template(2, 0, "--S", [1], [2, 1, 1]), Template(2, 0, "--S", [3, 1], [2, 1, 1]),
        ],
        resolutions: [(320, 180), (640, 360), (1280, 720)]
    ),
]

@Suite struct DependencyTableTests {
    private func parse(_ bytes: [UInt8], _ structure: inout DependencyStructure) -> DependencyDescriptor? {
        withBytes(bytes) { DependencyDescriptor.parse($0, length: $1, structure: &structure, isNewest: true) }
    }

    private func keyed(_ shape: Shape) throws -> DependencyStructure {
        var bits = Bits()
        bits.put(0b11, 2)
        bits.put(shape.offset, 6)
        bits.put(100, 16)
        bits.put(0b10000, 5)
        shape.write(&bits)
        var structure = DependencyStructure()
        let parsed = parse(bits.bytes, &structure)
        let it = try #require(parsed, "\(shape.name)")
        #expect(it.hasStructure && it.frameNumber == 100)
        return structure
    }

    @Test(arguments: shapes.indices) func everyTemplateIsThreeBytes(index: Int) throws {
        let shape = shapes[index]
        var structure = try keyed(shape)
        #expect(structure.templateCount == shape.templates.count && structure.chainCount == shape.chainCount)
        for (position, template) in shape.templates.enumerated() {
            let id = (shape.offset + position) & 63
            let parsed = parse([0x80 | UInt8(id), 0xFF, 0xFE], &structure)
            let it = try #require(parsed, "\(shape.name) \(position)")
            #expect(it.frameNumber == 0xFFFE && it.startsFrame && !it.endsFrame)
            #expect(Int(it.spatialLayer) == template.spatial && Int(it.temporalLayer) == template.temporal)
            #expect((0..<it.differenceCount).map { Int(it.differences[$0]) } == template.differences)
            #expect((0..<it.chainCount).map { Int(it.chainDifferences[$0]) } == template.chains)
            for (target, character) in template.indications.enumerated() {
                #expect(
                    Int(it.indication(forTarget: target).rawValue) == code(character),
                    "\(shape.name) \(position)"
                )
            }
            if template.spatial < shape.resolutions.count {
                #expect(Int(it.width) == shape.resolutions[template.spatial].0)
                #expect(Int(it.height) == shape.resolutions[template.spatial].1)
            } else {
                #expect(it.width == 0)
            }
        }
        #expect((0..<shape.protectedBy.count).map { structure.chain(ofTarget: $0) } == shape.protectedBy)
    }

    @Test func framesWithEverythingOfTheirOwn() throws {
        let shape = shapes[1]
        var structure = try keyed(shape)
        var bits = Bits()
        bits.put(0b01, 2)
        bits.put((62 + 5) & 63, 6)
        bits.put(7, 16)
        bits.put(0b01111, 5)
        bits.put(0b0111, 4)
        for character in "DR-S" { bits.put(code(character), 2) }
        for (size, difference) in [(1, 16), (2, 200), (3, 4096)] {
            bits.put(size, 2)
            bits.put(difference - 1, 4 * size)
        }
        bits.put(0, 2)
        bits.put(255, 8)
        bits.put(17, 8)
        let bytes = bits.bytes
        let parsed = parse(bytes, &structure)
        let it = try #require(parsed)
        #expect(it.spatialLayer == 1 && it.temporalLayer == 1)
        #expect(it.activeDecodeTargets == 0b0111 && structure.activeDecodeTargets == 0b0111)
        #expect(
            (0..<4).map { it.indication(forTarget: $0) } == [.discardable, .required, .notPresent, .switch]
        )
        #expect((0..<it.differenceCount).map { it.differences[$0] } == [16, 200, 4096])
        #expect((0..<it.chainCount).map { it.chainDifferences[$0] } == [255, 17])

        let out = withBytes(bytes) { p, count in
            written { it.rewrite(p, length: count, frameNumber: 9, mask: 0b0001, to: $0, capacity: 64) }
        }
        #expect(out.count == bytes.count)
        let again = parse(out, &structure)
        let back = try #require(again)
        #expect(back.frameNumber == 9 && back.activeDecodeTargets == 1)
        #expect(
            back.indications == it.indications && back.differenceCount == 3 && back.differences[2] == 4096
        )
        #expect(back.chainDifferences[0] == 255 && back.chainDifferences[1] == 17)
        for length in 4..<bytes.count {
            let cut = parse(Array(bytes.prefix(length)), &structure)
            #expect(cut == nil, "\(length)")
        }
    }

    @Test func structuresBeyondTheBoundsAreRefused() {
        func isRefused(_ build: (inout Bits) -> Void) -> Bool {
            var bits = Bits()
            bits.put(0b11, 2)
            bits.put(0, 6)
            bits.put(1, 16)
            bits.put(0b10000, 5)
            build(&bits)
            bits.put(0, 600)
            var structure = DependencyStructure()
            return parse(bits.bytes, &structure) == nil && !structure.isValid
        }
        // A fifth spatial layer, a ninth temporal layer, a 65th template, a ninth difference, 17 chains.
        #expect(
            isRefused {
                $0.put(0, 11); for _ in 0..<4 { $0.put(2, 2) }; $0.put(3, 2)
            }
        )
        #expect(
            isRefused {
                $0.put(0, 11); for _ in 0..<8 { $0.put(1, 2) }; $0.put(3, 2)
            }
        )
        #expect(
            isRefused {
                $0.put(0, 11); for _ in 0..<64 { $0.put(0, 2) }; $0.put(3, 2)
            }
        )
        #expect(
            isRefused {
                $0.put(0, 11); $0.put(3, 2); $0.put(2, 2); for _ in 0..<9 { $0.put(0b10000, 5) }
            }
        )
        #expect(
            isRefused {
                $0.put(0, 6)
                $0.put(31, 5)
                $0.put(3, 2)
                $0.put(0, 64)
                $0.put(0, 1)
                $0.putNonSymmetric(17, 33)
            }
        )
    }
}
