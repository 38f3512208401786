// What a viewer may do wrong in its reports, with the whole server: the estimate stays within its bounds, nothing stalls,
// and nobody else in the room loses anything.
import RTP
import Simulation
import Testing

@testable import SFU

@Suite struct FeedbackFaultSceneTests {
    @Test(arguments: FeedbackFault.all, UInt64(1)...2)
    func nothingStalls(_ fault: FeedbackFault, seed: UInt64) throws {
        let room = try FaultyRoom(seed: seed)
        let scene = room.scene
        let recovered = FeedbackFault.to + fault.within
        let end = recovered + 4
        room.run(fault, seconds: end)

        for slice in scene.slices[0] + scene.slices[1] where slice.estimate != 0 {
            #expect((Limits.Bandwidth.minimum...Limits.Bandwidth.maximum).contains(slice.estimate))
        }
        // Fifty packets a second; whoever lies about a full link has filled it himself.
        let during = packets(scene, from: FeedbackFault.from, to: FeedbackFault.to)
        #expect(during >= 45, "audio while it lasts")
        #expect(packets(scene, from: recovered, to: end) >= 45, "audio after it")
        #expect(scene.longestGap(from: recovered, to: end) < 0.5, "pictures after it")
        #expect(scene.share(from: recovered, to: end) { $0.layer == 2 } == 100, "the top layer after it")

        #expect(scene.dropped(1, from: 0, to: end) == 0)
        #expect(packets(scene, 1, from: 2, to: end) >= 45)
        #expect(scene.longestGap(1, from: 2, to: end) < 0.2)
        #expect(scene.share(1, from: 2, to: end) { $0.layer == 2 } == 100)

        #expect(!fault.isForged || room.changed > 10, "\(room.changed) were changed")
        let unknown = scene.call.counter("transport_feedback_unknown")
        #expect(!fault.isCounted || unknown > 100, "\(unknown) are counted")
    }

    /// Audio packets that the server sends, per second.
    private func packets(_ scene: BandwidthScene, _ viewer: Int = 0, from: Double, to: Double) -> Double {
        let all = scene.slices(viewer, from: from, to: to).reduce(0) { $0 + $1.audioPackets }
        return Double(all) / (to - from)
    }

    /// Without transport-wide feedback the reports are all there is: the rate falls to where they say, and comes back.
    @Test(arguments: UInt64(1)...2)
    func reportsOfTotalLossWithoutFeedback(seed: UInt64) throws {
        let scene = try BandwidthScene(seed: seed)
        let viewer = try scene.join(BandwidthScene.link(5_000_000), feedback: nil) { peer in
            peer.reportsReception = true
            peer.reportsPictures = true
        }
        scene.run(seconds: 30) { second in
            if second == 6 { viewer.reportedLoss = 255 }
            if second == 12 { viewer.reportedLoss = nil }
        }
        let estimates = scene.slices(from: 6, to: 30).map(\.estimate)
        #expect(estimates.allSatisfy { (Limits.Bandwidth.minimum...Limits.Bandwidth.maximum).contains($0) })
        let least = try #require(scene.slices(from: 6, to: 13).map(\.estimate).min())
        #expect(try #require(scene.slices(from: 5, to: 6).last).estimate > least, "reports were not heard")
        #expect(try #require(estimates.last) > least)
        #expect(packets(scene, from: 6, to: 30) >= 45)
        #expect(scene.longestGap(from: 26, to: 30) < 0.5)
    }
}
