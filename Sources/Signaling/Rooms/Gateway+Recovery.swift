// What survives the gateway: records of participants that the media plane keeps for it, and rooms that are rebuilt
// from them. Must not know how the planes are joined.
import Foundation
import Logging
import RTP
import SDP
import Seam

/// What only the gateway knows of a media session's owner.
struct MemberRecord: Codable, Equatable, Sendable {
    enum Front: Codable, Equatable, Sendable {
        case socket, whip
        case whep(UserID?)
    }

    static let key = "member"
    static let publicationsKey = "tracks"
    static let attributesKey = "attrs"
    static let roomKey = "room"
    static let conductKey = "conduct"

    /// Without attributes, which have a record of their own.
    var ticket: ResumeTicket
    var formerSessions: [SessionID]
    var front: Front
    var order: UInt64
    /// Raised, since then; milliseconds since 1970.
    var hand: UInt64?
    var links: UInt32
    var link: MediaLink.Record
}

/// What a room was set to; each member's media session has a copy.
struct RoomRecord: Codable, Equatable, Sendable {
    var settings: RoomSettings
    /// The copy with the highest one is the newest.
    var revision: UInt64

    init(_ state: RoomState) {
        settings = state.settings
        revision = state.recordRevision
    }
}

/// What moderators have decided about people; each member's media session has a copy.
struct ConductRecord: Codable, Equatable, Sendable {
    struct Ban: Codable, Equatable, Sendable {
        var user: UserID
        /// Milliseconds since 1970.
        var until: UInt64
    }

    /// Those that end last, first.
    var bans: [Ban]
    /// Sessions whose tokens are worth nothing, newest first.
    var expelled: [SessionID]
    var locks: MuteLocks

    /// The largest part that can be kept.
    func encoded() -> Data? {
        var part = self
        while let data = try? JSONEncoder().encode(part) {
            if data.count <= Limits.Media.attachmentBytes { return data }
            guard !part.bans.isEmpty || !part.expelled.isEmpty || !part.locks.sources.isEmpty else {
                return nil
            }
            part.expelled.removeLast((part.expelled.count + 1) / 2)
            part.bans.removeLast((part.bans.count + 1) / 2)
            if part.expelled.isEmpty, part.bans.isEmpty { part.locks.halve() }
        }
        return nil
    }
}

extension Gateway {
    // MARK: Leaving records

    /// Hands down what has changed since the last time.
    func leaveRecords() {
        for member in links.values { leaveRecord(of: member) }
    }

    private func leaveRecord(of member: Member) {
        guard let link = member.link, let record = link.record else { return }
        let participant = member.room.state.participants[member.id]
        let state: [UInt64] = [
            participant?.revision ?? 0, UInt64(link.generation), UInt64(link.iceGeneration), link.sdpVersion,
            UInt64(member.links), member.ticketNumber, UInt64(max(0, member.leavesAt.microseconds)),
            member.room.state.recordRevision,
        ]
        guard state != member.recorded else { return }
        var ticket = ticket(of: member)
        let attributes = ticket.attributes
        ticket.attributes = [:]
        let whole = MemberRecord(
            ticket: ticket,
            formerSessions: Array(member.formerSessions.suffix(4)),
            front: MemberRecord.Front(member.front),
            order: participant?.order ?? 0,
            hand: participant?.hand,
            links: member.links,
            link: record
        )
        var publications = participant?.publications ?? []
        for i in publications.indices { publications[i].layers = nil }
        member.recordRevision += 1
        let revision = member.recordRevision
        let isKept =
            attach(whole, MemberRecord.key, to: link.session, revision)
            && attach(publications, MemberRecord.publicationsKey, to: link.session, revision)
            && attach(attributes, MemberRecord.attributesKey, to: link.session, revision)
            && (state.last == member.recorded.last || attach(member.room, to: link.session, revision))
        if isKept { member.recorded = state }
    }

