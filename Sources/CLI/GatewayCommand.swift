// Runs the gateway alone: page, signaling, WHIP and WHEP for a media plane in a process of its own.
import ArgumentParser
import Logging
import Metrics
import NIOCore
import NIOPosix
import SeamLink
import Signaling

struct GatewayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway",
        abstract: "Runs page, signaling, WHIP and WHEP, for an `sfu media` beside it.",
        discussion: """
            It connects to the media plane's socket, again and again where it must; /readyz says whether it is \
            there. One gateway at a time: a second one waits until the first is gone.
            """
    )

    @Flag(help: "Development: no tokens, the page at http://127.0.0.1:8080 for this machine alone.")
    var dev = false
    @OptionGroup var http: HTTPOptions
    @OptionGroup var link: LinkOptions
    @OptionGroup var process: ProcessOptions

    func run() async throws {
        let process = ServerProcess(role: .gateway, isDevelopment: dev, options: process)
        try await process.run(
            flags: { settings in
                http.apply(to: &settings)
                link.apply(to: &settings)
            },
            GatewayCommand.serve
        )
    }

    private static func serve(_ configuration: ServeConfiguration, _ logger: Logger) async throws {
        try DataDirectory.prepare(configuration.dataDirectory)
        let registry = PrometheusRegistry()
        MetricsSystem.bootstrap(registry)
        // The link has a thread of its own: a large state that is read holds up no socket.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let mediaCounters = MediaCounters()
        let link = SeamClient(
            path: configuration.socketPath,
            build: Version.current,
            process: ServerProcess.processID,
            eventLoop: group.next(),
            metrics: registry,
            logger: Logger(label: "sfu.link"),
            clock: ServerProcess.clock(),
            whenLost: { mediaCounters.removeAll() }
        )
        let side = try await GatewaySide(
            configuration,
            media: link,
            mediaCounters: mediaCounters,
            registry: registry,
            eventLoop: group.next(),
            unreadiness: { link.absence.map { "the media plane is away: \($0)" } }
        )
        await side.gateway.start()
        let announcement = side.announce(logger)
        defer { announcement.cancel() }
        // In reverse order: what the gateway orders last still goes down the link.
        try await ServerProcess.run([LinkClientService(link: link)] + side.services, logger)
        try await group.shutdownGracefully()
    }
}
