// How far packets came apart that left together: the path's rate shows in every picture of several packets, without
// sending anything for it. Too noisy to be believed, good enough to ask for a probe.
import RTP

struct BurstDispersion {
    /// Packets that leave within this time left together, microseconds.
    private static let together: Int64 = 1_000
    private static let leastBytes = 800
    /// In favour of a faster path, before a probe is asked for.
    private static let votes = 6
    /// Times the estimate, in percent.
    private static let much = 150

    private var lastSent: Int64 = .min
    private var firstArrival: Int64 = 0
    private var lastArrival: Int64 = 0
    private var bytes = 0
    private var inFavour = 0

    /// - Parameters:
    ///   - sent: microseconds of our clock.
    ///   - arrival: microseconds of the peer's clock.
    ///   - estimate: bits per second.
    /// - Returns: Whether the path seems to be much faster than the estimate.
    mutating func receive(_ size: Int, sent: Int64, arrival: Int64, estimate: Int) -> Bool {
        if sent &- lastSent <= BurstDispersion.together && sent >= lastSent && arrival >= lastArrival {
            bytes += size
            lastArrival = arrival
            lastSent = sent
            return false
        }
        let isFast = judge(estimate)
        lastSent = sent
        firstArrival = arrival
        lastArrival = arrival
        bytes = 0
        return isFast
    }

    private mutating func judge(_ estimate: Int) -> Bool {
        guard bytes >= BurstDispersion.leastBytes else { return false }
        let time = max(250, lastArrival - firstArrival)
        let rate = Int64(bytes) * 8_000_000 / time
        if rate * 100 > Int64(estimate) * Int64(BurstDispersion.much) {
            inFavour += 1
        } else {
            inFavour = max(0, inFavour - 2)
        }
        guard inFavour >= BurstDispersion.votes else { return false }
        inFavour = 0
        return true
    }

    mutating func reset() { self = BurstDispersion() }
}
