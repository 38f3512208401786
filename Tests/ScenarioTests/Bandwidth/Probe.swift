import Foundation
import RTP
import Simulation
import Testing

@testable import SFU

@Suite struct BandwidthProbe {
    @Test func c2() throws {
        let scene = try BandwidthScene(seed: UInt64(ProcessInfo.processInfo.environment["SFU_SEED"] ?? "1") ?? 1)
        try scene.join(BandwidthScene.link(5_000_000, queue: 22_500))
        scene.run(seconds: 60) { second in
            if second == 15 { scene.viewers[0].down.conditions.rate = 600_000 }
            if second > 18, second < 52, let c = scene.call.home(of: scene.viewers[0]).session(scene.viewers[0].session)?.downlink.pointee.control {
                let slot = scene.call.home(of: scene.viewers[0]).session(scene.viewers[0].session)!.slots(of: .video)[0]
                print(second, "goal", c.pointee.estimator.goal, "desired", c.pointee.estimator.desired, "used", c.pointee.used, "needed", slot.pointee.needed, slot.pointee.available, "probe", c.pointee.estimator.probes.count, c.pointee.estimator.probes.isActive, (c.pointee.estimator.nextDeadline - scene.call.now).milliseconds, c.pointee.estimator.situation)
            }
            if second == 45 { scene.viewers[0].down.conditions.rate = 5_000_000 }
        }
        var text = "s link sent audio video rtx pad drop gone wait est target bound sp t pacer\n"
        for (i, s) in scene.slices[0].enumerated() where i < 40 || (i > 145 && i < 210) || (i > 440 && i < 500) || i % 10 == 0 {
            text += "\(Double(i) / 10) \(s.link / 1000) \(s.sent * 80 / 1000) \(s.audio * 80 / 1000) \(s.video * 80 / 1000) \(s.rtx * 80 / 1000) \(s.padding * 80 / 1000) \(s.droppedPackets) \(s.audioGone) \(s.wait.milliseconds) \(s.estimate / 1000) \(s.target / 1000) \(s.bound) \(s.spatial) \(s.temporal) \(s.pacerQueue)\n"
        }
        print(text)
        print("settled", scene.settled(from: 15, below: 660_000), "drop0-3", scene.dropped(from: 15, to: 18), "3-30", scene.dropped(from: 18, to: 45),
          "audio", scene.audioGone(from: 15, to: 18), "wait95", scene.wait95(from: 18, to: 45), "gap", scene.longestGap(from: 15, to: 45),
          "smaller", scene.shown(after: 15) { $0.layer < 2 }, "top again", scene.shown(after: 45) { $0.layer == 2 }, "top first", scene.shown(after: 0) { $0.layer == 2 },
          "used", scene.rate(from: 25, to: 45) { $0.delivered } / 6000)
    }
}
