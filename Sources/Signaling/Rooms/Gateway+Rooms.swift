// Who enters and leaves a room, under which limits, and what that does to the others.
// Must not know sockets' texts or how media is negotiated.
import Logging
import RTP
import SDP
import Seam

extension Gateway {
    /// Makes a member, and the room if this is the first one. Replaces what the token or the device says to replace.
    func enter(
        room name: String,
        claims: Claims,
        front: Member.Front,
        connection: Connection? = nil,
        device: String? = nil,
        kind: String,
        returning ticket: ResumeTicket? = nil,
        at now: Instant
    ) throws(GatewayError) -> Member {
        guard !isDraining else {
            throw GatewayError(.overloaded, "the server is restarting", retryAfterMs: 1000)
        }
        guard !admitsNobody || ticket != nil else {
            throw GatewayError(.overloaded, "the server will restart soon", retryAfterMs: 5000)
        }
        guard !isCrowded else {
            throw GatewayError(.overloaded, "the server is short of memory", retryAfterMs: 5000)
        }
        try Checked.name(name, "room")
        guard !name.isEmpty else { throw GatewayError(.badRequest, "the room has no name") }
        guard claims.room == name else { throw GatewayError(.forbidden, "the token is for another room") }
        let id = RoomID(name)
        try checkBan(claims.user, id, at: now)
        let device = claims.device ?? device
        let existing = rooms[id]
        guard existing != nil || rooms.count < configuration.maximumRooms else {
            throw GatewayError(.full, "the server has as many rooms as it may", retryAfterMs: 30_000)
        }
        let replaced = existing.map { replacedBy(claims, front: front, device: device, in: $0) } ?? []
        if let existing {
            if claims.duplicates == .reject, front == .socket,
                existing.members.values.contains(where: { other in
                    other.claims.user == claims.user && other.front == .socket
                        && !replaced.contains { $0 === other }
                })
            {
                throw GatewayError(.conflict, "this user is in the room already")
            }
            let most = min(
                configuration.maximumParticipantsPerRoom,
                existing.state.settings.maxParticipants ?? .max
            )
            guard existing.members.count - replaced.count < most else {
                throw GatewayError(.full, "the room is full", retryAfterMs: 10_000)
            }
        }
        let waiting = try waiting(of: claims, front: front, in: existing)
        let room: Room
        if let existing { room = existing } else { room = try makeRoom(id, claims.roomConfig) }
        rooms[id] = room
        room.emptySince = nil
        let member = makeMember(room, claims, front, device: device, kind: kind, returning: ticket, at: now)
        member.connection = connection
        take(.join, member)
        member.conduct.waiting = waiting
        room.members[member.id] = member
        if front == .socket { sessions[member.sid] = member }
        if member.isWaiting {
            wait(member, at: now)
        } else {
            appear(member, at: now)
            noteEntered(member, replacing: replaced)
        }
        for other in replaced { replace(other, at: now) }
        noteEntered(member, at: now)
        statistics.joins += 1
        return member
    }

    /// Not among the rooms yet.
    func makeRoom(_ id: RoomID, _ config: RoomConfig?) throws(GatewayError) -> Room {
        var state = RoomState(id: id, epoch: Self.makeName("r_"))
        if let config { _ = state.set(try RoomSettings(config)) }
        return Room(state)
    }

    func makeMember(
        _ room: Room,
        _ claims: Claims,
        _ front: Member.Front,
        device: String?,
        kind: String,
        returning ticket: ResumeTicket?,
        at now: Instant
    ) -> Member {
        let sid = SessionID(Self.makeName("se_", isSecret: true))
        // Whoever comes back is who it was, unless somebody has taken its name in the meantime.
        let known = ticket?.participant
        let isFree = known.map { room.state.participants[$0] == nil && room.members[$0] == nil } ?? false
        let stay = min(claims.maxSession, Limits.Signaling.longestMaxSession)
        return Member(
            id: isFree ? known ?? ParticipantID(Self.makeName("pa_")) : ParticipantID(Self.makeName("pa_")),
            sid: sid,
            room: room,
            claims: claims,
            front: front,
            device: device,
            kind: kind,
            joinedAt: now,
            joinedAtWall: ticket?.joinedAt ?? wallClock(),
            leavesAt: ticket.map { now + until($0.expiresAt) } ?? now + stay,
            criticalEvents: configuration.criticalEvents,
            logger: logger
        )
    }

    /// From now to a wall time in milliseconds.
    func until(_ wall: UInt64) -> Interval {
        .milliseconds(Int64(clamping: wall) &- Int64(clamping: wallClock()))
    }

    /// The same device, the user's other sockets if the token wants that, and the WHIP session that this one follows.
    private func replacedBy(_ claims: Claims, front: Member.Front, device: String?, in room: Room) -> [Member]
    {
        room.members.values.filter { other in
            guard other.claims.user == claims.user else { return false }
            switch (front, other.front) {
            case (.socket, .socket):
                return claims.duplicates == .replace || (device != nil && device == other.device)
            case (.whip, .whip):
                return true
            default:
                return false
            }
        }
    }

