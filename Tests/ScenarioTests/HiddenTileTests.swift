// Muted, unsubscribed, hidden: no packet goes out. Shown again, there is a picture at once, and it begins anew.
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct HiddenTileTests {
    enum Way: String, CaseIterable, Sendable {
        case mute, unsubscribe, hide
    }

    private func set(_ scene: LayerScene, _ way: Way, isOff: Bool) {
        switch way {
        case .mute: scene.call.apply(.mute(scene.camera.id, isOff))
        case .unsubscribe:
            let wishes = Wishes(overrides: isOff ? [scene.camera.id: false] : [:])
            scene.call.apply(.subscribe(scene.viewer.session, wishes))
        case .hide: scene.view(720, visible: !isOff)
        }
    }

    @Test(arguments: ["VP8 L1T3", "H264", "VP9 L3T3_KEY", "AV1 L3T3"], Way.allCases)
    func nothingIsSentAndThePictureIsBackAtOnce(format: String, way: Way) throws {
        let scene = try LayerScene(format)
        scene.run(1500)
        for length in [120, 700, 2500] as [Int64] {
            let offAt = scene.call.now
            set(scene, way, isOff: true)
            scene.run(length)
            // What was on its way when it was said.
            #expect(scene.packets().allSatisfy { $0.at <= offAt + .milliseconds(20) }, "\(format), \(way)")
            let onAt = scene.call.now
            set(scene, way, isOff: false)
            scene.run(1000)
            let first = scene.decoder().first(after: onAt)
            let delay = (first?.at ?? .distantFuture) - onAt
            #expect(
                delay <= .milliseconds(300),
                "\(format), \(way): \(delay.milliseconds) ms after \(length)"
            )
            #expect(first?.stamp.isKey == true, "\(format), \(way)")
            #expect(scene.layerShown() == 2, "\(format), \(way)")
        }
        scene.finish()
        let checker = scene.check()
        #expect(checker.unrepaired == 0, "\(format), \(way)")
    }

    /// Others go on while one tile is hidden, and its slot says why it shows nothing.
    @Test func oneHiddenTileIsNobodyElsesConcern() throws {
        let scene = try LayerScene("VP8 L1T1", viewers: 2)
        scene.run(1000)
        scene.view(720, visible: false, by: 0)
        scene.run(2000)
        let slot = scene.call.slots(of: scene.viewers[0])["s0"]
        #expect(slot?.paused == true && slot?.reason == .hidden)
        #expect(scene.layerShown(1) == 2 && scene.layerShown(0) == nil)
        #expect(scene.decoder(1).freezes(longerThan: .milliseconds(150)).isEmpty)
        scene.view(720, by: 0)
        scene.run(500)
        #expect(scene.call.slots(of: scene.viewers[0])["s0"]?.paused == false)
        // The key frame that one needs is a picture like any other for the rest.
        #expect(scene.decoder(1).freezes(longerThan: .milliseconds(150)).isEmpty)
        scene.finish()
        scene.check(0)
        scene.check(1)
    }

    /// A screen in a small tile keeps its letters readable, and gives up pictures instead.
    @Test(arguments: ["VP8 L1T3", "VP9 L3T3", "AV1 L3T3_KEY"])
    func aScreenInASmallTileKeepsItsResolution(format: String) throws {
        let scene = try LayerScene(format, isScreen: true)
        let camera = try LayerScene(format)
        for it in [scene, camera] {
            it.view(150)
            it.run(2000)
        }
        #expect(camera.layerShown() == 0, "\(format)")
        #expect(scene.layerShown() == 2, "\(format)")
        let slot = scene.call.slots(of: scene.viewer)["s0"]
        #expect(slot?.height == 720 && slot?.temporalLayer == 0, "\(format)")
        let since = scene.call.now
        scene.run(1000)
        #expect(scene.stamps(since: since).allSatisfy { $0.temporal == 0 }, "\(format)")
        #expect(abs(scene.decoder().rate(from: since, to: scene.call.now) - 7.5) < 1.6, "\(format)")
        scene.finish()
        scene.check()
    }
}
