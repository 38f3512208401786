// Runs the media plane alone: it takes orders from a gateway by a Unix socket, and outlives it.
import ArgumentParser
import Logging
import MediaIO
import NIOCore
import NIOPosix
import RTP
import SeamLink

struct MediaCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "media",
        abstract: "Runs the media plane alone, for an `sfu gateway` beside it.",
        discussion: """
            The gateway may stop, crash or be replaced: calls go on, for \
            \(Limits.Media.gatewayAbsence.milliseconds / 60_000) minutes at most. Both read the same settings; \
            this one needs no keys. When it stops, calls end.
            """
    )

    @Flag(help: "Development: media for this machine alone; for `sfu gateway --dev`.")
    var dev = false
    @OptionGroup var media: MediaOptions
    @OptionGroup var link: LinkOptions
    @OptionGroup var process: ProcessOptions

    func run() async throws {
        let process = ServerProcess(role: .media, isDevelopment: dev, options: process)
        try await process.run(
            flags: { settings in
                media.apply(to: &settings)
                link.apply(to: &settings)
            },
            MediaCommand.serve
        )
    }

    private static func serve(_ configuration: ServeConfiguration, _ logger: Logger) async throws {
        // With a socket elsewhere nothing is kept there.
        if configuration.socketPath.hasPrefix(configuration.dataDirectory + "/") {
            try DataDirectory.prepare(configuration.dataDirectory)
        }
        let media = try MediaSide.open(configuration)
        defer { media.stop() }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let link = SeamServer(
            plane: media,
            path: configuration.socketPath,
            build: Version.current,
            process: ServerProcess.processID,
            eventLoop: group.next(),
            logger: Logger(label: "sfu.link"),
            clock: ServerProcess.clock()
        )
        try media.start()
        MediaSide.announce(media, logger)
        try await ServerProcess.run([LinkServerService(link: link)], logger)
        // The gateway has been let go: it hears of a new media plane, not of a thousand sessions that end.
        media.stop()
        try await group.shutdownGracefully()
    }
}
