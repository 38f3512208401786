// The settings as the two planes want them. Everything that can be wrong with a setting is found here, before a
// port is opened.
import Logging
import MediaIO
import RTP
import Signaling

struct ServeConfiguration {
    /// What of the server runs in this process.
    enum Role: Sendable {
        case everything, media, gateway
    }

    var signaling: SignalingConfiguration
    var gateway: GatewayConfiguration
    var mediaListen: [MediaIO.ListenAddress]
    var announced: [String]
    var workers: Int
    var roomSeatsPerWorker: Int
    var audioWindow: Interval
    var limitsBandwidth: Bool
    var acceptsTCP: Bool
    var usesSegmentation: Bool
    /// For what outlives the process; created by `DataDirectory.prepare`.
    var dataDirectory: String
    /// Between two processes.
    var socketPath: String
    var events: EventSettings
    /// Token keys by id; nil: the development key.
    var keys: [String: String]?
    var telemetry: TelemetrySettings
    var logLevel: Logger.Level
    var logsJSON: Bool

    /// All settings are checked whatever the role, since the two processes share one file.
    init(_ settings: Settings, isDevelopment: Bool, role: Role = .everything) throws {
        func fail(_ key: String, _ reason: String) -> SettingError {
            SettingError("\(settings.origin(key)): \(key): \(reason)")
        }
        let listen = try settings.list("http.listen").map { text in
            guard let address = Signaling.ListenAddress(text) else {
                throw fail("http.listen", "\"\(text)\" is not ADDRESS:PORT")
            }
            return address
        }
        guard !listen.isEmpty else { throw fail("http.listen", "at least one address is needed") }
        let proxies = try settings.list("http.trusted-proxies").map { text in
            guard let range = AddressRange(text) else {
                throw fail("http.trusted-proxies", "\"\(text)\" is not an address range such as 10.0.0.0/8")
            }
            return range
        }
        let metricsToken = settings.text("http.metrics-token")
        signaling = SignalingConfiguration(
            listen: listen,
            isDevelopment: isDevelopment,
            version: Version.current,
            origins: settings.list("http.origins"),
            corsOrigins: settings.list("http.cors"),
            trustedProxies: proxies,
            tls: try ServeConfiguration.tls(settings),
            metricsToken: metricsToken.isEmpty ? nil : metricsToken,
            mintsTokens: try settings.flag("http.mint-tokens")
        )
        gateway = GatewayConfiguration(
            isDevelopment: isDevelopment,
            maximumRooms: try settings.whole("limits.rooms", in: 1...1_000_000) ?? Limits.Signaling.rooms,
            maximumParticipantsPerRoom: try settings.whole("limits.participants", in: 1...100_000)
                ?? Limits.Signaling.participantsPerRoom,
            isMediaApart: role == .gateway,
            returnWithin: try settings.whole("events.return-seconds", in: 1...3600).map {
                .seconds(Int64($0))
            }
                ?? Limits.Events.returnWithin,
            maximumBitrates: SourceBitrates(
                camera: try ServeConfiguration.bitrate("camera", settings),
                mic: try ServeConfiguration.bitrate("mic", settings),
                screen: try ServeConfiguration.bitrate("screen", settings),
                screenAudio: try ServeConfiguration.bitrate("screen-audio", settings)
            )
        )
        mediaListen = try settings.list("media.listen").flatMap { text in
            do { return try MediaIO.ListenAddress.parse(text) } catch {
                throw fail("media.listen", "\(error)")
            }
        }
        announced = settings.list("media.announce")
        workers = try settings.whole("media.workers", in: 0...Limits.MediaIO.workers) ?? 0
        roomSeatsPerWorker =
            try settings.whole("media.room-seats", in: 1...Limits.Media.sessionsPerWorker)
            ?? Limits.MediaIO.roomSeatsPerWorker
        let longestWindow = Int(Limits.Media.audioWindowLongest.milliseconds)
        audioWindow =
            try settings.whole("media.audio-window", in: 0...longestWindow).map { .milliseconds(Int64($0)) }
            ?? Limits.Media.audioWindow
        limitsBandwidth = try settings.flag("media.bandwidth-estimation")
        acceptsTCP = try settings.flag("media.tcp")
        usesSegmentation = try settings.flag("media.segmentation")
        dataDirectory = settings.text("data")
        guard !dataDirectory.isEmpty else { throw fail("data", "must be the path of a directory") }
        let socket = settings.text("link.socket")
        socketPath = socket.isEmpty ? dataDirectory + "/media.sock" : socket
        guard role == .everything || socketPath.utf8.count <= Limits.Link.pathBytes else {
            throw fail(
                "link.socket",
                "the path \"\(socketPath)\" is longer than \(Limits.Link.pathBytes) bytes"
            )
        }
        events = try EventSettings(settings)
        let keys = settings.keys
        guard isDevelopment || role == .media || !keys.isEmpty else {
            throw SettingError(
                "no token key is set: add keys to the configuration file or SFU_KEYS=id:secret to the environment, "
                    + "or use --dev to try things out on this machine"
            )
        }
        self.keys = keys.isEmpty ? nil : keys
        telemetry = try TelemetrySettings(settings)
        guard let level = Logger.Level(rawValue: settings.text("log.level")) else {
            throw fail("log.level", "\"\(settings.text("log.level"))\" is not a level")
        }
        logLevel = level
        switch settings.text("log.format") {
        case "text": logsJSON = false
        case "json": logsJSON = true
        default: throw fail("log.format", "must be text or json")
        }
    }

    /// Bits per second, nil: no maximum. The setting is in kbit/s.
    private static func bitrate(_ source: String, _ settings: Settings) throws -> UInt32? {
        let key = "media.max-bitrate.\(source)"
        let least = Limits.BitrateLimit.least / 1000
        guard let number = try settings.whole(key, in: 0...Limits.BitrateLimit.most / 1000), number > 0 else {
            return nil
        }
        guard number >= least else {
            throw SettingError(
                "\(settings.origin(key)): \(key): below \(least) kbit/s nothing can be sent; 0: no maximum"
            )
        }
        return UInt32(number) * 1000
    }

    private static func tls(_ settings: Settings) throws -> SignalingConfiguration.TLSFiles? {
        let certificate = settings.text("http.tls.certificate")
        let key = settings.text("http.tls.key")
        if certificate.isEmpty && key.isEmpty { return nil }
        guard !certificate.isEmpty, !key.isEmpty else {
            throw SettingError(
                "http.tls.certificate and http.tls.key belong together; one of them is missing"
            )
        }
        return SignalingConfiguration.TLSFiles(certificateChain: certificate, privateKey: key)
    }
}
