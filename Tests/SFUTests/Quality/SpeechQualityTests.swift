// The E-model against the values that the ITU has published, and what is made of it.
import RTP
import Seam
import Testing

@testable import SFU

@Suite struct SpeechQualityTests {
    /// Table B.1 of G.107; the last digits are those of its formula.
    @Test(arguments: [(93.2, 4.41), (90, 4.34), (80, 4.02), (70, 3.60), (60, 3.10), (50, 2.58)])
    func ratingsAreOpinionsAsInAnnexB(rating: Double, opinion: Double) {
        #expect(abs(SpeechQuality.opinion(rating) - opinion) < 0.006)
    }

    @Test func opinionsHaveEnds() {
        #expect(SpeechQuality.opinion(0) == 1 && SpeechQuality.opinion(-40) == 1)
        #expect(SpeechQuality.opinion(100) == 4.5 && SpeechQuality.opinion(140) == 4.5)
        // The formula itself goes below 1 here.
        #expect(SpeechQuality.opinion(3) == 1)
        var last = 1.0
        for rating in 0...1000 {
            let opinion = SpeechQuality.opinion(Double(rating) / 10)
            #expect(opinion >= last)
            last = opinion
        }
    }

    /// By hand, from equation 7-27.
    @Test(arguments: [
        (0, 0.0), (100, 0), (150, 0.16), (200, 3.04), (300, 14.76), (400, 24.07), (1000, 43.79),
    ])
    func delayImpairs(milliseconds: Int, impairment: Double) {
        let found = SpeechQuality.delayImpairment(milliseconds: Double(milliseconds))
        #expect(abs(found - impairment) < 0.01, "\(milliseconds) ms: \(found)")
    }

    /// G.711 with and without the concealment of its appendix (G.113, table I.4: Bpl 25.1 and 4.3), equation 7-29.
    @Test(arguments: [(1.0, 25.1, 3.64), (5, 25.1, 15.78), (20, 25.1, 42.13), (5, 4.3, 51.08)])
    func lossImpairs(percent: Double, robustness: Double, impairment: Double) {
        let found = SpeechQuality.lossImpairment(percent: percent, robustness: robustness)
        #expect(abs(found - impairment) < 0.01, "\(percent) %: \(found)")
        #expect(SpeechQuality.lossImpairment(percent: 0, robustness: robustness) == 0)
    }

    @Test func aPathThatTakesNothingIsTheBest() {
        let quality = SpeechQuality(lost: 0, way: .milliseconds(20), jitter: .milliseconds(2))
        #expect(quality.rating == 93.2 && abs(quality.score - 5) < 1e-9)
        #expect(quality.costs == QualityCosts())
    }

    @Test func costsAreWhatIsMissingByWhatTookIt() {
        let lossy = SpeechQuality(lost: 0.05, way: .milliseconds(20), jitter: .zero)
        #expect(abs(lossy.costs.total - (5 - lossy.score)) < 1e-9)
        #expect(lossy.costs.loss == lossy.costs.total && lossy.costs.reason() == .loss)
        let far = SpeechQuality(lost: 0, way: .milliseconds(400), jitter: .milliseconds(1))
        #expect(far.costs.reason() == .delay && far.score < 4)
        let uneven = SpeechQuality(lost: 0.001, way: .milliseconds(20), jitter: .milliseconds(120))
        #expect(uneven.costs.reason() == .jitter && uneven.score < 4)
        // A jitter that no player waits for does not get worse for ever, and times may be nonsense.
        let wild = SpeechQuality(lost: 1, way: .seconds(3600), jitter: .seconds(3600))
        #expect(wild.rating == 0 && wild.score == 1 && wild.costs.total <= 4 + 1e-9)
        #expect(SpeechQuality(lost: 0, way: .seconds(-1), jitter: .seconds(-1)).rating == 93.2)
    }

    @Test func moreLossIsNeverBetter() {
        var last = 5.1
        for percent in 0...100 {
            let score = SpeechQuality(lost: Double(percent) / 100, way: .zero, jitter: .zero).score
            #expect(score < last)
            last = score
        }
    }

    @Test func copiesBringBackWhatWasLost() {
        #expect(SpeechRepair.afterRedundancy(0.1, copies: 0) == 0.1)
        #expect(abs(SpeechRepair.afterRedundancy(0.1, copies: 1) - 0.01) < 1e-12)
        #expect(abs(SpeechRepair.afterRedundancy(0.1, copies: 2) - 0.001) < 1e-12)
        #expect(
            SpeechRepair.afterRedundancy(1, copies: 2) == 1 && SpeechRepair.afterRedundancy(0, copies: 2) == 0
        )
        let coarse = SpeechRepair.afterForwardErrorCorrection(0.1)
        #expect(coarse > SpeechRepair.afterRedundancy(0.1, copies: 1) && coarse < 0.1)
        #expect(SpeechRepair.afterForwardErrorCorrection(1) == 1)
    }
}
