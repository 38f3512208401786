// What clients ask for, and exactly one response to each request.
// Must not know sockets or how texts reach them.
import Logging
import NIOCore
import RTP
import SDP
import Seam
import Tracing

extension Gateway {
    /// A readable envelope of a member that is live.
    func receive(_ envelope: InboundEnvelope, from member: Member, on connection: Connection, at now: Instant)
    {
        guard let id = envelope.id else {
            let span = startRequest(envelope, from: member, id: nil, at: now)
            causing(span?.context, in: member.room.id) { execute(envelope, from: member, id: nil, at: now) }
            span?.end(at: moment(now))
            return
        }
        statistics.requests += 1
        switch member.session.received(request: id, at: now) {
        case .execute:
            let span = startRequest(envelope, from: member, id: id, at: now)
            causing(span?.context, in: member.room.id) { execute(envelope, from: member, id: id, at: now) }
        case .answer(let text):
            member.session.respondAgain(with: text)
            markDirty(member)
        case .inProgress:
            break
        case .forgotten:
            let error = GatewayError(.alreadyApplied, "request \(id) was executed, its response is forgotten")
            member.session.respondAgain(with: OutboundText.failure(of: id, error))
            markDirty(member)
        case .refuse:
            fail(
                member,
                id,
                GatewayError(.rateLimited, "too many requests wait for their response", retryAfterMs: 1000),
                at: now
            )
        case .gap:
            close(
                connection,
                member.session.receivedBadFrame(),
                "request \(id) does not follow \(member.session.requests.lastID)"
            )
            detach(member, at: now)
        }
    }

    // MARK: Responses

    func respond(_ member: Member, _ id: UInt64?, _ result: some Encodable, at now: Instant) {
        guard let id else { return }
        endRequest(id, of: member, at: now)
        let revision = member.isWaiting ? nil : member.room.state.revision
        let text = OutboundText.response(to: id, revision: revision, result)
        member.session.respond(to: id, with: text, at: now)
        markDirty(member)
    }

    /// Without an id the error travels as a message of its own.
    func fail(_ member: Member, _ id: UInt64?, _ error: GatewayError, of type: String? = nil, at now: Instant)
    {
        statistics.errors[error.code, default: 0] += 1
        guard let id else {
            return queueControl(member, .error, OutgoingError(error: ErrorObject(error), of: type))
        }
        endRequest(id, of: member, error, at: now)
        member.session.respond(to: id, with: OutboundText.failure(of: id, error), at: now)
        markDirty(member)
    }

    // MARK: Dispatch

    private func execute(_ envelope: InboundEnvelope, from member: Member, id: UInt64?, at now: Instant) {
        do throws(GatewayError) {
            guard let type = ClientMessage(rawValue: envelope.type) else {
                // Notifications of a newer client are passed over.
                guard id != nil else { return }
                throw GatewayError(.unsupported, "this server knows no \(envelope.type.prefix(64))")
            }
            if member.isWaiting, !type.worksWhileWaiting {
                throw GatewayError(.notReady, "you wait to be admitted")
            }
            if id == nil, type.needsID { throw GatewayError(.badRequest, "\(type.rawValue) needs an id") }
            switch type {
            case .hello: throw GatewayError(.badRequest, "hello comes once")
            case .ack: try acknowledge(envelope.payload(), from: member, id, at: now)
            case .ping: try ping(envelope.payload(), from: member, id, at: now)
            case .leave: leave(member, id, at: now)
            case .offer: try offer(envelope.payload(), from: member, id, at: now)
            case .candidate: respond(member, id, Done(), at: now)
            case .publish: try publish(envelope.payload(), from: member, id, at: now)
            case .unpublish: try unpublish(envelope.payload(), from: member, id, at: now)
            case .mute: try mute(envelope.payload(), from: member, id, at: now)
            case .subscribe: try subscribe(envelope.payload(), from: member, id, at: now)
            case .view: try view(envelope.payload(), from: member, id, at: now)
            case .sync: try synchronize(envelope.payload(), from: member, id, at: now)
            case .refresh: refresh(try envelope.payload(), from: member, id)
            default:
                guard try executePeople(type, envelope, from: member, id, at: now) else {
                    throw GatewayError(.unsupported, "this server knows no \(type.rawValue)")
                }
            }
        } catch {
            fail(member, id, error, of: envelope.type, at: now)
        }
    }

    private func acknowledge(_ ack: Acknowledge, from member: Member, _ id: UInt64?, at now: Instant)
        throws(GatewayError)
    {
        if let sequence = ack.seq, member.session.received(acknowledge: sequence) == .ahead {
            throw GatewayError(.badRequest, "event \(sequence) was never sent")
        }
        respond(member, id, Done(), at: now)
    }

    private func ping(_ ping: Ping, from member: Member, _ id: UInt64?, at now: Instant) {
        let pong = Pong(t: ping.t, serverTime: wallClock())
        if id == nil {
            queueControl(member, .pong, pong)
        } else {
            respond(member, id, pong, at: now)
        }
    }

