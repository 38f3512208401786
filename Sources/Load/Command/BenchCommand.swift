// The command line of the load client, `sfu bench`.
import ArgumentParser
import Glibc

public struct BenchCommand: ParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Loads a server with many sessions: real ICE, DTLS and SRTP.",
        discussion: """
            fanout: joins POST /whip/{room}/load as publisher and POST /whep/{room}/load for each subscriber, \
            measures for a while, and leaves with DELETE. Every subscriber follows the sequence numbers of all \
            packets; one packet in 16 is decrypted and says how long it was on its way.

            voices: everybody joins by WebSocket (GET /v1/rooms/{room}/signal), publishes a microphone and receives \
            on a few audio sections; a few take turns speaking. Some listeners decrypt everything and say what \
            they missed of each turn and when they were told who speaks.

            HTTP/1.1 without TLS only. Targets other than loopback are refused without --allow-remote: load only \
            servers that are yours.
            """
    )

    @Option(help: ArgumentHelp("What is simulated.", valueName: "fanout|voices"))
    var scenario = Scenario.fanout
    @Option(help: ArgumentHelp("The server.", valueName: "http://host:port"))
    var url = "http://127.0.0.1:8080"
    @Option(help: ArgumentHelp("Room to meet in.", valueName: "name"))
    var room = "load"
    @Option(
        help: ArgumentHelp("Bearer token for all sessions; none: a development server.", valueName: "jwt")
    )
    var token: String?
    @Option(help: ArgumentHelp("Subscribers, 1 to 2000.", valueName: "count"))
    var subscribers = 50
    @Option(help: ArgumentHelp("Length of the measurement, 1 to 3600.", valueName: "seconds"))
    var seconds = 15
    @Option(
        help: ArgumentHelp("Wait between the last join and the measurement, 0 to 60.", valueName: "seconds")
    )
    var warmUp = 2
    @Option(help: ArgumentHelp("Joins at the same time, 1 to 200.", valueName: "count"))
    var joins = 4
    @Option(help: ArgumentHelp("Opus packets per second, 10 to 1000.", valueName: "count"))
    var packetsPerSecond = 50
    @Option(help: ArgumentHelp("Payload of an Opus packet, 20 to 1200.", valueName: "bytes"))
    var payloadBytes = 80
    @Option(help: ArgumentHelp("Adds video shaped like VP8 of this rate, 0 to 20000.", valueName: "kbit/s"))
    var videoKbps = 0
    @Option(help: ArgumentHelp("Video frames per second, 1 to 120.", valueName: "count"))
    var framesPerSecond = 30
    @Option(
        help: ArgumentHelp(
            "Process of the server on this machine: reports its CPU and memory.",
            valueName: "pid"
        )
    )
    var serverPid: Int?
    @OptionGroup var voices: VoicesOptions
    @Flag(help: "Prints JSON.")
    var json = false
    @Flag(help: "Allows targets other than loopback.")
    var allowRemote = false

    public init() {}

    public func validate() throws {
        try check("subscribers", subscribers, 1...2000)
        try check("seconds", seconds, 1...3600)
        try check("warm-up", warmUp, 0...60)
        try check("joins", joins, 1...200)
        try check("packets-per-second", packetsPerSecond, 10...1000)
        try check("payload-bytes", payloadBytes, 20...1200)
        try check("video-kbps", videoKbps, 0...20_000)
        try check("frames-per-second", framesPerSecond, 1...120)
        let isName =
            !room.isEmpty && room.utf8.count <= 64
            && room.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
        guard isName else { throw ValidationError("--room: letters, digits, - and _, at most 64") }
    }

    public func run() throws {
        raiseDescriptorLimit()
        let report = try makeReport()
        print(json ? try report.json() : report.table, terminator: json ? "\n" : "")
        guard report.isGood else { throw ExitCode.failure }
    }

    private func makeReport() throws -> any PrintableReport {
        switch scenario {
        case .fanout: try LoadRun(try fanoutPlan()).run()
        case .voices: try VoicesRun(try voicesPlan()).run()
        }
    }

    private func fanoutPlan() throws -> LoadPlan {
        LoadPlan(
            url: try ServerURL(url),
            room: room,
            token: token,
            subscribers: subscribers,
            seconds: seconds,
            warmUp: warmUp,
            joinsAtOnce: joins,
            format: MediaFormat(
                packetsPerSecond: packetsPerSecond,
                payloadBytes: payloadBytes,
                videoBitsPerSecond: videoKbps * 1000,
                framesPerSecond: framesPerSecond
            ),
            serverPID: serverPid,
            allowsRemote: allowRemote
        )
    }

    private func voicesPlan() throws -> VoicesPlan {
        VoicesPlan(
            url: try ServerURL(url),
            room: room,
            token: token,
            participants: voices.participants,
            speakers: voices.speakers,
            overlap: voices.overlap,
            slots: voices.slots,
            silence: voices.silence,
            silentLevel: UInt8(voices.silentLevel),
            listeners: voices.listeners,
            seed: voices.seed,
            seconds: seconds,
            warmUp: warmUp,
            joinsAtOnce: joins,
            payloadBytes: payloadBytes,
            serverPID: serverPid,
            allowsRemote: allowRemote
        )
    }

    /// A socket for each session, and one for its HTTP.
    private func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
