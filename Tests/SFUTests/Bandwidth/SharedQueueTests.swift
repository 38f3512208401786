import RTP
import Testing

@testable import SFU

@Suite struct SharedQueueTests {
    /// Ten reports a second of one queue; the last answer that said something.
    @discardableResult
    private func hear(
        _ shared: inout SharedQueue,
        seconds: Double,
        from start: inout Instant,
        estimate: Int = 900_000,
        _ report: (Double) -> SharedQueue.Report
    ) -> SharedQueue.OnReport {
        var answer = SharedQueue.OnReport.noted
        for step in 0..<Int(seconds * 10) {
            start = start + .milliseconds(100)
            let next = shared.update(report(Double(step) / 10), estimate: estimate, at: start)
            if next != .noted { answer = next }
        }
        return answer
    }

    private func report(_ queue: Double, sent: Int, arrived: Int? = nil) -> SharedQueue.Report {
        SharedQueue.Report(
            queue: .microseconds(Int64(queue * 1000)),
            sent: sent,
            arrived: arrived ?? sent,
            roundTrip: .milliseconds(300)
        )
    }

    /// Grows from 210 to 300 ms in three seconds and falls at once.
    private func likeTCP(_ time: Double) -> Double {
        210 + 90 * (time / 3).truncatingRemainder(dividingBy: 1)
    }
    /// The other way round.
    private func likeUs(_ time: Double) -> Double { 510 - likeTCP(time) }

    /// The queue was empty at 900 kbit/s, and then it stands.
    private func begun(_ queue: (Double) -> Double, seconds: Double = 6) -> (SharedQueue, Instant) {
        var shared = SharedQueue()
        var now = Instant.zero
        hear(&shared, seconds: 1, from: &now) { _ in report(0, sent: 900_000) }
        hear(&shared, seconds: seconds, from: &now, estimate: 450_000) { time in
            report(queue(time), sent: time < 0.2 ? 900_000 : 450_000)
        }
        return (shared, now)
    }

    @Test func aQueueThatStandsWhateverIsSentIsOthers() {
        #expect(!begun(likeTCP, seconds: 2.9).0.isShared)
        var (shared, now) = begun(likeTCP)
        #expect(shared.isShared)
        #expect(shared.keepsLeastDelay(at: now))
        #expect(!shared.keepsLeastDelay(at: now + .seconds(601)))
        hear(&shared, seconds: 0.1, from: &now) { _ in report(10, sent: 450_000) }
        #expect(!shared.isShared)
    }

    @Test func whoFollowsTheDelayIsNotTakenForATransfer() {
        #expect(!begun(likeUs, seconds: 20).0.isShared)
        var (shared, now) = begun(likeTCP)
        hear(&shared, seconds: 9, from: &now) { report(likeUs($0), sent: 450_000) }
        #expect(!shared.isShared)
    }

    @Test func aLongerWayIsNoQueue() {
        #expect(!begun({ _ in 130 }, seconds: 20).0.isShared)
        var (shared, now) = begun(likeTCP)
        #expect(hear(&shared, seconds: 7, from: &now) { _ in report(250, sent: 450_000) } == .noted)
        #expect(hear(&shared, seconds: 2, from: &now) { _ in report(250, sent: 450_000) } == .longer)
        #expect(!shared.isShared)
    }

    /// 300 ms at 600 kbit/s, of which three quarters are sent.
    @Test func aQueueThatDrainsIsOurs() {
        var shared = SharedQueue()
        var now = Instant.zero
        hear(&shared, seconds: 1, from: &now) { _ in report(0, sent: 900_000) }
        hear(&shared, seconds: 0.5, from: &now) { _ in report(300, sent: 900_000, arrived: 600_000) }
        hear(&shared, seconds: 1.2, from: &now) { time in
            report(300 - time * 250, sent: 450_000, arrived: 600_000)
        }
        #expect(!shared.isShared)
    }

    @Test func aPathThatCarriesLessAndLessIsNotShared() {
        var shared = SharedQueue()
        var now = Instant.zero
        hear(&shared, seconds: 10, from: &now) { time in
            report(
                likeTCP(time),
                sent: 1_000_000 - Int(time * 80_000),
                arrived: 800_000 - Int(time * 70_000)
            )
        }
        #expect(!shared.isShared)
    }

    @Test func whoIsLeftWithNextToNothingSeesItLater() {
        for (seconds, estimate, isShared) in [
            (4.0, 60_000, false), (7, 60_000, true), (7, 600_000, false),
        ] {
            var shared = SharedQueue()
            var now = Instant.zero
            hear(&shared, seconds: 1, from: &now) { _ in report(0, sent: 900_000) }
            hear(&shared, seconds: seconds, from: &now, estimate: estimate) { time in
                report(likeTCP(time), sent: 60_000)
            }
            #expect(shared.isShared == isShared, "\(seconds) s, \(estimate) bit/s")
        }
    }

    @Test func endsWhereTooLittlePassesAndIsDoubtedThen() {
        var (shared, now) = begun(likeTCP)
        hear(&shared, seconds: 1, from: &now) { report(likeTCP($0), sent: 450_000, arrived: 200_000) }
        #expect(shared.isShared)
        hear(&shared, seconds: 0.5, from: &now) { report(likeTCP($0), sent: 450_000, arrived: 200_000) }
        #expect(!shared.isShared)
        let again: (Double) -> SharedQueue.Report = { time in
            report(likeTCP(time), sent: time < 0.2 ? 900_000 : 450_000)
        }
        hear(&shared, seconds: 9, from: &now, again)
        #expect(!shared.isShared)
        hear(&shared, seconds: 3, from: &now, again)
        #expect(shared.isShared)
    }

    @Test func growsUpToHalfOfWhatWasBeforeWhileNothingIsLost() {
        var (shared, now) = begun(likeTCP)
        var rate = 200_000
        for step in 0..<100 {
            now = now + .milliseconds(100)
            var report = report(likeTCP(Double(step) / 10), sent: 300_000)
            report.goal = 2_000_000
            _ = shared.update(report, estimate: rate, at: now)
            let next = shared.rate(report, estimate: rate, at: now)
            #expect(next >= rate && next - rate <= max(11_000, rate / 10))
            rate = next
        }
        #expect(rate == 450_000)
    }

    @Test func growsNoFurtherThanTheNextStepNeeds() {
        var (shared, now) = begun(likeTCP)
        var rate = 200_000
        for step in 0..<100 {
            now = now + .milliseconds(100)
            var report = report(likeTCP(Double(step) / 10), sent: 200_000)
            report.goal = 300_000
            _ = shared.update(report, estimate: rate, at: now)
            rate = shared.rate(report, estimate: rate, at: now)
        }
        #expect(rate == 360_000)
    }

    @Test func everyLossIsAnsweredOnceASecondUnlessLittleIsLeft() {
        for (arrived, loss, isLowered) in [
            (200_000, 0.05, false), (200_000, 0.1, true), (300_000, 0.001, true), (700_000, 0.001, true),
        ] {
            var (shared, now) = begun(likeTCP)
            var report = report(250, sent: arrived)
            report.lost = 1
            report.loss = loss
            now = now + .seconds(2)
            let rate = shared.rate(report, estimate: 400_000, at: now)
            #expect(isLowered ? rate == 300_000 : rate >= 400_000, "\(arrived) \(loss)")
            let next = shared.rate(report, estimate: rate, at: now + .milliseconds(200))
            #expect(!isLowered || next == rate)
        }
    }
}
