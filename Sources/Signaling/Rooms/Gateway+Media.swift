// What the media plane reports, turned into what members are told.
// Must not know packets, threads, or how the events came here.
import Logging
import RTP
import Seam

extension Gateway {
    func takeMediaEvents() {
        let now = clock()
        for event in inbox.takeAll() { receive(event, at: now) }
        flush(at: now)
    }

    private func receive(_ event: Event, at now: Instant) {
        switch event {
        case .sessionOpened(let id, let local):
            guard let member = links[id], let answer = member.link?.opened(local) else { return }
            received(answer, member, at: now)
        case .sessionRefused(let id, let refusal):
            guard let member = links[id] else { return }
            abandon(member, GatewayError(refusal), at: now)
        case .configured(let id, let generation):
            guard let member = links[id], let answer = member.link?.configured(generation) else { return }
            received(answer, member, at: now)
        case .iceRestarted(let id, let local):
            guard let member = links[id], let answer = member.link?.iceRestarted(local) else { return }
            received(answer, member, at: now)
        case .transport(let id, let state):
            guard let member = links[id] else { return }
            transportChanged(member, state, at: now)
        case .sessionClosed(let id, let reason):
            guard let member = links[id] else { return }
            mediaClosed(member, reason, at: now)
        case .publication(let state):
            publicationChanged(state, at: now)
        case .slots(let id, let states):
            guard let member = links[id] else { return }
            slotsChanged(member, states, at: now)
        case .demand(let demand):
            demandChanged(demand, at: now)
        case .speakers(let report):
            speakersChanged(report, at: now)
        case .quality(let id, let quality):
            guard let member = links[id] else { return }
            qualityChanged(member, quality, at: now)
        case .counters(let counters):
            self.counters(counters)
        case .state(let state):
            reconcile(with: state, at: now)
        }
    }

    // MARK: Transport

    func transportChanged(_ member: Member, _ state: TransportState, at now: Instant) {
        member.link?.transport = state
        noteTransport(member, state, at: now)
        switch state {
        case .connected:
            member.mediaLostAt = nil
            member.isPageClosed = false
        case .disconnected, .failed: member.mediaLostAt = member.mediaLostAt ?? now
        case .new, .connecting: break
        }
        refreshConnectionState(of: member, at: now)
        if state == .failed, member.front == .socket {
            queueCritical(member, .restart, RestartNeeded(mode: .ice, reason: "failed"), at: now)
        }
    }

    private func mediaClosed(_ member: Member, _ reason: CloseReason, at now: Instant) {
        member.logger.info("media session closed", metadata: ["reason": "\(reason.rawValue)"])
        member.timeline.note(.mediaClosed(reason), at: now)
        endLink(
            member,
            GatewayError(.notReady, "the media session closed: \(reason.rawValue)", retryAfterMs: 500)
        )
        guard member.front == .socket else {
            return remove(member, reason: reason == .shutdown ? .shutdown : .media, at: now)
        }
        member.mediaLostAt = now
        member.isPageClosed = reason == .peerClosed
        // Whoever lost its media with the server, or loads its page anew, may be back in a moment.
        let mayReturn = reason == .shutdown || reason == .peerClosed
        if !mayReturn { endPublications(of: member, byOwner: false, at: now) }
        refreshConnectionState(of: member, at: now)
        queueCritical(member, .restart, RestartNeeded(mode: .new, reason: reason.rawValue), at: now)
    }

    // MARK: Publications and slots

    func publicationChanged(_ state: PublicationState, at now: Instant) {
        guard let room = rooms[state.room] else { return }
        let cause = notePublication(state, in: room, at: now)
        let layers = state.layers.map(LayerObject.init)
        guard let changed = room.state.setLayers(layers, codec: state.codec, state.publication),
            let owner = room.state.publication(state.publication)?.owner
        else { return }
        tellState(
            room,
            .layers,
            key: changed.id.rawValue,
            TrackLayers(
                tid: changed.id.rawValue,
                pid: owner.id.rawValue,
                codec: changed.codec,
                layers: layers
            ),
            cause: cause,
            at: now
        )
    }

    private func slotsChanged(_ member: Member, _ states: [SlotState], at now: Instant) {
        for state in states {
            let before = member.link?.slots[state.mid]
            guard let slot = member.link?.received(slot: state) else { continue }
            let trace = tracing.text(of: noteSlot(member, state, before: before, at: now))
            guard member.isLive, let body = EventBody(.slots, timestamp: wallClock(), trace: trace, slot)
            else { continue }
            member.session.queue(state: body, key: StateKey(type: .slots, value: slot.mid), at: now)
            markDirty(member)
        }
    }

    // MARK: Demand

    /// To the publisher's own socket; a session without one sends whatever it likes.
    private func demandChanged(_ demand: PublicationDemand, at now: Instant) {
        guard let owner = rooms[demand.room]?.state.publication(demand.publication)?.owner,
            let member = rooms[demand.room]?.members[owner.id],
            let told = member.link?.received(demand: demand, published: owner.publications)
        else { return }
        tell(told, member, at: now)
    }

    private func tell(_ demand: TrackDemand, _ member: Member, at now: Instant) {
        guard member.isLive, let body = EventBody(.demand, timestamp: wallClock(), demand) else { return }
        member.session.queue(state: body, key: StateKey(type: .demand, value: demand.tid), at: now)
        markDirty(member)
    }

    /// What a client that lost events has to know to send what is watched.
    func repeatDemands(to member: Member, at now: Instant) {
        let published = Set(member.room.state.participants[member.id]?.publications.map(\.id.rawValue) ?? [])
        for demand in member.link?.demands ?? [] where published.contains(demand.tid) {
            tell(demand, member, at: now)
        }
    }

    // MARK: Speakers

    private func speakersChanged(_ report: SpeakerReport, at now: Instant) {
        guard let room = rooms[report.room] else { return }
        let active = report.active.map { AudioLevels.Level(pid: $0.participant.rawValue, level: $0.level) }
        let speakers = Speakers(dominant: report.dominant?.rawValue, active: active)
        let known = room.speakers
        room.speakers = speakers
        room.conversation?.speak(
            Set(report.active.compactMap { room.state.participants[$0.participant]?.user }),
            at: now
        )
        if known?.dominant != speakers.dominant
            || Set(known?.active.map(\.pid) ?? []) != Set(speakers.active.map(\.pid))
        {
            tellState(room, .speakers, key: "", speakers, at: now)
        }
        guard !active.isEmpty || known?.active.isEmpty == false else { return }
        room.waitingLevels = AudioLevels(active: active)
        tellWaitingLevels(of: room, at: now)
    }
}

extension GatewayError {
    fileprivate init(_ refusal: Refusal) {
        switch refusal {
        case .full:
            self.init(.overloaded, "the server has as many media sessions as it may", retryAfterMs: 5000)
        case .unusable: self.init(.badRequest, "the offer's transport cannot be used")
        case .duplicate: self.init(.internal, "the media session exists already", retryAfterMs: 500)
        }
    }
}

extension LayerObject {
    init(_ layer: PublicationState.Layer) {
        self.init(
            rid: layer.rid,
            s: layer.spatialLayer,
            live: layer.live,
            width: layer.width,
            height: layer.height,
            fps: layer.framesPerSecond,
            kbps: layer.bitsPerSecond / 1000
        )
    }
}
