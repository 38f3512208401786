// A swift-metrics backend whose values Prometheus can scrape. Must not know HTTP or what is counted.
import Metrics
import RTP
import Synchronization

/// Holds every metric of the process. Bounded: a metric with too many label sets keeps one series for the rest.
public final class PrometheusRegistry: MetricsFactory {
    private struct SeriesKey: Hashable {
        var name: String
        var labels: [Label]
    }

    private struct Label: Hashable {
        var name: String
        var value: String
    }

    private struct Family {
        var kind: MetricDescription.Kind
        var series: [SeriesKey: any PrometheusSeries] = [:]
    }

    private struct Storage {
        var families: [String: Family] = [:]
        var dropped: UInt64 = 0
    }

    private let descriptions: [String: MetricDescription]
    private let storage = Mutex(Storage())

    public init(catalog: [MetricDescription] = MetricCatalog.all) {
        descriptions = Dictionary(catalog.map { ($0.name, $0) }) { first, _ in first }
    }

    // MARK: MetricsFactory

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions, .counter) { PrometheusCounter() }
    }

    public func makeFloatingPointCounter(
        label: String,
        dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        series(label, dimensions, .counter) { PrometheusFloatingCounter() }
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions, .gauge) { PrometheusGauge() }
    }

    public func makeRecorder(
        label: String,
        dimensions: [(String, String)],
        aggregate: Bool
    ) -> any RecorderHandler {
        guard aggregate else { return series(label, dimensions, .gauge) { PrometheusGauge() } }
        let bounds = bounds(of: label)
        return series(label, dimensions, .histogram) { PrometheusHistogram(bounds: bounds) }
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        let bounds = bounds(of: label)
        return series(label, dimensions, .histogram) { PrometheusHistogram(bounds: bounds) }
    }

    // Series stay until the process ends: a counter that vanishes and comes back looks like a restart.
    public func destroyCounter(_ handler: any CounterHandler) {}
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    public func destroyMeter(_ handler: any MeterHandler) {}
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    public func destroyTimer(_ handler: any TimerHandler) {}

    // MARK: text

    /// All families in the order of their names.
    func write(to text: inout PrometheusText) {
        let (families, dropped) = storage.withLock { ($0.families, $0.dropped) }
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            text.begin(name, family.kind, help: descriptions[name]?.help ?? "")
            let series = family.series.map { key, value in
                (labels: key.labels.map { ($0.name, $0.value) }, value: value)
            }
            for (labels, value) in series.sorted(by: { Self.order($0.labels, $1.labels) }) {
                value.write(name, labels, to: &text)
            }
        }
        let metric = MetricCatalog.seriesDropped
        text.begin(metric.name, metric.kind, help: metric.help)
        text.sample(metric.name, [], dropped)
    }

    private static func order(_ a: [(String, String)], _ b: [(String, String)]) -> Bool {
        a.map { $0.0 + "\u{0}" + $0.1 }.lexicographicallyPrecedes(b.map { $0.0 + "\u{0}" + $0.1 })
    }

    // MARK: parts

    private func bounds(of label: String) -> [Double] {
        let known = descriptions[PrometheusText.legalName(label)]?.buckets ?? []
        return known.isEmpty ? MetricCatalog.durationBuckets : known
    }

    private func series<S: PrometheusSeries>(
        _ label: String,
        _ dimensions: [(String, String)],
        _ kind: MetricDescription.Kind,
        make: () -> S
    ) -> S {
        var name = PrometheusText.legalName(label)
        if kind == .counter, !name.hasSuffix("_total") { name += "_total" }
        let labels = dimensions.map { Label(name: PrometheusText.legalName($0.0), value: $0.1) }
        return storage.withLock { storage in
            var key = SeriesKey(name: name, labels: labels)
            if let known = storage.families[name]?.series[key] as? S { return known }
            // The same name with another type cannot be shown; it counts, unseen.
            guard storage.families[name].map({ $0.kind == kind }) ?? true else { return make() }
            var family = storage.families[name] ?? Family(kind: kind)
            if !labels.isEmpty, family.series.count >= Limits.HTTP.seriesPerMetric {
                storage.dropped += 1
                key.labels = [Label(name: "overflow", value: "true")]
                if let rest = family.series[key] as? S { return rest }
            }
            guard family.series[key] == nil else { return make() }
            let made = make()
            family.series[key] = made
            storage.families[name] = family
            return made
        }
    }
}
