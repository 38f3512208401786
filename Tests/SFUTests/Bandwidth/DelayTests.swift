import RTP
import Testing

@testable import SFU

@Suite struct PathDelayTests {
    private let start = Instant(microseconds: 50_000_000)

    /// One report about packets every 20 ms that wait as long as said.
    private func report(
        _ path: inout PathDelay,
        at now: Instant,
        clock: Int64 = 7_000_000_000,
        keepsLeast: Bool = false,
        waits: [Int64]
    ) -> PathDelay.OnReport {
        var packets: [(sent: Instant, arrival: Int64)] = []
        for (index, wait) in waits.enumerated() {
            let arrival = now - .milliseconds(20) - .milliseconds(Int64(waits.count - 1 - index) * 20)
            let sent = arrival - .milliseconds(20) - .microseconds(wait)
            packets.append((sent, arrival.microseconds &+ clock))
        }
        guard let newest = packets.last else { return .settled }
        let result = path.begin(newestSent: newest.sent, arrival: newest.arrival, at: now)
        for packet in packets { path.note(sent: packet.sent, arrival: packet.arrival) }
        path.keepsLeast = keepsLeast
        path.settle(at: now)
        return result
    }

    @Test func theQueueIsTheLeastOfAReportAboveTheLeastOfAll() {
        var path = PathDelay()
        let result1 = report(&path, at: start, waits: [0, 0, 0])
        #expect(result1 == .settled)
        #expect(path.queue == .zero)
        _ = report(&path, at: start + .milliseconds(100), waits: [30_000, 12_000, 40_000])
        #expect(path.queue == .milliseconds(12))
        #expect(path.leastRoundTrip == .milliseconds(40))
    }

    @Test(arguments: [-5_000_000_000, -300_000, 300_000, 5_000_000_000] as [Int64])
    func aClockThatJumpsIsNoQueue(jump: Int64) {
        var path = PathDelay()
        for index in 0..<10 {
            _ = report(&path, at: start + .milliseconds(Int64(index) * 100), waits: [0, 0, 0, 0])
        }
        let after = report(&path, at: start + .seconds(1), clock: 7_000_000_000 + jump, waits: [0, 0])
        #expect(after == .jumped)
        #expect(path.queue < .milliseconds(30))
        let later = report(
            &path,
            at: start + .milliseconds(1100),
            clock: 7_000_000_000 + jump,
            waits: [0, 0]
        )
        #expect(later == .settled)
        #expect(path.queue < .milliseconds(30))
    }

    /// Reports are late by the queue, too: neither least is forgotten, or the queue would look like a clock that jumps.
    @Test(arguments: [true, false])
    func theLeastIsKeptWhileOthersFillTheQueue(keepsLeast: Bool) {
        var path = PathDelay()
        _ = report(&path, at: start, waits: [0, 0])
        for index in 1..<600 {
            _ = report(
                &path,
                at: start + .milliseconds(Int64(index) * 100),
                keepsLeast: keepsLeast,
                waits: [200_000, 200_000]
            )
        }
        #expect(path.queue == (keepsLeast ? .milliseconds(200) : .zero))
        path.forgetLeast()
        let after = report(&path, at: start + .seconds(60), keepsLeast: keepsLeast, waits: [200_000])
        #expect(after == .settled)
        #expect(path.queue == .zero)
    }

    @Test func aRealQueueIsNoJump() {
        var path = PathDelay()
        _ = report(&path, at: start, waits: [0, 0])
        let result2 = report(&path, at: start + .milliseconds(900), waits: [400_000, 400_000])
        #expect(result2 == .settled)
        #expect(path.queue == .milliseconds(400))
    }

    @Test func aLongerRouteIsForgottenInTime() {
        var path = PathDelay()
        _ = report(&path, at: start, waits: [0])
        var now = start
        for _ in 0..<400 {
            now = now + .milliseconds(100)
            _ = report(&path, at: now, waits: [80_000])
        }
        #expect(path.queue == .zero)
    }
}

