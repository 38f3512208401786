import RTP
import Testing

@testable import SFU

@Suite struct RateControlTests {
    private let start = Instant(microseconds: 9_000_000)

    /// Says the same every 100 ms; what arrives is the estimate unless said otherwise.
    private func run(
        _ control: inout RateControl,
        seconds: Double,
        from now: inout Instant,
        _ observe: (RateControl) -> RateControl.Observation
    ) {
        for _ in 0..<Int(seconds * 10) {
            now = now + .milliseconds(100)
            _ = control.update(observe(control), at: now)
        }
    }

    @Test func growsByEightPercentASecondFarFromTheEnd() {
        var control = RateControl(start: 1_000_000)
        var now = start
        run(&control, seconds: 5.2, from: &now) { .init(acknowledged: $0.estimate) }
        #expect(abs(control.estimate - 1_480_000) < 40_000)
    }

    @Test func growsByLittleNearTheEnd() {
        var control = RateControl(start: 1_000_000)
        var now = start
        control.noteFull(1_000_000)
        run(&control, seconds: 5, from: &now) { .init(acknowledged: min($0.estimate, 1_000_000)) }
        #expect(control.estimate > 1_020_000 && control.estimate < 1_200_000)
    }

    @Test func unusedEstimatesDoNotGrow() {
        var control = RateControl(start: 1_000_000)
        var now = start
        run(&control, seconds: 10, from: &now) { _ in .init(acknowledged: 100_000, isIdle: true) }
        #expect(control.estimate == 1_000_000)
        run(&control, seconds: 10, from: &now) { _ in .init(acknowledged: 800_000) }
        #expect(control.estimate == 1_000_000, "what arrives bounds it")
    }

    @Test func overuseLowersBelowWhatArrivesAndOnlyOncePerRoundTrip() {
        var control = RateControl(start: 1_000_000)
        var overuse = RateControl.Observation(use: .overuse, acknowledged: 900_000)
        overuse.roundTrip = .milliseconds(150)
        let result1 = control.update(overuse, at: start)
        #expect(result1 == .lowered)
        #expect(control.estimate == 760_000)
        overuse.acknowledged = 700_000
        let result2 = control.update(overuse, at: start + .milliseconds(100))
        #expect(result2 == .held)
        let result3 = control.update(overuse, at: start + .milliseconds(160))
        #expect(result3 == .lowered)
        #expect(control.estimate == 590_000)
        overuse.acknowledged = 200_000
        let result4 = control.update(overuse, at: start + .milliseconds(170))
        #expect(result4 == .lowered, "less than half")
        #expect(control.estimate == 165_000)
    }

    @Test func overuseNeverRaises() {
        var control = RateControl(start: 500_000)
        let result5 = control.update(.init(use: .overuse, acknowledged: 5_000_000), at: start)
        #expect(result5 == .held)
        #expect(control.estimate == 500_000)
        let result6 = control.update(.init(use: .overuse), at: start + .seconds(1))
        #expect(result6 == .lowered)
        #expect(control.estimate == 425_000)
    }

    @Test func underuseHolds() {
        var control = RateControl(start: 500_000)
        var now = start
        run(&control, seconds: 5, from: &now) { .init(use: .underuse, acknowledged: $0.estimate) }
        #expect(control.estimate == 500_000)
    }

    @Test func limitsHold() {
        var control = RateControl(start: 500_000)
        control.set(10_000, at: start)
        control.limit(30_000...400_000)
        #expect(control.estimate == 30_000)
        control.set(900_000, at: start)
        control.limit(30_000...400_000)
        #expect(control.estimate == 400_000)
    }
}

@Suite struct LossControllerTests {
    /// 100 packets a second of this rate, `loss` of them lost by `dice`, reported every 100 ms.
    private func run(
        _ controller: inout LossController,
        seconds: Int,
        rate: (LossController) -> Int,
        loss: (Int) -> Double,
        delayBased: Int,
        dice: inout Dice,
        from now: inout Instant
    ) {
        for _ in 0..<(seconds * 10) {
            var received = 0
            let rate = rate(controller)
            for _ in 0..<10 {
                now = now + .milliseconds(10)
                let isLost = dice.unit() < loss(rate)
                controller.note(rate / 800, isLost: isLost, sent: now.microseconds)
                received += isLost ? 0 : rate / 800
            }
            controller.update(delayBased: delayBased, acknowledged: received * 80, at: now)
        }
    }

