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
    private(set) var hasVideoSlots = false
    var wishes = Wishes()
    /// As of the last ICE restart, as is `remote`.
    var local: LocalTransport
    var remote: RemoteTransport
    var attachments = Attachments()
    var state = TransportState.new
    private(set) var publications: [Publication] = []
    /// What the shard finds this session by.
    var paths: [NetworkPath] = []
    var usernameFragments: [String] = []
    /// How far each SSRC got that no slot has any more.
    private var past = SentNumbers()
    /// SSRC of the peer that no stream has any more, oldest first.
    private var retired: [UInt32] = []
    /// What the SSRCs of former publications stood for, in case their section is used again.
    private var associations: [Association] = []

    private struct Association {
        var ssrc: UInt32
        var mid: String
        var rid: String?
        var isRTX: Bool
    }

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
    private let timers: TimerQueue
    private var armedAt = Instant.distantFuture

    init(
        open: OpenSession,
        room: Room,
        index: Int32,
        transport: Transport,
        local: LocalTransport,
        timers: TimerQueue,
        reportSSRC: UInt32
    ) {
        self.open = open
        self.local = local
        remote = open.remote
        id = open.session
        participant = open.participant
        user = open.user
        receivesOwnUser = open.receivesOwnUser
        self.room = room
        self.index = index
        self.transport = transport
        self.timers = timers
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
                $0.publication == publication.id && publication.matches($0.section)
            }
            if !kept { remove(publication) }
        }
        for section in new.sections {
            guard let id = section.publication, !section.section.receive.isEmpty else { continue }
            if let known = publications.first(where: { $0.id == id }) {
                known.isMuted = section.muted
                announce(known, section.section.receive)
                continue
            }
            let publication = room.publish(section, id: id, by: self)
            publications.append(publication)
            announce(publication, section.section.receive)
            restore(publication)
        }
    }

    /// Binds the SSRCs that the offer names.
    private func announce(_ publication: Publication, _ encodings: [EncodingParameters]) {
        for (layer, encoding) in encodings.prefix(publication.layerCount).enumerated() {
            let stream = publication.layers + layer
            if let ssrc = encoding.ssrc, demultiplexer.bind(ssrc, to: stream, isRTX: false) {
                if let old = stream.pointee.announce(ssrc) {
                    retire(old)
                    room.restarted(publication, layer: layer)
                }
            }
            if let rtx = encoding.rtxSSRC, demultiplexer.bind(rtx, to: stream, isRTX: true) {
                if stream.pointee.rtxSSRC != rtx { retire(stream.pointee.rtxSSRC) }
                stream.pointee.rtxSSRC = rtx
            }
        }
    }

    /// RFC 8843 §9.2: what an SSRC belongs to holds until the offer says otherwise. A browser that sends in a section
    /// again does so under its old SSRCs, and does not repeat MID and RID.
    private func restore(_ publication: Publication) {
        for known in associations.reversed() where known.mid == publication.mid {
            for layer in 0..<publication.layerCount where publication.layers[layer].rid == known.rid {
                let stream = publication.layers + layer
                let isTaken = known.isRTX ? stream.pointee.rtxSSRC != 0 : stream.pointee.ssrc != 0
                guard !isTaken, demultiplexer.bind(known.ssrc, to: stream, isRTX: known.isRTX) else {
                    continue
                }
                if known.isRTX {
                    stream.pointee.rtxSSRC = known.ssrc
                } else {
                    _ = stream.pointee.announce(known.ssrc)
                }
            }
        }
        associations.removeAll { $0.mid == publication.mid }
    }

    private func remove(_ publication: Publication) {
        for binding in demultiplexer.bindings(of: publication) {
            associations.append(
                Association(
                    ssrc: binding.ssrc,
                    mid: publication.mid,
                    rid: binding.stream.pointee.rid,
                    isRTX: binding.isRTX
                )
            )
            retire(binding.ssrc)
        }
        associations.removeFirst(max(0, associations.count - Limits.Media.retiredStreams))
        room.unpublish(publication)
        publications.removeAll { $0 === publication }
    }

    /// This SSRC belongs to no stream any more.
    func retire(_ ssrc: UInt32) {
        guard ssrc != 0 else { return }
        demultiplexer.unbind(ssrc)
        remember(retired: ssrc)
    }

    /// Its replay protection is kept for a while: old packets must not be taken for those of a new stream, and a
    /// browser that starts sending again goes on where it stopped.
    private func remember(retired ssrc: UInt32) {
        retired.removeAll { $0 == ssrc }
        retired.append(ssrc)
        guard retired.count > Limits.Media.retiredStreams else { return }
        let oldest = retired.removeFirst()
        if demultiplexer.find(oldest) == nil { transport.srtp?.forgetRemoteStream(ssrc: oldest) }
    }

    private func configureSlots(_ sections: [MediaSection], random: inout RandomSource) {
        for i in (0..<downlink.pointee.slotCount).reversed() {
            let slot = downlink.pointee.slots[i]
            let section = sections.first { $0.mid == slot.pointee.mid && $0.kind == slot.pointee.kind }
            guard let section, let parameters = section.slot, parameters.ssrc == slot.pointee.ssrc else {
                past.note(slot)
                downlink.pointee.removeSlot(at: i)
                continue
            }
            past.note(slot)
            slot.pointee.reconfigure(section, slot: parameters, past: past)
        }
        for section in sections {
            guard let slot = section.slot, !downlink.pointee.has(ssrc: slot.ssrc, rtxSSRC: slot.rtxSSRC ?? 0),
                past.hasRoom
            else { continue }
            downlink.pointee.addSlot(SendStream(section: section, slot: slot, past: past, random: &random))
        }
        hasVideoSlots = !slots(of: .video).isEmpty
    }

    // MARK: Slots

    func slots(of kind: MediaKind) -> [UnsafeMutablePointer<SendStream>] {
        var found: [UnsafeMutablePointer<SendStream>] = []
        for i in 0..<downlink.pointee.slotCount where downlink.pointee.slots[i].pointee.kind == kind {
            found.append(downlink.pointee.slots[i])
        }
        return found
    }

    var audioSlotCount: Int {
        var count = 0
        for i in 0..<downlink.pointee.slotCount where downlink.pointee.slots[i].pointee.kind == .audio {
            count += 1
        }
        return count
    }

    /// The echo rule and the wishes: whether this publication is for this session at all.
    func wants(_ publication: Publication) -> Bool {
        guard publication.session !== self, receivesOwnUser || publication.user != user else { return false }
        switch wishes.scope {
        case .all: return wishes.overrides.isEmpty || wishes.overrides[publication.id] != false
        case .none: return wishes.overrides[publication.id] == true
        case .participant(let wanted):
            return publication.participant == wanted && wishes.overrides[publication.id] != false
        }
    }

    /// Keys are installed and consent is fresh: what is sent now arrives.
    var canReceive: Bool { downlink.pointee.sender != nil }

    /// Slots that still wait for a key frame ask again; and streams that begin anew are reported at once.
    func urgeKeyFrames() {
        guard canReceive else { return }
        for i in 0..<downlink.pointee.slotCount {
            let slot = downlink.pointee.slots[i]
            if slot.pointee.awaitsKeyFrame && !slot.pointee.canStartFromHistory(at: room.now) {
                slot.pointee.publication?.requestKeyFrame(layer: Int(slot.pointee.target.encoding))
            }
            if slot.pointee.wantsReport {
                nextReport = .zero
                // Until the report is out.
                room.hasNews = true
            }
        }
        arm()
    }

    /// Slots that are not as the gateway last heard.
    func changedSlots() -> [SlotState] {
        var changed: [SlotState] = []
        for i in 0..<downlink.pointee.slotCount {
            let slot = downlink.pointee.slots[i]
            let digest = slot.pointee.digest
            guard digest != slot.pointee.reported else { continue }
            slot.pointee.reported = digest
            changed.append(slot.pointee.state)
        }
        return changed
    }

    /// The gateway is told of every slot again.
    func forgetReports() {
        for i in 0..<downlink.pointee.slotCount { downlink.pointee.slots[i].pointee.reported = nil }
    }

    // MARK: Transport

    /// Keys, consent or path changed: says so to the downlink, which is all that the road looks at.
    func settleDownlink() {
        let sender = transport.canSend ? transport.srtp?.sender : nil
        let begins = downlink.pointee.sender == nil && sender != nil
        downlink.pointee.sender = sender
        if let path = transport.selectedPath { downlink.pointee.path = path }
        if begins { beginSending() }
    }

    /// Media may flow, for the first time or again. The numbers go on where they stopped, however long ago that
    /// was, and whoever waits for a picture asks for it now.
    private func beginSending() {
        for i in 0..<downlink.pointee.slotCount { downlink.pointee.slots[i].pointee.stop() }
        nextReport = .zero
        room.needsDealing = true
    }

    private var nextDeadline: Instant {
        min(min(transport.nextDeadline, nextReport), min(nextFeedback, nextRepair))
    }

    /// Tells the shard's timers when this session wants to be looked at, where that is earlier than they know.
    @inline(__always)
    func arm() {
        let next = nextDeadline
        if next < armedAt { rearm(at: next) }
    }

    private func rearm(at next: Instant) {
        armedAt = next
        timers.add(index, at: next)
    }

    /// Whether this deadline is the one that counts; the next one must be armed afterwards.
    func isDue(_ deadline: Instant) -> Bool {
        guard deadline == armedAt else { return false }
        armedAt = .distantFuture
        return true
    }

    /// Repair requests go out at this time at the latest.
    func repair(by deadline: Instant) {
        if deadline < nextRepair { nextRepair = deadline }
        arm()
    }

    /// Leaves the room; nothing of it is used afterwards.
    func leave() {
        for publication in publications {
            for binding in demultiplexer.bindings(of: publication) { demultiplexer.unbind(binding.ssrc) }
        }
        publications.removeAll()
        room.leave(self)
        for i in 0..<downlink.pointee.slotCount { downlink.pointee.slots[i].pointee.unbind() }
        downlink.pointee.settle()
    }
}

