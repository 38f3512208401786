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
    func settings() throws -> Settings {
        let environment = ProcessInfo.processInfo.environment
        var settings = Settings()
        if let path = config ?? environment["SFU_CONFIG"] {
            guard let data = FileManager.default.contents(atPath: path) else {
                throw SettingError("cannot read the configuration file \(path)")
            }
            settings = try Settings.file(String(decoding: data, as: UTF8.self), name: path)
        }
        settings.overlay(try Settings.environment(environment))
        return settings
    }
}
