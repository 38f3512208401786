// Where there is room for everything, every picture of the layer that is shown goes out: what the pacer left out while
// too much waited comes back, whoever took what waited.
import RTP
import Simulation
import Testing

@testable import SFU

@Suite struct WholeRateTests {
    /// With some of these, a probe takes all that waits of the key frame. Pictures are 33 ms apart, those of the lowest
    /// temporal layer 133.
    @Test(arguments: 1...16 as ClosedRange<UInt64>)
    func allPicturesComeOnceThereIsRoom(seed: UInt64) throws {
        let scene = try BandwidthScene(seed: seed)
        try scene.join(BandwidthScene.link(3_000_000))
        scene.run(seconds: 6)
        #expect(scene.share(from: 3, to: 6) { $0.layer == 2 } == 100, "seed \(seed)")
        #expect(scene.longestGap(from: 3, to: 6) < 0.1, "seed \(seed)")
    }
}
