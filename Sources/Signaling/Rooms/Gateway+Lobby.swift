// Who may come in at once, who waits, and how the waiting ends. Must not know sockets' texts.
import Logging
import RTP
import Seam

extension Gateway {
    // MARK: At the door

    /// Throws `.forbidden` (4104) where the user is banned.
    func checkBan(_ user: UserID, _ room: RoomID, at now: Instant) throws(GatewayError) {
        guard let until = bans.end(of: user, in: room, at: now) else { return }
        let seconds = max(1, (until - now).milliseconds / 1000)
        throw GatewayError(.forbidden, "banned from this room for another \(seconds) s", close: .banned)
    }

    /// nil: the bearer comes in. Throws `.locked` where it may not even wait.
    ///
    /// Moderators, and users who are in the room or were admitted before, need not wait.
    func waiting(of claims: Claims, front: Member.Front, in room: Room?) throws(GatewayError)
        -> MemberConduct.Waiting?
    {
        guard !claims.grants.moderate else { return nil }
        let isKnown =
            room.map { room in
                room.state.users[claims.user] != nil || room.admitted.contains(claims.user)
            } ?? false
        guard !isKnown else { return nil }
        let settings = room?.state.settings
        let isLocked = settings?.locked ?? claims.roomConfig?.locked ?? false
        guard claims.waits || isLocked else { return nil }
        guard claims.waits || (settings?.lobby ?? claims.roomConfig?.lobby ?? false) else {
            throw GatewayError(.locked, "the room is locked")
        }
        guard front == .socket else {
            throw GatewayError(.locked, "a moderator has to admit this user first, from a socket")
        }
        guard let room else { return claims.waits ? .byToken : .byLock }
        guard room.members.values.count(where: \.isWaiting) < Limits.Rooms.waiting else {
            throw GatewayError(.full, "too many wait to be admitted", retryAfterMs: 10_000)
        }
        return claims.waits ? .byToken : .byLock
    }

    /// It is in the room, for everybody to see.
    func appear(_ member: Member, at now: Instant) {
        let room = member.room
        member.conduct.relayAtJoin = room.relay.lastSequence
        guard !member.isViewer else { return }
        if room.admitted.count < Limits.Rooms.admitted { room.admitted.insert(member.claims.user) }
        room.state.join(
            Participant(member, order: 0, at: now),
            at: now
        )
    }

    // MARK: Waiting

    func wait(_ member: Member, at now: Instant) {
        member.conduct.waitingSince = wallClock()
        let event = LobbyWaiting(waiting: member.waitingObject)
        tellCritical(member.room, .lobbyWaiting, event, at: now) { $0.moderates }
    }

    /// It goes while it waits.
    func leaveLobby(_ member: Member, at now: Instant) {
        guard member.isWaiting else { return }
        tellResolved(member, .lobbyLeft, by: .server, at: now)
    }

    func admit(_ admit: Admit, in room: Room, by moderator: Moderator, at now: Instant)
        throws(GatewayError) -> Admission
    {
        let id = ParticipantID(admit.pid)
        guard let member = room.members[id] else {
            throw GatewayError(.notFound, "nobody waits by that name")
        }
        guard member.isWaiting else {
            guard admit.admit else {
                throw GatewayError(.conflict, "was admitted already; use mod.kick to put it out")
            }
            return admission(of: member)
        }
        guard !admit.admit else {
            letIn(member, by: moderator, at: now)
            return admission(of: member)
        }
        tellResolved(member, .lobbyDenied, by: moderator, at: now)
        queueCritical(
            member,
            .lobbyDenied,
            LobbyResolved(pid: member.id.rawValue, uid: member.claims.user.rawValue, by: moderator.by),
            at: now
        )
        member.conduct.waiting = nil
        expel(member, .kicked, "not admitted", .kicked, at: now)
        return Admission(pid: admit.pid, admitted: false, participant: nil, rev: room.state.revision)
    }

    private func admission(of member: Member) -> Admission {
        let participant = member.room.state.participants[member.id]
        return Admission(
            pid: member.id.rawValue,
            admitted: true,
            participant: participant.flatMap { $0.isHidden ? nil : $0.object() },
            rev: member.room.state.revision
        )
    }

    func letIn(_ member: Member, by moderator: Moderator, at now: Instant) {
        guard member.isWaiting else { return }
        let room = member.room
        tellResolved(member, .lobbyAdmitted, by: moderator, at: now)
        member.conduct.waiting = nil
        appear(member, at: now)
        noteEntered(member)
        noteJoined(member)
        member.conduct.admittedRevision = room.state.revision
        let event = LobbyResolved(pid: member.id.rawValue, uid: member.claims.user.rawValue, by: moderator.by)
        // Without the room's revision: the client knows nothing of the room before the snapshot that follows.
        if member.isLive, let body = EventBody(.lobbyAdmitted, timestamp: wallClock(), event) {
            member.session.queue(critical: body, at: now)
            queueSnapshot(member, at: now)
        }
        member.logger.info("admitted", metadata: ["by": "\(moderator.name)"])
    }

    private func tellResolved(
        _ member: Member,
        _ type: ServerMessage,
        by moderator: Moderator,
        at now: Instant
    ) {
        let event = LobbyResolved(
            pid: member.id.rawValue,
            uid: member.claims.user.rawValue,
            by: moderator.by
        )
        tellCritical(member.room, type, event, at: now) {
            $0.moderates && $0 !== member && $0.id != moderator.participant
        }
    }

    /// To somebody who may admit from now on.
    func tellLobby(to member: Member, at now: Instant) {
        for waiting in lobby(of: member.room) {
            queueCritical(member, .lobbyWaiting, LobbyWaiting(waiting: waiting), at: now)
        }
    }

    /// The longest waiting first.
    func lobby(of room: Room) -> [WaitingObject] {
        room.members.values.filter(\.isWaiting).map(\.waitingObject)
            .sorted { ($0.since, $0.pid) < ($1.since, $1.pid) }
    }

    // MARK: Standing

    /// What a snapshot or a delta says to `member` beside participants and slots.
    func standing(of member: Member) -> Standing {
        let unmute = member.conduct.unmuteRequests.values.sorted { $0.source.rawValue < $1.source.rawValue }
        return Standing(
            room: RoomObject(member.room.state),
            me: member.permissions,
            waiting: member.isWaiting ? true : nil,
            lobby: member.moderates ? lobby(of: member.room) : nil,
            unmute: unmute.isEmpty ? nil : unmute,
            move: member.conduct.move?.move
        )
    }
}

extension Member {
    fileprivate var waitingObject: WaitingObject {
        WaitingObject(
            pid: id.rawValue,
            uid: claims.user.rawValue,
            name: claims.name,
            since: conduct.waitingSince
        )
    }
}
