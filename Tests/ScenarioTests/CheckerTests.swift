// The simulated media and its judge, against themselves: what is forwarded as it should be passes, and every kind of
// mistake is found.
import RTP
import Seam
import Simulation
import Testing

/// All kinds of synthetic video, by name.
enum Formats {
    static let layers = [
        VideoFormat.Layer(width: 320, height: 180, bitsPerSecond: 60_000),
        VideoFormat.Layer(width: 640, height: 360, bitsPerSecond: 150_000),
        VideoFormat.Layer(width: 1280, height: 720, bitsPerSecond: 400_000),
    ]

    private static func make(
        _ codec: CodecName,
        _ structure: VideoFormat.Structure = .simulcast,
        temporal: Int = 1,
        _ change: (inout VideoFormat) -> Void = { _ in }
    ) -> VideoFormat {
        var format = VideoFormat(codec, layers)
        format.structure = structure
        format.temporalLayers = temporal
        format.packetBytes = 500
        change(&format)
        return format
    }

    static let all: [(name: String, format: VideoFormat)] = [
        ("VP8 L1T1", make(.vp8)),
        ("VP8 L1T2", make(.vp8, temporal: 2) { $0.hasLongReferences = true }),
        ("VP8 L1T3", make(.vp8, temporal: 3) { $0.hasLongReferences = true }),
        ("VP8 L1T3 7 bits", make(.vp8, temporal: 3) { $0.pictureIDBits = 7 }),
        (
            "VP8 bare",
            make(.vp8) {
                $0.pictureIDBits = 0
                $0.hasLayerIndices = false
            }
        ),
        ("VP8 L1T3 with descriptor", make(.vp8, temporal: 3) { $0.hasDescriptor = true }),
        ("H264", make(.h264)),
        ("H264 non-reference", make(.h264, temporal: 2) { $0.separatesParameterSets = true }),
        ("VP9 L1T3", make(.vp9, temporal: 3)),
        (
            "VP9 L1T3 flexible",
            make(.vp9, temporal: 3) {
                $0.isFlexible = true
                $0.hasLongReferences = true
            }
        ),
        ("VP9 L3T3", make(.vp9, .fullSVC, temporal: 3)),
        ("VP9 L3T3 flexible", make(.vp9, .fullSVC, temporal: 3) { $0.isFlexible = true }),
        ("VP9 L3T3_KEY", make(.vp9, .keySVC, temporal: 3)),
        (
            "VP9 L3T3_KEY flexible with descriptor",
            make(.vp9, .keySVC, temporal: 3) {
                $0.isFlexible = true
                $0.hasDescriptor = true
            }
        ),
        ("AV1 L1T1", make(.av1)),
        ("AV1 L1T3", make(.av1, temporal: 3)),
        ("AV1 L1T3 long", make(.av1, temporal: 3) { $0.hasLongReferences = true }),
        ("AV1 L3T3", make(.av1, .fullSVC, temporal: 3)),
        ("AV1 L3T3_KEY", make(.av1, .keySVC, temporal: 3)),
        ("AV1 L3T1_KEY", make(.av1, .keySVC)),
    ]

    static let names = all.map(\.name)

    static func named(_ name: String) throws -> VideoFormat {
        try #require(all.first { $0.name == name }).format
    }
}

@Suite struct CheckerTests {
    private func check(_ publisher: SimulatedPublisher, _ packets: [ReceivedPacket]) -> StreamChecker {
        StreamChecker(packets, kind: .video, context: StreamChecker.Context(publishers: [publisher]))
    }

    /// Layers that change with every key picture, and encodings of which each has its own.
    private func changing(_ format: VideoFormat) -> (SimulatedPublisher, [ReceivedPacket]) {
        let (publisher, packets) = originals(of: .video(format), pictures: 160) { source, picture in
            source.skips = 0.05
            source.pads = 0.1
            if picture % 24 == 23 {
                for layer in 0..<source.layerCount { source.requestKeyFrame(layer: layer) }
            }
            if picture == 60 {
                source.activeSpatialLayers = 2
                source.activeLayers.remove(2)
            }
            if picture == 110 {
                source.activeSpatialLayers = 3
                source.activeLayers = Set(0..<source.layerCount)
            }
        }
        var forwarder = IdealForwarder(publisher)
        forwarder.forward(packets) { picture in
            let turn = Int(picture) / 20
            return IdealForwarder.Choice(
                layer: format.isSVC ? 0 : turn % 2,
                spatial: turn * 2 % 3,
                temporal: 2 - turn % 3
            )
        }
        return (publisher, forwarder.packets)
    }

