// The synthetic media say the truth about themselves, and say it as real encoders do.
import RTP
import Seam
import Simulation
import Testing

@Suite struct SyntheticMediaTests {
    private func parse(
        _ bytes: [UInt8],
        _ structure: inout DependencyStructure
    ) -> DependencyDescriptor? {
        bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.flatMap {
                DependencyDescriptor.parse($0, length: buffer.count, structure: &structure, isNewest: true)
            }
        }
    }

    private func info(_ packet: SourcePacket, _ codec: CodecName) -> FrameInfo? {
        packet.payload.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.flatMap { FrameInfo.parse(codec: codec, $0, length: buffer.count) }
        }
    }

    /// A key frame's descriptor of an L3T3 stream as Chromium sends it.
    private static let recorded: [UInt8] = hex(
        "c1017280081485214eafffaaaa863cf0430c10c302afc0aaa0063c00430010c002a000a80006000040001d954926e082b04a0941"
            + "b820ac1282503157f974000ca864330e222222eca8655304224230eca877530077004200ef008601df010d"
    )

    private static func hex(_ text: String) -> [UInt8] {
        stride(from: 0, to: text.utf8.count, by: 2).compactMap { at in
            UInt8(String(Array(text)[at..<at + 2]), radix: 16)
        }
    }

    private struct Template: Hashable {
        var layers: UInt8
        var indications: UInt64
        var differences: Set<UInt16>
        var chains: [UInt8]
    }

    private func templates(_ structure: DependencyStructure) -> [Template] {
        (0..<structure.templateCount).compactMap { index in
            var copy = structure
            let id = (structure.templateIDOffset + UInt8(index)) & 63
            return parse([0xc0 | id, 0, 0], &copy).map { it in
                Template(
                    layers: it.spatialLayer << 4 | it.temporalLayer,
                    indications: it.indications,
                    differences: Set((0..<it.differenceCount).map { it.differences[$0] }),
                    chains: (0..<it.chainCount).map { it.chainDifferences[$0] }
                )
            }
        }
    }

    @Test func theStructureOfL3T3IsThatOfChromium() throws {
        var format = VideoFormat(
            .av1,
            [(120, 67), (240, 135), (480, 270)].map {
                VideoFormat.Layer(width: $0, height: $1, bitsPerSecond: 50_000)
            }
        )
        format.structure = .fullSVC
        format.temporalLayers = 3
        let (_, packets) = originals(of: .video(format), pictures: 9)
        var theirs = DependencyStructure()
        var ours = DependencyStructure()
        _ = parse(SyntheticMediaTests.recorded, &theirs)
        _ = parse(try #require(packets[0].descriptor), &ours)
        #expect(ours.decodeTargetCount == 9 && ours.chainCount == 3)
        #expect(templates(ours).count == theirs.templateCount)
        #expect(Set(templates(ours)) == Set(templates(theirs)))
        for target in 0..<9 {
            #expect(ours.chain(ofTarget: target) == theirs.chain(ofTarget: target))
            #expect(ours.spatialLayer(ofTarget: target) == theirs.spatialLayer(ofTarget: target))
        }
        for layer in UInt8(0)..<3 {
            #expect(ours.width(ofSpatialLayer: layer) == theirs.width(ofSpatialLayer: layer))
            #expect(ours.height(ofSpatialLayer: layer) == theirs.height(ofSpatialLayer: layer))
        }
        // Frames behind the key picture name what they need: the first of them is 372 in the recording.
        let first = packets.filter { $0.stamp?.part == 0 }.compactMap(\.dependencies)
        #expect(first[3].differences == [3] && first[3].chains == [3, 2, 1])
        #expect(first[4].differences == [1, 3] && first[4].chains == [4, 3, 2])
        #expect(first[6].differences == [6] && first[6].chains == [6, 5, 4])
        // Most packets need no more than three bytes.
        #expect(packets.filter { $0.stamp?.isKey == false }.allSatisfy { $0.descriptor?.count == 3 })
    }

    @Test(arguments: Formats.names)
    func descriptorsSayWhatTheStampsSay(name: String) throws {
        let format = try Formats.named(name)
        let (_, packets) = originals(of: .video(format), pictures: 60) { source, picture in
            source.skips = 0.1
            if picture == 20 { source.activeSpatialLayers = 1 }
            if picture == 40 { source.activeSpatialLayers = 3 }
        }
        var structures: [Int: DependencyStructure] = [:]
        for packet in packets {
            let stamp = try #require(packet.stamp)
            let it = try #require(info(packet, format.codec), "\(name)")
            let isFirst = stamp.part == 0
            #expect(it.isKeyFrameStart == stamp.startsKeyFrame, "\(name): \(stamp)")
            if format.codec == .vp8 || format.codec == .vp9 {
                #expect(it.startsFrame == isFirst, "\(name)")
                if format.hasLayerIndices { #expect(it.temporalLayer == stamp.temporal, "\(name)") }
                #expect(it.spatialLayer == stamp.spatial && it.pictureIDBits == UInt8(format.pictureIDBits))
                if it.isLayerSync && stamp.temporal > 0 {
                    let lower = stamp.references.filter { $0.frame != stamp.frame }
                    #expect(!lower.isEmpty && !lower.contains { isUpper($0, stamp, packets) }, "\(name)")
                }
            }
            if format.codec == .vp9 {
                #expect(it.endsFrame == (stamp.part + 1 == stamp.partCount))
                #expect(it.isInterPredicted == !stamp.isKey)
                #expect(it.isInterLayerPredicted == stamp.references.contains { $0.frame == stamp.frame })
            }
            if format.codec == .h264 { #expect(it.isNonReference == (stamp.temporal > 0)) }
            if stamp.startsKeyFrame && format.codec != .av1 {
                let size = format.layers[format.isSVC ? min(format.layers.count, 3) - 1 : packet.layer]
                if !format.isSVC { #expect(it.width == size.width && it.height == size.height, "\(name)") }
            }
            guard let bytes = packet.descriptor, let expected = packet.dependencies else { continue }
            var structure = structures[packet.layer] ?? DependencyStructure()
            let parsed = parse(bytes, &structure)
            structures[packet.layer] = structure
            let descriptor = try #require(parsed, "\(name)")
            #expect(descriptor.frameNumber == UInt16(truncatingIfNeeded: expected.number))
            #expect(descriptor.startsFrame == isFirst && descriptor.hasStructure == stamp.startsKeyFrame)
            #expect(descriptor.spatialLayer == stamp.spatial && descriptor.temporalLayer == stamp.temporal)
            #expect(
                (0..<descriptor.differenceCount).map { Int(descriptor.differences[$0]) }.sorted()
                    == expected.differences
            )
            #expect(
                (0..<descriptor.chainCount).map { Int(descriptor.chainDifferences[$0]) } == expected.chains
            )
            #expect(
                expected.indications.indices.allSatisfy {
                    descriptor.indication(forTarget: $0).rawValue == expected.indications[$0]
                }
            )
            #expect(structure.activeDecodeTargets == expected.activeTargets, "\(name): \(stamp)")
        }
    }

    private func isUpper(_ reference: Stamp.Reference, _ stamp: Stamp, _ packets: [SourcePacket]) -> Bool {
        packets.contains { other in
            other.stamp.map {
                $0.layer == stamp.layer && $0.frame == reference.frame && $0.spatial == reference.spatial
                    && $0.temporal >= stamp.temporal
            } ?? false
        }
    }

    @Test func vp8HasTheRhythmOfLibvpx() throws {
        let (_, packets) = originals(of: .video(try Formats.named("VP8 L1T3")), pictures: 10)
        let frames = packets.filter { $0.layer == 0 && $0.stamp?.part == 0 }.compactMap { info($0, .vp8) }
        #expect(frames.map(\.temporalLayer) == [0, 2, 1, 2, 0, 2, 1, 2, 0, 2])
        #expect(
            frames.map(\.isLayerSync) == [false, true, true, false, false, false, false, false, false, true]
        )
        let tl0 = frames.map { ($0.tl0PicIndex - frames[0].tl0PicIndex + 256) % 256 }
        #expect(tl0 == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
    }

    @Test func upperLayersOfVP9AreSteppedUpToWhereTheyMayBe() throws {
        let (_, packets) = originals(of: .video(try Formats.named("VP9 L1T3 flexible")), pictures: 10)
        let frames = packets.filter { $0.layer == 0 && $0.stamp?.part == 0 }.compactMap { info($0, .vp9) }
        let ups = [true, true, true, true, false, true, false, true, true, true]
        #expect(frames.map(\.isSwitchingUpPoint) == ups)
        // U speaks of the pictures behind it, and with explicit references of an upper layer's own picture.
        let syncs = frames.map { !$0.isInterPredicted || $0.isSwitchingUpPoint && $0.temporalLayer > 0 }
        #expect(frames.map(\.isLayerSync) == syncs)
    }

    @Test func layerAllocationIsWrittenAsChromiumWritesIt() throws {
        let layers: [(UInt16, UInt16, Int)] = [(320, 180, 150), (640, 360, 500), (1280, 720, 2500)]
        var format = VideoFormat(
            .vp8,
            layers.map { VideoFormat.Layer(width: $0.0, height: $0.1, bitsPerSecond: $0.2 * 1000) }
        )
        format.temporalLayers = 3
        let (_, packets) = originals(of: .video(format), pictures: 30) { source, picture in
            source.announcesLayers = true
            if picture == 10 { source.activeLayers = [0] }
        }
        let told = packets.filter { $0.allocation != nil }
        #expect(told.count == 4)
        #expect(
            told[0].allocation
                == SyntheticMediaTests.hex(
                    "21a83c5a9601c801ac02f403e807dc0bc413013f00b31e027f01671e04ff02cf1e"
                )
        )
        let last = try #require(told[3].allocation).withUnsafeBufferPointer { buffer in
            buffer.baseAddress.flatMap { VideoLayersAllocation.parse($0, length: buffer.count) }
        }
        let it = try #require(last)
        #expect(told[3].stamp?.frame == 10 && it.streamCount == 3)
        #expect((0..<3).map { it.temporalLayerCount(stream: $0, spatialLayer: 0) } == [3, 0, 0])
        #expect(it.bitrate(stream: 0, spatialLayer: 0, temporalLayer: 2) == 150)
    }

    @Test func countersWrapSoon() throws {
        for name in Formats.names {
            let format = try Formats.named(name)
            let (publisher, packets) = originals(of: .video(format), pictures: 200) { source, picture in
                if picture % 20 == 19 { source.requestKeyFrame(layer: 0) }
            }
            let first = publisher.originals.filter { $0.stamp.layer == 0 }
            #expect(
                first.contains { $0.sequence < 65_536 } && first.contains { $0.sequence > 65_536 },
                "\(name)"
            )
            #expect(zip(first, first.dropFirst()).contains { $1.timestamp < $0.timestamp }, "\(name)")
            let infos = packets.filter { $0.layer == 0 }.compactMap { info($0, format.codec) }
            func wraps(_ value: (FrameInfo) -> Int) -> Bool {
                zip(infos, infos.dropFirst()).contains { value($1) < value($0) }
            }
            if infos[0].pictureID >= 0 { #expect(wraps { Int($0.pictureID) }, "\(name)") }
            if infos[0].tl0PicIndex >= 0 { #expect(wraps { Int($0.tl0PicIndex) }, "\(name)") }
            if infos[0].keyIndex >= 0 { #expect(wraps { Int($0.keyIndex) }, "\(name)") }
            if format.hasDescriptor {
                let numbers = first.compactMap { $0.dependencies?.number }
                #expect(numbers.contains { $0 < 65_536 } && numbers.contains { $0 > 65_536 }, "\(name)")
            }
        }
    }
}
