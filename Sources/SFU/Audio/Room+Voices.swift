// Loudest-N in a room: when it applies, who has a place, and the slots that follow at once. Levels come from
// Session+Voices; other reasons to deal slots are in Room+Slots.
import RTP
import Seam

extension Room {
    // MARK: The road

    /// An authentic packet of this publication says how loud it is. Returns whether it is heard.
    @inline(__always)
    func hear(_ publication: Publication, _ byte: UInt8, at now: Instant) -> Bool {
        guard !publication.isMuted else { return !voices.isActive }
        let isVoice = publication.voice.note(byte, at: now)
        if voices.isActive {
            switch voices.hear(&publication.voice, id: publication.ordinal, isVoice: isVoice, at: now) {
            case .notLoudest: guard publication.isChosen else { return false }
            case .holds: break
            case .reranked, .entered: reseat(with: publication)
            }
        }
        speakers.note(publication, byte, isVoice: isVoice, at: now)
        return true
    }

    // MARK: Places (control path)

    /// Finds out whether there are more voices than slots, and makes it so. Places hold one more than the most slots
    /// that anybody has, since nobody hears himself.
    func countVoices(at now: Instant) {
        var audience = RelayMessage.Audience()
        audience.chosen = chooseVoices()
        for member in members { audience.audioSlots = max(audience.audioSlots, member.audioSlotCount) }
        tell(audience)
        let most = max(audience.audioSlots, distantAudioSlots)
        let places = min(most + 1, Limits.Audio.places)
        var unmuted = 0
        for publication in ranking.audio where !publication.isMuted { unmuted += 1 }
        let was = voices.limit
        for publication in onStage where publication.isMuted { voices.release(publication.voice.place) }
        _ = voices.resize(to: unmuted > places ? places : 0)
        if voices.isActive && was == 0 { admitRecent(at: now) }
        if voices.limit != was || voices.count != onStage.count { reseat(with: nil) }
    }

    /// Those who spoke before there were places, the last ones first.
    private func admitRecent(at now: Instant) {
        let spoke = ranking.audio.filter { !$0.isMuted && $0.voice.lastVoiceAt > VoiceActivity.never }
        for publication in spoke.sorted(by: { $0.voice.lastVoiceAt > $1.voice.lastVoiceAt })
            .prefix(voices.limit)
        {
            voices.admit(&publication.voice, id: publication.ordinal, at: now)
            onStage.append(publication)
        }
    }

    /// Whoever names what it wants to hear hears it, loud or not. Returns what members here named.
    private func chooseVoices() -> [PublicationID] {
        var named: [PublicationID] = []
        for publication in ranking.audio { publication.isChosen = false }
        var left = Limits.Audio.chosenVoices
        func choose(_ publication: Publication) {
            guard publication.kind == .audio, !publication.isChosen, left > 0 else { return }
            publication.isChosen = true
            named.append(publication.id)
            left -= 1
        }
        for member in members {
            switch member.wishes.scope {
            case .all: break
            case .participant(let participant):
                for publication in ranking.byParticipant[participant] ?? [] { choose(publication) }
            case .none:
                for (id, isWanted) in member.wishes.overrides where isWanted {
                    if let publication = ranking.byID[id] { choose(publication) }
                }
            }
        }
        for id in distantlyChosen { ranking.byID[id]?.isChosen = true }
        return named
    }

    /// Mutes or leaves: the place is free at once.
    func silence(_ publication: Publication) {
        speakers.leave(publication)
        guard publication.voice.place >= 0 else { return }
        voices.release(publication.voice.place)
        reseat(with: nil)
    }

    /// Whether a member may be given a slot for this voice.
    func isHeard(_ publication: Publication, by member: Session) -> Bool {
        guard voices.isActive, publication.kind == .audio else { return true }
        if publication.voice.place >= 0 { return true }
        return publication.isChosen && member.wishes.scope != .all
    }

    // MARK: Slots

    /// The places changed: all slots follow before another packet is looked at.
    private func reseat(with newcomer: Publication?) {
        restage(with: newcomer)
        for member in members {
            if case .all = member.wishes.scope {
                seat(member)
            } else {
                deal(.audio, to: member)
                member.downlink.pointee.settle()
            }
        }
    }

    /// Brings `onStage` and the publications' places in line with `voices`.
    private func restage(with newcomer: Publication?) {
        let known = onStage
        for publication in known { publication.voice.place = -1 }
        onStage.removeAll(keepingCapacity: true)
        for rank in 0..<voices.count {
            let id = voices.id(rank: rank)
            let found = newcomer?.ordinal == id ? newcomer : known.first { $0.ordinal == id }
            guard let found else { continue }
            found.voice.place = voices.place(rank: rank)
            onStage.append(found)
        }
    }

    /// Gives a member's audio slots to the first of those who are heard. Who is among them keeps the slot; who
    /// comes back gets the one it had, if that is free.
    private func seat(_ member: Session) {
        guard voices.isActive else { return }
        let slots = member.downlink.pointee.slots
        let count = member.downlink.pointee.slotCount
        var left = member.audioSlotCount
        var chosen: UInt16 = 0
        for rank in 0..<onStage.count where left > 0 && member.wants(onStage[rank]) {
            chosen |= 1 << UInt16(rank)
            left -= 1
        }
        var hasChanged = false
        for i in 0..<count where slots[i].pointee.kind == .audio {
            guard let shown = slots[i].pointee.publication else { continue }
            let place = shown.voice.place
            let bit = place < 0 ? 0 : 1 << UInt16(voices.rank(of: place)) & chosen
            if bit == 0 {
                slots[i].pointee.unbind()
                hasChanged = true
            }
            chosen &= ~bit
        }
        while chosen != 0 {
            let publication = onStage[chosen.trailingZeroBitCount]
            chosen &= chosen - 1
            guard let slot = freeSlot(slots, count, for: publication) else { break }
            slot.pointee.bind(to: publication)
            aim(slot, at: publication, for: member)
            hasChanged = true
        }
        if hasChanged { member.downlink.pointee.settle() }
    }

    private func freeSlot(
        _ slots: UnsafeMutablePointer<UnsafeMutablePointer<SendStream>>,
        _ count: Int,
        for publication: Publication
    ) -> UnsafeMutablePointer<SendStream>? {
        var free: UnsafeMutablePointer<SendStream>?
        for i in 0..<count where slots[i].pointee.kind == .audio && !slots[i].pointee.isBound {
            if slots[i].pointee.lastShown == publication.ordinal { return slots[i] }
            if free == nil { free = slots[i] }
        }
        return free
    }
}
