// Transport-wide feedback and reports on the wire: every packet of ours is accounted for, once and in time, and no message
// is larger than its datagram.
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct FeedbackPitfallTests {
    /// What a publisher is told of the arrival of its packets.
    private final class Feedback {
        private(set) var received: [UInt16: Int64] = [:]
        private(set) var missing: Set<UInt16> = []
        private(set) var counts: [UInt8] = []
        private(set) var longest = 0
        private(set) var malformed = 0
        /// Told lost first and received later.
        private(set) var corrected = 0

        init(to peer: SimulatedPeer) {
            peer.onRTCP = { block in
                guard block.isFeedback(RTCPType.transportFeedback, RTCPFeedbackFormat.transportWideCC) else {
                    return
                }
                self.longest = max(self.longest, block.length)
                guard var message = TransportFeedbackParser(block) else {
                    self.malformed += 1
                    return
                }
                self.counts.append(message.feedbackCount)
                while let status = message.next() { self.note(status) }
            }
        }

        private func note(_ status: TransportFeedbackParser.Status) {
            if status.isReceived {
                if missing.remove(status.sequence) != nil { corrected += 1 }
                received[status.sequence] = received[status.sequence] ?? status.arrival
            } else if received[status.sequence] == nil {
                missing.insert(status.sequence)
            }
        }
    }

    /// Late packets are told again, retransmissions count like all others, and what was lost is lost.
    @Test(arguments: UInt64(1)...3)
    func everyPacketIsToldOf_mediasoup1059_livekit2601(seed: UInt64) throws {
        let scene = try LayerScene("VP8 L1T3", seed: seed)
        let feedback = Feedback(to: scene.publisher)
        scene.run(500)
        var lost = 0
        scene.publisher.fate = { packet in
            switch packet.sequence % 23 {
            case 0:
                lost += 1
                return .lose
            // Behind the message that told of its neighbours.
            case 7: return .delay(.milliseconds(160))
            default: return .pass
            }
        }
        scene.run(4000)
        scene.publisher.fate = nil
        scene.run(500)
        scene.finish()
        #expect(lost > 20 && feedback.corrected > 20, "seed \(seed)")
        #expect(scene.publisher.asked.count > 20, "seed \(seed)")
        #expect(feedback.malformed == 0, "seed \(seed)")
        #expect(feedback.missing.count == lost, "seed \(seed): \(feedback.missing.count) of \(lost)")
    }

    /// Rounding to a quarter of a millisecond does not add up, and messages are counted one by one.
    @Test func timesDoNotDriftAndMessagesAreCounted_interceptor207_pion3122() throws {
        let scene = try LayerScene("VP8 L1T1")
        let feedback = Feedback(to: scene.publisher)
        scene.camera.source.framesPerSecond = 29
        scene.run(500)
        let before = Set(feedback.received.keys)
        scene.run(40_000)
        #expect(feedback.counts.count > 300)
        #expect(zip(feedback.counts, feedback.counts.dropFirst()).allSatisfy { $1 == $0 &+ 1 })
        // Sent at known times over a way that always takes as long.
        let arrivals = feedback.received.filter { !before.contains($0.key) }.values.sorted()
        let first = try #require(arrivals.first)
        let frame = 1_000_000.0 / 29
        let errors = arrivals.map { arrival in
            let frames = Double(arrival - first) / frame
            return abs(frames - frames.rounded()) * frame
        }
        #expect(errors.count > 2000)
        #expect((errors.max() ?? 1000) < 600, "\(errors.max() ?? 0) µs")
    }

    /// A burst of many packets needs several messages, none of which is too long.
    @Test func messagesFitTheirDatagrams_interceptor416() throws {
        let scene = try LayerScene("VP8 L1T1") { video in
            video.packetBytes = 60
            video.keyFrameShare = 8
        }
        let feedback = Feedback(to: scene.publisher)
        var jittery = LinkConditions.lossy(0.1, jitter: .milliseconds(60), reorders: true)
        jittery.delay = .milliseconds(20)
        scene.degrade(up: jittery)
        scene.run(4000)
        #expect(feedback.received.count > 3000)
        #expect(feedback.malformed == 0)
        #expect(feedback.longest <= Limits.Media.rtpPacketBytes, "\(feedback.longest) bytes")
    }

    /// Numbers that jump by more than a message can span break nothing.
    @Test(arguments: [300, 9_000, 32_767, 40_000] as [UInt16])
    func numbersThatJumpAreFollowed_mediasoup1386(step: UInt16) throws {
        let scene = try LayerScene("VP8 L1T1")
        let feedback = Feedback(to: scene.publisher)
        scene.run(1000)
        for _ in 0..<4 {
            scene.publisher.skipTransportNumbers(step)
            scene.run(600)
        }
        let before = feedback.received.count
        scene.run(1000)
        #expect(feedback.received.count - before > 60, "\(step)")
        #expect(feedback.malformed == 0, "\(step)")
        #expect(feedback.longest <= Limits.Media.rtpPacketBytes, "\(step)")
    }

    /// Reports of many slots take several datagrams.
    @Test func reportsOfManySlotsFitTheirDatagrams_mediasoup934() throws {
        let call = try Call(seed: 3)
        var people: [SimulatedPeer] = []
        for number in 0..<4 {
            people.append(
                try call.join("guest\(number)") { peer in
                    for _ in 0..<10 {
                        let camera = peer.publish(MediaSource.threeLayers)
                        camera.source.activeLayers = [0]
                    }
                }
            )
        }
        let viewer = try call.join("viewer") { peer in
            for _ in 0..<40 { peer.addSlot(.video) }
        }
        #expect(call.run(atMost: .seconds(4)) { (people + [viewer]).allSatisfy(\.isConnected) })
        call.keepsMessages = true
        call.run(for: .milliseconds(2500))
        let longest = call.messages.flatMap(\.sizes).max() ?? 0
        #expect(longest <= Limits.Media.sentDatagramBytes)
        let reported = Set(viewer.senderReports.map(\.report.ssrc))
        #expect(reported.count == 40)
        // What each publisher is told of its thirty encodings is one message, too.
        #expect(people.allSatisfy { Set($0.receiverReports.map(\.block.ssrc)).count == 10 })
        #expect(([viewer] + people).allSatisfy { $0.undecryptable == 0 })
    }
}
