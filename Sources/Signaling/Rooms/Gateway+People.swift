// Requests of what people do in a room: who may ask, then the function that does it, then the response.
// Must not know how any of it is done.
import RTP
import Seam

extension Gateway {
    /// False where `type` is none of these.
    func executePeople(
        _ type: ClientMessage,
        _ envelope: InboundEnvelope,
        from member: Member,
        _ id: UInt64?,
        at now: Instant
    ) throws(GatewayError) -> Bool {
        switch type {
        case .updateMe:
            let update = try envelope.payload(as: UpdateMe.self)
            let object = try updateProfile(update, of: member, byOwner: true, at: now)
            respond(member, id, ParticipantResult(participant: object), at: now)
        case .hand:
            let raised = try envelope.payload(as: RaiseHand.self).raised
            let object = try raiseHand(raised, of: member, byOwner: true, at: now)
            respond(member, id, ParticipantResult(participant: object), at: now)
        case .reaction:
            try react(try envelope.payload(), by: member, at: now)
            respond(member, id, Done(), at: now)
        case .rosterPage:
            respond(member, id, try rosterPage(try envelope.payload(), of: member.room), at: now)
        case .sendData:
            let receipt = try sendData(try envelope.payload(), from: member, id, at: now)
            respond(member, id, receipt, at: now)
        case .diagnose:
            respond(member, id, try diagnose(try envelope.payload(), for: member, at: now), at: now)
        case .reportDiagnosis:
            try record(try envelope.payload(as: DiagnosisReport.self), of: member)
        default:
            return try executeModeration(type, envelope, from: member, id, at: now)
        }
        return true
    }

    private func executeModeration(
        _ type: ClientMessage,
        _ envelope: InboundEnvelope,
        from member: Member,
        _ id: UInt64?,
        at now: Instant
    ) throws(GatewayError) -> Bool {
        let room = member.room
        func mayModerate() throws(GatewayError) {
            guard member.moderates else {
                throw GatewayError(.forbidden, "the token does not allow to moderate")
            }
        }
        let by = Moderator(participant: member.id)
        switch type {
        case .updateRoom:
            try mayModerate()
            let update = try envelope.payload(as: UpdateRoom.self)
            let object = try setRoom(room, by: by, at: now) { settings throws(GatewayError) in
                settings.meta = settings.meta.merging(update.meta ?? [:])
            }
            respond(member, id, RoomResult(room: object), at: now)
        case .lock:
            try mayModerate()
            let lock = try envelope.payload(as: LockRoom.self)
            let object = try setRoom(room, by: by, at: now) { settings throws(GatewayError) in
                settings.locked = lock.locked
                settings.lobby = lock.lobby ?? settings.lobby
            }
            respond(member, id, RoomResult(room: object), at: now)
        case .spotlight:
            try mayModerate()
            let pid = try envelope.payload(as: Spotlight.self).pid
            respond(member, id, RoomResult(room: try spotlight(pid, in: room, by: by, at: now)), at: now)
        case .forceMute:
            try mayModerate()
            let tracks = try forceMute(try envelope.payload(), in: room, by: by, at: now)
            respond(member, id, TracksResult(tracks: tracks), at: now)
        case .askToUnmute:
            try mayModerate()
            respond(member, id, try askToUnmute(try envelope.payload(), in: room, by: by, at: now), at: now)
        case .kick:
            try mayModerate()
            respond(member, id, try kick(try envelope.payload(), in: room, by: by, at: now), at: now)
        case .changeRole:
            try mayModerate()
            respond(member, id, try changeRole(try envelope.payload(), in: room, by: by, at: now), at: now)
        case .stopShare:
            try mayModerate()
            let pid = try envelope.payload(as: StopShare.self).pid
            respond(member, id, try stopShare(pid, in: room, by: by, at: now), at: now)
        case .admit:
            try mayModerate()
            respond(member, id, try admit(try envelope.payload(), in: room, by: by, at: now), at: now)
        default:
            return false
        }
        return true
    }
}

extension ClientMessage {
    /// What somebody may ask who waits to be admitted.
    var worksWhileWaiting: Bool {
        switch self {
        case .hello, .ack, .ping, .leave, .candidate, .refresh, .diagnose, .reportDiagnosis: true
        default: false
        }
    }
}
