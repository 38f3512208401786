// Offers and ICE restarts: one at a time per session, each with one outcome, whatever the media plane does.
// Must not know how an outcome travels back.
import Logging
import RTP
import SDP
import Seam
import Tracing

extension Gateway {
    typealias NegotiationReply = (Result<PendingOffer.Outcome, GatewayError>) -> Void

    /// Answers by `reply`, perhaps at once. Offers of a session wait for each other.
    func negotiate(
        _ member: Member,
        _ content: PendingOffer.Content,
        at now: Instant,
        reply: @escaping NegotiationReply
    ) {
        guard member.offers.count < Limits.Signaling.queuedOffers else {
            return reply(.failure(GatewayError(.rateLimited, "too many offers wait", retryAfterMs: 500)))
        }
        let trace = startNegotiation(member, content, at: now)
        member.offers.append(PendingOffer(content: content, trace: trace, reply: reply))
        startNextOffer(member, at: now)
    }

    private func startNextOffer(_ member: Member, at now: Instant) {
        guard member.negotiating == nil, !member.offers.isEmpty else { return }
        let pending = member.offers.removeFirst()
        member.negotiating = pending
        do throws(GatewayError) {
            let command: Command
            switch pending.content {
            case .offer(let offer, let tracks, let generation):
                command = try start(offer, tracks, generation, of: member, at: now)
            case .fragment(let credentials):
                guard let started = member.link?.offered(fragment: credentials, at: now) else {
                    throw GatewayError(.notFound, "the session has ended")
                }
                command = started
            }
            if case .restartICE = command { pending.trace?.attributes["sfu.ice.restart"] = true }
            if let link = member.link { negotiating[link.session] = member }
            guard order(command) else {
                throw GatewayError(.overloaded, "the media plane is busy", retryAfterMs: 1000)
            }
        } catch {
            finish(member, .failure(error), at: now)
        }
    }

    private func start(
        _ offer: Offer,
        _ tracks: [OfferedTrack],
        _ generation: UInt32?,
        of member: Member,
        at now: Instant
    ) throws(GatewayError) -> Command {
        let isOther = member.link.map { isAnotherPeer(generation, offer, than: $0) } ?? false
        if let known = member.link?.clientGeneration, let generation, generation < known {
            throw GatewayError(.conflict, "a newer PeerConnection has offered already")
        }
        let planner = planner(for: member.front, member.claims.grants, offer)
        var generator = SystemRandomNumberGenerator()
        let current = member.room.state.participants[member.id]?.publications ?? []
        var plan = try planner.plan(
            offer,
            tracks: tracks,
            current: current,
            previous: isOther ? [] : member.link?.media ?? [],
            using: &generator
        )
        plan.silence { publication in
            member.room.state.muteLocks.contains(member.claims.user, publication.source)
                || current.contains { $0.id == publication.id && $0.muted && $0.mutedBy != nil }
        }
        if isOther { dropLink(member) }
        if member.link == nil { makeLink(member, offer, generation, using: &generator) }
        let open = OpenSession(
            session: member.link?.session ?? member.sid,
            room: member.room.id,
            participant: member.id,
            user: member.claims.user,
            remote: offer.remote,
            receivesOwnUser: member.receivesOwnUser
        )
        guard let command = member.link?.offered(plan, open: open, at: now) else {
            throw GatewayError(.internal, "the session has no link")
        }
        return command
    }

    func planner(for front: Member.Front, _ grants: Grants, _ offer: Offer) -> NegotiationPlanner {
        var planner = NegotiationPlanner(
            grants: grants,
            videoCodecs: configuration.videoCodecs,
            makeID: { PublicationID(Self.makeName("tr_")) }
        )
        switch front {
        case .socket:
            break
        case .whip:
            // All or nothing (RFC 9725 §4.2), but for what is neither audio nor video: encoders offer data by habit.
            planner.requiresEverySection = offer.sections.allSatisfy { $0.kind.media != nil }
            planner.grants.subscribe = false
        case .whep:
            planner.grants.publish = []
        }
        return planner
    }

    /// Another PeerConnection of the client: it says so by `gen`, or shows another certificate.
    private func isAnotherPeer(_ generation: UInt32?, _ offer: Offer, than link: MediaLink) -> Bool {
        if let generation, let known = link.clientGeneration, generation > known { return true }
        return !link.isSamePeer(offer.remote)
    }

    private func makeLink(
        _ member: Member,
        _ offer: Offer,
        _ generation: UInt32?,
        using generator: inout SystemRandomNumberGenerator
    ) {
        member.links += 1
        member.askedSlots = 0
        // Nothing is on record with the new one.
        member.recorded = []
        // The first media session bears the signaling session's name.
        let name = member.links == 1 ? member.sid : SessionID("\(member.sid).\(member.links)")
        member.link = MediaLink(
            session: name,
            clientGeneration: generation,
            remote: offer.remote,
            sdpSession: generator.next() & UInt64(Int64.max),
            cname: name.rawValue
        )
        member.link?.maximumBitrates = configuration.maximumBitrates
        links[name] = member
    }

    /// Forgets the media session and closes it; its publications are re-bound or ended by the plan that follows.
    private func dropLink(_ member: Member) {
        guard let link = member.link else { return }
        links[link.session] = nil
        negotiating[link.session] = nil
        member.link = nil
        forgetQuality(of: member, at: clock())
        member.sentWishes = nil
        order(.close(link.session))
    }

    /// What had an m-section; announced tracks stay.
    func endPublications(of member: Member, byOwner: Bool, at now: Instant) {
        for publication in member.room.state.participants[member.id]?.publications ?? []
        where publication.mid != nil {
            member.room.state.remove(publication.id, byOwner: byOwner, at: now)
        }
    }