    private func attach(_ room: Room, to session: SessionID, _ revision: UInt64) -> Bool {
        guard attach(RoomRecord(room.state), MemberRecord.roomKey, to: session, revision) else {
            return false
        }
        let now = clock()
        let record = ConductRecord(
            bans: bans.bans(in: room.id, at: now).sorted { $0.until > $1.until }.map {
                ConductRecord.Ban(user: $0.user, until: wallClock() + UInt64(($0.until - now).milliseconds))
            },
            expelled: room.expelled.reversed(),
            locks: room.state.muteLocks
        )
        guard let data = record.encoded() else { return true }
        return order(
            .attach(
                session,
                key: MemberRecord.conductKey,
                revision: revision,
                text: String(decoding: data, as: UTF8.self)
            )
        )
    }

    private func restore(_ record: ConductRecord, in room: Room, at now: Instant) {
        for ban in record.bans where ban.until > wallClock() {
            bans.ban(ban.user, from: room.id, until: now + until(ban.until), at: now)
        }
        for session in record.expelled.reversed() {
            bans.expel(session)
            room.noteExpelled(session)
        }
        for (user, sources) in record.locks.sources {
            for source in sources { _ = room.state.lockMuted(user, source, true) }
        }
    }

    private func attach(_ value: some Encodable, _ key: String, to session: SessionID, _ revision: UInt64)
        -> Bool
    {
        guard let data = try? JSONEncoder().encode(value), data.count <= Limits.Media.attachmentBytes else {
            // What is too large is not kept: its owner joins anew after a restart of the gateway.
            logger.warning(
                "a record is too large to be kept",
                metadata: ["sid": "\(session)", "key": "\(key)"]
            )
            return true
        }
        return order(
            .attach(session, key: key, revision: revision, text: String(decoding: data, as: UTF8.self))
        )
    }

    // MARK: Reconciling

    /// The media plane says everything it has: at each new connection to it, before anything else.
    func reconcile(with state: MediaState, at now: Instant) {
        let isAnother = mediaEpoch.map { $0 != state.epoch } ?? false
        mediaEpoch = state.epoch
        // What waited was ordered before, and may be of sessions that are gone: all of it is ordered anew.
        backlog.removeAll()
        var present: [SessionID: MediaState.Session] = [:]
        for session in state.sessions { present[session.open.session] = session }
        for (id, member) in links {
            if let session = present.removeValue(forKey: id), !isAnother {
                orderAgain(member, session, at: now)
            } else {
                mediaForgot(member, at: now)
            }
        }
        var rebuilt = 0
        for session in state.sessions where present[session.open.session] != nil {
            if rebuild(session, at: now) {
                rebuilt += 1
            } else {
                order(.close(session.open.session))
            }
        }
        logger.info(
            "media plane connected",
            metadata: [
                "epoch": "\(state.epoch)", "sessions": "\(state.sessions.count)", "rebuilt": "\(rebuilt)",
            ]
        )
        greetReturning()
    }

    /// The session is there; what was said to it, or by it, in the meantime may be lost.
    private func orderAgain(_ member: Member, _ session: MediaState.Session, at now: Instant) {
        transportChanged(member, session.transport, at: now)
        for publication in session.publications { publicationChanged(publication, at: now) }
        member.recorded = []
        member.recordRevision = max(member.recordRevision, session.revisions.values.max() ?? 0)
        member.sentWishes = nil
        if member.link?.isIdle == false {
            abandon(member, GatewayError(.notReady, "the media plane was away", retryAfterMs: 100), at: now)
        }
        reconfigure(member)
        refreshWishes(of: member, at: now)
    }

    /// The media plane does not know the session any more. The participant stays, and its tracks with it, while it
    /// may come back with another one.
    private func mediaForgot(_ member: Member, at now: Instant) {
        endLink(member, GatewayError(.notReady, "the media plane was restarted", retryAfterMs: 100))
        guard member.front == .socket else { return remove(member, reason: .media, at: now) }
        member.mediaLostAt = now
        refreshConnectionState(of: member, at: now)
        queueCritical(member, .restart, RestartNeeded(mode: .new, reason: "restarted"), at: now)
    }

