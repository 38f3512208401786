import RTP
import Testing

@testable import SFU

@Suite struct FeedbackClockTests {
    @Test func timesGoOnOverTheWrapOfTheReference() {
        var clock = FeedbackClock()
        let period = TransportFeedbackParser.referencePeriod
        let last = period / 2 - 64_000
        let result1 = clock.unwrap(last)
        #expect(result1 == last)
        // The signed reference wraps to the most negative one.
        let result2 = clock.unwrap(-period / 2)
        #expect(result2 == last + 64_000)
        let result3 = clock.unwrap(-period / 2 - 64_000 + period)
        #expect(result3 == last)
        let result4 = clock.unwrap(-period / 2 + 250)
        #expect(result4 == last + 64_250)
    }

    @Test func manyPeriodsAddUp() {
        var clock = FeedbackClock()
        let period = TransportFeedbackParser.referencePeriod
        var expected = clock.unwrap(0)
        for step in 1...30 {
            let raw = (Int64(step) * period / 3 + period / 2) % period - period / 2
            expected += period / 3
            let result5 = clock.unwrap(raw)
            #expect(abs(result5 - expected) <= Int64(step))
        }
    }

    @Test func peekingMovesNothing() {
        var clock = FeedbackClock()
        _ = clock.unwrap(1000)
        #expect(clock.peek(5000) == 5000)
        #expect(clock.peek(500) == 500)
        let result6 = clock.unwrap(2000)
        #expect(result6 == 2000)
    }

    /// Nobody has told what became of the packets that a refused message stands for.
    @Test func whatWasRefusedIsMissing() {
        var clock = FeedbackClock()
        _ = clock.receive(7)
        _ = clock.receive(8)
        clock.refuse()
        _ = clock.receive(8)
        let after = clock.receive(9)
        #expect(after == .after(missed: 1))
        let next = clock.receive(10)
        #expect(next == .next)
        clock.refuse()
        let more = clock.receive(13)
        #expect(more == .after(missed: 3))
    }

    @Test func messagesAreCounted() {
        var clock = FeedbackClock()
        let result7 = clock.receive(254)
        #expect(result7 == .next)
        let result8 = clock.receive(255)
        #expect(result8 == .next)
        let result9 = clock.receive(0)
        #expect(result9 == .next)
        let result10 = clock.receive(0)
        #expect(result10 == .old)
        let result11 = clock.receive(3)
        #expect(result11 == .after(missed: 2))
        let result12 = clock.receive(1)
        #expect(result12 == .old)
        let result13 = clock.receive(4)
        #expect(result13 == .next)
    }
}
