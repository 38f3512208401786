// Values in buckets; a value itself, for statistics. Must not know who measures what.

public struct ValueHistogram: Sendable, Equatable {
    /// Upper bounds of the buckets but the last.
    let bounds: [Double]
    /// One more than there are bounds.
    public private(set) var counts: [UInt64]
    public private(set) var sum = 0.0
    public var count: UInt64 { counts.reduce(0, +) }

    init(_ bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    mutating func record(_ value: Double) {
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
        sum += value
    }
}
