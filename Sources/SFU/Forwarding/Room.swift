// A room on this shard: who is in it, what they publish, and when slots are dealt anew. Packets go through it in
// Room+Road, slots are dealt out in Room+Slots.
import PeerTransport
import RTP
import Seam

final class Room {
    let id: RoomID
    private(set) var members: [Session] = []
    private(set) var publications: [Publication] = []
    /// Members that may be sent to, for the road.
    private(set) var downlinks: ContiguousArray<UnsafeMutablePointer<Downlink>> = []
    /// Packets on their way, in memory of their own: a class's fields are checked for exclusive access at each use.
    let audio = UnsafeMutablePointer<Lane>.allocate(capacity: 1)
    let video = UnsafeMutablePointer<Lane>.allocate(capacity: 1)
    /// Publications whose layers changed with packets that wait.
    var changed: [Publication] = []
    /// When what waits goes out.
    var forwardDeadline = Instant.distantFuture
    /// An encoding can take no more packets until `makeWay`.
    var isBatchFull = false
    private var nextLook = Instant.zero
    /// A digest of who spoke at the last look.
    private var lastSpeaking = 0
    /// Something changed who gets what: everybody is dealt to.
    var needsDealing = false
    /// Members for whom alone something changed.
    var changedMembers: [Session] = []
    /// Somebody wants less than was counted: at the next look demand is counted anew …
    var wantsLess = false
    /// … and because of him fewer voices may be heard than are: those are, too.
    var hearsLess = false
    /// A slot shows something else since the last look, or it must be told again what it shows.
    var hasNews = false
    /// Of the last look at the clock, for what happens between.
    private(set) var now = Instant.zero
    /// Somebody wants fewer pictures than are sent: which layer that is changes with their rate.
    var capsFrameRates = false
    private var nextRateLook = Instant.zero
    /// A room is dealt some members at a time, so that packets need not wait for it: this one is next.
    var dealt = 0
    var isDealing = false
    var ranking = Ranking()
    /// Counts who was dealt to, to mark publications with.
    var dealings: UInt64 = 0
    private var ordinals: UInt64 = 0
    var speakers = SpeakerBoard()
    /// The audio that is heard, where there is more of it than anybody has slots …
    var voices = LoudestVoices()
    /// … by rank.
    var onStage: [Publication] = []
    /// In the shard's list of rooms with packets that wait.
    var isQueued = false

    /// The room has members on other shards, too: these.
    var peers = RoomPeers()
    /// There are some, for the road.
    var isShared = false
    let relay: Relay

    init(id: RoomID, relay: Relay = Relay()) {
        self.id = id
        self.relay = relay
        audio.initialize(to: Lane())
        video.initialize(to: Lane())
    }

    deinit {
        for lane in [audio, video] {
            lane.deinitialize(count: 1)
            lane.deallocate()
        }
    }

    var isEmpty: Bool { members.isEmpty }

    // MARK: Members and publications (control path)

    func join(_ session: Session) {
        members.append(session)
        downlinks.append(session.downlink)
        dealAgain(to: session)
    }

    func leave(_ session: Session) {
        withdraw(session.uplink)
        changedMembers.removeAll { $0 === session }
        members.removeAll { $0 === session }
        if let place = downlinks.firstIndex(of: session.downlink) {
            downlinks.remove(at: place)
            audio.pointee.forget(subscriber: place)
            video.pointee.forget(subscriber: place)
            if place < dealt { dealt -= 1 }
        }
        wantsNothing(session)
    }

    func publish(_ media: SectionMedia, id: PublicationID, by uplink: Uplink) -> Publication {
        ordinals += 1
        let publication = Publication(id: id, media: media, uplink: uplink, room: self, ordinal: ordinals)
        publications.append(publication)
        ranking.add(publication)
        needsDealing = true
        return publication
    }

