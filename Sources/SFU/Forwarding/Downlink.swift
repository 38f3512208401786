// The way from a room to one subscriber: collects what of the new packets it gets, groups packets of like size so
// that one send carries several, writes and protects them. Raw memory, straight-line code, no allocation.
import PeerTransport
import RTP

struct Downlink: ~Copyable {
    /// Departures that are decided before they are written.
    static let departureCapacity = 1024
    private static let departureReserve = 384
    /// What a packet may grow by while it is written: template copy, SRTP tag.
    static let writeSlack = 128

    // What the road reads of each packet comes first: two lines of the cache.

    /// Set while keys are installed and consent is fresh.
    var sender: SRTPSender?
    var path = NetworkPath(remote: .unspecified, remotePort: 0)
    /// nil: nothing limits what is sent.
    private(set) var control: UnsafeMutablePointer<DownlinkControl>?
    /// Those that show something, audio first: what the road looks at.
    private(set) var shown: UnsafeMutablePointer<UnsafeMutablePointer<SendStream>>
    private(set) var shownCount = 0
    private var shownAudio = 0
    /// Bytes that resends may still take.
    var resendBudget = Limits.Media.resendBurstBytes
    var transportSequence: UInt16 = 0
    /// Packets of nearly the same size are padded to be equal: a luxury where bits are short.
    var equalises = true
    private(set) var slots: UnsafeMutablePointer<UnsafeMutablePointer<SendStream>>
    private(set) var slotCount = 0
    /// Slots that there is room for.
    private var capacity = 8

    init() {
        slots = RoadMemory.allocate(UnsafeMutablePointer<SendStream>.self, count: capacity)
        shown = RoadMemory.allocate(UnsafeMutablePointer<SendStream>.self, count: capacity)
    }

    deinit {
        control?.deinitialize(count: 1)
        RoadMemory.free(control)
        for i in 0..<slotCount {
            slots[i].deinitialize(count: 1)
            RoadMemory.free(slots[i])
        }
        RoadMemory.free(slots, count: capacity)
        RoadMemory.free(shown, count: capacity)
    }

    // MARK: Control path

    /// From now on what is sent is limited by what the path carries.
    mutating func install(_ new: consuming DownlinkControl) {
        if let control {
            // What waits is not sent any more: its numbers go to what comes next.
            if !control.pointee.waiting.isEmpty { eachVideo { $0.pointee.stop() } }
            control.deinitialize(count: 1)
            control.initialize(to: new)
            return
        }
        let place = RoadMemory.allocate(DownlinkControl.self)
        place.initialize(to: new)
        control = place
    }

    /// Adds a slot, unless there are as many as a session may have.
    mutating func addSlot(_ stream: consuming SendStream) {
        guard slotCount < Limits.Media.sectionsPerSession else { return }
        if slotCount == capacity { grow() }
        let place = RoadMemory.allocate(SendStream.self)
        place.initialize(to: stream)
        slots[slotCount] = place
        slotCount += 1
    }

    private mutating func grow() {
        slots = moved(slots, count: slotCount)
        shown = moved(shown, count: shownCount)
        capacity *= 2
    }

    private func moved(
        _ list: UnsafeMutablePointer<UnsafeMutablePointer<SendStream>>,
        count: Int
    ) -> UnsafeMutablePointer<UnsafeMutablePointer<SendStream>> {
        let larger = RoadMemory.allocate(UnsafeMutablePointer<SendStream>.self, count: capacity * 2)
        larger.moveInitialize(from: list, count: count)
        RoadMemory.free(list, count: capacity)
        return larger
    }

    mutating func removeSlot(at index: Int) {
        slots[index].pointee.unbind()
        control?.pointee.waiting.remove(slots[index])
        slots[index].deinitialize(count: 1)
        RoadMemory.free(slots[index])
        slotCount -= 1
        slots[index] = slots[slotCount]
        settle()
    }

    /// To be called after slots were bound: the road looks at these.
    mutating func settle() {
        shownCount = 0
        settle(.audio)
        shownAudio = shownCount
        settle(.video)
    }

    private mutating func settle(_ kind: MediaKind) {
        for i in 0..<slotCount where slots[i].pointee.kind == kind && slots[i].pointee.isBound {
            shown[shownCount] = slots[i]
            shownCount += 1
        }
    }

    /// A slot shows video, or waits for some.
    var showsVideo: Bool {
        mutating get { shownCount > shownAudio }
    }

    /// Whether a slot has one of these SSRCs already.
    func has(ssrc: UInt32, rtxSSRC: UInt32) -> Bool {
        for i in 0..<slotCount {
            let slot = slots[i]
            let own = [slot.pointee.ssrc, slot.pointee.rtxSSRC]
            if own.contains(ssrc) || (rtxSSRC != 0 && own.contains(rtxSSRC)) { return true }
        }
        return ssrc == rtxSSRC || ssrc == 0
    }

    func slot(ssrc: UInt32) -> UnsafeMutablePointer<SendStream>? {
        for i in 0..<slotCount where slots[i].pointee.ssrc == ssrc { return slots[i] }
        return nil
    }

