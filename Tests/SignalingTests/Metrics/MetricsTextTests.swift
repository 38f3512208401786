import Metrics
import RTP
import Seam
import Testing

@testable import Signaling

@Suite("Metrics as text")
struct MetricsTextTests {
    private static func text(_ registry: PrometheusRegistry) -> String {
        var text = PrometheusText()
        registry.write(to: &text)
        return text.text
    }

    @Test func golden() {
        let registry = PrometheusRegistry(catalog: [
            MetricDescription("jobs_total", .counter, "Jobs \\ done\nso far.", labels: ["kind"]),
            MetricDescription("wait_seconds", .histogram, "Waits.", buckets: [0.1, 1]),
        ])
        Counter(label: "jobs_total", dimensions: [("kind", "a\"b\\c\nd")], factory: registry).increment(by: 3)
        Counter(label: "jobs_total", dimensions: [("kind", "Z")], factory: registry).increment()
        Counter(label: "jobs_total", dimensions: [("kind", "Z")], factory: registry).increment()
        let meter = Meter(label: "room.temp", factory: registry)
        meter.set(20)
        meter.increment(by: 1.5)
        let timer = Timer(label: "wait_seconds", factory: registry)
        timer.recordMilliseconds(50)
        timer.recordMilliseconds(100)
        timer.recordSeconds(5)
        #expect(
            Self.text(registry) == """
                # HELP jobs_total Jobs \\\\ done\\nso far.
                # TYPE jobs_total counter
                jobs_total{kind="Z"} 2
                jobs_total{kind="a\\"b\\\\c\\nd"} 3
                # TYPE room_temp gauge
                room_temp 21.5
                # HELP wait_seconds Waits.
                # TYPE wait_seconds histogram
                wait_seconds_bucket{le="0.1"} 2
                wait_seconds_bucket{le="1"} 2
                wait_seconds_bucket{le="+Inf"} 3
                wait_seconds_sum 5.15
                wait_seconds_count 3
                # HELP sfu_metrics_series_dropped_total Label sets that were folded into one because their metric had \
                too many.
                # TYPE sfu_metrics_series_dropped_total counter
                sfu_metrics_series_dropped_total 0

                """
        )
    }

    @Test func seriesAreBounded() {
        let registry = PrometheusRegistry(catalog: [])
        for index in 0..<(Limits.HTTP.seriesPerMetric + 7) {
            Counter(label: "c_total", dimensions: [("i", "\(index)")], factory: registry).increment()
        }
        let text = Self.text(registry)
        #expect(text.contains("c_total{overflow=\"true\"} 7\n"))
        #expect(text.contains("sfu_metrics_series_dropped_total 7\n"))
        #expect(
            text.split(separator: "\n").count { $0.hasPrefix("c_total{") } == Limits.HTTP.seriesPerMetric + 1
        )
    }

    @Test func oneNameOneKind() {
        let registry = PrometheusRegistry(catalog: [])
        Meter(label: "x_total", factory: registry).set(4)
        Counter(label: "x_total", factory: registry).increment()
        #expect(Self.text(registry).contains("# TYPE x_total gauge\nx_total 4\n"))
        #expect(!Self.text(registry).contains("counter\nx_total"))
    }

    @Test func countersOnlyGrow() {
        let registry = PrometheusRegistry(catalog: [])
        let counter = Counter(label: "c", factory: registry)
        counter.increment(by: 5)
        counter.increment(by: -3)
        #expect(Self.text(registry).contains("c_total 5\n"))
        let floating = FloatingPointCounter(label: "f", factory: registry)
        floating.increment(by: 0.25)
        floating.increment(by: -1)
        #expect(Self.text(registry).contains("f_total 0.25\n"))
    }

    @Test func names() {
        #expect(PrometheusText.legalName("a.b-c d") == "a_b_c_d")
        #expect(PrometheusText.legalName("9lives") == "_9lives")
        #expect(PrometheusText.legalName("") == "_")
        #expect(PrometheusText.number(.infinity) == "+Inf")
        #expect(PrometheusText.number(-.infinity) == "-Inf")
        #expect(PrometheusText.number(.nan) == "NaN")
        #expect(PrometheusText.number(1e300) == "1e+300")
    }

    @Test func workersSideBySide() {
        let counters = MediaCounters()
        counters.record(
            WorkerCounters(worker: 1, counts: ["packets_forwarded": 5], gauges: ["sessions": 2])
        )
        counters.record(WorkerCounters(worker: 0, counts: ["packets_forwarded": 1]))
        counters.record(
            WorkerCounters(
                worker: 0,
                counts: ["packets_forwarded": 7, "odd name": 1],
                drops: ["muted": 3, "malformed": 1],
                gauges: ["sessions": -1]
            )
        )
        var text = PrometheusText()
        counters.write(to: &text)
        #expect(
            text.text == """
                # TYPE sfu_odd_name_total counter
                sfu_odd_name_total{worker="0"} 1
                # HELP sfu_packets_forwarded_total RTP packets sent to subscribers.
                # TYPE sfu_packets_forwarded_total counter
                sfu_packets_forwarded_total{worker="0"} 7
                sfu_packets_forwarded_total{worker="1"} 5
                # HELP sfu_media_dropped_total Datagrams and packets that did not go on, by reason.
                # TYPE sfu_media_dropped_total counter
                sfu_media_dropped_total{worker="0",reason="malformed"} 1
                sfu_media_dropped_total{worker="0",reason="muted"} 3
                # HELP sfu_sessions Sessions of a worker.
                # TYPE sfu_sessions gauge
                sfu_sessions{worker="0"} -1
                sfu_sessions{worker="1"} 2

                """
        )
        counters.removeAll()
        var empty = PrometheusText()
        counters.write(to: &empty)
        #expect(empty.text.isEmpty)
    }

    @Test func theCatalogIsSound() {
        let names = MetricCatalog.all.map(\.name)
        #expect(names == names.sorted())
        #expect(Set(names).count == names.count)
        for metric in MetricCatalog.all {
            #expect(metric.name.hasPrefix("sfu_"), "\(metric.name)")
            #expect(PrometheusText.legalName(metric.name) == metric.name)
            #expect((metric.kind == .counter) == metric.name.hasSuffix("_total"), "\(metric.name)")
            #expect((metric.kind == .histogram) == !metric.buckets.isEmpty, "\(metric.name)")
            #expect(!metric.help.isEmpty && MetricCatalog.markdown().contains("`\(metric.name)`"))
        }
    }
}
