import RTP
import Testing

@testable import SFU

@Suite struct SharedQueueTests {
    /// Ten reports a second of one queue.
    private func hear(
        _ shared: inout SharedQueue,
        seconds: Double,
        from start: Instant,
        estimate: Int = 1_000_000,
        _ report: (Double) -> SharedQueue.Report
    ) -> Instant {
        var now = start
        for step in 0..<Int(seconds * 10) {
            now = now + .milliseconds(100)
            _ = shared.update(report(Double(step) / 10), estimate: estimate, at: now)
        }
        return now
    }

    private func report(_ queue: Int64, sent: Int, arrived: Int) -> SharedQueue.Report {
        SharedQueue.Report(
            queue: .milliseconds(queue),
            sent: sent,
            arrived: arrived,
            roundTrip: .milliseconds(300)
        )
    }

    @Test func aQueueThatStandsWhateverIsSentIsOthers() {
        var shared = SharedQueue()
        var now = hear(&shared, seconds: 1, from: .zero) { _ in report(0, sent: 900_000, arrived: 900_000) }
        now = hear(&shared, seconds: 0.2, from: now) { _ in report(250, sent: 900_000, arrived: 900_000) }
        #expect(!shared.isShared)
        now = hear(&shared, seconds: 1.2, from: now) { _ in report(250, sent: 450_000, arrived: 450_000) }
        #expect(shared.isShared)
        #expect(shared.keepsLeastDelay(at: now))
        #expect(!shared.keepsLeastDelay(at: now + .seconds(121)))
        _ = hear(&shared, seconds: 0.1, from: now) { _ in report(10, sent: 450_000, arrived: 450_000) }
        #expect(!shared.isShared)
    }

    /// 300 ms at 600 kbit/s, of which three quarters are sent.
    @Test func aQueueThatDrainsIsOurs() {
        var shared = SharedQueue()
        var now = hear(&shared, seconds: 1, from: .zero) { _ in report(0, sent: 900_000, arrived: 900_000) }
        now = hear(&shared, seconds: 0.5, from: now) { _ in report(300, sent: 900_000, arrived: 600_000) }
        _ = hear(&shared, seconds: 1.2, from: now) { time in
            report(300 - Int64(time * 250), sent: 450_000, arrived: 600_000)
        }
        #expect(!shared.isShared)
    }

    @Test func aPathThatCarriesLessAndLessIsNotShared() {
        var shared = SharedQueue()
        _ = hear(&shared, seconds: 10, from: .zero) { time in
            report(200, sent: 1_000_000 - Int(time * 80_000), arrived: 800_000 - Int(time * 70_000))
        }
        #expect(!shared.isShared)
    }

    private func begun() -> (SharedQueue, Instant) {
        var shared = SharedQueue()
        var now = hear(&shared, seconds: 1, from: .zero) { _ in report(0, sent: 900_000, arrived: 900_000) }
        now = hear(&shared, seconds: 3, from: now) { time in
            let rate = time < 0.2 ? 900_000 : 300_000
            return report(250, sent: rate, arrived: rate)
        }
        return (shared, now)
    }

    @Test func growsUpToTheNextStepWhileNothingIsLost() {
        var (shared, now) = begun()
        #expect(shared.isShared)
        var rate = 300_000
        for _ in 0..<100 {
            now = now + .milliseconds(100)
            var report = report(250, sent: 300_000, arrived: 300_000)
            report.goal = 500_000
            _ = shared.update(report, estimate: rate, at: now)
            let next = shared.rate(report, estimate: rate, at: now)
            #expect(next >= rate && next - rate <= rate / 10)
            rate = next
        }
        #expect(rate == 600_000)
    }

    @Test func loseLittleBelowOurPartNothingAboveIt() {
        for (arrived, loss, isLowered) in [
            (300_000, 0.02, false), (300_000, 0.08, true), (700_000, 0.02, true),
        ] {
            var (shared, now) = begun()
            var report = report(250, sent: arrived, arrived: arrived)
            report.lost = 1
            report.loss = loss
            now = now + .seconds(2)
            let rate = shared.rate(report, estimate: 700_000, at: now)
            #expect(isLowered ? rate == 560_000 : rate >= 700_000, "\(arrived) \(loss)")
            // Once a second at most.
            let next = shared.rate(report, estimate: rate, at: now + .milliseconds(200))
            #expect(!isLowered || next == rate)
        }
    }
}
