// What the server tells a publisher costs the publisher's downlink a small share of its uplink, whatever it sends.
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct UplinkFeedbackTests {
    private struct Traffic {
        /// With IP and UDP, bits per second.
        var up = 0
        var down = 0
        var feedback = 0
        var messages = 0
        var seconds = 0
    }

    /// One who publishes to nobody, for a while.
    private func publish(
        _ format: MediaSource.Format,
        up: LinkConditions = .perfect,
        seconds: Int = 20
    ) throws -> Traffic {
        let call = try Call(seed: 7, shards: 1)
        let peer = try call.join("publisher", up: up) { _ = $0.publish(format) }
        #expect(call.run(atMost: .seconds(3)) { peer.isConnected })
        call.run(for: .seconds(2))
        var traffic = Traffic(seconds: seconds)
        peer.onRTCP = { block in
            guard block.isFeedback(RTCPType.transportFeedback, RTCPFeedbackFormat.transportWideCC) else {
                return
            }
            let headers = 4 + Limits.Feedback.trailerBytes + Limits.Feedback.datagramOverhead
            traffic.feedback += (block.length + headers) * 8
            traffic.messages += 1
        }
        peer.keepsRaw = true
        call.keepsMessages = true
        call.run(for: .seconds(Int64(seconds)))
        let overhead = Limits.Feedback.datagramOverhead
        traffic.up = peer.raw.reduce(0) { $0 + ($1.count + overhead) * 8 } / seconds
        traffic.down = call.messages.flatMap(\.sizes).reduce(0) { $0 + ($1 + overhead) * 8 } / seconds
        traffic.feedback /= seconds
        return traffic
    }

    private static func camera(_ bitsPerSecond: Int) -> MediaSource.Format {
        .vp8(
            [MediaSource.VP8Layer(width: 640, height: 360, bitsPerSecond: bitsPerSecond)],
            framesPerSecond: 30
        )
    }

    @Test(arguments: [10, 40, 80, 160])
    func feedbackOnAVoiceIsASmallShare(bytes: Int) throws {
        let traffic = try publish(.opus(bytes: bytes))
        #expect(traffic.feedback * 100 <= traffic.up * Limits.Feedback.share)
        #expect(traffic.messages >= traffic.seconds)
        // With reports and answers to checks, which come whatever it sends.
        #expect(traffic.down * 100 <= traffic.up * 12)
    }

    @Test(arguments: [100_000, 300_000, 1_000_000, 3_000_000, 10_000_000])
    func feedbackOnACameraIsASmallShare(bitsPerSecond: Int) throws {
        let traffic = try publish(Self.camera(bitsPerSecond), seconds: 10)
        #expect(traffic.feedback * 100 <= traffic.up * Limits.Feedback.share)
        if bitsPerSecond >= 1_000_000 {
            #expect(traffic.messages >= traffic.seconds * 18)
            #expect(traffic.down * 100 <= traffic.up * 5)
        }
    }

    /// Every third packet is lost: repairs are asked for, and what is said stays a fraction of what comes.
    @Test(arguments: [0.1, 0.3])
    func whatIsSaidOfABadUplinkStaysBounded(loss: Double) throws {
        let traffic = try publish(Self.camera(1_000_000), up: .lossy(loss), seconds: 10)
        #expect(traffic.feedback * 100 <= traffic.up * Limits.Feedback.share)
        #expect(traffic.down * 100 <= traffic.up * 12)
    }

    /// Nothing of the time before is told of after it.
    @Test func aPauseEndsWithoutABurst() throws {
        let call = try Call(seed: 9, shards: 1)
        let peer = try call.join("publisher") { _ = $0.publish(Self.camera(2_000_000)) }
        #expect(call.run(atMost: .seconds(3)) { peer.isConnected })
        call.run(for: .seconds(3))
        peer.camera.source.activeLayers = []
        call.run(for: .seconds(1))
        var statuses: [Int] = []
        var times: [Instant] = []
        peer.onRTCP = { [unowned call] block in
            guard var message = TransportFeedbackParser(block) else { return }
            var count = 0
            while message.next() != nil { count += 1 }
            statuses.append(count)
            times.append(call.now)
        }
        call.run(for: .seconds(10))
        #expect(statuses.isEmpty)
        peer.camera.source.activeLayers = [0]
        let resumed = call.now
        call.run(for: .milliseconds(400))
        #expect(times.first.map { $0 - resumed <= .milliseconds(150) } == true)
        #expect(statuses.count <= 9)
    }
}
