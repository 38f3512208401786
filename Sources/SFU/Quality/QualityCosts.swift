// Points that are missing to the best score, by what took them. Knows no stream.
import Seam

/// On the scale from 1 to 5.
struct QualityCosts: Equatable {
    var loss = 0.0
    var delay = 0.0
    var jitter = 0.0
    var bandwidth = 0.0
    var frozen = 0.0
    var layer = 0.0
    var silent = 0.0

    /// Everything.
    static let silence = QualityCosts(silent: 4)

    var total: Double { loss + delay + jitter + bandwidth + frozen + layer + silent }
    var score: Double { max(1, min(5, 5 - total)) }

    subscript(_ reason: DirectionQuality.Reason) -> Double {
        switch reason {
        case .none: 0
        case .loss: loss
        case .delay: delay
        case .jitter: jitter
        case .bandwidth: bandwidth
        case .frozen: frozen
        case .layer: layer
        case .silent: silent
        }
    }

    /// What costs most; `none` where all costs together are nothing that anybody would notice.
    ///
    /// - Parameter present: stays while another one costs but little more.
    func reason(present: DirectionQuality.Reason = .none) -> DirectionQuality.Reason {
        guard total >= QualityCosts.noticed * (present == .none ? 1 : 0.7) else { return .none }
        var worst = DirectionQuality.Reason.none
        for reason in DirectionQuality.Reason.allCases where self[reason] > self[worst] { worst = reason }
        return self[present] > 0 && self[worst] < self[present] + QualityCosts.lead ? present : worst
    }

    /// Points in all below which there is no reason to give.
    private static let noticed = 0.3
    /// Points by which another reason must be worse to be told.
    private static let lead = 0.2

    static func + (a: QualityCosts, b: QualityCosts) -> QualityCosts {
        QualityCosts(
            loss: a.loss + b.loss,
            delay: a.delay + b.delay,
            jitter: a.jitter + b.jitter,
            bandwidth: a.bandwidth + b.bandwidth,
            frozen: a.frozen + b.frozen,
            layer: a.layer + b.layer,
            silent: a.silent + b.silent
        )
    }

    static func * (a: QualityCosts, factor: Double) -> QualityCosts {
        QualityCosts(
            loss: a.loss * factor,
            delay: a.delay * factor,
            jitter: a.jitter * factor,
            bandwidth: a.bandwidth * factor,
            frozen: a.frozen * factor,
            layer: a.layer * factor,
            silent: a.silent * factor
        )
    }
}

/// A mean of costs, each with a weight.
struct MeanCosts {
    private var sum = QualityCosts()
    private var weight = 0.0

    mutating func add(_ costs: QualityCosts, weight: Double = 1) {
        sum = sum + costs * weight
        self.weight += weight
    }

    /// nil: there are none.
    var value: QualityCosts? { weight > 0 ? sum * (1 / weight) : nil }
}
