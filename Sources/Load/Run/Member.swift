// One session of a run: how it joins, where it stands, its media. Must not know the others or the phases.
import CLinux
import PeerTransport
import RTP

final class Member {
    enum Stage: Equatable {
        case waiting, asking, connecting, joined, leaving, gone
    }

    enum Group {
        /// Measured.
        case steady
        /// Comes and goes while others are measured.
        case passing
    }

    private static let joinWithin: Int64 = 15_000_000_000

    let index: Int
    let role: SessionRole
    let group: Group
    let client: Client
    /// nil: keys came from a file.
    let signaling: (any Signaling)?
    let description: LocalDescription
    private(set) var stage = Stage.waiting
    /// Nanoseconds of the monotonic clock, from the first attempt on.
    private(set) var deadline = Int64.max
    private(set) var joinedAt: Int64?
    private(set) var failure: String?
    /// A passing one leaves then.
    var leavesAt = Int64.max
    /// As the poll has it.
    var polledSignaling: (socket: Int32, interest: UInt32)?
    var isPolledForMedia = false
    private var nextView: Int64 = 0
    private var shown: [String: String] = [:]
    private var hasView = true

    init(
        index: Int,
        role: SessionRole,
        group: Group,
        client: Client,
        signaling: (any Signaling)?,
        description: LocalDescription
    ) {
        self.index = index
        self.role = role
        self.group = group
        self.client = client
        self.signaling = signaling
        self.description = description
    }

    /// From the first byte of the request that was answered to the first forwarded packet, or, of those who publish, to the
    /// media connection.
    var joinTime: Int64? {
        guard let asked = signaling?.askedAt, let joinedAt else { return nil }
        return max(0, joinedAt - asked)
    }

    var hasVideo: Bool { description.sections.contains { $0.codec != nil } }
    var isOver: Bool { failure != nil || stage == .gone }

    // MARK: Joining

    func begin(at now: Int64) {
        guard failure == nil, let signaling else { return }
        if deadline == .max { deadline = now + Self.joinWithin }
        guard now >= signaling.notBefore else { return }
        do {
            try signaling.begin(description)
            stage = .asking
        } catch {
            fail("\(error)")
        }
    }

    /// Keys and addresses stand in the file: joined at once.
    func open(_ peer: KeyFile.Peer, of file: KeyFile, at now: Int64) throws {
        try client.open(peer, of: file)
        stage = .joined
        joinedAt = now
    }

    /// What the signaling socket, or time, brought.
    func advanceSignaling(allowsRemote: Bool, at now: Int64) {
        guard let signaling else { return }
        switch signaling.advance(at: now) {
        case nil: break
        case .described(let remote): open(remote, allowsRemote: allowsRemote, at: now)
        case .postponed: stage = .waiting
        case .failed(let reason): fail(reason)
        case .left: stage = .gone
        }
    }

    private func open(_ remote: RemoteDescription, allowsRemote: Bool, at now: Int64) {
        do {
            guard allowsRemote || remote.candidate.isLoopback else {
                throw LoadError.remote("the server's candidate \(remote.candidate.text)")
            }
            try client.open(remote, at: Instant(microseconds: now / 1000))
            stage = .connecting
        } catch {
            fail("\(error)")
        }
    }

    /// Takes over what came of the media session.
    func note(at now: Int64) {
        if case .failed(let reason) = client.state { fail(reason) }
        guard failure == nil else { return }
        if stage == .connecting, let time = readyAt(now) {
            joinedAt = time
            stage = .joined
        }
        if now > deadline, stage == .waiting || stage == .asking || stage == .connecting { fail(lateness) }
    }

    private func readyAt(_ now: Int64) -> Int64? {
        guard client.state == .connected else { return nil }
        return role == .subscriber ? client.firstPacketAt : now
    }

    private var lateness: String {
        switch client.state {
        case .idle: "no answer to the offer in time"
        case .checking: "no answer to connectivity checks"
        case .securing: "the DTLS handshake did not end in time"
        case .connected: "connected, but no packet was forwarded in time"
        case .failed(let reason): reason
        }
    }

    func fail(_ reason: String) {
        guard failure == nil, stage != .leaving, stage != .gone else {
            if stage == .leaving { stage = .gone }
            return
        }
        failure = reason
    }

    // MARK: Leaving

    func leave() {
        guard stage != .gone, stage != .leaving else { return }
        stage = signaling?.leave() == true ? .leaving : .gone
    }

    func abandon() { stage = .gone }

    // MARK: Views

    /// Tells the server anew how large the tiles are where other tracks are shown: the first one large, the others small.
    func updateView(at now: Int64) {
        guard hasView, stage == .joined, now >= nextView, let signaling else { return }
        nextView = now + 500_000_000
        guard let news = signaling.takeShown() else { return }
        shown.merge(news) { _, newest in newest }
        let mids = description.sections.filter { $0.codec != nil && $0.sends == nil }.map(\.mid)
        let tids = mids.compactMap { shown[$0] }
        guard !tids.isEmpty else { return }
        signaling.show(Self.tiles(tids))
    }

    static func tiles(_ tids: [String]) -> [Tile] {
        tids.enumerated().map { place, tid in
            place == 0 ? Tile(tid: tid, w: 1280, h: 720) : Tile(tid: tid, w: 320, h: 180)
        }
    }
}