    func unpublish(_ publication: Publication) {
        silence(publication)
        speakers.forget(publication)
        audio.pointee.forget(publication)
        video.pointee.forget(publication)
        for member in members {
            for i in 0..<member.downlink.pointee.slotCount {
                member.downlink.pointee.slots[i].pointee.forget(publication)
            }
        }
        publications.removeAll { $0 === publication }
        changed.removeAll { $0 === publication }
        ranking.remove(publication)
        needsDealing = true
    }

    func mute(_ publication: Publication, _ isMuted: Bool) {
        publication.isMuted = isMuted
        if isMuted { silence(publication) }
        needsDealing = true
    }

    /// The numbers of this encoding start anew: what shows it must wait for a switch point.
    func restarted(_ publication: Publication, layer: Int) {
        publication.voice.restart()
        for downlink in downlinks {
            for i in 0..<downlink.pointee.slotCount {
                let slot = downlink.pointee.slots[i]
                guard slot.pointee.publication === publication, slot.pointee.currentLayer == layer else {
                    continue
                }
                slot.pointee.stop()
            }
        }
        needsDealing = true
    }

    /// A packet that waits brought layers of it back, or says that some are gone.
    func layersChanged(of publication: Publication) {
        needsDealing = true
        if !changed.contains(where: { $0 === publication }) { changed.append(publication) }
    }

    // MARK: Time

    var nextDeadline: Instant { isChanged || isDealing ? .zero : nextLook }

    /// Looks at what is alive and who speaks, every 100 ms, and deals slots where something changed.
    func advance(to now: Instant, events: inout [Event]) {
        self.now = now
        if now >= nextLook {
            nextLook = now + .milliseconds(100)
            look(at: now)
            report(at: now, events: &events)
            // Who speaks is shown where cameras have to share slots.
            if speakers.evaluate(at: now) && ranking.video.count > 1 { needsDealing = true }
            if isLeading, let report = speakers.report(id, at: now) { events.append(.speakers(report)) }
        }
        if isChanged || isDealing { deal(at: now, events: &events) }
    }

    private func look(at now: Instant) {
        lookAtLayers(at: now)
        recount(at: now)
        if capsFrameRates && now >= nextRateLook {
            nextRateLook = now + .milliseconds(500)
            needsDealing = true
        }
        // Where voices have places, slots follow those at once.
        guard !voices.isActive else { return }
        var speaking = 0
        for publication in ranking.audio
        where !publication.isMuted && publication.voice.isSpeaking(at: now) {
            speaking ^= Int(truncatingIfNeeded: publication.ordinal &* 0x9e37_79b9_7f4a_7c15)
        }
        // With more voices than slots, whoever speaks gets one.
        if speaking != lastSpeaking && ranking.audio.count > Room.fewestAudioSlots { needsDealing = true }
        lastSpeaking = speaking
    }

    /// No member has fewer slots than this and hears somebody: with one voice there is nothing to choose.
    private static let fewestAudioSlots = 1

    private func report(at now: Instant, events: inout [Event]) {
        for publication in publications where publication.isLocal {
            let digest = publication.digest
            guard digest != publication.reported else { continue }
            publication.reported = digest
            events.append(.publication(publication.state(at: now)))
        }
        reportDemand(of: ranking.video, at: now, events: &events)
        // Between switches and dealings nothing changes for who only listens.
        let isNews = hasNews
        hasNews = false
        for member in members where isNews || member.downlink.pointee.showsVideo {
            report(member, at: now, events: &events)
        }
    }

    /// The gateway may know nothing of this room: at the next look it is told what the whole state does not say.
    func forgetReports() {
        for publication in publications { publication.demand.forgetReports() }
        for member in members { member.forgetReports() }
        speakers.forgetReports()
        hasNews = true
        nextLook = .zero
    }

    func report(_ member: Session, at now: Instant, events: inout [Event]) {
        member.urgeKeyFrames()
        let changed = member.changedSlots()
        guard !changed.isEmpty else { return }
        events.append(.slots(member.id, changed))
    }
}
