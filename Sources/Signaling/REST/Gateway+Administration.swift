// What the chat server does to rooms, in the gateway's words. Must not know HTTP, tokens or idempotency.
import Logging
import RTP
import Seam

/// What a change asks for before it is made; compared on the gateway's loop, so that nothing comes between.
enum Precondition: Sendable, Equatable {
    case none
    /// Entity tags, quoted; "*": it exists.
    case matches([String])
    /// It does not exist.
    case absent

    /// What the message of a failed one begins with.
    static let failure = "the entity tag"

    /// Throws `.conflict`: the HTTP side makes it a 412.
    func check(_ tag: String?) throws(GatewayError) {
        switch self {
        case .none: return
        case .absent: if tag == nil { return }
        case .matches(let tags): if let tag, tags.contains("*") || tags.contains(tag) { return }
        }
        throw GatewayError(.conflict, "\(Self.failure) is \(tag ?? "none") by now")
    }
}

extension RoomObject {
    /// Of the room's settings, as `rev` is here.
    var tag: String { "\"\(epoch).\(rev)\"" }
}

/// The gateway as the REST API sees it; see `Gateway` for what each throws.
protocol RoomAdministration: Sendable {
    func listRooms(after: String?, limit: Int) async -> RoomList
    func readRoom(_ room: String) async throws(GatewayError) -> RoomObject
    func putRoom(_ room: String, _ config: RoomConfig, _ condition: Precondition) async throws(GatewayError)
        -> (room: RoomObject, isNew: Bool)
    func endRoom(_ room: String, reason: String?, _ condition: Precondition) async throws(GatewayError)
    func listParticipants(_ room: String, _ query: RosterQuery) async throws(GatewayError) -> RosterPage
    func readParticipant(_ room: String, _ pid: String) async throws(GatewayError) -> ParticipantObject
    func patchParticipant(
        _ room: String,
        _ pid: String,
        _ patch: PatchParticipant,
        _ condition: Precondition
    ) async throws(GatewayError) -> ParticipantObject
    func removeParticipant(_ room: String, _ kick: Kick) async throws(GatewayError) -> Removal
    func listUsers(_ room: String) async throws(GatewayError) -> UserList
    func muteTrack(_ room: String, _ tid: String, _ body: MuteBody) async throws(GatewayError) -> TrackObject
    func subscribe(_ room: String, _ pid: String, _ update: UpdateSubscriptions) async throws(GatewayError)
        -> SubscriptionResults
    func sendData(_ room: String, _ data: SendData) async throws(GatewayError) -> DataReceipt
    func movable(_ room: String, _ body: MoveBody) async throws(GatewayError) -> [ParticipantID: Claims]
    func move(_ room: String, _ tokens: [ParticipantID: String], _ body: MoveBody) async throws(GatewayError)
        -> MoveResult
    func listBans(_ room: String) async -> BanPage
    func liftBan(_ room: String, user: String) async throws(GatewayError)
    func drain(_ body: DrainBody) async -> DrainResult
    var isDrained: Bool { get async }
}

extension Gateway: RoomAdministration {
    private func known(_ room: String) throws(GatewayError) -> Room {
        guard let room = rooms[RoomID(room)] else { throw GatewayError(.notFound, "there is no such room") }
        return room
    }

    private func settings(of room: Room) -> RoomObject {
        RoomObject(room.state, revision: room.state.settingsRevision)
    }

    // MARK: Rooms

    func listRooms(after: String?, limit: Int) -> RoomList {
        let ids = rooms.keys.map(\.rawValue).filter { after == nil || $0 > after ?? "" }.sorted()
        let page = ids.prefix(limit).compactMap { rooms[RoomID($0)] }.map { room in
            RoomSummary(
                room: settings(of: room),
                participants: room.state.visible.count,
                users: room.state.users.count,
                waiting: room.members.values.count(where: \.isWaiting),
                tracks: room.state.participants.values.reduce(0) { sum, participant in
                    sum + participant.publications.count { $0.mid != nil }
                }
            )
        }
        return RoomList(rooms: page, next: ids.count > limit ? page.last?.room.id : nil)
    }

    func readRoom(_ room: String) throws(GatewayError) -> RoomObject { settings(of: try known(room)) }

