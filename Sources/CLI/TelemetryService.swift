// Introduces the server to a collector of traces: settings, tracer, exporter and its end. Must not know rooms.
import Logging
import Metrics
import NIOCore
import RTP
import ServiceLifecycle
import Signaling
import Telemetry
import Tracing

import class Foundation.ProcessInfo
import struct Foundation.UUID

/// What an operator says about traces.
struct TelemetrySettings: Sendable {
    /// nil: there are no traces.
    var collector: CollectorAddress?
    var sampleRatio: Double
    var serviceName: String

    /// Our own settings win where they come from a flag or a variable, then OpenTelemetry's variables, then the file.
    init(
        _ settings: Settings,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws {
        func choose(_ key: String, _ variable: String) -> (text: String, origin: String) {
            let isOurs = settings.origin(key).hasPrefix("SFU_") || settings.origin(key).hasPrefix("--")
            if !isOurs, let text = environment[variable], !text.isEmpty { return (text, variable) }
            return (settings.text(key), settings.origin(key))
        }
        let endpoint = choose("telemetry.endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT")
        let ratio = choose("telemetry.sample-ratio", "OTEL_TRACES_SAMPLER_ARG")
        guard let sampleRatio = Double(ratio.text), (0...1).contains(sampleRatio) else {
            throw SettingError("\(ratio.origin): telemetry.sample-ratio must be a number from 0 to 1")
        }
        self.sampleRatio = sampleRatio
        serviceName = choose("telemetry.service", "OTEL_SERVICE_NAME").text
        guard !endpoint.text.isEmpty else { return }
        var headers = settings.list("telemetry.headers")
        if headers.isEmpty, let text = environment["OTEL_EXPORTER_OTLP_HEADERS"] {
            headers = text.split(separator: ",").map(String.init)
        }
        do {
            collector = try CollectorAddress(endpoint: endpoint.text, headers: headers)
        } catch {
            // Its text is without secrets.
            switch error {
            case .address: throw SettingError("\(endpoint.origin): telemetry.endpoint: \(error)")
            case .header:
                throw SettingError("\(settings.origin("telemetry.headers")): telemetry.headers: \(error)")
            }
        }
    }
}

/// The way of spans out of this process. List it before the services that make spans: it ends after them.
final class TelemetryService: Service {
    let tracer: OTLPTracer
    private let exporter: SpanExporter
    private let client: CollectorClient

    /// nil where no collector is set.
    init?(
        _ settings: TelemetrySettings,
        group: any EventLoopGroup,
        registry: any MetricsFactory,
        logger: Logger
    ) {
        guard let collector = settings.collector else { return nil }
        client = CollectorClient(collector, userAgent: "sfu/\(Version.current)", group: group)
        let metrics = SpanMetrics(registry)
        exporter = SpanExporter(
            resource: TelemetryResource(
                serviceName: settings.serviceName,
                serviceVersion: Version.current,
                instanceID: UUID().uuidString.lowercased()
            ),
            transport: client,
            report: { metrics.count($0) },
            logger: logger
        )
        tracer = OTLPTracer(sampler: Sampler(ratio: settings.sampleRatio), sink: exporter)
        logger.info("traces are exported", metadata: ["ratio": "\(settings.sampleRatio)"])
    }

    /// Exports until shutdown, then what waits, for a bounded time.
    func run() async throws {
        let exporting = Task { [exporter] in await exporter.run() }
        // Cancellation ends it as well.
        try? await gracefulShutdown()
        exporter.close()
        let alarm = Task {
            try await Task.sleep(for: .microseconds(Limits.Telemetry.flushTimeout.microseconds))
            exporting.cancel()
        }
        await exporting.value
        alarm.cancel()
        await client.shutdown()
    }
}

private struct SpanMetrics: Sendable {
    private let exported: Counter
    private let retries: Counter
    private let dropped: [ExportReport.Loss: Counter]

    init(_ factory: any MetricsFactory) {
        exported = Counter(label: MetricCatalog.spansExported.name, dimensions: [], factory: factory)
        retries = Counter(label: MetricCatalog.spanRetries.name, dimensions: [], factory: factory)
        dropped = Dictionary(
            uniqueKeysWithValues: ExportReport.Loss.allCases.map { loss in
                let labels = [("reason", loss.rawValue)]
                return (
                    loss,
                    Counter(label: MetricCatalog.spansDropped.name, dimensions: labels, factory: factory)
                )
            }
        )
    }

    func count(_ report: ExportReport) {
        switch report {
        case .exported(let count): exported.increment(by: count)
        case .dropped(let count, let loss): dropped[loss]?.increment(by: count)
        case .retried: retries.increment()
        }
    }
}
