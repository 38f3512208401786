// What of the gateway's work goes into timelines and totals, and how they are read. Always on, with or without traces.
// Must not know HTTP.
import RTP
import Seam

extension Gateway {
    /// First frames, and changes of what is shown.
    func noteLayer(_ member: Member, _ state: SlotState, before: SlotObject?, at now: Instant) {
        guard
            let slot = member.link?.media.filter({ $0.kind == .video }).firstIndex(where: {
                $0.mid == state.mid
            })
        else { return }
        let isSame =
            before?.tid == state.publication?.rawValue && before?.layer?.s == state.spatialLayer
            && before?.layer?.t == state.temporalLayer && before?.reason == state.reason
        guard !isSame, state.publication != nil || before?.tid != nil else { return }
        if state.spatialLayer != nil, before?.layer == nil || before?.tid != state.publication?.rawValue {
            member.timeline.note(.firstFrame(slot: slot), at: now)
        }
        member.timeline.note(
            .layer(
                slot: slot,
                spatial: state.spatialLayer,
                temporal: state.temporalLayer,
                reason: state.reason
            ),
            at: now
        )
    }

    /// Keeps the timeline of a member that leaves.
    func archive(_ member: Member, _ reason: LeaveReason, at now: Instant) {
        member.timeline.note(.left(reason), at: now)
        timelines.keep(
            TimelineArchive.Ended(
                room: member.room.id,
                report: TimelineReport.Session(member, ended: true),
                participant: member.id
            )
        )
        if !member.isViewer { member.room.conversation?.left(member.claims.user, at: now) }
    }

    /// A member has entered, or was rebuilt.
    func noteEntered(_ member: Member, at now: Instant) {
        let room = member.room
        if room.conversation == nil { room.conversation = Conversation(at: now) }
        if !member.isViewer { room.conversation?.joined(member.claims.user, at: now) }
    }

    /// What happened to a participant, also to one that has left; nil where nothing is known.
    public func timeline(of participant: ParticipantID, in room: RoomID) -> TimelineReport? {
        var sessions = timelines.timelines(of: participant, in: room)
        if let member = rooms[room]?.members[participant] {
            sessions.append(TimelineReport.Session(member, ended: false))
        }
        guard !sessions.isEmpty else { return nil }
        return TimelineReport(room: room.rawValue, pid: participant.rawValue, sessions: sessions)
    }

    /// The totals of a call that is going on.
    public func conversation(in room: RoomID) -> ConversationSummary? {
        rooms[room]?.conversation?.summary(at: clock())
    }
}

extension TimelineReport.Session {
    init(_ member: Member, ended: Bool) {
        self.init(
            uid: member.claims.user.rawValue,
            joinedAt: member.joinedAtWall,
            ended: ended,
            resumes: member.resumes,
            entries: member.timeline.entries.map { TimelineReport.Entry($0, since: member.joinedAt) },
            dropped: member.timeline.dropped
        )
    }
}

extension Member {
    var timelineFront: TimelineEvent.Front {
        switch front {
        case .socket: .socket
        case .whip: .whip
        case .whep: .whep
        }
    }
}
