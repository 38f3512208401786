// The rate for peers that send no transport-wide feedback: their own estimate (REMB) where they give one, else a guess
// that grows; less by the loss that their receiver reports tell of. Knows no delay.
import RTP

struct ReportedRate {
    /// In 1/256 of the packets: up to the first the rate grows, above the second it falls.
    private static let low = 5
    private static let high = 26
    /// Percent per second.
    private static let increase = 8
    private static let decreaseInterval = Interval.milliseconds(300)

    /// Bits per second, where the peer gives no estimate.
    private var guess: Int
    /// What loss allows; nil: it limits nothing.
    private var limit: Int?
    private var receiverEstimate: Int?
    private var receiverEstimateAt = Instant.distantPast
    private var lastReport: Instant?
    private var lastDecrease = Instant.distantPast

    init(start: Int) { guess = start }

    /// What the receiver says, while it is fresh.
    func cap(at now: Instant) -> Int? {
        guard now - receiverEstimateAt < Limits.Bandwidth.receiverEstimateAge else { return nil }
        return receiverEstimate
    }

    /// Bits per second.
    func rate(at now: Instant) -> Int { min(cap(at: now) ?? guess, limit ?? .max) }

    /// The estimate of a peer that tells nothing else.
    /// - Parameter used: bits per second that are sent. An estimate above says no more than that: it grows with what comes, so
    ///   that a sender who took it for a bound would never send more.
    mutating func receive(soleEstimate rate: UInt64, used: Int, at now: Instant) {
        let rate = Int(min(rate, UInt64(Limits.Bandwidth.maximum)))
        guard rate * 100 < used * 95 else { return }
        limit = max(Limits.Bandwidth.minimum, min(limit ?? .max, rate))
        lastDecrease = now
    }

    mutating func receive(receiverEstimate rate: UInt64, at now: Instant) {
        receiverEstimate = Int(min(rate, UInt64(Limits.Bandwidth.maximum)))
        receiverEstimateAt = now
    }

    /// - Parameters:
    ///   - fractionLost: in 1/256, the highest of the streams of one report.
    ///   - used: bits per second that are sent; a guess does not grow far beyond.
    mutating func receive(fractionLost: UInt8, used: Int, at now: Instant) {
        let elapsed = lastReport.map { max(0, min((now - $0).microseconds, 2_000_000)) } ?? 0
        lastReport = now
        let loss = Int(fractionLost)
        if loss <= ReportedRate.low {
            grow(elapsed, used, now)
        } else if loss > ReportedRate.high && now - lastDecrease >= ReportedRate.decreaseInterval {
            lastDecrease = now
            let present = rate(at: now)
            limit = max(Limits.Bandwidth.minimum, present - present * loss / 512)
            if cap(at: now) == nil { guess = limit ?? guess }
        }
    }

    private mutating func grow(_ elapsed: Int64, _ used: Int, _ now: Instant) {
        func grown(_ rate: Int) -> Int {
            rate + Int(Int64(rate) * Int64(ReportedRate.increase) * elapsed / 100_000_000)
        }
        let cap = cap(at: now)
        if let before = limit {
            let after = grown(before)
            limit = after < cap ?? guess ? after : nil
        }
        if cap == nil && limit == nil && guess < used * 2 {
            guess = min(grown(guess), Limits.Bandwidth.maximum)
        }
    }

    /// Another path: half of what was.
    mutating func halve(at now: Instant) {
        let half = max(Limits.Bandwidth.minimum, rate(at: now) / 2)
        guess = half
        limit = half
    }
}
