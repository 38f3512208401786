// The options of `sfu bench` by what they are about, and their bounds.
import ArgumentParser
import CLinux
import PeerTransport
import RTP

func check(_ option: String, _ value: Int, _ range: ClosedRange<Int>) throws {
    guard range.contains(value) else {
        throw ValidationError("--\(option) \(value): \(range.lowerBound) to \(range.upperBound)")
    }
}

struct TargetOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The server.", valueName: "http://host:port"))
    var url = "http://127.0.0.1:8080"
    @Option(help: ArgumentHelp("Room to meet in; several rooms get numbers.", valueName: "name"))
    var room = "load"
    @Option(
        help: ArgumentHelp("Bearer token for all sessions; none: a development server.", valueName: "jwt")
    )
    var token: String?
    @Option(
        help: ArgumentHelp("The same from a file, so that no list of processes shows it.", valueName: "file")
    )
    var tokenFile: String?
    @Option(
        help: ArgumentHelp(
            "WHIP endpoint: a path below --url or a whole URL, with {room}, {participant}.",
            valueName: "template"
        )
    )
    var whip = WhipEndpoints.standardPublish
    @Option(
        help: ArgumentHelp(
            "WHEP endpoint; {subscriber} is the number of the session.",
            valueName: "template"
        )
    )
    var whep = WhipEndpoints.standardSubscribe
    @Option(help: ArgumentHelp("Who publishes, in those templates.", valueName: "name"))
    var participant = "load"
    @Flag(help: "Allows targets other than loopback.")
    var allowRemote = false

    func validate() throws {
        let isName =
            !room.isEmpty && room.utf8.count <= 56
            && room.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
        guard isName else { throw ValidationError("--room: letters, digits, - and _, at most 56") }
        guard token == nil || tokenFile == nil else {
            throw ValidationError("--token and --token-file say the same: one of them")
        }
    }

    /// - Throws: `LoadError` where the file cannot be read.
    func bearer() throws -> String? {
        guard let tokenFile else { return token }
        let text = try TextFile.read(tokenFile)
        let token = text.filter { !$0.isWhitespace }
        guard !token.isEmpty else { throw LoadError("\(tokenFile): there is no token in it") }
        return token
    }

    func signaling(_ kind: (ServerURL) -> SignalingKind) throws -> SignalingPlan {
        let server = try ServerURL(url)
        return SignalingPlan(
            server: server,
            room: room,
            token: try bearer(),
            kind: kind(server),
            allowsRemote: allowRemote
        )
    }

    var endpoints: WhipEndpoints {
        WhipEndpoints(publish: whip, subscribe: whep, participant: participant)
    }
}

struct MediaOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Opus in packets of 20 ms, 0 (none) or 8 to 256.", valueName: "kbit/s")
    )
    var audioKbps = 32
    @Flag(help: "All Opus packets have the same size, instead of three to five quarters of it.")
    var cbr = false
    @Option(
        help: ArgumentHelp("How much of the time a microphone's owner talks, 1 to 100.", valueName: "percent")
    )
    var talk: Int?
    @Flag(help: "Who is silent sends a packet in 400 ms, instead of packets all the time.")
    var dtx = false
    @Option(help: ArgumentHelp("Adds video shaped like this codec's.", valueName: "vp8|h264"))
    var video: VideoCodec?
    @Option(
        help: ArgumentHelp("Simulcast layers, the lowest first, one to three.", valueName: "kbit/s,...")
    )
    var layers = "150,450,1700"
    @Option(help: ArgumentHelp("Video frames per second, 1 to 120.", valueName: "count"))
    var fps = 30
    @Option(
        help: ArgumentHelp(
            "Seconds between key frames that nobody asks for, 0 (none) to 3600.",
            valueName: "seconds"
        )
    )
    var keyFrameSeconds = 10

    func validate() throws {
        if audioKbps != 0 { try check("audio-kbps", audioKbps, 8...256) }
        if let talk { try check("talk", talk, 1...100) }
        try check("fps", fps, 1...120)
        try check("key-frame-seconds", keyFrameSeconds, 0...3600)
        guard (1...3).contains(layerRates.count), layerRates.allSatisfy({ 20...20_000 ~= $0 }) else {
            throw ValidationError(
                "--layers \(layers): one to three numbers from 20 to 20000, with commas between"
            )
        }
        guard layerRates == layerRates.sorted() else { throw ValidationError("--layers: the lowest first") }
    }

    private var layerRates: [Int] {
        let fields = layers.split(separator: ",", omittingEmptySubsequences: false)
        let rates = fields.compactMap { Int($0) }
        return rates.count == fields.count ? rates : []
    }

    /// - Parameter talkPercent: where nobody says otherwise.
    func audio(talkPercent: Int = 100) -> AudioFormat {
        AudioFormat(
            bitsPerSecond: audioKbps * 1000,
            isConstant: cbr,
            talkPercent: talk ?? (dtx ? min(talkPercent, 50) : talkPercent),
            hasDTX: dtx
        )
    }

    /// - Parameter standard: the codec where none is named; nil: no video then.
    func video(_ standard: VideoCodec? = nil) -> VideoFormat {
        let codec = video ?? standard
        return VideoFormat(
            codec: codec ?? .vp8,
            layers: codec == nil ? [] : layerRates.map { $0 * 1000 },
            framesPerSecond: fps,
            keyFrameSeconds: keyFrameSeconds
        )
    }
}