    private func replace(_ member: Member, at now: Instant) {
        if let connection = member.connection {
            close(connection, .replaced, "the same user joined again from here")
        }
        remove(member, reason: .replaced, at: now)
    }

    /// Takes a member out of its room: publications, media session, roster. Its socket, if it has one, is the caller's.
    func remove(_ member: Member, reason: LeaveReason, at now: Instant) {
        let room = member.room
        guard room.members.removeValue(forKey: member.id) != nil else { return }
        member.isLive = false
        take(.end, member)
        detached[member.id] = nil
        sessions[member.sid] = nil
        for former in member.formerSessions { sessions[former] = nil }
        statistics.count(shedBy: member.session)
        account(member)
        if let link = member.link {
            endLink(member, GatewayError(.notFound, "the session has ended"))
            order(.close(link.session))
        }
        leaveLobby(member, at: now)
        let left = room.state.leave(member.id, reason: reason, at: now)
        if let left {
            for other in room.members.values { other.wishing.forget(left) }
            forgetSpotlight(of: left.id, in: room, at: now)
        }
        if !member.isWaiting { noteLeft(member, reason: reason) }
        endTraces(of: member, reason, at: now)
        archive(member, reason, at: now)
        member.logger.info("left", metadata: ["pid": "\(member.id)", "reason": "\(reason.rawValue)"])
        guard room.members.isEmpty else { return }
        room.emptySince = now
        if !room.isKept { rooms[room.id] = nil }
    }

    /// Tells the others where it changed.
    func refreshConnectionState(of member: Member, at now: Instant) {
        let connection = member.connectionState(at: now)
        let room = member.room
        guard room.state.setConnection(connection, of: member.id),
            room.state.participants[member.id]?.isHidden == false
        else { return }
        tellState(
            room,
            .conn,
            key: member.id.rawValue,
            ConnectionChange(pid: member.id.rawValue, conn: connection),
            at: now
        )
    }

    // MARK: What members receive

    func refreshWishes(in room: Room, at now: Instant) {
        for member in room.members.values {
            refreshWishes(of: member, at: now)
            askForSlots(member, at: now)
        }
    }

    /// Orders what changed since the last time, once there is a session to order it for.
    func refreshWishes(of member: Member, at now: Instant) {
        guard let link = member.link, !link.isNew else { return }
        let wishes = wishes(of: member)
        guard wishes != member.sentWishes else { return }
        if order(.subscribe(link.session, wishes)) { member.sentWishes = wishes }
    }

    private func wishes(of member: Member) -> Wishes {
        guard member.claims.grants.subscribe else { return Wishes(scope: .none) }
        switch member.front {
        case .whip: return Wishes(scope: .none)
        case .whep(of: nil): return Wishes(scope: .all)
        case .whep(of: .some(let user)):
            return Wishes(scope: publisher(user, in: member.room).map { .participant($0.id) } ?? .none)
        case .socket: return member.wishing.wishes(in: member.room.state)
        }
    }

    /// The user's participant that publishes, the newest if there are several.
    func publisher(_ user: UserID, in room: Room) -> Participant? {
        (room.state.users[user] ?? []).compactMap { room.state.participants[$0] }
            .filter { participant in participant.publications.contains { $0.mid != nil } }
            .max { $0.order < $1.order }
    }

    /// Asks for more receive sections where more video is to be shown than the last offer has room for.
    func askForSlots(_ member: Member, at now: Instant) {
        guard member.isLive, member.front == .socket, member.claims.grants.subscribe, let link = member.link,
            link.isIdle
        else { return }
        let wanted = min(videosToShow(to: member), Limits.Signaling.videoSlots)
        let slots = link.slotCount(.video)
        guard slots > 0, wanted > slots, wanted > member.askedSlots else { return }
        let steps = (wanted + 3) / 4 * 4
        member.askedSlots = min(steps, Limits.Signaling.videoSlots)
        queueCritical(
            member,
            .need,
            SlotsNeeded(audio: link.slotCount(.audio), video: member.askedSlots, reason: .publications),
            at: now
        )
    }

    private func videosToShow(to member: Member) -> Int {
        let state = member.room.state
        let wishes = member.sentWishes ?? wishes(of: member)
        let own = member.claims.grants.receivesOwnUser ? 0 : state.videos(of: member.claims.user)
        var count = wishes.scope == .all ? state.videos - own : 0
        for (id, isOn) in wishes.overrides {
            guard let (owner, publication) = state.publication(id), publication.isVisibleVideo,
                own == 0 || owner.user != member.claims.user
            else { continue }
            count += isOn ? 1 : -1
        }
        return min(count, member.wishing.visibleTiles ?? count)
    }
}

extension Member {
    /// Receives only, and nobody sees it.
    var isViewer: Bool {
        if case .whep = front { true } else { false }
    }
}
