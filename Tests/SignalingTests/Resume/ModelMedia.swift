// A media plane that remembers its sessions as the real one does, and outlives the gateways that order them.
import RTP
import Seam
import Synchronization

@testable import Signaling

final class ModelMedia: MediaPlane {
    private struct State {
        var epoch = 1
        var restarts = 0
        var sessions: [SessionID: MediaState.Session] = [:]
        var receiver: (@Sendable ([Event]) -> Void)?
    }

    private let content = Mutex(State())

    func deliverEvents(to receiver: @escaping @Sendable ([Event]) -> Void) {
        content.withLock { $0.receiver = receiver }
    }

    func send(_ command: Command) -> Bool {
        let (events, receiver) = content.withLock { state in (Self.execute(command, &state), state.receiver) }
        if !events.isEmpty { receiver?(events) }
        return true
    }

    private static func execute(_ command: Command, _ state: inout State) -> [Event] {
        switch command {
        case .open(let open):
            guard state.sessions[open.session] == nil else {
                return [.sessionRefused(open.session, .duplicate)]
            }
            state.sessions[open.session] = MediaState.Session(
                open: open,
                media: nil,
                transport: .new,
                attachments: [:]
            )
            return [.sessionOpened(open.session, FakeMediaPlane.transport("srv"))]
        case .configure(let id, let media):
            guard state.sessions[id] != nil else { return [] }
            state.sessions[id]?.media = media
            state.sessions[id]?.transport = .connected
            return [.configured(id, generation: media.generation), .transport(id, .connected)]
        case .restartICE(let id, let remote):
            guard state.sessions[id] != nil else { return [] }
            state.restarts += 1
            state.sessions[id]?.open.remote = remote
            return [.iceRestarted(id, FakeMediaPlane.transport("srv\(state.restarts)"))]
        case .close(let id):
            return state.sessions.removeValue(forKey: id) == nil ? [] : [.sessionClosed(id, .requested)]
        case .attach(let id, let key, let revision, let text):
            let known = state.sessions[id]?.revisions[key] ?? 0
            guard state.sessions[id] != nil, revision >= known else { return [] }
            state.sessions[id]?.revisions[key] = revision
            state.sessions[id]?.attachments[key] = text
            return []
        case .reportState: return [.state(Self.report(state))]
        case .subscribe, .mute: return []
        }
    }

    private static func report(_ state: State) -> MediaState {
        MediaState(
            epoch: "media\(state.epoch)",
            sessions: state.sessions.values.sorted { $0.open.session.rawValue < $1.open.session.rawValue }
        )
    }

    /// What it says to whoever connects.
    var report: MediaState { content.withLock { Self.report($0) } }
    var sessions: Set<SessionID> { content.withLock { Set($0.sessions.keys) } }

    func restart() {
        content.withLock { state in
            state.epoch += 1
            state.sessions = [:]
        }
    }
}
