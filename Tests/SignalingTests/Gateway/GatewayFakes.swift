// A media plane that answers, a socket that remembers, a verifier of plain words, and time that only tests move.
import Foundation
import Logging
import NIOCore
import NIOPosix
import RTP
import Seam
import Synchronization
import Testing

@testable import Signaling

/// Answers commands as a media plane with endless room would; `holds` keeps answers back.
final class FakeMediaPlane: MediaPlane {
    struct State {
        var commands: [Command] = []
        var held: [Event] = []
        var holds = false
        var refusal: Refusal?
        var isFull = false
        var restarts = 0
        var receiver: (@Sendable ([Event]) -> Void)?
    }

    private let state = Mutex(State())

    func with<Result: Sendable>(_ body: (inout sending State) -> sending Result) -> Result {
        state.withLock(body)
    }

    static func transport(_ name: String) -> LocalTransport {
        LocalTransport(
            ice: ICECredentials(usernameFragment: name, password: "serverpasswordserverpassword"),
            candidates: [
                Candidate(
                    network: .udp,
                    address: "192.0.2.1",
                    port: 7882,
                    priority: 2_130_706_431,
                    foundation: "1"
                )
            ],
            fingerprints: [Fingerprint(algorithm: "sha-256", digest: [UInt8](repeating: 7, count: 32))],
            setup: .passive
        )
    }

    func send(_ command: Command) -> Bool {
        let events: [Event]? = state.withLock { state in
            guard !state.isFull else { return nil }
            state.commands.append(command)
            let answers = Self.answers(to: command, &state)
            guard state.holds else { return answers }
            state.held += answers
            return []
        }
        if let events, !events.isEmpty { emit(events) }
        return events != nil
    }

    private static func answers(to command: Command, _ state: inout State) -> [Event] {
        switch command {
        case .open(let open):
            return [
                state.refusal.map { .sessionRefused(open.session, $0) }
                    ?? .sessionOpened(open.session, transport("srv0"))
            ]
        case .configure(let session, let media): return [.configured(session, generation: media.generation)]
        case .restartICE(let session, _):
            state.restarts += 1
            return [.iceRestarted(session, transport("srv\(state.restarts)"))]
        case .close(let session): return [.sessionClosed(session, .requested)]
        case .subscribe, .mute, .attach, .reportState: return []
        }
    }

    func deliverEvents(to receiver: @escaping @Sendable ([Event]) -> Void) {
        state.withLock { $0.receiver = receiver }
    }

    func emit(_ events: [Event]) { state.withLock { $0.receiver }?(events) }

    func release() {
        emit(
            state.withLock { state in
                state.holds = false
                defer { state.held = [] }
                return state.held
            }
        )
    }

    var commands: [Command] { state.withLock { $0.commands } }
    var subscriptions: [(session: SessionID, wishes: Wishes)] {
        commands.compactMap { if case .subscribe(let id, let wishes) = $0 { (id, wishes) } else { nil } }
    }
    var configurations: [(session: SessionID, media: SessionMedia)] {
        commands.compactMap { if case .configure(let id, let media) = $0 { (id, media) } else { nil } }
    }
}

/// What a client sees of its socket. Used on the gateway's loop, read by tests between turns. Every message is held
/// against the contract.
final class FakeSocket: SignalingSocket, Sendable {
    struct State {
        var isWritable = true
        var texts: [String] = []
        var closed: UInt16?
        var isPaused = false
    }

    private let state = Mutex(State())

    func with<Result: Sendable>(_ body: (inout sending State) -> sending Result) -> Result {
        state.withLock(body)
    }

    var isWritable: Bool { state.withLock { $0.isWritable && $0.closed == nil } }
    func send(text: ByteBuffer) {
        let text = String(buffer: text)
        if let fault = WireContract.fault(ofServer: text) {
            Issue.record("the server broke its contract: \(fault)\n\(text.prefix(2000))")
        }
        state.withLock { $0.texts.append(text) }
    }
    func close(code: UInt16, reason: String) { state.withLock { $0.closed = $0.closed ?? code } }
    func pauseReading(_ paused: Bool) { state.withLock { $0.isPaused = paused } }
}

/// A token is `user[,option…]`: bad, expired, viewer, hidden, replace, reject, short, mod, lobby, nodata.
struct FakeVerifier: TokenVerifier {
    func verify(_ token: String, room: String) throws -> Claims {
        let parts = token.split(separator: ",").map(String.init)
        if parts.contains("bad") { throw GatewayError(.unauthenticated, "the token is not valid") }
        if parts.contains("expired") { throw GatewayError(.expired, "the token has expired") }
        var claims = Claims(
            room: room,
            user: UserID(parts[0]),
            name: parts[0].capitalized,
            grants: .development
        )
        if parts.contains("viewer") { claims.grants.publish = [] }
        if parts.contains("deaf") { claims.grants.subscribe = false }
        if parts.contains("hidden") { claims.grants.hidden = true }
        if parts.contains("replace") { claims.duplicates = .replace }
        if parts.contains("reject") { claims.duplicates = .reject }
        if parts.contains("nodata") { claims.grants.data = false }
        if parts.contains("lobby") { claims.waits = true }
        if parts.contains("mod") {
            claims.grants.moderate = true
            claims.role = .moderator
        }
        if parts.contains("short") { claims.maxSession = .seconds(60) }
        if parts.contains("elsewhere") { claims.room = "elsewhere" }
        return claims
    }
}

enum SDPFixture {
    static func text(_ name: String) throws -> String {
        let url = Bundle.module.bundleURL.appendingPathComponent("Fixtures").appendingPathComponent(
            name + ".sdp"
        )
        return String(decoding: try Data(contentsOf: url), as: UTF8.self)
    }
}
