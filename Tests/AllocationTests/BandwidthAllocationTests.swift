// Neither a packet that is told to the bandwidth estimator nor feedback about it allocates anything, once the history is
// as large as the traffic needs. A build without optimisation allocates a known number of times.
import AllocationCounter
import RTP
import Testing

@testable import SFU

@Suite struct BandwidthAllocationTests {
    /// Packets every 2 ms, feedback every 100 ms over a path that is full for a third of the time and loses some; probes
    /// as they are asked for.
    private func run(
        _ estimator: inout BandwidthEstimator,
        _ generator: inout TransportFeedbackGenerator,
        _ message: UnsafeMutablePointer<UInt8>,
        from first: Int,
        count: Int
    ) {
        for index in first..<(first + count) {
            let now = Instant(microseconds: Int64(index) * 2000)
            estimator.sent(UInt16(truncatingIfNeeded: index), size: 1100, kind: .video, at: now)
            let queue = Interval.milliseconds(index % 3000 < 1000 ? Int64(index % 1000) / 5 : 0)
            if index % 37 != 0 {
                generator.record(
                    UInt16(truncatingIfNeeded: index),
                    at: now + .milliseconds(20) + queue
                )
            }
            if now >= estimator.nextDeadline { _ = estimator.advance(to: now) }
            if estimator.probe(at: now) != nil && index % 7 == 0 { estimator.skipProbe(at: now) }
            guard index % 50 == 49 else { continue }
            var writer = RTCPWriter(message, capacity: 1500)
            while generator.hasPending && generator.write(to: &writer, senderSSRC: 1, mediaSSRC: 2) {}
            var walker = RTCPWalker(message, length: writer.length)
            while let block = walker.next() {
                guard let feedback = TransportFeedbackParser(block) else { continue }
                _ = estimator.receive(feedback, at: now + .milliseconds(40))
            }
        }
    }

    @Test func packetsAndFeedbackAllocateNothing() {
        var estimator = BandwidthEstimator()
        estimator.begin(at: .zero)
        estimator.want(desired: 8_000_000, nextStep: 8_000_000, at: .zero)
        var generator = TransportFeedbackGenerator(capacity: 4096)
        let message = UnsafeMutablePointer<UInt8>.allocate(capacity: 1500)
        defer { message.deallocate() }
        run(&estimator, &generator, message, from: 0, count: 10_000)
        let before = sfu_allocation_count()
        run(&estimator, &generator, message, from: 10_000, count: 50_000)
        let count = sfu_allocation_count() - before
        #if DEBUG
            #expect(count <= 6 * 50_000)
        #else
            #expect(count == 0)
        #endif
        #expect(estimator.lossPercent > 0 && estimator.wasReported)
    }
}
