// The newest counters of each worker, and how they look to Prometheus. Must not know rooms or HTTP.
import Seam
import Synchronization

/// Fed by whoever hears the media plane's events, read by `/metrics`.
public final class MediaCounters: Sendable {
    private let newest = Mutex<[Int: WorkerCounters]>([:])

    public init() {}

    public func record(_ counters: WorkerCounters) {
        newest.withLock { $0[counters.worker] = counters }
    }

    /// Forgets all workers: the media plane has gone.
    public func removeAll() {
        newest.withLock { $0.removeAll() }
    }

    func write(to text: inout PrometheusText) {
        let workers = newest.withLock { $0.values.sorted { $0.worker < $1.worker } }
        guard !workers.isEmpty else { return }
        writeFamilies(workers.map { ($0.worker, $0.counts) }, .counter, suffix: "_total", to: &text)
        writeDrops(workers, to: &text)
        writeFamilies(workers.map { ($0.worker, $0.gauges) }, .gauge, suffix: "", to: &text)
    }

    private func writeFamilies<Value: BinaryInteger>(
        _ workers: [(worker: Int, values: [String: Value])],
        _ kind: MetricDescription.Kind,
        suffix: String,
        to text: inout PrometheusText
    ) {
        for key in Set(workers.flatMap(\.values.keys)).sorted() {
            let name = PrometheusText.legalName("sfu_\(key)\(suffix)")
            text.begin(name, kind, help: MediaMetrics.description(of: name)?.help ?? "")
            for (worker, values) in workers {
                guard let value = values[key] else { continue }
                text.sample(name, [("worker", "\(worker)")], value)
            }
        }
    }

    private func writeDrops(_ workers: [WorkerCounters], to text: inout PrometheusText) {
        guard workers.contains(where: { !$0.drops.isEmpty }) else { return }
        let metric = MediaMetrics.dropped
        text.begin(metric.name, metric.kind, help: metric.help)
        for worker in workers {
            for (reason, count) in worker.drops.sorted(by: { $0.key < $1.key }) {
                text.sample(metric.name, [("worker", "\(worker.worker)"), ("reason", reason)], count)
            }
        }
    }
}
