// A camera without a voice and with one layer that needs more than anybody assumes of a path: nothing else flows that would
// say how much there is.
import RTP
import Simulation
import Testing

@testable import SFU

@Suite struct LoneCameraTests {
    private static let camera: MediaSource.Format = {
        let layer = VideoFormat.Layer(width: 1280, height: 720, bitsPerSecond: 3_500_000)
        var format = VideoFormat(.vp8, [layer])
        format.temporalLayers = 1
        return .video(format)
    }()

    private func scene(_ seed: UInt64) throws -> BandwidthScene {
        try BandwidthScene(seed: seed, cameras: [LoneCameraTests.camera], hasVoice: false)
    }

    /// All of it, so many seconds after the join or after the path came back.
    private func isWhole(_ scene: BandwidthScene, from: Double, to: Double) -> Bool {
        scene.share(from: from, to: to) { $0.layer == 0 } == 100 && scene.longestGap(from: from, to: to) < 0.1
    }

    @Test(arguments: 1...2 as ClosedRange<UInt64>)
    func isSeenWhereThereIsRoom(seed: UInt64) throws {
        let scene = try scene(seed)
        try scene.join(BandwidthScene.link(20_000_000))
        scene.run(seconds: 6)
        #expect(isWhole(scene, from: 3, to: 6), "seed \(seed)")
    }

    /// Silence cuts the rate until nothing of the camera fits, and what was lost in it is tried out before there is more.
    @Test(arguments: 1...2 as ClosedRange<UInt64>)
    func isSeenAgainAfterTheNetworkWasGone(seed: UInt64) throws {
        let scene = try scene(seed)
        let viewer = try scene.join(BandwidthScene.link(20_000_000))
        scene.run(seconds: 24) { viewer.down.conditions.isDown = $0 >= 5 && $0 < 9 }
        #expect(isWhole(scene, from: 3, to: 5), "seed \(seed)")
        #expect(isWhole(scene, from: 20, to: 24), "seed \(seed)")
    }

    /// A path that carries a quarter of it is not flooded, whatever is tried.
    @Test(arguments: 1...2 as ClosedRange<UInt64>)
    func aNarrowPathIsNotFlooded(seed: UInt64) throws {
        let scene = try scene(seed)
        try scene.join(BandwidthScene.link(1_000_000))
        scene.run(seconds: 10)
        #expect(scene.rate(from: 0, to: 10) { $0.sent } < 1_000_000, "seed \(seed)")
        #expect(scene.dropped(from: 0, to: 10) < 2, "seed \(seed)")
    }
}
