import RTP
import Seam
import Testing

@testable import SFU

@Suite struct VideoQualityTests {
    @Test func whatIsShownAsWantedCostsNothing() {
        #expect(VideoQuality().costs == QualityCosts())
        #expect(VideoQuality(area: 0.99, pictures: 0.99).costs.total == 0, "rates are never exact")
    }

    @Test func smallPicturesCostHalfAPointForEachHalvingOfTheirArea() {
        let half = VideoQuality(area: 0.25).costs
        #expect(abs(half.bandwidth - 1) < 1e-9 && half.total == half.bandwidth)
        let sent = VideoQuality(area: 0.25, cause: .layer).costs
        #expect(abs(sent.layer - 1) < 1e-9 && sent.bandwidth == 0)
        #expect(VideoQuality(area: 0).costs.bandwidth == 2.5, "a small picture is not none")
        #expect(VideoQuality(pictures: 0).costs.bandwidth == 2)
        #expect(abs(VideoQuality(pictures: 0.5).costs.bandwidth - 0.67) < 1e-9)
    }

    @Test func aPictureThatStandsStillIsTheWorst() {
        #expect(VideoQuality(frozen: 1).costs.score == 1 && VideoQuality(frozen: 1).costs.reason() == .frozen)
        let tenth = VideoQuality(frozen: 0.1).costs
        #expect(abs(tenth.frozen - 1.26) < 0.01)
        #expect(VideoQuality(area: 0.25, frozen: 0.2).costs.reason() == .frozen)
        #expect(VideoQuality(isWithheld: true).costs.score == 1)
        #expect(VideoQuality(isWithheld: true).costs.reason() == .bandwidth)
        #expect(VideoQuality(isSilent: true).costs.reason() == .silent)
    }

    @Test func lossCostsWhatItsRepairTakes() {
        func cost(_ lost: Double, _ repair: Int64?) -> Double {
            VideoQuality(lost: lost, repair: repair.map { .milliseconds($0) }).costs.loss
        }
        #expect(cost(0, 50) == 0)
        #expect(cost(0.02, 30) < 0.3, "nobody notices")
        #expect(cost(0.1, 30) < cost(0.1, 100) && cost(0.1, 100) < cost(0.1, nil))
        #expect(cost(0.1, 5000) == cost(0.1, 200), "then a key frame comes")
        #expect(cost(1, nil) == 4)
        #expect(cost(0.1, -1) == 0)
    }
}

@Suite struct FreezeWatchTests {
    private let thirty = Interval.milliseconds(33)

    /// The newest tenth is written last.
    private func note(_ watch: inout FreezeWatch, _ text: String, _ interval: Interval) -> Double {
        var tenths: UInt16 = 0
        for letter in text { tenths = tenths << 1 | (letter == "1" ? 1 : 0) }
        return watch.note(tenths, interval: interval)
    }

    @Test func shortGapsAreNone() {
        var watch = FreezeWatch()
        #expect(note(&watch, "1111111111", thirty) == 0)
        #expect(note(&watch, "1100110011", thirty) == 0)
        #expect(note(&watch, "1111111100", thirty) == 0)
    }

    @Test func longGapsCountAsAWhole() {
        var watch = FreezeWatch()
        #expect(note(&watch, "1110001111", thirty) == 0.3)
        #expect(note(&watch, "0000000000", thirty) == 1)
        #expect(note(&watch, "0000011111", thirty) == 0.5)
        #expect(note(&watch, "1111111111", thirty) == 0)
    }

    @Test func aGapOverTheSecondIsFound() {
        var watch = FreezeWatch()
        #expect(note(&watch, "1111111100", thirty) == 0)
        #expect(note(&watch, "0011111111", thirty) == 0.2)
        #expect(note(&watch, "1111110000", thirty) == 0.4)
        #expect(note(&watch, "0111111111", thirty) == 0.1)
    }

    @Test func whoSendsFewPicturesMayTakeLonger() {
        var watch = FreezeWatch()
        #expect(note(&watch, "1000010000", .milliseconds(500)) == 0)
        #expect(note(&watch, "0000000000", .milliseconds(500)) == 0)
        var slow = FreezeWatch()
        for _ in 0..<5 { #expect(note(&slow, "0000000000", .seconds(1000)) == 0) }
    }
}
