// Sessions that come back: which one a resume token means, what its client has missed, and how it is told.
// Must not know how tokens are sealed, or frames.
import Logging
import NIOCore
import RTP
import SDP
import Seam
import Tracing

extension Gateway {
    // MARK: Coming back

    func resume(_ connection: Connection, _ hello: Hello, _ resume: Hello.Resume, at now: Instant) {
        do throws(GatewayError) {
            guard let ticket = seal.open(resume.token) else {
                throw GatewayError(.unauthenticated, "the resume token is not valid")
            }
            guard !bans.isExpelled(ticket.session) else {
                throw GatewayError(.forbidden, "a moderator has ended this session", close: .kicked)
            }
            guard ticket.room == connection.request.room else {
                throw GatewayError(.forbidden, "the resume token is for another room")
            }
            let known = sessions[ticket.session].flatMap { $0.accepts(ticket) ? $0 : nil }
            guard known != nil || !awaitsMedia(at: now) else {
                return returning[connection.id] = hello
            }
            // A ticket does not know that another token has lengthened the stay since.
            guard known.map({ $0.leavesAt > now }) ?? (ticket.expiresAt > wallClock()) else {
                throw GatewayError(.expired, "the time in the room is over")
            }
            guard let member = known else {
                return try rejoin(connection, hello, resume, ticket, at: now)
            }
            attach(connection, to: member, hello, resume, ticket, at: now)
        } catch {
            statistics.resumesRefused += 1
            guard hello.token != nil || (configuration.isDevelopment && hello.user != nil) else {
                return refuse(connection, error)
            }
            var hello = hello
            hello.resume = nil
            verify(hello, on: connection)
        }
    }

    /// Whether the media plane, which outlives gateways, may still say that it has somebody's session.
    func awaitsMedia(at now: Instant) -> Bool {
        guard configuration.isMediaApart, mediaEpoch == nil, let startedAt else { return false }
        return now - startedAt < Limits.Signaling.mediaWait
    }

    /// The media plane has spoken, or was waited for long enough.
    func greetReturning() {
        let waiting = returning
        returning = [:]
        for (id, hello) in waiting {
            guard let connection = connections[id] else { continue }
            verify(hello, on: connection)
        }
    }

    private func attach(
        _ connection: Connection,
        to member: Member,
        _ hello: Hello,
        _ resume: Hello.Resume,
        _ ticket: ResumeTicket,
        at now: Instant
    ) {
        // A slow hello of a connection that the client has given up must not take the session from a newer one.
        guard resume.attempt > member.attempt else {
            return close(connection, .superseded, "a newer connection has the session")
        }
        member.attempt = resume.attempt
        let old = member.connection
        member.connection = nil
        if let old { close(old, .superseded, "the session was resumed elsewhere") }
        member.connection = connection
        take(.resume, member)
        member.isLive = true
        member.detachedAt = nil
        member.isPageClosed = false
        detached[member.id] = nil
        connection.caps = Capability.served(hello.caps)
        connection.state = .member(member)
        adopt(connection, by: member)
        // Numbers of a session that the server has forgotten say nothing about this one.
        let isSame = ticket.session == member.sid
        let last = isSame ? resume.lastSeq : .max
        let known = isSame ? member.revision(knownWith: last) : nil
        let missed: Missed
        switch member.session.attach(lastSequence: last, at: now) {
        case .replay(let upTo): missed = .replay(from: last, upTo: upTo)
        case .behind: missed = .room(since: known)
        }
        guard let pc = hello.pc, let text = pc.text else {
            return welcomeBack(member, on: connection, missed, pc: nil, at: now)
        }
        negotiate(member, again: pc, text, at: now) { [self] answer in
            welcomeBack(member, on: connection, missed, pc: answer, at: clock())
        }
    }

    private enum Missed {
        case replay(from: UInt64, upTo: UInt64)
        /// nil: everything.
        case room(since: UInt64?)
    }

