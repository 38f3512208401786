// Asks a server what happened to a participant, and prints it.
import ArgumentParser
import AsyncHTTPClient
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import RTP
import Signaling

import struct Foundation.CharacterSet
import struct Foundation.Data
import class Foundation.JSONDecoder
import struct Foundation.URLComponents

struct TimelineCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "timeline",
        abstract: "Prints what happened to a participant: joins, media, resumes, layers.",
        discussion: """
            It needs a server token with the scope rooms:read: given by --token, or made with the keys of the \
            configuration file, or with the development key (--dev).
            """
    )

    @Option(help: ArgumentHelp("Where the server's HTTP is.", valueName: "url"))
    var url = "http://127.0.0.1:8080"
    @Option(help: "Server token with the scope rooms:read.") var token: String?
    @Option(help: "Which key signs, where the configuration has several.") var key: String?
    @Flag(help: "Use the development key of `sfu serve --dev`.") var dev = false
    @Argument(help: "The room.") var room: String
    @Argument(help: "The participant, pa_….") var pid: String
    @OptionGroup var options: SettingsOptions

    func run() async throws {
        do {
            let report = try await fetch(token: try await bearer())
            for line in TimelineText.lines(report) { print(line) }
        } catch let error as SettingError {
            throw ValidationError(error.description)
        } catch let error as TokenKeyError {
            throw ValidationError(error.description)
        }
    }

    private func bearer() async throws -> String {
        if let token { return token }
        let keys = try options.settings().keys
        guard dev || !keys.isEmpty else {
            throw SettingError(
                "no token: give --token, or --config with keys, or --dev for a server with --dev"
            )
        }
        let service = dev ? try await TokenService.development() : try await TokenService(keys: keys)
        let id = dev ? TokenService.developmentKeyID : key ?? (keys.count == 1 ? keys.keys.first ?? "" : "")
        let claims = ServerClaims(keyID: id, scopes: [.readRooms], room: room)
        return try await service.mintServer(claims, lifetime: .seconds(60))
    }

    static func address(_ base: String, room: String, pid: String) throws -> String {
        // Segments: a slash in a name is no separator.
        var allowed = CharacterSet.alphanumerics
        allowed.insert(charactersIn: "-._~")
        guard let parts = URLComponents(string: base),
            ["http", "https"].contains(parts.scheme?.lowercased() ?? ""),
            parts.host?.isEmpty == false,
            let room = room.addingPercentEncoding(withAllowedCharacters: allowed),
            let pid = pid.addingPercentEncoding(withAllowedCharacters: allowed)
        else { throw SettingError("--url must be an http:// or https:// address") }
        let root = base.hasSuffix("/") ? String(base.dropLast()) : base
        return "\(root)/v1/rooms/\(room)/participants/\(pid)/timeline"
    }

    private func fetch(token: String) async throws -> TimelineReport {
        var request = HTTPClientRequest(url: try Self.address(url, room: room, pid: pid))
        request.headers.add(name: "authorization", value: "Bearer \(token)")
        let timeout = TimeAmount.microseconds(Limits.Telemetry.requestTimeout.microseconds)
        let answer: (status: UInt, body: ByteBuffer)
        do {
            let response = try await HTTPClient.shared.execute(request, timeout: timeout)
            answer = (
                response.status.code, try await response.body.collect(upTo: Limits.Telemetry.timelineBytes)
            )
        } catch {
            throw ValidationError("cannot reach \(url): \(error)")
        }
        guard answer.status == 200 else {
            struct Reason: Decodable { var detail: String }
            let reason = try? JSONDecoder().decode(Reason.self, from: Data(buffer: answer.body))
            throw ValidationError("\(answer.status): \(reason?.detail ?? "the server gave no reason")")
        }
        return try JSONDecoder().decode(TimelineReport.self, from: Data(buffer: answer.body))
    }
}
