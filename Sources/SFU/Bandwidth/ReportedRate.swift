// The rate for peers that send no transport-wide feedback: their own estimate (REMB) where they give one, less by the
// loss that their receiver reports tell of. Knows no delay.
import RTP

struct ReportedRate {
    /// In 1/256 of the packets: below, the rate grows; above the second, it falls.
    private static let low = 5
    private static let high = 26
    /// Percent per second.
    private static let increase = 8
    private static let decreaseInterval = Interval.milliseconds(300)

    /// Bits per second.
    private(set) var estimate: Int
    private var receiverEstimate: Int?
    private var receiverEstimateAt = Instant.distantPast
    private var lastReport: Instant?
    private var lastDecrease = Instant.distantPast

    init(start: Int) { estimate = start }

    /// What the receiver says, while it is fresh.
    func cap(at now: Instant) -> Int? {
        guard now - receiverEstimateAt < Limits.Bandwidth.receiverEstimateAge else { return nil }
        return receiverEstimate
    }

    mutating func receive(receiverEstimate rate: UInt64, at now: Instant) {
        let rate = Int(clamping: min(rate, UInt64(Limits.Bandwidth.maximum)))
        // The first one is better than our guess; later ones bound it.
        if receiverEstimate == nil { estimate = max(estimate, rate) }
        receiverEstimate = rate
        receiverEstimateAt = now
    }

    /// - Parameters:
    ///   - fractionLost: in 1/256, the highest of the streams of one report.
    ///   - used: bits per second that are sent; the rate does not grow far beyond.
    mutating func receive(fractionLost: UInt8, used: Int, at now: Instant) {
        let elapsed = lastReport.map { max(0, min((now - $0).microseconds, 2_000_000)) } ?? 0
        lastReport = now
        let loss = Int(fractionLost)
        if loss <= ReportedRate.low {
            guard cap(at: now) != nil || estimate < used * 2 else { return }
            estimate += Int(Int64(estimate) * Int64(ReportedRate.increase) * elapsed / 100_000_000)
        } else if loss > ReportedRate.high && now - lastDecrease >= ReportedRate.decreaseInterval {
            lastDecrease = now
            estimate -= estimate * loss / 512
        }
        if let cap = cap(at: now) { estimate = min(estimate, cap * 2) }
        estimate = max(Limits.Bandwidth.minimum, min(estimate, Limits.Bandwidth.maximum))
    }

    /// Bits per second that both allow.
    func rate(at now: Instant) -> Int { min(estimate, cap(at: now) ?? .max) }

    mutating func halve() { estimate = max(Limits.Bandwidth.minimum, estimate / 2) }
}
