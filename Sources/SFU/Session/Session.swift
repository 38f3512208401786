// One participant's transport and its media, on one shard: what it publishes comes in here (Session+Receive), what
// it gets leaves through its downlink, and RTCP runs both ways (Session+Feedback).
import PeerTransport
import RTP
import Seam

final class Session {
    let id: SessionID
    let participant: ParticipantID
    let user: UserID
    let receivesOwnUser: Bool
    let open: OpenSession
    /// The cycle with the room's members ends with `leave`.
    let room: Room
    /// Place in the shard's list.
    let index: Int32
    let transport: Transport
    let downlink: UnsafeMutablePointer<Downlink>

    private(set) var media: SessionMedia?
    var wishes = Wishes()
    var attachments: [String: [UInt8]] = [:]
    var state = TransportState.new
    private(set) var publications: [Publication] = []

    // What the road needs.
    var demultiplexer = Demultiplexer()
    private(set) var payloadTypes = PayloadTypes()
    private(set) var extensions = HeaderExtensionMap()
    var feedback: TransportFeedbackGenerator?
    private(set) var sendsTransportFeedback = false

    // RTCP.
    let reportSSRC: UInt32
    var nextReport = Instant.distantFuture
    var nextFeedback = Instant.distantFuture
    var nextRepair = Instant.distantFuture
    var clock = ClockMapping()
    /// To this peer, from its receiver reports; 50 ms until there is one.
    var roundTrip = Interval.milliseconds(50)
    var cname: [UInt8] = []

    init(open: OpenSession, room: Room, index: Int32, transport: Transport, reportSSRC: UInt32) {
        self.open = open
        id = open.session
        participant = open.participant
        user = open.user
        receivesOwnUser = open.receivesOwnUser
        self.room = room
        self.index = index
        self.transport = transport
        self.reportSSRC = reportSSRC
        downlink = .allocate(capacity: 1)
        downlink.initialize(to: Downlink())
    }

    deinit {
        downlink.deinitialize(count: 1)
        downlink.deallocate()
    }

    // MARK: Negotiated media

    /// Takes over the whole negotiated media; what stays the same keeps running.
    func configure(_ new: SessionMedia, random: inout RandomSource) {
        let sections = new.sections.map(\.section)
        media = new
        cname = Array(new.cname.utf8.prefix(255))
        payloadTypes = PayloadTypes(sections: sections)
        extensions = HeaderExtensionMap(sections.flatMap(\.extensions))
        sendsTransportFeedback =
            extensions.id(of: .transportSequence) != 0
            && sections.contains { section in
                !section.receive.isEmpty && section.codecs.contains { $0.feedback.contains(.transportCC) }
            }
        if sendsTransportFeedback && feedback == nil { feedback = TransportFeedbackGenerator() }
        configurePublications(new)
        configureSlots(sections, random: &random)
        room.needsDealing = true
    }

    private func configurePublications(_ new: SessionMedia) {
        for publication in publications {
            let kept = new.sections.contains {
                $0.publication == publication.id && $0.section.mid == publication.mid
                    && $0.section.receive.count == publication.layerCount
            }
            if !kept { remove(publication) }
        }
        for section in new.sections {
            guard let id = section.publication, !section.section.receive.isEmpty else { continue }
            if let known = publications.first(where: { $0.id == id }) {
                known.isMuted = section.muted
                continue
            }
            let publication = room.publish(section, id: id, by: self)
            publications.append(publication)
            for layer in 0..<publication.layerCount {
                let stream = publication.layers + layer
                if stream.pointee.ssrc != 0 { _ = demultiplexer.bind(stream.pointee.ssrc, to: stream, isRTX: false) }
                if stream.pointee.rtxSSRC != 0 {
                    _ = demultiplexer.bind(stream.pointee.rtxSSRC, to: stream, isRTX: true)
                }
            }
        }
    }

    private func remove(_ publication: Publication) {
        demultiplexer.removeAll(of: publication)
        room.unpublish(publication)
        publications.removeAll { $0 === publication }
    }

