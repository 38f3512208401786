import RTP
import SFU
import Seam
import Simulation
import Testing
@Suite struct ZDebugTests {
    @Test func debug() throws {
        let seed: UInt64 = 3
        let call = try Call(seed: seed)
        let link = LinkConditions.lossy(0.05, jitter: .milliseconds(100), reorders: true)
        let (publisher, viewer) = try call.publisherAndViewer(up: link, down: link)
        viewer.reorderGuard = .milliseconds(110)
        call.run(for: .seconds(6))
        publisher.stop()
        call.run(for: .seconds(3))
        let sorted = viewer.packets(on: 1).sorted { $0.sequence < $1.sequence }
        for (a, b) in zip(sorted, sorted.dropFirst()) where b.sequence - a.sequence > 1 {
            print(a.sequence, a.stamp.map { "\($0.layer) \($0.frame).\($0.part)" } ?? "", a.at.microseconds / 1000, "->", b.sequence, b.stamp.map { "\($0.layer) \($0.frame).\($0.part)" } ?? "", b.at.microseconds / 1000)
        }
        print(call.shard.counters.counts, call.shard.counters.drops, viewer.undecryptable, publisher.undecryptable)
    }
}
