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
    /// When what waits goes out.
    private(set) var forwardDeadline = Instant.distantFuture
    private var nextLook = Instant.zero
    /// A digest of who spoke at the last look.
    private var lastSpeaking = 0
    /// Something changed who gets what.
    var needsDealing = false
    /// A room is dealt some members at a time, so that packets need not wait for it: this one is next.
    private var dealt = 0
    private var isDealing = false
    private(set) var ranking = Ranking()
    /// Counts who was dealt to, to mark publications with.
    var dealings: UInt64 = 0
    private var ordinals: UInt64 = 0
    var speakers = SpeakerBoard()
    /// In the shard's list of rooms with packets that wait.
    var isQueued = false

    init(id: RoomID) {
        self.id = id
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
        for publication in publications where publication.session === session { unpublish(publication) }
        members.removeAll { $0 === session }
        downlinks.removeAll { $0 == session.downlink }
        needsDealing = true
    }

    func publish(_ media: SectionMedia, id: PublicationID, by session: Session) -> Publication {
        ordinals += 1
        let publication = Publication(id: id, media: media, session: session, room: self, ordinal: ordinals)
        publications.append(publication)
        ranking.add(publication)
        needsDealing = true
        return publication
    }

    func unpublish(_ publication: Publication) {
        dirty.removeAll { stream in
            (0..<publication.layerCount).contains { stream == publication.layers + $0 }
        }
        for member in members {
            for i in 0..<member.downlink.pointee.slotCount {
                member.downlink.pointee.slots[i].pointee.forget(publication)
            }
        }
        publications.removeAll { $0 === publication }
        ranking.remove(publication)
        needsDealing = true
    }

    /// The numbers of this encoding start anew: what shows it must wait for a switch point.
    func restarted(_ publication: Publication, layer: Int) {
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
        if stream.pointee.batchCount == 1 { dirty.append(stream) }
        let due: Instant
        if stream.pointee.isBatchFull { isBatchFull = true }
        if stream.pointee.isBatchFull || (stream.pointee.kind == .video && endsFrame) {
            due = now
        } else {
            due = now + (stream.pointee.kind == .video ? configuration.video : configuration.audio)
        }
        if due < forwardDeadline { forwardDeadline = due }
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
        for i in 0..<downlinks.count {
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

    // MARK: Time

    var nextDeadline: Instant { needsDealing || isDealing ? .zero : nextLook }
    /// An encoding can hold no more packets until `forward`.
    private(set) var isBatchFull = false

    /// Looks at what is alive and who speaks, every 100 ms, and deals slots where something changed.
    func advance(to now: Instant, events: inout [Event]) {
        if now >= nextLook {
            nextLook = now + .milliseconds(100)
            look(at: now)
            report(at: now, events: &events)
            if let report = speakers.look(at: self, now: now) { events.append(.speakers(report)) }
        }
        if needsDealing && !isDealing {
            needsDealing = false
            isDealing = true
            dealt = 0
            ranking.sort(at: now)
        }
        guard isDealing else { return }
        let end = min(dealt + Limits.Media.membersPerDeal, members.count)
        while dealt < end {
            deal(to: members[dealt], at: now)
            report(members[dealt], at: now, events: &events)
            dealt += 1
        }
        isDealing = dealt < members.count
    }

    private func look(at now: Instant) {
        var speaking = 0
        for publication in publications {
            var live: UInt8 = 0
            for layer in 0..<publication.layerCount where publication.layers[layer].isLive(at: now) {
                live |= 1 << UInt8(layer)
            }
            if live != publication.liveLayers {
                publication.liveLayers = live
                // Silence (DTX) is no reason to take a voice off its slot.
                if publication.kind == .video { needsDealing = true }
            }
            guard publication.kind == .audio, !publication.isMuted, publication.voice.isSpeaking(at: now)
            else {
                continue
            }
            speaking = speaking &* 31 &+ Int(publication.ordinal)
        }
        // With more voices than slots, whoever speaks gets one.
        if speaking != lastSpeaking && ranking.audio.count > Room.fewestAudioSlots { needsDealing = true }
        lastSpeaking = speaking
    }

    /// No member has fewer slots than this and hears somebody: with one voice there is nothing to choose.
    private static let fewestAudioSlots = 1

    private func report(at now: Instant, events: inout [Event]) {
        for publication in publications {
            let digest = publication.digest
            guard digest != publication.reported else { continue }
            publication.reported = digest
            events.append(.publication(publication.state(at: now)))
        }
        for member in members { report(member, at: now, events: &events) }
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
