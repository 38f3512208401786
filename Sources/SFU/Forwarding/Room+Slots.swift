// Who is shown in which slot, at which layer, and why not. Runs when something changed, never per packet.
import RTP
import Seam

extension Room {
    /// Deals a member's slots anew; what can stay where it is stays.
    func deal(to member: Session, at now: Instant) {
        deal(.audio, to: member)
        deal(.video, to: member)
        member.downlink.pointee.settle()
        member.shareOut(at: now)
    }

    func deal(_ kind: MediaKind, to member: Session) {
        let slots = member.slots(of: kind)
        guard !slots.isEmpty else { return }
        let chosen = choose(kind, for: member, slots)
        // Free the slots of those who are out, then seat the new ones.
        for slot in slots {
            if let shown = slot.pointee.publication, !chosen.contains(where: { $0 === shown }) {
                slot.pointee.unbind()
            }
        }
        for publication in chosen {
            if let slot = slots.first(where: { $0.pointee.publication === publication }) {
                aim(slot, at: publication, for: member)
            } else if let slot = freeSlot(of: slots, for: publication) {
                slot.pointee.bind(to: publication)
                aim(slot, at: publication, for: member)
            }
        }
    }

    /// The one that showed this before, if that is free.
    private func freeSlot(
        of slots: [UnsafeMutablePointer<SendStream>],
        for publication: Publication
    ) -> UnsafeMutablePointer<SendStream>? {
        slots.first { !$0.pointee.isBound && $0.pointee.lastShown == publication.ordinal }
            ?? slots.first { !$0.pointee.isBound }
    }

    /// What this member gets, at most one for each slot: seated ones first where nothing else decides.
    ///
    /// Only a few are looked at, however many there are: those that are seated, those that the member spoke of, and
    /// the first of all the others by rank.
    private func choose(
        _ kind: MediaKind,
        for member: Session,
        _ slots: [UnsafeMutablePointer<SendStream>]
    ) -> [Publication] {
        dealings += 1
        var found: [Publication] = []
        func consider(_ publication: Publication, isSeated: Bool) {
            guard publication.dealing != dealings, publication.kind == kind, member.wants(publication),
                isHeard(publication, by: member)
            else { return }
            publication.dealing = dealings
            publication.isSeated = isSeated
            found.append(publication)
        }
        for slot in slots {
            if let seated = slot.pointee.publication { consider(seated, isSeated: true) }
        }
        let wishes = member.wishes
        for id in wishes.overrides.keys {
            if let named = ranking.byID[id] { consider(named, isSeated: false) }
        }
        switch wishes.scope {
        case .none: break
        case .participant(let participant):
            for publication in ranking.byParticipant[participant] ?? [] {
                consider(publication, isSeated: false)
            }
        case .all:
            for id in wishes.tiles.keys {
                if let shown = ranking.byID[id] { consider(shown, isSeated: false) }
            }
            let enough = found.count + slots.count
            let rest = kind == .video ? ranking.video : voices.isActive ? onStage : ranking.audio
            for publication in rest {
                if found.count == enough { break }
                consider(publication, isSeated: false)
            }
        }
        guard found.count > slots.count else { return found }
        return best(of: found, slots.count, for: member)
    }

    private func best(of found: [Publication], _ count: Int, for member: Session) -> [Publication] {
        var ranked = found.map { publication in
            let tile = member.wishes.tiles[publication.id]
            return (
                hidden: publication.kind == .video && tile?.visible == false ? 1 : 0,
                rank: rank(of: publication, tile: tile),
                seated: publication.isSeated ? 0 : 1,
                publication: publication
            )
        }
        ranked.sort { a, b in
            (a.hidden, a.rank, a.seated, a.publication.ordinal) < (
                b.hidden, b.rank, b.seated, b.publication.ordinal
            )
        }
        return ranked.prefix(count).map(\.publication)
    }

    private func rank(of publication: Publication, tile: Wishes.Tile?) -> Int64 {
        if publication.kind == .video { return Ranking.rank(of: publication, tile: tile) }
        // Those who have a place go by it; others are here because they were asked for, and go by when they spoke.
        let place = publication.voice.place
        return place >= 0 ? .min + Int64(voices.rank(of: place)) : publication.rank
    }
}

/// The publications of a room in the order in which they get slots, where a member has no other wish.
struct Ranking {
    private(set) var audio: [Publication] = []
    private(set) var video: [Publication] = []
    private(set) var byID: [PublicationID: Publication] = [:]
    private(set) var byParticipant: [ParticipantID: [Publication]] = [:]

    mutating func add(_ publication: Publication) {
        if publication.kind == .audio { audio.append(publication) } else { video.append(publication) }
        byID[publication.id] = publication
        byParticipant[publication.participant, default: []].append(publication)
    }

    mutating func remove(_ gone: Publication) {
        if gone.kind == .audio { audio.removeAll { $0 === gone } } else { video.removeAll { $0 === gone } }
        if byID[gone.id] === gone { byID[gone.id] = nil }
        byParticipant[gone.participant]?.removeAll { $0 === gone }
        if byParticipant[gone.participant]?.isEmpty == true { byParticipant[gone.participant] = nil }
    }

    /// Lower ranks come first. Audio: speakers, then who spoke last. Video: screens, then cameras, first those of
    /// who had the floor last: a camera in a slot makes room only for somebody who takes the floor.
    /// - Parameter recent: who had the floor, the present one first.
    mutating func sort(recent: [ParticipantID], at now: Instant) {
        for publication in audio {
            let isSpeaking = publication.voice.isSpeaking(at: now) && !publication.isMuted
            publication.rank =
                isSpeaking ? .min + Ranking.speaking : -publication.voice.lastVoiceAt.microseconds
        }
        for publication in video {
            publication.recency = recent.firstIndex(of: publication.participant) ?? recent.count
            publication.rank = Ranking.rank(of: publication, tile: nil)
        }
        audio.sort { ($0.rank, $0.ordinal) < ($1.rank, $1.ordinal) }
        video.sort { ($0.rank, $0.ordinal) < ($1.rank, $1.ordinal) }
    }

    /// Behind all ranks of places.
    private static let speaking: Int64 = 100

    /// By the priority that the member's tile has, else as most tiles have it; and within one priority by who spoke.
    static func rank(of publication: Publication, tile: Wishes.Tile?) -> Int64 {
        let priority = tile.map { Int64($0.priority) } ?? (publication.source == .screen ? 200 : 100)
        return -priority * 1000 + Int64(publication.recency)
    }
}