    /// The media session is over: whatever waits for it is told `error`.
    func endLink(_ member: Member, _ error: GatewayError) {
        guard let link = member.link else { return }
        links[link.session] = nil
        negotiating[link.session] = nil
        member.link = nil
        forgetQuality(of: member, at: clock())
        member.sentWishes = nil
        let waiting = [member.negotiating].compactMap { $0 } + member.offers
        member.negotiating = nil
        member.offers = []
        for pending in waiting {
            endNegotiation(member, pending, .failure(error), at: clock())
            pending.reply(.failure(error))
        }
        endTransportTraces(of: member, error.message, at: clock())
    }

    // MARK: What the media plane answers

    func received(_ answer: MediaLink.OnAnswer, _ member: Member, at now: Instant) {
        switch answer {
        case .ignored:
            break
        case .send(let command):
            guard order(command) else {
                return abandon(
                    member,
                    GatewayError(.overloaded, "the media plane is busy", retryAfterMs: 1000),
                    at: now
                )
            }
        case .agreed(let plan):
            causing(member.negotiating?.trace?.context, in: member.room.id) {
                finish(member, agreed(plan, member, at: now), at: now)
            }
        case .restarted:
            let outcome = member.link?.restartText().map {
                PendingOffer.Outcome(text: $0, revision: member.room.state.revision)
            }
            finish(
                member,
                outcome.map { .success($0) } ?? .failure(GatewayError(.internal, "no answer")),
                at: now
            )
        }
    }

    private func agreed(
        _ plan: NegotiationPlan,
        _ member: Member,
        at now: Instant
    ) -> Result<PendingOffer.Outcome, GatewayError> {
        let room = member.room
        for id in plan.ended { room.state.remove(id, byOwner: true, at: now) }
        var tracks: [TrackObject] = []
        var isOutdated = false
        for publication in plan.publications {
            guard let stored = store(publication, of: plan, member, at: now) else {
                isOutdated = true
                continue
            }
            if let object = room.state.participants[member.id]?.track(stored, for: member.id) {
                tracks.append(object)
            }
        }
        refreshWishes(of: member, at: now)
        askForSlots(member, at: now)
        if isOutdated { reconfigure(member) }
        guard let text = member.link?.answer(to: plan) else {
            return .failure(GatewayError(.internal, "the session has no answer"))
        }
        let slots = plan.negotiated.media.filter { $0.slot != nil }.map {
            Answering.Slot(mid: $0.mid, kind: $0.kind)
        }
        return .success(
            PendingOffer.Outcome(text: text, tracks: tracks, slots: slots, revision: room.state.revision)
        )
    }

    /// nil where a request ended the publication while the offer was in progress; such a request also outweighs
    /// what the offer said about muting.
    private func store(
        _ publication: Publication,
        of plan: NegotiationPlan,
        _ member: Member,
        at now: Instant
    ) -> Publication? {
        let room = member.room
        var stored = publication
        // What may be published can change while the offer is in progress.
        guard member.claims.grants.publish.contains(publication.source) else { return nil }
        guard let before = plan.before[publication.id] else {
            let new = room.state.put(stored, of: member.id, byOwner: true, at: now)
            if let new, new.muted != publication.muted { order(.mute(new.id, new.muted)) }
            return new
        }
        guard let current = room.state.publication(publication.id)?.publication else { return nil }
        if current.muted != before.muted || current.mutedBy != nil {
            stored.muted = current.muted
            order(.mute(stored.id, stored.muted))
        }
        stored.codec = current.codec
        stored.layers = current.layers
        stored.audio = current.audio
        stored.mutedBy = current.mutedBy
        stored.locked = current.locked
        stored.revision = current.revision
        let isMuteNew = stored.muted != current.muted
        var rest = stored
        rest.muted = current.muted
        if rest != current { return room.state.put(stored, of: member.id, byOwner: true, at: now) }
        guard isMuteNew, let changed = room.state.setMuted(stored.muted, stored.id) else { return current }
        tellMuted(changed, of: member, Origin(pid: member.id.rawValue, id: nil), at: now)
        return changed
    }

    private func finish(
        _ member: Member,
        _ result: Result<PendingOffer.Outcome, GatewayError>,
        at now: Instant
    ) {
        if let link = member.link { negotiating[link.session] = nil }
        guard let pending = member.negotiating else { return }
        member.negotiating = nil
        if case .failure = result, member.link?.isIdle == false { member.link?.gaveUp() }
        if case .failure = result, let link = member.link, link.isNew {
            // Nothing came of the session: the next offer opens another one, and what the one before it carried is
            // kept for that.
            dropLink(member)
            member.mediaLostAt = member.mediaLostAt ?? now
        }
        endNegotiation(member, pending, result, at: now)
        pending.reply(result)
        startNextOffer(member, at: now)
    }

    /// The negotiation in progress fails; the session goes on as it was.
    func abandon(_ member: Member, _ error: GatewayError, at now: Instant) {
        member.logger.warning("negotiation failed", metadata: ["error": "\(error.code.rawValue)"])
        finish(member, .failure(error), at: now)
    }

    func mediaDidNotAnswer(_ member: Member, at now: Instant) {
        abandon(
            member,
            GatewayError(.notReady, "the media plane did not answer", retryAfterMs: 1000),
            at: now
        )
    }

    /// What is published has changed without an offer.
    func reconfigure(_ member: Member) {
        guard let link = member.link, !link.isNew else { return }
        order(link.reconfigured(member.room.state.participants[member.id]?.publications ?? []))
    }
}

extension Member {
    /// Who asks for a participant by name gets it, its own included.
    var receivesOwnUser: Bool {
        if case .whep(of: .some) = front { return true }
        return claims.grants.receivesOwnUser
    }
}
