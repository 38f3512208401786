import ArgumentParser
import Glibc
import RTP
import Signaling
import Testing

@testable import CLI

/// What the three server commands share, and where they differ.
@Suite struct PlanesTests {
    private func resolve(
        _ flags: (inout Settings) -> Void = { _ in },
        environment: [String: String] = [:],
        dev: Bool = true,
        role: ServeConfiguration.Role = .everything
    ) throws -> ServeConfiguration {
        var settings = try SettingsOptions.parse([]).settings(environment: environment)
        flags(&settings)
        return try ServeConfiguration(settings, isDevelopment: dev, role: role)
    }

    @Test func theMediaPlaneNeedsNoKeys() throws {
        #expect(try resolve(dev: false, role: .media).keys == nil)
        #expect(throws: SettingError.self) { try resolve(dev: false, role: .gateway) }
    }

    /// Sessions then outlive the gateway, and records of them are left with the media plane.
    @Test func theGatewayAloneKnowsThatItsMediaIsApart() throws {
        #expect(try resolve(role: .gateway).gateway.isMediaApart)
        #expect(try !resolve().gateway.isMediaApart)
    }

    @Test func theDataDirectoryHasItsPrecedence() throws {
        #expect(try resolve().dataDirectory == "sfu-data")
        let systemd = ["STATE_DIRECTORY": "/var/lib/sfu:/var/lib/other"]
        #expect(try resolve(environment: systemd).dataDirectory == "/var/lib/sfu")
        let both = systemd.merging(["SFU_DATA": "/srv/sfu"]) { $1 }
        #expect(try resolve(environment: both).dataDirectory == "/srv/sfu")
        let flag = try resolve({ $0.set(flag: "data", "here") }, environment: both)
        #expect(flag.dataDirectory == "here")
        #expect(throws: SettingError.self) { try resolve({ $0.set(flag: "data", "") }) }
    }

    @Test func theSocketIsInTheDataDirectoryUnlessItIsSet() throws {
        #expect(try resolve().socketPath == "sfu-data/media.sock")
        #expect(try resolve({ $0.set(flag: "data", "/srv/sfu") }).socketPath == "/srv/sfu/media.sock")
        #expect(try resolve({ $0.set(flag: "link.socket", "/run/s") }).socketPath == "/run/s")
    }

    @Test func aPathThatNoSocketCanHaveIsRefusedWhereOneIsNeeded() throws {
        let long = "/" + String(repeating: "x", count: Limits.Link.pathBytes)
        #expect(throws: SettingError.self) { try resolve({ $0.set(flag: "data", long) }, role: .media) }
        #expect(throws: SettingError.self) { try resolve({ $0.set(flag: "data", long) }, role: .gateway) }
        #expect(try resolve({ $0.set(flag: "data", long) }).dataDirectory == long)
    }

    @Test func flagsOfEachCommandSetTheirSettings() throws {
        let gateway = try GatewayCommand.parse([
            "--dev", "--http", ":1", "--http", ":2", "--socket", "/run/s", "--data", "d", "--log-level",
            "debug",
        ])
        var settings = Settings()
        gateway.http.apply(to: &settings)
        gateway.link.apply(to: &settings)
        gateway.process.apply(to: &settings)
        #expect(settings.list("http.listen") == [":1", ":2"])
        #expect(settings.origin("http.listen") == "--http")
        #expect(settings.text("link.socket") == "/run/s" && settings.text("data") == "d")
        #expect(settings.text("log.level") == "debug")
        #expect(settings.values.count == 4, "what is not said is not set")

        let media = try MediaCommand.parse(["--media", ":3", "--workers", "2", "--socket", "/run/s"])
        settings = Settings()
        media.media.apply(to: &settings)
        media.link.apply(to: &settings)
        #expect(settings.list("media.listen") == [":3"] && settings.text("media.workers") == "2")

        let everything = try ServeCommand.parse(["--http", ":1", "--media", ":3", "--data", "d"])
        #expect(everything.http.http == [":1"] && everything.media.media == [":3"])
    }

    @Test(arguments: [["--http", ":1"], ["--tls-key", "k"]])
    func theMediaPlaneHasNoFlagsOfTheOtherOne(arguments: [String]) {
        #expect(throws: (any Error).self) { try MediaCommand.parse(arguments) }
    }

    @Test(arguments: [["--media", ":1"], ["--workers", "2"]])
    func theGatewayHasNoFlagsOfTheOtherOne(arguments: [String]) {
        #expect(throws: (any Error).self) { try GatewayCommand.parse(arguments) }
    }

    // MARK: The data directory

    private func withFolder(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/sfu-data-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { rmdir(folder) }
        try body(folder)
    }

    @Test func theDataDirectoryIsForItsOwner() throws {
        try withFolder { folder in
            let path = folder + "/new"
            defer { rmdir(path) }
            try DataDirectory.prepare(path)
            var status = stat()
            try #require(stat(path, &status) == 0)
            #expect(status.st_mode == S_IFDIR | 0o700)
            try DataDirectory.prepare(path)
        }
    }

    @Test func whatIsNoDirectoryIsRefused() throws {
        try withFolder { folder in
            let path = folder + "/file"
            let descriptor = open(path, O_CREAT | O_WRONLY, 0o600)
            try #require(descriptor >= 0)
            close(descriptor)
            defer { unlink(path) }
            let error = #expect(throws: SettingError.self) { try DataDirectory.prepare(path) }
            #expect(error?.description == "the data directory \(path) is no directory")
            let below = #expect(throws: SettingError.self) { try DataDirectory.prepare(path + "/below") }
            #expect(below?.description.contains("--data names another one") == true)
        }
    }
}
