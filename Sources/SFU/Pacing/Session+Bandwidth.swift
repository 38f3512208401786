// What a session is told of its way down, and what follows: the estimator hears it, the pacer is aimed, and the bits are
// shared out anew where that changes something (Session+Allocation).
import PeerTransport
import RTP

extension Session {
    /// What it gets is limited by its path.
    var isLimited: Bool { downlink.pointee.control != nil }

    // MARK: Beginning

    /// Keys, path or slots changed.
    /// - Parameter begins: media may flow from now on, for the first time or again.
    func settleControl(begins: Bool, at now: Instant) {
        guard limitsBandwidth, downlink.pointee.sender != nil, downlink.pointee.slotCount > 0 else { return }
        let path = downlink.pointee.path
        guard let control = downlink.pointee.control else { return beginControl(path, at: now) }
        // A stream connection has congestion control of its own, and a new section may bring feedback.
        if path.isUDP != controlledPath.isUDP
            || control.pointee.estimator.settings.hasFeedback != reportsTransport
        {
            return beginControl(path, at: now)
        }
        guard path != controlledPath else {
            if begins { routeChanged(control, at: now) }
            return
        }
        controlledPath = path
        control.pointee.headerBytes = Session.headerBytes(on: path)
        routeChanged(control, at: now)
    }

    private func beginControl(_ path: NetworkPath, at now: Instant) {
        var settings = BandwidthEstimator.Settings()
        settings.isStream = !path.isUDP
        settings.hasFeedback = reportsTransport
        // Whoever cannot be probed is taken to have room until it says otherwise.
        if !settings.hasFeedback && !settings.isStream { settings.start = settings.maximum }
        var control = DownlinkControl(settings, of: self, at: now)
        control.headerBytes = Session.headerBytes(on: path)
        controlledPath = path
        downlink.pointee.install(control)
        room.dealAgain(to: self)
    }

    private func routeChanged(_ control: UnsafeMutablePointer<DownlinkControl>, at now: Instant) {
        follow(control.pointee.estimator.routeChanged(at: now), at: now)
    }

    /// IP and UDP, or IP, TCP and the length of RFC 4571.
    private static func headerBytes(on path: NetworkPath) -> Int {
        (path.remote.isIPv6 ? 40 : 20) + (path.isUDP ? 8 : 34)
    }

    /// Its packets bear numbers that it reports on.
    private var reportsTransport: Bool {
        slotSections.contains { section in
            section.extensions.contains { $0.kind == .transportSequence }
                && section.codecs.contains { $0.feedback.contains(.transportCC) }
        }
    }

    private var slotSections: [MediaSection] {
        (0..<downlink.pointee.slotCount).map { downlink.pointee.slots[$0].pointee.section }
    }

    // MARK: Hearing

    func received(
        _ feedback: TransportFeedbackParser,
        _ counters: UnsafeMutablePointer<Counters>,
        at now: Instant
    ) {
        guard let control = downlink.pointee.control else { return }
        let heard = control.pointee.estimator.receive(feedback, at: now)
        counters.pointee.feedbackUnknown &+= UInt64(truncatingIfNeeded: heard.unsent)
        follow(heard.change, at: now)
    }

    func received(receiverEstimate rate: UInt64, at now: Instant) {
        guard let control = downlink.pointee.control else { return }
        follow(
            control.pointee.estimator.received(
                receiverEstimate: rate,
                used: control.pointee.estimator.settings.hasFeedback ? nil : control.pointee.used,
                at: now
            ),
            at: now
        )
    }

    /// - Parameter bytes: in front of its ICE-TCP connection.
    func received(backlog bytes: Int, at now: Instant) {
        guard let control = downlink.pointee.control else { return }
        follow(control.pointee.estimator.received(backlog: bytes, at: now), at: now)
    }

    /// - Parameter fraction: in 1/256, the highest of the streams of one report.
    func receivedLoss(_ fraction: UInt8, at now: Instant) {
        guard let control = downlink.pointee.control else { return }
        follow(
            control.pointee.estimator.received(
                fractionLost: fraction,
                roundTrip: roundTrip,
                used: control.pointee.used,
                at: now
            ),
            at: now
        )
    }

    /// The rate changed, or may have.
    private func follow(_ change: BandwidthEstimator.OnEstimate, at now: Instant) {
        guard let control = downlink.pointee.control else { return }
        if change != .unchanged { control.pointee.aimPacer(at: now) }
        if control.pointee.isDue(change, at: now) { shareOut(at: now) }
    }

    // MARK: Time

    var pacingDeadline: Instant {
        guard let control = downlink.pointee.control, downlink.pointee.sender != nil else {
            return .distantFuture
        }
        return control.pointee.nextDeadline(at: room.now)
    }

    /// Sends what waits and what probes need, and looks whether reports stay away.
    func advancePacing(_ turn: SendingTurn) {
        guard let control = downlink.pointee.control, downlink.pointee.sender != nil else { return }
        let now = turn.now
        if now >= control.pointee.estimator.nextDeadline {
            follow(control.pointee.estimator.advance(to: now), at: now)
        } else if now >= control.pointee.nextAllocation {
            shareOut(at: now)
        }
        downlink.pointee.advancePacing(turn)
    }
}
