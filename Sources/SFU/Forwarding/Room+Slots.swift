// Who is shown in which slot, at which layer, and why not. Runs when something changed, never per packet.
import RTP
import Seam

extension Room {
    /// Deals every member's slots anew; what can stay where it is stays.
    func deal(at now: Instant) {
        for member in members {
            deal(.audio, to: member, at: now)
            deal(.video, to: member, at: now)
        }
    }

    private func deal(_ kind: MediaKind, to member: Session, at now: Instant) {
        let slots = member.slots(of: kind)
        guard !slots.isEmpty else { return }
        let chosen = choose(kind, for: member, count: slots.count, at: now)
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

    /// What this member gets, at most `count`: seated ones first where nothing else decides.
    private func choose(
        _ kind: MediaKind, for member: Session, count: Int, at now: Instant
    ) -> [Publication] {
        var wanted = publications.filter { $0.kind == kind && member.wants($0) }
        guard wanted.count > count else { return wanted }
        let seated = Set(member.slots(of: kind).compactMap { $0.pointee.publication?.id })
        func rank(_ publication: Publication) -> (Int, Int64, Int, UInt64) {
            let isSeated = seated.contains(publication.id) ? 0 : 1
            switch kind {
            case .audio:
                let spoke = publication.voice.lastVoiceAt?.microseconds ?? .min / 2
                let isSpeaking = publication.voice.isSpeaking(at: now) && !publication.isMuted
                return (isSpeaking ? 0 : 1, isSpeaking ? 0 : -spoke, isSeated, publication.ordinal)
            case .video:
                let tile = member.wishes.tiles[publication.id]
                let isHidden = tile?.visible == false
                let priority = Int64(tile?.priority ?? (publication.source == .screen ? 200 : 100))
                return (isHidden ? 1 : 0, -priority, isSeated, publication.ordinal)
            }
        }
        let ranks = Dictionary(uniqueKeysWithValues: wanted.map { ($0.id, rank($0)) })
        wanted.sort { a, b in
            guard let x = ranks[a.id], let y = ranks[b.id] else { return false }
            return x < y
        }
        return Array(wanted.prefix(count))
    }

    /// Sets what a seated publication may send now: nothing, with a reason, or one of its layers.
    private func aim(
        _ slot: UnsafeMutablePointer<SendStream>, at publication: Publication, for member: Session
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
        let layer = LayerSelector.layer(of: publication, for: slot.pointee.tile, target: slot.pointee.targetLayer)
        slot.pointee.aim(at: layer)
        // A slot that shows a layer which is gone keeps its last picture until the new one starts.
        if slot.pointee.awaitsKeyFrame && publication.kind == .video && layer >= 0 {
            publication.layers[layer].keyFrames.want()
        }
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
