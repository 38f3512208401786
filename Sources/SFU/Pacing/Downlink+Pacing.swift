// What leaves later than it came: video that waits for its turn, and probes. Audio never waits here. Runs where bits are
// short, so that the road of everybody else stays straight.
import PeerTransport
import RTP

extension Downlink {
    /// Keeps what may go now, and lets the rest wait.
    @inline(never)
    mutating func holdBack(
        _ collected: inout Departures,
        _ control: UnsafeMutablePointer<DownlinkControl>,
        _ sender: SRTPSender
    ) {
        let now = collected.now
        var room = control.pointee.waiting.isEmpty ? control.pointee.pacer.available(at: now) : 0
        var kept = 0
        for i in 0..<collected.count {
            let departure = collected.list[i]
            let size = departure.size + sender.overhead + control.pointee.headerBytes
            if departure.stream.pointee.kind == .audio {
                collected.list[kept] = departure
                kept += 1
            } else if room > 0 {
                // A packet leaves whole where any of it may.
                room -= size
                collected.list[kept] = departure
                kept += 1
            } else if !control.pointee.waiting.append(WaitingPacket(departure, size: size)) {
                void(departure)
                collected.withhold(.pacerFull)
            }
        }
        collected.count = kept
    }

    /// What was kept is out: whether what waits is too much.
    @inline(never)
    mutating func settleHeld(_ control: UnsafeMutablePointer<DownlinkControl>, at now: Instant) {
        settlePacing(control, at: now)
        // The road arms no timers.
        control.pointee.session.arm()
    }

    private func void(_ departure: Departure) {
        departure.stream.pointee.void(
            departure.rewritten.sequence,
            timestamp: departure.rewritten.timestamp
        )
    }

    /// What waits has changed: upper temporal layers are left out while it is too much.
    private func settlePacing(_ control: UnsafeMutablePointer<DownlinkControl>, at now: Instant) {
        let waiting = control.pointee.waiting.bytes
        if waiting > 0 { control.pointee.aimPacer(at: now) }
        let isOverfull = control.pointee.pacer.isOverfull(waiting)
        if isOverfull && !control.pointee.isThinned {
            control.pointee.isThinned = true
            eachVideo { $0.pointee.thin() }
        } else if control.pointee.isThinned && waiting == 0 {
            control.pointee.isThinned = false
            eachVideo { $0.pointee.thicken() }
        }
        // While a queue drains elsewhere, ours waits for that.
        let wait = Int64(waiting) * 8_000_000 / Int64(max(1, control.pointee.estimator.target))
        guard wait > Limits.Bandwidth.waitingLongest.microseconds else { return }
        // What has no temporal layers to leave out is broken off; its next key frame is sent when there is room.
        eachVideo { $0.pointee.stop() }
        control.pointee.nextAllocation = now
    }

    func eachVideo(_ body: (UnsafeMutablePointer<SendStream>) -> Void) {
        for i in 0..<shownCount where shown[i].pointee.kind == .video { body(shown[i]) }
    }

    /// Sends what waits as far as it may go now, and what of a probe is due.
    mutating func advancePacing(_ turn: SendingTurn) {
        guard let sender, let control else { return }
        while let order = control.pointee.estimator.probe(at: turn.now) {
            guard probe(order, sender, turn) > 0 else {
                control.pointee.estimator.skipProbe(at: turn.now)
                break
            }
        }
        // A probe may have taken all that waited.
        guard !control.pointee.waiting.isEmpty || control.pointee.isThinned else { return }
        let room = control.pointee.pacer.available(at: turn.now)
        if room > 0 { _ = drain(room, sender, turn) }
        settlePacing(control, at: turn.now)
    }

    /// Sends packets that wait until they make so many bytes. Returns how many those were.
    private mutating func drain(_ bytes: Int, _ sender: SRTPSender, _ turn: SendingTurn) -> Int {
        guard let control else { return 0 }
        var count = 0
        var sum = 0
        while sum < bytes, count < Downlink.departureCapacity, let next = control.pointee.waiting.first {
            control.pointee.waiting.removeFirst()
            guard next.isWanted, next.isStored else {
                if next.ownsNumber { void(next.departure) }
                turn.counters.pointee.withhold(.overBandwidth)
                continue
            }
            turn.departures[count] = next.departure
            count += 1
            sum += next.size
        }
        if count > 0 { dispatch(count, sender, turn) }
        return sum
    }

    // MARK: Probes

    /// Sends a part of a probe: what waits, then recent packets once more, then padding. Returns bytes, 0: there is no
    /// stream to send it on.
    private mutating func probe(
        _ order: ProbeController.Order,
        _ sender: SRTPSender,
        _ turn: SendingTurn
    ) -> Int {
        guard let control else { return 0 }
        var sum = drain(order.bytes, sender, turn)
        guard sum < order.bytes, let stream = probeStream else { return sum }
        if control.pointee.probeCursor.cluster != order.cluster {
            control.pointee.probeCursor = DownlinkControl.ProbeCursor(cluster: order.cluster)
        }
        while sum < order.bytes {
            let packet = turn.outbox.reserve(Limits.Media.datagramBytes + 2 * Downlink.writeSlack)
            let (again, kind) = next(packet, of: stream, control, turn)
            let length = send(again, packet, of: stream, kind, sender, at: turn.now, turn.outbox)
            guard length > 0 else { return sum }
            if kind == .rtx {
                turn.counters.pointee.probeRepeats &+= 1
            } else {
                turn.counters.pointee.probePaddings &+= 1
            }
            turn.counters.pointee.probeBytes &+= UInt64(truncatingIfNeeded: length)
            sum += length + control.pointee.headerBytes
        }
        return sum
    }

    private func next(
        _ packet: UnsafeMutablePointer<UInt8>,
        of stream: UnsafeMutablePointer<SendStream>,
        _ control: UnsafeMutablePointer<DownlinkControl>,
        _ turn: SendingTurn
    ) -> (SendStream.Resend, SentKind) {
        while control.pointee.probeCursor.back < Limits.Bandwidth.probeRepeats {
            defer { control.pointee.probeCursor.back += 1 }
            let again = stream.pointee.repeated(
                control.pointee.probeCursor.back,
                to: packet,
                transportSequence: transportSequence,
                absoluteSendTime: turn.absoluteSendTime,
                at: turn.now
            )
            if let again { return (again, .rtx) }
        }
        let padding = stream.pointee.padding(
            to: packet,
            transportSequence: transportSequence,
            absoluteSendTime: turn.absoluteSendTime
        )
        return (padding, .padding)
    }

    /// Where a probe's packets go: reports are about transport-wide numbers.
    private var probeStream: UnsafeMutablePointer<SendStream>? {
        for i in 0..<shownCount {
            if shown[i].pointee.takesProbes && shown[i].pointee.template.hasTransportSequence {
                return shown[i]
            }
        }
        return nil
    }
}
