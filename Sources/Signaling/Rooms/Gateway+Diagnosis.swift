// "Why don't I hear Bob": what the server knows of a session and of each step from a source to it, and the first step
// that fails as a verdict. Must not change anything.
import Logging
import RTP
import Seam

extension Gateway {
    func diagnose(_ question: Diagnose, for member: Member, at now: Instant) throws(GatewayError) -> Diagnosis
    {
        var chain = DiagnosisChain()
        if question.tid != nil || question.pid != nil {
            walk(question, for: member, &chain, at: now)
        } else {
            examineOwn(member, &chain)
            examineQuality(of: member, &chain)
        }
        let isNamed = question.tid != nil || question.pid != nil
        return Diagnosis(
            signal: Diagnosis.Signal(member.session, resumes: member.resumes),
            media: member.link.map { Diagnosis.Media($0) },
            slots: member.link.map { $0.slots.values.sorted { $0.mid < $1.mid } } ?? [],
            permissions: member.permissions,
            chain: isNamed ? chain.steps : [],
            verdict: chain.verdict
        )
    }

    /// Counted, and in the log as far as one session may fill it.
    func record(_ report: DiagnosisReport, of member: Member) throws(GatewayError) {
        try Checked.text(report.note, "note")
        statistics.diagnosisReports += 1
        member.conduct.reports += 1
        guard member.conduct.reports <= Limits.Rooms.loggedReports else { return }
        var metadata: Logger.Metadata = [:]
        metadata["lastSeq"] = report.lastSeq.map { "\($0)" }
        metadata["gaps"] = report.gaps.map { "\($0)" }
        metadata["resumes"] = report.resumes.map { "\($0)" }
        metadata["timeToResumeMs"] = report.timeToResumeMs.map { "\($0)" }
        metadata["note"] = report.note.map { "\($0.filter { !$0.isNewline })" }
        member.logger.info("diagnosis of the client", metadata: metadata)
    }

    // MARK: The chain

    private func walk(
        _ question: Diagnose,
        for member: Member,
        _ chain: inout DiagnosisChain,
        at now: Instant
    ) {
        guard let (owner, source) = find(question, in: member.room, &chain) else { return }
        let name = owner.claims.name ?? owner.claims.user.rawValue
        chain.check(
            "permission",
            member.claims.grants.subscribe,
            .notAllowed,
            "You are not allowed to receive anything in this room."
        )
        let isOwn = owner.claims.user == member.claims.user
        chain.check(
            "ownUser",
            !isOwn || member.receivesOwnUser,
            .ownUser,
            "This is your own \(source.rawValue), or another device of yours: nobody receives their own media."
        )
        guard let publication = published(question, by: owner, source) else {
            chain.fail("published", .notPublishing, "\(name) does not publish a \(source.rawValue).")
            return
        }
        chain.pass("published", publication.id.rawValue)
        checkSender(publication, of: owner, name, &chain)
        checkReceiver(publication, from: owner, name, for: member, &chain)
        checkQuality(of: owner, name, &chain)
        examineQuality(of: member, &chain)
    }

    private func find(_ question: Diagnose, in room: Room, _ chain: inout DiagnosisChain)
        -> (owner: Member, source: Source)?
    {
        if let tid = question.tid {
            guard let (participant, publication) = room.state.publication(PublicationID(tid)),
                let owner = room.members[participant.id]
            else {
                chain.fail("room", .notPublishing, "This track is not published any more.")
                return nil
            }
            chain.pass("room", owner.id.rawValue)
            return (owner, publication.source)
        }
        guard let pid = question.pid, let owner = room.members[ParticipantID(pid)], !owner.isViewer,
            !owner.claims.grants.hidden
        else {
            chain.fail("room", .notInRoom, "This participant is not in the room.")
            return nil
        }
        guard !owner.isWaiting else {
            chain.fail("room", .waiting, "This participant waits to be admitted.")
            return nil
        }
        chain.pass("room", owner.id.rawValue)
        return (owner, question.source ?? .mic)
    }

    private func published(_ question: Diagnose, by owner: Member, _ source: Source) -> Publication? {
        owner.room.state.participants[owner.id]?.publications.first { publication in
            guard publication.mid != nil else { return false }
            return question.tid.map { $0 == publication.id.rawValue } ?? (publication.source == source)
        }
    }

