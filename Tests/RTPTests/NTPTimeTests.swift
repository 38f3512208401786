import RTP
import Testing

@Suite struct NTPTimeTests {
    @Test func unixEpochIsWhereRFC3550Says() {
        let offset = Interval.seconds(NTPTime.unixEpochSeconds)
        let time = NTPTime(Instant(microseconds: 1_500_000), epochOffset: offset)
        #expect(time.rawValue == UInt64(2_208_988_801) << 32 | 0x8000_0000)
        #expect(time.middle32 == UInt32(truncatingIfNeeded: 2_208_988_801 << 16) | 0x8000)
        #expect(time.instant(epochOffset: offset) == Instant(microseconds: 1_500_000))
    }

    @Test func thereAndBackLosesNothing() {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<10_000 {
            let offset = Interval.seconds(Int64.random(in: 3_000_000_000...3_900_000_000, using: &random))
            let instant = Instant(microseconds: Int64.random(in: 0...100_000_000_000_000, using: &random))
            let time = NTPTime(instant, epochOffset: offset)
            #expect(time.instant(epochOffset: offset) == instant)
            let step = Interval(microseconds: Int64.random(in: -5_000_000...5_000_000, using: &random))
            #expect(time.interval(to: time.advanced(by: step)) == step)
        }
    }

    @Test func theNextEraIsUnderstood() {
        // 2036-02-07 06:28:20 UTC: four seconds into era 1.
        let instant = NTPTime(rawValue: 4 << 32).instant(epochOffset: .seconds(NTPTime.unixEpochSeconds))
        #expect(instant == Instant(microseconds: 2_085_978_500 * 1_000_000))
    }

    @Test func absoluteSendTimeIsTheMiddle24Bits() {
        let time = NTPTime(rawValue: 0x0000_0003_8000_0000)
        #expect(time.absoluteSendTime == 3 << 18 | 1 << 17)
        #expect(NTPTime(rawValue: .max).absoluteSendTime == 0xFF_FFFF)
    }

    @Test func roundTripOfRFC3550Figure2() throws {
        // A = b710:8000, DLSR = 0005:4000, LSR = b705:2000 → 6.125 s
        let trip = try #require(
            NTPTime.roundTrip(now: 0xB710_8000, lastReport: 0xB705_2000, delay: 0x0005_4000)
        )
        #expect(trip == Interval(microseconds: 6_125_000))
        #expect(NTPTime.roundTrip(now: 5, lastReport: 0, delay: 0) == nil)
        #expect(NTPTime.roundTrip(now: 100, lastReport: 90, delay: 20) == .zero)
        #expect(NTPTime.roundTrip(now: 0, lastReport: 0x4000_0000, delay: 0) == nil)
        #expect(NTPTime.roundTrip(now: 0x4000_0000, lastReport: 1, delay: 0) == nil)
    }

    @Test func shortUnitsSaturate() {
        #expect(NTPTime.shortUnits(.milliseconds(5250)) == 0x0005_4000)
        #expect(NTPTime.shortUnits(.milliseconds(-1)) == 0)
        #expect(NTPTime.shortUnits(.seconds(100_000)) == 0xFFFF_FFFF)
    }

    @Test func anInstantCountsWhatAClockHasCounted() {
        #expect(Instant(.seconds(3) + .nanoseconds(1999)) == Instant(microseconds: 3_000_001))
        #expect(Instant(.zero) == .zero)
    }
}