    @Test func withoutLossNothingIsLimited() {
        var controller = LossController()
        var dice = Dice(seed: 1)
        var now = Instant.zero
        run(
            &controller,
            seconds: 10,
            rate: { _ in 1_000_000 },
            loss: { _ in 0 },
            delayBased: 1_200_000,
            dice: &dice,
            from: &now
        )
        #expect(controller.limit == nil && controller.loss == 0)
    }

    @Test(arguments: [0.02, 0.05])
    func lossOfThePathItselfLimitsLittle(loss: Double) {
        for seed in UInt64(1)...10 {
            var controller = LossController()
            var dice = Dice(seed: seed)
            var now = Instant.zero
            run(
                &controller,
                seconds: 30,
                rate: { min($0.limit ?? 2_000_000, 2_000_000) },
                loss: { _ in loss },
                delayBased: 2_000_000,
                dice: &dice,
                from: &now
            )
            #expect((controller.limit ?? 2_000_000) > 1_500_000, "seed \(seed)")
            #expect(abs(controller.loss - loss) < 0.06, "seed \(seed)")
        }
    }

    @Test func tooMuchSentIsLimitedToWhatComes() {
        for seed in UInt64(1)...10 {
            var controller = LossController()
            var dice = Dice(seed: seed)
            var now = Instant.zero
            run(
                &controller,
                seconds: 10,
                rate: { min($0.limit ?? 2_000_000, 2_000_000) },
                loss: { max(0, 1 - 500_000 / Double($0)) },
                delayBased: 2_000_000,
                dice: &dice,
                from: &now
            )
            #expect((controller.limit ?? 2_000_000) < 700_000, "seed \(seed)")
        }
    }

    @Test func aPacketThatCameAfterAllIsNoLoss() {
        var controller = LossController()
        for index in 0..<40 {
            controller.note(1000, isLost: index % 2 == 0, sent: Int64(index) * 20_000)
            if index % 2 == 0 { controller.revise(1000) }
        }
        controller.update(delayBased: 1_000_000, acknowledged: 400_000, at: .zero + .milliseconds(800))
        #expect(controller.loss == 0)
    }

    @Test func nothingReceivedStillHasALimitAboveZero() {
        var controller = LossController()
        for index in 0..<500 { controller.note(1000, isLost: true, sent: Int64(index) * 10_000) }
        controller.update(delayBased: 1_000_000, acknowledged: nil, at: .zero + .seconds(5))
        #expect(controller.limit.map { $0 > 0 && $0 < 200_000 } == true)
    }
}

@Suite struct ApplicationLimitTests {
    @Test func littleTrafficIsIdleAndMuchIsNot() {
        var application = ApplicationLimit()
        var now = Instant.zero
        func run(_ rate: Int, _ application: inout ApplicationLimit) {
            for _ in 0..<20 {
                now = now + .milliseconds(100)
                application.sent(rate / 80)
                _ = application.update(estimate: 1_000_000, at: now)
            }
        }
        run(900_000, &application)
        #expect(application.since == nil)
        run(100_000, &application)
        #expect(application.since != nil)
        run(600_000, &application)
        #expect(application.since != nil, "not used enough to leave it")
        run(1_000_000, &application)
        #expect(application.since == nil)
    }
}

@Suite struct CliffDetectorTests {
    private func report(_ sent: Int?, _ arrived: Int?, queue: Int64) -> CliffDetector.Report {
        .init(sent: sent, arrived: arrived, queue: .milliseconds(queue))
    }
    private let start = Instant(microseconds: 1_000_000)

    @Test func twoReportsAreNeeded() {
        var cliff = CliffDetector()
        let result7 = cliff.update(report(1_000_000, 600_000, queue: 80), at: start)
        #expect(result7 == .clear)
        let second = cliff.update(report(1_000_000, 600_000, queue: 90), at: start + .milliseconds(100))
        #expect(second == .fell(600_000))
        #expect(cliff.isDraining)
    }

    @Test func oneIsEnoughWhereItIsSteep() {
        var cliff = CliffDetector()
        let result8 = cliff.update(report(2_500_000, 600_000, queue: 160), at: start)
        #expect(result8 == .fell(600_000))
    }

