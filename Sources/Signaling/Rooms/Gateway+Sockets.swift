// Sockets come, say hello, speak, and go: from a connection to a member of a room.
// Must not know what a request does.
import Logging
import NIOCore
import RTP
import SDP
import Seam
import Tracing

// Called by the socket handler, on the loop.
extension Gateway {
    public func opened(_ socket: any SignalingSocket, request: SignalingRequest) -> ConnectionID {
        let id = nextConnectionID()
        let connection = Connection(
            id: id,
            socket: socket,
            request: request,
            state: .greeting(until: clock() + Limits.Signaling.greetingTimeout),
            at: clock()
        )
        connections[id] = connection
        greeting.insert(id)
        hurry()
        if isDraining {
            close(connection, .drain, "the server is restarting")
        } else if connections.count > configuration.maximumConnections {
            close(connection, .overloaded, "too many connections", afterMs: 5000)
        }
        return id
    }

    /// One whole text message.
    public func received(_ text: ByteBuffer, on id: ConnectionID) {
        guard let connection = connections[id] else { return }
        let now = clock()
        switch connection.state {
        case .greeting: greet(connection, text, at: now)
        case .verifying: close(connection, .protocolError, "nothing may be sent before the welcome")
        case .member(let member) where !member.isWelcomed:
            close(connection, .protocolError, "nothing may be sent before the welcome")
            remove(member, reason: .protocol, at: now)
        case .member(let member):
            member.isTicketConfirmed = true
            receive(text, from: member, on: connection, at: now)
        case .closed: break
        }
        flush(at: now)
    }

    public func writabilityChanged(_ id: ConnectionID, isWritable: Bool) {
        guard let connection = connections[id], case .member(let member) = connection.state else { return }
        let now = clock()
        member.session.writabilityChanged(isWritable: isWritable, at: now)
        if isWritable { markDirty(member) }
        flush(at: now)
    }

    /// Once for every socket, whoever closed it.
    public func closed(_ id: ConnectionID) {
        closing.remove(id)
        if isDraining, closing.isEmpty { finishDraining() }
        guard let connection = connections[id] else { return }
        let now = clock()
        forget(connection)
        if case .member(let member) = connection.state, member.connection === connection {
            detach(member, at: now)
        }
        connection.state = .closed
        flush(at: now)
    }

    // MARK: The end

    /// Says why where the socket takes it, then closes. The member, if there is one, stays: see `detach` and `remove`.
    func close(
        _ connection: Connection,
        _ code: CloseCode,
        _ reason: String,
        afterMs: Int? = nil,
        spreadMs: Int? = nil
    ) {
        guard connections[connection.id] != nil else { return }
        statistics.closes[code, default: 0] += 1
        if case .member(let member) = connection.state {
            // What it was promised first: the response to `leave` for instance.
            flushBeforeClosing(member, connection)
        }
        let bye = Bye(
            code: code.rawValue,
            reason: reason,
            action: code.action,
            afterMs: afterMs,
            spreadMs: spreadMs
        )
        if connection.socket.isWritable, let body = EventBody(.bye, timestamp: wallClock(), bye) {
            connection.socket.send(text: body.text(sequence: nil))
        }
        let state = connection.state
        connection.trace?.attributes["sfu.close.code"] = Int(code.rawValue)
        if case .member(let member) = state { member.timeline.note(.closed(code), at: clock()) }
        forget(connection)
        connection.state = .closed
        if case .member(let member) = state, member.connection === connection { member.connection = nil }
        closing.insert(connection.id)
        connection.socket.close(code: code.rawValue, reason: reason)
    }

    private func flushBeforeClosing(_ member: Member, _ connection: Connection) {
        guard member.connection === connection else { return }
        while connection.socket.isWritable, case .send(let text) = member.session.drain(at: clock()) {
            connection.socket.send(text: text)
        }
    }

    private func forget(_ connection: Connection) {
        endSession(connection, at: clock())
        connections[connection.id] = nil
        greeting.remove(connection.id)
        returning[connection.id] = nil
        paused[connection.id] = nil
    }

    /// Its socket is gone; it stays for the grace, because the media may still flow.
    func detach(_ member: Member, at now: Instant) {
        guard member.room.members[member.id] === member else { return }
        member.connection = nil
        take(.lose, member)
        member.detachedAt = now
        detached[member.id] = member
        member.timeline.note(.detached, at: now)
        member.logger.info("socket lost")
    }

