// Who is shown in which slot, at which layer, and why not. Runs when something changed, never per packet.
import RTP
import Seam

extension Room {
    /// Deals a member's slots anew; what can stay where it is stays.
    func deal(to member: Session, at now: Instant) {
        deal(.audio, to: member)
        deal(.video, to: member)
        member.downlink.pointee.settle()
    }

    private func deal(_ kind: MediaKind, to member: Session) {
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
            } else if let slot = slots.first(where: { !$0.pointee.isBound }) {
                slot.pointee.bind(to: publication)
                aim(slot, at: publication, for: member)
            }
        }
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
            guard publication.dealing != dealings, publication.kind == kind, member.wants(publication) else {
                return
            }
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
            for publication in kind == .audio ? ranking.audio : ranking.video {
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
                rank: publication.kind == .video
                    ? tile.map { -Int64($0.priority) } ?? publication.rank : publication.rank,
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

    /// Sets what a seated publication may send now: nothing, with a reason, or one of its layers.
    private func aim(
        _ slot: UnsafeMutablePointer<SendStream>,
        at publication: Publication,
        for member: Session
    ) {
        slot.pointee.tile = member.wishes.tiles[publication.id]
        var reason = SlotState.Reason.none
        if publication.isMuted {
            reason = .muted
        } else if let codec = publication.codec, !slot.pointee.use(codec) {
            reason = .codec
        } else if publication.kind == .video && slot.pointee.tile?.visible == false {
            reason = .hidden
        }
        if reason != slot.pointee.pause {
            slot.pointee.pause = reason
            slot.pointee.stop()
        }
        guard reason == .none, publication.codec != nil else { return }
        let layer = LayerSelector.layer(
            of: publication,
            for: slot.pointee.tile,
            target: slot.pointee.targetLayer
        )
        slot.pointee.aim(at: layer)
        // A slot that shows a layer which is gone keeps its last picture until the new one starts.
        if slot.pointee.awaitsKeyFrame && member.canReceive { publication.requestKeyFrame(layer: layer) }
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

    /// Speakers first, then who spoke last; screens before cameras. Lower ranks come first.
    mutating func sort(at now: Instant) {
        for publication in audio {
            let isSpeaking = publication.voice.isSpeaking(at: now) && !publication.isMuted
            let spoke = publication.voice.lastVoiceAt?.microseconds ?? .min / 2
            publication.rank = isSpeaking ? .min : -spoke
        }
        for publication in video { publication.rank = publication.source == .screen ? -200 : -100 }
        audio.sort { ($0.rank, $0.ordinal) < ($1.rank, $1.ordinal) }
        video.sort { ($0.rank, $0.ordinal) < ($1.rank, $1.ordinal) }
    }
}

/// The simple rule: the smallest live layer that fills the tile, else the best live one.
enum LayerSelector {
    static func layer(of publication: Publication, for tile: Wishes.Tile?, target: Int) -> Int {
        guard publication.kind == .video else { return 0 }
        var best = -1
        for layer in 0..<publication.layerCount where publication.hasLive(layer) {
            best = layer
            let height = publication.layers[layer].height
            let width = publication.layers[layer].width
            if let tile, height > 0, height >= tile.height || width >= tile.width { break }
        }
        // Nothing alive: stay, so that the same layer goes on when it comes back.
        return best >= 0 ? best : target
    }
}
