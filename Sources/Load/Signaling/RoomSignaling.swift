// Joins a room by WebSocket (`sfu.v1+json`), keeps the session, says which tiles it shows. Must not know media or phases.
import CLinux
import Foundation

final class RoomSignaling: Signaling {
    private static let readBytes = 1 << 14

    private(set) var notBefore: Int64 = 0
    /// Reads which track each section shows.
    var isWatching = false
    private let server: ServerURL
    private let room: String
    private let user: String
    private let token: String?
    private var connection: SignalSocket?
    private var started: Int64?
    private var isLeaving = false
    private var shown: [String: String] = [:]
    private var hasNews = false

    init(to server: ServerURL, room: String, user: String, token: String?) {
        self.server = server
        self.room = room
        self.user = user
        self.token = token
    }

    var socket: Int32 { connection?.socket ?? -1 }
    var interest: UInt32 { connection?.interest ?? 0 }
    var askedAt: Int64? { connection?.startedAt ?? started }

    func begin(_ description: LocalDescription) throws {
        let tracks = description.sections.filter { $0.sends != nil }.map { section in
            section.codec == nil
                ? SignalSocket.Track(mid: section.mid, cid: "mic", kind: "audio", source: "mic")
                : SignalSocket.Track(mid: section.mid, cid: "cam", kind: "video", source: "camera")
        }
        let connection = try SignalSocket(
            to: server,
            room: room,
            user: user,
            token: token,
            offer: description.offer,
            tracks: tracks
        )
        connection.isWatching = isWatching
        self.connection = connection
    }

    func advance(at now: Int64) -> SignalingOutcome? {
        guard let connection else { return nil }
        var outcome: SignalingOutcome?
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.readBytes) { buffer in
            connection.advance(buffer) { message in
                switch message {
                case .welcome(_, let answer): outcome = Self.described(answer)
                case .slot(let mid, let tid, _):
                    hasNews = true
                    shown[mid] = tid
                case .speakers: break
                }
            }
        }
        connection.advance(to: now)
        started = connection.startedAt
        guard case .failed(let reason) = connection.state else { return outcome }
        self.connection = nil
        return isLeaving ? .left : .failed(reason)
    }

    private static func described(_ answer: String) -> SignalingOutcome {
        do {
            return .described(try RemoteDescription(answer))
        } catch {
            return .failed("\(error)")
        }
    }

    func leave() -> Bool {
        guard let connection, connection.state == .open else {
            connection = nil
            return false
        }
        isLeaving = true
        connection.leave()
        return true
    }

    func takeShown() -> [String: String]? {
        guard hasNews else { return nil }
        hasNews = false
        return shown
    }

    func show(_ tiles: [Tile]) {
        struct View: Encodable {
            struct Content: Encodable { var tiles: [Tile] }
            var type = "view.update"
            var data: Content
        }
        guard let data = try? JSONEncoder().encode(View(data: .init(tiles: tiles))) else { return }
        connection?.send(String(decoding: data, as: UTF8.self))
    }
}
