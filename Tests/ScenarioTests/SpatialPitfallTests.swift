// Spatial layers of one encoding: which of them a picture needs, and what happens when the top one goes.
import RTP
import Seam
import Simulation
import Testing

@Suite struct SpatialPitfallTests {
    private static let keySVC = Formats.all.filter { $0.format.structure == .keySVC }.map(\.name)
    private static let svc = Formats.all.filter(\.format.isSVC).map(\.name)

    @Test(arguments: SpatialPitfallTests.keySVC)
    func lowerLayersGoOutWithKeyPicturesOnly_mediasoup778(format: String) throws {
        let scene = try LayerScene(format)
        scene.run(3000)
        scene.finish()
        scene.check()
        let stamps = scene.packets().compactMap(\.stamp)
        #expect(stamps.contains { $0.isKey && $0.spatial == 0 })
        #expect(stamps.contains { !$0.isKey })
        #expect(stamps.allSatisfy { $0.isKey || $0.spatial == 2 }, "\(format)")
    }

    @Test(arguments: SpatialPitfallTests.svc)
    func theTileDecidesTheSpatialLayer(format: String) throws {
        let scene = try LayerScene(format)
        scene.run(1000)
        for (height, layer) in [(180, 0), (360, 1), (720, 2), (100, 0), (500, 2), (300, 1)] {
            scene.view(height)
            scene.run(1200)
            #expect(scene.layerShown() == layer, "\(format), height \(height)")
            #expect(scene.call.slots(of: scene.viewer)["s0"]?.spatialLayer == UInt8(layer), "\(format)")
        }
        scene.finish()
        scene.check()
    }

    @Test(arguments: SpatialPitfallTests.svc, [false, true])
    func aTopLayerThatVanishesIsLeftAtOnce_mediasoup1821(format: String, announces: Bool) throws {
        let scene = try LayerScene(format) { _ in
        } prepare: {
            $0.source.announcesLayers = announces
        }
        scene.run(2000)
        #expect(scene.layerShown() == 2, "\(format)")
        let vanishedAt = scene.call.now
        scene.camera.source.activeSpatialLayers = 1
        scene.run(1500)
        #expect(
            scene.delay(from: vanishedAt, toLayer: 0).map { $0 <= .milliseconds(500) } == true,
            "\(format)"
        )
        #expect(scene.decoder().freezes(longerThan: .milliseconds(500)).isEmpty, "\(format)")
        let backAt = scene.call.now
        scene.camera.source.activeSpatialLayers = 3
        scene.run(1500)
        #expect(scene.delay(from: backAt, toLayer: 2).map { $0 <= .seconds(1) } == true, "\(format)")
        scene.finish()
        scene.check()
    }

    @Test(arguments: ["VP9 L3T3", "VP9 L3T3_KEY", "AV1 L3T3_KEY", "VP8 L1T3"])
    func comingAndGoingLeavesNoHoles_mediasoup1069(format: String) throws {
        let scene = try LayerScene(format)
        scene.view(90, maxFrameRate: 5)
        scene.run(1000)
        for _ in 0..<8 {
            scene.view(90, visible: false, maxFrameRate: 5)
            scene.run(230)
            scene.view(90, maxFrameRate: 5)
            scene.run(470)
        }
        scene.finish()
        let checker = scene.check()
        #expect(checker.gaps <= 8, "\(format)")
        #expect(checker.frames > 10, "\(format)")
    }
}
