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
                arrival: Int64(place + 1) * 20_000_000
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

    // MARK: Repair

    private func video(_ numbers: [Int]) -> ReceivedStream {
        var stream = ReceivedStream(ssrc: 7, isVideo: true, asksAgain: true)
        for (place, number) in numbers.enumerated() {
            stream.receive(
                sequence: UInt16(truncatingIfNeeded: number),
                timestamp: 0,
                arrival: Int64(place + 1) * 1_000_000
            )
        }
        return stream
    }

    @Test(arguments: [100, 65_534])
    func asksForWhatIsMissingUntilItComes(start: Int) {
        var stream = video([0, 1, 4, 3, 6].map { start + $0 })
        let missing = [2, 5].map { UInt16(truncatingIfNeeded: start + $0) }
        var asking = stream.askAgain(at: Instant(microseconds: 10_000))
        #expect(asking.numbers == missing)
        asking = stream.askAgain(at: Instant(microseconds: 10_001))
        #expect(asking.numbers.isEmpty)
        stream.recover(sequence: missing[0])
        #expect(stream.recovered == 1 && stream.received == 6 && stream.expected == 7)
        stream.recover(sequence: missing[0])
        // A repair that crossed the packet, or a probe.
        #expect(stream.recovered == 1 && stream.duplicates == 0)
        asking = stream.askAgain(at: Instant(microseconds: 100_000))
        #expect(asking.numbers == [missing[1]])
    }

    @Test func givesUpAndWantsAKeyFrame() {
        var stream = video([10, 12])
        var now = Instant(microseconds: 10_000)
        for _ in 0..<Limits.Load.nackTries {
            let asking = stream.askAgain(at: now)
            #expect(asking == LossList.Asking(numbers: [11], isHopeless: false))
            now = now + Limits.Load.nackEvery
        }
        let last = [stream.askAgain(at: now), stream.askAgain(at: now)]
        #expect(last == [LossList.Asking(isHopeless: true), LossList.Asking()] && stream.losses.isEmpty)
    }

    @Test func tooManyAtOnceAreNotAskedFor() {
        var stream = video([10, 11 + Limits.Load.missingPackets + 1])
        let asking = stream.askAgain(at: Instant(microseconds: 10_000))
        #expect(asking == LossList.Asking(isHopeless: true))
    }

    @Test func audioIsNotAskedFor() {
        #expect(stream([1, 5, 9]).losses.isEmpty)
    }

    // MARK: Stamps

    private func stamped(_ packets: [(sequence: Int, layer: UInt8, number: Int)]) -> ReceivedStream {
        var stream = ReceivedStream(ssrc: 7, isVideo: true)
        for (place, packet) in packets.enumerated() {
            let sequence = UInt16(truncatingIfNeeded: packet.sequence)
            stream.receive(sequence: sequence, timestamp: 0, arrival: Int64(place + 1) * 1_000_000)
            stream.note(
                Stamp(sentAt: 0, source: 1, layer: packet.layer, number: UInt32(packet.number)),
                sequence: sequence
            )
        }
        return stream
    }

    @Test func seesWhatTheServerHides() {
        #expect(stamped([(65_530, 0, 100), (65_534, 0, 104), (4, 0, 110)]).withheld == 0)
        #expect(stamped([(65_530, 0, 100), (65_534, 0, 107), (4, 0, 114)]).withheld == 4)
        // A gap is a loss, and no secret.
        #expect(stamped([(10, 0, 100), (20, 0, 110)]).withheld == 0)
        // Another layer counts for itself.
        let switched = stamped([(10, 0, 100), (11, 2, 900), (12, 2, 902)])
        #expect(switched.withheld == 1 && switched.shown?.layer == 2)
    }

    @Test func remembersTheLongestGap() {
        var stream = ReceivedStream(ssrc: 7, isVideo: false)
        for (number, at) in [(1, 1000), (2, 1020), (3, 1090), (4, 1100)] {
            stream.receive(sequence: UInt16(number), timestamp: 0, arrival: Int64(at) * 1_000_000)
        }
        let gaps = [stream.takeLongestGap(), stream.takeLongestGap()]
        #expect(gaps == [70_000_000, 0])
    }
}
