import RTP
import Simulation
import Testing

@Suite struct LossIsRepairedTests {
    @Test(arguments: UInt64(1)...4)
    func everythingArrivesDespiteLossReorderingAndJitter(seed: UInt64) throws {
        let call = try Call(seed: seed)
        let link = LinkConditions.lossy(0.05, jitter: .milliseconds(100), reorders: true)
        let (publisher, viewer) = try call.publisherAndViewer(up: link, down: link)
        viewer.reorderGuard = .milliseconds(220)
        call.run(for: .seconds(6))
        publisher.stopSending()
        call.run(for: .seconds(3))
        let audio = call.check(viewer, slot: 0, of: [publisher])
        let video = call.check(viewer, slot: 1, of: [publisher])
        #expect(audio.gaps == 0, "seed \(seed)")
        #expect(video.frames > 100, "seed \(seed)")
        // From the first one on, nothing of what was sent is missing.
        let heard = viewer.packets(on: 0).compactMap(\.stamp?.frame)
        let first = heard.min() ?? 0
        let last = publisher.mic.sent.keys.map(\.frame).max() ?? 0
        #expect(Set(heard) == Set(first...last), "seed \(seed)")
        #expect(call.counter("nacks_received") > 0 && call.counter("nacks_sent") > 0)
        #expect(call.isFraming)
        call.checkAccounts()
    }
}
