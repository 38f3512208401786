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
    mutating func forward(
        _ share: Share,
        _ departures: UnsafeMutablePointer<Departure>,
        counters: UnsafeMutablePointer<Counters>,
        absoluteSendTime: UInt32,
        at now: Instant,
        into outbox: Outbox
    ) {
        guard let sender else { return }
        var collected = Departures(list: departures, counters: counters, now: now)
        for i in (share == .video ? shownAudio : 0)..<(share == .audio ? shownAudio : shownCount) {
            let stream = shown[i]
            stream.pointee.collect(into: &collected, of: stream)
            if collected.count > Downlink.departureCapacity - Downlink.departureReserve {
                release(&collected, sender, absoluteSendTime, outbox)
            }
        }
        if collected.count > 0 { release(&collected, sender, absoluteSendTime, outbox) }
    }

    /// What was collected goes out, or waits for its turn.
    @inline(__always)
    private mutating func release(
        _ collected: inout Departures,
        _ sender: SRTPSender,
        _ absoluteSendTime: UInt32,
        _ outbox: Outbox
    ) {
        let isHeld = control.map { !$0.pointee.lets(collected.videoBytes, at: collected.now) } ?? false
        if isHeld, let control { holdBack(&collected, control, sender) }
        dispatch(
            collected.list,
            collected.count,
            sender,
            collected.counters,
            absoluteSendTime,
            collected.now,
            outbox
        )
        if isHeld, let control { settleHeld(control, at: collected.now) }
        collected.clear()
    }

    mutating func dispatch(
        _ departures: UnsafeMutablePointer<Departure>,
        _ count: Int,
        _ sender: SRTPSender,
        _ counters: UnsafeMutablePointer<Counters>,
        _ absoluteSendTime: UInt32,
        _ now: Instant,
        _ outbox: Outbox
    ) {
        var first = 0
        while first < count {
            let group = nextGroup(departures, first, count)
            let room = group.count * (group.size + Downlink.writeSlack) + Downlink.writeSlack
            let start = outbox.reserve(room)
            let segment = group.size + sender.overhead
            var length = 0
            var isWhole = true
            for i in first..<(first + group.count) {
                let departure = departures + i
                let stream = departure.pointee.stream
                let isLast = i == first + group.count - 1
                let padding = isLast ? 0 : group.size - departure.pointee.size
                let packet = start + length
                let plain = stream.pointee.write(
                    departure,
                    to: packet,
                    padding: padding,
                    transportSequence: transportSequence,
                    absoluteSendTime: absoluteSendTime,
                    at: now
                )
                counters.pointee.paddingBytes &+= UInt64(truncatingIfNeeded: padding)
                let protected = sender.protect(
                    packet,
                    headerLength: departure.pointee.headerLength,
                    length: plain,
                    ssrc: stream.pointee.ssrc,
                    index: UInt64(truncatingIfNeeded: departure.pointee.rewritten.sequence)
                )
                isWhole = isWhole && (protected == segment || isLast && protected > 0)
                length += protected
                note(stream, protected, at: now)
            }
            first += group.count
            // Segments of another size than they say would reach the subscriber cut apart.
            guard isWhole else {
                counters.pointee.withhold(.protectFailed, group.count)
                continue
            }
            outbox.commit(length: length, segmentSize: segment, segments: group.count, on: path)
            counters.pointee.packetsForwarded &+= UInt64(truncatingIfNeeded: group.count)
            counters.pointee.bytesForwarded &+= UInt64(truncatingIfNeeded: length)
            counters.pointee.sends &+= 1
            resendBudget = min(
                resendBudget + length * Limits.Media.resendShare / 100,
                Limits.Media.resendBurstBytes
            )
        }
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
