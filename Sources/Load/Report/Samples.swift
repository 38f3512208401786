// Numbers that percentiles are read from. Bounded: when the room is used up, every second sample is dropped, and
// from then on every second one taken.

import RTP

struct Samples {
    private var values: [Int64] = []
    private var stride = 1
    private var skipped = 0
    private(set) var count = 0
    private(set) var maximum: Int64 = 0

    mutating func add(_ value: Int64) {
        count += 1
        maximum = max(maximum, value)
        skipped += 1
        guard skipped >= stride else { return }
        skipped = 0
        if values.count == Limits.Load.samples {
            values = Swift.stride(from: 0, to: values.count, by: 2).map { values[$0] }
            stride *= 2
        }
        values.append(value)
    }

    /// Adds what is kept of others; their count and maximum stay true.
    mutating func merge(_ others: Samples) {
        let total = count + others.count
        let most = max(maximum, others.maximum)
        for value in others.values { add(value) }
        count = total
        maximum = most
    }

    /// Nearest rank, `fractions` of 0…1; zeros without samples.
    func percentiles(_ fractions: [Double]) -> [Int64] {
        guard !values.isEmpty else { return fractions.map { _ in 0 } }
        let sorted = values.sorted()
        return fractions.map { fraction in
            let rank = Int((fraction * Double(sorted.count)).rounded(.up)) - 1
            return sorted[min(max(rank, 0), sorted.count - 1)]
        }
    }
}