    private func leave(_ member: Member, _ id: UInt64?, at now: Instant) {
        respond(member, id, Done(), at: now)
        if let connection = member.connection { close(connection, .left, "left") }
        remove(member, reason: .left, at: now)
    }

    // MARK: Media

    func parse(offer text: String) throws(GatewayError) -> Offer {
        do {
            return try Offer(parsing: text)
        } catch {
            throw GatewayError(.badRequest, "the offer cannot be read: \(error.description)")
        }
    }

    private func offer(_ offering: Offering, from member: Member, _ id: UInt64?, at now: Instant)
        throws(GatewayError)
    {
        guard let text = offering.text else { throw GatewayError(.badRequest, "sdp is missing") }
        let offer = try parse(offer: text)
        negotiate(member, .offer(offer, tracks: offering.tracks ?? [], generation: offering.gen), at: now) {
            [self] result in
            let now = clock()
            switch result {
            case .success: respond(member, id, Answering(result, to: offering), at: now)
            case .failure(let error): fail(member, id, error, at: now)
            }
        }
    }

    private func own(_ tid: String?, _ cid: String?, of member: Member) throws(GatewayError) -> Publication {
        guard tid != nil || cid != nil else { throw GatewayError(.badRequest, "tid or cid is missing") }
        let publications = member.room.state.participants[member.id]?.publications ?? []
        let found = publications.first { tid == $0.id.rawValue || (tid == nil && cid == $0.cid) }
        guard let found else { throw GatewayError(.notFound, "no such track of yours") }
        return found
    }

    private func object(_ publication: Publication, of member: Member) -> TrackObject? {
        member.room.state.participants[member.id]?.track(publication, for: member.id)
    }

    private func publish(_ wanted: PublishTrack, from member: Member, _ id: UInt64?, at now: Instant)
        throws(GatewayError)
    {
        let stored = try put(wanted, of: member, at: now)
        guard let object = object(stored, of: member) else {
            throw GatewayError(.notFound, "not in the room any more")
        }
        if stored.mid != nil { reconfigure(member) }
        respond(member, id, TrackResult(track: object), at: now)
    }

    /// Announces a track, or changes one that is known by its `cid`.
    @discardableResult
    func put(_ wanted: PublishTrack, of member: Member, at now: Instant) throws(GatewayError) -> Publication {
        try Checked.name(wanted.cid, "cid")
        try Checked.name(wanted.name, "name")
        let source = wanted.source ?? (wanted.kind == .audio ? .mic : .camera)
        guard source.kind == wanted.kind else {
            throw GatewayError(.badRequest, "\(source.rawValue) is not \(wanted.kind.rawValue)")
        }
        guard !member.claims.grants.hidden, member.claims.grants.publish.contains(source) else {
            throw GatewayError(.forbidden, "the token does not allow to publish \(source.rawValue)")
        }
        let current = member.room.state.participants[member.id]?.publications ?? []
        var publication: Publication
        if let known = current.first(where: { $0.cid == wanted.cid }) {
            guard known.kind == wanted.kind else {
                throw GatewayError(.conflict, "track \(wanted.cid) is \(known.kind.rawValue)")
            }
            publication = known
        } else {
            guard current.count < Limits.Signaling.publicationsPerParticipant else {
                throw GatewayError(
                    .full,
                    "a participant may publish \(Limits.Signaling.publicationsPerParticipant) tracks"
                )
            }
            publication = Publication(
                id: PublicationID(Self.makeName("tr_")),
                cid: wanted.cid,
                mid: nil,
                kind: wanted.kind,
                source: source,
                name: nil,
                muted: false,
                codec: nil,
                layers: nil,
                revision: 0
            )
        }
        publication.source = source
        publication.name = wanted.name ?? publication.name
        publication.muted = wanted.muted ?? publication.muted
        if let mid = wanted.mid {
            let section = member.link?.media.first { $0.mid == mid }
            guard let section, section.kind == wanted.kind, !section.receive.isEmpty,
                !current.contains(where: { $0.mid == mid && $0.cid != wanted.cid })
            else {
                throw GatewayError(
                    .notReady,
                    "m-section \(mid) is not negotiated for this track, or not free"
                )
            }
            publication.mid = mid
        }
        guard let stored = member.room.state.put(publication, of: member.id, byOwner: true, at: now) else {
            throw GatewayError(.notFound, "not in the room any more")
        }
        return stored
    }

    private func unpublish(_ which: TrackSelector, from member: Member, _ id: UInt64?, at now: Instant)
        throws(GatewayError)
    {
        let publication = try own(which.tid, which.cid, of: member)
        member.room.state.remove(publication.id, byOwner: true, at: now)
        if publication.mid != nil { reconfigure(member) }
        respond(member, id, Unpublished(tid: publication.id.rawValue), at: now)
    }

