// The rate that arrives: samples over short windows of arrival time, weighed by how much they differ from what was
// believed (Bayesian). Knows no congestion.
import RTP

struct AcknowledgedBitrate {
    private static let firstWindow: Int64 = 500_000
    private static let window: Int64 = 150_000
    /// Of a sample, per difference from the estimate.
    private static let uncertainty = 10.0
    /// By which the estimate becomes less certain between two samples, (kbit/s)².
    private static let drift = 5.0
    private static let startVariance = 50.0

    /// kbit/s
    private var estimate: Double?
    private var variance = AcknowledgedBitrate.startVariance
    private var sum = 0
    private var elapsed: Int64 = 0
    private var previous: Int64?

    /// Bits per second; nil before half a second was seen.
    var value: Int? { estimate.map { Int($0 * 1000) } }

    /// - Parameter arrival: microseconds of the peer's clock.
    mutating func receive(_ size: Int, arrival: Int64) {
        let window = estimate == nil ? AcknowledgedBitrate.firstWindow : AcknowledgedBitrate.window
        if let previous {
            let gap = arrival &- previous
            // Reordered within the window; a clock that went back further begins anew.
            if gap < 0 {
                guard gap > -AcknowledgedBitrate.firstWindow else {
                    self.previous = arrival
                    elapsed = 0
                    sum = 0
                    return
                }
                sum += size
                return
            }
            elapsed += gap
            if gap > window {
                sum = 0
                elapsed %= window
            }
        }
        previous = arrival
        if elapsed >= window {
            sample(Double(sum) * 8 / Double(window) * 1000)
            elapsed -= window
            sum = 0
        }
        sum += size
    }

    private mutating func sample(_ rate: Double) {
        guard let believed = estimate else {
            estimate = rate
            return
        }
        let spread = AcknowledgedBitrate.uncertainty * abs(believed - rate) / max(believed, 1)
        let sampleVariance = max(spread * spread, 1e-6)
        let predicted = variance + AcknowledgedBitrate.drift
        estimate = (sampleVariance * believed + predicted * rate) / (sampleVariance + predicted)
        variance = sampleVariance * predicted / (sampleVariance + predicted)
    }

    /// The sender changes its rate: the next samples count more.
    mutating func expectChange() { variance += 200 }

    /// Reports were lost: what follows is no continuation.
    mutating func skip() {
        previous = nil
        sum = 0
        elapsed = 0
    }

    mutating func reset() { self = AcknowledgedBitrate() }
}
