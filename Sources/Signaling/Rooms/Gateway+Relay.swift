// Messages of the application between participants: whom they reach, in which class, and exactly once.
// Must not know what they say.
import NIOCore
import RTP
import Seam

/// Who sends through the relay.
struct RelaySender: Sendable {
    /// nil: the server.
    var participant: ParticipantID?
    var user: UserID?
    /// The same for the same device of a user after it joined anew.
    var key: String

    static let server = RelaySender(participant: nil, user: nil, key: "server")

    init(participant: ParticipantID?, user: UserID?, key: String) {
        self.participant = participant
        self.user = user
        self.key = key
    }

    init(_ member: Member) {
        self.init(
            participant: member.id,
            user: member.claims.user,
            key: "\(member.claims.user)\n\(member.device ?? member.id.rawValue)"
        )
    }
}

extension Gateway {
    func sendData(_ data: SendData, from member: Member, _ id: UInt64?, at now: Instant)
        throws(GatewayError) -> DataReceipt
    {
        guard member.claims.grants.data else {
            throw GatewayError(.forbidden, "the token does not allow to send data")
        }
        let size = try check(data)
        let sender = RelaySender(member)
        if let mid = data.mid, let known = member.room.relay.receipt(of: mid, sender: sender.key, at: now) {
            return known.again
        }
        var meter = member.conduct.relayMeter ?? RelayMeter(at: now)
        let isAllowed = meter.allows(bytes: size, at: now)
        member.conduct.relayMeter = meter
        guard isAllowed else {
            throw GatewayError(.rateLimited, "too much data at once", retryAfterMs: 1000)
        }
        return try relay(
            data,
            from: sender,
            isReliable: data.reliable ?? (id != nil),
            in: member.room,
            at: now
        )
    }

    /// Bytes of the payload.
    private func check(_ data: SendData) throws(GatewayError) -> Int {
        func name(_ text: String, _ field: String) throws(GatewayError) {
            guard !text.isEmpty, text.utf8.count <= Limits.Relay.nameBytes else {
                throw GatewayError(.badRequest, "\(field) has 1 to \(Limits.Relay.nameBytes) bytes")
            }
        }
        try name(data.topic, "topic")
        if let mid = data.mid { try name(mid, "mid") }
        guard data.to?.count ?? 0 <= Limits.Relay.receivers else {
            throw GatewayError(.tooLarge, "at most \(Limits.Relay.receivers) receivers")
        }
        guard let size = OutboundText.json(data.payload)?.readableBytes else {
            throw GatewayError(.badRequest, "the payload cannot be written")
        }
        guard size <= Limits.Relay.payloadBytes else {
            throw GatewayError(.tooLarge, "a payload has at most \(Limits.Relay.payloadBytes) bytes")
        }
        return size
    }

    /// Sends once: the same `mid` of the same sender is answered with what came of the first.
    func relay(
        _ data: SendData,
        from sender: RelaySender,
        isReliable: Bool,
        in room: Room,
        at now: Instant
    ) throws(GatewayError) -> DataReceipt {
        _ = try check(data)
        if let mid = data.mid, let known = room.relay.receipt(of: mid, sender: sender.key, at: now) {
            return known.again
        }
        let mid = data.mid ?? Self.makeName("m_")
        let sequence = isReliable ? room.relay.nextSequence : nil
        func body(isOwn: Bool) throws(GatewayError) -> EventBody {
            let event = RelayedData(
                from: sender.participant?.rawValue,
                uid: sender.user?.rawValue,
                topic: data.topic,
                mid: mid,
                payload: data.payload,
                relaySeq: sequence,
                self: isOwn ? true : nil
            )
            let revision = isReliable ? room.state.revision : nil
            guard var body = EventBody(.data, revision: revision, timestamp: wallClock(), event) else {
                throw GatewayError(.badRequest, "the payload cannot be written")
            }
            body.relaySequence = sequence
            return body
        }
        let hasOthers = sender.user.map { room.state.users[$0]?.count ?? 0 > 1 } ?? false
        let message = RelayLog.Message(
            sequence: sequence ?? 0,
            sender: sender.participant,
            user: sender.user,
            audience: audience(data.to, in: room),
            body: try body(isOwn: false),
            copy: hasOthers || isReliable && sender.user != nil ? try body(isOwn: true) : nil,
            at: now
        )
        if isReliable { room.relay.append(message) }
        let receipt = DataReceipt(
            mid: mid,
            accepted: true,
            deliveredTo: deliver(message, isReliable: isReliable, in: room, at: now),
            relaySeq: sequence
        )
        if isReliable { room.relay.remember(receipt, sender: sender.key, at: now) }
        return receipt
    }

    private func audience(_ to: [String]?, in room: Room) -> RelayLog.Audience {
        guard let to else { return .everybody }
        var participants: Set<ParticipantID> = []
        var users: Set<UserID> = []
        for name in to {
            if room.members[ParticipantID(name)] != nil {
                participants.insert(ParticipantID(name))
            } else {
                users.insert(UserID(name))
            }
        }
        return .some(participants, users)
    }

    private func deliver(_ message: RelayLog.Message, isReliable: Bool, in room: Room, at now: Instant) -> Int
    {
        var count = 0
        for member in room.members.values where member.hears {
            guard let body = message.body(for: member.id, of: member.claims.user) else { continue }
            if isReliable {
                member.session.queue(critical: body, at: now)
            } else {
                member.session.queue(ephemeral: body, at: now)
            }
            markDirty(member)
            count += 1
        }
        return count
    }

    // MARK: Catching up

    /// What of the relay a member has missed, as a snapshot or delta reports it, and the messages that follow it as
    /// critical events; nil where it has them all.
    func missedRelay(of member: Member, at now: Instant) -> (report: RelayReport, messages: [EventBody])? {
        let room = member.room
        let known = max(member.session.log.acknowledgedRelay, member.conduct.relayAtJoin)
        guard !member.isWaiting else { return nil }
        let missed = room.relay.since(known, for: member.id, of: member.claims.user, at: now)
        let isUnknown = member.conduct.mayMissRelay
        member.conduct.mayMissRelay = false
        guard !missed.messages.isEmpty || missed.lost > 0 || isUnknown else { return nil }
        let report = RelayReport(
            from: known,
            to: max(known, room.relay.lastSequence),
            lost: missed.lost,
            unknown: isUnknown ? true : nil
        )
        return (report, missed.messages)
    }
}

extension DataReceipt {
    fileprivate var again: DataReceipt {
        var receipt = self
        receipt.duplicate = true
        return receipt
    }
}
