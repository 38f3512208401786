import RTP
import Testing

@testable import SFU

@Suite struct ProspectTests {
    private let start = Instant(microseconds: 1_000_000)

    @Test func aSteadyEstimatePromisesLittleMore() {
        var prospect = Prospect()
        for tenth in Int64(0)..<100 {
            let found = prospect.look(1_000_000, at: start + .milliseconds(100 * tenth))
            #expect(found == 1_100_000)
        }
    }

    @Test func anEstimateThatRisesPromisesTwice() {
        var prospect = Prospect()
        _ = prospect.look(600_000, at: start)
        #expect(prospect.look(1_200_000, at: start + .milliseconds(100)) == 2_400_000)
        // It stayed there.
        var last = 0
        for second in Int64(1)..<10 { last = prospect.look(1_200_000, at: start + .seconds(second)) }
        #expect(last == 1_320_000)
    }

    @Test func aFallIsNoClimbAndWhatFollowsMayBe() {
        var prospect = Prospect()
        _ = prospect.look(5_000_000, at: start)
        #expect(prospect.look(600_000, at: start + .milliseconds(100)) == 660_000)
        #expect(prospect.look(700_000, at: start + .milliseconds(200)) == 770_000)
        #expect(prospect.look(900_000, at: start + .milliseconds(300)) == 1_800_000)
    }

    /// A clock that goes backwards changes nothing.
    @Test func timeThatStandsStillIsBorne() {
        var prospect = Prospect()
        _ = prospect.look(1_000_000, at: start)
        #expect(prospect.look(1_000_000, at: start - .seconds(5)) == 1_100_000)
        #expect(prospect.look(0, at: start) == 0)
    }
}
