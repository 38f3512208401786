// Which layers of a room's publications are alive and wanted, and which one each slot shows. Runs when something
// changed, never per packet.
import RTP
import Seam

extension Room {
    /// Notices layers that stopped or came back.
    func lookAtLayers(at now: Instant) {
        for publication in publications {
            // Silence (DTX) is no reason to take a voice off its slot.
            if publication.look(at: now) && publication.kind == .video { needsDealing = true }
        }
    }

    /// Sets what a seated publication may send now: nothing, with a reason, or one of its layers.
    func aim(
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
        // That is lifted where bits are shared out.
        if reason == .none && slot.pointee.pause == .bandwidth { reason = .bandwidth }
        if reason != slot.pointee.pause {
            slot.pointee.pause = reason
            slot.pointee.stop()
            if reason == .codec { slot.pointee.aim(at: LayerChoice(target: .none, ideal: .none)) }
        }
        // Before the first packet of a publication it is known what is wanted of it, and not how to send it.
        guard reason == .none || reason == .bandwidth else { return }
        let choice = publication.layer(for: slot.pointee.tile, present: slot.pointee.target, at: now)
        slot.pointee.choice = choice
        if !member.isLimited || slot.pointee.kind == .audio { slot.pointee.aim(at: choice) }
        if slot.pointee.tile.map({ $0.maxFrameRate > 0 }) ?? false { capsFrameRates = true }
        guard publication.codec != nil, !member.isLimited else { return }
        // A slot that shows a layer which is gone keeps its last picture until the new one starts.
        if slot.pointee.awaitsKeyFrame && member.canReceive && !slot.pointee.canStartFromHistory(at: now) {
            publication.requestKeyFrame(layer: Int(slot.pointee.target.encoding))
        }
    }

    // MARK: Dynacast

    /// Which encodings the slots of all members want, after everybody was dealt to.
    func countDemand(at now: Instant) {
        for publication in ranking.video { publication.demand.begin() }
        for member in members { countDemand(of: member) }
        for publication in ranking.video { settleDemand(of: publication, at: now) }
        tellDemand(of: ranking.video)
    }

    /// Adds what one member wants to what was counted. Returns what it sees.
    func addDemand(of member: Session, at now: Instant) -> [Publication] {
        countDemand(of: member)
        let shown = member.slots(of: .video).compactMap { $0.pointee.publication }
        for publication in shown { settleDemand(of: publication, at: now) }
        tellDemand(of: shown)
        return shown
    }

    private func settleDemand(of publication: Publication, at now: Instant) {
        for wishes in publication.distantWishes.values { publication.demand.want(wishes) }
        if !publication.isMuted { publication.demand.settle(at: now) }
    }

    private func countDemand(of member: Session) {
        for i in 0..<member.downlink.pointee.slotCount {
            let slot = member.downlink.pointee.slots[i]
            guard slot.pointee.kind == .video,
                !slot.pointee.isPaused || slot.pointee.pause == .bandwidth,
                let publication = slot.pointee.publication, slot.pointee.ideal.encoding >= 0
            else { continue }
            var tile = slot.pointee.tile
            // A screen keeps its resolution, however small its tile is.
            if publication.source == .screen {
                tile?.width = 0
                tile?.height = 0
            }
            guard member.isLimited else {
                publication.demand.want(Int(slot.pointee.ideal.encoding), for: tile)
                continue
            }
            for encoding in 0..<publication.layerCount
            where publication.isUp(to: Int(slot.pointee.ideal.encoding), encoding) {
                // The smaller ones are for the moment when the path carries less; the least is always asked for.
                let hasRoom =
                    publication.isUp(to: Int(slot.pointee.reach), encoding)
                    || encoding == publication.leastEncoding
                publication.demand.want(encoding, for: tile, hasRoom: hasRoom)
            }
        }
    }

    /// A member may soon be sent more or less than was counted.
    func reachChanged(of member: Session, isMore: Bool, at now: Instant) {
        // As with what it wants (Room+Dealing).
        wantsLess = true
        if isMore { _ = addDemand(of: member, at: now) }
    }

    /// Tells publishers which of their encodings somebody wants, where that changed.
    func reportDemand(of publications: [Publication], at now: Instant, events: inout [Event]) {
        for publication in publications where publication.isLocal && !publication.isMuted {
            for i in 0..<publication.layerCount {
                publication.demand.note(i, cameAt: publication.layers[i].lastPacketAt, at: now)
            }
            guard publication.demand.isNews(at: now) else { continue }
            events.append(
                .demand(
                    PublicationDemand(
                        publication: publication.id,
                        room: id,
                        encodings: (0..<publication.layerCount).map {
                            publication.demand.encoding($0, rid: publication.layers[$0].rid)
                        }
                    )
                )
            )
        }
    }
}
