// Ways to freeze a picture at a switch of layers that others have found (§ names: the project and issue).
import RTP
import Seam
import Simulation
import Testing

@Suite struct SwitchPitfallTests {
    private func switchAbout(_ scene: LayerScene, times: Int, every milliseconds: Int64 = 600) {
        for turn in 0..<times {
            scene.view([180, 720, 360, 720, 180, 360][turn % 6])
            scene.run(milliseconds)
        }
    }

    @Test(arguments: ["VP8 L1T3", "VP8 L1T3 7 bits", "VP9 L1T3"])
    func pictureIDsAndTL0PICIDXGoOnOverSwitches_mediasoup140(format: String) throws {
        let scene = try LayerScene(format)
        switchAbout(scene, times: 12)
        scene.finish()
        let checker = scene.check()
        #expect(checker.switches >= 6 && checker.layersSeen.count == 3, "\(format)")
        #expect(scene.decoder().freezes(longerThan: .milliseconds(200)).isEmpty, "\(format)")
    }

    @Test(arguments: UInt64(1)...3)
    func aKeyFrameThatCameTooLateIsFollowedByAnother_mediasoup999(seed: UInt64) throws {
        let scene = try LayerScene("VP8 L1T1", seed: seed)
        scene.view(180)
        scene.run(1500)
        #expect(scene.layerShown() == 0)
        let askedAt = scene.call.now
        // The first key frame of the best layer comes 200 ms after everything else of its time.
        var late: UInt32?
        scene.publisher.fate = { packet in
            guard packet.stamp.layer == 2, packet.stamp.isKey, packet.sentAt > askedAt else { return .pass }
            late = late ?? packet.stamp.frame
            return packet.stamp.frame == late ? .delay(.milliseconds(200)) : .pass
        }
        scene.view(720)
        scene.run(2500)
        #expect(late != nil)
        let delay = scene.delay(from: askedAt, toLayer: 2)
        #expect(delay.map { $0 < .milliseconds(1500) } == true, "seed \(seed): \(String(describing: delay))")
        #expect(scene.layerShown() == 2)
        scene.finish()
        scene.check()
    }

    @Test func theLayerThatTheClockWasTakenFromMayVanish_mediasoup1459() throws {
        let scene = try LayerScene("VP8 L1T1")
        scene.view(180)
        scene.run(1500)
        scene.view(720)
        scene.run(1500)
        scene.camera.source.activeLayers = [1, 2]
        scene.run(4000)
        scene.view(360)
        scene.run(1500)
        #expect(scene.layerShown() == 1)
        scene.camera.source.activeLayers = [2]
        scene.run(2000)
        #expect(scene.layerShown() == 2)
        scene.finish()
        let checker = scene.check()
        #expect(checker.worstAlignment < 5_000, "\(checker.worstAlignment) µs")
    }

    @Test func withoutSenderReportsSwitchesAreNotHeldUp_mediasoup1098() throws {
        let scene = try LayerScene("VP8 L1T1")
        scene.publisher.sendsSenderReports = false
        scene.run(1000)
        for (height, layer) in [(180, 0), (720, 2), (360, 1)] {
            let askedAt = scene.call.now
            scene.view(height)
            scene.run(1000)
            #expect(scene.delay(from: askedAt, toLayer: layer).map { $0 < .milliseconds(300) } == true)
        }
        scene.finish()
        #expect(scene.check().worstAlignment < 100_000)
    }

    @Test(arguments: UInt64(1)...4)
    func whatOvertakesTheSwitchFindsItsPlace_mediasoup823(seed: UInt64) throws {
        let scene = try LayerScene("VP8 L1T3", seed: seed)
        let link = LinkConditions.lossy(0.02, jitter: .milliseconds(60), reorders: true)
        scene.degrade(up: link, down: link)
        switchAbout(scene, times: 10, every: 500)
        scene.degrade()
        scene.finish()
        #expect(scene.check().switches >= 4, "seed \(seed)")
    }

    @Test(arguments: UInt64(1)...4)
    func paddingAloneLeavesNoGap_mediasoup1431(seed: UInt64) throws {
        let scene = try LayerScene("VP8 L1T3", seed: seed) { _ in
        } prepare: {
            $0.source.pads = 0.6
        }
        scene.degrade(up: .lossy(0, jitter: .milliseconds(30), reorders: true))
        switchAbout(scene, times: 8)
        scene.degrade()
        scene.finish()
        let checker = scene.check()
        #expect(checker.gaps <= checker.switches, "seed \(seed)")
        #expect(scene.decoder().freezes(longerThan: .milliseconds(250)).isEmpty, "seed \(seed)")
    }

    /// Every encoding of a VP9 simulcast says that it is spatial layer 0.
    @Test func vp9SimulcastIsToldByRid_livekit4594_livekit4718() throws {
        let scene = try LayerScene("VP9 L1T3")
        scene.run(1000)
        for (height, layer) in [(180, 0), (720, 2), (360, 1), (720, 2)] {
            scene.view(height)
            scene.run(1000)
            #expect(scene.layerShown() == layer, "\(height)")
        }
        scene.finish()
        scene.check()
    }
}
