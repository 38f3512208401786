// One direction of one session: seconds in, a score with its reason out. Knows no stream.
import RTP
import Seam

/// What one second of a direction was like.
struct DirectionSample: Equatable {
    /// nil: there was none to judge.
    var audio: QualityCosts?
    var video: QualityCosts?
    /// Share of the packets that did not arrive at first, 0…1; nil: nobody said.
    var lost: Double?
    /// nil: unknown.
    var roundTrip: Interval?
    var jitter: Interval?
    var bitsPerSecond: UInt32 = 0
    var downlink = DownlinkFigures()
}

/// What the bandwidth estimator knows of a downlink; nil: nothing.
struct DownlinkFigures: Equatable {
    /// Bits per second.
    var estimate: Int?
    /// Share of the packets, 0…1.
    var lost: Double?
    /// What waits in front of the narrowest link.
    var queueDelay: Interval?
    var bound: DirectionQuality.Bound?
}

struct DirectionMeter {
    private var samples: [DirectionSample] = []
    private var reason = DirectionQuality.Reason.none

    /// Another second has passed.
    /// - Returns: nil while there is too little to judge by.
    mutating func note(_ sample: DirectionSample) -> DirectionQuality? {
        samples.append(sample)
        if samples.count > Limits.Quality.samples { samples.removeFirst() }
        var audio = MeanCosts()
        var video = MeanCosts()
        var judged = 0
        for sample in samples where sample.audio != nil || sample.video != nil {
            judged += 1
            if let costs = sample.audio { audio.add(costs) }
            if let costs = sample.video { video.add(costs) }
        }
        guard judged >= Limits.Quality.leastSamples, let score = Combination(audio.value, video.value) else {
            reason = .none
            return nil
        }
        reason = score.costs.reason(present: reason)
        return quality(score, audio.value, video.value, newest: sample)
    }

    /// The path is another one, or nobody is there.
    mutating func forget() {
        samples.removeAll(keepingCapacity: true)
        reason = .none
    }

    private func quality(
        _ score: Combination,
        _ audio: QualityCosts?,
        _ video: QualityCosts?,
        newest: DirectionSample
    ) -> DirectionQuality {
        DirectionQuality(
            score: DirectionMeter.tenths(score.value),
            reason: reason,
            audio: audio.map { DirectionMeter.tenths($0.score) },
            video: video.map { DirectionMeter.tenths($0.score) },
            lossPermille: UInt16(clamping: Int((lost * 1000).rounded())),
            roundTripMs: UInt16(clamping: newest.roundTrip?.milliseconds ?? 0),
            jitterMs: UInt16(clamping: newest.jitter?.milliseconds ?? 0),
            bitsPerSecond: newest.bitsPerSecond,
            estimateBitsPerSecond: UInt32(clamping: newest.downlink.estimate ?? 0),
            queueMs: UInt16(clamping: newest.downlink.queueDelay?.milliseconds ?? 0),
            bound: newest.downlink.bound
        )
    }

    /// Mean of the seconds about which something is known.
    private var lost: Double {
        var sum = 0.0
        var count = 0
        for sample in samples {
            guard let lost = sample.lost else { continue }
            sum += lost
            count += 1
        }
        return count > 0 ? min(1, sum / Double(count)) : 0
    }

    private static func tenths(_ score: Double) -> UInt8 {
        UInt8(clamping: Int((max(1, min(5, score)) * 10).rounded()))
    }
}

/// Audio counts twice as much as video: a call goes on without pictures. Neither hides that the other one is bad.
private struct Combination {
    let value: Double
    let costs: QualityCosts

    init?(_ audio: QualityCosts?, _ video: QualityCosts?) {
        switch (audio, video) {
        case (nil, nil): return nil
        case (let only?, nil), (nil, let only?):
            value = only.score
            costs = only
        case (let audio?, let video?):
            value = min((2 * audio.score + video.score) / 3, min(audio.score, video.score) + 1.5)
            costs = (audio * 2 + video) * (1.0 / 3)
        }
    }
}

/// What of a session's quality the gateway was told, and whether it must hear more: what changed by little can wait.
struct QualityReport {
    private var told: SessionQuality?
    private var toldAt = Instant.distantPast

    /// Whether this is to be told now; counts as told then.
    mutating func isNews(_ quality: SessionQuality, at now: Instant) -> Bool {
        let isOld = now - toldAt >= Limits.Quality.repeatInterval
        let last = told ?? SessionQuality()
        guard
            isOld && (quality != SessionQuality() || last != quality)
                || QualityReport.differ(last.up, quality.up) || QualityReport.differ(last.down, quality.down)
        else { return false }
        told = quality
        toldAt = now
        return true
    }

    /// The gateway may know nothing of it.
    mutating func forget() {
        told = nil
        toldAt = .distantPast
    }

    private static func differ(_ a: DirectionQuality?, _ b: DirectionQuality?) -> Bool {
        guard let a, let b else { return (a == nil) != (b == nil) }
        return a.reason != b.reason
            || abs(Int(a.score) - Int(b.score)) >= Int(Limits.Quality.change)
    }
}