    /// Makes the room or replaces its settings, and keeps it while it is empty.
    func putRoom(_ name: String, _ config: RoomConfig, _ condition: Precondition) throws(GatewayError)
        -> (room: RoomObject, isNew: Bool)
    {
        let now = clock()
        let id = RoomID(name)
        let existing = rooms[id]
        try condition.check(existing.map { settings(of: $0).tag })
        let wanted = try RoomSettings(config)
        guard let existing else {
            guard !isDraining, !admitsNobody else {
                throw GatewayError(.overloaded, "the server will restart soon", retryAfterMs: 5000)
            }
            guard rooms.count < configuration.maximumRooms else {
                throw GatewayError(.full, "the server has as many rooms as it may", retryAfterMs: 30_000)
            }
            let room = try makeRoom(id, config)
            room.isKept = true
            room.emptySince = now
            rooms[id] = room
            return (settings(of: room), true)
        }
        existing.isKept = true
        _ = try setRoom(existing, by: .server, at: now) { settings throws(GatewayError) in
            let spotlight = settings.spotlight
            settings = wanted
            settings.spotlight = spotlight
        }
        flush(at: now)
        return (settings(of: existing), false)
    }

    /// Everybody is told `bye` (4101).
    func endRoom(_ name: String, reason: String?, _ condition: Precondition) throws(GatewayError) {
        let now = clock()
        let room = try known(name)
        try condition.check(settings(of: room).tag)
        try Checked.text(reason, "reason")
        room.isKept = false
        for member in Array(room.members.values) {
            expel(member, .roomClosed, reason ?? "the room was closed", .closed, at: now)
        }
        rooms[room.id] = nil
        flush(at: now)
    }

    // MARK: Participants

    func listParticipants(_ room: String, _ query: RosterQuery) throws(GatewayError) -> RosterPage {
        try rosterPage(query, of: try known(room))
    }

    func readParticipant(_ room: String, _ pid: String) throws(GatewayError) -> ParticipantObject {
        guard let participant = try known(room).state.participants[ParticipantID(pid)] else {
            throw GatewayError(.notFound, "no such participant")
        }
        return participant.object()
    }

    func patchParticipant(
        _ name: String,
        _ pid: String,
        _ patch: PatchParticipant,
        _ condition: Precondition
    ) throws(GatewayError) -> ParticipantObject {
        let now = clock()
        let room = try known(name)
        let member = try member(pid, in: room)
        try condition.check(room.state.participants[member.id]?.object().tag)
        defer { flush(at: now) }
        if let admit = patch.admit {
            _ = try self.admit(Admit(pid: pid, admit: admit), in: room, by: .server, at: now)
        }
        if patch.name != nil || patch.attrs != nil {
            let update = UpdateMe(name: patch.name, attrs: patch.attrs)
            _ = try updateProfile(update, of: member, byOwner: false, at: now)
        }
        if patch.role != nil || patch.grants != nil {
            let change = ChangeRole(pid: pid, role: patch.role, grants: patch.grants)
            _ = try changeRole(change, in: room, by: .server, at: now)
        }
        if let hand = patch.hand { _ = try raiseHand(hand, of: member, byOwner: false, at: now) }
        guard let participant = room.state.participants[member.id] else {
            throw GatewayError(.notFound, patch.admit == false ? "turned away" : "it waits to be admitted")
        }
        return participant.object()
    }

    func removeParticipant(_ room: String, _ kick: Kick) throws(GatewayError) -> Removal {
        let now = clock()
        defer { flush(at: now) }
        return try self.kick(kick, in: try known(room), by: .server, at: now)
    }

    func listUsers(_ name: String) throws(GatewayError) -> UserList {
        let room = try known(name)
        let users = Dictionary(grouping: room.state.visible) { $0.user }.map { user, participants in
            UserObject(
                uid: user.rawValue,
                name: participants.lazy.compactMap(\.name).first,
                conn: participants.map(\.connection).min { $0.rank < $1.rank } ?? .reconnecting,
                devices: participants.map { participant in
                    UserObject.Device(
                        pid: participant.id.rawValue,
                        did: participant.device,
                        kind: participant.kind,
                        conn: participant.connection,
                        since: participant.joinedAt
                    )
                }
            )
        }
        return UserList(users: users.sorted { $0.uid < $1.uid }, rev: room.state.revision)
    }

    func muteTrack(_ name: String, _ tid: String, _ body: MuteBody) throws(GatewayError) -> TrackObject {
        let now = clock()
        let room = try known(name)
        defer { flush(at: now) }
        if body.muted {
            let mute = ForceMute(tid: tid, lockMuted: body.lockMuted)
            _ = try forceMute(mute, in: room, by: .server, at: now)
        } else {
            _ = try askToUnmute(AskToUnmute(tid: tid), in: room, by: .server, at: now)
        }
        guard let track = track(PublicationID(tid), in: room) else {
            throw GatewayError(.notFound, "no such track")
        }
        return track
    }

