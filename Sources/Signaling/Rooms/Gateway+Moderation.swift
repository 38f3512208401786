// What moderators do to others: mute, ask to unmute, put out, give and take rights, stop screens. The same functions
// serve requests of members and of the chat server. Must not know who may ask, nor how the outcome travels back.
import Logging
import RTP
import Seam

/// Who does it: a participant, or the server's own API.
struct Moderator: Sendable, Equatable {
    var participant: ParticipantID?

    static let server = Moderator(participant: nil)

    /// As objects name it.
    var name: String { participant?.rawValue ?? "server" }
    /// As events name it; nil: the server.
    var by: String? { participant?.rawValue }
}

extension Gateway {
    // MARK: Who

    func member(_ pid: String, in room: Room) throws(GatewayError) -> Member {
        guard let member = room.members[ParticipantID(pid)], !member.isViewer else {
            throw GatewayError(.notFound, "no such participant")
        }
        return member
    }

    /// A critical event to those members of a room who hear, and of whom `isFor` is true.
    func tellCritical(
        _ room: Room,
        _ type: ServerMessage,
        _ payload: some Encodable,
        at now: Instant,
        to isFor: (Member) -> Bool = { _ in true }
    ) {
        guard let body = EventBody(type, revision: room.state.revision, timestamp: wallClock(), payload)
        else { return }
        for member in room.members.values where member.hears && isFor(member) {
            member.session.queue(critical: body, at: now)
            markDirty(member)
        }
    }

    // MARK: Muting

    /// Mutes what `which` names; the tracks as they are now. With `lockMuted` later tracks of the same source are
    /// muted, too.
    func forceMute(_ which: ForceMute, in room: Room, by moderator: Moderator, at now: Instant)
        throws(GatewayError) -> [TrackObject]
    {
        var tracks: [TrackObject] = []
        for (owner, source, publication) in try targets(of: which, in: room, by: moderator) {
            if let locked = which.lockMuted, !room.state.lockMuted(owner.claims.user, source, locked) {
                throw GatewayError(.full, "too many users of this room are muted for good")
            }
            guard let publication else { continue }
            if let changed = room.state.forceMute(publication, by: moderator.name, locked: which.lockMuted) {
                if changed.mid != nil { order(.mute(changed.id, true)) }
                tellForceMuted(changed, of: owner, by: moderator, at: now)
            }
            if let object = track(publication, in: room) { tracks.append(object) }
        }
        return tracks
    }

    private typealias MuteTarget = (owner: Member, source: Source, publication: PublicationID?)

    /// With nothing published from a source that is named, the source itself.
    private func targets(of which: ForceMute, in room: Room, by moderator: Moderator) throws(GatewayError)
        -> [MuteTarget]
    {
        if let tid = which.tid {
            let id = PublicationID(tid)
            guard let (owner, publication) = room.state.publication(id), let member = room.members[owner.id]
            else { throw GatewayError(.notFound, "no such track") }
            return [(member, publication.source, id)]
        }
        if let pid = which.pid {
            let member = try member(pid, in: room)
            let own = published(by: member, which.source)
            if own.isEmpty, let source = which.source { return [(member, source, nil)] }
            return own.map { (member, $0.source, $0.id) }
        }
        guard which.all == true else { throw GatewayError(.badRequest, "tid, pid or all is missing") }
        let source = which.source ?? .mic
        var targets: [MuteTarget] = []
        for member in room.members.values
        where member.id != moderator.participant && !member.isViewer && !member.claims.grants.moderate {
            let own = published(by: member, source)
            if own.isEmpty, which.lockMuted != nil { targets.append((member, source, nil)) }
            targets += own.map { (member, $0.source, $0.id) }
        }
        return targets.sorted { $0.owner.id.rawValue < $1.owner.id.rawValue }
    }

    private func published(by member: Member, _ source: Source?) -> [Publication] {
        let all = member.room.state.participants[member.id]?.publications ?? []
        return all.filter { source == nil || $0.source == source }
    }

    func track(_ id: PublicationID, in room: Room) -> TrackObject? {
        room.state.publication(id).map { $0.owner.track($0.publication, for: nil) }
    }

