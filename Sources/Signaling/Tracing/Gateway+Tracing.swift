// Where the gateway's work becomes spans: sessions, requests, negotiations, the way to the first packet and picture.
// Every hook is one line at its place; without a tracer each returns at once. Must not know exporters.
import RTP
import Seam
import Tracing

extension Gateway {
    func moment(_ now: Instant) -> TraceInstant { traceClock.moment(now, wall: wallClock()) }

    // MARK: Causes

    /// What happens within is caused by `context`: events say so, and the roster does where it was the only cause.
    func causing<Value, Failure: Error>(
        _ context: InstrumentationContext?,
        in room: RoomID,
        _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        guard tracing.isOn, let context else { return try body() }
        let outer = cause
        let before = rooms[room]?.state.revision ?? 0
        cause = context
        defer {
            cause = outer
            if let known = rooms[room] {
                let text = tracing.text(of: context)
                known.cause.caused(by: context, text, from: before, to: known.state.revision)
            }
        }
        return try body()
    }

    /// One span for an event to many; `end` it with how many there were.
    func startFanOut(_ type: ServerMessage, cause: InstrumentationContext?, at now: Instant) -> FanOut? {
        guard let cause, tracing.text(of: cause) != nil else { return nil }
        guard
            let span = tracing.start("sfu.fanout", parent: cause, kind: .producer, at: moment(now)),
            let text = tracing.text(of: span.context)
        else { return nil }
        span.attributes["sfu.event"] = type.rawValue
        return FanOut(span: span, text: text)
    }

    func endFanOut(_ fanOut: FanOut?, receivers: Int, at now: Instant) {
        guard let fanOut else { return }
        fanOut.span.attributes["sfu.receivers"] = receivers
        fanOut.span.end(at: moment(now))
    }

    // MARK: Sessions

    /// - Parameter parent: the `trace` of the hello.
    func startSession(_ connection: Connection, parent: String?, at now: Instant) {
        guard tracing.isOn else { return }
        let request = connection.request
        let context =
            tracing.context(parent: parent)
            ?? tracing.context(parent: request.traceparent, state: request.tracestate)
        connection.trace = tracing.start("sfu.session", parent: context, kind: .server, at: moment(now))
        connection.trace?.attributes["sfu.room"] = request.room
    }

    /// The socket of `connection` is the member's from here on.
    func adopt(_ connection: Connection, by member: Member) {
        guard let span = connection.trace else { return }
        if let last = member.trace.lastSession { span.addLink(SpanLink(context: last, attributes: [:])) }
        span.attributes["sfu.session.id"] = member.sid.rawValue
        span.attributes["sfu.participant.id"] = member.id.rawValue
        member.trace.session = span
        member.trace.lastSession = span.context
    }

    /// A WHIP or WHEP session, which has no socket.
    func startSession(_ member: Member, parent: InstrumentationContext?, at now: Instant) {
        guard let span = tracing.start("sfu.session", parent: parent, kind: .server, at: moment(now)) else {
            return
        }
        span.attributes["sfu.room"] = member.room.id.rawValue
        span.attributes["sfu.participant.id"] = member.id.rawValue
        span.attributes["sfu.front"] = member.timelineFront.rawValue
        member.trace.session = span
        member.trace.lastSession = span.context
    }

    /// The socket is closed or about to be.
    func endSession(_ connection: Connection, at now: Instant) {
        guard let span = connection.trace else { return }
        connection.trace = nil
        if case .member(let member) = connection.state, member.connection === connection {
            member.trace.session = nil
        }
        span.end(at: moment(now))
    }

    /// Everything of a member that leaves.
    func endTraces(of member: Member, _ reason: LeaveReason, at now: Instant) {
        guard tracing.isOn else { return }
        let moment = moment(now)
        for span in member.trace.requests.values { span.fail("the session has ended", at: moment) }
        for span in member.trace.firstMedia.values { span.fail("no packet came", at: moment) }
        for waiting in member.trace.firstFrames.values { waiting.span.fail("no frame came", at: moment) }
        endTransportTraces(of: member, "the session has ended", at: now)
        if member.connection == nil {
            member.trace.session?.attributes["sfu.reason"] = reason.rawValue
            member.trace.session?.end(at: moment)
        }
        let last = member.trace.lastSession
        member.trace = MemberTrace()
        member.trace.lastSession = last
        // The socket outlives the member for a moment, and its span with it.
        if let connection = member.connection { member.trace.session = connection.trace }
    }

