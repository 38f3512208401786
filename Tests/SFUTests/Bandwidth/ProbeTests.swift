import RTP
import Testing

@testable import SFU

@Suite struct ProbeControllerTests {
    private let start = Instant(microseconds: 3_000_000)
    private typealias Situation = ProbeController.Situation

    /// Sends what is ordered, and returns when the probe was whole.
    private func sendAll(_ probes: inout ProbeController, from begin: Instant, size: Int = 0) -> Instant {
        var now = begin
        for _ in 0..<2000 where probes.isSending {
            while let order = probes.order(at: now) {
                var left = order.bytes
                while left > 0 {
                    probes.sent(size > 0 ? size : order.packetBytes, at: now)
                    left -= size > 0 ? size : order.packetBytes
                }
            }
            now = now + .milliseconds(1)
        }
        return now
    }

    private func answer(_ probes: inout ProbeController, _ rate: Int, full: Bool, at now: Instant)
        -> ProbeController.OnResult
    {
        probes.result(.init(rate: rate, isFull: full), of: probes.cluster.id, estimate: 600_000, at: now)
    }

    @Test func theFirstTwoAreThreeAndSixTimesTheStart() {
        var probes = ProbeController()
        let situation = Situation(estimate: 300_000, goal: 2_500_000, desired: 2_500_000)
        probes.begin(estimate: 300_000, isNew: true, at: start)
        #expect(probes.nextDeadline(situation) <= start)
        probes.advance(situation, to: start)
        #expect(probes.cluster.rate == 900_000)
        let end = sendAll(&probes, from: start)
        #expect(probes.isAwaiting)
        let first = answer(&probes, 900_000, full: false, at: end)
        #expect(first == .carried)
        probes.advance(situation, to: end)
        #expect(probes.cluster.rate == 1_800_000)
        #expect(probes.count == 2)
    }

    @Test func nothingIsProbedForWhatNobodyWants() {
        var probes = ProbeController()
        let situation = Situation(estimate: 300_000, goal: 0, desired: 60_000)
        probes.begin(estimate: 300_000, isNew: true, at: start)
        #expect(probes.nextDeadline(situation) == .distantFuture)
        probes.advance(situation, to: start)
        #expect(!probes.isActive)
    }

    @Test func aProbeIsSpreadOverItsTimeAndWholeInTheEnd() {
        var probes = ProbeController()
        let situation = Situation(estimate: 1_000_000, goal: 3_000_000, desired: 3_000_000)
        probes.advance(situation, to: start)
        #expect(probes.cluster.rate == 2_000_000, "twice the estimate at most")
        let end = sendAll(&probes, from: start)
        let cluster = probes.cluster
        #expect(cluster.isWhole && cluster.sentPackets >= Limits.Bandwidth.probePackets)
        #expect(cluster.sentBytes >= 3_750 && cluster.sentBytes < 6_000)
        #expect(end - start >= .milliseconds(10) && end - start <= .milliseconds(30))
        let rate = Double(cluster.sentBytes) * 8_000_000 / Double((cluster.endedAt - start).microseconds)
        #expect(rate > 1_600_000 && rate < 3_000_000)
    }

    @Test func failuresAreRepeatedEverLessOften() {
        var probes = ProbeController()
        let situation = Situation(estimate: 600_000, goal: 1_100_000, desired: 2_600_000)
        var now = start
        var waits: [Int64] = []
        for _ in 0..<12 {
            let due = max(now, probes.nextDeadline(situation))
            if !waits.isEmpty || due > now { waits.append((due - now).milliseconds) }
            now = due
            probes.advance(situation, to: now)
            #expect(probes.isSending)
            now = sendAll(&probes, from: now) + .milliseconds(100)
            let result = answer(&probes, 580_000, full: true, at: now)
            #expect(result == .exceeded)
        }
        #expect(waits.first == 1000)
        #expect(waits.last == 16_000)
        #expect(zip(waits, waits.dropFirst()).allSatisfy { $0 <= $1 })
    }

    @Test func aSuccessIsFollowedAtOnce() {
        var probes = ProbeController()
        var situation = Situation(estimate: 600_000, goal: 2_000_000, desired: 2_600_000)
        probes.advance(situation, to: start)
        let end = sendAll(&probes, from: start)
        let result = answer(&probes, 1_200_000, full: false, at: end)
        #expect(result == .carried)
        situation.estimate = 1_200_000
        #expect(probes.nextDeadline(situation) <= end)
        probes.advance(situation, to: end)
        #expect(probes.cluster.rate == 2_300_000, "15 % above the goal")
    }

    @Test func aHintShortensTheWait() {
        var probes = ProbeController()
        let situation = Situation(estimate: 600_000, goal: 1_100_000, desired: 2_600_000)
        var now = start
        for _ in 0..<8 {
            now = max(now, probes.nextDeadline(situation))
            probes.advance(situation, to: now)
            now = sendAll(&probes, from: now)
            _ = answer(&probes, 580_000, full: true, at: now)
        }
        #expect(probes.nextDeadline(situation) > now + .seconds(10))
        probes.hint(at: now)
        #expect(probes.nextDeadline(situation) <= now)
        // A hint that led nowhere is not followed again so soon.
        probes.advance(situation, to: now)
        now = sendAll(&probes, from: now)
        _ = answer(&probes, 580_000, full: true, at: now)
        probes.hint(at: now + .milliseconds(500))
        #expect(probes.nextDeadline(situation) > now + .seconds(10))
        probes.hint(at: now + .seconds(3))
        #expect(probes.nextDeadline(situation) <= now + .seconds(3))
    }

