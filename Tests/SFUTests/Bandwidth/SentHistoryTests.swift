import RTP
import Testing

@testable import SFU

@Suite struct SentHistoryTests {
    private let start = Instant(microseconds: 10_000_000_000)

    private func send(
        _ history: inout SentHistory,
        _ numbers: [UInt16],
        every step: Interval,
        size: Int = 100
    ) {
        var now = history.lastSentAt > start ? history.lastSentAt + step : start
        for number in numbers {
            history.sent(number, size: size, kind: .video, at: now)
            now = now + step
        }
    }

    @Test func aPacketIsFoundWithWhatItWas() throws {
        var history = SentHistory()
        history.sent(700, size: 1234, kind: .rtx, cluster: 9, at: start)
        let foundSequence = history.find(700)
        let sequence = try #require(foundSequence)
        let packet = history[sequence]
        #expect(packet.size == 1234)
        #expect(packet.kind == .rtx)
        #expect(packet.cluster == 9)
        #expect(packet.state == .sent)
        #expect(history.time(of: packet) == start)
        #expect(history.inFlight == 1234)
    }

    @Test func anEntryIsEightBytes() { #expect(MemoryLayout<SentHistory.Packet>.stride == 8) }

    @Test(arguments: [0, 1, 0xFFFF, 0x8000] as [UInt16])
    func theFirstNumberMayBeAny(first: UInt16) {
        var history = SentHistory()
        #expect(history.find(first) == nil)
        send(&history, [first, first &+ 1], every: .milliseconds(1))
        let one = history.find(first)
        let two = history.find(first &+ 1)
        #expect(one != nil && two == one.map { $0 + 1 })
        #expect(history.find(first &- 1) == nil)
        #expect(history.find(first &+ 2) == nil)
    }

    @Test func numbersWrap() {
        var history = SentHistory(capacity: 64)
        send(
            &history,
            (0..<200_000).map { UInt16(truncatingIfNeeded: 65_500 + $0) },
            every: .milliseconds(50)
        )
        let last = UInt16(truncatingIfNeeded: 65_500 + 199_999)
        let newest = history.find(last)
        let oldest = history.find(last &- 63)
        let gone = history.find(last &- 64)
        #expect(newest == 265_499)
        #expect(oldest == 265_436)
        #expect(gone == nil)
    }

    @Test func aNumberThatIsNotNewIsIgnored() {
        var history = SentHistory()
        send(&history, [5, 6, 7], every: .milliseconds(1))
        history.sent(6, size: 999, kind: .audio, at: start + .seconds(1))
        history.sent(7, size: 999, kind: .audio, at: start + .seconds(1))
        #expect(history.highest == 7)
        #expect(history.inFlight == 300)
    }

    @Test func numbersLeftOutWereNeverSent() {
        var history = SentHistory()
        send(&history, [10, 13], every: .milliseconds(1))
        #expect(history.find(11) == nil)
        #expect(history.find(12) == nil)
        #expect(history.find(10) != nil && history.find(13) != nil)
    }

    @Test func aHoleLargerThanTheRingEmptiesIt() {
        var history = SentHistory(capacity: 64)
        send(&history, (0..<64).map { UInt16($0) }, every: .seconds(1))
        history.sent(20_000, size: 100, kind: .video, at: start + .seconds(100))
        #expect(history.highest == 20_000)
        #expect(history.inFlight == 100)
        for number in UInt16(0)..<64 { #expect(history.find(number) == nil) }
    }

    @Test func bytesInFlightAreThoseOfUnknownFate() throws {
        var history = SentHistory()
        send(&history, [1, 2, 3, 4], every: .milliseconds(1))
        let foundFirst = history.find(1)
        let first = try #require(foundFirst)
        let result1 = history.settle(first, .received)
        #expect(result1 == .sent)
        let result2 = history.settle(first, .received)
        #expect(result2 == .received)
        let result3 = history.settle(first + 1, .lost)
        #expect(result3 == .sent)
        let result4 = history.settle(first + 1, .received)
        #expect(result4 == .lost)
        let result5 = history.settle(first + 2, .unknown)
        #expect(result5 == .sent)
        #expect(history.inFlight == 100)
    }

    @Test func theRingGrowsWhereItSpansTooLittleAndKeepsWhatItHas() throws {
        var history = SentHistory(capacity: 64)
        var now = start
        for number in UInt16(0)..<2000 {
            history.sent(number, size: 100, kind: .video, at: now)
            now = now + .milliseconds(2)
            let before = history.capacity
            history.advance(to: now)
            if history.capacity > before {
                let foundOldest = history.find(number &- UInt16(before) + 1)
                let oldest = try #require(foundOldest)
                #expect(history[oldest].size == 100)
            }
        }
        // Two seconds at 500 packets per second.
        #expect(history.capacity == 1024)
        #expect(history.inFlight == 102_400)
    }

    @Test func theRingDoesNotGrowForSlowTraffic() {
        var history = SentHistory()
        send(&history, (0..<3000).map { UInt16($0) }, every: .milliseconds(20))
        history.advance(to: history.lastSentAt)
        #expect(history.capacity == Limits.Bandwidth.historyPackets)
    }

    @Test func theRingHasABound() {
        var history = SentHistory()
        var now = start
        for number in 0..<200_000 {
            history.sent(UInt16(truncatingIfNeeded: number), size: 100, kind: .video, at: now)
            now = now + .microseconds(1)
            if number % 1000 == 0 { history.advance(to: now) }
        }
        #expect(history.capacity == Limits.Bandwidth.historyPacketsMost)
        #expect(history.byteCount == 8 * Limits.Bandwidth.historyPacketsMost)
    }

    @Test func longSilenceForgetsEverything() {
        var history = SentHistory()
        send(&history, [1, 2, 3], every: .milliseconds(1))
        history.advance(to: start + .seconds(59))
        #expect(history.find(2) != nil)
        history.advance(to: start + .seconds(61))
        #expect(history.find(2) == nil)
        #expect(history.inFlight == 0)
        history.sent(4, size: 50, kind: .audio, at: start + .seconds(5000))
        #expect(history.find(4).map { history.time(of: history[$0]) } == start + .seconds(5000))
    }

    @Test func sizesAreCut() {
        var history = SentHistory()
        history.sent(1, size: 100_000, kind: .video, at: start)
        history.sent(2, size: -5, kind: .video, at: start)
        #expect(history.inFlight == 65_535)
    }
}
