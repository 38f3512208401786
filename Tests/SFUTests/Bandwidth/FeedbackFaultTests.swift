import RTP
import Testing

@testable import SFU

/// What a peer may do wrong, on purpose or not: the estimate stays within its bounds, and nothing stands still.
@Suite struct FeedbackFaultTests {
    private struct Outcome {
        var least: Int
        var most: Int
        var topShare: Double
        var last: Int
    }

    private func run(
        _ faults: FeedbackFaults,
        _ conditions: PathConditions = .init(),
        seconds: Int = 30,
        seed: UInt64
    ) -> Outcome {
        let downlink = SimulatedDownlink(seed: seed)
        downlink.receiver.faults = faults
        simulate(conditions, [downlink], seconds: seconds, seed: seed)
        let estimates = downlink.slices(from: 5, to: Double(seconds)).map(\.estimate)
        return Outcome(
            least: estimates.min() ?? 0,
            most: estimates.max() ?? 0,
            topShare: downlink.share(from: 5, to: Double(seconds)) { $0.isTop },
            last: estimates.last ?? 0
        )
    }

    private func expectBounded(_ outcome: Outcome, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(outcome.least >= Limits.Bandwidth.minimum, sourceLocation: sourceLocation)
        #expect(outcome.most <= Limits.Bandwidth.maximum, sourceLocation: sourceLocation)
    }

    @Test(arguments: 1...3)
    func repeatedMessagesChangeNothing(seed: UInt64) {
        let outcome = run(FeedbackFaults(duplication: 0.5), seed: seed)
        #expect(outcome.topShare > 0.95, "seed \(seed)")
        expectBounded(outcome)
    }

    @Test(arguments: 1...3)
    func lateMessagesOvertakenByOthers(seed: UInt64) {
        let outcome = run(FeedbackFaults(delay: 0.2), seed: seed)
        #expect(outcome.topShare > 0.8, "seed \(seed)")
        expectBounded(outcome)
    }

    @Test(arguments: [-3_600_000, -5000, -900, -200, 200, 900, 5000, 3_600_000] as [Int64])
    func aClockThatJumps(milliseconds: Int64) {
        var faults = FeedbackFaults()
        faults.jumps = [(.zero + .seconds(12), .milliseconds(milliseconds))]
        let outcome = run(faults, seed: 5)
        #expect(outcome.topShare > 0.9, "\(milliseconds) ms: \(outcome)")
        expectBounded(outcome)
    }

    @Test(arguments: 1...4)
    func messagesWithFlippedBits(seed: UInt64) {
        var faults = FeedbackFaults()
        faults.forge = { bytes, dice in
            guard dice.unit() < 0.3 else { return }
            for _ in 0..<3 {
                let place = 12 + Int(dice.next() % UInt64(bytes.count - 12))
                bytes[place] ^= UInt8(truncatingIfNeeded: 1 << (dice.next() % 8))
            }
        }
        let outcome = run(faults, seed: seed)
        expectBounded(outcome)
        #expect(outcome.last > 300_000, "seed \(seed): \(outcome)")
    }

    @Test(arguments: 1...2)
    func messagesAboutNumbersThatWereNeverSent(seed: UInt64) {
        var faults = FeedbackFaults()
        faults.forge = { bytes, dice in
            guard dice.unit() < 0.5, bytes.count > 16 else { return }
            // The first sequence number.
            bytes[12] ^= 0x55
        }
        // What such a peer says nothing of is lost to it, and its rate is its own affair.
        expectBounded(run(faults, seed: seed))
    }

    /// Each packet came, and all at once: nobody is sent more than a path of that kind is probed for.
    @Test func aReceiverThatHidesItsQueue() {
        var faults = FeedbackFaults()
        faults.forge = { bytes, _ in
            // All small deltas behind the chunks become zero; the reference time stays.
            for place in stride(from: 20, to: bytes.count, by: 1) where bytes[place] < 0x80 {
                bytes[place] = 0
            }
        }
        let conditions = PathConditions(rates: [(.zero, 600_000)], queue: 22_500)
        let outcome = run(faults, conditions, seed: 2)
        expectBounded(outcome)
    }

    @Test func aReceiverThatReportsNothingAsReceived() {
        let downlink = SimulatedDownlink(seed: 3)
        downlink.receiver.faults.forge = { bytes, _ in
            guard bytes.count >= 24 else { return }
            // One run of "not received" for all of them.
            let count = Int(bytes[14]) << 8 | Int(bytes[15])
            bytes[20] = UInt8(count >> 8) & 0x1F
            bytes[21] = UInt8(count & 0xFF)
        }
        simulate(PathConditions(), [downlink], seconds: 20, seed: 3)
        #expect(downlink.estimator.estimate < 300_000)
        #expect(downlink.estimator.estimate >= Limits.Bandwidth.minimum)
    }

    @Test func noFeedbackAtAllLeavesTheStart() {
        let downlink = SimulatedDownlink(seed: 4)
        downlink.receiver.faults.silence = 0...Int64.max
        simulate(PathConditions(), [downlink], seconds: 20, seed: 4)
        #expect(downlink.estimator.estimate == Limits.Bandwidth.start)
    }

    @Test func silenceForEverFallsToTheLeastInSteps() {
        let downlink = SimulatedDownlink(seed: 6)
        downlink.receiver.faults.silence = 10_000_000...Int64.max
        simulate(PathConditions(), [downlink], seconds: 60, seed: 6)
        #expect(downlink.estimator.bound == .silence)
        #expect(downlink.estimator.estimate < 100_000)
        #expect(downlink.estimator.estimate >= Limits.Bandwidth.minimum)
    }

    /// A message of a few bytes that speaks of 65535 packets.
    @Test func aMessageAboutTooManyPacketsIsIgnored() {
        var estimator = BandwidthEstimator()
        for number in 0..<100 {
            estimator.sent(UInt16(number), size: 1000, kind: .video, at: .zero + .milliseconds(Int64(number)))
        }
        var bytes: [UInt8] = [0x8F, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0xFF, 0xFF, 0, 0, 1, 0]
        for _ in 0..<8 { bytes += [0x1F, 0xFF] }
        bytes += [0, 7, 0, 0]
        bytes[3] = UInt8(bytes.count / 4 - 1)
        var seen = false
        eachFeedback(bytes) { feedback in
            seen = true
            let result = estimator.receive(feedback, at: .zero + .milliseconds(200))
            #expect(result.unsent == 65_535)
            #expect(result.lost == 0 && result.received == 0)
        }
        #expect(seen)
    }

    @Test func deadlinesAreNeverDueTwice() {
        for seed in UInt64(1)...3 {
            let downlink = SimulatedDownlink(seed: seed)
            downlink.receiver.faults = FeedbackFaults(loss: 0.2, duplication: 0.1, delay: 0.1)
            var worst = 0
            simulate(
                PathConditions(rates: [(.zero, 3_000_000), (.seconds(5), 500_000), (.seconds(10), 3_000_000)]
                ),
                [downlink],
                seconds: 15,
                seed: seed,
                each: { now, _ in
                    var rounds = 0
                    while downlink.estimator.nextDeadline <= now && downlink.estimator.probe(at: now) == nil
                        && rounds < 10
                    {
                        _ = downlink.estimator.advance(to: now)
                        rounds += 1
                    }
                    worst = max(worst, rounds)
                }
            )
            #expect(worst <= 3, "seed \(seed)")
        }
    }
}
