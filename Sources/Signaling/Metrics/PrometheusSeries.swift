// The values behind one line (or one histogram) of the text. Must not know names, labels or the registry.
import Metrics
import Synchronization

protocol PrometheusSeries: AnyObject, Sendable {
    func write(_ name: String, _ labels: [(String, String)], to text: inout PrometheusText)
}

final class PrometheusCounter: CounterHandler, PrometheusSeries {
    private let value = Atomic<Int64>(0)

    func increment(by amount: Int64) {
        guard amount > 0 else { return }
        value.wrappingAdd(amount, ordering: .relaxed)
    }

    func reset() { value.store(0, ordering: .relaxed) }

    func write(_ name: String, _ labels: [(String, String)], to text: inout PrometheusText) {
        text.sample(name, labels, value.load(ordering: .relaxed))
    }
}

final class PrometheusFloatingCounter: FloatingPointCounterHandler, PrometheusSeries {
    private let value = Mutex(0.0)

    func increment(by amount: Double) {
        guard amount > 0 else { return }
        value.withLock { $0 += amount }
    }

    func reset() { value.withLock { $0 = 0 } }

    func write(_ name: String, _ labels: [(String, String)], to text: inout PrometheusText) {
        text.sample(name, labels, value.withLock { $0 })
    }
}

final class PrometheusGauge: MeterHandler, RecorderHandler, PrometheusSeries {
    private let value = Mutex(0.0)

    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { self.value.withLock { $0 = value } }
    func increment(by amount: Double) { value.withLock { $0 += amount } }
    func decrement(by amount: Double) { value.withLock { $0 -= amount } }
    func record(_ value: Int64) { set(Double(value)) }
    func record(_ value: Double) { set(value) }

    func write(_ name: String, _ labels: [(String, String)], to text: inout PrometheusText) {
        text.sample(name, labels, value.withLock { $0 })
    }
}

/// Durations in seconds, or sizes in the unit of their name.
final class PrometheusHistogram: TimerHandler, RecorderHandler, PrometheusSeries {
    private struct Values {
        var counts: [UInt64]
        var sum = 0.0
    }

    private let bounds: [Double]
    private let values: Mutex<Values>

    init(bounds: [Double]) {
        self.bounds = bounds.sorted()
        values = Mutex(Values(counts: Array(repeating: 0, count: bounds.count + 1)))
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1_000_000_000) }
    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        guard value.isFinite else { return }
        let index = bounds.firstIndex { value <= $0 } ?? bounds.count
        values.withLock {
            $0.counts[index] &+= 1
            $0.sum += value
        }
    }

    func write(_ name: String, _ labels: [(String, String)], to text: inout PrometheusText) {
        let (counts, sum) = values.withLock { ($0.counts, $0.sum) }
        text.histogram(name, labels, bounds: bounds, counts: counts, sum: sum)
    }
}
