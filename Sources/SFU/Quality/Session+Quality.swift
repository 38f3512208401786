// Once a second: what a session's uplink and downlink were like, in numbers that its streams and its peer's reports have
// left. Reads only; decides nothing that is sent.
import PeerTransport
import RTP
import Seam

/// What is remembered of a session from one second to the next.
struct QualityMeter {
    var up = DirectionMeter()
    var down = DirectionMeter()
    var report = QualityReport()
    var publications: [PublicationID: UplinkGauge] = [:]
    /// By SSRC.
    var slots: [UInt32: DownlinkGauge] = [:]
}

extension Session {
    /// What the estimator knows of the downlink.
    var downlinkFigures: DownlinkFigures {
        guard let control = downlink.pointee.control else { return DownlinkFigures() }
        let settings = control.pointee.estimator.settings
        let bound = control.pointee.estimator.bound
        // An assumption without anybody to contradict it is no estimate.
        guard settings.hasFeedback || settings.isStream || bound != .start else { return DownlinkFigures() }
        return DownlinkFigures(
            estimate: control.pointee.estimator.estimate,
            lost: settings.hasFeedback ? control.pointee.estimator.lossPercent / 100 : nil,
            queueDelay: settings.hasFeedback ? control.pointee.estimator.queueDelay : nil,
            bound: DirectionQuality.Bound(bound)
        )
    }

    /// The next look at the quality is due. Nothing is told of a session that has never been connected.
    func advanceQuality(to now: Instant, events: inout [Event]) {
        guard now >= nextQuality else { return }
        nextQuality = (now + Limits.Quality.interval).onSlowBeat
        let quality: SessionQuality
        switch state {
        case .new, .connecting: return
        case .connected:
            quality = SessionQuality(
                up: meter.up.note(sampleUplink(at: now)),
                down: meter.down.note(sampleDownlink(at: now))
            )
        case .disconnected, .failed:
            // Nothing gets through, whatever the last seconds were like.
            quality = SessionQuality(
                up: meter.publications.isEmpty ? nil : DirectionQuality(score: 10, reason: .silent),
                down: meter.slots.isEmpty ? nil : DirectionQuality(score: 10, reason: .silent)
            )
            meter.up.forget()
            meter.down.forget()
        }
        if meter.report.isNews(quality, at: now) { events.append(.quality(id, quality)) }
    }

    /// From our packet to the peer's word about it; nil: the peer has not said.
    private var knownRoundTrip: Interval? {
        for i in 0..<downlink.pointee.slotCount where downlink.pointee.slots[i].pointee.roundTrip != nil {
            return roundTrip
        }
        var shortest: Interval?
        for publication in uplink.publications {
            for layer in 0..<publication.layerCount {
                guard let sample = publication.layers[layer].nack.roundTrip else { continue }
                shortest = min(shortest ?? sample, sample)
            }
        }
        return shortest
    }

    // MARK: Up

    private func sampleUplink(at now: Instant) -> DirectionSample {
        var sample = DirectionSample(roundTrip: knownRoundTrip)
        var total = UplinkCount()
        var audio = MeanCosts()
        var video = MeanCosts()
        var gauges: [PublicationID: UplinkGauge] = [:]
        for publication in uplink.publications {
            var gauge = meter.publications[publication.id] ?? UplinkGauge(at: now)
            let look = gauge.look(at: publication, roundTrip: sample.roundTrip, now)
            gauges[publication.id] = gauge
            total.add(look.count)
            if let jitter = look.jitter { sample.jitter = max(sample.jitter ?? .zero, jitter) }
            guard let costs = look.costs else { continue }
            if publication.kind == .audio { audio.add(costs) } else { video.add(costs) }
        }
        meter.publications = gauges
        sample.audio = audio.value
        sample.video = video.value
        sample.lost = total.expected > 0 ? total.lostShare : nil
        sample.bitsPerSecond = UInt32(clamping: total.bits)
        return sample
    }

    // MARK: Down

    private func sampleDownlink(at now: Instant) -> DirectionSample {
        let figures = downlinkFigures
        var sample = DirectionSample(roundTrip: knownRoundTrip, downlink: figures)
        var audio = MeanCosts()
        var video = MeanCosts()
        var bound = 0
        var lost = 0.0
        var reported = 0
        var bytes = 0
        for i in 0..<downlink.pointee.slotCount {
            let slot = downlink.pointee.slots[i]
            guard slot.pointee.isBound else { continue }
            var gauge = meter.slots[slot.pointee.ssrc] ?? DownlinkGauge(slot)
            let look = gauge.look(at: slot, lost: figures.lost, roundTrip: sample.roundTrip, now)
            meter.slots[slot.pointee.ssrc] = gauge
            bound += 1
            bytes += look.bytes
            lost += Double(slot.pointee.fractionLost) / 256 * Double(look.packets)
            reported += look.packets
            if look.packets > 0 { sample.jitter = max(sample.jitter ?? .zero, slot.pointee.jitter) }
            guard let costs = look.costs else { continue }
            if slot.pointee.kind == .audio {
                audio.add(costs)
            } else {
                video.add(costs, weight: look.weight)
            }
        }
        if meter.slots.count > bound { forgetGauges() }
        sample.audio = audio.value
        sample.video = video.value
        sample.lost = figures.lost ?? (reported > 0 ? lost / Double(reported) : nil)
        sample.bitsPerSecond = UInt32(clamping: bytes * 8)
        return sample
    }

    /// Those of slots that show nothing any more.
    private func forgetGauges() {
        meter.slots = meter.slots.filter { downlink.pointee.slot(ssrc: $0.key)?.pointee.isBound ?? false }
    }
}

extension DirectionQuality.Bound {
    init(_ bound: BandwidthEstimator.Bound) {
        switch bound {
        case .start: self = .start
        case .delay: self = .delay
        // Where others fill the queue, the rate follows losses.
        case .loss, .shared: self = .loss
        case .receiver: self = .receiver
        case .draining: self = .draining
        case .silence: self = .silence
        case .backlog: self = .backlog
        case .maximum: self = .maximum
        }
    }
}
