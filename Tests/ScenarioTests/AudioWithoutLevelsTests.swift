// Senders that do not say how loud their packets are: what they say is measured.
import COpus
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct AudioWithoutLevelsTests {
    /// 20 ms packets of a 1 kHz square wave, or of silence.
    private final class Encoder {
        private let encoder: OpaquePointer?
        private var phase = 0

        init() {
            var status: Int32 = 0
            encoder = opus_encoder_create(48_000, 1, OPUS_APPLICATION_AUDIO, &status)
        }

        deinit { opus_encoder_destroy(encoder) }

        func encode(amplitude: Int16) -> [UInt8] {
            guard let encoder else { return [] }
            let samples = (0..<960).map { i in (i + phase) % 48 < 24 ? amplitude : -amplitude }
            var packet = [UInt8](repeating: 0, count: 1000)
            let length = opus_encode(encoder, samples, 960, &packet, 1000)
            return Array(packet.prefix(max(0, Int(length))))
        }
    }

    /// Sends Opus under the peer's keys without the header extension.
    private struct Sender {
        let peer: SimulatedPeer
        let encoder = Encoder()
        /// As RED, with the packet before.
        let isRED: Bool
        private var before: [UInt8] = []
        var index: UInt64 = 100

        init(peer: SimulatedPeer, isRED: Bool) {
            self.peer = peer
            self.isRED = isRED
        }

        mutating func send(amplitude: Int16, at now: Instant) {
            var packet: [UInt8] = [0x80, isRED ? 63 : 111]
            packet += [UInt8(truncatingIfNeeded: index >> 8), UInt8(truncatingIfNeeded: index)]
            let timestamp = UInt32(truncatingIfNeeded: index &* 960)
            let ssrc = peer.mic.ssrc()
            for word in [timestamp, ssrc] {
                packet += [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> $0) }
            }
            let opus = encoder.encode(amplitude: amplitude)
            var payload = opus
            if isRED {
                let count = before.count
                // 960 ticks before, in 14 bits, and the length in 10 (RFC 2198 §3).
                payload = [0x80 | 111, 0x0f, UInt8(count >> 8), UInt8(count & 0xff), 111] + before + opus
                before = opus
            }
            peer.send(
                protected: packet + payload,
                headerLength: 12,
                ssrc: ssrc,
                index: index,
                at: now
            )
            index += 1
        }
    }

    @Test(arguments: [false, true])
    func theLevelIsMeasuredAndTold(asRED: Bool) throws {
        let call = try Call(seed: 1)
        let silentPeer = { (peer: SimulatedPeer) in
            peer.publish(.opus(bytes: 60)).sendsRED = asRED
            peer.mic.isRunning = false
        }
        var senders = [
            Sender(peer: try call.join("first", prepare: silentPeer), isRED: asRED),
            Sender(peer: try call.join("second", prepare: silentPeer), isRED: asRED),
            Sender(peer: try call.join("third", prepare: silentPeer), isRED: asRED),
        ]
        let viewer = try call.join("viewer") { $0.addSlots(audio: 1, video: 0) }
        call.run(for: .seconds(1))
        var last: SimulatedPeer?
        for speaker in [0, 2, 1] {
            let start = call.now
            for _ in 0..<100 {
                for i in senders.indices { senders[i].send(amplitude: i == speaker ? 3277 : 0, at: call.now) }
                call.run(for: .milliseconds(20))
            }
            let heard = viewer.received.filter { $0.at > start + .milliseconds(100) }
            #expect(heard.count > 80)
            // A square wave of a tenth of full scale is at −20 dBov.
            let levels = heard.suffix(50).compactMap(\.audioLevel)
            #expect(levels.count == 50)
            #expect(levels.allSatisfy { abs(Int($0) - 20) <= 1 }, "\(levels)")
            let named = call.events.last { if case .speakers = $0.event { true } else { false } }
            guard case .speakers(let report)? = named?.event else {
                Issue.record("nobody is said to speak")
                continue
            }
            #expect(report.active.map(\.participant) == [senders[speaker].peer.participant])
            #expect(call.slots(of: viewer)["s0"]?.participant == senders[speaker].peer.participant)
            last = senders[speaker].peer
        }
        #expect((call.shard.counters.drops["notLoudest"] ?? 0) > 50)
        #expect(last != nil)
        call.checkAccounts()
    }
}
