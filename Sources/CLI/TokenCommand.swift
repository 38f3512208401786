// Mints a join token, as the chat server does with any JWT library.
import ArgumentParser
import RTP
import Seam
import Signaling

struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Prints a token that lets a user into a room."
    )

    @Option(help: "The room that it opens.") var room: String
    @Option(help: "The user, as the chat server knows them.") var user: String
    @Option(help: "The name that others see; the user's id where it is left out.") var name: String?
    @Option(help: "Minutes that it can be used to join.") var minutes: Int = 10
    @Flag(help: "May only watch and listen.") var viewOnly = false
    @Option(help: "Which key signs, where the configuration has several.") var key: String?
    @Flag(help: "Sign with the development key of `sfu serve --dev`.") var dev = false
    @OptionGroup var options: SettingsOptions

    func validate() throws {
        guard (1...60 * 24).contains(minutes) else {
            throw ValidationError("--minutes must be from 1 to \(60 * 24).")
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
            let claims = Claims(
                room: room,
                user: UserID(user),
                name: name ?? user,
                role: viewOnly ? .viewer : .speaker,
                grants: viewOnly ? Grants(subscribe: true) : .development
            )
            print(try await service.mint(claims, keyID: key, lifetime: .seconds(Int64(minutes) * 60)))
        } catch let error as SettingError {
            throw ValidationError(error.description)
        } catch let error as TokenKeyError {
            throw ValidationError(error.description)
        }
    }
}
