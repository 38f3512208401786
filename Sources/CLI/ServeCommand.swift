// Runs both planes in one process: introduces the gateway to the media plane.
import ArgumentParser
import Logging
import MediaIO
import Metrics
import NIOCore
import NIOPosix
import Signaling

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
    @OptionGroup var http: HTTPOptions
    @OptionGroup var media: MediaOptions
    @OptionGroup var process: ProcessOptions

    func run() async throws {
        let process = ServerProcess(role: .everything, isDevelopment: dev, options: process)
        try await process.run(
            flags: { settings in
                http.apply(to: &settings)
                media.apply(to: &settings)
            },
            ServeCommand.serve
        )
    }

    private static func serve(_ configuration: ServeConfiguration, _ logger: Logger) async throws {
        try DataDirectory.prepare(configuration.dataDirectory)
        let registry = PrometheusRegistry()
        MetricsSystem.bootstrap(registry)
        let media = try MediaSide.open(configuration)
        defer { media.stop() }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let side = try await GatewaySide(
            configuration,
            media: media,
            mediaCounters: MediaCounters(),
            registry: registry,
            eventLoop: group.next()
        )
        await side.gateway.start()
        try media.start()
        MediaSide.announce(media, logger)
        let announcement = side.announce(logger)
        defer { announcement.cancel() }
        try await ServerProcess.run(side.services, logger)
        media.stop()
        try await group.shutdownGracefully()
    }
}