    private func tellForceMuted(
        _ publication: Publication,
        of owner: Member,
        by moderator: Moderator,
        at now: Instant
    ) {
        queueCritical(
            owner,
            .forceMuted,
            ForceMuted(
                tid: publication.id.rawValue,
                pid: owner.id.rawValue,
                source: publication.source,
                muted: publication.muted,
                locked: publication.locked,
                by: moderator.by,
                rev: publication.revision
            ),
            at: now
        )
        guard publication.mid != nil else { return }
        let event = TrackMuted(
            tid: publication.id.rawValue,
            pid: owner.id.rawValue,
            muted: publication.muted,
            by: publication.mutedBy,
            locked: publication.locked ? true : nil,
            rev: publication.revision,
            origin: nil
        )
        let doer = moderator.participant.flatMap { owner.room.members[$0] }
        tellState(owner.room, .muted, key: publication.id.rawValue, event, except: doer, at: now)
    }

    /// Nobody is unmuted by others: it is asked, and may from now on.
    func askToUnmute(_ which: AskToUnmute, in room: Room, by moderator: Moderator, at now: Instant)
        throws(GatewayError) -> UnmuteRequest
    {
        let owner: Member
        let source: Source
        if let tid = which.tid {
            guard let (participant, publication) = room.state.publication(PublicationID(tid)),
                let member = room.members[participant.id]
            else { throw GatewayError(.notFound, "no such track") }
            owner = member
            source = publication.source
        } else if let pid = which.pid {
            owner = try member(pid, in: room)
            source = which.source ?? .mic
        } else {
            throw GatewayError(.badRequest, "tid or pid is missing")
        }
        guard owner.claims.grants.publish.contains(source) else {
            throw GatewayError(.conflict, "this participant may not publish \(source.rawValue)")
        }
        _ = room.state.lockMuted(owner.claims.user, source, false)
        let publication = published(by: owner, source).first
        if let publication, let changed = room.state.unlockMuted(publication.id) {
            tellForceMuted(changed, of: owner, by: moderator, at: now)
        }
        let request = UnmuteRequest(
            pid: owner.id.rawValue,
            source: source,
            tid: publication?.id.rawValue,
            by: moderator.by,
            rev: room.state.revision
        )
        // Who is not muted has answered already.
        guard publication?.muted != false else { return request }
        owner.conduct.unmuteRequests[source] = request
        queueCritical(owner, .askedToUnmute, request, at: now)
        return request
    }

    // MARK: Out

    /// With a ban all participants of the user go, and none may come back before its end.
    func kick(_ kick: Kick, in room: Room, by moderator: Moderator, at now: Instant)
        throws(GatewayError) -> Removal
    {
        try Checked.text(kick.reason, "reason")
        let seconds = kick.banSec ?? 0
        guard seconds >= 0 else { throw GatewayError(.badRequest, "banSec is negative") }
        let member = try member(kick.pid, in: room)
        guard member.id != moderator.participant else {
            throw GatewayError(.badRequest, "use leave to go yourself")
        }
        let user = member.claims.user
        var bannedUntil: UInt64?
        var leaving = [member]
        if seconds > 0 {
            let duration = min(Interval.seconds(min(seconds, 1 << 32)), Limits.Rooms.longestBan)
            bans.ban(user, from: room.id, until: now + duration, at: now)
            bannedUntil = wallClock() + UInt64(duration.milliseconds)
            leaving = room.members.values.filter { $0.claims.user == user }
        }
        room.admitted.remove(user)
        let words = kick.reason.map { ": \($0)" } ?? ""
        for member in leaving {
            expel(
                member,
                seconds > 0 ? .banned : .kicked,
                (seconds > 0 ? "banned" : "removed by a moderator") + words,
                .kicked,
                at: now
            )
        }
        return Removal(
            pid: member.id.rawValue,
            uid: user.rawValue,
            bannedUntil: bannedUntil,
            rev: room.state.revision
        )
    }

    /// Says goodbye, closes and removes; the session's resume token is worth nothing from now on.
    func expel(
        _ member: Member,
        _ code: CloseCode,
        _ words: String,
        _ reason: LeaveReason,
        at now: Instant
    ) {
        for session in [member.sid] + member.formerSessions {
            bans.expel(session)
            member.room.noteExpelled(session)
        }
        if let connection = member.connection {
            close(connection, code, words)
        }
        remove(member, reason: reason, at: now)
    }

    // MARK: Rights

    /// What may no longer be published ends, what may no longer be received stops.
    func changeRole(_ change: ChangeRole, in room: Room, by moderator: Moderator, at now: Instant)
        throws(GatewayError) -> RoleResult
    {
        let member = try member(change.pid, in: room)
        guard change.role != nil || change.grants != nil else {
            throw GatewayError(.badRequest, "role or grants is missing")
        }
        if let doer = moderator.participant.flatMap({ room.members[$0] }) {
            if change.grants?.record == true, !doer.claims.grants.record {
                throw GatewayError(.forbidden, "only who may record can allow it")
            }
            if doer === member, !member.claims.grants.applying(role: change.role, change.grants).moderate {
                throw GatewayError(.badRequest, "nobody takes the moderation from itself")
            }
        }
        return permit(
            member,
            role: change.role ?? member.claims.role,
            grants: member.claims.grants.applying(role: change.role, change.grants),
            by: moderator,
            at: now
        )
    }

