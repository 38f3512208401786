// Runs both planes in one process: introduces the gateway to the media plane and prints where to go.
import ArgumentParser
import Logging
import MediaIO
import Metrics
import NIOCore
import NIOPosix
import PeerTransport
import RTP
import Seam
import ServiceLifecycle
import Signaling
import Tracing
import UnixSignals

import struct Foundation.Data
import struct Foundation.Date
import class Foundation.FileHandle
import struct Foundation.UUID

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Runs the server: page, signaling, WHIP, WHEP and media.",
        discussion: """
            Settings come from flags, then environment variables (SFU_HTTP_LISTEN, …), then the configuration \
            file, then defaults. Unknown settings are refused.
            """
    )

    @Flag(help: "Development: no tokens, the page at http://127.0.0.1:8080 for this machine alone.")
    var dev = false
    @Option(help: ArgumentHelp("Where to serve HTTP (repeatable).", valueName: "address:port"))
    var http: [String] = []
    @Option(
        help: ArgumentHelp("Where to take media, UDP and ICE-TCP (repeatable).", valueName: "address:port")
    )
    var media: [String] = []
    @Option(
        help: ArgumentHelp("Address that clients reach this machine by (repeatable).", valueName: "address")
    )
    var announce: [String] = []
    @Option(help: ArgumentHelp("Media threads; 0: one for each CPU.", valueName: "count"))
    var workers: String?
    @Option(help: ArgumentHelp("Certificate chain for HTTPS, PEM.", valueName: "file"))
    var tlsCertificate: String?
    @Option(help: ArgumentHelp("Private key for HTTPS, PEM.", valueName: "file"))
    var tlsKey: String?
    @Option(
        help: ArgumentHelp("Page of another host that may open sockets (repeatable).", valueName: "origin")
    )
    var origin: [String] = []
    @Option(
        help: ArgumentHelp(
            "Page of another host that may use WHIP and WHEP (repeatable).",
            valueName: "origin"
        )
    )
    var cors: [String] = []
    @Option(help: ArgumentHelp("Proxies whose X-Forwarded-* count (repeatable).", valueName: "range"))
    var trustedProxy: [String] = []
    @Option(help: ArgumentHelp("Whether media may come by ICE-TCP.", valueName: "true|false"))
    var mediaTcp: String?
    @Option(help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "level"))
    var logLevel: String?
    @Option(help: ArgumentHelp("text or json.", valueName: "format"))
    var logFormat: String?
    @OptionGroup var options: SettingsOptions

    func run() async throws {
        let configuration: ServeConfiguration
        do {
            configuration = try resolve()
        } catch let error as SettingError {
            throw ValidationError(error.description)
        }
        LoggingSystem.bootstrap { label in
            LineLogHandler(label: label, level: configuration.logLevel, isJSON: configuration.logsJSON)
        }
        let logger = Logger(label: "sfu")
        do {
            try await serve(configuration, logger)
        } catch {
            logger.critical("cannot run: \(error)")
            throw ExitCode.failure
        }
    }

    /// Flags over environment over file over defaults.
    private func resolve() throws -> ServeConfiguration {
        var settings = Settings()
        if dev {
            settings.set("media.listen", to: MediaIO.ListenAddress.ownMachine(port: 7882), origin: "--dev")
        }
        settings.overlay(try options.settings())
        settings.overlay(flags)
        return try ServeConfiguration(settings, isDevelopment: dev)
    }

    private var flags: Settings {
        var settings = Settings()
        func set(_ key: String, _ texts: [String]) {
            if !texts.isEmpty { settings.set(key, to: texts, origin: "--\(Setting.named(key)?.flag ?? key)") }
        }
        set("http.listen", http)
        set("media.listen", media)
        set("media.announce", announce)
        set("media.workers", workers.map { [$0] } ?? [])
        set("media.tcp", mediaTcp.map { [$0] } ?? [])
        set("http.tls.certificate", tlsCertificate.map { [$0] } ?? [])
        set("http.tls.key", tlsKey.map { [$0] } ?? [])
        set("http.origins", origin)
        set("http.cors", cors)
        set("http.trusted-proxies", trustedProxy)
        set("log.level", logLevel.map { [$0] } ?? [])
        set("log.format", logFormat.map { [$0] } ?? [])
        return settings
    }

    private func serve(_ configuration: ServeConfiguration, _ logger: Logger) async throws {
        let tokens =
            if let keys = configuration.keys { try await TokenService(keys: keys) } else {
                try await TokenService.development()
            }
        let registry = PrometheusRegistry()
        MetricsSystem.bootstrap(registry)
        let mediaCounters = MediaCounters()
        let media = try MediaServer(
            configuration: MediaConfiguration(
                certificate: try DTLSCertificate.generate(),
                epoch: UUID().uuidString,
                listen: configuration.mediaListen,
                announced: configuration.announced,
                workers: configuration.workers,
                acceptsTCP: configuration.acceptsTCP,
                usesSegmentation: configuration.usesSegmentation
            )
        )
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let telemetry = TelemetryService(
            configuration.telemetry,
            group: group,
            registry: registry,
            logger: Logger(label: "sfu.telemetry")
        )
        let tracer: any Tracer = telemetry?.tracer ?? NoOpTracer()
        let start = ContinuousClock.now
        let gateway = Gateway(
            eventLoop: group.next(),
            media: media,
            verifier: tokens,
            configuration: configuration.gateway,
            logger: Logger(label: "sfu.gateway"),
            tracer: tracer,
            clock: { Instant(start.duration(to: .now)) },
            wallClock: { UInt64(Date().timeIntervalSince1970 * 1000) },
            counters: { mediaCounters.record($0) }
        )
        let server = try SignalingServer(
            configuration: configuration.signaling,
            gateway: gateway,
            tokens: tokens,
            registry: registry,
            mediaCounters: mediaCounters,
            tracer: tracer,
            logger: Logger(label: "sfu.http")
        )
        await gateway.start()
        try media.start()
        logger.info(
            "media is open",
            metadata: [
                "listen": "\(media.listening.joined(separator: " "))", "workers": "\(media.workerCount)",
                "candidates":
                    "\(media.candidates.map { "\($0.network.rawValue)/\($0.address):\($0.port)" }.joined(separator: " "))",
            ]
        )
        warn(of: media, configuration, logger)
        let announcement = Task { try await announce(server, configuration) }
        let services = ServiceGroup(
            services: [telemetry].compactMap { $0 } + [server],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger
        )
        do {
            try await services.run()
        } catch {
            announcement.cancel()
            media.stop()
            throw error
        }
        media.stop()
        try await group.shutdownGracefully()
        logger.info("stopped")
    }

    /// What works, but not as well or as safely as it could.
    private func warn(of media: MediaServer, _ configuration: ServeConfiguration, _ logger: Logger) {
        if media.grantedReceiveBufferBytes < Limits.MediaIO.receiveBufferBytes {
            logger.warning(
                "the kernel grants smaller socket buffers than wanted; raise net.core.rmem_max and wmem_max",
                metadata: [
                    "granted": "\(media.grantedReceiveBufferBytes)",
                    "wanted": "\(Limits.MediaIO.receiveBufferBytes)",
                ]
            )
        }
        let loopback: Set<String> = ["127.0.0.1", "localhost", "::1"]
        if dev, configuration.signaling.listen.contains(where: { !loopback.contains($0.host) }) {
            logger.warning("--dev asks nobody for a token, and this server listens beyond this machine")
        }
    }

    private func announce(_ server: SignalingServer, _ configuration: ServeConfiguration) async throws {
        let scheme = configuration.signaling.tls == nil ? "http" : "https"
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

extension Instant {
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self.init(microseconds: seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
    }
}
