// Whether queues grow: the slope of the delay over the last groups, against a threshold that adapts to the noise
// (draft-ietf-rmcat-gcc-02 §5.4, §5.5; constants as browsers use them). Knows no rate.
import RTP

/// What the delay says of the path.
enum PathUse: UInt8 {
    case normal, overuse, underuse
}

struct Trendline {
    /// Groups that the slope is of: five words of four.
    private static let window = 20
    private static let smoothing = 0.9
    private static let gain = 4.0
    private static let mostDeltas = 60
    /// Milliseconds of overuse, by the sender's clock, before it counts.
    private static let patience = 10.0
    private static let thresholdLeast = 6.0
    private static let thresholdMost = 600.0
    private static let thresholdStart = 12.5
    /// No adaptation to what is further away from the threshold than this, ms.
    private static let outlier = 15.0
    private static let adaptationUp = 0.0087
    private static let adaptationDown = 0.039
    private static let adaptationTime = 100.0

    private(set) var use = PathUse.normal
    /// Of the modified trend, milliseconds.
    private(set) var threshold = Trendline.thresholdStart
    /// What is compared to the threshold, milliseconds.
    private(set) var trend = 0.0
    private var times = InlineArray<5, SIMD4<Double>>(repeating: .zero)
    private var delays = InlineArray<5, SIMD4<Double>>(repeating: .zero)
    private var count = 0
    private var next = 0
    private var deltas = 0
    private var accumulated = 0.0
    private var smoothed = 0.0
    private var firstArrival: Int64?
    private var previousSlope = 0.0
    private var overuseTime = -1.0
    private var overuseCount = 0
    private var lastAdaptation: Int64?

    /// - Parameter arrival: of the later group, microseconds of the peer's clock.
    mutating func update(_ group: InterArrival.Deltas, arrival: Int64) {
        let sent = Double(group.sent) / 1000
        let first = firstArrival ?? arrival
        firstArrival = first
        deltas = min(deltas + 1, 1000)
        accumulated += Double(group.arrived) / 1000 - sent
        smoothed = Trendline.smoothing * smoothed + (1 - Trendline.smoothing) * accumulated
        times[next / 4][next % 4] = Double(arrival &- first) / 1000
        delays[next / 4][next % 4] = smoothed
        next = (next + 1) % Trendline.window
        count = min(count + 1, Trendline.window)
        let slope = count == Trendline.window ? self.slope ?? previousSlope : previousSlope
        detect(slope, sent, arrival)
    }

    /// Least squares over a full window. Mutating, lest each report of a packet copy all of this.
    private var slope: Double? {
        mutating get {
            var timeSum = SIMD4<Double>.zero
            var delaySum = SIMD4<Double>.zero
            for i in times.indices {
                timeSum += times[i]
                delaySum += delays[i]
            }
            let timeMean = SIMD4(repeating: timeSum.sum() / Double(Trendline.window))
            let delayMean = SIMD4(repeating: delaySum.sum() / Double(Trendline.window))
            var numerator = SIMD4<Double>.zero
            var denominator = SIMD4<Double>.zero
            for i in times.indices {
                let x = times[i] - timeMean
                numerator += x * (delays[i] - delayMean)
                denominator += x * x
            }
            let spread = denominator.sum()
            return spread > 0 ? numerator.sum() / spread : nil
        }
    }

    private mutating func detect(_ slope: Double, _ sent: Double, _ arrival: Int64) {
        defer { previousSlope = slope }
        guard deltas >= 2 else {
            use = .normal
            return
        }
        trend = Double(min(deltas, Trendline.mostDeltas)) * slope * Trendline.gain
        if trend > threshold {
            // The first sample counts half: nobody knows since when.
            overuseTime = overuseTime < 0 ? sent / 2 : overuseTime + sent
            overuseCount += 1
            if overuseTime > Trendline.patience && overuseCount > 1 && slope >= previousSlope {
                overuseTime = 0
                overuseCount = 0
                use = .overuse
            }
        } else {
            overuseTime = -1
            overuseCount = 0
            use = trend < -threshold ? .underuse : .normal
        }
        adapt(arrival)
    }

    private mutating func adapt(_ arrival: Int64) {
        let last = lastAdaptation ?? arrival
        lastAdaptation = arrival
        let size = abs(trend)
        guard size <= threshold + Trendline.outlier else { return }
        let k = size < threshold ? Trendline.adaptationDown : Trendline.adaptationUp
        let time = max(0, min(Double(arrival &- last) / 1000, Trendline.adaptationTime))
        threshold += k * (size - threshold) * time
        threshold = max(Trendline.thresholdLeast, min(threshold, Trendline.thresholdMost))
    }

    /// Forgets delays; the threshold is kept.
    mutating func reset() {
        let threshold = self.threshold
        self = Trendline()
        self.threshold = threshold
    }
}
