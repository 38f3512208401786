// Who is dealt to and when: everybody, some members at a time, where what is published or how it ranks changed; one
// member, where only he changed. What a member is dealt is decided in Room+Slots.
import RTP
import Seam

extension Room {
    /// Somebody is to be dealt to.
    var isChanged: Bool { needsDealing || !changedMembers.isEmpty }

    /// What this member wants or can get changed, and nothing for anybody else.
    func dealAgain(to member: Session) {
        if !changedMembers.contains(where: { $0 === member }) { changedMembers.append(member) }
    }

    /// The same, and it may want less than before.
    func wishesChanged(of member: Session, from old: Wishes) {
        guard member.wishes != old else { return }
        if old.scope != .all { hearsLess = true }
        dealAgain(to: member)
    }

    /// Its wishes count no more.
    func wantsNothing(_ member: Session) {
        if member.hasVideoSlots { wantsLess = true }
        if member.audioSlotCount > 0 { hearsLess = true }
    }

    /// What members want less since the last look.
    func recount(at now: Instant) {
        if hearsLess {
            // Only so many may be named: there may be room for what somebody else named.
            if voices.isActive && ranking.audio.contains(where: \.isChosen) { needsDealing = true }
            countVoices(at: now)
        }
        if wantsLess { countDemand(at: now) }
        hearsLess = false
        wantsLess = false
    }

    /// Deals to whom it must; where that is everybody, to some of them.
    func deal(at now: Instant, events: inout [Event]) {
        for member in changedMembers where !needsDealing {
            if changesVoices(member) {
                needsDealing = true
            } else {
                dealAlone(to: member, at: now, events: &events)
            }
        }
        if needsDealing && !isDealing {
            needsDealing = false
            isDealing = true
            dealt = 0
            capsFrameRates = false
            countVoices(at: now)
            ranking.sort(recent: speakers.recent, at: now)
        }
        changedMembers.removeAll(keepingCapacity: true)
        guard isDealing else { return }
        let end = min(dealt + Limits.Media.membersPerDeal, members.count)
        while dealt < end {
            deal(to: members[dealt], at: now)
            report(members[dealt], at: now, events: &events)
            dealt += 1
        }
        isDealing = dealt < members.count
        guard !isDealing else { return }
        countDemand(at: now)
        reportDemand(of: ranking.video, at: now, events: &events)
    }

    private func dealAlone(to member: Session, at now: Instant, events: inout [Event]) {
        deal(to: member, at: now)
        report(member, at: now, events: &events)
        guard member.hasVideoSlots else { return }
        // What it wants more is asked for at once, what it wants less is found at the next look.
        wantsLess = true
        reportDemand(of: addDemand(of: member, at: now), at: now, events: &events)
    }

    /// Whether others may hear something else because of this member: it has more slots than anybody, or names a
    /// voice that nobody named.
    private func changesVoices(_ member: Session) -> Bool {
        if member.audioSlotCount > countedAudioSlots { return true }
        func isNew(_ publication: Publication) -> Bool { publication.kind == .audio && !publication.isChosen }
        switch member.wishes.scope {
        case .all: return false
        case .participant(let participant):
            return ranking.byParticipant[participant]?.contains(where: isNew) ?? false
        case .none:
            return member.wishes.overrides.contains { id, isWanted in
                isWanted && ranking.byID[id].map(isNew) ?? false
            }
        }
    }
}
