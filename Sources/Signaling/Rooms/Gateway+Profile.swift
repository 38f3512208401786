// What participants say about themselves, what the room says about itself, and the roster by pages.
// Must not know who may ask, nor how the outcome travels back.
import NIOCore
import RTP
import Seam

extension Gateway {
    // MARK: Oneself

    /// Throws `.notFound` where the participant is in nobody's roster because it waits.
    func updateProfile(_ update: UpdateMe, of member: Member, byOwner: Bool, at now: Instant)
        throws(GatewayError) -> ParticipantObject
    {
        try Checked.name(update.name, "name")
        let attributes = member.claims.attributes.merging(update.attrs ?? [:])
        try Checked.attributes(attributes, "attrs")
        member.claims.name = update.name ?? member.claims.name
        member.claims.attributes = attributes
        let name = member.claims.name
        let participant = member.room.state.update(member.id, byOwner: byOwner, at: now) {
            $0.name = name
            $0.attributes = attributes
        }
        return try object(participant, of: member, byOwner: byOwner)
    }

    func raiseHand(_ raised: Bool, of member: Member, byOwner: Bool, at now: Instant)
        throws(GatewayError) -> ParticipantObject
    {
        let time = wallClock()
        let participant = member.room.state.update(member.id, byOwner: byOwner, at: now) {
            $0.hand = raised ? $0.hand ?? time : nil
        }
        return try object(participant, of: member, byOwner: byOwner)
    }

    private func object(_ participant: Participant?, of member: Member, byOwner: Bool)
        throws(GatewayError) -> ParticipantObject
    {
        guard let participant else { throw GatewayError(.notReady, "waits to be admitted") }
        return participant.object(for: byOwner ? member.id : nil)
    }

    func react(_ reaction: React, by member: Member, at now: Instant) throws(GatewayError) {
        let size = reaction.emoji.utf8.count
        guard size > 0, size <= Limits.Rooms.reactionBytes,
            !reaction.emoji.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F })
        else { throw GatewayError(.badRequest, "emoji has 1 to \(Limits.Rooms.reactionBytes) bytes") }
        guard !member.claims.grants.hidden else {
            throw GatewayError(.forbidden, "nobody sees this participant")
        }
        var bucket =
            member.conduct.reactions
            ?? TokenBucket(
                perSecond: Limits.Rooms.reactionsPerSecond,
                burst: Limits.Rooms.reactionBurst,
                at: now
            )
        let verdict = bucket.take(at: now)
        member.conduct.reactions = bucket
        guard verdict == .accept else {
            throw GatewayError(.rateLimited, "too many reactions", retryAfterMs: 1000)
        }
        let event = Reaction(
            pid: member.id.rawValue,
            uid: member.claims.user.rawValue,
            emoji: reaction.emoji
        )
        guard let body = EventBody(.reaction, timestamp: wallClock(), event) else { return }
        for other in member.room.members.values where other.hears && other !== member {
            other.session.queue(ephemeral: body, at: now)
            markDirty(other)
        }
    }

    // MARK: The roster

    /// In the order in which they joined.
    func rosterPage(_ query: RosterQuery, of room: Room) throws(GatewayError) -> RosterPage {
        let limit = query.limit ?? Limits.Rooms.rosterPageDefault
        guard (1...Limits.Rooms.rosterPage).contains(limit) else {
            throw GatewayError(.badRequest, "limit is from 1 to \(Limits.Rooms.rosterPage)")
        }
        var after: UInt64 = 0
        if let text = query.after {
            guard let order = UInt64(text) else {
                throw GatewayError(.badRequest, "after is no cursor of this server")
            }
            after = order
        }
        let matching = room.state.visible.filter { query.filter?.matches($0) ?? true }
        let rest = matching.filter { $0.order > after }
        var page: [ParticipantObject] = []
        var last: UInt64 = after
        var bytes = 0
        for participant in rest.prefix(limit) {
            let object = participant.object()
            bytes += OutboundText.json(object)?.readableBytes ?? 0
            if bytes > Limits.Rooms.rosterPageBytes, !page.isEmpty { break }
            page.append(object)
            last = participant.order
        }
        return RosterPage(
            participants: page,
            next: page.count < rest.count ? "\(last)" : nil,
            total: matching.count,
            rev: room.state.revision
        )
    }
}

extension RosterQuery.Filter {
    fileprivate func matches(_ participant: Participant) -> Bool {
        if let uid, uid != participant.user.rawValue { return false }
        if let role, role != participant.role { return false }
        if let hand, hand != (participant.hand != nil) { return false }
        if let source, !participant.publications.contains(where: { $0.mid != nil && $0.source == source }) {
            return false
        }
        guard let name else { return true }
        return (participant.name ?? "").lowercased().contains(name.lowercased())
    }
}
