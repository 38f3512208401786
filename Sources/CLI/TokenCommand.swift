// Mints a join token, as the chat server does with any JWT library.
import ArgumentParser
import RTP
import Seam
import Signaling

struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Prints a token that lets a user into a room, or one for the REST API."
    )

    @Option(help: "The room that it opens, or that a token with --scope is bound to.") var room: String?
    @Option(help: "The user, as the chat server knows them.") var user: String?
    @Option(help: "The name that others see; the user's id where it is left out.") var name: String?
    @Option(help: "Minutes that it can be used to join.") var minutes: Int = 10
    @Flag(help: "May only watch and listen.") var viewOnly = false
    @Flag(help: "May moderate the room.") var moderator = false
    @Flag(help: "Waits until a moderator lets it in.") var lobby = false
    @Option(
        help: ArgumentHelp(
            "A token for the REST API instead: \(ServerScope.allCases.map(\.rawValue).joined(separator: ", ")).",
            valueName: "scope"
        )
    )
    var scope: [String] = []
    @Option(help: "Which key signs, where the configuration has several.") var key: String?
    @Flag(help: "Sign with the development key of `sfu serve --dev`.") var dev = false
    @OptionGroup var options: SettingsOptions

    func validate() throws {
        guard (1...60 * 24).contains(minutes) else {
            throw ValidationError("--minutes must be from 1 to \(60 * 24).")
        }
        if let unknown = scope.first(where: { ServerScope(rawValue: $0) == nil }) {
            throw ValidationError("\"\(unknown)\" is no scope.")
        }
        guard !scope.isEmpty || (room != nil && user != nil) else {
            throw ValidationError("--room and --user are needed, or --scope.")
        }
        guard scope.isEmpty || (user == nil && !viewOnly && !moderator && !lobby) else {
            throw ValidationError("--scope is for servers: it goes with --room alone.")
        }
    }

    func run() async throws {
        do {
            let keys = try options.settings().keys
            guard dev || !keys.isEmpty else {
                throw SettingError(
                    "no token key is set: name the configuration file with --config, or use --dev for a server "
                        + "that runs with --dev"
                )
            }
            let service = dev ? try await TokenService.development() : try await TokenService(keys: keys)
            let lifetime = Interval.seconds(Int64(minutes) * 60)
            guard let room, let user, scope.isEmpty else {
                let id =
                    dev ? TokenService.developmentKeyID : key ?? (keys.count == 1 ? keys.keys.first : nil)
                let scopes = Set(scope.compactMap { ServerScope(rawValue: $0) })
                let claims = ServerClaims(keyID: id ?? "", scopes: scopes, room: room)
                return print(try await service.mintServer(claims, lifetime: lifetime))
            }
            var claims = Claims(
                room: room,
                user: UserID(user),
                name: name ?? user,
                role: moderator ? .moderator : viewOnly ? .viewer : .speaker,
                grants: viewOnly ? Grants(subscribe: true) : .development,
                waits: lobby
            )
            claims.grants.moderate = moderator
            print(try await service.mint(claims, keyID: key, lifetime: lifetime))
        } catch let error as SettingError {
            throw ValidationError(error.description)
        } catch let error as TokenKeyError {
            throw ValidationError(error.description)
        }
    }
}