    func subscribe(_ room: String, _ pid: String, _ update: UpdateSubscriptions) throws(GatewayError)
        -> SubscriptionResults
    {
        let now = clock()
        defer { flush(at: now) }
        let member = try member(pid, in: try known(room))
        let results = try self.update(update, of: member)
        refreshWishes(of: member, at: now)
        return results
    }

    func sendData(_ room: String, _ data: SendData) throws(GatewayError) -> DataReceipt {
        let now = clock()
        defer { flush(at: now) }
        return try relay(
            data,
            from: .server,
            isReliable: data.reliable ?? true,
            in: try known(room),
            at: now
        )
    }

    // MARK: Moving

    /// What the other room's tokens are to say, by participant.
    func movable(_ name: String, _ body: MoveBody) throws(GatewayError) -> [ParticipantID: Claims] {
        let room = try known(name)
        try Checked.name(body.to, "to")
        try Checked.text(body.reason, "reason")
        guard body.to != name else { throw GatewayError(.badRequest, "they are in that room") }
        let pids = body.pids.map { Set($0.map { ParticipantID($0) }) }
        let uids = body.uids.map { Set($0.map { UserID($0) }) }
        var movable: [ParticipantID: Claims] = [:]
        for member in room.members.values where member.front == .socket && !member.isWaiting {
            let isNamed =
                (pids?.contains(member.id) ?? false) || (uids?.contains(member.claims.user) ?? false)
                || (pids == nil && uids == nil)
            guard isNamed else { continue }
            var claims = member.claims
            claims.room = body.to
            claims.waits = false
            claims.roomConfig = nil
            movable[member.id] = claims
        }
        return movable
    }

    /// Asks them to go, each with its token; who is still here after `Limits.Rooms.moveTimeout` is put out.
    func move(_ name: String, _ tokens: [ParticipantID: String], _ body: MoveBody) throws(GatewayError)
        -> MoveResult
    {
        let now = clock()
        let room = try known(name)
        var moved: [String] = []
        for (id, token) in tokens {
            guard let member = room.members[id] else { continue }
            let move = RoomMove(room: body.to, token: token, reason: body.reason)
            member.conduct.move = (move, now + Limits.Rooms.moveTimeout)
            queueCritical(member, .roomMove, move, at: now)
            moved.append(id.rawValue)
        }
        flush(at: now)
        return MoveResult(moved: moved.sorted())
    }

    // MARK: Bans and the server

    func listBans(_ room: String) -> BanPage {
        let now = clock()
        return BanPage(
            bans: bans.bans(in: RoomID(room), at: now).map {
                BanObject(uid: $0.user.rawValue, endsInMs: ($0.until - now).milliseconds)
            }
        )
    }

    func liftBan(_ room: String, user: String) throws(GatewayError) {
        guard bans.lift(UserID(user), from: RoomID(room)) else {
            throw GatewayError(.notFound, "this user is not banned from the room")
        }
        rooms[RoomID(room)]?.state.noteRecord()
    }

    var isDrained: Bool { admitsNobody }

    /// Nobody new comes in; who is in stays, or is told to connect again.
    func drain(_ body: DrainBody) -> DrainResult {
        admitsNobody = body.on ?? true
        let open = connections.count
        if admitsNobody, let spread = body.spreadMs {
            let now = clock()
            for connection in Array(connections.values) {
                let member: Member? = if case .member(let member) = connection.state { member } else { nil }
                close(
                    connection,
                    .drain,
                    "the server will restart soon",
                    spreadMs: max(0, min(spread, 600_000))
                )
                if let member { detach(member, at: now) }
            }
            flush(at: now)
        }
        logger.notice(admitsNobody ? "draining" : "not draining any more")
        return DrainResult(
            draining: admitsNobody,
            connections: open,
            participants: rooms.values.reduce(0) { $0 + $1.state.participants.count }
        )
    }
}

extension ParticipantObject {
    var tag: String { "\"\(rev)\"" }
}

extension ConnectionState {
    /// The best first.
    fileprivate var rank: Int {
        switch self {
        case .active: 0
        case .signalOnly: 1
        case .mediaOnly: 2
        case .reconnecting: 3
        }
    }
}