    /// The outcome of a hello that found its session, or made one.
    func noteWelcome(_ member: Member, on connection: Connection, _ outcome: Welcome.Outcome, at now: Instant)
    {
        connection.trace?.attributes["sfu.outcome"] = outcome.rawValue
        switch outcome {
        case .fresh: member.timeline.note(.joined(member.timelineFront), at: now)
        case .replay, .delta, .snapshot, .rejoin:
            member.timeline.note(.resumed(outcome), at: now)
            member.room.conversation?.resumed(member.claims.user)
            statistics.resumeTime.record(now - connection.openedAt)
        }
    }

    // MARK: Requests

    /// A request's span, or nil where nobody would miss it.
    func startRequest(_ envelope: InboundEnvelope, from member: Member, id: UInt64?, at now: Instant)
        -> TraceSpan?
    {
        guard tracing.isOn, let type = ClientMessage(rawValue: envelope.type), type.isTraced,
            member.trace.requests.count <= Limits.Signaling.requestsInFlight
        else { return nil }
        let parent = tracing.context(parent: envelope.trace) ?? member.trace.session?.context
        let span = tracing.start(
            "sfu.signal.\(type.rawValue)",
            parent: parent,
            kind: .server,
            at: moment(now)
        )
        span?.attributes["sfu.session.id"] = member.sid.rawValue
        if let id, let span {
            span.attributes["sfu.request.id"] = Int64(clamping: id)
            member.trace.requests[id] = span
        }
        return span
    }

    /// The request `id` has its response.
    func endRequest(_ id: UInt64, of member: Member, _ error: GatewayError? = nil, at now: Instant) {
        guard tracing.isOn, let span = member.trace.requests.removeValue(forKey: id) else { return }
        if let error {
            span.attributes["sfu.error"] = error.code.rawValue
            span.fail(error.message, at: moment(now))
        } else {
            span.end(at: moment(now))
        }
    }

    // MARK: Negotiations

    /// From an offer to its answer; caused by what is going on.
    func startNegotiation(_ member: Member, _ content: PendingOffer.Content, at now: Instant) -> TraceSpan? {
        let isFragment = if case .fragment = content { true } else { false }
        member.timeline.note(.offered(isRestart: isFragment), at: now)
        // An ICE restart of WHIP belongs to its PATCH.
        let request = isFragment ? InstrumentationContext.current : nil
        let parent = request ?? cause ?? member.trace.session?.context ?? member.trace.lastSession
        let span = tracing.start("sfu.negotiate", parent: parent, at: moment(now))
        span?.attributes["sfu.offer"] = isFragment ? "fragment" : "offer"
        return span
    }

    func endNegotiation(
        _ member: Member,
        _ pending: PendingOffer,
        _ result: Result<PendingOffer.Outcome, GatewayError>,
        at now: Instant
    ) {
        switch result {
        case .success(let outcome):
            member.timeline.note(.answered, at: now)
            guard let span = pending.trace else { return }
            span.attributes["sfu.tracks"] = outcome.tracks.count
            span.attributes["sfu.slots"] = outcome.slots.count
            span.end(at: moment(now))
            member.trace.negotiation = span.context
            startTransport(member, at: now)
            startFirstMedia(member, at: now)
        case .failure(let error):
            member.timeline.note(.refused(error.code), at: now)
            pending.trace?.attributes["sfu.error"] = error.code.rawValue
            pending.trace?.fail(error.message, at: moment(now))
        }
    }

    // MARK: Transport

    private func startTransport(_ member: Member, at now: Instant) {
        switch member.link?.transport {
        case .new, .disconnected, .failed:
            guard member.trace.ice == nil, member.trace.dtls == nil else { return }
            member.trace.ice = tracing.start("sfu.ice", parent: member.trace.media, at: moment(now))
        case .connecting:
            guard member.trace.dtls == nil else { return }
            member.trace.dtls = tracing.start("sfu.dtls", parent: member.trace.media, at: moment(now))
        case .connected, nil: break
        }
    }

    func noteTransport(_ member: Member, _ state: TransportState, at now: Instant) {
        member.timeline.note(.transport(state), at: now)
        guard tracing.isOn else { return }
        switch state {
        case .new, .disconnected: break
        case .connecting:
            guard let ice = member.trace.ice else { return }
            ice.end(at: moment(now))
            member.trace.ice = nil
            member.trace.dtls = tracing.start("sfu.dtls", parent: member.trace.media, at: moment(now))
        case .connected:
            member.trace.ice?.end(at: moment(now))
            member.trace.dtls?.end(at: moment(now))
            member.trace.ice = nil
            member.trace.dtls = nil
        case .failed: endTransportTraces(of: member, "the transport failed", at: now)
        }
    }

