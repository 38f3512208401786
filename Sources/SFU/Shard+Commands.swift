// What the gateway orders a shard to do: sessions open, change and close. Packets run through Shard.swift.
import PeerTransport
import RTP
import Seam

extension Shard {
    /// - Parameter sharing: where `.open` is for a room that has members on other shards, too: those.
    public func apply(_ command: Command, sharing: [Int] = [], at now: Instant) {
        switch command {
        case .open(let open):
            self.open(open, at: now)
            for worker in sharing { roomsByID[open.room]?.ask(worker) }
        case .configure(let id, let media): configure(id, media)
        case .restartICE(let id, let remote): restartICE(id, remote, at: now)
        case .subscribe(let id, let wishes): subscribe(id, wishes)
        case .mute(let id, let muted): mute(id, muted)
        case .close(let id): close(id, at: now)
        case .attach(let id, let key, let revision, let text):
            sessionsByID[id]?.attachments.put(text, key: key, revision: revision)
        case .reportState: reportState(at: now)
        }
        nextRoomTimer = now
    }

    private func open(_ open: OpenSession, at now: Instant) {
        guard sessionsByID[open.session] == nil else {
            return events.append(.sessionRefused(open.session, .duplicate))
        }
        guard sessionsByID.count < configuration.sessionLimit else {
            return events.append(.sessionRefused(open.session, .full))
        }
        let credentials = ICECredentials.generate(worker: configuration.worker, using: &random)
        // RFC 8842 §5.3: we are the server unless the peer can only be that itself.
        let role: DTLSRole = open.remote.setup == .passive ? .client : .server
        guard !open.remote.fingerprints.isEmpty, sessionsByFragment[credentials.usernameFragment] == nil,
            let transport = try? Transport(
                local: credentials,
                remote: open.remote,
                role: role,
                context: context,
                at: now,
                integrity: integrity
            )
        else { return events.append(.sessionRefused(open.session, .unusable)) }
        let index = freeIndices.popLast() ?? Int32(sessions.count)
        let room = self.room(open.room)
        let session = Session(
            open: open,
            room: room,
            index: index,
            transport: transport,
            local: local(credentials, role),
            timers: timers,
            reportSSRC: UInt32.random(in: 1...UInt32.max, using: &random),
            limitsBandwidth: configuration.limitsBandwidth
        )
        if Int(index) == sessions.count { sessions.append(session) } else { sessions[Int(index)] = session }
        sessionsByID[session.id] = session
        name(session, credentials)
        session.arm()
        room.join(session)
        counts.pointee.sessionsOpened &+= 1
        events.append(.sessionOpened(session.id, session.local))
    }

    private func name(_ session: Session, _ credentials: ICECredentials) {
        sessionsByFragment[credentials.usernameFragment] = session
        session.usernameFragments.append(credentials.usernameFragment)
    }

    private func room(_ id: RoomID) -> Room {
        if let known = roomsByID[id] { return known }
        let room = Room(id: id, relay: relay)
        roomsByID[id] = room
        rooms.append(room)
        return room
    }

    private func local(_ credentials: ICECredentials, _ role: DTLSRole) -> LocalTransport {
        LocalTransport(
            ice: credentials,
            candidates: configuration.candidates,
            fingerprints: [configuration.certificate.fingerprint],
            setup: role == .client ? .active : .passive
        )
    }

    private func configure(_ id: SessionID, _ media: SessionMedia) {
        guard let session = sessionsByID[id] else { return }
        for publication in session.uplink.publications { forget(publication) }
        session.configure(media, random: &random)
        for publication in session.uplink.publications { publications[publication.id] = publication }
        session.hastenReport(at: session.room.now)
        events.append(.configured(id, generation: media.generation))
    }

    private func forget(_ publication: Publication) {
        if publications[publication.id] === publication { publications[publication.id] = nil }
    }

    private func restartICE(_ id: SessionID, _ remote: RemoteTransport, at now: Instant) {
        guard let session = sessionsByID[id] else { return }
        let credentials = ICECredentials.generate(worker: configuration.worker, using: &random)
        guard sessionsByFragment[credentials.usernameFragment] == nil,
            session.transport.restartICE(local: credentials, remote: remote, at: now)
        else {
            // Refuses the order; the session goes on as it was.
            return events.append(.sessionRefused(id, .unusable))
        }
        name(session, credentials)
        takeChanges(of: session, at: now)
        session.arm()
        let role: DTLSRole = session.open.remote.setup == .passive ? .client : .server
        session.local = local(credentials, role)
        session.remote = remote
        events.append(.iceRestarted(id, session.local))
    }

    private func subscribe(_ id: SessionID, _ wishes: Wishes) {
        guard let session = sessionsByID[id] else { return }
        let old = session.wishes
        session.wishes = wishes
        session.room.wishesChanged(of: session, from: old)
    }

    private func mute(_ id: PublicationID, _ muted: Bool) {
        guard let publication = publications[id], publication.isMuted != muted else { return }
        publication.room.mute(publication, muted)
        publication.room.tellMuted(publication)
    }

    private func close(_ id: SessionID, at now: Instant) {
        guard let session = sessionsByID[id] else { return }
        session.transport.close(at: now, into: outbox)
        close(session, reason: .requested)
    }

    func close(_ session: Session, reason: CloseReason) {
        guard sessionsByID.removeValue(forKey: session.id) != nil else { return }
        for publication in session.uplink.publications { forget(publication) }
        session.leave()
        for fragment in session.usernameFragments { sessionsByFragment[fragment] = nil }
        for path in session.paths { forget(path, of: session) }
        for _ in 0..<handshakes.forget(session.index) { counts.pointee.drop(.unknownPath) }
        sessions[Int(session.index)] = nil
        freeIndices.append(session.index)
        if session.room.isEmpty {
            session.room.dissolve()
            roomsByID[session.room.id] = nil
            rooms.removeAll { $0 === session.room }
        }
        nextRoomTimer = .zero
        events.append(.sessionClosed(session.id, reason))
    }

    /// All that is known here; then, at the rooms' next look, all that the rooms would not say again.
    private func reportState(at now: Instant) {
        let sessions = sessionsByID.values.map { $0.reportedState(at: now) }
        events.append(.state(MediaState(epoch: configuration.epoch, sessions: sessions)))
        for room in rooms { room.forgetReports() }
    }
}
