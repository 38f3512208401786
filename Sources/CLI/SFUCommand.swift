// The binary `sfu`.
import ArgumentParser
import Load

@main
struct SFUCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sfu",
        abstract: "Conference rooms without TURN: a WebRTC SFU in one binary.",
        discussion: """
            Try it:      sfu serve --dev          then open http://127.0.0.1:8080
            Deploy it:   sfu serve --config sfu.yaml
            In two processes: sfu media --config sfu.yaml, and sfu gateway --config sfu.yaml
            Let users in: sfu token --room standup --user alice
            Measure it:  sfu bench --help
            """,
        version: Version.current,
        subcommands: [
            ServeCommand.self, MediaCommand.self, GatewayCommand.self, TokenCommand.self,
            TimelineCommand.self, BenchCommand.self, VersionCommand.self,
        ]
    )
}

enum Version {
    static let current = "0.1.0"
}

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Prints the version and the protocol that it speaks."
    )

    func run() {
        print("sfu \(Version.current)\nprotocol sfu.v1+json")
    }
}