    private func checkSender(
        _ publication: Publication,
        of owner: Member,
        _ name: String,
        _ chain: inout DiagnosisChain
    ) {
        let transport = owner.link?.transport ?? .new
        chain.check(
            "senderTransport",
            transport == .connected,
            .senderNotConnected,
            "\(name) is not connected: its media transport is \(transport.rawValue).",
            detail: transport.rawValue
        )
        if publication.muted, let by = publication.mutedBy {
            let how = publication.locked ? "muted and locked" : "muted"
            chain.fail("muted", .mutedByModerator, "A moderator \(how) this track of \(name).", detail: by)
        } else {
            chain.check("muted", !publication.muted, .muted, "\(name) is muted.")
        }
        let layers = publication.kind == .audio ? publication.audio.map { [$0] } : publication.layers
        let live = layers?.filter(\.live) ?? []
        let rate = live.reduce(0) { $0 + Int($1.kbps) }
        chain.check(
            "arrives",
            publication.codec != nil && !live.isEmpty,
            .nothingArrives,
            publication.codec == nil
                ? "Nothing of \(name)'s \(publication.source.rawValue) has reached the server yet."
                : "Nothing of \(name)'s \(publication.source.rawValue) reaches the server now.",
            detail: "\(live.count) of \(layers?.count ?? 0) layers live, \(rate) kbit/s at the last report"
        )
    }

    private func checkReceiver(
        _ publication: Publication,
        from owner: Member,
        _ name: String,
        for member: Member,
        _ chain: inout DiagnosisChain
    ) {
        examineOwn(member, &chain)
        chain.check(
            "subscribed",
            member.sentWishes.map { $0.wants(publication.id, of: owner.id) } ?? false,
            .unsubscribed,
            "You have switched this off, or have not negotiated yet."
        )
        let slots = member.link?.slots.values.filter { $0.kind == publication.kind } ?? []
        guard let slot = slots.first(where: { $0.tid == publication.id.rawValue }) else {
            let isHeard = member.room.speakers?.active.contains { $0.pid == owner.id.rawValue } ?? false
            if publication.kind == .audio, !isHeard {
                chain.fail("slot", .notHeard, "\(name) is silent, or others are louder.")
            } else {
                let count = member.link?.slotCount(publication.kind) ?? 0
                chain.fail("slot", .noSlot, "All \(count) receive sections show something else.")
            }
            return
        }
        chain.pass("slot", slot.mid)
        chain.check(
            "paused",
            !slot.paused,
            .paused,
            slot.reason == .bandwidth
                ? words(for: slot, of: publication, member)
                : "The server sends nothing of it at the moment: \(slot.reason.words).",
            detail: slot.reason.rawValue
        )
        guard publication.kind == .video, !slot.paused else { return }
        let words = words(for: slot, of: publication, member)
        chain.check("layer", slot.reason != .bandwidth, .bandwidth, words, detail: words)
    }

    /// "360p: your downlink is about 620 kbit/s, 4 % loss; 720p needs about 1 900 kbit/s."
    private func words(for slot: SlotObject, of publication: Publication, _ member: Member) -> String {
        let shown = slot.paused ? 0 : slot.layer?.height ?? 0
        guard slot.reason == .bandwidth else {
            return shown > 0 ? "\(shown)p: \(slot.reason.words)" : slot.reason.words
        }
        let heights = (publication.layers ?? []).filter(\.live).map(\.height)
        return QualityWords.layer(
            shown: shown,
            better: heights.filter { $0 > shown }.min() ?? 0,
            needed: (slot.neededKbps ?? 0) * 1000,
            available: (slot.availableKbps ?? 0) * 1000,
            down: member.link?.quality.down
        )
    }

    /// Of others no figures are told, but what is wrong.
    private func checkQuality(of owner: Member, _ name: String, _ chain: inout DiagnosisChain) {
        guard let up = owner.link?.quality.up else { return }
        let reason = up.reason.rawValue
        chain.check(
            "senderQuality",
            up.score >= Self.poorScore,
            .poorSender,
            "What \(name) sends reaches the server poorly (\(reason)).",
            detail: up.reason == .none ? nil : reason
        )
    }