    @Test(arguments: Formats.names)
    func whatIsForwardedAsItShouldBePasses(name: String) throws {
        let format = try Formats.named(name)
        let (publisher, packets) = changing(format)
        // The forwarder closes up over padding that is not in `packets`.
        let checker = check(publisher, packets)
        #expect(checker.violations.isEmpty, "\(name): \(checker.violations.prefix(5))")
        #expect(checker.frames > 50, "\(name)")
        #expect(format.isSVC || checker.switches >= 2, "\(name)")
        #expect(checker.worstAlignment < 100, "\(name)")
        #expect(checker.temporalSeen.count == format.temporalLayers, "\(name)")
        if format.isSVC { #expect(checker.spatialSeen.count == 3, "\(name)") }
        let shown = DecoderModel(packets).shown
        #expect(
            Set(shown.map(\.stamp.frame)).count == Set(packets.compactMap(\.stamp?.frame)).count,
            "\(name)"
        )
    }

    /// Leaves frames out and closes the numbers over them.
    private func without(_ packets: [ReceivedPacket], _ isOut: (Stamp) -> Bool) -> [ReceivedPacket] {
        var kept = packets.filter { $0.stamp.map { !isOut($0) } ?? true }
        for i in kept.indices { kept[i].sequence = 500 + Int64(i) }
        return kept
    }

    @Test(arguments: Formats.names)
    func everyFrameThatIsNeededIsMissed(name: String) throws {
        let (publisher, packets) = changing(try Formats.named(name))
        let frames = Set(packets.compactMap(\.stamp?.frameID))
        var needed: Set<Stamp.FrameID> = []
        for stamp in packets.compactMap(\.stamp) {
            for reference in stamp.references {
                var id = stamp.frameID
                id.frame = reference.frame
                id.spatial = reference.spatial
                if id.frame > 0 { needed.insert(id) }
            }
        }
        #expect(needed.isSubset(of: frames), "\(name)")
        let victims = needed.sorted { ($0.frame, $0.spatial) < ($1.frame, $1.spatial) }
        for victim in stride(from: 1, to: victims.count, by: max(victims.count / 5, 1)).map({ victims[$0] }) {
            let checker = check(publisher, without(packets) { $0.frameID == victim })
            #expect(checker.violations.contains { $0.contains("left out") }, "\(name): \(victim)")
        }
    }

