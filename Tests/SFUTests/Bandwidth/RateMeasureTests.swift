import RTP
import Testing

@testable import SFU

@Suite struct RateWindowTests {
    @Test func theRateOfTheNewestPart() {
        var window = RateWindow()
        #expect(window.rate(over: .milliseconds(200)) == nil)
        for index in 0..<100 { window.add(125, at: Int64(index) * 10_000) }
        #expect(window.rate(over: .milliseconds(200)).map { abs($0 - 100_000) < 6_000 } == true)
        for index in 100..<130 { window.add(1250, at: Int64(index) * 10_000) }
        #expect(window.rate(over: .milliseconds(200)).map { abs($0 - 1_000_000) < 60_000 } == true)
    }

    @Test func tooLittleIsNoRate() {
        var window = RateWindow()
        for index in 0..<10 { window.add(100, at: Int64(index) * 10_000) }
        #expect(window.rate(over: .milliseconds(200)) == nil)
    }

    @Test func aGapEmptiesIt() {
        var window = RateWindow()
        for index in 0..<100 { window.add(1000, at: Int64(index) * 10_000) }
        window.add(1000, at: 30_000_000)
        #expect(window.rate(over: .milliseconds(200)).map { $0 < 60_000 } == true)
        window.add(1000, at: 0)
        #expect(window.rate(over: .milliseconds(200)).map { $0 < 60_000 } == true)
    }

    @Test func timesBeforeZero() {
        var window = RateWindow()
        for index in -100..<0 { window.add(125, at: Int64(index) * 10_000) }
        #expect(window.rate(over: .milliseconds(200)).map { abs($0 - 100_000) < 8_000 } == true)
    }
}

@Suite struct AcknowledgedBitrateTests {
    private func feed(_ rate: inout AcknowledgedBitrate, _ bits: Int, for time: Int64, from now: inout Int64)
    {
        let end = now + time
        while now < end {
            rate.receive(bits / 800, arrival: now)
            now += 10_000
        }
    }

    @Test func nothingBeforeHalfASecondThenTheRate() {
        var rate = AcknowledgedBitrate()
        var now: Int64 = 0
        feed(&rate, 800_000, for: 490_000, from: &now)
        #expect(rate.value == nil)
        feed(&rate, 800_000, for: 2_000_000, from: &now)
        #expect(rate.value.map { abs($0 - 800_000) < 20_000 } == true)
    }

    @Test func aDropIsFollowed() {
        var rate = AcknowledgedBitrate()
        var now: Int64 = 0
        feed(&rate, 2_000_000, for: 3_000_000, from: &now)
        feed(&rate, 400_000, for: 1_500_000, from: &now)
        #expect(rate.value.map { $0 < 900_000 } == true)
        feed(&rate, 400_000, for: 3_000_000, from: &now)
        #expect(rate.value.map { abs($0 - 400_000) < 60_000 } == true)
    }

    @Test func anExpectedChangeIsFollowedSooner() {
        var slow = AcknowledgedBitrate()
        var quick = AcknowledgedBitrate()
        var a: Int64 = 0
        var b: Int64 = 0
        feed(&slow, 300_000, for: 3_000_000, from: &a)
        feed(&quick, 300_000, for: 3_000_000, from: &b)
        quick.expectChange()
        feed(&slow, 1_500_000, for: 450_000, from: &a)
        feed(&quick, 1_500_000, for: 450_000, from: &b)
        #expect((quick.value ?? 0) > (slow.value ?? 0))
    }

    @Test func lostReportsAreNoDrop() {
        var rate = AcknowledgedBitrate()
        var now: Int64 = 0
        feed(&rate, 800_000, for: 3_000_000, from: &now)
        for _ in 0..<20 {
            rate.skip()
            now += 100_000
            feed(&rate, 800_000, for: 200_000, from: &now)
        }
        #expect(rate.value.map { $0 > 700_000 } == true)
    }

    @Test func aClockThatGoesBackDoesNotStopIt() {
        var rate = AcknowledgedBitrate()
        var now: Int64 = 10_000_000_000
        feed(&rate, 800_000, for: 2_000_000, from: &now)
        now = 0
        feed(&rate, 400_000, for: 6_000_000, from: &now)
        #expect(rate.value.map { abs($0 - 400_000) < 60_000 } == true)
    }
}

@Suite struct LinkCapacityTests {
    @Test func boundsAreAroundTheMean() throws {
        var capacity = LinkCapacity()
        #expect(capacity.value == nil && capacity.upper == nil && capacity.lower == nil)
        capacity.noteOveruse(acknowledged: 600_000)
        for _ in 0..<100 { capacity.noteOveruse(acknowledged: 610_000) }
        let value = try #require(capacity.value)
        let upper = try #require(capacity.upper)
        let lower = try #require(capacity.lower)
        #expect(abs(value - 610_000) < 2_000)
        #expect(lower < value && value < upper && upper < 740_000)
        capacity.noteProbe(1_200_000)
        #expect(capacity.value.map { abs($0 - 905_000) < 3_000 } == true)
        capacity.reset()
        #expect(capacity.value == nil)
    }
}

@Suite struct BurstDispersionTests {
    /// Pictures of three packets, every 33 ms, over a path of this rate.
    private func votes(_ rate: Int64, estimate: Int) -> Int {
        var dispersion = BurstDispersion()
        var count = 0
        for picture in 0..<60 {
            for packet in 0..<3 {
                let sent = Int64(picture) * 33_000
                let arrival = sent + Int64(packet + 1) * 1200 * 8_000_000 / rate
                if dispersion.receive(1200, sent: sent, arrival: arrival, estimate: estimate) { count += 1 }
            }
        }
        return count
    }

    @Test func aFasterPathIsSeenAndAFittingOneIsNot() {
        #expect(votes(5_000_000, estimate: 600_000) > 5)
        #expect(votes(600_000, estimate: 600_000) == 0)
        #expect(votes(800_000, estimate: 600_000) == 0)
    }

    @Test func singlePacketsTellNothing() {
        var dispersion = BurstDispersion()
        for index in 0..<200 {
            let sent = Int64(index) * 20_000
            let result1 = dispersion.receive(150, sent: sent, arrival: sent + 1, estimate: 100_000)
            #expect(!result1)
        }
    }
}
