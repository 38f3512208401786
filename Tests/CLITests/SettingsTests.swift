import Signaling
import Testing

@testable import CLI

@Suite struct SettingsTests {
    private func resolve(
        file: String = "",
        environment: [String: String] = [:],
        flags: [String: String] = [:],
        dev: Bool = true
    ) throws -> ServeConfiguration {
        var settings = try Settings.file(file, name: "sfu.yaml")
        settings.overlay(try Settings.environment(environment))
        for (key, value) in flags { settings.set(key, to: [value], origin: "--flag") }
        return try ServeConfiguration(settings, isDevelopment: dev)
    }

    @Test func flagsWinOverEnvironmentOverFileOverDefault() throws {
        #expect(try resolve().workers == 0)
        let file = "media:\n  workers: 2\n"
        #expect(try resolve(file: file).workers == 2)
        let environment = ["SFU_MEDIA_WORKERS": "3"]
        #expect(try resolve(file: file, environment: environment).workers == 3)
        #expect(try resolve(file: file, environment: environment, flags: ["media.workers": "4"]).workers == 4)
    }

    @Test(arguments: [
        ("htpp:\n  listen: \":80\"\n", "did you mean \"http\"?"),
        ("http:\n  listn: \":80\"\n", "did you mean \"http.listen\"?"),
        ("media:\n  workers: many\n", "whole number"),
        ("media:\n  workers: [1, 2]\n", "wrong form"),
        ("- a\n", "mapping"),
        ("http: {listen: [\"nowhere\"]}\n", "ADDRESS:PORT"),
        ("http: {tls: {key: a.pem}}\n", "belong together"),
        ("log: {level: loud}\n", "not a level"),
        ("media: {max-bitrate: {camera: fast}}\n", "whole number"),
        ("media: {max-bitrate: {camera: 3}}\n", "below 16 kbit/s"),
        ("media: {max-bitrate: {kamera: 3000}}\n", "did you mean \"media.max-bitrate.camera\"?"),
        ("keys: [a]\n", "key ids"),
        ("a: b: c\n", "YAML"),
    ])
    func badFilesSayWhatIsWrong(file: String, expected: String) {
        do {
            _ = try resolve(file: file)
            Issue.record("accepted: \(file)")
        } catch {
            #expect("\(error)".contains(expected), "\(error)")
        }
    }

    @Test func unknownVariablesAreRefused() {
        #expect(
            throws: SettingError(
                "environment: unknown setting \"SFU_HTTP_LISTN\"; did you mean \"SFU_HTTP_LISTEN\"?"
            )
        ) {
            try resolve(environment: ["SFU_HTTP_LISTN": ":1"])
        }
    }

    @Test func productionNeedsKeys() throws {
        #expect(throws: SettingError.self) { try resolve(dev: false) }
        let configuration = try resolve(
            environment: ["SFU_KEYS": "app:0123456789abcdef0123456789abcdef"],
            dev: false
        )
        #expect(configuration.keys == ["app": "0123456789abcdef0123456789abcdef"])
    }

    @Test func maximumBitratesAreSetInKilobits() throws {
        func bitrates(_ file: String = "", _ environment: [String: String] = [:]) throws -> [UInt32?] {
            let set = try resolve(file: file, environment: environment).gateway.maximumBitrates
            return [set.camera, set.screen, set.mic, set.screenAudio]
        }
        #expect(try bitrates() == [6_000_000, 8_000_000, 256_000, 512_000])
        let file = "media:\n  max-bitrate:\n    camera: 2500\n    screen: 0\n"
        let environment = ["SFU_MEDIA_MAX_BITRATE_SCREEN_AUDIO": "96"]
        #expect(try bitrates(file, environment) == [2_500_000, nil, 256_000, 96_000])
    }

    @Test func listsComeInBothForms() throws {
        #expect(
            try resolve(file: "media: {announce: [192.0.2.1, sfu.example]}").announced == [
                "192.0.2.1", "sfu.example",
            ]
        )
        #expect(try resolve(environment: ["SFU_MEDIA_ANNOUNCE": "a,b"]).announced == ["a", "b"])
    }

    @Test func everySettingHasItsOwnNames() {
        #expect(Set(Setting.all.map(\.variable)).count == Setting.all.count)
        #expect(Set(Setting.all.compactMap(\.flag)).count == Setting.all.compactMap(\.flag).count)
    }
}
