// Numbers and their rollovers, copies that cross each other, and what a subscriber may say of the round trip.
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct NumberPitfallTests {
    /// Our own streams begin in the lower half of the circle: whoever misses the first packets guesses no wrong rollover.
    @Test func theFirstPacketsMayBeLost_libsrtp567() throws {
        for seed in UInt64(1)...12 {
            let scene = try LayerScene("VP8 L1T1", seed: seed, withAudio: true)
            var down = LinkConditions.perfect
            down.isDown = true
            scene.degrade(down: down)
            scene.run(Int64(seed) * 120)
            scene.degrade()
            scene.viewer.requestKeyFrame(slot: scene.viewer.slots[0].ssrc, at: scene.call.now)
            scene.run(1500)
            #expect(scene.viewer.undecryptable == 0, "seed \(seed)")
            #expect(scene.layerShown() == 2, "seed \(seed)")
            for slot in [0, 1] {
                let first = scene.viewer.packets(on: slot).first
                #expect(first.map { $0.sequence < 0x8800 } == true, "seed \(seed): \(first?.sequence ?? -1)")
            }
        }
    }

    /// All that a publisher sent before its numbers rolled over is lost: its rollover counter is 1 when we see it first.
    @Test(arguments: UInt64(1)...4)
    func aStreamMayBeSeenFirstBehindItsRollover_mediasoup1438(seed: UInt64) throws {
        let scene = try LayerScene("VP8 L1T1", seed: seed) { _ in
        } prepare: { camera in
            camera.source.activeLayers = [2]
        }
        scene.publisher.fate = { $0.sequence < 65_536 ? .lose : .pass }
        scene.run(4500)
        scene.publisher.fate = nil
        #expect(scene.camera.originals.contains { $0.sequence > 65_536 }, "seed \(seed)")
        #expect(scene.layerShown() == 2, "seed \(seed)")
        scene.finish()
        scene.check()
    }

    /// Numbers that jump far under the same SSRC are a sender that goes on, not a loss of thousands of packets.
    @Test(arguments: ["VP8 L1T3", "AV1 L3T3"], [3_000, 20_000, 30_000] as [Int64])
    func aSenderThatResumesWithOtherNumbersIsFollowed_libsrtp424(format: String, step: Int64) throws {
        let scene = try LayerScene(format)
        scene.run(1500)
        for _ in 0..<3 {
            let before = scene.publisher.asked.count
            let jumpedAt = scene.call.now
            scene.camera.skipNumbers(step)
            for layer in 0..<scene.camera.source.layerCount {
                scene.camera.source.requestKeyFrame(layer: layer)
            }
            scene.run(1000)
            let first = scene.decoder().first(after: jumpedAt + .milliseconds(20))
            let delay = (first?.at ?? .distantFuture) - jumpedAt
            #expect(delay <= .milliseconds(400), "\(format), \(step): \(delay.milliseconds) ms")
            #expect(scene.publisher.asked.count - before <= Limits.Media.nackMaximumGap, "\(format), \(step)")
            #expect(scene.layerShown() == 2, "\(format), \(step)")
        }
        #expect(scene.viewer.undecryptable == 0, "\(format), \(step)")
    }

    /// A copy by RTX comes before the original that was only late: the second one changes nothing.
    @Test(arguments: ["VP8 L1T3", "VP9 L3T3", "AV1 L1T3"])
    func aLateOriginalAfterItsRepairChangesNothing_openNOW838(format: String) throws {
        let scene = try LayerScene(format, withAudio: true)
        scene.run(1000)
        scene.publisher.fate = { $0.sequence % 11 == 0 ? .delay(.milliseconds(120)) : .pass }
        scene.run(3000)
        scene.publisher.fate = nil
        scene.finish()
        let checker = scene.check()
        #expect(checker.gaps == 0 && checker.unrepaired == 0, "\(format)")
        #expect(scene.call.shard.counters.drops["rtpDuplicate"].map { $0 > 20 } == true, "\(format)")
        let sound = StreamChecker(
            scene.viewer.packets(on: 1),
            kind: .audio,
            context: scene.viewer.context(of: 1, from: scene.publisher.publishers)
        )
        #expect(sound.violations.isEmpty && sound.frames > 100, "\(format): \(sound.violations.prefix(3))")
    }

    /// A subscriber whose reports make the round trip negative or endless gets its repairs all the same.
    @Test(arguments: [Int64(-5000), -50, -1, 60_000])
    func aRoundTripThatCannotBeHoldsNoRepairUp_mediasoup1082(milliseconds: Int64) throws {
        let scene = try LayerScene("VP8 L1T1")
        scene.run(1000)
        scene.degrade(down: .lossy(0.05))
        for _ in 0..<40 {
            sendReport(to: scene, roundTrip: milliseconds)
            scene.run(100)
        }
        scene.degrade()
        scene.finish(2500)
        let checker = scene.check()
        #expect(checker.unrepaired == 0, "\(milliseconds) ms")
        #expect(scene.decoder().freezes(longerThan: .milliseconds(400)).isEmpty, "\(milliseconds) ms")
    }

    private func sendReport(to scene: LayerScene, roundTrip: Int64) {
        guard let report = scene.viewer.senderReports.last?.report else { return }
        let now = NTPTime(scene.call.now, epochOffset: .seconds(3_900_000_000)).middle32
        var block = ReportBlock(ssrc: scene.viewer.slots[0].ssrc)
        block.lastSenderReport = report.ntpTime.middle32
        let since = Int64(now &- block.lastSenderReport)
        block.delaySinceLastSenderReport = UInt32(truncatingIfNeeded: since - roundTrip * 65_536 / 1000)
        var bytes = [UInt8](repeating: 0, count: 128)
        let length = bytes.withUnsafeMutableBufferPointer { buffer -> Int in
            guard let base = buffer.baseAddress else { return 0 }
            var writer = RTCPWriter(base, capacity: 128)
            _ = writer.appendReceiverReport(ssrc: 77)
            _ = writer.append(block)
            return writer.length
        }
        scene.viewer.send(protectedRTCP: Array(bytes.prefix(length)), at: scene.call.now)
    }

    /// Packets with a lower number and a later timestamp than those that are kept: what is resent is what was sent.
    @Test(arguments: UInt64(1)...3)
    func lowerNumbersWithLaterTimesAreKeptApart_mediasoup1044(seed: UInt64) throws {
        let scene = try LayerScene("VP8 L1T1", seed: seed)
        scene.degrade(down: .lossy(0.08))
        scene.viewer.asksTwice = true
        for _ in 0..<5 {
            scene.run(400)
            scene.camera.skipNumbers(900)
            scene.run(150)
            // Into what was left out.
            scene.camera.skipNumbers(-600)
            scene.run(200)
            scene.camera.skipNumbers(700)
        }
        for layer in 0..<3 { scene.camera.source.requestKeyFrame(layer: layer) }
        scene.degrade()
        scene.run(1500)
        #expect(scene.layerShown() == 2, "seed \(seed)")
        #expect(scene.viewer.unlikeCopies == 0 && scene.viewer.undecryptable == 0, "seed \(seed)")
        var sizes: [Stamp: Int] = [:]
        for (stamp, place) in scene.camera.sent { sizes[stamp] = scene.camera.originals[place].payload.count }
        #expect(
            scene.packets().allSatisfy { packet in
                packet.stamp.map { sizes[$0] == packet.payload.count } == true
            },
            "seed \(seed)"
        )
    }

    /// A switch in the middle of a picture leaves one number out, so that no decoder takes the picture for whole.
    @Test(arguments: ["VP8 L1T1", "H264"])
    func aPictureThatIsBrokenOffIsNotTakenForWhole_mediasoup408(format: String) throws {
        let scene = try LayerScene(format)
        scene.run(1000)
        // The end of each picture of the other layers comes late, so that the switch is before it.
        for turn in 0..<8 {
            let wanted = [0, 2, 1][turn % 3]
            scene.publisher.fate = { packet in
                let isEnd = packet.stamp.layer != wanted && packet.marker
                return isEnd ? .delay(.milliseconds(25)) : .pass
            }
            scene.view([180, 720, 360][turn % 3])
            scene.run(500)
        }
        scene.publisher.fate = nil
        scene.finish()
        let checker = scene.check()
        #expect(checker.switches >= 7, "\(format)")
        #expect(checker.gaps <= checker.switches, "\(format)")
    }

    /// What names no picture and no layer goes through as it is.
    @Test func descriptorsWithoutPictureIDsAreLeftAlone_jvb2105() throws {
        let scene = try LayerScene("VP8 bare")
        for turn in 0..<8 {
            scene.view([180, 720, 360][turn % 3], maxFrameRate: turn % 2 == 0 ? 10 : 0)
            scene.run(500)
        }
        scene.finish()
        #expect(scene.check().switches >= 6)
        for packet in scene.packets() {
            guard let stamp = packet.stamp, let place = scene.camera.sent[stamp] else { continue }
            #expect(packet.payload == scene.camera.originals[place].payload, "\(stamp)")
        }
    }
}
