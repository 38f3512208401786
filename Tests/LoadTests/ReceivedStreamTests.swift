// Gaps, late packets and duplicates, across the wrap of the sequence number.
import RTP
import Testing

@testable import Load

@Suite struct ReceivedStreamTests {
    private func stream(_ numbers: [Int]) -> ReceivedStream {
        var stream = ReceivedStream(ssrc: 7, isVideo: false)
        for (place, number) in numbers.enumerated() {
            stream.receive(
                sequence: UInt16(truncatingIfNeeded: number),
                timestamp: UInt32(number) &* 960,
                at: Instant(microseconds: Int64(place) * 20_000)
            )
        }
        return stream
    }

    @Test(arguments: [0, 100, 65_500, 65_535])
    func countsGapsLateOnesAndDuplicates(start: Int) {
        let whole = stream((0..<100).map { start + $0 })
        #expect(whole.received == 100 && whole.expected == 100 && whole.duplicates == 0)
        let gaps = stream((0..<100).filter { $0 % 10 != 5 }.map { start + $0 })
        #expect(gaps.received == 90 && gaps.expected == 100)
        let late = stream([0, 1, 3, 4, 2, 5].map { start + $0 })
        #expect(late.received == 6 && late.expected == 6 && late.duplicates == 0)
        let twice = stream([0, 1, 1, 2, 0, 3].map { start + $0 })
        #expect(twice.received == 4 && twice.expected == 4 && twice.duplicates == 2)
    }

    @Test func aJumpIsLossOfAllBetween() {
        let jump = stream([10, 11, 1011])
        #expect(jump.received == 3 && jump.expected == 1002)
    }

    @Test func knowsNothingBeforeTheFirst() {
        #expect(!stream([]).isStarted && stream([]).expected == 0)
        #expect(stream([]).duplicates == 0)
    }
}