    /// Counts it.
    func take(_ step: SessionStage.Step, _ member: Member) {
        guard member.front == .socket else { return }
        let transition = SessionTransition(from: member.stage, step: step)
        if member.take(step) {
            statistics.transitions[transition, default: 0] += 1
        } else {
            statistics.impossibleTransitions += 1
            member.logger.error(
                "a session took a step that it cannot take",
                metadata: ["from": "\(transition.from)", "step": "\(step)"]
            )
        }
    }

    // MARK: Hello

    private func greet(_ connection: Connection, _ text: ByteBuffer, at now: Instant) {
        greeting.remove(connection.id)
        do throws(GatewayError) {
            guard case .envelopes(let lines) = InboundFraming.split(text, authenticated: false),
                let line = lines.first
            else {
                throw GatewayError(
                    .tooLarge,
                    "the first message is one hello of at most \(Limits.Signaling.greetingBytes / 1024) KiB"
                )
            }
            let envelope = try InboundEnvelope(parsing: line)
            startSession(connection, parent: envelope.trace, at: now)
            guard envelope.type == ClientMessage.hello.rawValue else {
                throw GatewayError(.badRequest, "the first message is hello")
            }
            guard ProtocolVersion.accepts(envelope.version) else {
                return refuse(
                    connection,
                    GatewayError(.unsupported, "this server speaks version 1"),
                    .versionUnsupported
                )
            }
            connection.traceparent = envelope.trace.flatMap { $0.utf8.count == 55 ? $0 : nil }
            let hello = try envelope.payload(as: Hello.self)
            try Checked.name(hello.device?.did, "device.did")
            try Checked.name(hello.device?.kind, "device.kind")
            verify(hello, on: connection)
        } catch {
            refuse(connection, error)
        }
    }

    func verify(_ hello: Hello, on connection: Connection) {
        connection.state = .verifying
        let room = connection.request.room
        if let resume = hello.resume {
            return self.resume(connection, hello, resume, at: clock())
        }
        guard let token = hello.token else {
            do throws(GatewayError) {
                join(connection, hello, try developmentClaims(hello.user, room: room))
            } catch {
                refuse(connection, error)
            }
            return
        }
        Task {
            let claims: Claims
            do {
                claims = try await verifier.verify(token, room: room)
            } catch {
                let reason =
                    error as? GatewayError ?? GatewayError(.unauthenticated, "the token is not valid")
                return refuse(connection, reason)
            }
            join(connection, hello, claims)
            flush(at: clock())
        }
    }

    private func developmentClaims(_ user: Hello.User?, room: String) throws(GatewayError) -> Claims {
        guard configuration.isDevelopment, let user else {
            throw GatewayError(.unauthenticated, "hello carries no token")
        }
        try Checked.name(user.uid, "user.uid")
        try Checked.name(user.name, "user.name")
        return Claims(room: room, user: UserID(user.uid), name: user.name, grants: .development)
    }

    /// An `error` that says it in words, then the close code that fits.
    func refuse(_ connection: Connection, _ error: GatewayError, _ code: CloseCode? = nil) {
        guard connections[connection.id] != nil else { return }
        statistics.errors[error.code, default: 0] += 1
        connection.trace?.setStatus(SpanStatus(code: .error, message: error.message))
        if connection.socket.isWritable,
            let body = EventBody(
                .error,
                timestamp: wallClock(),
                OutgoingError(error: ErrorObject(error), of: ClientMessage.hello.rawValue)
            )
        {
            connection.socket.send(text: body.text(sequence: nil))
        }
        let fitting: CloseCode =
            switch error.code {
            case .unauthenticated: .tokenInvalid
            case .expired: .tokenExpired
            case .forbidden, .conflict: .forbidden
            case .notFound: .noSuchRoom
            case .full, .locked: .roomFull
            case .overloaded, .rateLimited: .overloaded
            default: .protocolError
            }
        close(connection, code ?? error.close ?? fitting, error.message, afterMs: error.retryAfterMs)
    }

    // MARK: Joining