    private func examineQuality(of member: Member, _ chain: inout DiagnosisChain) {
        guard let quality = member.link?.quality else { return }
        for (step, direction, isUp) in [
            ("ownDownlink", quality.down, false), ("ownUplink", quality.up, true),
        ] {
            guard let direction else { continue }
            let words = QualityWords.sentence(direction, isUp: isUp)
            chain.check(
                step,
                direction.score >= Self.poorScore,
                isUp ? .poorUplink : .poorDownlink,
                words,
                detail: words
            )
        }
    }

    /// Tenths: three points are fair.
    private static let poorScore: UInt8 = 30

    private func examineOwn(_ member: Member, _ chain: inout DiagnosisChain) {
        chain.check(
            "signal",
            !member.session.needsSnapshot,
            .slow,
            "Your signaling connection is too slow for what happens in the room."
        )
        guard let link = member.link, !link.isNew else {
            chain.fail("ownTransport", .noMedia, "You have no media connection to the server yet.")
            return
        }
        chain.check(
            "ownTransport",
            link.transport == .connected,
            .notConnected,
            "Your media connection is \(link.transport.rawValue).",
            detail: link.transport.rawValue
        )
    }
}

/// Steps in order; the first that fails is the verdict.
private struct DiagnosisChain {
    private(set) var steps: [Diagnosis.Step] = []
    private(set) var verdict = Diagnosis.Verdict(
        code: .ok,
        text: "Everything is as it should be as far as the server can see."
    )

    mutating func pass(_ step: String, _ detail: String? = nil) {
        steps.append(Diagnosis.Step(step: step, ok: true, detail: detail))
    }

    mutating func fail(_ step: String, _ code: VerdictCode, _ text: String, detail: String? = nil) {
        steps.append(Diagnosis.Step(step: step, ok: false, detail: detail))
        if verdict.code == .ok { verdict = Diagnosis.Verdict(code: code, text: text) }
    }

    mutating func check(
        _ step: String,
        _ isFine: Bool,
        _ code: VerdictCode,
        _ text: String,
        detail: String? = nil
    ) {
        if isFine { pass(step, detail) } else { fail(step, code, text, detail: detail) }
    }
}

extension Diagnosis.Signal {
    init(_ session: SignalSession, resumes: Int) {
        self.init(
            seq: session.lastSequence,
            ack: session.acknowledged,
            waiting: session.waitingCount,
            waitingState: session.stateCount,
            waitingEphemeral: session.ephemeralCount,
            unacknowledged: session.criticalCount,
            unacknowledgedBytes: session.criticalBytes,
            unanswered: session.unanswered,
            shed: Dictionary(uniqueKeysWithValues: session.shed.map { ($0.key.rawValue, $0.value) }),
            overflows: session.overflows,
            badFrames: session.badFrames,
            resumes: resumes
        )
    }
}

extension Diagnosis.Media {
    init(_ link: MediaLink) {
        self.init(
            transport: link.transport,
            gen: link.clientGeneration,
            negotiating: !link.isIdle,
            audioSlots: link.slotCount(.audio),
            videoSlots: link.slotCount(.video),
            up: link.quality.up.map { ParticipantQuality.Direction($0, isUp: true) },
            down: link.quality.down.map { ParticipantQuality.Direction($0, isUp: false) }
        )
    }
}

extension Wishes {
    func wants(_ publication: PublicationID, of owner: ParticipantID) -> Bool {
        if let isOn = overrides[publication] { return isOn }
        return switch scope {
        case .all: true
        case .none: false
        case .participant(let id): id == owner
        }
    }
}

extension SlotState.Reason {
    /// For people.
    fileprivate var words: String {
        switch self {
        case .none: "nothing limits it"
        case .bandwidth: "your connection has no room for it"
        case .viewport: "the tile is too small"
        case .publisher: "the sender sends nothing"
        case .keyframe: "a full picture is awaited"
        case .hidden: "the tile is not visible"
        case .unsubscribed: "you have switched it off"
        case .muted: "the sender is muted"
        case .codec: "your device cannot decode it"
        }
    }
}
