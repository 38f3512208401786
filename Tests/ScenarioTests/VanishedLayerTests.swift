// A layer that its sender stops making is left, and used again when it comes back: what the sender says of its layers
// counts first, and their silence where it says nothing.
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct VanishedLayerTests {
    /// How the server learns of it.
    enum Word: String, CaseIterable, Sendable {
        case silence, allocation

        func prepare(_ camera: SimulatedPublisher) { camera.source.announcesLayers = self == .allocation }

        /// The next picture says it, or nothing does; then the way to the publisher and back for a key frame.
        var patience: Interval { self == .allocation ? .milliseconds(150) : .milliseconds(500) }
    }

    private func drop(to count: Int, _ scene: LayerScene) {
        if scene.isSVC {
            scene.camera.source.activeSpatialLayers = count
        } else {
            scene.camera.source.activeLayers = Set(0..<count)
        }
    }

    private func vanishAndReturn(
        _ format: String,
        isScreen: Bool = false,
        word: Word,
        patience: Interval
    ) throws {
        let scene = try LayerScene(format, isScreen: isScreen, prepare: word.prepare)
        scene.run(2000)
        #expect(scene.layerShown() == 2, "\(format)")
        for count in [2, 1] {
            let vanishedAt = scene.call.now
            drop(to: count, scene)
            scene.run(isScreen ? 4500 : 1500)
            let delay = scene.delay(from: vanishedAt, toLayer: count - 1)
            #expect(
                delay.map { $0 <= patience } == true,
                "\(format), \(word), down to \(count): \(delay.map { "\($0.milliseconds) ms" } ?? "never")"
            )
            let first = scene.decoder().first(after: vanishedAt) { scene.layer($0) == count - 1 }
            #expect(scene.isSVC || first?.stamp.isKey == true, "\(format)")
            let slot = scene.call.slots(of: scene.viewer)["s0"]
            #expect(slot?.reason == .publisher && slot?.paused == false, "\(format), \(word)")
            let backAt = scene.call.now
            drop(to: 3, scene)
            scene.run(1500)
            let back = scene.delay(from: backAt, toLayer: 2)
            #expect(
                back.map { $0 <= .seconds(1) } == true,
                "\(format), \(word), back from \(count): \(back.map { "\($0.milliseconds) ms" } ?? "never")"
            )
            #expect(scene.call.slots(of: scene.viewer)["s0"]?.reason == SlotState.Reason.none, "\(format)")
        }
        scene.finish()
        scene.check()
    }

    @Test(arguments: ["VP8 L1T3", "H264", "VP9 L1T3", "AV1 L1T3"], Word.allCases)
    func ofSimulcast(format: String, word: Word) throws {
        try vanishAndReturn(format, word: word, patience: word.patience)
    }

    @Test(arguments: ["VP9 L3T3", "VP9 L3T3_KEY"], Word.allCases)
    func ofSpatialLayers(format: String, word: Word) throws {
        try vanishAndReturn(format, word: word, patience: word.patience)
    }

    /// The active decode targets of the descriptor say it in the very next picture, without any allocation.
    @Test(arguments: ["VP9 L3T3_KEY flexible with descriptor", "AV1 L3T3", "AV1 L3T3_KEY"])
    func ofSpatialLayersByTheDescriptor(format: String) throws {
        try vanishAndReturn(format, word: .silence, patience: .milliseconds(200))
    }

    /// A screen may be still for long: where the sender says nothing, its layers have more time.
    @Test func ofAScreen() throws {
        try vanishAndReturn("VP8 L1T3", isScreen: true, word: .allocation, patience: .milliseconds(150))
        try vanishAndReturn(
            "VP8 L1T3",
            isScreen: true,
            word: .silence,
            patience: Limits.Media.screenLayerTimeout + .milliseconds(250)
        )
    }

    /// At five pictures a second a layer is not gone after a quarter of a second.
    @Test(arguments: ["VP8 L1T1", "VP9 L3T3_KEY", "AV1 L3T3"])
    func aSlowCameraIsNotGone(format: String) throws {
        let scene = try LayerScene(format)
        scene.run(1500)
        scene.camera.source.framesPerSecond = 5
        scene.run(2000)
        let switches = scene.check().switches
        let requests = scene.camera.keyFrameRequests
        scene.run(6000)
        #expect(scene.camera.keyFrameRequests == requests, "\(format)")
        #expect(scene.layerShown() == 2, "\(format)")
        #expect(scene.check().switches == switches, "\(format)")
    }

    /// A network that stands still takes all layers away, and none of them is gone for that.
    @Test(arguments: ["VP8 L1T3", "VP9 L3T3_KEY"])
    func aNetworkThatStandsStillIsNoVanishedLayer(format: String) throws {
        let scene = try LayerScene(format)
        scene.run(2000)
        var down = LinkConditions.perfect
        down.isDown = true
        scene.degrade(up: down)
        let downAt = scene.call.now
        scene.run(700)
        scene.degrade()
        scene.run(1500)
        let after = scene.decoder().first(after: downAt + .milliseconds(100))
        #expect(after.map { scene.layer($0.stamp) } == 2, "\(format)")
        #expect(scene.layerShown() == 2, "\(format)")
        scene.finish()
        scene.check()
    }
}
