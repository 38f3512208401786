// How seconds become a score, which reason is given, and when the gateway hears of it.
import RTP
import Seam
import Testing

@testable import SFU

@Suite struct DirectionMeterTests {
    private let good = DirectionSample(audio: QualityCosts(), video: QualityCosts())

    private func note(_ meter: inout DirectionMeter, _ samples: [DirectionSample]) -> [DirectionQuality?] {
        samples.map { meter.note($0) }
    }

    @Test func aScoreNeedsAFewSeconds() {
        var meter = DirectionMeter()
        let told = note(&meter, [good, good, good])
        #expect(told[0] == nil && told[1] == nil)
        #expect(told[2] == DirectionQuality(score: 50, audio: 50, video: 50))
        // Seconds without media say nothing.
        var silent = DirectionMeter()
        #expect(note(&silent, [good, good, DirectionSample(), DirectionSample()]).allSatisfy { $0 == nil })
        #expect(note(&silent, [good]).first == DirectionQuality(score: 50, audio: 50, video: 50))
    }

    @Test func whatIsLongAgoIsForgotten() {
        var meter = DirectionMeter()
        let bad = DirectionSample(audio: QualityCosts(loss: 3), lost: 0.2)
        #expect(note(&meter, [bad, bad, bad]).last??.score == 20)
        let later = note(&meter, Array(repeating: good, count: Limits.Quality.samples))
        let scores = later.compactMap { $0?.score }
        #expect(scores == scores.sorted() && scores.last == 50)
        #expect(note(&meter, Array(repeating: DirectionSample(), count: 3)).last == .some(nil))
    }

    @Test func audioCountsTwiceButNothingHidesWhatIsBad() {
        func score(_ audio: Double, _ video: Double) -> UInt8? {
            var meter = DirectionMeter()
            let sample = DirectionSample(audio: QualityCosts(loss: audio), video: QualityCosts(frozen: video))
            return note(&meter, Array(repeating: sample, count: 3)).last??.score
        }
        #expect(score(0, 1.5) == 45)
        #expect(score(1.5, 0) == 40)
        #expect(score(0, 4) == 25, "no more than a point and a half above the worse of the two")
        #expect(score(4, 4) == 10)
        #expect(score(0, 40) == 25)
    }

    @Test func theReasonIsWhatCostsMost() {
        var meter = DirectionMeter()
        let sample = DirectionSample(
            audio: QualityCosts(loss: 0.4),
            video: QualityCosts(loss: 0.1, bandwidth: 1.5),
            lost: 0.04,
            roundTrip: .milliseconds(80),
            jitter: .milliseconds(12),
            bitsPerSecond: 600_000,
            downlink: DownlinkFigures(
                estimate: 620_000,
                lost: 0.04,
                queueDelay: .milliseconds(35),
                bound: .delay
            )
        )
        let told = note(&meter, [sample, sample, sample]).last
        #expect(
            told
                == DirectionQuality(
                    score: 42,
                    reason: .bandwidth,
                    audio: 46,
                    video: 34,
                    lossPermille: 40,
                    roundTripMs: 80,
                    jitterMs: 12,
                    bitsPerSecond: 600_000,
                    estimateBitsPerSecond: 620_000,
                    queueMs: 35,
                    bound: .delay
                )
        )
    }

    @Test func figuresThatAreTooLargeAreCut() {
        var meter = DirectionMeter()
        let sample = DirectionSample(
            audio: QualityCosts(silent: 99),
            lost: 7,
            roundTrip: .seconds(9999),
            jitter: .seconds(-1),
            downlink: DownlinkFigures(estimate: .max, queueDelay: .seconds(9999))
        )
        let told = note(&meter, [sample, sample, sample]).last
        #expect(told??.score == 10 && told??.lossPermille == 1000 && told??.roundTripMs == .max)
        #expect(told??.jitterMs == 0 && told??.estimateBitsPerSecond == .max && told??.queueMs == .max)
    }
}

@Suite struct QualityCostsTests {
    @Test func aReasonStaysWhileAnotherIsButLittleWorse() {
        let almost = QualityCosts(loss: 0.5, delay: 0.6)
        #expect(almost.reason() == .delay)
        #expect(almost.reason(present: .loss) == .loss)
        #expect(QualityCosts(loss: 0.5, delay: 0.8).reason(present: .loss) == .delay)
        #expect(QualityCosts(delay: 0.4).reason(present: .loss) == .delay, "what costs nothing is none")
    }

    @Test func littleIsNoReason() {
        #expect(QualityCosts(loss: 0.25).reason() == .none)
        #expect(QualityCosts(loss: 0.25).reason(present: .loss) == .loss, "nor is a little less")
        #expect(QualityCosts(loss: 0.2).reason(present: .loss) == .none)
        #expect(QualityCosts().reason(present: .frozen) == .none)
    }

    @Test func everyReasonHasItsCost() {
        let costs = QualityCosts(
            loss: 1,
            delay: 2,
            jitter: 3,
            bandwidth: 4,
            frozen: 5,
            layer: 6,
            silent: 7
        )
        let all = DirectionQuality.Reason.allCases.map { costs[$0] }
        #expect(all.reduce(0, +) == costs.total && costs.total == 28)
        #expect((costs + costs)[.layer] == 12 && (costs * 0.5)[.silent] == 3.5)
    }
}

@Suite struct QualityReportTests {
    private let start = Instant(microseconds: 5_000_000)

    private func isNews(_ report: inout QualityReport, _ quality: SessionQuality, at now: Instant) -> Bool {
        report.isNews(quality, at: now)
    }

    private func quality(_ score: UInt8, _ reason: DirectionQuality.Reason = .none) -> SessionQuality {
        SessionQuality(down: DirectionQuality(score: score, reason: reason))
    }

    @Test func smallChangesWait() {
        var report = QualityReport()
        #expect(isNews(&report, quality(50), at: start))
        for second in 1..<10 {
            #expect(!isNews(&report, quality(48), at: start + .seconds(Int64(second))))
        }
        #expect(isNews(&report, quality(48), at: start + Limits.Quality.repeatInterval))
        #expect(!isNews(&report, quality(48), at: start + .seconds(11)))
    }

    @Test func largeChangesAndReasonsDoNot() {
        var report = QualityReport()
        #expect(isNews(&report, quality(50), at: start))
        #expect(isNews(&report, quality(47), at: start + .seconds(1)))
        #expect(isNews(&report, quality(47, .loss), at: start + .seconds(2)))
        #expect(!isNews(&report, quality(49, .loss), at: start + .seconds(3)))
        #expect(isNews(&report, SessionQuality(), at: start + .seconds(4)))
        #expect(isNews(&report, quality(49, .loss), at: start + .seconds(5)))
    }

    @Test func nothingIsNotRepeated() {
        var report = QualityReport()
        #expect(!isNews(&report, SessionQuality(), at: start))
        #expect(!isNews(&report, SessionQuality(), at: start + .seconds(100)))
        #expect(isNews(&report, quality(30), at: start + .seconds(101)))
        report.forget()
        #expect(isNews(&report, quality(30), at: start + .seconds(102)))
    }
}
