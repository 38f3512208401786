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
    private var ordinals: UInt64 = 0
    var speakers = SpeakerBoard()

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
        needsDealing = true
    }

    /// A packet of this encoding carries nothing: everybody's numbers close over it.
    func skipped(_ sequence: Int64, of publication: Publication, layer: Int) {
        for downlink in downlinks {
            for i in 0..<downlink.pointee.slotCount
            where downlink.pointee.slots[i].pointee.publication === publication {
                downlink.pointee.slots[i].pointee.skip(sequence, layer: layer)
            }
        }
    }

    /// The numbers of this encoding start anew: what shows it must wait for a switch point.
    func restarted(_ publication: Publication, layer: Int) {
        for downlink in downlinks {
            for i in 0..<downlink.pointee.slotCount {
                let slot = downlink.pointee.slots[i]
                guard slot.pointee.publication === publication, slot.pointee.currentLayer == layer else { continue }
                slot.pointee.stop()
            }
        }
        needsDealing = true
    }

    // MARK: The road

    /// A packet of this encoding waits to be forwarded.
    @inline(__always)
    func arrived(
        in stream: UnsafeMutablePointer<ReceiveStream>, endsFrame: Bool, at now: Instant,
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
        _ departures: UnsafeMutablePointer<Departure>, counters: UnsafeMutablePointer<Counters>,
        absoluteSendTime: UInt32, at now: Instant, into outbox: Outbox
    ) {
        forwardDeadline = .distantFuture
        isBatchFull = false
        guard !dirty.isEmpty else { return }
        for i in 0..<downlinks.count {
            downlinks[i].pointee.forward(
                departures, counters: counters, absoluteSendTime: absoluteSendTime, at: now, into: outbox)
        }
        for i in 0..<dirty.count { dirty[i].pointee.clearBatch() }
        dirty.removeAll(keepingCapacity: true)
    }

    // MARK: Time

    var nextDeadline: Instant { needsDealing ? .zero : nextLook }
    /// An encoding can hold no more packets until `forward`.
    private(set) var isBatchFull = false

    /// Looks at what is alive and who speaks, every 100 ms, and deals slots where something changed.
    func advance(to now: Instant, events: inout [Event]) {
        if now >= nextLook {
            nextLook = now + .milliseconds(100)
            look(at: now)
            if let report = speakers.look(at: self, now: now) { events.append(.speakers(report)) }
        }
        if needsDealing {
            needsDealing = false
            deal(at: now)
        }
        report(at: now, events: &events)
    }

    private func look(at now: Instant) {
        var voices = 0
        var speaking = 0
        for publication in publications {
            var live: UInt8 = 0
            for layer in 0..<publication.layerCount where publication.layers[layer].isLive(at: now) {
                live |= 1 << UInt8(layer)
            }
            if live != publication.liveLayers {
                publication.liveLayers = live
                needsDealing = true
            }
            guard publication.kind == .audio else { continue }
            voices += 1
            if publication.voice.isSpeaking(at: now) { speaking = speaking &* 31 &+ Int(publication.ordinal) }
        }
        // With more voices than slots, whoever speaks gets one.
        if speaking != lastSpeaking && voices > 1 { needsDealing = true }
        lastSpeaking = speaking
    }

    private func report(at now: Instant, events: inout [Event]) {
        for publication in publications {
            var state = publication.state(at: now)
            // Rates change all the time; they are told along with what matters.
            var comparable = state
            for i in comparable.layers.indices { comparable.layers[i].bitsPerSecond = 0 }
            if comparable != publication.reported {
                publication.reported = comparable
                swap(&state, &comparable)
                events.append(.publication(comparable))
            }
        }
        for member in members {
            let changed = member.changedSlots()
            if !changed.isEmpty { events.append(.slots(member.id, changed)) }
        }
    }
}

/// How long packets may wait for company.
struct ForwardingWindows {
    var audio: Interval
    var video: Interval
}