    @Test func congestionStopsItAndItWaits() {
        var probes = ProbeController()
        var situation = Situation(estimate: 600_000, goal: 1_100_000, desired: 2_600_000)
        probes.advance(situation, to: start)
        #expect(probes.isSending)
        probes.abort(at: start, wait: .seconds(1))
        #expect(!probes.isActive)
        #expect(probes.order(at: start) == nil)
        situation.isCongested = true
        #expect(probes.nextDeadline(situation) == .distantFuture)
        situation.isCongested = false
        #expect(probes.nextDeadline(situation) == start + .seconds(1))
    }

    @Test func wordsThatWereLostAreNoFailure() {
        var probes = ProbeController()
        let situation = Situation(estimate: 600_000, goal: 1_100_000, desired: 2_600_000)
        probes.advance(situation, to: start)
        let end = sendAll(&probes, from: start)
        probes.tellNothing(at: end)
        #expect(probes.nextDeadline(situation) == end + .milliseconds(100))
    }

    @Test func aResultThatNeverComesIsNotWaitedFor() {
        var probes = ProbeController()
        let situation = Situation(estimate: 600_000, goal: 1_100_000, desired: 2_600_000)
        probes.advance(situation, to: start)
        let end = sendAll(&probes, from: start)
        let until = probes.nextDeadline(situation)
        #expect(until <= end + Limits.Bandwidth.probeResultTime)
        probes.advance(situation, to: until)
        #expect(!probes.isActive)
        let late = answer(&probes, 1_200_000, full: false, at: until)
        #expect(late == .none)
    }

    @Test func whatCannotBeSentIsGivenUp() {
        var probes = ProbeController()
        let situation = Situation(estimate: 600_000, goal: 1_100_000, desired: 2_600_000)
        probes.advance(situation, to: start)
        probes.advance(situation, to: start + .milliseconds(99))
        #expect(probes.isSending)
        probes.advance(situation, to: start + .milliseconds(101))
        #expect(!probes.isActive)
        #expect(probes.nextDeadline(situation) > start + .milliseconds(101))
    }

    @Test func anEstimateThatIsNotUsedIsKeptAlive() {
        var probes = ProbeController()
        var situation = Situation(estimate: 5_000_000, goal: 0, desired: 2_500_000)
        #expect(probes.nextDeadline(situation) == .distantFuture)
        situation.idleSince = start
        #expect(probes.nextDeadline(situation) == start + Limits.Bandwidth.upkeepInterval)
        probes.advance(situation, to: start + Limits.Bandwidth.upkeepInterval)
        #expect(probes.cluster.rate == 2_875_000, "no more than is needed")
    }

    @Test func probesAreSmallOnASmallPath() {
        var probes = ProbeController()
        let situation = Situation(estimate: 600_000, goal: 1_100_000, desired: 2_600_000)
        probes.advance(situation, to: start)
        _ = sendAll(&probes, from: start)
        #expect(probes.cluster.sentBytes < 4_000)
    }
}

@Suite struct ProbeEstimatorTests {
    /// Ten packets of 1000 bytes; `lost` of them do not come.
    private func result(sent: Int64, arrived: Int64, lost: Int = 0, unheard: Int = 0) -> ProbeEstimator
        .Result?
    {
        var estimator = ProbeEstimator()
        var cluster = ProbeController.Cluster(id: 7, rate: 1, packets: 10, bytes: 10_000)
        cluster.sentPackets = 10
        cluster.sentBytes = 10_000
        for index in 0..<10 {
            if index < lost {
                estimator.lose(7)
            } else if index >= lost + unheard {
                estimator.receive(
                    7,
                    size: 1000,
                    sent: Int64(index) * sent,
                    arrival: 77_000_000 + Int64(index) * arrived
                )
            }
        }
        return estimator.result(of: cluster)
    }

    @Test func theRateOfWhatCame() {
        #expect(result(sent: 8000, arrived: 8000) == .init(rate: 1_000_000, isFull: false))
        #expect(result(sent: 4000, arrived: 8000) == .init(rate: 950_000, isFull: true))
        // A little faster than it was sent.
        #expect(result(sent: 8000, arrived: 7000) == .init(rate: 1_000_000, isFull: false))
    }

    @Test func whatTellsNothing() {
        #expect(result(sent: 8000, arrived: 3000) == nil, "held up, then let go")
        #expect(result(sent: 8000, arrived: 8000, unheard: 3) == nil)
        #expect(result(sent: 0, arrived: 8000) == nil)
        #expect(result(sent: 120_000, arrived: 120_000) == nil)
        #expect(result(sent: 8000, arrived: 0) == nil)
    }

    @Test func lossIsToldFromSilence() {
        var estimator = ProbeEstimator()
        var cluster = ProbeController.Cluster(id: 9)
        cluster.sentPackets = 10
        for _ in 0..<2 { estimator.lose(9) }
        #expect(!estimator.isLossy(cluster))
        estimator.lose(9)
        #expect(estimator.isLossy(cluster))
        estimator.lose(13)
        #expect(!estimator.isLossy(cluster), "another one took its place")
    }

    @Test func clustersAreKeptApart() {
        var estimator = ProbeEstimator()
        for index in 0..<5 {
            estimator.receive(1, size: 1000, sent: Int64(index) * 8000, arrival: Int64(index) * 8000)
            estimator.receive(2, size: 500, sent: Int64(index) * 8000, arrival: Int64(index) * 8000)
        }
        #expect(estimator.packets(of: 1) == 5 && estimator.packets(of: 2) == 5)
        estimator.receive(5, size: 500, sent: 1, arrival: 1)
        #expect(estimator.packets(of: 1) == 0 && estimator.packets(of: 5) == 1)
    }
}
