// What the commands that stay have in common: settings, logs, the data directory, signals, and how a failure is said.
import ArgumentParser
import Logging
import MediaIO
import RTP
import ServiceLifecycle
import UnixSignals

import class Foundation.ProcessInfo

struct ServerProcess {
    let role: ServeConfiguration.Role
    let isDevelopment: Bool
    let options: ProcessOptions

    /// Reads the settings, then runs the body; an error of either is said on standard error and ends the command.
    ///
    /// - Parameter flags: what the command line sets beside `options`.
    func run(
        flags: (inout Settings) -> Void,
        _ body: (ServeConfiguration, Logger) async throws -> Void
    ) async throws {
        if role != .gateway { LargePages.use() }
        let configuration: ServeConfiguration
        do {
            configuration = try resolve(flags)
        } catch let error as SettingError {
            throw ValidationError(error.description)
        }
        LoggingSystem.bootstrap { label in
            LineLogHandler(label: label, level: configuration.logLevel, isJSON: configuration.logsJSON)
        }
        let logger = Logger(label: "sfu")
        do {
            try await body(configuration, logger)
            logger.info("stopped")
        } catch {
            logger.critical("cannot run: \(error)")
            throw ExitCode.failure
        }
    }

    /// Flags over environment over file over defaults.
    private func resolve(_ flags: (inout Settings) -> Void) throws -> ServeConfiguration {
        var settings = Settings()
        if isDevelopment {
            settings.set("media.listen", to: MediaIO.ListenAddress.ownMachine(port: 7882), origin: "--dev")
        }
        settings.overlay(try options.options.settings())
        flags(&settings)
        options.apply(to: &settings)
        return try ServeConfiguration(settings, isDevelopment: isDevelopment, role: role)
    }

    /// Runs until SIGTERM or SIGINT; the services end in reverse order.
    static func run(_ services: [any Service], _ logger: Logger) async throws {
        let group = ServiceGroup(
            services: services,
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger
        )
        try await group.run()
    }

    /// A monotonic clock that begins now.
    static func clock() -> @Sendable () -> Instant {
        let start = ContinuousClock.now
        return { Instant(start.duration(to: .now)) }
    }

    static var processID: Int32 { ProcessInfo.processInfo.processIdentifier }
}
