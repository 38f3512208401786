// How soon a viewer notices what the publisher's encoder and his own window do: layers that go and come back, tiles
// that are shown again, screens that are shared.
import RTP
import Seam
import Simulation
import Testing

@Suite struct LayerLifeTests {
    private static let simulcast = ["VP8 L1T1", "VP8 L1T3", "H264", "VP9 L1T3", "AV1 L1T3"]

    @Test(arguments: LayerLifeTests.simulcast, [false, true])
    func aLayerThatVanishesIsLeftWithinHalfASecond(format: String, announces: Bool) throws {
        let scene = try LayerScene(format) { _ in
        } prepare: {
            $0.source.announcesLayers = announces
        }
        scene.run(2000)
        #expect(scene.layerShown() == 2, "\(format)")
        let vanishedAt = scene.call.now
        scene.camera.source.activeLayers = [0, 1]
        scene.run(1500)
        let delay = scene.delay(from: vanishedAt, toLayer: 1)
        #expect(delay.map { $0 <= .milliseconds(500) } == true, "\(format): \(String(describing: delay))")
        let cameBackAt = scene.call.now
        scene.camera.source.activeLayers = [0, 1, 2]
        scene.run(1500)
        let back = scene.delay(from: cameBackAt, toLayer: 2)
        #expect(back.map { $0 <= .seconds(1) } == true, "\(format): \(String(describing: back))")
        scene.finish()
        scene.check()
    }

    @Test(arguments: Formats.names)
    func aTileThatIsShownAgainHasAPictureSoon(format: String) throws {
        let scene = try LayerScene(format)
        scene.run(1500)
        for pause in [300, 1500, 4000] as [Int64] {
            scene.view(720, visible: false)
            scene.run(pause)
            let hidden = scene.packets().count
            scene.run(200)
            #expect(scene.packets().count == hidden, "\(format)")
            let shownAt = scene.call.now
            scene.view(720)
            scene.run(1200)
            // The way to the publisher and back, the wait for the frame, and no more than the limiter's interval.
            let first = scene.decoder().first(after: shownAt)
            #expect(
                first.map { $0.at - shownAt <= .milliseconds(300) } == true,
                "\(format), after \(pause) ms"
            )
            #expect(first?.stamp.isKey == true, "\(format)")
        }
        scene.finish()
        scene.check()
    }

    @Test(arguments: Formats.names)
    func aTileThatChangesGetsItsLayer(format: String) throws {
        let scene = try LayerScene(format)
        scene.run(1000)
        for (height, layer) in [(180, 0), (360, 1), (720, 2), (90, 0), (720, 2), (300, 1)] {
            let changedAt = scene.call.now
            scene.view(height)
            scene.run(1000)
            #expect(scene.layerShown() == layer, "\(format), height \(height)")
            let delay = scene.delay(from: changedAt, toLayer: layer)
            #expect(delay.map { $0 <= .milliseconds(700) } == true, "\(format), height \(height)")
        }
        scene.finish()
        scene.check()
    }

    /// A camera gives up its picture before its frame rate; a screen must stay readable.
    @Test(arguments: ["VP8 L1T3", "VP9 L3T3_KEY", "AV1 L3T3"])
    func aScreenKeepsItsResolutionInASlowTile(format: String) throws {
        let scene = try LayerScene(format, isScreen: true)
        scene.view(720, maxFrameRate: 5)
        scene.run(2000)
        let since = scene.call.now
        scene.run(1000)
        let stamps = scene.stamps(since: since)
        #expect(scene.layerShown() == 2, "\(format)")
        #expect(!stamps.isEmpty && stamps.allSatisfy { $0.temporal == 0 }, "\(format)")
        scene.finish()
        scene.check()
    }

    /// Its sender begins it with a key frame: nobody has to ask for another.
    @Test(arguments: ["VP9 L3T3_KEY", "VP9 L3T3", "AV1 L3T3_KEY", "VP8 L1T1", "AV1 L1T3"], 1...2)
    func aLayerThatComesBackIsShownFromTheKeyFrameThatBringsIt(format: String, others: Int) throws {
        let scene = try LayerScene(format)
        func send(_ layers: Int) {
            if scene.isSVC {
                scene.camera.source.activeSpatialLayers = layers
            } else {
                scene.camera.source.activeLayers = Set(0..<layers)
            }
        }
        scene.view(720)
        scene.run(1000)
        send(others)
        scene.run(2000)
        #expect(scene.layerShown() == others - 1, "\(format)")
        let requests = scene.camera.keyFrameRequests
        let backAt = scene.call.now
        send(3)
        scene.run(1500)
        #expect(scene.layerShown() == 2, "\(format)")
        #expect(scene.camera.keyFrameRequests == requests, "\(format)")
        let first = scene.stamps(since: backAt).first { scene.layer($0) == 2 }
        let brought = scene.camera.sent.keys.filter { scene.layer($0) == 2 && $0.isKey }.map(\.frame).max()
        #expect(first?.isKey == true && first?.frame == brought, "\(format)")
        scene.finish()
        scene.check()
    }
}
