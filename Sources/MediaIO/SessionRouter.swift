// Which worker a command belongs to. A room's sessions live together until they are too many for one worker; a new room
// goes to the worker with the fewest seats. It knows ids only, no media.
import RTP
import Seam

final class SessionRouter: Sendable {
    struct Placement: Equatable {
        var worker: Int
        var room: RoomID
        var publications: [PublicationID] = []
        /// Opens that were not answered yet, and those that were and did not end: an id may be opened anew before
        /// the news of its end arrives.
        var pending = 1
        var live = 0
    }

    /// Seats of one room, by worker; the first one is where it began.
    private struct RoomPlace {
        var hosts: [(worker: Int, seats: Int)] = []

        func seats(on worker: Int) -> Int { hosts.first { $0.worker == worker }?.seats ?? 0 }

        mutating func add(_ change: Int, to worker: Int) {
            if let i = hosts.firstIndex(where: { $0.worker == worker }) {
                hosts[i].seats += change
                if hosts[i].seats <= 0 { hosts.remove(at: i) }
            } else if change > 0 {
                hosts.append((worker, change))
            }
        }
    }

    private struct State {
        var sessions: [SessionID: Placement] = [:]
        var rooms: [RoomID: RoomPlace] = [:]
        var publications: [PublicationID: SessionID] = [:]
        var seats: [Int]
    }

    private let state: Lock<State>
    private let roomSeatsPerWorker: Int

    init(workers: Int, roomSeatsPerWorker: Int = Limits.MediaIO.roomSeatsPerWorker) {
        self.roomSeatsPerWorker = max(1, roomSeatsPerWorker)
        state = Lock(State(seats: Array(repeating: 0, count: workers)))
    }

    /// The worker for a session that is to be opened. An id that exists stays where it is, and that worker refuses
    /// the double.
    /// - Parameter post: tells the worker, and which others have sessions of this room. Called before anybody else is
    ///   placed: whoever is named there hears of its own sessions first.
    func place<Result>(_ open: OpenSession, _ post: (_ worker: Int, _ sharing: [Int]) -> Result) -> Result {
        state.withLock { state in
            if let placed = state.sessions[open.session] {
                state.sessions[open.session]?.pending += 1
                return post(placed.worker, [])
            }
            let worker = worker(for: open.room, in: state)
            state.sessions[open.session] = Placement(worker: worker, room: open.room)
            state.rooms[open.room, default: RoomPlace()].add(1, to: worker)
            state.seats[worker] += 1
            let hosts = state.rooms[open.room]?.hosts ?? []
            return post(worker, hosts.map(\.worker).filter { $0 != worker })
        }
    }

    /// Room affinity first: the room's first worker with a free seat. A room that has none is spread evenly over all
    /// workers, by its seats and not by what they do at the moment.
    private func worker(for room: RoomID, in state: State) -> Int {
        let place = state.rooms[room] ?? RoomPlace()
        if let host = place.hosts.first(where: { $0.seats < roomSeatsPerWorker }) { return host.worker }
        return state.seats.indices.min { a, b in
            (place.seats(on: a), state.seats[a]) < (place.seats(on: b), state.seats[b])
        } ?? 0
    }

    func worker(of session: SessionID) -> Int? {
        state.withLock { $0.sessions[session]?.worker }
    }

    func worker(of publication: PublicationID) -> Int? {
        state.withLock { state in
            state.publications[publication].flatMap { state.sessions[$0]?.worker }
        }
    }

    /// Remembers which publications a session has, for commands that name only the publication.
    func configure(_ session: SessionID, _ media: SessionMedia) -> Int? {
        state.withLock { state in
            guard var placement = state.sessions[session] else { return nil }
            for old in placement.publications where state.publications[old] == session {
                state.publications[old] = nil
            }
            placement.publications = media.sections.compactMap(\.publication)
            for new in placement.publications { state.publications[new] = session }
            state.sessions[session] = placement
            return placement.worker
        }
    }

    /// An open that did not come to be.
    func takeBack(_ session: SessionID) {
        state.withLock { state in
            // A refusal without a pending open answers something else, like a restart; the session lives on.
            guard var placement = state.sessions[session], placement.pending > 0 else { return }
            placement.pending -= 1
            SessionRouter.store(placement, of: session, in: &state)
        }
    }

    private func opened(_ session: SessionID) {
        state.withLock { state in
            guard var placement = state.sessions[session], placement.pending > 0 else { return }
            placement.pending -= 1
            placement.live += 1
            state.sessions[session] = placement
        }
    }

    private func closed(_ session: SessionID) {
        state.withLock { state in
            guard var placement = state.sessions[session], placement.live > 0 else { return }
            placement.live -= 1
            SessionRouter.store(placement, of: session, in: &state)
        }
    }

    private static func store(_ placement: Placement, of session: SessionID, in state: inout State) {
        guard placement.pending + placement.live == 0 else {
            state.sessions[session] = placement
            return
        }
        state.sessions[session] = nil
        for publication in placement.publications where state.publications[publication] == session {
            state.publications[publication] = nil
        }
        state.seats[placement.worker] -= 1
        guard var room = state.rooms[placement.room] else { return }
        room.add(-1, to: placement.worker)
        state.rooms[placement.room] = room.hosts.isEmpty ? nil : room
    }

    /// Learns from what a worker reports.
    func note(_ event: Event) {
        switch event {
        case .sessionOpened(let session, _): opened(session)
        case .sessionRefused(let session, _): takeBack(session)
        case .sessionClosed(let session, _): closed(session)
        default: break
        }
    }

    func sessions(on worker: Int) -> [SessionID] {
        state.withLock { state in state.sessions.filter { $0.value.worker == worker }.map(\.key) }
    }

    func seats(on worker: Int) -> Int {
        state.withLock { $0.seats[worker] }
    }
}