    func endTransportTraces(of member: Member, _ reason: String, at now: Instant) {
        guard tracing.isOn else { return }
        member.trace.ice?.fail(reason, at: moment(now))
        member.trace.dtls?.fail(reason, at: moment(now))
        member.trace.ice = nil
        member.trace.dtls = nil
    }

    // MARK: First packets and pictures

    /// What is published and has not been heard of.
    private func startFirstMedia(_ member: Member, at now: Instant) {
        guard tracing.isOn else { return }
        let published = member.room.state.participants[member.id]?.publications ?? []
        let known = Set(published.map(\.id))
        for (id, span) in member.trace.firstMedia where !known.contains(id) {
            span.fail("the track has ended", at: moment(now))
            member.trace.firstMedia[id] = nil
        }
        member.trace.publications = member.trace.publications.filter { known.contains($0.key) }
        for publication in published
        where publication.mid != nil && publication.codec == nil
            && member.trace.publications[publication.id] == nil
        {
            let span = tracing.start("sfu.first_media", parent: member.trace.media, at: moment(now))
            span?.attributes["sfu.track.id"] = publication.id.rawValue
            span?.attributes["sfu.source"] = publication.source.rawValue
            member.trace.firstMedia[publication.id] = span
            member.trace.publications[publication.id] = span?.context
        }
    }

    /// The first packet of a publication has come; what caused the events about it.
    func notePublication(_ state: PublicationState, in room: Room, at now: Instant) -> InstrumentationContext?
    {
        guard let codec = state.codec, let known = room.state.publication(state.publication),
            known.publication.codec == nil, let member = room.members[known.owner.id]
        else { return nil }
        member.timeline.note(.firstMedia(known.publication.source), at: now)
        guard let span = member.trace.firstMedia.removeValue(forKey: state.publication) else { return nil }
        span.attributes["sfu.codec"] = codec.rawValue
        span.end(at: moment(now))
        return span.context
    }

    /// A slot shows something else, or more of it; what caused the event about it.
    func noteSlot(_ member: Member, _ state: SlotState, before: SlotObject?, at now: Instant)
        -> InstrumentationContext?
    {
        guard state.kind == .video else { return nil }
        noteLayer(member, state, before: before, at: now)
        guard tracing.isOn else { return nil }
        if let waiting = member.trace.firstFrames[state.mid], waiting.publication != state.publication {
            waiting.span.attributes["sfu.replaced"] = true
            waiting.span.end(at: moment(now))
            member.trace.firstFrames[state.mid] = nil
        }
        guard let publication = state.publication else { return nil }
        if before?.tid != publication.rawValue, member.trace.firstFrames[state.mid] == nil {
            startFirstFrame(member, state, publication, at: now)
        }
        guard let waiting = member.trace.firstFrames[state.mid] else { return nil }
        guard let layer = state.spatialLayer else { return waiting.span.context }
        waiting.span.attributes["sfu.layer"] = Int(layer)
        waiting.span.end(at: moment(now))
        member.trace.firstFrames[state.mid] = nil
        return waiting.span.context
    }

    private func startFirstFrame(
        _ member: Member,
        _ state: SlotState,
        _ publication: PublicationID,
        at now: Instant
    ) {
        guard member.trace.firstFrames.count < 2 * Limits.Signaling.videoSlots,
            let span = tracing.start("sfu.first_frame", parent: member.trace.media, at: moment(now))
        else { return }
        span.attributes["sfu.track.id"] = publication.rawValue
        let owner = member.room.state.publication(publication)?.owner.id
        if let context = owner.flatMap({ member.room.members[$0] })?.trace.publications[publication] {
            span.addLink(SpanLink(context: context, attributes: [:]))
        }
        member.trace.firstFrames[state.mid] = (publication, span)
    }
}

struct FanOut {
    let span: TraceSpan
    let text: String
}

extension ClientMessage {
    /// Heartbeats and acknowledgements would drown the rest.
    var isTraced: Bool {
        switch self {
        case .hello, .ack, .ping, .candidate: false
        default: true
        }
    }
}
