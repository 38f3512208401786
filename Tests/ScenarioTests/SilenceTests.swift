// Discontinuous transmission: a packet now and then is a voice that is silent, not one that is gone.
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct SilenceTests {
    @Test func aSilentVoiceKeepsItsSlot_mediasoup532_mediasoup534() throws {
        let call = try Call(seed: 11)
        let (publisher, viewer) = try call.publisherAndViewer { peer in
            peer.addSlot(.audio)
            peer.addSlot(.video)
        }
        call.run(for: .seconds(2))
        // Opus repeats its background noise every 400 ms (RFC 7587 §3.1.3).
        publisher.mic.source.framesPerSecond = 2
        publisher.mic.source.audioLevel = 127
        let since = call.now
        let states = call.events.count
        call.run(for: .seconds(8))
        let slots = call.events[states...].compactMap { _, event -> [SlotState]? in
            guard case .slots(let id, let changed) = event, id == viewer.session else { return nil }
            return changed.filter { $0.kind == .audio }
        }
        #expect(slots.allSatisfy { $0.isEmpty }, "the slot shows the same one all the time")
        let silent = viewer.packets(on: 0).filter { $0.at > since + .milliseconds(100) }
        #expect(silent.count >= 14)
        // Numbers go on without a gap, and the clock does not stand still.
        for (a, b) in zip(silent, silent.dropFirst()) {
            #expect(b.sequence == a.sequence + 1)
            #expect(abs(Int32(bitPattern: b.timestamp &- a.timestamp) - 24_000) < 10)
        }
        publisher.mic.source.framesPerSecond = 50
        publisher.mic.source.audioLevel = 0x80 | 30
        call.run(for: .seconds(1))
        let checker = call.check(viewer, slot: 0, of: [publisher])
        #expect(checker.gaps == 0)
    }
}