    // MARK: The road

    // A thousand subscribers are more than a cache holds: while one is served, the next ones are on their way.

    /// First of all the downlink itself.
    @inline(__always)
    static func prefetch(_ downlink: UnsafeMutablePointer<Downlink>) {
        Prefetch.memory(downlink, bytes: 2 * Prefetch.line)
    }

    /// Then what it points to.
    @inline(__always)
    mutating func prefetchStreams() {
        Prefetch.memory(shown, bytes: Prefetch.line)
        if let control { DownlinkControl.prefetch(control) }
        sender?.prefetch()
    }

    /// Then what those point to.
    @inline(__always)
    mutating func prefetchRoad(_ share: Share) {
        let first = share == .video ? shownAudio : 0
        if first < shownCount { SendStream.prefetch(shown[first]) }
        sender?.prefetchCipher()
    }

    /// Last, where the packet will be remembered.
    @inline(__always)
    mutating func prefetchRing(_ share: Share) {
        let first = share == .video ? shownAudio : 0
        if first < shownCount { shown[first].pointee.prefetchRing() }
        control?.pointee.prefetchHistory()
    }

    /// Sends this subscriber its share of what goes out of its publications.
    @inline(__always)
    mutating func forward(_ share: Share, _ turn: SendingTurn) {
        guard let sender else { return }
        var collected = Departures(list: turn.departures, counters: turn.counters, now: turn.now)
        for i in (share == .video ? shownAudio : 0)..<(share == .audio ? shownAudio : shownCount) {
            let stream = shown[i]
            stream.pointee.collect(into: &collected, of: stream)
            if collected.count > Downlink.departureCapacity - Downlink.departureReserve {
                release(&collected, sender, turn)
            }
        }
        if collected.count > 0 { release(&collected, sender, turn) }
    }

    /// What was collected goes out, or waits for its turn.
    @inline(__always)
    private mutating func release(_ collected: inout Departures, _ sender: SRTPSender, _ turn: SendingTurn) {
        let isHeld = control.map { !$0.pointee.lets(collected.videoBytes, at: turn.now) } ?? false
        if isHeld, let control { holdBack(&collected, control, sender) }
        dispatch(collected.count, sender, turn)
        if isHeld, let control { settleHeld(control, at: turn.now) }
        collected.clear()
    }

    /// The first of the turn's departures go out, in as few sends as their sizes allow.
    @inline(__always)
    mutating func dispatch(_ count: Int, _ sender: SRTPSender, _ turn: SendingTurn) {
        if count == 1 { return sendAlone(turn.departures, sender, turn) }
        dispatchSeveral(count, sender, turn)
    }

    @inline(never)
    private mutating func dispatchSeveral(_ count: Int, _ sender: SRTPSender, _ turn: SendingTurn) {
        var first = 0
        while first < count {
            let group = nextGroup(turn.departures, first, count)
            if group.count == 1 {
                sendAlone(turn.departures + first, sender, turn)
            } else {
                sendTogether(turn.departures + first, group, sender, turn)
            }
            first += group.count
        }
    }

    /// One packet, as audio mostly goes.
    @inline(never)
    private mutating func sendAlone(
        _ departure: UnsafeMutablePointer<Departure>,
        _ sender: SRTPSender,
        _ turn: SendingTurn
    ) {
        let packet = turn.outbox.reserve(departure.pointee.size &+ 2 &* Downlink.writeSlack)
        let length = emit(departure, to: packet, padding: 0, sender, turn)
        finish(length: length, segmentSize: length, segments: 1, turn)
    }

    /// Several packets in one send, one behind the other.
    @inline(never)
    private mutating func sendTogether(
        _ departures: UnsafeMutablePointer<Departure>,
        _ group: (count: Int, size: Int),
        _ sender: SRTPSender,
        _ turn: SendingTurn
    ) {
        let room = group.count * (group.size + Downlink.writeSlack) + Downlink.writeSlack
        let start = turn.outbox.reserve(room)
        let segment = group.size + sender.overhead
        var length = 0
        var isWhole = true
        for i in 0..<group.count {
            let isLast = i == group.count - 1
            let padding = isLast ? 0 : group.size - departures[i].size
            let protected = emit(departures + i, to: start + length, padding: padding, sender, turn)
            turn.counters.pointee.paddingBytes &+= UInt64(truncatingIfNeeded: padding)
            isWhole = isWhole && (protected == segment || isLast && protected > 0)
            length += protected
        }
        // Segments of another size than they say would reach the subscriber cut apart.
        finish(length: isWhole ? length : 0, segmentSize: segment, segments: group.count, turn)
    }

    /// - Parameter length: 0: a packet could not be protected, and nothing goes out.
    @inline(__always)
    private mutating func finish(length: Int, segmentSize: Int, segments: Int, _ turn: SendingTurn) {
        guard length > 0 else { return turn.counters.pointee.withhold(.protectFailed, segments) }
        turn.outbox.commit(length: length, segmentSize: segmentSize, segments: segments, on: path)
        turn.counters.pointee.packetsForwarded &+= UInt64(truncatingIfNeeded: segments)
        turn.counters.pointee.bytesForwarded &+= UInt64(truncatingIfNeeded: length)
        turn.counters.pointee.sends &+= 1
        resendBudget = min(
            resendBudget &+ length &* Limits.Media.resendShare / 100,
            Limits.Media.resendBurstBytes
        )
    }

