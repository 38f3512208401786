import RTP
import Testing

@Suite struct DependencyDescriptorTests {
    /// First packet of a key frame of an L3T3_KEY source with 120×67, 240×135 and 480×270.
    private let key = hex(
        "c1017280081485214eafffaaaa863cf0430c10c302afc0aaa0063c00430010c002a000a80006000040001d954926e082b04a0941"
            + "b820ac1282503157f974000ca864330e222222eca8655304224230eca877530077004200ef008601df010d"
    )

    private func parse(
        _ bytes: [UInt8],
        _ structure: inout DependencyStructure,
        isNewest: Bool = true
    ) -> DependencyDescriptor? {
        withBytes(bytes) {
            DependencyDescriptor.parse($0, length: $1, structure: &structure, isNewest: isNewest)
        }
    }

    private func keyed() -> DependencyStructure {
        var structure = DependencyStructure()
        _ = parse(key, &structure)
        return structure
    }

    /// "S-DR" in the order of the targets.
    private func indications(_ it: DependencyDescriptor, _ structure: DependencyStructure) -> String {
        (0..<structure.decodeTargetCount).map { target in
            switch it.indication(forTarget: target) {
            case .notPresent: "-"
            case .discardable: "D"
            case .switch: "S"
            case .required: "R"
            }
        }.joined()
    }

    private func differences(_ it: DependencyDescriptor) -> [UInt16] {
        (0..<it.differenceCount).map { it.differences[$0] }
    }

    private func chains(_ it: DependencyDescriptor) -> [UInt8] {
        (0..<it.chainCount).map { it.chainDifferences[$0] }
    }

