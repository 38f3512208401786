import RTP
import Testing

@testable import SFU

@Suite struct OwnQueueTests {
    /// 600 kbit/s carry 75 bytes in a millisecond, a packet of these in ten.
    private let capacity = 600_000 * 100 / 105

    private func note(_ queue: inout OwnQueue, packets: Int, at milliseconds: Int64) {
        for _ in 0..<packets { queue.note(750, sent: milliseconds * 1000, capacity: capacity) }
        queue.settle()
    }

    @Test func whatIsSentTooFastWaits() {
        var queue = OwnQueue()
        note(&queue, packets: 6, at: 1000)
        #expect(abs(queue.queue.microseconds - 10_000) < 100, "the first of them")
        note(&queue, packets: 1, at: 1020)
        #expect(abs(queue.queue.microseconds - 50_000) < 100)
        note(&queue, packets: 1, at: 1100)
        #expect(abs(queue.queue.microseconds - 10_000) < 100)
    }

    @Test func whatFitsDoesNot() {
        var queue = OwnQueue()
        for time in stride(from: Int64(0), to: 1000, by: 10) {
            note(&queue, packets: 1, at: time)
            #expect(abs(queue.queue.microseconds - 10_000) < 100, "its own time")
        }
    }

    @Test func ofAPathWithoutAKnownEndNothingIsSaid() {
        var queue = OwnQueue()
        for _ in 0..<100 { queue.note(1200, sent: 0, capacity: nil) }
        queue.settle()
        queue.settle()
        #expect(queue.queue == .zero)
    }

    /// It cut the rate to what had come while little was sent, and the larger layer was left again, each time.
    @Test(arguments: 1...20)
    func aKeyFrameIsNoReasonToTakeARaiseBack(seed: UInt64) {
        let raise = SimulatedDownlink.Content.raise(
            at: .zero + .seconds(6),
            from: 165_000,
            to: 480_000,
            keyFrame: 13_000
        )
        let downlink = SimulatedDownlink(raise, feedback: .milliseconds(50), seed: seed)
        var conditions = PathConditions()
        conditions.rates = [(.zero, 600_000)]
        simulate(conditions, [downlink], seconds: 8, seed: seed)
        let before = downlink.slices(from: 5, to: 6).map(\.estimate).min() ?? 0
        let least = downlink.slices(from: 6, to: 8).map(\.estimate).min() ?? 0
        #expect(before > 540_000)
        // A cut would leave less than 85 % of the path's 600 kbit/s, and mostly less than 450.
        #expect(least > 500_000)
    }
}
