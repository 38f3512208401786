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
    /// What it sends.
    let uplink: Uplink
    /// What the shard finds this session by.
    var paths: [NetworkPath] = []
    var usernameFragments: [String] = []
    /// How far each SSRC got that no slot has any more.
    private var past = SentNumbers()
    var feedback: TransportFeedbackGenerator?
    var feedbackSchedule = FeedbackSchedule()
    var bitrateNotice = BitrateNotice()
    var bitratesLookedAt = Instant.distantPast
    private(set) var sendsTransportFeedback = false

    // RTCP.
    let reportSSRC: UInt32
    /// It gets as much as its path carries.
    let limitsBandwidth: Bool
    /// What the control of its downlink was made for.
    var controlledPath = NetworkPath(remote: .unspecified, remotePort: 0)
    var nextReport = Instant.distantFuture
    var nextFeedback = Instant.distantFuture
    var nextRepair = Instant.distantFuture
    var nextQuality = Instant.distantFuture
    var meter = QualityMeter()
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
        reportSSRC: UInt32,
        limitsBandwidth: Bool = false
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
        self.limitsBandwidth = limitsBandwidth
        downlink = RoadMemory.allocate(Downlink.self)
        downlink.initialize(to: Downlink())
        uplink = Uplink(open: open, room: room)
        uplink.session = self
    }

    deinit {
        downlink.deinitialize(count: 1)
        RoadMemory.free(downlink)
    }

    // MARK: Negotiated media

    /// Takes over the whole negotiated media; what stays the same keeps running.
    func configure(_ new: SessionMedia, random: inout RandomSource) {
        let sections = new.sections.map(\.section)
        media = new
        cname = Array(new.cname.utf8.prefix(255))
        uplink.configure(new)
        sendsTransportFeedback =
            uplink.extensions.id(of: .transportSequence) != 0
            && sections.contains { section in
                !section.receive.isEmpty && section.codecs.contains { $0.feedback.contains(.transportCC) }
            }
        if sendsTransportFeedback && feedback == nil { feedback = TransportFeedbackGenerator() }
        room.wantsNothing(self)
        configureSlots(sections, random: &random)
        room.announce(uplink)
        room.dealAgain(to: self)
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
        guard publication.uplink !== uplink, receivesOwnUser || publication.user != user else { return false }
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
        meter.report.forget()
    }

    // MARK: Transport

    /// Keys, consent or path changed: says so to the downlink, which is all that the road looks at.
    func settleDownlink(at now: Instant) {
        let sender = transport.canSend ? transport.srtp?.sender : nil
        let begins = downlink.pointee.sender == nil && sender != nil
        downlink.pointee.sender = sender
        if let path = transport.selectedPath { downlink.pointee.path = path }
        settleControl(begins: begins, at: now)
        if begins { beginSending() }
    }

    /// Media may flow, for the first time or again. The numbers go on where they stopped, however long ago that
    /// was, and whoever waits for a picture asks for it now.
    private func beginSending() {
        for i in 0..<downlink.pointee.slotCount { downlink.pointee.slots[i].pointee.stop() }
        nextReport = .zero
        nextQuality = .zero
        room.dealAgain(to: self)
    }

    /// Nothing sends under this SSRC any more.
    func forgetRemoteStream(_ ssrc: UInt32) { transport.srtp?.forgetRemoteStream(ssrc: ssrc) }

    private var nextDeadline: Instant {
        let next = min(
            min(transport.nextDeadline, nextReport),
            min(min(nextFeedback, nextRepair), nextQuality)
        )
        return min(next, pacingDeadline)
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

    /// Something is missing: it is asked for when it is not just late.
    @inline(__always)
    func repair(after patience: Interval, at now: Instant) {
        if nextRepair > now + patience { nextRepair = now + patience }
    }

    /// Repair requests go out at this time at the latest.
    func repair(by deadline: Instant) {
        if deadline < nextRepair { nextRepair = deadline }
        arm()
    }

    /// Leaves the room; nothing of it is used afterwards.
    func leave() {
        uplink.leave()
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