    /// Puts other rights in force in the middle of a session, and tells those whom it concerns.
    @discardableResult
    func permit(_ member: Member, role: Role, grants: Grants, by moderator: Moderator, at now: Instant)
        -> RoleResult
    {
        let room = member.room
        let before = member.claims
        member.claims.role = role
        member.claims.grants = grants
        var ended: [String] = []
        for publication in room.state.participants[member.id]?.publications ?? []
        where !grants.publish.contains(publication.source) {
            room.state.remove(publication.id, byOwner: false, at: now)
            ended.append(publication.id.rawValue)
        }
        if !ended.isEmpty { reconfigure(member) }
        let participant = room.state.update(member.id, byOwner: false, at: now) {
            $0.role = role
            $0.grants = grants
        }
        refreshWishes(of: member, at: now)
        askForSlots(member, at: now)
        var permissions = member.permissions
        guard member.claims != before else {
            return RoleResult(participant: seen(participant), permissions: permissions)
        }
        permissions.ended = ended.isEmpty ? nil : ended
        permissions.by = moderator.by
        queueCritical(member, .permissions, permissions, at: now)
        if member.moderates, !before.grants.moderate { tellLobby(to: member, at: now) }
        if member.isWaiting, grants.moderate { letIn(member, by: moderator, at: now) }
        member.logger.info("permissions changed", metadata: ["by": "\(moderator.name)", "role": "\(role)"])
        return RoleResult(participant: seen(participant), permissions: permissions)
    }

    private func seen(_ participant: Participant?) -> ParticipantObject? {
        participant.flatMap { $0.isHidden ? nil : $0.object() }
    }

    // MARK: Screens

    func stopShare(_ pid: String, in room: Room, by moderator: Moderator, at now: Instant)
        throws(GatewayError) -> StoppedTracks
    {
        let owner = try member(pid, in: room)
        let ending = published(by: owner, nil).filter { $0.source == .screen || $0.source == .screenAudio }
        for publication in ending { room.state.remove(publication.id, byOwner: false, at: now) }
        let tids = ending.map(\.id.rawValue)
        if !tids.isEmpty {
            reconfigure(owner)
            queueCritical(
                owner,
                .tracksStopped,
                TracksStopped(tids: tids, by: moderator.by, rev: room.state.revision),
                at: now
            )
        }
        return StoppedTracks(pid: pid, tids: tids, rev: room.state.revision)
    }

    // MARK: The room

    /// Settings as `change` makes them, told to everybody but the one who asked. An unlocked room lets in who waited
    /// for the lock.
    func setRoom(
        _ room: Room,
        by moderator: Moderator,
        at now: Instant,
        _ change: (inout RoomSettings) throws(GatewayError) -> Void
    ) throws(GatewayError) -> RoomObject {
        var settings = room.state.settings
        try change(&settings)
        try Checked.attributes(settings.meta, "meta")
        if room.state.set(settings) {
            let event = RoomUpdated(room: RoomObject(room.state), by: moderator.by)
            tellCritical(room, .roomUpdated, event, at: now) { $0.id != moderator.participant }
            if !settings.locked {
                for member in Array(room.members.values) where member.conduct.waiting == .byLock {
                    letIn(member, by: moderator, at: now)
                }
            }
        }
        return RoomObject(room.state)
    }

    /// Whom everybody sees large has left.
    func forgetSpotlight(of id: ParticipantID, in room: Room, at now: Instant) {
        var settings = room.state.settings
        guard settings.spotlight == id else { return }
        settings.spotlight = nil
        _ = room.state.set(settings)
        tellCritical(room, .roomUpdated, RoomUpdated(room: RoomObject(room.state), by: nil), at: now)
    }

    func spotlight(_ pid: String?, in room: Room, by moderator: Moderator, at now: Instant)
        throws(GatewayError) -> RoomObject
    {
        let id = pid.map { ParticipantID($0) }
        if let id {
            guard let participant = room.state.participants[id], !participant.isHidden else {
                throw GatewayError(.notFound, "no such participant")
            }
        }
        return try setRoom(room, by: moderator, at: now) { settings throws(GatewayError) in
            settings.spotlight = id
        }
    }
}
