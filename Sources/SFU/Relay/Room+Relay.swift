// A room that has members on several shards: each shard has a room of its own for its members, and mirrors there what the
// members of the others publish. A packet crosses to each of them once, decrypted. Who is heard is decided on each
// shard from the same levels; what is asked of a publisher is joined on the shard of its session.
import RTP
import Seam

/// Whom a room is shared with.
struct RoomPeers {
    /// Shards that said hello: what is published here is told to them, and packets go there.
    fileprivate(set) var workers: ContiguousArray<Int> = []
    /// Shards that were asked, one bit each.
    fileprivate var asked: UInt64 = 0
    fileprivate var mirrors: [Uplink] = []
    fileprivate var audiences: [Int: RelayMessage.Audience] = [:]
    fileprivate var told = RelayMessage.Audience()
}

extension Room {
    // MARK: Who shares it

    /// This shard has members of the room, too.
    func ask(_ worker: Int) {
        guard worker != relay.worker, worker < 64, peers.asked & 1 << UInt64(worker) == 0 else { return }
        peers.asked |= 1 << UInt64(worker)
        relay.send(.hello, of: id, to: worker)
    }

    /// Speakers are reported by one shard: the first that has members.
    var isLeading: Bool { peers.workers.allSatisfy { $0 > relay.worker } }

    func receive(_ content: RelayMessage.Content, from worker: Int) {
        switch content {
        case .hello: welcome(worker)
        case .goodbye: part(from: worker)
        case .publish(let uplink): mirror(uplink, of: worker)
        case .withdraw(let number): unmirror { $0.home == worker && $0.number == number }
        case .mute(let id, let isMuted):
            if let publication = ranking.byID[id], publication.uplink.home == worker {
                mute(publication, isMuted)
            }
        case .keyFrame(let id, let layer, let isUrgent):
            guard let publication = ranking.byID[id], publication.isLocal else { return }
            publication.requestKeyFrame(layer: layer, isUrgent: isUrgent)
        case .demand(let id, let wishes):
            ranking.byID[id]?.distantWishes[worker] = wishes
            needsDealing = true
        case .audience(let audience):
            peers.audiences[worker] = audience
            needsDealing = true
        }
    }

    private func welcome(_ worker: Int) {
        if !peers.workers.contains(worker) {
            let wasLeading = isLeading
            peers.workers.append(worker)
            isShared = true
            if !wasLeading && isLeading { speakers.forgetReports() }
        }
        for member in members { announce(member.uplink, to: [worker]) }
        relay.send(.audience(peers.told), of: id, to: worker)
        // It may have come after we asked, or have been gone when we did.
        ask(worker)
    }

    private func part(from worker: Int) {
        let wasLeading = isLeading
        peers.workers.removeAll { $0 == worker }
        isShared = !peers.workers.isEmpty
        peers.asked &= ~(1 << UInt64(worker & 63))
        peers.audiences[worker] = nil
        for publication in publications { publication.distantWishes[worker] = nil }
        unmirror { $0.home == worker }
        if !wasLeading && isLeading { speakers.forgetReports() }
        needsDealing = true
    }

    /// Its last member left.
    func dissolve() {
        for worker in 0..<64 where peers.asked & 1 << UInt64(worker) != 0 || peers.workers.contains(worker) {
            relay.send(.goodbye, of: id, to: worker)
        }
        peers.asked = 0
        peers.workers.removeAll()
        isShared = false
        unmirror { _ in true }
    }

    // MARK: What is published here

    /// What this uplink publishes changed.
    func announce(_ uplink: Uplink) { announce(uplink, to: peers.workers) }

    private func announce(_ uplink: Uplink, to workers: ContiguousArray<Int>) {
        guard !workers.isEmpty, let media = uplink.session?.reportedMedia else { return }
        guard uplink.number != 0 || !uplink.publications.isEmpty else { return }
        if uplink.number == 0 { uplink.number = relay.makeNumber() }
        let told = MirroredUplink(
            number: uplink.number,
            session: uplink.id,
            participant: uplink.participant,
            user: uplink.user,
            media: media
        )
        for worker in workers { relay.send(.publish(told), of: id, to: worker) }
    }

    func withdraw(_ uplink: Uplink) {
        guard uplink.number != 0 else { return }
        for worker in peers.workers { relay.send(.withdraw(number: uplink.number), of: id, to: worker) }
    }

    func tellMuted(_ publication: Publication) {
        for worker in peers.workers {
            relay.send(.mute(publication.id, publication.isMuted), of: id, to: worker)
        }
    }

    /// Hands an authentic packet, decrypted, to the other shards.
    func pass(_ packet: UnsafePointer<UInt8>, length: Int, _ relayed: RelayedPacket) {
        guard relayed.number != 0 else { return }
        for worker in peers.workers { relay.push(packet, length: length, relayed, to: worker) }
    }

    // MARK: What others publish

    private func mirror(_ told: MirroredUplink, of worker: Int) {
        if let known = peers.mirrors.first(where: { $0.home == worker && $0.number == told.number }) {
            known.configure(told.media)
        } else {
            let mirror = Uplink(mirroring: told, of: worker, in: self)
            mirror.configure(told.media)
            peers.mirrors.append(mirror)
            relay.keep(mirror)
        }
        needsDealing = true
    }

    private func unmirror(where isGone: (Uplink) -> Bool) {
        for mirror in peers.mirrors where isGone(mirror) {
            mirror.leave()
            relay.forget(mirror)
        }
        peers.mirrors.removeAll(where: isGone)
    }

    // MARK: What members here want of the others

    /// The most audio slots that a member here had when they were counted.
    var countedAudioSlots: Int { peers.told.audioSlots }

    /// The most audio slots that a member has on other shards.
    var distantAudioSlots: Int { peers.audiences.values.lazy.map(\.audioSlots).max() ?? 0 }

    /// Voices that members on other shards named.
    var distantlyChosen: [PublicationID] { peers.audiences.values.flatMap(\.chosen) }

    func tell(_ audience: RelayMessage.Audience) {
        guard audience != peers.told else { return }
        peers.told = audience
        for worker in peers.workers { relay.send(.audience(audience), of: id, to: worker) }
    }

    /// Tells publishers' shards which encodings are wanted here, where that changed.
    func tellDemand(of publications: [Publication]) {
        guard !peers.mirrors.isEmpty else { return }
        for publication in publications where !publication.isLocal {
            let wishes = publication.demand.wishes
            guard wishes != publication.toldWishes else { continue }
            publication.toldWishes = wishes
            relay.send(.demand(publication.id, wishes), of: id, to: publication.uplink.home)
        }
    }
}