/// How far the numbers of SSRCs went that we sent: none of them may be used again (RFC 3711 §9.1).
struct SentNumbers {
    private var entries: [UInt32: (highest: Int64, timestamp: UInt32)] = [:]

    subscript(_ ssrc: UInt32) -> (highest: Int64, timestamp: UInt32)? { entries[ssrc] }

    var hasRoom: Bool { entries.count < Limits.Media.sentStreams }

    mutating func note(_ slot: UnsafeMutablePointer<SendStream>) {
        entries[slot.pointee.ssrc] = (
            slot.pointee.rewriter.highestSequence, slot.pointee.rewriter.lastTimestamp
        )
        if slot.pointee.rtxSSRC != 0 { entries[slot.pointee.rtxSSRC] = (slot.pointee.rtxSequence - 1, 0) }
    }
}

/// Maps a peer's NTP clock to ours by the least delayed of its sender reports, so that audio and video of one
/// participant keep their distance whatever the network does.
struct ClockMapping {
    /// Added to the peer's NTP time, 32.32 seconds; nil before the first report.
    private(set) var offset: Int64?

    mutating func note(_ ntp: UInt64, arrivedAt local: UInt64) {
        let sample = Int64(bitPattern: local &- ntp)
        guard let known = offset, (sample &- known).magnitude < 5 << 32 else {
            offset = sample
            return
        }
        // Less delay is believed at once; more is mostly queueing and moves the offset slowly, for clock drift.
        offset = sample < known ? sample : known &+ (sample &- known) / 256
    }
}