@Suite struct InterArrivalTests {
    @Test func packetsOfOneBurstAreOneGroup() {
        var groups = InterArrival()
        var found: [InterArrival.Deltas] = []
        for burst in 0..<4 {
            for packet in 0..<3 {
                let sent = Int64(burst) * 33_000 + Int64(packet) * 500
                let arrival = Int64(burst) * 35_000 + Int64(packet) * 2_000
                if let deltas = groups.receive(sent: sent, arrival: arrival) { found.append(deltas) }
            }
        }
        #expect(found == [.init(sent: 33_000, arrived: 35_000), .init(sent: 33_000, arrived: 35_000)])
    }

    @Test func whatWaitedTogetherBelongsTogether() {
        var groups = InterArrival()
        _ = groups.receive(sent: 0, arrival: 0)
        // Sent 20 ms apart, and arrived 1 ms apart.
        var found = 0
        for index in 1...4
        where groups.receive(sent: Int64(index) * 20_000, arrival: Int64(index) * 1_000) != nil {
            found += 1
        }
        #expect(found == 0)
    }

    @Test func reorderedPacketsAreLeftOut() {
        var groups = InterArrival()
        _ = groups.receive(sent: 100_000, arrival: 100_000)
        let result3 = groups.receive(sent: 50_000, arrival: 101_000)
        #expect(result3 == nil)
        _ = groups.receive(sent: 140_000, arrival: 140_000)
        let result4 = groups.receive(sent: 180_000, arrival: 180_000)
        #expect(result4 == .init(sent: 40_000, arrived: 40_000))
    }

    @Test func arrivalsThatGoBackStartAnew() {
        var groups = InterArrival()
        var sent: Int64 = 0
        var arrival: Int64 = 10_000_000
        for _ in 0..<10 {
            _ = groups.receive(sent: sent, arrival: arrival)
            sent += 20_000
            arrival -= 100_000
        }
        var found = 0
        for _ in 0..<10 {
            sent += 20_000
            arrival += 20_000
            if groups.receive(sent: sent, arrival: arrival) != nil { found += 1 }
        }
        #expect(found >= 6)
    }
}

@Suite struct TrendlineTests {
    /// Groups every 20 ms whose delay changes by so many microseconds each.
    private func feed(_ trend: inout Trendline, _ count: Int, change: Int64, from arrival: inout Int64) {
        for _ in 0..<count {
            arrival += 20_000 + change
            trend.update(.init(sent: 20_000, arrived: 20_000 + change), arrival: arrival)
        }
    }

    @Test func aSteadyDelayIsNormal() {
        var trend = Trendline()
        var arrival: Int64 = 0
        feed(&trend, 100, change: 0, from: &arrival)
        #expect(trend.use == .normal)
        #expect(trend.trend == 0)
    }

    @Test func aGrowingDelayIsOveruseAndAFallingOneUnderuse() {
        var trend = Trendline()
        var arrival: Int64 = 0
        feed(&trend, 30, change: 0, from: &arrival)
        feed(&trend, 30, change: 3_000, from: &arrival)
        #expect(trend.use == .overuse)
        feed(&trend, 60, change: -3_000, from: &arrival)
        #expect(trend.use == .underuse)
    }

    @Test func theThresholdStaysWithinItsBounds() {
        var trend = Trendline()
        var arrival: Int64 = 0
        feed(&trend, 2000, change: 0, from: &arrival)
        #expect(trend.threshold == 6)
        var dice = Dice(seed: 1)
        for _ in 0..<20_000 {
            feed(&trend, 1, change: Int64(dice.unit() * 8000) - 4000, from: &arrival)
            #expect(trend.threshold >= 6 && trend.threshold <= 600)
        }
    }

    @Test func theThresholdFollowsATrendThatStays() {
        var quiet = Trendline()
        var sloping = Trendline()
        var arrival: Int64 = 0
        feed(&quiet, 500, change: 0, from: &arrival)
        feed(&sloping, 500, change: 800, from: &arrival)
        #expect(sloping.threshold > quiet.threshold)
        let before = sloping.threshold
        sloping.reset()
        #expect(sloping.threshold == before && sloping.use == .normal)
    }
}
