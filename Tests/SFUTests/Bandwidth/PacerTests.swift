import RTP
import Testing

@testable import SFU

@Suite struct PacerTests {
    private let start = Instant(microseconds: 1_000_000)

    /// Lets packets of 1000 bytes go whenever they may, and returns how many went.
    private func drain(_ pacer: inout Pacer, for time: Interval, from now: inout Instant) -> Int {
        var count = 0
        let end = now + time
        while now < end {
            while pacer.available(at: now) > 0 {
                pacer.sent(1000)
                count += 1
            }
            now = max(pacer.nextDeadline(at: now), now + .microseconds(1))
        }
        return count
    }

    @Test func leavesATenthAboveTheTarget() {
        var pacer = Pacer(target: 800_000, at: start)
        var now = start
        #expect(pacer.rate == 880_000)
        let count = drain(&pacer, for: .seconds(10), from: &now)
        #expect(count >= 1100 && count <= 1106)
    }

    @Test func aBurstIsBounded() {
        var pacer = Pacer(target: 800_000, at: start)
        var now = start + .seconds(60)
        let count = drain(&pacer, for: .microseconds(1), from: &now)
        #expect(count == 5, "40 ms of 880 kbit/s")
    }

    @Test func deadlinesAreWhenSomethingMayGo() {
        var pacer = Pacer(target: 800_000, at: start)
        var now = start
        _ = drain(&pacer, for: .milliseconds(1), from: &now)
        for _ in 0..<100 {
            let next = pacer.nextDeadline(at: now)
            var before = pacer
            let bytes1 = before.available(at: next - .microseconds(2))
            #expect(bytes1 == 0)
            let bytes2 = pacer.available(at: next)
            #expect(bytes2 > 0)
            pacer.sent(1000)
            now = next
        }
    }

    @Test func audioIsNotAskedForAndCounts() {
        var pacer = Pacer(target: 80_000, at: start)
        for _ in 0..<100 { pacer.sent(200) }
        let bytes3 = pacer.available(at: start)
        #expect(bytes3 == 0)
        // What audio may take in advance is bounded, so that video is not silenced for long.
        #expect(pacer.nextDeadline(at: start) <= start + .milliseconds(1100))
    }

    @Test func moreWaitsMeansFaster() {
        var pacer = Pacer(target: 800_000, at: start)
        pacer.aim(at: 800_000, queued: 18_000, at: start)
        #expect(pacer.rate == 960_000)
        pacer.aim(at: 800_000, queued: 1_000_000, at: start)
        #expect(pacer.rate == 1_000_000)
        pacer.aim(at: 800_000, queued: 0, at: start)
        #expect(pacer.rate == 880_000)
        pacer.aim(at: 800_000, queued: 0, isFree: true, at: start)
        #expect(pacer.rate == 2_000_000)
    }

    @Test func whatWaitsTooLong() {
        let pacer = Pacer(target: 800_000, at: start)
        #expect(!pacer.isOverfull(16_000))
        #expect(pacer.isOverfull(17_000))
        #expect(pacer.delay(of: 11_000) == .milliseconds(100))
    }

    @Test func aClockThatStandsStillOrGoesBack() {
        var pacer = Pacer(target: 800_000, at: start)
        pacer.sent(5300)
        let bytes4 = pacer.available(at: start - .seconds(5))
        #expect(bytes4 == 0)
        let bytes5 = pacer.available(at: start + .milliseconds(9))
        #expect(bytes5 > 0)
    }
}

@Suite struct BacklogControlTests {
    /// A connection that takes this much, fed by the estimate up to a demand.
    private func run(
        _ control: inout BacklogControl,
        rate: Int,
        demand: Int,
        seconds: Int,
        from now: inout Instant
    )
        -> Int
    {
        var backlog = 0.0
        var most = 0
        for _ in 0..<(seconds * 20) {
            now = now + .milliseconds(50)
            let sent = min(control.estimate, demand) / 160
            control.sent(sent)
            backlog = max(0, backlog + Double(sent) - Double(rate) / 160)
            _ = control.update(
                backlog: Int(backlog),
                isIdle: demand < control.estimate * 6 / 10,
                at: now
            )
            most = max(most, Int(backlog))
        }
        return most
    }