    /// The offer that came with a resume. Whatever becomes of it, the session is resumed.
    private func negotiate(
        _ member: Member,
        again pc: Offering,
        _ text: String,
        at now: Instant,
        then reply: @escaping (Answering) -> Void
    ) {
        func fail(_ error: GatewayError) { reply(Answering(.failure(error), to: pc)) }
        guard !member.isWaiting else { return fail(GatewayError(.notReady, "you wait to be admitted")) }
        if pc.iceRestart == true, member.link == nil {
            return fail(GatewayError(.notReady, "the server has forgotten this PeerConnection"))
        }
        let offer: Offer
        do throws(GatewayError) {
            offer = try parse(offer: text)
        } catch {
            return fail(error)
        }
        negotiate(member, .offer(offer, tracks: pc.tracks ?? [], generation: pc.gen), at: now) {
            reply(Answering($0, to: pc))
        }
    }

    /// The session is gone, its bearer is not: the ticket says who it is.
    private func rejoin(
        _ connection: Connection,
        _ hello: Hello,
        _ resume: Hello.Resume,
        _ ticket: ResumeTicket,
        at now: Instant
    ) throws(GatewayError) {
        let entering = { [self] () throws(GatewayError) in
            try enter(
                room: ticket.room,
                claims: Claims(ticket),
                front: .socket,
                connection: connection,
                device: ticket.device,
                kind: ticket.kind,
                returning: ticket,
                at: now
            )
        }
        let member = try causing(connection.trace?.context, in: RoomID(ticket.room), entering)
        member.attempt = resume.attempt
        member.conduct.mayMissRelay = true
        connection.caps = Capability.served(hello.caps)
        connection.state = .member(member)
        adopt(connection, by: member)
        guard let pc = hello.pc, let text = pc.text else {
            return welcome(member, on: connection, .rejoin, pc: nil, at: now)
        }
        negotiate(member, again: pc, text, at: now) { [self] answer in
            welcome(member, on: connection, .rejoin, pc: answer, at: clock())
        }
    }

    // MARK: Welcomes

    /// To a session that has just been made.
    func welcome(
        _ member: Member,
        on connection: Connection,
        _ outcome: Welcome.Outcome,
        pc: Answering?,
        at now: Instant
    ) {
        guard member.connection === connection, !member.isWelcomed else { return }
        let settles = outcome == .rejoin ? settleTime(at: now) : nil
        sendWelcome(member, on: connection, outcome, seq: 0, pc: pc, settles: settles)
        member.isLive = true
        if !member.isWaiting { noteJoined(member) }
        queueSnapshot(member, at: now)
        member.logger.info(
            "\(outcome == .fresh ? "joined" : "joined again")",
            metadata: ["pid": "\(member.id)"]
        )
        flush(at: now)
    }

    private func welcomeBack(
        _ member: Member,
        on connection: Connection,
        _ missed: Missed,
        pc: Answering?,
        at now: Instant
    ) {
        guard member.connection === connection, !member.isWelcomed else { return }
        member.resumes += 1
        let outcome: Welcome.Outcome
        switch missed {
        case .replay(let from, let upTo):
            outcome = .replay
            sendWelcome(member, on: connection, .replay, seq: from, upTo: upTo, pc: pc)
            if let end = EventBody(.replayed, timestamp: wallClock(), Replayed(upTo: upTo)) {
                member.session.queue(replayEnd: end)
            }
        case .room(let since):
            let last = member.session.lastSequence
            member.session.countOn(knowing: since)
            let changes = since.flatMap { member.room.state.changes(since: $0) }
            outcome = changes == nil ? .snapshot : .delta
            let settles = outcome == .snapshot ? settleTime(at: now) : nil
            sendWelcome(member, on: connection, outcome, seq: last, pc: pc, settles: settles)
            if let since, let changes {
                queueDelta(member, since: since, changes, at: now)
            } else {
                queueSnapshot(member, at: now)
            }
            repeatKeyed(to: member, at: now)
        }
        markDirty(member)
        refreshConnectionState(of: member, at: now)
        member.logger.info("resumed", metadata: ["outcome": "\(outcome.rawValue)"])
        flush(at: now)
    }

    private func settleTime(at now: Instant) -> Int64? {
        guard let startedAt, now - startedAt < Limits.Signaling.settleTime else { return nil }
        return (startedAt + Limits.Signaling.settleTime - now).milliseconds
    }

