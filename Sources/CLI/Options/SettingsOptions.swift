// Where settings come from on the command line; shared by the commands that need them.
import ArgumentParser

import struct Foundation.Data
import class Foundation.FileManager
import class Foundation.ProcessInfo

struct SettingsOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp("Configuration file (YAML); SFU_CONFIG names one, too.", valueName: "file")
    )
    var config: String?

    /// File below environment.
    func settings(environment: [String: String] = ProcessInfo.processInfo.environment) throws -> Settings {
        var settings = Settings()
        // systemd names several directories with colons between them; the first one is ours.
        if let state = environment["STATE_DIRECTORY"]?.split(separator: ":").first {
            settings.set("data", to: [String(state)], origin: "STATE_DIRECTORY")
        }
        if let path = config ?? environment["SFU_CONFIG"] {
            guard let data = FileManager.default.contents(atPath: path) else {
                throw SettingError("cannot read the configuration file \(path)")
            }
            settings.overlay(try Settings.file(String(decoding: data, as: UTF8.self), name: path))
        }
        settings.overlay(try Settings.environment(environment))
        return settings
    }
}