    @Test(arguments: [200_000, 1_000_000, 4_000_000])
    func settlesBelowWhatTheConnectionTakes(rate: Int) {
        var control = BacklogControl(start: 300_000)
        var now = Instant.zero
        _ = run(&control, rate: rate, demand: .max / 2, seconds: 40, from: &now)
        let most = run(&control, rate: rate, demand: .max / 2, seconds: 40, from: &now)
        #expect(control.estimate > rate * 6 / 10 && control.estimate < rate * 13 / 10)
        // Less than half a second waits.
        #expect(most * 16 < rate)
    }

    @Test func aFallIsFollowed() {
        var control = BacklogControl(start: 2_000_000)
        var now = Instant.zero
        _ = run(&control, rate: 3_000_000, demand: .max / 2, seconds: 10, from: &now)
        _ = run(&control, rate: 300_000, demand: .max / 2, seconds: 5, from: &now)
        #expect(control.estimate < 400_000)
    }

    @Test func unusedItDoesNotGrow() {
        var control = BacklogControl(start: 300_000)
        var now = Instant.zero
        _ = run(&control, rate: 10_000_000, demand: 50_000, seconds: 60, from: &now)
        #expect(control.estimate == 300_000)
    }
}

@Suite struct ReportedRateTests {
    private let start = Instant(microseconds: 1_000_000)

    @Test func thePeersEstimateCountsAtOnceAndForAWhile() {
        var rate = ReportedRate(start: 300_000)
        #expect(rate.rate(at: start) == 300_000)
        rate.receive(receiverEstimate: 2_000_000, at: start)
        #expect(rate.rate(at: start) == 2_000_000)
        rate.receive(receiverEstimate: 150_000, at: start)
        #expect(rate.rate(at: start) == 150_000)
        #expect(rate.rate(at: start + Limits.Bandwidth.receiverEstimateAge) == 300_000)
        rate.receive(receiverEstimate: .max, at: start)
        #expect(rate.rate(at: start) == Limits.Bandwidth.maximum)
    }

    @Test func lossLowersAndItsAbsenceRaises() {
        var rate = ReportedRate(start: 300_000)
        var now = start
        rate.receive(receiverEstimate: 2_000_000, at: now)
        rate.receive(fractionLost: 64, used: 2_000_000, at: now)
        #expect(rate.rate(at: now) == 1_750_000)
        rate.receive(fractionLost: 64, used: 2_000_000, at: now + .milliseconds(100))
        #expect(rate.rate(at: now) == 1_750_000, "not so soon again")
        rate.receive(fractionLost: 15, used: 2_000_000, at: now + .seconds(1))
        #expect(rate.rate(at: now) == 1_750_000)
        for _ in 0..<4 {
            now = now + .seconds(1)
            rate.receive(receiverEstimate: 2_000_000, at: now)
            rate.receive(fractionLost: 0, used: 2_000_000, at: now)
        }
        #expect(rate.rate(at: now) == 2_000_000)
    }

    @Test func withoutAnEstimateTheGuessGrowsWithItsUse() {
        var rate = ReportedRate(start: 300_000)
        var now = start
        for _ in 0..<60 {
            now = now + .seconds(1)
            rate.receive(fractionLost: 0, used: min(rate.rate(at: now), 1_000_000), at: now)
        }
        #expect(rate.rate(at: now) >= 1_900_000 && rate.rate(at: now) <= 2_200_000)
        for _ in 0..<60 {
            now = now + .seconds(1)
            rate.receive(fractionLost: 255, used: 1_000_000, at: now)
        }
        #expect(rate.rate(at: now) == Limits.Bandwidth.minimum)
    }
}