    /// The first message of a socket goes past the queues of its session.
    private func sendWelcome(
        _ member: Member,
        on connection: Connection,
        _ outcome: Welcome.Outcome,
        seq: UInt64,
        upTo: UInt64? = nil,
        pc: Answering?,
        settles: Int64? = nil
    ) {
        statistics.resumes[outcome, default: 0] += outcome == .fresh ? 0 : 1
        noteWelcome(member, on: connection, outcome, at: clock())
        let room = member.room
        member.ticketNumber += 1
        member.isTicketConfirmed = false
        member.isTicketKnown = true
        let welcome = Welcome(
            outcome: outcome,
            sid: member.sid.rawValue,
            pid: member.id.rawValue,
            uid: member.claims.user.rawValue,
            resume: seal.seal(ticket(of: member)).map {
                Welcome.Resume(token: $0, windowMs: configuration.detachGrace.milliseconds)
            },
            seq: seq,
            upTo: upTo,
            ackedId: member.session.requests.lastID,
            settleMs: settles,
            room: RoomObject(room.state),
            role: member.claims.role,
            grants: member.claims.grants,
            limits: Welcome.Bounds(
                hello: Limits.Signaling.greetingBytes,
                message: Limits.Signaling.messageBytes,
                offer: Limits.Signaling.offerMessageBytes,
                inflight: Limits.Signaling.requestsInFlight,
                rate: Limits.Signaling.messagesPerSecond,
                bitrates: configuration.maximumBitrates
            ),
            hb: Limits.Signaling.heartbeatInterval.milliseconds,
            caps: connection.caps.isEmpty ? nil : Capability.allCases.filter(connection.caps.contains),
            waiting: member.isWaiting ? true : nil,
            pc: pc,
            serverTime: wallClock()
        )
        let trace = tracing.text(of: connection.trace?.context)
        if let body = EventBody(.welcome, timestamp: wallClock(), trace: trace, welcome) {
            connection.socket.send(text: body.text(sequence: nil))
        }
        take(.welcome, member)
    }

    func ticket(of member: Member) -> ResumeTicket {
        ResumeTicket(
            session: member.sid,
            participant: member.id,
            number: member.ticketNumber,
            room: member.room.id.rawValue,
            user: member.claims.user,
            name: member.claims.name,
            device: member.device,
            fixedDevice: member.claims.device,
            kind: member.kind,
            role: member.claims.role,
            grants: member.claims.grants,
            duplicates: member.claims.duplicates,
            attributes: member.claims.attributes,
            joinedAt: member.joinedAtWall,
            expiresAt: wallClock() &+ UInt64(max(0, (member.leavesAt - clock()).milliseconds)),
            waits: member.isWaiting ? true : nil
        )
    }

    // MARK: What is said until it is answered

    /// Critical events that no snapshot contains and that the client has not answered.
    func repeatKeyed(to member: Member, at now: Instant) {
        if member.link == nil, member.mediaLostAt != nil {
            queueCritical(member, .restart, RestartNeeded(mode: .new, reason: "forgotten"), at: now)
        } else if member.link?.transport == .failed, member.link?.isIdle == true {
            queueCritical(member, .restart, RestartNeeded(mode: .ice, reason: "failed"), at: now)
        }
        if member.isExpiryTold { tellExpiry(member, at: now) }
    }

    func warnOfExpiry(_ member: Member, at now: Instant) {
        guard !member.isExpiryTold, member.leavesAt - now <= Limits.Signaling.expiryNotice else { return }
        member.isExpiryTold = true
        tellExpiry(member, at: now)
    }

    private func tellExpiry(_ member: Member, at now: Instant) {
        let left = max(0, (member.leavesAt - now).milliseconds)
        queueCritical(member, .expiring, Expiring(inMs: left), at: now)
    }

    // MARK: Requests

