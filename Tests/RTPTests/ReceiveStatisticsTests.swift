import RTP
import Testing

@Suite struct ReceiveStatisticsTests {
    private func at(_ milliseconds: Int64) -> Instant {
        Instant(microseconds: 7_000_000 + milliseconds * 1000)
    }

    private func report(
        _ statistics: inout ReceiveStatistics,
        _ ssrc: UInt32,
        _ now: Instant
    ) throws -> ReportBlock {
        let block = statistics.makeReportBlock(ssrc: ssrc, at: now)
        return try #require(block)
    }

    @Test func lossPerIntervalAndInTotal() throws {
        var statistics = ReceiveStatistics(clockRate: 90_000)
        let nothing = statistics.makeReportBlock(ssrc: 1, at: at(0))
        #expect(nothing == nil)
        for number in 100..<200 where number % 10 != 9 {
            statistics.receive(
                sequence: UInt16(number),
                timestamp: UInt32(number * 900),
                at: at(Int64(number))
            )
        }
        let first = try report(&statistics, 1, at(300))
        // 199 is missing but not expected yet: 9 of 99.
        #expect(first.extendedHighestSequence == 198)
        #expect(first.cumulativeLost == 9)
        #expect(first.fractionLost == 9 * 256 / 99)
        for number in 199..<299 {
            statistics.receive(
                sequence: UInt16(number),
                timestamp: UInt32(number * 900),
                at: at(Int64(number))
            )
        }
        let second = try report(&statistics, 1, at(400))
        #expect(second.fractionLost == 0 && second.cumulativeLost == 9)
        let idle = try report(&statistics, 1, at(500))
        #expect(idle.fractionLost == 0)
    }

    @Test func duplicatesMakeTheLossNegative() throws {
        var statistics = ReceiveStatistics(clockRate: 48_000)
        for number in 0..<10 {
            for _ in 0..<2 { statistics.receive(sequence: UInt16(number), timestamp: 0, at: at(0)) }
        }
        let block = try report(&statistics, 1, at(1))
        #expect(block.cumulativeLost == -10 && block.fractionLost == 0)
    }

    @Test func theHighestNumberCountsItsWraps() {
        var statistics = ReceiveStatistics(clockRate: 48_000)
        for number in 65_000..<(65_536 * 2 + 10) {
            statistics.receive(
                sequence: UInt16(truncatingIfNeeded: number),
                timestamp: UInt32(number),
                at: at(0)
            )
        }
        // Extended from the first number's own cycle.
        #expect(statistics.extendedHighestSequence == 65_536 * 2 + 9)
        #expect(statistics.cumulativeLost == 0)
        statistics.receive(sequence: 65_530, timestamp: 0, at: at(0))
        #expect(statistics.extendedHighestSequence == 65_536 * 2 + 9, "reordered over the wrap")
    }

    @Test func jitterFollowsA8() {
        var statistics = ReceiveStatistics(clockRate: 8000)
        // Spaced 20 ms = 160 ticks, arriving alternately 5 ms (40 ticks) late: |D| = 40 each time.
        var expected: Int64 = 0
        for number in 0..<200 {
            let late: Int64 = number % 2 == 1 ? 5 : 0
            statistics.receive(
                sequence: UInt16(number),
                timestamp: UInt32(number * 160),
                at: at(Int64(number) * 20 + late)
            )
            if number > 0 { expected += 40 - ((expected + 8) >> 4) }
            #expect(statistics.jitter == UInt32(expected >> 4), "\(number)")
        }
        #expect((38...40).contains(statistics.jitter))
    }

    @Test func jitterIgnoresReorderedPacketsAndTheRestOfAFrame() {
        var statistics = ReceiveStatistics(clockRate: 90_000)
        statistics.receive(sequence: 10, timestamp: 9000, at: at(100))
        statistics.receive(sequence: 11, timestamp: 9000, at: at(130))
        statistics.receive(sequence: 13, timestamp: 18_000, at: at(200))
        statistics.receive(sequence: 12, timestamp: 9000, at: at(250))
        #expect(statistics.jitter == 0)
        statistics.receive(sequence: 14, timestamp: 27_000, at: at(316))
        // D = 16 ms late = 1440 ticks, of which 1/16.
        #expect(statistics.jitter == 90)
    }

    @Test func clockStepsAreNotJitter() {
        var statistics = ReceiveStatistics(clockRate: 90_000)
        statistics.receive(sequence: 1, timestamp: 0, at: at(0))
        statistics.receive(sequence: 2, timestamp: 0x7000_0000, at: at(33))
        #expect(statistics.jitter == 0)
    }

    @Test func aWildNumberIsIgnoredTwoInARowAreARestart() throws {
        var statistics = ReceiveStatistics(clockRate: 90_000)
        for number in 0..<50 {
            statistics.receive(sequence: UInt16(number), timestamp: 0, at: at(0))
        }
        statistics.receive(sequence: 20_000, timestamp: 0, at: at(1))
        #expect(statistics.extendedHighestSequence == 49 && statistics.receivedCount == 50)
        statistics.receive(sequence: 50, timestamp: 0, at: at(2))
        #expect(statistics.extendedHighestSequence == 50)
        statistics.receive(sequence: 30_000, timestamp: 0, at: at(3))
        statistics.receive(sequence: 30_001, timestamp: 0, at: at(4))
        #expect(statistics.extendedHighestSequence == 30_001)
        let block = try report(&statistics, 1, at(5))
        #expect(block.cumulativeLost == 0 && block.fractionLost == 0)
    }

    @Test func reportsAnswerTheLastSenderReport() throws {
        var statistics = ReceiveStatistics(clockRate: 48_000)
        statistics.receive(sequence: 1, timestamp: 0, at: at(0))
        let before = try report(&statistics, 9, at(10))
        #expect(before.lastSenderReport == 0 && before.delaySinceLastSenderReport == 0)
        statistics.receive(
            SenderReport(
                ssrc: 9,
                ntpTime: NTPTime(rawValue: 0x0000_1111_2222_3333),
                rtpTimestamp: 0,
                packetCount: 0,
                octetCount: 0
            ),
            at: at(1000)
        )
        let after = try report(&statistics, 9, at(1500))
        #expect(after.ssrc == 9 && after.lastSenderReport == 0x1111_2222)
        #expect(after.delaySinceLastSenderReport == 0x8000)
    }

    @Test func anyInputIsTotal() {
        var random = SeededGenerator(seed: 41)
        var statistics = ReceiveStatistics(clockRate: .max)
        for _ in 0..<100_000 {
            statistics.receive(
                sequence: UInt16.random(in: 0...65535, using: &random),
                timestamp: UInt32.random(in: 0 ... .max, using: &random),
                at: Instant(microseconds: Int64.random(in: .min ... .max, using: &random) >> 2)
            )
            if Int.random(in: 0..<50, using: &random) == 0 {
                _ = statistics.makeReportBlock(ssrc: 1, at: .zero)
            }
        }
        #expect(statistics.receivedCount > 0)
    }
}
