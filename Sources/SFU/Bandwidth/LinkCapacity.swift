// Where the path was found to end: the mean of the rates that arrived while it was full, and how much they vary. Knows
// no time.
import RTP

struct LinkCapacity {
    private static let weight = 0.05
    private static let probeWeight = 0.5
    private static let deviationLeast = 0.4
    private static let deviationMost = 2.5

    /// kbit/s
    private var mean: Double?
    /// Variance over the mean.
    private var spread = LinkCapacity.deviationLeast

    /// Bits per second.
    var value: Int? { mean.map { Int($0 * 1000) } }

    private var deviation: Double { (spread * (mean ?? 0)).squareRoot() }

    /// Bits per second; above it the path is another one.
    var upper: Int? { mean.map { Int(($0 + 3 * deviation) * 1000) } }
    var lower: Int? { mean.map { Int(max(0, $0 - 3 * deviation) * 1000) } }

    /// Whether a probe that found this rate, bits per second, beyond the known end may have misread it: the clock of the
    /// peer's arrivals is late now and then, and a probe has few packets.
    func isNear(_ rate: Int) -> Bool {
        guard let value else { return false }
        return rate > value && rate < value * LinkCapacity.near / 100
    }

    private static let near = 150

    /// The path was full, and this much arrived, bits per second.
    mutating func noteOveruse(acknowledged: Int) { update(acknowledged, LinkCapacity.weight) }
    mutating func noteProbe(_ rate: Int) { update(rate, LinkCapacity.probeWeight) }

    private mutating func update(_ rate: Int, _ weight: Double) {
        let sample = Double(rate) / 1000
        let before = mean ?? sample
        let after = (1 - weight) * before + weight * sample
        let error = before - sample
        spread = (1 - weight) * spread + weight * error * error / max(after, 1)
        spread = max(LinkCapacity.deviationLeast, min(spread, LinkCapacity.deviationMost))
        mean = after
    }

    mutating func reset() { self = LinkCapacity() }
}
