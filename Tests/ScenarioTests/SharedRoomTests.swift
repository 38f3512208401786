// Rooms whose members live on several shards. `SFU_SHARDS=2` runs all other scenarios that way, too.
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct SharedRoomTests {
    private func drops(_ call: Call, _ reason: String) -> UInt64 {
        call.shards.reduce(0) { $0 + ($1.counters.drops[reason] ?? 0) }
    }

    @Test(arguments: UInt64(1)...3)
    func everyPacketOfEitherReachesTheOtherOnAnotherShard(seed: UInt64) throws {
        let call = try Call(seed: seed, shards: 3)
        var people: [SimulatedPeer] = []
        for shard in 0..<3 {
            people.append(
                try call.join("person\(shard)", shard: shard) { peer in
                    peer.publishBoth()
                    peer.addSlots(audio: 2, video: 2)
                }
            )
        }
        #expect(call.run(atMost: .seconds(2)) { people.allSatisfy(\.isConnected) }, "seed \(seed)")
        call.run(for: .seconds(6))
        for listener in people {
            for speaker in people where speaker !== listener {
                let heard = listener.received.filter { $0.stamp?.source == speaker.mic.source.id }
                #expect(heard.count > 250, "seed \(seed)")
                let first = heard.first?.sequence ?? 0
                #expect(heard.map(\.sequence) == heard.indices.map { first + Int64($0) }, "seed \(seed)")
                let seen = listener.received.filter { $0.stamp?.source == speaker.camera.source.id }
                #expect(seen.last?.stamp?.layer == 2, "seed \(seed)")
            }
            for slot in 0..<4 { call.check(listener, slot: slot, of: people) }
            #expect(listener.undecryptable == 0, "seed \(seed)")
        }
        // Each packet crossed to the two other shards once: it was decrypted once.
        let sent = people.flatMap(\.publishers).map(\.originals.count).reduce(0, +)
        #expect(call.relayedPackets <= 2 * (sent + 60), "seed \(seed): \(sent) sent")
        #expect(call.relayedPackets > sent, "seed \(seed)")
        #expect(drops(call, "relayUnknown") == 0, "seed \(seed)")
        call.checkAccounts()
    }

    @Test func aTileOnOneShardSwitchesTheCameraOfAnother() throws {
        let scene = try LayerScene("VP8 L1T3", viewers: 3, shards: 2)
        scene.run(1000)
        for number in 0..<3 { scene.view(180, by: number) }
        scene.runObeying(6000)
        #expect(scene.told == [true, false, false], "nobody on either shard wants more")
        for number in 0..<3 {
            let grownAt = scene.call.now
            let requests = scene.camera.keyFrameRequests
            scene.view(720, by: number)
            scene.runObeying(1500)
            let delay = scene.delay(from: grownAt, toLayer: 2, by: number)
            #expect(delay.map { $0 <= .milliseconds(400) } == true, "viewer \(number): \(delay as Any)")
            #expect(scene.camera.keyFrameRequests - requests <= 1, "viewer \(number)")
            #expect(scene.told[2], "viewer \(number)")
            scene.view(180, by: number)
            scene.runObeying(6000)
            #expect(scene.told == [true, false, false], "viewer \(number)")
        }
        scene.finish()
        for number in 0..<3 { scene.check(number) }
    }

    @Test func muteAndLeavingReachTheOtherShard() throws {
        let call = try Call(seed: 4, shards: 2)
        let speaker = try call.join("speaker", shard: 0) { $0.publishBoth() }
        let listener = try call.join("listener", shard: 1) { $0.addSlots(audio: 1, video: 1) }
        #expect(call.run(atMost: .seconds(2)) { speaker.isConnected && listener.isConnected })
        call.run(for: .seconds(1))
        func heard() -> Bool {
            listener.received.contains {
                $0.at > call.now - .milliseconds(100) && $0.stamp?.source == speaker.mic.source.id
            }
        }
        #expect(heard())
        call.apply(.mute(speaker.mic.id, true))
        call.run(for: .milliseconds(200))
        #expect(!heard())
        #expect(call.slots(of: listener).values.contains { $0.reason == .muted })
        call.apply(.mute(speaker.mic.id, false))
        call.run(for: .milliseconds(200))
        #expect(heard())
        call.leave(speaker)
        call.run(for: .milliseconds(300))
        #expect(call.slots(of: listener).values.allSatisfy { $0.publication == nil })
        #expect(call.shards[0].counters.gauges["rooms"] == 0)
        // It comes back to the other shard's room, which is still there.
        let again = try call.join("again", shard: 0) { $0.publishBoth() }
        #expect(call.run(atMost: .seconds(2)) { again.isConnected })
        call.run(for: .seconds(1))
        #expect(listener.received.contains { $0.stamp?.source == again.mic.source.id })
        call.leave(listener)
        let late = try call.join("late", shard: 1) { $0.addSlots(audio: 1, video: 1) }
        call.run(for: .seconds(1))
        #expect(late.received.contains { $0.stamp?.source == again.camera.source.id })
        call.check(late, slot: 1, of: [again])
        call.leave(again)
        call.leave(late)
        call.run(for: .milliseconds(100))
        for shard in call.shards {
            #expect(shard.counters.gauges["rooms"] == 0 && shard.counters.gauges["mirrors"] == 0)
        }
    }

    /// What is lost between shards is lost: subscribers go on with the next key frame, and nothing is sent broken.
    @Test(arguments: UInt64(1)...3)
    func whereTheWayBetweenShardsIsFullTheStreamStaysWhole(seed: UInt64) throws {
        let call = try Call(seed: seed, shards: 2)
        let speaker = try call.join("speaker", shard: 0) { $0.publishBoth() }
        let viewer = try call.join("viewer", shard: 1) { $0.addSlots(audio: 1, video: 1) }
        #expect(call.run(atMost: .seconds(2)) { speaker.isConnected && viewer.isConnected }, "seed \(seed)")
        call.relayLoss = 5
        call.run(for: .seconds(5))
        call.relayLoss = 0
        let lost = call.now
        viewer.requestKeyFrame(slot: viewer.slots[1].ssrc, at: call.now)
        call.run(for: .seconds(3))
        let shown = DecoderModel(viewer.packets(on: 1)).shown.filter { $0.at > lost }
        #expect(shown.first.map { $0.at - lost <= .seconds(1) } == true, "seed \(seed)")
        #expect(shown.count > 50, "seed \(seed)")
        #expect(viewer.undecryptable == 0 && viewer.unlikeCopies == 0, "seed \(seed)")
        #expect(speaker.camera.keyFrameRequests > 0, "seed \(seed)")
    }

    @Test func theLoudestOfAllShardsAreHeardOnAll() throws {
        let call = try Call(seed: 6, shards: 3)
        var people: [SimulatedPeer] = []
        for number in 0..<24 {
            people.append(
                try call.join("person\(number)") { peer in
                    peer.publish(.opus(bytes: 60)).source.audioLevel = 90
                    peer.addSlots(audio: number == 7 ? 3 : 2, video: 0)
                }
            )
        }
        #expect(call.run(atMost: .seconds(5)) { people.allSatisfy(\.isConnected) })
        call.run(for: .seconds(1))
        let crossed = call.relayedPackets
        let quietSince = call.now
        call.run(for: .seconds(2))
        // 24 silent microphones at 50 packets a second, to two other shards each.
        #expect(call.relayedPackets - crossed < 2 * 24 * 100 / 4, "what nobody hears stays where it is")
        for turn in 0..<12 {
            let speaker = people[(turn * 5) % people.count]
            let began = call.now
            speaker.mic.source.audioLevel = 0x80 | 15
            call.run(for: .milliseconds(900))
            for listener in people where listener !== speaker {
                let first = listener.received.first {
                    $0.at >= began && $0.stamp?.source == speaker.mic.source.id
                }
                #expect(first.map { $0.at - began <= .milliseconds(60) } == true, "turn \(turn)")
            }
            speaker.mic.source.audioLevel = 90
            call.run(for: .milliseconds(600))
        }
        // One shard speaks for the room.
        let reports = call.events.compactMap { at, event -> (at: Instant, report: SpeakerReport)? in
            guard case .speakers(let report) = event, at > quietSince else { return nil }
            return (at, report)
        }
        #expect(reports.count > 12)
        for (a, b) in zip(reports, reports.dropFirst()) { #expect(b.at - a.at >= .milliseconds(200)) }
        for person in people { call.check(person, slot: 0, of: people) }
    }

    /// The shard that mirrors a voice sees none of its packets while it is silent, however long.
    @Test func aVoiceIsFoundAgainAfterItsNumbersWentRoundUnseen() throws {
        let call = try Call(seed: 7, shards: 2)
        var people: [SimulatedPeer] = []
        for number in 0..<8 {
            people.append(
                try call.join("person\(number)") { peer in
                    peer.publish(.opus(bytes: 40)).source.audioLevel = 90
                    peer.addSlots(audio: 1, video: 0)
                }
            )
        }
        #expect(call.run(atMost: .seconds(5)) { people.allSatisfy(\.isConnected) })
        let silent = people[2]
        silent.mic.source.audioLevel = 0x80 | 20
        call.run(for: .seconds(1))
        silent.mic.source.audioLevel = 110
        for other in people[3...5] { other.mic.source.audioLevel = 0x80 | 30 }
        silent.mic.source.framesPerSecond = 1000
        call.run(for: .seconds(35))
        silent.mic.source.framesPerSecond = 50
        for other in people[3...5] { other.mic.source.audioLevel = 110 }
        call.run(for: .seconds(1))
        let began = call.now
        silent.mic.source.audioLevel = 0x80 | 20
        call.run(for: .milliseconds(500))
        for listener in people where listener !== silent {
            let heard = listener.received.filter {
                $0.at > began && $0.stamp?.source == silent.mic.source.id
            }
            #expect(heard.count > 20)
        }
    }
}
