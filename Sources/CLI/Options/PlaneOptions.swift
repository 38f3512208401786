// The flags of the two planes and of their processes. Each group says which settings it sets, and nothing more.
import ArgumentParser

/// For what serves HTTP: `serve` and `gateway`.
struct HTTPOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Where to serve HTTP (repeatable).", valueName: "address:port"))
    var http: [String] = []
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

    func apply(to settings: inout Settings) {
        settings.set(flag: "http.listen", http)
        settings.set(flag: "http.tls.certificate", tlsCertificate)
        settings.set(flag: "http.tls.key", tlsKey)
        settings.set(flag: "http.origins", origin)
        settings.set(flag: "http.cors", cors)
        settings.set(flag: "http.trusted-proxies", trustedProxy)
    }
}

/// For what takes media: `serve` and `media`.
struct MediaOptions: ParsableArguments {
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
    @Option(help: ArgumentHelp("Whether media may come by ICE-TCP.", valueName: "true|false"))
    var mediaTcp: String?

    func apply(to settings: inout Settings) {
        settings.set(flag: "media.listen", media)
        settings.set(flag: "media.announce", announce)
        settings.set(flag: "media.workers", workers)
        settings.set(flag: "media.tcp", mediaTcp)
    }
}

/// For two processes: `media` and `gateway`.
struct LinkOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Unix socket between the two processes; media.sock in the data directory.",
            valueName: "path"
        )
    )
    var socket: String?

    func apply(to settings: inout Settings) {
        settings.set(flag: "link.socket", socket)
    }
}

/// For every process that stays.
struct ProcessOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Directory for what outlives the process; ./sfu-data, or $STATE_DIRECTORY under systemd.",
            valueName: "directory"
        )
    )
    var data: String?
    @Option(help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "level"))
    var logLevel: String?
    @Option(help: ArgumentHelp("text or json.", valueName: "format"))
    var logFormat: String?
    @OptionGroup var options: SettingsOptions

    func apply(to settings: inout Settings) {
        settings.set(flag: "data", data)
        settings.set(flag: "log.level", logLevel)
        settings.set(flag: "log.format", logFormat)
    }
}
