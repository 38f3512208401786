// The gateway with its HTTP side as the commands start it. Must not know whether the media plane is in this process.
import Logging
import Metrics
import NIOCore
import RTP
import Seam
import ServiceLifecycle
import Signaling
import Tracing

import struct Foundation.Data
import struct Foundation.Date
import class Foundation.FileHandle

struct GatewaySide {
    let gateway: Gateway
    let server: SignalingServer
    private let events: EventLogService
    /// nil where no collector of traces is set.
    private let telemetry: TelemetryService?
    private let configuration: ServeConfiguration

    /// Keeps the key that seals resume tokens in the data directory, which must exist.
    ///
    /// - Parameters:
    ///   - registry: of the process, where metrics were bootstrapped with it.
    ///   - unreadiness: nil where the media plane can take sessions, else the reason for `/readyz`.
    init(
        _ configuration: ServeConfiguration,
        media: any MediaPlane,
        mediaCounters: MediaCounters,
        registry: PrometheusRegistry,
        eventLoop: any EventLoop,
        unreadiness: @escaping @Sendable () async -> String? = { nil }
    ) async throws {
        self.configuration = configuration
        let tokens =
            if let keys = configuration.keys { try await TokenService(keys: keys) } else {
                try await TokenService.development()
            }
        events = try EventLogService(
            configuration.events,
            directory: configuration.dataDirectory,
            group: eventLoop,
            registry: registry,
            logger: Logger(label: "sfu.events")
        )
        telemetry = TelemetryService(
            configuration.telemetry,
            group: eventLoop,
            registry: registry,
            logger: Logger(label: "sfu.telemetry")
        )
        let tracer: any Tracer = telemetry?.tracer ?? NoOpTracer()
        gateway = Gateway(
            eventLoop: eventLoop,
            media: media,
            verifier: tokens,
            configuration: configuration.gateway,
            seal: try SealKeyFile.load(directory: configuration.dataDirectory),
            events: events,
            logger: Logger(label: "sfu.gateway"),
            tracer: tracer,
            clock: ServerProcess.clock(),
            wallClock: { UInt64(Date().timeIntervalSince1970 * 1000) },
            counters: { mediaCounters.record($0) }
        )
        server = try SignalingServer(
            configuration: configuration.signaling,
            gateway: gateway,
            tokens: tokens,
            registry: registry,
            mediaCounters: mediaCounters,
            events: EventBackend(reader: events, tokens: tokens),
            unreadiness: unreadiness,
            tracer: tracer,
            logger: Logger(label: "sfu.http")
        )
        await gateway.recall(await events.recall())
    }

    /// Those that make spans and events end before those that export and keep them.
    var services: [any Service] {
        guard let telemetry else { return [events, server] }
        return [telemetry, events, server]
    }

    /// Says where to go as soon as it listens.
    func announce(_ logger: Logger) -> Task<Void, any Error> {
        let loopback: Set<String> = ["127.0.0.1", "localhost", "::1"]
        let listen = configuration.signaling.listen
        if configuration.signaling.isDevelopment, listen.contains(where: { !loopback.contains($0.host) }) {
            logger.warning("--dev asks nobody for a token, and this server listens beyond this machine")
        }
        let scheme = configuration.signaling.tls == nil ? "http" : "https"
        return Task { [server] in
            for address in try await server.boundAddresses {
                let host = address.ipAddress ?? "127.0.0.1"
                let shown =
                    host == "::" || host == "0.0.0.0" ? "127.0.0.1" : host.contains(":") ? "[\(host)]" : host
                let line =
                    "Open \(scheme)://\(shown):\(address.port ?? 0) in a browser. Ctrl-C stops the server.\n"
                // Not `print`: a pipe would see the line only when the buffer is full.
                FileHandle.standardOutput.write(Data(line.utf8))
            }
        }
    }
}
