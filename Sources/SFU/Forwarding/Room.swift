// A room on this shard: who is in it, what they publish, and the loop that sends each new packet to everybody who
// gets it. Slots are dealt out in Room+Slots.
import PeerTransport
import RTP
import Seam

final class Room {
    let id: RoomID
    private(set) var members: [Session] = []
    private(set) var publications: [Publication] = []
    /// Members that may be sent to, for the road.
    private var downlinks: ContiguousArray<UnsafeMutablePointer<Downlink>> = []
    /// Encodings with packets that wait.
    private var dirty: ContiguousArray<UnsafeMutablePointer<ReceiveStream>> = []
    /// Publications whose layers changed with packets that wait.
    private var changed: [Publication] = []
    /// When what waits goes out.
    private(set) var forwardDeadline = Instant.distantFuture
    private var nextLook = Instant.zero
    /// A digest of who spoke at the last look.
    private var lastSpeaking = 0
    /// Something changed who gets what.
    var needsDealing = false
    /// A slot shows something else since the last look, or it must be told again what it shows.
    var hasNews = false
    /// Of the last look at the clock, for what happens between.
    private(set) var now = Instant.zero
    /// Somebody wants fewer pictures than are sent: which layer that is changes with their rate.
    var capsFrameRates = false
    private var nextRateLook = Instant.zero
    /// A room is dealt some members at a time, so that packets need not wait for it: this one is next.
    private var dealt = 0
    private var isDealing = false
    private(set) var ranking = Ranking()
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
        dirty.reserveCapacity(64)
    }

    var isEmpty: Bool { members.isEmpty }

    // MARK: Members and publications (control path)

    func join(_ session: Session) {
        members.append(session)
        downlinks.append(session.downlink)
        needsDealing = true
    }

    func leave(_ session: Session) {
        withdraw(session.uplink)
        members.removeAll { $0 === session }
        downlinks.removeAll { $0 == session.downlink }
        needsDealing = true
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
        dirty.removeAll { stream in
            (0..<publication.layerCount).contains { stream == publication.layers + $0 }
        }
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

    // MARK: The road

    /// A packet of this encoding waits to be forwarded.
    @inline(__always)
    func arrived(
        in stream: UnsafeMutablePointer<ReceiveStream>,
        endsFrame: Bool,
        at now: Instant,
        configuration: borrowing ForwardingWindows
    ) {
        if !stream.pointee.isQueued { queue(stream) }
        let due: Instant
        if stream.pointee.isBatchFull { isBatchFull = true }
        if stream.pointee.isBatchFull || (stream.pointee.kind == .video && endsFrame) {
            due = now
        } else {
            due = now + (stream.pointee.kind == .video ? configuration.video : configuration.audio)
        }
        if due < forwardDeadline { forwardDeadline = due }
    }

    private func queue(_ stream: UnsafeMutablePointer<ReceiveStream>) {
        stream.pointee.isQueued = true
        dirty.append(stream)
    }

    /// A packet that waits brought layers of it back, or says that some are gone.
    func layersChanged(of publication: Publication) {
        needsDealing = true
        if !changed.contains(where: { $0 === publication }) { changed.append(publication) }
    }

    /// Sends what waits: subscriber outer, packets inner, so that each subscriber's packets leave together.
    func forward(
        _ departures: UnsafeMutablePointer<Departure>,
        counters: UnsafeMutablePointer<Counters>,
        absoluteSendTime: UInt32,
        at now: Instant,
        into outbox: Outbox
    ) {
        forwardDeadline = .distantFuture
        isBatchFull = false
        guard !dirty.isEmpty else { return }
        if !changed.isEmpty { aimAgain(at: now) }
        let count = downlinks.count
        for i in 0..<count {
            if i + 6 < count { Downlink.prefetch(downlinks[i + 6]) }
            if i + 4 < count { downlinks[i + 4].pointee.prefetchStreams() }
            if i + 2 < count { downlinks[i + 2].pointee.prefetchRoad() }
            downlinks[i].pointee.forward(
                departures,
                counters: counters,
                absoluteSendTime: absoluteSendTime,
                at: now,
                into: outbox
            )
        }
        for i in 0..<dirty.count {
            if dirty[i].pointee.publication.viewers == 0 {
                counters.pointee.withhold(.noSubscriber, dirty[i].pointee.batchCount)
            }
            dirty[i].pointee.clearBatch()
        }
        dirty.removeAll(keepingCapacity: true)
    }

    /// The key picture that brings a layer back is the one to show it with: waiting for the dealing would be asking
    /// for another. Who gets what, and what is asked of the publisher, is left to that.
    @inline(never)
    private func aimAgain(at now: Instant) {
        for publication in changed {
            for downlink in downlinks {
                let control = downlink.pointee.control
                var isShown = false
                for i in 0..<downlink.pointee.slotCount {
                    let slot = downlink.pointee.slots[i]
                    guard slot.pointee.publication === publication, !slot.pointee.isPaused else { continue }
                    let target = slot.pointee.target
                    slot.pointee.choice = publication.layer(for: slot.pointee.tile, present: target, at: now)
                    if control == nil { slot.pointee.aim(at: slot.pointee.choice) }
                    isShown = true
                }
                if isShown { control?.pointee.session.shareOut(at: now) }
            }
        }
        changed.removeAll(keepingCapacity: true)
    }

    // MARK: Time

    var nextDeadline: Instant { needsDealing || isDealing ? .zero : nextLook }
    /// An encoding can hold no more packets until `forward`.
    private(set) var isBatchFull = false

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
        if needsDealing && !isDealing {
            needsDealing = false
            isDealing = true
            dealt = 0
            capsFrameRates = false
            countVoices(at: now)
            ranking.sort(recent: speakers.recent, at: now)
        }
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
        reportDemand(at: now, events: &events)
    }

    private func look(at now: Instant) {
        lookAtLayers(at: now)
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
        reportDemand(at: now, events: &events)
        // Between switches and dealings nothing changes for who only listens.
        let isNews = hasNews
        hasNews = false
        for member in members where isNews || member.hasVideoSlots {
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

    private func report(_ member: Session, at now: Instant, events: inout [Event]) {
        member.urgeKeyFrames()
        let changed = member.changedSlots()
        guard !changed.isEmpty else { return }
        events.append(.slots(member.id, changed))
    }
}

/// How long packets may wait for company.
struct ForwardingWindows {
    var audio: Interval
    var video: Interval
}