    @Test func keyPacket() throws {
        var structure = DependencyStructure()
        let parsed = parse(key, &structure)
        let it = try #require(parsed)
        #expect(it.startsFrame && it.endsFrame && it.templateID == 1 && it.frameNumber == 370)
        #expect(it.hasStructure && !it.hasActiveDecodeTargets && it.activeDecodeTargets == 0x1FF)
        #expect(it.spatialLayer == 0 && it.temporalLayer == 0)
        #expect(indications(it, structure) == "SSSSSSSSS")
        #expect(differences(it).isEmpty && chains(it) == [0, 0, 0])
        #expect(it.width == 120 && it.height == 67)

        #expect(structure.isValid && structure.templateIDOffset == 0)
        #expect(
            structure.decodeTargetCount == 9 && structure.templateCount == 15 && structure.chainCount == 3
        )
        #expect(structure.maxSpatialLayer == 2 && structure.maxTemporalLayer == 2)
        #expect((0..<9).map { structure.chain(ofTarget: $0) } == [0, 0, 0, 1, 1, 1, 2, 2, 2])
        #expect((0..<9).map { structure.spatialLayer(ofTarget: $0) } == [0, 0, 0, 1, 1, 1, 2, 2, 2])
        #expect((0..<9).map { structure.temporalLayer(ofTarget: $0) } == [0, 1, 2, 0, 1, 2, 0, 1, 2])
        #expect((0..<3).map { structure.width(ofSpatialLayer: $0) } == [120, 240, 480])
        #expect((0..<3).map { structure.height(ofSpatialLayer: $0) } == [67, 135, 270])
        #expect(structure.activeDecodeTargets == 0x1FF)
    }

    @Test func framesOfTheTemplates() throws {
        var structure = keyed()
        struct Expected {
            var bytes: String
            var frame: UInt16
            var spatial: UInt8
            var temporal: UInt8
            var differences: [UInt16]
            var chains: [UInt8]
            var indications: String?
        }
        let table: [Expected] = [
            Expected(
                bytes: "860173",
                frame: 371,
                spatial: 1,
                temporal: 0,
                differences: [1],
                chains: [1, 1, 1],
                indications: "---SSSSSS"
            ),
            Expected(
                bytes: "8b0174",
                frame: 372,
                spatial: 2,
                temporal: 0,
                differences: [1],
                chains: [2, 1, 1]
            ),
            Expected(
                bytes: "c30175",
                frame: 373,
                spatial: 0,
                temporal: 2,
                differences: [3],
                chains: [3, 2, 1],
                indications: "--D--R--R"
            ),
            Expected(
                bytes: "88017640fc",
                frame: 374,
                spatial: 1,
                temporal: 2,
                differences: [3, 1],
                chains: [4, 3, 2]
            ),
            Expected(
                bytes: "c2017840fc",
                frame: 376,
                spatial: 0,
                temporal: 1,
                differences: [6],
                chains: [6, 5, 4]
            ),
        ]
        for row in table {
            let parsed = parse(hex(row.bytes), &structure)
            let it = try #require(parsed, "\(row.bytes)")
            #expect(it.frameNumber == row.frame && it.startsFrame)
            #expect(it.spatialLayer == row.spatial && it.temporalLayer == row.temporal, "\(row.bytes)")
            #expect(differences(it) == row.differences, "\(row.bytes)")
            #expect(chains(it) == row.chains, "\(row.bytes)")
            if let wanted = row.indications { #expect(indications(it, structure) == wanted, "\(row.bytes)") }
        }
    }

    @Test func activeDecodeTargets() throws {
        var structure = keyed()
        let parsed = parse(hex("46017340fc"), &structure)
        let it = try #require(parsed)
        #expect(!it.startsFrame && it.endsFrame && it.hasActiveDecodeTargets)
        #expect(it.activeDecodeTargets == 0b000_111_111)
        #expect(structure.activeDecodeTargets == 0b000_111_111)
        #expect(structure.targets(upToSpatialLayer: 1, temporalLayer: 2) == 0b000_111_111)
        #expect(structure.targets(upToSpatialLayer: 2, temporalLayer: 0) == 0b001_001_001)
        #expect(structure.target(spatialLayer: 1, temporalLayer: 2) == 5)
        #expect(structure.target(spatialLayer: 3, temporalLayer: 0) == -1)
    }

    @Test func latePacketsDoNotChangeTheStructure() throws {
        var structure = keyed()
        _ = parse(hex("46017340fc"), &structure)
        let late = parse(hex("46017341fc"), &structure, isNewest: false)
        #expect(try #require(late).activeDecodeTargets == 0b001_111_111)
        #expect(structure.activeDecodeTargets == 0b000_111_111)
        let lateKey = parse(key, &structure, isNewest: false)
        #expect(try #require(lateKey).hasStructure)
        #expect(structure.activeDecodeTargets == 0b000_111_111)
        var empty = DependencyStructure()
        let alone = parse(key, &empty, isNewest: false)
        #expect(try #require(alone).temporalLayer == 0)
        #expect(!empty.isValid)
    }

    @Test func withoutAStructureNothingIsUnderstood() {
        var structure = DependencyStructure()
        for text in ["860173", "46017340fc", ""] {
            let it = parse(hex(text), &structure)
            #expect(it == nil, "\(text)")
        }
    }

    @Test func templatesOutsideTheStructureAreRefused() {
        var structure = keyed()
        let it = parse(hex("cf0173"), &structure)
        #expect(it == nil)
    }

    @Test func everyCutIsRefused() {
        for length in 0..<key.count {
            var structure = DependencyStructure()
            let it = parse(Array(key.prefix(length)), &structure)
            #expect(it == nil && !structure.isValid, "\(length)")
        }
        var structure = keyed()
        let cutMask = parse(hex("46017340"), &structure)
        #expect(cutMask == nil)
        #expect(structure.activeDecodeTargets == 0x1FF)
    }

    @Test func rewriteAddsAMask() throws {
        var structure = keyed()
        for (text, wanted) in [
            ("860173", "86aaaa40fc"),
            // It has one: it is replaced.
            ("c2017841fc", "c2aaaa40fc"),
        ] {
            let parsed = parse(hex(text), &structure)
            let it = try #require(parsed)
            let out = withBytes(hex(text)) { p, count in
                written {
                    it.rewrite(
                        p,
                        length: count,
                        frameNumber: 0xAAAA,
                        mask: 0b000_111_111,
                        to: $0,
                        capacity: 8
                    )
                }
            }
            #expect(out == hex(wanted))
            let refused = withBytes(hex(text)) { p, count in
                written { it.rewrite(p, length: count, frameNumber: 1, mask: 1, to: $0, capacity: 4) }
            }
            #expect(refused.isEmpty)
        }
    }

    @Test func rewriteKeepsTheStructure() throws {
        var structure = DependencyStructure()
        let parsed = parse(key, &structure)
        let it = try #require(parsed)
        let out = withBytes(key) { p, count in
            written {
                it.rewrite(
                    p,
                    length: count,
                    frameNumber: 5,
                    mask: 0b111,
                    to: $0,
                    capacity: count + DependencyDescriptor.maskBytes
                )
            }
        }
        var second = DependencyStructure()
        let again = parse(out, &second)
        let back = try #require(again)
        #expect(back.frameNumber == 5 && back.hasStructure && back.hasActiveDecodeTargets)
        #expect(back.activeDecodeTargets == 0b111 && second.activeDecodeTargets == 0b111)
        #expect(second.templateCount == 15 && second.width(ofSpatialLayer: 2) == 480)
        #expect(chains(back) == chains(it) && back.indications == it.indications)
        for (bytes, layer) in [("860173", 1), ("8b0174", 2)] {
            let frame = parse(hex(bytes), &second)
            #expect(try #require(frame).spatialLayer == layer)
        }
    }

    @Test func frameInfoTakesTheDescriptorsWord() throws {
        var structure = DependencyStructure()
        let parsed = parse(key, &structure)
        var info = FrameInfo()
        info.apply(try #require(parsed))
        #expect(info.isKeyFrameStart && info.isLayerSync && info.startsFrame && info.endsFrame)
        #expect(!info.isInterPredicted && info.width == 120)
        let next = parse(hex("c30175"), &structure)
        info.apply(try #require(next))
        #expect(
            !info.isKeyFrameStart && !info.isLayerSync && info.temporalLayer == 2 && info.isInterPredicted
        )
    }

    @Test func frameNumberIsPatchedInPlace() {
        withBytes(hex("860173")) { p, _ in
            DependencyDescriptor.patchFrameNumber(p, 0xBEEF)
            #expect((0..<3).map { p[$0] } == hex("86beef"))
        }
    }

    @Test func randomBytesNeverCrash() {
        var structure = keyed()
        fuzz(seed: 61, maxLength: 120, corpus: [key, hex("88017640fc"), hex("860173")]) { p, count in
            let it = DependencyDescriptor.parse(p, length: count, structure: &structure, isNewest: true)
            guard let it else { return }
            #expect(it.spatialLayer < 4 && it.temporalLayer < 8)
            let out = written(capacity: 256) {
                it.rewrite(p, length: count, frameNumber: it.frameNumber, mask: 1, to: $0, capacity: 256)
            }
            var other = structure
            let back = parse(out, &other)
            #expect(back?.indications == it.indications)
            #expect(back?.differenceCount == it.differenceCount)
            #expect(back?.activeDecodeTargets == 1)
        }
    }
}
