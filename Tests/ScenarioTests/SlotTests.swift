import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct SlotTests {
    private static let h264 = CodecParameters(
        payloadType: 102,
        name: .h264,
        clockRate: 90_000,
        formatParameters: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        rtxPayloadType: 103,
        feedback: [.nack, .pli]
    )

    @Test func aCodecThatCannotBeDecodedIsSaid() throws {
        let call = try Call(seed: 1)
        let (_, viewer) = try call.publisherAndViewer { peer in
            peer.addSlot(.audio)
            peer.addSlot(.video, codec: SlotTests.h264)
        }
        call.run(for: .seconds(1))
        let slot = call.slots(of: viewer)["s1"]
        #expect(slot?.reason == .codec && slot?.paused == true && slot?.publication != nil)
        #expect(viewer.packets(on: 1).isEmpty)
        #expect(viewer.packets(on: 0).count > 30)
        #expect(call.shard.counters.drops["codecMismatch"] == nil)
    }

    @Test func oneUserDoesNotHearHimself() throws {
        let call = try Call(seed: 2)
        let prepare = { (peer: SimulatedPeer) in
            peer.publishBoth()
            peer.addSlots(audio: 2, video: 2)
        }
        let laptop = try call.join("laptop", user: "anna", prepare: prepare)
        let phone = try call.join("phone", user: "anna", prepare: prepare)
        let other = try call.join("other", user: "ben", prepare: prepare)
        call.run(for: .seconds(2))
        for device in [laptop, phone] {
            let sources = Set(device.received.compactMap(\.stamp?.source))
            #expect(sources == Set(other.publishers.map(\.source.id)))
        }
        let heard = Set(other.received.compactMap(\.stamp?.source))
        #expect(heard == Set((laptop.publishers + phone.publishers).map(\.source.id)))
    }

    @Test(arguments: UInt64(1)...3)
    func whoSpeaksGetsASlot(seed: UInt64) throws {
        let call = try Call(seed: seed)
        var speakers: [SimulatedPeer] = []
        for number in 0..<6 {
            speakers.append(
                try call.join("speaker\(number)") { peer in
                    let mic = peer.publish(.opus(bytes: 60))
                    mic.source.audioLevel = 127
                }
            )
        }
        let listener = try call.join("listener") { $0.addSlots(audio: 2, video: 0) }
        call.run(for: .seconds(2))
        var random = SimulatedICEClient.Generator(seed: seed)
        for _ in 0..<5 {
            let talking = speakers.shuffled(using: &random).prefix(2)
            for speaker in speakers { speaker.mic.source.audioLevel = 127 }
            for speaker in talking { speaker.mic.source.audioLevel = 0x80 | 20 }
            call.run(for: .milliseconds(1500))
            let heard = Set(
                listener.received.filter { $0.at > call.now - .milliseconds(300) }.compactMap(\.stamp?.source)
            )
            #expect(heard == Set(talking.map(\.mic.source.id)), "seed \(seed)")
        }
        for slot in 0..<2 {
            let packets = listener.packets(on: slot).map(\.sequence)
            #expect(zip(packets, packets.dropFirst()).allSatisfy { $1 == $0 + 1 }, "seed \(seed)")
        }
        #expect(listener.undecryptable == 0)
    }

    @Test func aSlotThatIsNegotiatedAnewNeverUsesANumberTwice() throws {
        let call = try Call(seed: 4)
        let (publisher, viewer) = try call.publisherAndViewer { peer in
            peer.addSlots(audio: 1, video: 1)
            peer.keepsDatagrams = true
        }
        call.run(for: .seconds(1))
        let full = viewer.media(generation: 2)
        var without = full
        without.sections.removeAll()
        var changed = full
        for i in changed.sections.indices { changed.sections[i].section.codecs[0].payloadType += 1 }
        for media in [without, full, changed, full] {
            call.apply(.configure(viewer.session, media))
            call.run(for: .seconds(1))
        }
        var numbers: Set<UInt64> = []
        let repeated = viewer.datagrams.filter { datagram in
            let key =
                (0..<4).reduce(UInt64(0)) { $0 << 8 | UInt64(datagram[8 + $1]) } << 16
                | UInt64(datagram[2]) << 8 | UInt64(datagram[3])
            return !numbers.insert(key).inserted
        }
        #expect(repeated.isEmpty)
        #expect(viewer.undecryptable == 0)
        #expect(viewer.packets(on: 0).last.map { call.now - $0.at < .milliseconds(50) } == true)
        _ = publisher
    }
}