struct SizeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("What is simulated.", valueName: "name"))
    var scenario = Scenario.broadcast
    @Option(
        help: ArgumentHelp(
            "broadcast, storm, soak: subscribers, 1 to 5000; 50, and 200 in storm.",
            valueName: "count"
        )
    )
    var subscribers: Int?
    @Option(
        help: ArgumentHelp(
            "rooms, meeting: people of a room, 2 to 50; 10 in rooms, 25 in meeting.",
            valueName: "count"
        )
    )
    var people: Int?
    @Option(
        help: ArgumentHelp(
            "rooms: how many, 1 to 500; \"fit\" adds rooms until the server does not keep up.",
            valueName: "count|fit"
        )
    )
    var rooms = "4"
    @Option(help: ArgumentHelp("meeting: cameras that each person sees, 1 to 49.", valueName: "count"))
    var lastN = 9
    @Option(help: ArgumentHelp("storm, soak: joins per second, 0.01 to 2000; 100 and 1.", valueName: "count"))
    var rate: Double?
    @Option(
        help: ArgumentHelp(
            "storm, soak: how long each of them stays, 0.1 to 600; 2 and 10.",
            valueName: "seconds"
        )
    )
    var stay: Double?
    @Option(help: ArgumentHelp("soak: length of an interval, 1 to 3600.", valueName: "seconds"))
    var interval = 10

    func validate() throws {
        if let subscribers { try check("subscribers", subscribers, 1...Limits.Load.sessions) }
        if let people { try check("people", people, 2...50) }
        if rooms != "fit" {
            guard let count = Int(rooms) else { throw ValidationError("--rooms: a number, or fit") }
            try check("rooms", count, 1...500)
        }
        try check("last-n", lastN, 1...49)
        try check("interval", interval, 1...3600)
        if let rate {
            guard 0.01...2000 ~= rate else { throw ValidationError("--rate \(rate): 0.01 to 2000") }
        }
        if let stay {
            guard 0.1...600 ~= stay else { throw ValidationError("--stay \(stay): 0.1 to 600") }
        }
    }
}

struct RunOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Length of the measurement, 1 to 604800; 15, and 600 in soak.",
            valueName: "seconds"
        )
    )
    var seconds: Int?
    @Option(
        help: ArgumentHelp("Wait between the last join and the measurement, 0 to 60.", valueName: "seconds")
    )
    var warmUp = 2
    @Option(help: ArgumentHelp("Joins at the same time, 1 to 200.", valueName: "count"))
    var joins = 4
    @Option(help: ArgumentHelp("One packet in so many is decrypted and read, 1 to 1024.", valueName: "count"))
    var verify = 16
    @Flag(
        inversion: .prefixedNo,
        help:
            "Subscribers ask again for what is missing and send transport-wide feedback, where the server takes it."
    )
    var feedback = true
    @Flag(
        inversion: .prefixedNo,
        help: "The kernel hands segmented sends over whole (UDP_GRO), or takes them apart as a network does."
    )
    var gro = true
    @Option(
        help: ArgumentHelp(
            "Process of the server on this machine: reports its CPU and memory.",
            valueName: "pid"
        )
    )
    var serverPid: Int?
    @Option(
        help: ArgumentHelp(
            "How the names of its media threads begin; empty: all threads.",
            valueName: "prefix"
        )
    )
    var mediaThreads = ProcessUsage.mediaThreads
    @Flag(help: "Prints JSON.")
    var json = false
    @Flag(help: "Shows no progress.")
    var quiet = false

    func validate() throws {
        if let seconds { try check("seconds", seconds, 1...604_800) }
        try check("warm-up", warmUp, 0...60)
        try check("joins", joins, 1...200)
        try check("verify", verify, 1...1024)
    }
}

struct KeyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("broadcast: keys and addresses from this file, no signaling.", valueName: "file")
    )
    var keys: String?
    @Option(help: ArgumentHelp("Writes such a file for --subscribers, and ends.", valueName: "file"))
    var writeKeys: String?
    @Option(
        help: ArgumentHelp("The server's address in it; clients' ports follow.", valueName: "address:port")
    )
    var server = "127.0.0.1:17990"
    @Option(help: ArgumentHelp("Its SRTP profile.", valueName: "gcm|cm"))
    var profile = Profile.gcm
    @Flag(help: "Subscribers' sockets are bound and never read.")
    var noReceive = false

    enum Profile: String, ExpressibleByArgument, CaseIterable {
        case gcm, cm

        var value: SRTPProfile { self == .gcm ? .aeadAES128GCM : .aes128CMSHA1_80 }
    }

    func validate() throws {
        guard keys == nil || writeKeys == nil else {
            throw ValidationError("--keys or --write-keys, not both")
        }
    }

    /// - Throws: `LoadError` for what cannot be written.
    func write(subscribers: Int) throws {
        guard let path = writeKeys else { return }
        guard let address = clinux_address(text: server) else {
            throw LoadError("--server \(server): numeric address, colon, port")
        }
        let file = try KeyFile(profile: profile.value, server: address, subscribers: subscribers)
        try TextFile.write(file.text, to: path)
    }

    func read() throws -> KeyFile? {
        guard let keys else { return nil }
        do {
            return try KeyFile(parsing: try TextFile.read(keys))
        } catch let error as LoadError {
            throw LoadError("\(keys): \(error)")
        }
    }
}
