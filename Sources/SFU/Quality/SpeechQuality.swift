// How good a voice sounds behind a path that loses, delays and jitters: the E-model (ITU-T G.107) with the defaults of its
// table 2, and the parts of it that a network changes. Knows no stream and no clock.
import RTP

/// What the path takes off the transmission rating R, which is 93.2 where it takes nothing.
struct SpeechQuality: Equatable {
    /// The effective equipment impairment Ie,eff (G.107 §7.5).
    var loss = 0.0
    /// The part of the delay impairment Idd (G.107 §7.4) that the way costs, and what waiting for late packets adds.
    var delay = 0.0
    var jitter = 0.0

    /// R without any impairment by the path (G.107 §7.7).
    static let best = 93.2

    var rating: Double { max(0, SpeechQuality.best - loss - delay - jitter) }

    /// - Parameters:
    ///   - lost: share of what was spoken that is not played, after all repair, 0…1.
    ///   - way: one way through the network.
    ///   - jitter: as in receiver reports (RFC 3550 §6.4.1).
    init(lost: Double, way: Interval, jitter: Interval) {
        loss = SpeechQuality.lossImpairment(percent: lost * 100)
        let straight = SpeechQuality.ends + max(0, way.microseconds)
        let smooth = SpeechQuality.delayImpairment(milliseconds: Double(straight) / 1000)
        let waits = min(max(0, jitter.microseconds) * 3, SpeechQuality.longestBuffer)
        let whole = SpeechQuality.delayImpairment(milliseconds: Double(straight + waits) / 1000)
        delay = smooth
        self.jitter = whole - smooth
    }

    /// Microseconds from mouth to ear where the network takes none: a frame of 20 ms and its look-ahead, the sound cards.
    private static let ends: Int64 = 60_000
    /// A player waits about three times the mean deviation, and not for ever; microseconds.
    private static let longestBuffer: Int64 = 600_000

    /// Mean opinion score of a rating, 1…4.5 (G.107 Annex B).
    static func opinion(_ rating: Double) -> Double {
        if rating <= 0 { return 1 }
        if rating >= 100 { return 4.5 }
        // Annex B falls below 1 for the worst ratings.
        return max(1, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6)
    }

    /// Idd of a delay without echo (G.107 §7.4, equation 7-27).
    static func delayImpairment(milliseconds: Double) -> Double {
        guard milliseconds > 100 else { return 0 }
        let x = Decibels.ln(milliseconds / 100) / 0.693_147_180_559_945_3
        func root(_ x: Double) -> Double { sixthRoot(1 + x * x * x * x * x * x) }
        return max(0, 25 * (root(x) - 3 * root(x / 3) + 2))
    }

    /// Ie,eff of random loss (G.107 §7.5, equation 7-29): Opus takes nothing off by itself.
    /// - Parameter robustness: Bpl, for the concealment of the codec.
    static func lossImpairment(percent: Double, robustness: Double = SpeechQuality.robustness) -> Double {
        guard percent > 0 else { return 0 }
        return 95 * percent / (percent + robustness)
    }

    /// Nobody has published Bpl of Opus. G.711 with the concealment of its appendix I has 25.1, G.729A 19, both with
    /// shorter frames (G.113, table I.4).
    private static let robustness = 20.0

    /// Of a number from 1 on; Newton.
    private static func sixthRoot(_ x: Double) -> Double {
        var y = max(1, x.squareRoot().squareRoot())
        for _ in 0..<24 {
            let fifth = y * y * y * y * y
            y -= (y * fifth - x) / (6 * fifth)
        }
        return y
    }

    /// On the scale from 1 to 5 of a whole direction, where the best that the path can do is 5.
    var score: Double {
        1 + 4 * (SpeechQuality.opinion(rating) - 1) / (SpeechQuality.opinion(SpeechQuality.best) - 1)
    }

    /// The points that are missing to 5, by what took them.
    var costs: QualityCosts {
        let taken = loss + delay + jitter
        guard taken > 0 else { return QualityCosts() }
        let points = (5 - score) / taken
        return QualityCosts(loss: loss * points, delay: delay * points, jitter: jitter * points)
    }
}

/// What becomes of lost voice packets where something repairs them.
enum SpeechRepair {
    /// Each packet bears copies of so many earlier ones (RFC 2198).
    static func afterRedundancy(_ lost: Double, copies: Int) -> Double {
        var rest = lost
        for _ in 0..<max(0, copies) { rest *= lost }
        return rest
    }

    /// A packet bears a coarse copy of the one before it (RFC 6716 §2.1.7): what that brings back counts as a quarter of
    /// a loss.
    static func afterForwardErrorCorrection(_ lost: Double) -> Double { lost * lost + lost * (1 - lost) / 4 }
}
