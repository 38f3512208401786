// Durations in the buckets that all our histograms have; a value, for statistics. Must not know who measures.
import RTP

public struct DurationHistogram: Sendable, Equatable {
    /// One more than there are bounds.
    public private(set) var counts = [UInt64](repeating: 0, count: MetricCatalog.durationBuckets.count + 1)
    public private(set) var seconds = 0.0
    public var count: UInt64 { counts.reduce(0, +) }

    public init() {}

    public mutating func record(_ duration: Interval) {
        let value = Double(max(0, duration.microseconds)) / 1_000_000
        let bounds = MetricCatalog.durationBuckets
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
        seconds += value
    }
}