    @Test(arguments: [(1_000_000, 600_000, 20), (1_000_000, 800_000, 200), (50_000, 60_000, 400)])
    func aShortQueueOrAFittingRateIsNone(sent: Int, arrived: Int, queue: Int) {
        var cliff = CliffDetector()
        for index in 0..<10 {
            let now = start + .milliseconds(Int64(index) * 100)
            let result9 = cliff.update(report(sent, arrived, queue: Int64(queue)), at: now)
            #expect(result9 == .clear)
        }
    }

    @Test func nothingKnownIsNone() {
        var cliff = CliffDetector()
        for _ in 0..<5 {
            let result = cliff.update(report(nil, nil, queue: 500), at: start)
            #expect(result == .clear)
        }
    }

    @Test func aFurtherFallIsFollowedAndAPauseOfOursIsNot() {
        var cliff = CliffDetector()
        _ = cliff.update(report(2_500_000, 800_000, queue: 300), at: start)
        let further = cliff.update(report(2_000_000, 600_000, queue: 300), at: start + .milliseconds(100))
        #expect(further == .fell(600_000))
        let pause = cliff.update(report(100_000, 100_000, queue: 200), at: start + .milliseconds(200))
        #expect(pause == .draining)
        #expect(cliff.rate == 600_000)
    }

    @Test func itEndsWhenTheQueueIsGoneOrInTime() {
        var cliff = CliffDetector()
        _ = cliff.update(report(2_500_000, 600_000, queue: 300), at: start)
        let result10 = cliff.update(report(400_000, 600_000, queue: 60), at: start + .milliseconds(500))
        #expect(result10 == .draining)
        let end = cliff.update(report(400_000, 600_000, queue: 20), at: start + .milliseconds(600))
        #expect(end == .drained(600_000))
        _ = cliff.update(report(2_500_000, 600_000, queue: 300), at: start + .seconds(2))
        var ended: Instant?
        for index in 0..<40 where ended == nil {
            let now = start + .seconds(2) + .milliseconds(Int64(index) * 100)
            if case .drained = cliff.update(report(600_000, 600_000, queue: 200), at: now) { ended = now }
        }
        #expect(ended == start + .milliseconds(4500))
    }
}

@Suite struct FeedbackWatchdogTests {
    private let start = Instant(microseconds: 1_000_000)
    private let roundTrip = Interval.milliseconds(50)

    @Test func nothingIsExpectedBeforeTheFirstReport() {
        var watchdog = FeedbackWatchdog()
        watchdog.wait(from: start, roundTrip)
        #expect(watchdog.deadline == .distantFuture)
    }

    @Test func silenceCountsFromTheFirstPacketThatIsUnreported() {
        var watchdog = FeedbackWatchdog()
        let result11 = watchdog.reported(missing: 0, at: start)
        #expect(result11 == 0)
        #expect(watchdog.deadline == .distantFuture)
        watchdog.wait(from: start + .milliseconds(400), roundTrip)
        #expect(watchdog.isWaiting)
        #expect(watchdog.deadline == start + .milliseconds(700))
        let result12 = watchdog.advance(to: start + .milliseconds(699))
        #expect(!result12)
        let result13 = watchdog.advance(to: start + .milliseconds(700))
        #expect(result13)
        let result14 = watchdog.advance(to: start + .milliseconds(701))
        #expect(!result14)
        let result15 = watchdog.advance(to: start + .milliseconds(1700))
        #expect(result15)
        let result16 = watchdog.reported(missing: 0, at: start + .milliseconds(1800))
        #expect(result16 == 2)
        #expect(watchdog.cuts == 0 && watchdog.deadline == .distantFuture)
    }

    @Test func longRoundTripsAreWaitedForWithinABound() {
        var watchdog = FeedbackWatchdog()
        _ = watchdog.reported(missing: 0, at: start)
        #expect(watchdog.patience(.milliseconds(200)) == .milliseconds(700))
        #expect(watchdog.patience(.seconds(5)) == Limits.Bandwidth.silenceLongest)
    }

    @Test func whereReportsAreLostAnywayItWaitsLonger() {
        var watchdog = FeedbackWatchdog()
        var now = start
        for index in 0..<50 {
            now = now + .milliseconds(index % 3 == 0 ? 200 : 100)
            _ = watchdog.reported(missing: index % 3 == 0 ? 1 : 0, at: now)
        }
        #expect(watchdog.patience(roundTrip) > .milliseconds(450))
        #expect(watchdog.patience(roundTrip) < .milliseconds(600))
        #expect(watchdog.interval > .milliseconds(90) && watchdog.interval < .milliseconds(110))
    }
}
