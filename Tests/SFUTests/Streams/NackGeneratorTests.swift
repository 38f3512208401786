import RTP
import Testing

@testable import SFU

@Suite struct NackGeneratorTests {
    private let start = Instant(microseconds: 5_000_000)

    private func due(_ nack: inout NackGenerator, at now: Instant, roundTrip: Interval = .milliseconds(40))
        -> [Int64]
    {
        var list: [Int64] = []
        nack.due(at: now, roundTrip: roundTrip, into: &list)
        return list
    }

    @Test func asksAfterTheReorderGuardAndNotBefore() {
        var nack = NackGenerator()
        nack.received(10, at: start)
        nack.received(13, at: start)
        #expect(due(&nack, at: start + .milliseconds(9)) == [])
        #expect(due(&nack, at: start + .milliseconds(10)) == [11, 12])
    }

    @Test func whatArrivesIsNotAskedFor() {
        var nack = NackGenerator()
        nack.received(10, at: start)
        nack.received(13, at: start)
        nack.received(11, at: start + .milliseconds(2))
        nack.recovered(12, at: start + .milliseconds(2))
        #expect(nack.isEmpty)
        #expect(due(&nack, at: start + .seconds(1)) == [])
    }

    @Test func aFirstPacketThatWasOvertakenHasMissingOnesBehindIt() {
        var nack = NackGenerator()
        nack.received(20, at: start)
        nack.received(17, at: start)
        #expect(due(&nack, at: start + .milliseconds(10)) == [18, 19])
        nack.received(18, at: start + .milliseconds(11))
        nack.received(19, at: start + .milliseconds(11))
        nack.received(16, at: start + .milliseconds(11))
        #expect(nack.isEmpty)
    }

    @Test func repeatsEachRoundTripAndGivesUp() {
        var nack = NackGenerator()
        nack.received(10, at: start)
        nack.received(12, at: start)
        var asked = 0
        var now = start
        for _ in 0..<1000 {
            now = now + .milliseconds(10)
            asked += due(&nack, at: now).count
        }
        #expect(asked == Limits.Media.nackTries)
        #expect(nack.isEmpty)
        let gaveUp = nack.takeGaveUp()
        let again = nack.takeGaveUp()
        #expect(gaveUp && !again)
    }

    /// Every other packet comes, and no request is answered.
    private func requests(in packets: Int64, isBounded: Bool) -> Int {
        var nack = NackGenerator()
        var asked: [Int64] = []
        for number in 0..<packets {
            let now = start + .milliseconds(20 * number)
            if number % 2 == 0 { nack.received(number, at: now) }
            let then = now + .milliseconds(15)
            nack.due(at: then, roundTrip: .milliseconds(20), isBounded: isBounded, into: &asked)
        }
        return asked.count
    }

    @Test func audioIsAskedForWithinAShareOfIt() {
        let bound = 1000 * Limits.Media.audioNackShare / 100 + Limits.Media.audioNackBurst
        #expect((bound - 2...bound).contains(requests(in: 1000, isBounded: true)))
        #expect(requests(in: 1000, isBounded: false) > 4000)
    }

    @Test func whatIsLostNowAndThenIsAskedForAsOftenAsPictures() {
        var nack = NackGenerator()
        var asked: [Int64] = []
        nack.received(10, at: start)
        nack.received(12, at: start)
        for step in 1...100 {
            let now = start + .milliseconds(Int64(10 * step))
            nack.due(at: now, roundTrip: .milliseconds(20), isBounded: true, into: &asked)
        }
        #expect(asked == Array(repeating: 11, count: Limits.Media.nackTries))
        #expect(nack.isEmpty)
    }

    @Test func aHoleThatIsTooLargeIsNotRepaired() {
        var nack = NackGenerator()
        nack.received(10, at: start)
        nack.received(10 + Int64(Limits.Media.nackMaximumGap) + 2, at: start)
        #expect(nack.isEmpty && nack.gaveUp)
    }

    @Test func theListIsBounded() {
        var nack = NackGenerator()
        var sequence: Int64 = 0
        nack.received(sequence, at: start)
        for _ in 0..<20 {
            sequence += 400
            nack.received(sequence, at: start)
            #expect(due(&nack, at: start + .milliseconds(10)).count <= Limits.Media.nackListLength)
        }
    }

    @Test func theNextDeadlineIsWhenSomethingIsDue() {
        var nack = NackGenerator()
        nack.received(1, at: start)
        #expect(nack.nextDeadline(roundTrip: .milliseconds(40)) == .distantFuture)
        nack.received(3, at: start)
        #expect(nack.nextDeadline(roundTrip: .milliseconds(40)) == start + .milliseconds(10))
        _ = due(&nack, at: start + .milliseconds(10))
        #expect(nack.nextDeadline(roundTrip: .milliseconds(40)) == start + .milliseconds(50))
    }
}
