// The rate at which the packets of a probe left and came. Knows neither why they were sent nor what follows.
import RTP

struct ProbeEstimator {
    private struct Sample {
        var cluster: UInt8 = 0
        var packets = 0
        var lost = 0
        var bytes = 0
        var firstSent: Int64 = .max
        var lastSent: Int64 = .min
        var lastSentBytes = 0
        var firstArrival: Int64 = .max
        var firstArrivalBytes = 0
        var lastArrival: Int64 = .min
    }

    struct Result: Equatable {
        /// Bits per second.
        var rate: Int
        /// It came slower than it left.
        var isFull: Bool
    }

    /// Percent of a probe that must have come.
    private static let leastShare = 80
    private static let longest: Int64 = 1_000_000
    /// What arrives faster than it was sent was held up before: no measurement.
    private static let mostRatio = 2.0
    /// Less than this share of the sent rate means that the path was full.
    private static let fullShare = 0.9
    /// From this share on the rate is taken a little lower, so that queues drain.
    private static let tightShare = 0.95
    private static let tightTarget = 0.95

    private var samples = InlineArray<4, Sample>(repeating: Sample())

    /// A packet of a probe came.
    /// - Parameters:
    ///   - sent: microseconds of our clock.
    ///   - arrival: microseconds of the peer's clock.
    mutating func receive(_ cluster: UInt8, size: Int, sent: Int64, arrival: Int64) {
        let place = Int(cluster & 3)
        if samples[place].cluster != cluster { samples[place] = Sample(cluster: cluster) }
        samples[place].packets += 1
        samples[place].bytes += size
        samples[place].firstSent = min(samples[place].firstSent, sent)
        if sent >= samples[place].lastSent {
            samples[place].lastSent = sent
            samples[place].lastSentBytes = size
        }
        if arrival < samples[place].firstArrival {
            samples[place].firstArrival = arrival
            samples[place].firstArrivalBytes = size
        }
        samples[place].lastArrival = max(samples[place].lastArrival, arrival)
    }

    mutating func lose(_ cluster: UInt8) {
        let place = Int(cluster & 3)
        if samples[place].cluster != cluster { samples[place] = Sample(cluster: cluster) }
        samples[place].lost += 1
    }

    /// Whether too much of it was lost on the way to be carried; what nothing was heard of does not count.
    func isLossy(_ cluster: ProbeController.Cluster) -> Bool {
        let sample = samples[Int(cluster.id & 3)]
        return sample.cluster == cluster.id
            && sample.lost * 100 > cluster.sentPackets * (100 - ProbeEstimator.leastShare)
    }

    /// How many packets of a probe came.
    func packets(of cluster: UInt8) -> Int {
        let sample = samples[Int(cluster & 3)]
        return sample.cluster == cluster ? sample.packets : 0
    }

    /// nil: too little of it came, or it tells nothing.
    func result(of cluster: ProbeController.Cluster) -> Result? {
        let sample = samples[Int(cluster.id & 3)]
        guard sample.cluster == cluster.id, sample.packets > 1,
            sample.packets * 100 >= cluster.sentPackets * ProbeEstimator.leastShare,
            sample.bytes * 100 >= cluster.sentBytes * ProbeEstimator.leastShare
        else { return nil }
        let sentTime = sample.lastSent - sample.firstSent
        let arrivalTime = sample.lastArrival - sample.firstArrival
        guard sentTime > 0, sentTime <= ProbeEstimator.longest, arrivalTime > 0,
            arrivalTime <= ProbeEstimator.longest
        else { return nil }
        let sentRate = Double(sample.bytes - sample.lastSentBytes) * 8_000_000 / Double(sentTime)
        let arrivalRate = Double(sample.bytes - sample.firstArrivalBytes) * 8_000_000 / Double(arrivalTime)
        guard arrivalRate <= sentRate * ProbeEstimator.mostRatio else { return nil }
        let isTight = arrivalRate < sentRate * ProbeEstimator.tightShare
        return Result(
            rate: Int(min(sentRate, arrivalRate * (isTight ? ProbeEstimator.tightTarget : 1))),
            isFull: arrivalRate < sentRate * ProbeEstimator.fullShare
        )
    }
}