    private func mute(_ which: MuteTrack, from member: Member, _ id: UInt64?, at now: Instant)
        throws(GatewayError)
    {
        let publication = try own(which.tid, which.cid, of: member)
        guard which.muted || !publication.locked else {
            throw GatewayError(.locked, "a moderator has muted this track; ask to speak")
        }
        member.conduct.unmuteRequests[publication.source] = nil
        if let changed = member.room.state.setMuted(which.muted, publication.id) {
            if changed.mid != nil { order(.mute(changed.id, changed.muted)) }
            member.timeline.note(.muted(changed.source, changed.muted), at: now)
            tellMuted(changed, of: member, Origin(pid: member.id.rawValue, id: id), at: now)
        }
        guard let object = object(try own(publication.id.rawValue, nil, of: member), of: member) else {
            throw GatewayError(.notFound, "not in the room any more")
        }
        respond(member, id, TrackResult(track: object), at: now)
    }

    /// To everybody but the one who did it.
    func tellMuted(_ publication: Publication, of member: Member, _ origin: Origin, at now: Instant) {
        guard publication.mid != nil else { return }
        let event = TrackMuted(
            tid: publication.id.rawValue,
            pid: member.id.rawValue,
            muted: publication.muted,
            rev: publication.revision,
            origin: origin
        )
        tellState(member.room, .muted, key: publication.id.rawValue, event, except: member, at: now)
    }

    // MARK: What is received

    private func target(tid: String?, pid: String?, source: Source?, in room: Room) throws(GatewayError)
        -> Wishing.Target
    {
        if let tid {
            let id = PublicationID(tid)
            guard room.state.publication(id) != nil else { throw GatewayError(.notFound, "no such track") }
            return .publication(id)
        }
        guard let pid else { throw GatewayError(.badRequest, "tid or pid is missing") }
        let id = ParticipantID(pid)
        guard room.state.participants[id] != nil else { throw GatewayError(.notFound, "no such participant") }
        return source.map { .source(id, $0) } ?? .participant(id)
    }

    private func subscribe(
        _ update: UpdateSubscriptions,
        from member: Member,
        _ id: UInt64?,
        at now: Instant
    ) throws(GatewayError) {
        let results = try self.update(update, of: member)
        refreshWishes(of: member, at: now)
        respond(member, id, results, at: now)
    }

    func update(_ update: UpdateSubscriptions, of member: Member) throws(GatewayError) -> SubscriptionResults
    {
        guard member.claims.grants.subscribe else {
            throw GatewayError(.forbidden, "the token does not allow to receive")
        }
        let set = update.set ?? []
        guard set.count <= Limits.Signaling.wishesPerMessage else {
            throw GatewayError(.tooLarge, "at most \(Limits.Signaling.wishesPerMessage) rules at once")
        }
        var results: [SubscriptionResults.Item] = []
        for rule in set {
            do throws(GatewayError) {
                let target = try target(tid: rule.tid, pid: rule.pid, source: rule.source, in: member.room)
                guard member.wishing.set(target, on: rule.on) else {
                    throw GatewayError(.full, "at most \(Limits.Signaling.subscriptionRules) rules are kept")
                }
                results.append(SubscriptionResults.Item(ok: true, error: nil))
            } catch {
                results.append(SubscriptionResults.Item(ok: false, error: ErrorObject(error)))
            }
        }
        member.wishing.isAutomatic = update.auto ?? member.wishing.isAutomatic
        return SubscriptionResults(results: results, auto: member.wishing.isAutomatic)
    }

    private func view(_ update: UpdateView, from member: Member, _ id: UInt64?, at now: Instant)
        throws(GatewayError)
    {
        try show(update, to: member)
        refreshWishes(of: member, at: now)
        askForSlots(member, at: now)
        respond(member, id, Done(), at: now)
    }

    func show(_ update: UpdateView, to member: Member) throws(GatewayError) {
        guard update.tiles.count <= Limits.Signaling.wishesPerMessage else {
            throw GatewayError(.tooLarge, "at most \(Limits.Signaling.wishesPerMessage) tiles")
        }
        var tiles: [(target: Wishing.Target, tile: Wishes.Tile)] = []
        for tile in update.tiles {
            // Whoever has left since the page was drawn is passed over.
            let source = tile.tid == nil ? tile.source ?? .camera : nil
            guard let target = try? target(tid: tile.tid, pid: tile.pid, source: source, in: member.room)
            else { continue }
            tiles.append((target, Wishes.Tile(tile)))
        }
        member.wishing.show(tiles)
    }
}

extension ClientMessage {
    /// Without an id there would be nobody to tell the outcome.
    var needsID: Bool {
        switch self {
        case .hello, .ack, .ping, .leave, .candidate, .view, .reaction, .sendData, .reportDiagnosis: false
        default: true
        }
    }
}

extension Source {
    var kind: MediaKind {
        switch self {
        case .mic, .screenAudio: .audio
        case .camera, .screen: .video
        }
    }
}