    /// Writes and protects one packet. Returns its length, 0 on failure.
    @inline(__always)
    private mutating func emit(
        _ departure: UnsafeMutablePointer<Departure>,
        to packet: UnsafeMutablePointer<UInt8>,
        padding: Int,
        _ sender: SRTPSender,
        _ turn: SendingTurn
    ) -> Int {
        let stream = departure.pointee.stream
        let plain = stream.pointee.write(
            departure,
            to: packet,
            padding: padding,
            transportSequence: transportSequence,
            absoluteSendTime: turn.absoluteSendTime,
            at: turn.now
        )
        let length = sender.protect(
            packet,
            headerLength: departure.pointee.headerLength,
            length: plain,
            ssrc: stream.pointee.ssrc,
            index: UInt64(truncatingIfNeeded: departure.pointee.rewritten.sequence)
        )
        note(stream, length, at: turn.now)
        return length
    }

    /// A packet goes out: its number is used, and those who count are told.
    @inline(__always)
    private mutating func note(
        _ stream: UnsafeMutablePointer<SendStream>,
        _ length: Int,
        at now: Instant
    ) {
        let kind: SentKind = stream.pointee.kind == .audio ? .audio : .video
        guard stream.pointee.template.hasTransportSequence else {
            control?.pointee.note(length, kind)
            return
        }
        control?.pointee.sent(transportSequence, size: length, kind: kind, at: now)
        transportSequence &+= 1
    }

    /// How many departures from `first` on go out in one send, and the size that all but the last have.
    @inline(__always)
    func nextGroup(
        _ departures: UnsafeMutablePointer<Departure>,
        _ first: Int,
        _ count: Int
    ) -> (count: Int, size: Int) {
        var size = departures[first].size
        guard count - first > 1, path.isUDP else { return (1, size) }
        let mostPadding = equalises ? Limits.Media.equalisingPadding : 0
        var smallest = size
        var end = first + 1
        while end < count && end - first < Limits.Media.segmentsPerSend {
            let next = departures[end].size
            let wouldBe = max(size, next)
            // What stands before the next one is padded up to it; the last one may be shorter as it is.
            guard (end - first + 1) * (wouldBe + Downlink.writeSlack) + Downlink.writeSlack < 1 << 16 else {
                break
            }
            guard wouldBe - smallest <= mostPadding else { break }
            size = wouldBe
            smallest = min(smallest, next)
            end += 1
        }
        return (end - first, size)
    }

    /// Sends one packet again, as the subscriber's NACK asks. Returns whether it did.
    mutating func resend(
        _ number: UInt16,
        on stream: UnsafeMutablePointer<SendStream>,
        absoluteSendTime: UInt32,
        at now: Instant,
        into outbox: Outbox
    ) -> Bool {
        guard let sender, resendBudget > 0 else { return false }
        let isTight = control?.pointee.isTight ?? false
        let packet = outbox.reserve(Limits.Media.datagramBytes + 2 * Downlink.writeSlack)
        guard
            let again = stream.pointee.resend(
                number,
                to: packet,
                transportSequence: transportSequence,
                absoluteSendTime: absoluteSendTime,
                isTight: isTight,
                at: now
            )
        else { return false }
        let length = send(again, packet, of: stream, .rtx, sender, at: now, outbox)
        resendBudget -= length
        return length > 0
    }

    /// Protects and sends a packet that was made again. Returns its length, 0 where that failed.
    mutating func send(
        _ again: SendStream.Resend,
        _ packet: UnsafeMutablePointer<UInt8>,
        of stream: UnsafeMutablePointer<SendStream>,
        _ kind: SentKind,
        _ sender: SRTPSender,
        at now: Instant,
        _ outbox: Outbox
    ) -> Int {
        let length: Int
        switch again {
        case .same(let plain, let header, let index):
            length = sender.protect(
                packet,
                headerLength: header,
                length: plain,
                ssrc: stream.pointee.ssrc,
                index: UInt64(truncatingIfNeeded: index)
            )
            // It bears the number that it had.
            if length > 0 { control?.pointee.note(length, kind) }
        case .rtx(let plain, let header, let index):
            length = sender.protect(
                packet,
                headerLength: header,
                length: plain,
                ssrc: stream.pointee.rtxSSRC,
                index: UInt64(truncatingIfNeeded: index)
            )
            guard stream.pointee.template.hasTransportSequence else {
                if length > 0 { control?.pointee.note(length, kind) }
                break
            }
            if length > 0 { control?.pointee.sent(transportSequence, size: length, kind: kind, at: now) }
            transportSequence &+= 1
        }
        guard length > 0 else { return 0 }
        outbox.commit(length: length, on: path)
        return length
    }
}
