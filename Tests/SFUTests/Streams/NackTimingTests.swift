import RTP
import Testing

@testable import SFU

/// What a stream learns of its network: how late packets are that come by themselves, and how long repairs take.
@Suite struct NackTimingTests {
    private let start = Instant(microseconds: 5_000_000)
    private let shortest = Limits.Media.nackReorderGuard
    private let longest = Limits.Media.nackReorderGuardLongest

    private func due(_ nack: inout NackGenerator, at now: Instant) -> [Int64] {
        var list: [Int64] = []
        nack.due(at: now, roundTrip: .milliseconds(40), into: &list)
        return list
    }

    /// Every second packet is overtaken by the next one and comes this much later than that.
    private func reorder(
        _ nack: inout NackGenerator,
        by lateness: Interval,
        pairs: Int64,
        from sequence: inout Int64,
        repairsApart: Bool = true
    ) {
        for _ in 0..<pairs {
            let now = start + .milliseconds(sequence * 10)
            nack.received(sequence + 1, repairsApart: repairsApart, at: now)
            nack.received(sequence, repairsApart: repairsApart, at: now + lateness)
            sequence += 2
        }
    }

    @Test func theGuardGrowsAtOnceAndShrinksSlowly() {
        var nack = NackGenerator()
        nack.received(0, at: start)
        var next: Int64 = 1
        reorder(&nack, by: .milliseconds(20), pairs: 1, from: &next)
        #expect(nack.reorderGuard == .milliseconds(25))
        reorder(&nack, by: .milliseconds(4), pairs: 1, from: &next)
        // One sixteenth of the way to 5 ms.
        #expect(nack.reorderGuard == .microseconds(23_750))
        reorder(&nack, by: .milliseconds(4), pairs: 200, from: &next)
        #expect(nack.reorderGuard == shortest)
    }

    @Test func theGuardStaysWithinItsBounds() {
        var nack = NackGenerator()
        nack.received(0, at: start)
        var next: Int64 = 1
        reorder(&nack, by: .milliseconds(400), pairs: 1, from: &next)
        #expect(nack.reorderGuard == longest)
        reorder(&nack, by: .zero, pairs: 300, from: &next)
        #expect(nack.reorderGuard == shortest)
    }

    @Test func whatIsMissingWaitsForTheGuard() {
        var nack = NackGenerator()
        nack.received(0, at: start)
        var next: Int64 = 1
        reorder(&nack, by: .milliseconds(20), pairs: 1, from: &next)
        let now = start + .seconds(1)
        nack.received(next + 1, at: now)
        #expect(nack.nextDeadline(roundTrip: .milliseconds(40)) == now + .milliseconds(25))
        #expect(due(&nack, at: now + .milliseconds(24)) == [])
        #expect(due(&nack, at: now + .milliseconds(25)) == [next])
    }

    /// Where repairs come under their own number, one that was asked for tells nothing of the network.
    @Test(arguments: [true, false])
    func aRequestThatWasAnsweredIsNoLatePacket(repairsApart: Bool) {
        var nack = NackGenerator()
        nack.received(0, at: start)
        nack.received(2, at: start)
        _ = due(&nack, at: start + .milliseconds(10))
        nack.received(1, repairsApart: repairsApart, at: start + .milliseconds(30))
        #expect(nack.reorderGuard == (repairsApart ? .microseconds(37_500) : shortest))
        #expect(nack.isEmpty)
    }

    @Test func aRepairIsNoLatePacket() {
        var nack = NackGenerator()
        nack.received(0, at: start)
        nack.received(2, at: start)
        _ = due(&nack, at: start + .milliseconds(10))
        nack.recovered(1, at: start + .milliseconds(60))
        #expect(nack.reorderGuard == shortest && nack.roundTrip == .milliseconds(50))
    }

    // MARK: Round trip

    /// Loses an even number, asks `requests` times, and gets it back this much after the last request.
    private func repair(
        _ nack: inout NackGenerator,
        _ sequence: Int64,
        requests: Int = 1,
        after wait: Interval,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        var now = start + .seconds(sequence)
        nack.received(sequence - 1, at: now)
        nack.received(sequence + 1, at: now)
        now = now + .milliseconds(10)
        for _ in 0..<requests {
            #expect(due(&nack, at: now) == [sequence], sourceLocation: sourceLocation)
            now = now + .milliseconds(100)
        }
        nack.recovered(sequence, at: now - .milliseconds(100) + wait)
    }

    @Test func theRoundTripIsMeasuredAndSmoothed() {
        var nack = NackGenerator()
        #expect(nack.roundTrip == nil)
        repair(&nack, 2, after: .milliseconds(80))
        #expect(nack.roundTrip == .milliseconds(80))
        repair(&nack, 4, after: .milliseconds(160))
        #expect(nack.roundTrip == .milliseconds(90))
        for number in Int64(3)..<60 { repair(&nack, number * 2, after: .milliseconds(40)) }
        #expect(nack.roundTrip.map { $0 < .milliseconds(41) } == true)
    }

    /// Nobody knows which request an answer belongs to, unless it comes too soon for the last one (Karn).
    @Test func severalRequestsAreNoMeasurement() {
        var nack = NackGenerator()
        repair(&nack, 2, after: .milliseconds(80))
        repair(&nack, 4, requests: 2, after: .milliseconds(60))
        #expect(nack.roundTrip == .milliseconds(80))
        // Less than half of it: the estimate is too short.
        repair(&nack, 6, requests: 3, after: .milliseconds(10))
        #expect(nack.roundTrip == .milliseconds(100))
        for number in Int64(4)..<60 { repair(&nack, number * 2, requests: 2, after: .milliseconds(1)) }
        #expect(nack.roundTrip == Limits.Media.nackRetryMaximum)
    }

    @Test func withoutAMeasurementTheShortestIsAssumed() {
        var nack = NackGenerator()
        repair(&nack, 2, requests: 2, after: .milliseconds(5))
        let shortest = Limits.Media.nackRetryMinimum.microseconds
        #expect(nack.roundTrip == .microseconds(shortest * 5 / 4))
    }

    @Test func whatNobodyAskedForIsNoMeasurement() {
        var nack = NackGenerator()
        nack.received(1, at: start)
        nack.received(3, at: start)
        nack.recovered(2, at: start + .milliseconds(5))
        nack.recovered(2, at: start + .milliseconds(9))
        nack.recovered(77, at: start + .milliseconds(9))
        #expect(nack.roundTrip == nil && nack.isEmpty)
    }

    // MARK: Passing

    @Test func whatNobodyWantsIsNotAskedFor() {
        var nack = NackGenerator()
        nack.received(1, at: start)
        nack.received(5, at: start)
        nack.pass(9)
        #expect(nack.isEmpty)
        nack.received(11, at: start)
        #expect(due(&nack, at: start + .milliseconds(10)) == [10])
        var fresh = NackGenerator()
        fresh.pass(100)
        fresh.received(102, at: start)
        #expect(due(&fresh, at: start + .milliseconds(10)) == [101])
    }
}