    private func join(_ connection: Connection, _ hello: Hello, _ claims: Claims) {
        // The socket may have closed while the token was verified.
        guard connections[connection.id] === connection else { return }
        let now = clock()
        let member: Member
        do throws(GatewayError) {
            var offer: Offer?
            if let text = hello.pc?.text { offer = try parse(offer: text) }
            let name = connection.request.room
            member = try causing(connection.trace?.context, in: RoomID(name)) { () throws(GatewayError) in
                try enter(
                    room: name,
                    claims: claims,
                    front: .socket,
                    connection: connection,
                    device: hello.device?.did,
                    kind: hello.device?.kind ?? "web",
                    at: now
                )
            }
            adopt(connection, by: member)
            connection.caps = Capability.served(hello.caps)
            connection.state = .member(member)
            guard let offer, let pc = hello.pc else {
                return welcome(member, on: connection, .fresh, pc: nil, at: now)
            }
            guard !member.isWaiting else {
                let error = GatewayError(.notReady, "you wait to be admitted")
                return welcome(
                    member,
                    on: connection,
                    .fresh,
                    pc: Answering(.failure(error), to: pc),
                    at: now
                )
            }
            negotiate(
                member,
                .offer(offer, tracks: pc.tracks ?? [], generation: pc.gen),
                at: now
            ) { [self] result in
                welcome(member, on: connection, .fresh, pc: Answering(result, to: pc), at: clock())
            }
        } catch {
            refuse(connection, error)
        }
    }

    // MARK: Messages

    private func receive(_ text: ByteBuffer, from member: Member, on connection: Connection, at now: Instant)
    {
        guard case .envelopes(let lines) = InboundFraming.split(text, authenticated: true) else {
            close(connection, .protocolError, "the message is too large")
            return detach(member, at: now)
        }
        for line in lines {
            guard member.connection === connection else { return }
            receive(line: line, from: member, on: connection, at: now)
        }
        pauseReadingIfNeeded(connection, member)
    }

    private func receive(line: ByteBuffer, from member: Member, on connection: Connection, at now: Instant) {
        let onRate = member.session.receivedMessage(at: now)
        let envelope: InboundEnvelope
        do throws(GatewayError) {
            envelope = try InboundEnvelope(parsing: line)
        } catch {
            statistics.errors[error.code, default: 0] += 1
            queueControl(member, .error, OutgoingError(error: ErrorObject(error)))
            close(connection, member.session.receivedBadFrame(), error.message)
            return detach(member, at: now)
        }
        if let sequence = envelope.ack, member.session.received(acknowledge: sequence) == .ahead {
            close(connection, .protocolError, "ack \(sequence) is ahead of what was sent")
            return detach(member, at: now)
        }
        if onRate == .refuse {
            return refuse(
                envelope,
                from: member,
                GatewayError(.rateLimited, "too many messages", retryAfterMs: 1000),
                at: now
            )
        }
        let isLong = line.readableBytes > Limits.Signaling.messageBytes
        if isLong, envelope.type != ClientMessage.offer.rawValue {
            let limit = Limits.Signaling.messageBytes
            return refuse(
                envelope,
                from: member,
                GatewayError(.tooLarge, "a message has at most \(limit) bytes"),
                at: now
            )
        }
        receive(envelope, from: member, on: connection, at: now)
    }

    /// Uses up the id, so that the next request is in order.
    private func refuse(
        _ envelope: InboundEnvelope,
        from member: Member,
        _ error: GatewayError,
        at now: Instant
    ) {
        guard let id = envelope.id else { return }
        switch member.session.received(request: id, at: now) {
        case .execute, .refuse: fail(member, id, error, at: now)
        case .answer, .inProgress, .forgotten, .gap: break
        }
    }

    private func pauseReadingIfNeeded(_ connection: Connection, _ member: Member) {
        guard !connection.isPaused, member.connection === connection, !member.session.mayReadOn else {
            return
        }
        connection.isPaused = true
        paused[connection.id] = connection
        connection.socket.pauseReading(true)
    }

    func resumeReadingIfPossible(_ connection: Connection, at now: Instant) {
        guard case .member(let member) = connection.state, member.session.mayReadAgain(at: now) else {
            return
        }
        connection.isPaused = false
        paused[connection.id] = nil
        connection.socket.pauseReading(false)
    }
}

extension OutgoingError {
    init(error: ErrorObject) { self.init(error: error, of: nil) }
}

extension Answering {
    init(_ result: Result<PendingOffer.Outcome, GatewayError>, to offer: Offering) {
        self.init(gen: offer.gen, offerId: offer.offerId, answer: nil, tracks: [], slots: [], error: nil)
        switch result {
        case .success(let outcome):
            answer = outcome.text
            tracks = outcome.tracks
            slots = outcome.slots
        case .failure(let error):
            self.error = ErrorObject(error)
        }
    }
}
