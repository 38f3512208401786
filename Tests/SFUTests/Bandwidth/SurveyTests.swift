import Foundation
import RTP
import Testing

@testable import SFU

@Suite struct SurveyTests {
    @Test func survey() {
        guard let which = ProcessInfo.processInfo.environment["SFU_SURVEY"] else { return }
        let drop = PathConditions(rates: [(.zero, 5_000_000), (.seconds(15), 600_000), (.seconds(45), 5_000_000)], queue: 22_500)
        for seed in (which == "trace" ? UInt64(9)...9 : 1...20) {
            let d = SimulatedDownlink(seed: seed)
            simulate(drop, [d], seconds: 60, seed: seed)
            if which == "trace" {
                for (i, s) in d.slices.enumerated() where i > 180 && i < 400 {
                    print(Double(i) / 10, "link", s.link / 1000, "sent", s.sent * 80 / 1000, "del", s.delivered * 80 / 1000, "drop", s.droppedPackets, "est", s.estimate / 1000, "tgt", s.target / 1000, "L", s.spatial, s.temporal, "q", s.queue.milliseconds, "pq", s.pacer.milliseconds, "probe", s.probe)
                }
            } else {
                print(seed, "top@", d.time(from: 0) { $0.spatial == 2 && $0.temporal == 2 }, "≤660", d.time(from: 15) { $0.sent * 80 <= 660_000 }, "drop03", d.dropPercent(from: 15, to: 18), "drop3-30", d.dropPercent(from: 18, to: 45), "use", d.goodput(from: 25, to: 45) / 600_000, "q95", d.queuePercentile(95, from: 18, to: 45), "back", d.time(from: 45) { $0.spatial == 2 && $0.temporal == 2 }, "switches", d.switches.count, "audio", d.audioDropPercent(from: 15, to: 18))
            }
        }
    }
}
