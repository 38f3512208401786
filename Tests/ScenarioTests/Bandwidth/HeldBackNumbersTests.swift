// What is held back and then given up was numbered already: nobody may miss it.
import RTP
import Seam
import Simulation
import Testing

@testable import SFU

@Suite struct HeldBackNumbersTests {
    @Test func whatIsGivenUpLeavesNoHole() throws {
        let given = try (1...5).reduce(0) { try $0 + givenUp(seed: $1) }
        #expect(given > 0, "nothing was given up, so that this tests nothing")
    }

    /// How many packets were.
    private func givenUp(seed: UInt64) throws -> UInt64 {
        let scene = try BandwidthScene(seed: seed)
        let viewer = try scene.join(BandwidthScene.link(5_000_000, queue: 22_500))
        scene.run(seconds: 24) { second in
            let isNarrow = Int(second / 4) % 2 == 1
            viewer.down.conditions.rate = isNarrow ? 400_000 : 5_000_000
        }
        let slot = try #require(viewer.slots.first { $0.kind == .video })
        let sent = try #require(viewer.numbersSent[slot.ssrc]?.numbers)
        let void = viewer.receivers[slot.ssrc]?.void ?? []
        let first = try #require(sent.min())
        let last = try #require(sent.max())
        let missing = (first...last).filter { !sent.contains($0) && !void.contains($0) }
        #expect(missing.isEmpty, "seed \(seed): \(missing.prefix(20)) of \(first)...\(last)")
        return scene.call.shard.counters.drops["overBandwidth"] ?? 0
    }
}
