// A viewer over ICE-TCP: what waits in front of the connection says how much it carries.
import PeerTransport
import RTP
import Simulation
import Testing

@testable import SFU

@Suite struct StreamBandwidthTests {
    private func scene(seed: UInt64) throws -> BandwidthScene {
        let scene = try BandwidthScene(seed: seed)
        try scene.join(BandwidthScene.link(20_000_000)) { $0.path.connection = 3 }
        return scene
    }

    @Test(arguments: UInt64(1)...3)
    func climbsWhileNothingWaitsAndFallsWhereMuchDoes(seed: UInt64) throws {
        let scene = try scene(seed: seed)
        let viewer = scene.viewers[0]
        var waiting = 0
        func run(_ seconds: Double) {
            scene.run(seconds: seconds) { _ in
                scene.call.shard.note(backlog: waiting, on: viewer.path, at: scene.call.now)
            }
        }
        run(25)
        let last = scene.slices[0].last
        #expect(last?.spatial == 2, "seed \(seed): \(String(describing: last))")
        #expect(last?.bound == "backlog")
        let before = last?.estimate ?? 0
        waiting = 200_000
        run(3)
        #expect((scene.slices[0].last?.estimate ?? .max) < before / 2, "seed \(seed)")
        #expect((scene.slices[0].last?.spatial ?? 2) < 2, "seed \(seed)")
    }

    /// What waits in front of somebody else's connection says nothing.
    @Test func anUnknownConnectionChangesNothing() throws {
        let scene = try scene(seed: 1)
        scene.run(seconds: 3)
        let before = scene.slices[0].last?.estimate
        var other = scene.viewers[0].path
        other.connection = 4
        for _ in 0..<20 { scene.call.shard.note(backlog: 1_000_000, on: other, at: scene.call.now) }
        scene.run(seconds: 0.1)
        #expect(scene.slices[0].last?.estimate == before)
    }
}