    /// Another token of the same user lengthens the stay and may change what the participant may do.
    func refresh(_ wanted: RefreshToken, from member: Member, _ id: UInt64?) {
        Task {
            let outcome: Result<Claims, GatewayError>
            do {
                outcome = .success(try await verifier.verify(wanted.token, room: member.room.id.rawValue))
            } catch {
                outcome = .failure(
                    error as? GatewayError ?? GatewayError(.unauthenticated, "the token is not valid")
                )
            }
            refreshed(member, id, outcome, at: clock())
        }
    }

    private func refreshed(
        _ member: Member,
        _ id: UInt64?,
        _ outcome: Result<Claims, GatewayError>,
        at now: Instant
    ) {
        defer { flush(at: now) }
        guard member.room.members[member.id] === member else { return }
        do throws(GatewayError) {
            let claims = try outcome.get()
            guard claims.user == member.claims.user else {
                throw GatewayError(.forbidden, "the token is for another user")
            }
            let stay = min(claims.maxSession, Limits.Signaling.longestMaxSession)
            member.leavesAt = now + stay
            member.isExpiryTold = false
            permit(member, role: claims.role, grants: claims.grants, by: .server, at: now)
            respond(
                member,
                id,
                Refreshed(stayMs: stay.milliseconds, role: claims.role, grants: claims.grants),
                at: now
            )
        } catch {
            fail(member, id, error, at: now)
        }
    }

    /// Everything that the client wants, at once.
    func synchronize(_ wanted: Synchronize, from member: Member, _ id: UInt64?, at now: Instant)
        throws(GatewayError)
    {
        let desired = wanted.desired
        if let publications = desired.publications {
            guard publications.count <= Limits.Signaling.publicationsPerParticipant else {
                throw GatewayError(.tooLarge, "too many publications")
            }
            let kept = Set(publications.map(\.cid))
            let current = member.room.state.participants[member.id]?.publications ?? []
            let ended = current.filter { !kept.contains($0.cid) }
            for publication in ended { member.room.state.remove(publication.id, byOwner: false, at: now) }
            for publication in publications { try put(publication, of: member, at: now) }
            if current.contains(where: { $0.mid != nil }) { reconfigure(member) }
        }
        if let subscriptions = desired.subscriptions {
            member.wishing.forgetRules()
            _ = try update(subscriptions, of: member)
        }
        if let view = desired.view { try show(view, to: member) }
        if let attributes = desired.attrs {
            let current = member.claims.attributes.mapValues { _ in String?.none }
            let update = UpdateMe(name: nil, attrs: current.merging(attributes.mapValues { $0 }) { $1 })
            _ = try updateProfile(update, of: member, byOwner: true, at: now)
        }
        if let hand = desired.hand { _ = try raiseHand(hand, of: member, byOwner: true, at: now) }
        refreshWishes(of: member, at: now)
        askForSlots(member, at: now)
        let own = member.room.state.participants[member.id]
        let tracks = (own?.publications ?? []).compactMap { own?.track($0, for: member.id) }
        respond(
            member,
            id,
            Synchronized(tracks: tracks, missing: tracks.filter { $0.mid == nil }.compactMap(\.cid)),
            at: now
        )
    }
}

extension Member {
    /// What a client with this event knows of the room; nil: nothing that could be added to. Before it was admitted it
    /// knew nothing.
    fileprivate func revision(knownWith last: UInt64) -> UInt64? {
        guard !isWaiting, let known = session.revision(knownWith: last), known >= conduct.admittedRevision
        else { return nil }
        return known
    }

    /// Whether this is the newest ticket, or the one before while the client may not have got the newest.
    func accepts(_ ticket: ResumeTicket) -> Bool {
        guard room.members[id] === self, claims.user == ticket.user else { return false }
        guard isTicketKnown else { return true }
        return ticket.number == ticketNumber || (!isTicketConfirmed && ticket.number &+ 1 == ticketNumber)
    }
}

extension Claims {
    init(_ ticket: ResumeTicket) {
        self.init(
            room: ticket.room,
            user: ticket.user,
            name: ticket.name,
            device: ticket.fixedDevice,
            role: ticket.role,
            grants: ticket.grants,
            duplicates: ticket.duplicates,
            attributes: ticket.attributes,
            waits: ticket.waits ?? false
        )
    }
}
