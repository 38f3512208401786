// How good one picture on a screen looks: which layer it is, how many pictures a second, whether it stands still. Our own
// measure: there is no model of the ITU that works without the pictures. Knows no stream and no clock.
import RTP
import Seam

/// One publication as it is shown, or sent, over about a second.
struct VideoQuality: Equatable {
    /// Pixels of what is shown, of those that were wanted; 0…1.
    var area = 1.0
    /// The same of pictures per second.
    var pictures = 1.0
    /// What keeps area and pictures low: `bandwidth` or `layer`.
    var cause = DirectionQuality.Reason.bandwidth
    /// Share of the time in which the picture stood still, 0…1.
    var frozen = 0.0
    /// Packets that did not arrive at first, 0…1, and how long it takes to repair one; nil: nothing repairs them.
    var lost = 0.0
    var repair: Interval?
    /// Nothing is shown for want of bandwidth, or nothing comes.
    var isWithheld = false
    var isSilent = false

    /// Half the lines are a point, half the pictures two thirds of one; a picture that stands still for a tenth of the
    /// time costs 1.3 points.
    var costs: QualityCosts {
        if isSilent { return .silence }
        if isWithheld { return QualityCosts(bandwidth: 4) }
        var costs = QualityCosts()
        let small = min(2.5, 0.5 * VideoQuality.halvings(area))
        let few = min(2, 0.67 * VideoQuality.halvings(pictures))
        if cause == .layer { costs.layer = small + few } else { costs.bandwidth = small + few }
        costs.frozen = VideoQuality.standing(frozen)
        costs.loss = VideoQuality.standing(stalled)
        return costs
    }

    private static func halvings(_ share: Double) -> Double {
        guard share < 0.98 else { return 0 }
        return Decibels.ln(1 / max(share, 1.0 / 1024)) / 0.693_147_180_559_945_3
    }

    private static func standing(_ share: Double) -> Double { 4 * max(0, min(share, 1)).squareRoot() }

    /// Share of the time in which pictures wait for lost packets. A repair that takes no longer than players wait anyway
    /// is not seen; what nothing repairs stands until the next key frame.
    private var stalled: Double {
        guard lost > 0 else { return 0 }
        guard let repair else { return lost * 4 }
        return lost * min(1, Double(max(0, repair.microseconds)) / 200_000)
    }
}

/// Finds pictures that stood still, from tenths of seconds in which none came.
struct FreezeWatch: Equatable {
    /// Bit 0 is the newest tenth; set: a picture came.
    private var past: UInt32 = .max

    /// Another second has passed.
    /// - Parameters:
    ///   - tenths: its tenths, as above.
    ///   - interval: usual time between two pictures.
    /// - Returns: share of the second that belongs to gaps which are too long.
    mutating func note(_ tenths: UInt16, interval: Interval) -> Double {
        past = past << 10 | UInt32(tenths & 0x3ff)
        let longest = max(3, interval.microseconds * 4 / 100_000 + 1)
        var frozen = 0
        var run: Int64 = 0
        // From the oldest tenth that counts to the newest.
        for age in (0..<20).reversed() {
            run = past >> UInt32(age) & 1 == 0 ? run + 1 : 0
            if age >= 10 { continue }
            // A gap that becomes too long counts as a whole, as far as it lies in this second.
            if run == longest {
                frozen += Int(min(run, Int64(10 - age)))
            } else if run > longest {
                frozen += 1
            }
        }
        return Double(frozen) / 10
    }
}