    /// A member as the gateway before this one left it, without a socket. False where there is no record.
    private func rebuild(_ session: MediaState.Session, at now: Instant) -> Bool {
        func value<Value: Decodable>(_ key: String, as _: Value.Type = Value.self) -> Value? {
            session.attachments[key].flatMap { try? JSONDecoder().decode(Value.self, from: Data($0.utf8)) }
        }
        guard let record: MemberRecord = value(MemberRecord.key), let media = session.media,
            record.ticket.room == session.open.room.rawValue, record.ticket.expiresAt > wallClock()
        else { return false }
        var ticket = record.ticket
        ticket.attributes = value(MemberRecord.attributesKey) ?? [:]
        let room =
            rooms[session.open.room] ?? Room(RoomState(id: session.open.room, epoch: Self.makeName("r_")))
        guard room.members[ticket.participant] == nil else { return false }
        rooms[room.id] = room
        if let kept: RoomRecord = value(MemberRecord.roomKey), kept.revision > room.restoredSettings {
            room.restoredSettings = kept.revision
            _ = room.state.set(kept.settings)
            if let conduct: ConductRecord = value(MemberRecord.conductKey) {
                restore(conduct, in: room, at: now)
            }
            room.state.noteRecord(of: kept.revision)
        }
        room.admitted.insert(ticket.user)
        let member = makeMember(
            room,
            Claims(ticket),
            Member.Front(record.front),
            device: ticket.device,
            kind: ticket.kind,
            returning: ticket,
            at: now
        )
        member.formerSessions = record.formerSessions + [ticket.session]
        member.isTicketKnown = false
        member.isLive = member.front == .socket
        member.ticketNumber = ticket.number
        member.links = record.links
        member.recordRevision = session.revisions.values.max() ?? 0
        take(.rebuild, member)
        member.detachedAt = member.front == .socket ? now : nil
        member.link = MediaLink(
            record.link,
            session: session.open.session,
            remote: session.open.remote,
            media: media
        )
        member.link?.transport = session.transport
        member.link?.maximumBitrates = configuration.maximumBitrates
        links[session.open.session] = member
        room.members[member.id] = member
        if member.front == .socket {
            member.session.awaitSnapshot(at: now)
            sessions[member.sid] = member
            for former in member.formerSessions { sessions[former] = member }
            detached[member.id] = member
        }
        noteEntered(member, at: now)
        guard !member.isViewer else { return true }
        var participant = Participant(member, order: record.order, at: now)
        participant.hand = record.hand
        member.conduct.mayMissRelay = true
        room.state.join(participant, at: now)
        for publication in value(MemberRecord.publicationsKey, as: [Publication].self) ?? [] {
            if publication.locked { _ = room.state.lockMuted(ticket.user, publication.source, true) }
            _ = room.state.put(publication, of: member.id, byOwner: false, at: now)
        }
        // Told by the snapshot for which everybody waits.
        for state in session.publications {
            _ = room.state.setLayers(
                state.layers.map(LayerObject.init),
                codec: state.codec,
                state.publication
            )
        }
        noteEntered(member)
        noteJoined(member)
        return true
    }
}

extension Participant {
    init(_ member: Member, order: UInt64, at now: Instant) {
        self.init(
            id: member.id,
            user: member.claims.user,
            device: member.device,
            name: member.claims.name,
            role: member.claims.role,
            kind: member.kind,
            attributes: member.claims.attributes,
            grants: member.claims.grants,
            connection: member.connectionState(at: now),
            joinedAt: member.joinedAtWall,
            order: order,
            revision: 0
        )
    }
}

extension MemberRecord.Front {
    init(_ front: Member.Front) {
        switch front {
        case .socket: self = .socket
        case .whip: self = .whip
        case .whep(let user): self = .whep(user)
        }
    }
}

extension Member.Front {
    init(_ front: MemberRecord.Front) {
        switch front {
        case .socket: self = .socket
        case .whip: self = .whip
        case .whep(let user): self = .whep(of: user)
        }
    }
}
