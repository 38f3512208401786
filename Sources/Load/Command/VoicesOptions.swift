// The options of the voices scenario, and the plan that comes of them.
import ArgumentParser

enum Silence: String, ExpressibleByArgument, CaseIterable, Codable {
    /// One packet in 400 ms while nobody speaks.
    case dtx
    /// Packets all the time.
    case full
}

struct VoicesOptions: ParsableArguments {
    @Option(help: ArgumentHelp("People in the room, 2 to 2000.", valueName: "count"))
    var participants = 1000
    @Option(help: ArgumentHelp("Those who take turns speaking, 1 to 100.", valueName: "count"))
    var speakers = 5
    @Option(help: ArgumentHelp("How many speak at once at most, 1 to 10.", valueName: "count"))
    var overlap = 2
    @Option(help: ArgumentHelp("Audio sections that each receives on, 1 to 16.", valueName: "count"))
    var slots = 4
    @Option(
        help: ArgumentHelp(
            "What microphones send while nobody speaks, a packet in 400 ms or all.",
            valueName: "dtx|full"
        )
    )
    var silence = Silence.dtx
    @Option(help: ArgumentHelp("Audio level of silence, 0 to 127.", valueName: "-dBov"))
    var silentLevel = 127
    @Option(
        help: ArgumentHelp(
            "People whose every packet is decrypted and whose messages are read, 1 to 100.",
            valueName: "count"
        )
    )
    var listeners = 20
    @Option(help: ArgumentHelp("Seed of the conversation.", valueName: "number"))
    var seed: UInt64 = 1

    func validate() throws {
        try check("participants", participants, 2...2000)
        try check("speakers", speakers, 1...100)
        try check("overlap", overlap, 1...10)
        try check("slots", slots, 1...16)
        try check("silent-level", silentLevel, 0...127)
        try check("listeners", listeners, 1...100)
        guard speakers + listeners <= participants else {
            throw ValidationError("--participants \(participants): fewer than speakers and listeners")
        }
    }
}

struct VoicesPlan {
    var url: ServerURL
    var room: String
    var token: String?
    var participants: Int
    var speakers: Int
    var overlap: Int
    var slots: Int
    var silence: Silence
    var silentLevel: UInt8
    var listeners: Int
    var seed: UInt64
    var seconds: Int
    var warmUp: Int
    var joinsAtOnce: Int
    var payloadBytes: Int
    var serverPID: Int?
    var allowsRemote: Bool
}