    @Test(arguments: Formats.names)
    func aFrameThatIsCutIsFound(name: String) throws {
        let (publisher, packets) = changing(try Formats.named(name))
        let inner = try #require(
            packets.firstIndex { ($0.stamp?.partCount ?? 0) > 2 && $0.stamp?.part == 1 && $0.sequence > 520 }
        )
        var cut = packets
        cut.remove(at: inner)
        for i in inner..<cut.count { cut[i].sequence -= 1 }
        #expect(check(publisher, cut).violations.contains { $0.contains("was left out") }, "\(name)")
        // A number that stays open although the packet arrived is no better.
        var open = packets
        open.remove(at: inner)
        #expect(check(publisher, open).violations.contains { $0.contains("numbers are missing") }, "\(name)")
    }

    private typealias Change = (inout [ReceivedPacket]) -> Void

    private func mistakes(_ packets: [ReceivedPacket]) throws -> [(
        name: String, text: String, change: Change
    )] {
        let middle = packets.count / 2
        let inner = try #require(
            packets.indices.first { i in
                i > middle && packets[i].stamp?.part == 0 && (packets[i].stamp?.partCount ?? 0) > 1
            }
        )
        let end = try #require(packets.indices.first { $0 > middle && packets[$0].marker })
        let second = try #require(
            packets.indices.first { i in
                i > 0 && packets[i].stamp?.layer == 1
                    && packets[i - 1].stamp?.layer != packets[i].stamp?.layer
            } ?? packets.indices.first { i in i > middle && packets[i].stamp?.part == 0 }
        )
        return [
            ("a payload that changed", "another payload", { $0[middle].payload[40] ^= 1 }),
            ("a packet twice", "came twice", { $0.insert(self.copy($0[middle], behind: $0), at: $0.count) }),
            ("a marker inside", "marker is inside", { $0[inner].marker = true }),
            ("a marker that is gone", "marker is missing", { $0[end].marker = false }),
            (
                "a gap that filtering left", "numbers are missing",
                { for i in middle..<$0.count { $0[i].sequence += 1 } }
            ),
            ("places that are swapped", "comes after", { self.swap(&$0, inner) }),
            ("a clock that jumps", "ticks before", { $0[middle].timestamp &+= 91 }),
            (
                "a clock that goes back", "timestamp goes back",
                { for i in second..<$0.count { $0[i].timestamp &-= 400_000 } }
            ),
            ("an orientation that is lost", "is turned", { for i in $0.indices { $0[i].orientation = nil } }),
            (
                "a capture time that is lost", "another time",
                { for i in $0.indices { $0[i].captureTime = nil } }
            ),
        ]
    }

    private func copy(_ packet: ReceivedPacket, behind packets: [ReceivedPacket]) -> ReceivedPacket {
        var copy = packet
        copy.sequence = (packets.last?.sequence ?? 0) + 1
        return copy
    }

    private func swap(_ packets: inout [ReceivedPacket], _ i: Int) {
        let number = packets[i].sequence
        packets[i].sequence = packets[i + 1].sequence
        packets[i + 1].sequence = number
    }

    @Test(arguments: [
        "VP8 L1T3", "H264 non-reference", "VP9 L1T3 flexible", "VP9 L3T3", "AV1 L1T1", "AV1 L3T3_KEY",
    ])
    func mistakesInNumbersAndMarkersAreFound(name: String) throws {
        let (publisher, packets) = changing(try Formats.named(name))
        for mistake in try mistakes(packets) {
            var changed = packets
            mistake.change(&changed)
            let violations = check(publisher, changed).violations
            #expect(
                violations.contains { $0.contains(mistake.text) },
                "\(name): \(mistake.name), \(violations.prefix(3))"
            )
        }
    }

    @Test(arguments: Formats.names.filter { !$0.contains("bare") })
    func mistakesInDescriptorsAreFound(name: String) throws {
        let format = try Formats.named(name)
        let (publisher, packets) = changing(format)
        let middle = packets.count / 2
        func expect(_ text: String, _ what: String, _ change: (inout ReceivedPacket) -> Void) {
            var changed = packets
            for i in middle..<changed.count { change(&changed[i]) }
            let violations = check(publisher, changed).violations
            #expect(violations.contains { $0.contains(text) }, "\(name): \(what), \(violations.prefix(3))")
        }
        func patch(_ picture: Int32, _ tl0: Int16, _ key: Int8) -> (inout ReceivedPacket) -> Void {
            { packet in
                let count = packet.payload.count
                packet.payload.withUnsafeMutableBufferPointer { buffer in
                    guard let base = buffer.baseAddress,
                        let it = FrameInfo.parse(codec: format.codec, base, length: count)
                    else { return }
                    let id = UInt16(truncatingIfNeeded: it.pictureID + picture)
                    let index = UInt8(truncatingIfNeeded: it.tl0PicIndex + tl0)
                    if format.codec == .vp9 {
                        VP9Descriptor.patch(base, length: count, pictureID: id, tl0PicIndex: index)
                    } else {
                        let newKey = UInt8(bitPattern: it.keyIndex &+ key)
                        VP8Descriptor.patch(
                            base,
                            length: count,
                            pictureID: id,
                            tl0PicIndex: index,
                            keyIndex: newKey
                        )
                    }
                }
            }
        }
        if format.codec == .vp8 || format.codec == .vp9 {
            expect("picture id", "picture ids that jump", patch(2, 0, 0))
        }
        if format.codec == .vp8 || format.codec == .vp9 && !format.isFlexible {
            expect("TL0PICIDX", "a TL0PICIDX that jumps", patch(0, 1, 0))
        }
        if format.codec == .vp8 { expect("KEYIDX", "a KEYIDX that jumps", patch(0, 0, 1)) }
        guard format.codec == .av1 else { return }
        expect("frame number", "frame numbers that jump") { $0.descriptor?[2] ^= 1 }
        expect("no dependency descriptor", "a descriptor that is gone") { $0.descriptor = nil }
        expect("start and end", "flags that are wrong") { $0.descriptor?[0] ^= 0x80 }
        guard format.temporalLayers * format.spatialLayers > 1 else { return }
        expect("no target of the mask", "an empty mask") { packet in
            guard let old = packet.descriptor, old.count > 3, old.count < 12 else { return }
            packet.descriptor =
                Array(old.prefix(3)) + [old[3] & 0xf8 | 0x40] + [UInt8](repeating: 0, count: 24)
        }
    }

    @Test(arguments: ["AV1 L3T3", "AV1 L3T3_KEY", "AV1 L1T3"])
    func aMaskThatPromisesTooMuchIsFound(name: String) throws {
        let (publisher, packets) = originals(of: .video(try Formats.named(name)), pictures: 60)
        var forwarder = IdealForwarder(publisher)
        forwarder.forward(packets) { _ in IdealForwarder.Choice(spatial: 9, temporal: 9) }
        #expect(check(publisher, forwarder.packets).violations.isEmpty)
        // All is promised, and the upper temporal layers are left out.
        let low = without(forwarder.packets) { $0.temporal == 2 }
        #expect(check(publisher, low).violations.contains { $0.contains("is promised") }, "\(name)")
    }

    @Test func switchesWithoutKeyFrameAreFound() throws {
        for name in ["VP8 L1T1", "H264", "VP9 L1T3", "AV1 L1T1"] {
            let (publisher, packets) = originals(of: .video(try Formats.named(name)), pictures: 60) {
                source,
                picture in
                if picture == 20 { source.requestKeyFrame(layer: 1) }
            }
            var low = IdealForwarder(publisher)
            low.forward(packets) { _ in IdealForwarder.Choice(layer: 0) }
            var high = IdealForwarder(publisher)
            high.forward(packets) { _ in IdealForwarder.Choice(layer: 1) }
            let mixed =
                low.packets.filter { ($0.stamp?.frame ?? 0) < 30 }
                + high.packets.filter { ($0.stamp?.frame ?? 0) >= 30 }
            let violations = check(publisher, without(mixed) { _ in false }).violations
            #expect(violations.contains { $0.contains("begins without a key frame") }, "\(name)")
        }
    }

    @Test func aFrameThatASwitchBrokeOffNeedsANumber() throws {
        let (publisher, packets) = originals(of: .video(try Formats.named("VP8 L1T1")), pictures: 60) {
            source,
            picture in
            if picture == 30 { source.requestKeyFrame(layer: 0) }
            if picture == 31 { source.requestKeyFrame(layer: 1) }
        }
        var forwarder = IdealForwarder(publisher)
        forwarder.forward(packets) {
            $0 < 31 ? IdealForwarder.Choice(layer: 0) : IdealForwarder.Choice(layer: 1)
        }
        let change = try #require(forwarder.packets.firstIndex { $0.stamp?.layer == 1 })
        // The last packet of the old layer is not sent any more.
        var broken = forwarder.packets
        broken.remove(at: change - 1)
        #expect(check(publisher, broken).violations.isEmpty)
        for i in (change - 1)..<broken.count { broken[i].sequence -= 1 }
        #expect(check(publisher, broken).violations.contains { $0.contains("no number tells") })
        for i in (change - 1)..<broken.count { broken[i].sequence += 2 }
        #expect(check(publisher, broken).violations.contains { $0.contains("numbers are missing where") })
    }

    @Test func numbersOfWhatTheServerNeverGotAreNoGaps() throws {
        let (publisher, packets) = originals(of: .video(try Formats.named("VP8 L1T3")), pictures: 60)
        var forwarder = IdealForwarder(publisher)
        forwarder.forward(packets) { _ in IdealForwarder.Choice(layer: 2) }
        let victim = try #require(forwarder.packets.firstIndex { $0.stamp?.part == 1 && $0.sequence > 540 })
        var lossy = forwarder.packets
        let lost = lossy.remove(at: victim)
        #expect(!check(publisher, lossy).violations.isEmpty)
        // The server says that nothing is there, or it never came.
        publisher.markLost(try #require(lost.stamp))
        let checker = check(publisher, lossy)
        #expect(checker.violations.isEmpty && checker.gaps == 1, "\(checker.violations.prefix(3))")
        var context = StreamChecker.Context(publishers: [publisher])
        context.void = [lost.sequence]
        let void = StreamChecker(lossy, kind: .video, context: context)
        #expect(void.violations.isEmpty && void.gaps == 0 && void.voids == 1)
        // Closed up, the loss would never be noticed.
        for i in victim..<lossy.count { lossy[i].sequence -= 1 }
        #expect(check(publisher, lossy).violations.contains { $0.contains("no number tells") })
    }
}