    private func configureSlots(_ sections: [MediaSection], random: inout RandomSource) {
        for i in (0..<downlink.pointee.slotCount).reversed() {
            let slot = downlink.pointee.slots[i]
            let kept = sections.contains {
                $0.mid == slot.pointee.mid && $0.slot?.ssrc == slot.pointee.ssrc && $0.codecs == slot.pointee.codecs
            }
            if !kept { downlink.pointee.removeSlot(mid: slot.pointee.mid) }
        }
        for section in sections {
            guard let slot = section.slot, downlink.pointee.slot(mid: section.mid) == nil else { continue }
            _ = downlink.pointee.addSlot(SendStream(section: section, slot: slot, random: &random))
        }
    }

    // MARK: Slots

    func slots(of kind: MediaKind) -> [UnsafeMutablePointer<SendStream>] {
        var found: [UnsafeMutablePointer<SendStream>] = []
        for i in 0..<downlink.pointee.slotCount where downlink.pointee.slots[i].pointee.kind == kind {
            found.append(downlink.pointee.slots[i])
        }
        return found
    }

    /// The echo rule and the wishes: whether this publication is for this session at all.
    func wants(_ publication: Publication) -> Bool {
        guard publication.session !== self, receivesOwnUser || publication.user != user else { return false }
        switch wishes.scope {
        case .all: return wishes.overrides[publication.id] != false
        case .none: return wishes.overrides[publication.id] == true
        case .participant(let wanted):
            return publication.participant == wanted && wishes.overrides[publication.id] != false
        }
    }

    /// Slots that are not as the gateway last heard.
    func changedSlots() -> [SlotState] {
        var changed: [SlotState] = []
        for i in 0..<downlink.pointee.slotCount {
            let slot = downlink.pointee.slots[i]
            let state = slot.pointee.state
            guard state != slot.pointee.reported else { continue }
            let wasFree = slot.pointee.reported?.publication == nil
            slot.pointee.reported = state
            if wasFree && state.publication == nil { continue }
            changed.append(state)
        }
        return changed
    }

    // MARK: Transport

    /// Keys, consent or path changed: says so to the downlink, which is all that the road looks at.
    func settleDownlink() {
        downlink.pointee.sender = transport.canSend ? transport.srtp?.sender : nil
        if let path = transport.selectedPath { downlink.pointee.path = path }
    }

    /// Media may flow: whoever waits for a picture asks for it now.
    func startSending() {
        settleDownlink()
        for i in 0..<downlink.pointee.slotCount { downlink.pointee.slots[i].pointee.stop() }
        room.needsDealing = true
    }

    var nextDeadline: Instant {
        min(min(transport.nextDeadline, nextReport), min(nextFeedback, nextRepair))
    }

    /// Leaves the room; nothing of it is used afterwards.
    func leave() {
        for publication in publications { demultiplexer.removeAll(of: publication) }
        publications.removeAll()
        room.leave(self)
    }
}

extension SendStream {
    /// What the gateway is told about this slot.
    var state: SlotState {
        guard let publication else { return SlotState(mid: mid, kind: kind) }
        let layer = currentLayer
        let isWaiting = pause == .none && layer < 0
        return SlotState(
            mid: mid, kind: kind, publication: publication.id, participant: publication.participant,
            spatialLayer: layer >= 0 ? UInt8(layer) : nil,
            width: layer >= 0 ? publication.layers[layer].width : 0,
            height: layer >= 0 ? publication.layers[layer].height : 0,
            paused: pause != .none,
            reason: isWaiting ? (publication.codec == nil ? .publisher : .keyframe) : pause)
    }
}

/// Maps a peer's NTP clock to ours by the least delayed of its sender reports, so that audio and video of one
/// participant keep their distance whatever the network does.
struct ClockMapping {
    /// Added to the peer's NTP time, 32.32 seconds.
    private var offset: Int64?

    mutating func map(_ ntp: UInt64, arrivedAt local: UInt64) -> UInt64 {
        let sample = Int64(bitPattern: local &- ntp)
        guard let known = offset, abs(sample &- known) < 5 << 32 else {
            offset = sample
            return ntp &+ UInt64(bitPattern: sample)
        }
        // Less delay is believed at once; more is mostly queueing and moves the offset slowly, for clock drift.
        let next = sample < known ? sample : known &+ (sample &- known) / 256
        offset = next
        return ntp &+ UInt64(bitPattern: next)
    }
}
