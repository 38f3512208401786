// A probe has few packets: the peer's clock of arrivals need be late for one of them only, and it is misread.
import RTP
import Testing

@testable import SFU

@Suite struct ProbeNoiseTests {
    @Test func oneThatGoesALittleBeyondTheKnownEndIsBelievedByHalf() throws {
        var control = RateControl(start: 300_000)
        control.noteFull(600_000)
        #expect(control.noteProbe(780_000, isFull: true) == 690_000)
        #expect(try #require(control.capacity.value) == 690_000)
        #expect(control.noteProbe(790_000, isFull: false) == 790_000, "it came through")
        #expect(try #require(control.capacity.value) == 740_000)
    }

    @Test func oneThatGoesFarBeyondItShowsAnotherPath() {
        var control = RateControl(start: 300_000)
        control.noteFull(600_000)
        #expect(control.noteProbe(900_000, isFull: false) == 900_000)
        #expect(control.capacity.value == nil)
    }

    /// Arrivals are up to 20 ms late, of packets that take 16 ms of the path.
    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func lateArrivalsAreNoWiderPath(seed: UInt64) throws {
        let downlink = SimulatedDownlink(feedback: .milliseconds(50), seed: seed)
        var conditions = PathConditions()
        conditions.rates = [(.zero, 600_000)]
        conditions.jitter = .milliseconds(20)
        simulate(conditions, [downlink], seconds: 40, seed: seed)
        let most = downlink.slices(from: 6, to: 40).map(\.estimate).max()
        #expect(try #require(most) < 720_000)
    }
}
