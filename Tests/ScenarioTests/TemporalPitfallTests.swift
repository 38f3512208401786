// Mistakes that others made with temporal layers: numbers that were taken away with a layer, and late packets.
import RTP
import Seam
import Simulation
import Testing

@Suite struct TemporalPitfallTests {
    private static let withThree = Formats.all.filter { $0.format.temporalLayers == 3 }.map(\.name)

    @Test(arguments: TemporalPitfallTests.withThree)
    func frameRatesThatAreWantedDecideTheTemporalLayer(format: String) throws {
        let scene = try LayerScene(format)
        scene.run(1500)
        for (wanted, top, rate) in [
            (8, 0, 7.5), (15, 1, 15.0), (0, 2, 30.0), (15, 1, 15.0), (30, 2, 30.0), (7, 0, 7.5),
        ] {
            scene.view(720, maxFrameRate: wanted)
            scene.run(1000)
            let since = scene.call.now
            scene.run(1000)
            let seen = scene.stamps(since: since).map(\.temporal).max()
            #expect(seen == UInt8(top), "\(format), at most \(wanted) frames")
            let shown = scene.decoder().rate(from: since, to: scene.call.now)
            #expect(abs(shown - rate) < 2.1, "\(format): \(shown) frames at \(wanted)")
            #expect(scene.call.slots(of: scene.viewer)["s0"]?.temporalLayer == UInt8(top), "\(format)")
        }
        scene.finish()
        let checker = scene.check()
        #expect(checker.gaps == 0, "\(format)")
    }

    @Test(arguments: ["VP8 L1T2", "VP8 L1T3", "VP8 L1T3 7 bits", "VP9 L1T3", "VP9 L3T3"])
    func noTL0PICIDXIsDroppedWithAnUpperLayer_mediasoup817(format: String) throws {
        let scene = try LayerScene(format)
        scene.view(720, maxFrameRate: 8)
        scene.degrade(up: .lossy(0.05), down: .lossy(0.05))
        for turn in 0..<10 {
            scene.view(720, maxFrameRate: turn % 2 == 0 ? 8 : 0)
            scene.run(500)
        }
        scene.degrade()
        scene.finish()
        scene.check()
    }

    @Test(arguments: ["VP8 L1T3", "VP8 L1T3 7 bits", "VP9 L1T3", "VP9 L3T3_KEY"])
    func pictureIDsRollOverWhileLayersAreLeftOut_mediasoup984(format: String) throws {
        let scene = try LayerScene(format)
        for turn in 0..<16 {
            scene.view(720, maxFrameRate: [8, 15, 30, 15][turn % 4])
            scene.run(400)
        }
        scene.finish()
        let checker = scene.check()
        #expect(checker.temporalSeen.count == 3, "\(format)")
    }

    @Test(arguments: ["VP8 L1T3", "VP9 L1T3", "VP9 L3T3", "AV1 L1T3", "AV1 L3T3"])
    func latePacketsOfALayerThatIsLeftOutStayOut_mediasoup1009(format: String) throws {
        let scene = try LayerScene(format)
        scene.view(720, maxFrameRate: 8)
        scene.run(1500)
        let since = scene.call.now + .milliseconds(300)
        scene.degrade(up: .lossy(0.05, jitter: .milliseconds(60), reorders: true))
        scene.run(4000)
        scene.degrade()
        scene.finish()
        #expect(scene.stamps(since: since).allSatisfy { $0.temporal == 0 }, "\(format)")
        scene.check()
    }

    @Test(arguments: UInt64(1)...3)
    func latePacketsOfVP9AreJudgedByTheirPlace_mediasoup1486(seed: UInt64) throws {
        for format in ["VP9 L3T3", "VP9 L3T3_KEY", "VP9 L1T3 flexible"] {
            let scene = try LayerScene(format, seed: seed)
            scene.degrade(up: .lossy(0.03, jitter: .milliseconds(80), reorders: true))
            for turn in 0..<10 {
                scene.view([180, 720, 360][turn % 3], maxFrameRate: [0, 8, 15][turn / 2 % 3])
                scene.run(400)
            }
            scene.degrade()
            scene.finish()
            scene.check()
        }
    }
}
