// One subscriber behind a path: source, allocator, pacer, estimator and receiver, on virtual time in steps of one
// millisecond. Counts what happens for the scenarios.
import Acceptance
import RTP

@testable import SFU

final class SimulatedDownlink {
    enum Content: Sendable {
        /// A camera of three layers, chosen by the allocator.
        case camera
        /// Whatever the target allows, up to a rate.
        case following(most: Int)
        /// Nothing but audio, until it fills a rate from a time on.
        case burst(at: Instant, rate: Int)
        /// A small layer, and from a time on a larger one, which begins with a key frame of so many bytes.
        case raise(at: Instant, from: Int, to: Int, keyFrame: Int)
    }

    /// Sums over 100 ms.
    struct Slice {
        var link = 0
        var sent = 0
        var delivered = 0
        var dropped = 0
        var packets = 0
        var droppedPackets = 0
        var droppedAudio = 0
        /// On its way for more than 200 ms.
        var lateAudio = 0
        var audio = 0
        var probe = 0
        var estimate = 0
        var target = 0
        var bound = BandwidthEstimator.Bound.start
        /// Percent, as the estimator sees it.
        var loss = 0.0
        var spatial = -1
        var temporal = -1
        var queue = Interval.zero
        var pacer = Interval.zero
    }

    static let audioSize = 143
    private static let nextStep = 1_900_000
    let content: Content
    let flow: Int
    var estimator: BandwidthEstimator
    var receiver: SimulatedReceiver
    var slices: [Slice] = []
    /// When the spatial layer changed, and to which.
    var switches: [(at: Instant, spatial: Int)] = []
    private var allocator = Allocator()
    private var camera: CameraSource
    private var follower = FollowingSource()
    private var pacer: Pacer
    private var queue: [(size: Int, temporal: Int)] = []
    private var queued = 0
    private var number = 0
    private var nextAudio: Instant
    private var nextAllocation = Instant.zero
    private var allocated: Int?
    private var isRaised = false
    private var slice = Slice()
    private var fate: [Int: (slice: Int, kind: SentKind)] = [:]
    private let start: Instant

    init(
        _ content: Content = .camera,
        settings: BandwidthEstimator.Settings = .init(),
        flow: Int = 0,
        start: Instant = .zero,
        feedback: Interval = .milliseconds(100),
        delay: Interval = .milliseconds(20),
        seed: UInt64
    ) {
        self.content = content
        self.flow = flow
        self.start = start
        estimator = BandwidthEstimator(settings)
        estimator.begin(at: start)
        receiver = SimulatedReceiver(interval: feedback, delay: delay, seed: seed)
        camera = CameraSource(seed: seed)
        pacer = Pacer(target: settings.start, at: start)
        nextAudio = start
        number = Int(seed &* 7919 & 0xFFFF)
    }

    // MARK: One millisecond

    func step(_ path: inout SimulatedPath, at now: Instant) {
        guard now >= start else { return }
        receiver.advance(to: now)
        var change = BandwidthEstimator.OnEstimate.unchanged
        while let message = receiver.message(at: now) {
            eachFeedback(message) { feedback in
                let result = estimator.receive(feedback, at: now)
                if result.change != .unchanged { change = result.change }
            }
        }
        if now >= estimator.nextDeadline {
            let other = estimator.advance(to: now)
            if other != .unchanged { change = other }
        }
        if change != .unchanged || now >= nextAllocation { allocate(at: now) }
        produce(&path, at: now)
        send(&path, at: now)
        if (now.microseconds / 1000) % 100 == 99 { close(path, at: now) }
    }

    func arrived(_ packet: SimulatedPath.Packet, at: Instant) {
        receiver.receive(packet.number, at: at)
        if packet.kind == .audio && at - packet.sentAt > .milliseconds(200) { slice.lateAudio += 1 }
        if fate.removeValue(forKey: packet.number) != nil { slice.delivered += packet.size }
    }

    private func allocate(at now: Instant) {
        nextAllocation = now + .milliseconds(500)
        switch content {
        case .following(let most):
            estimator.want(desired: most, nextStep: most > estimator.estimate ? most : nil, at: now)
        case .burst(_, let rate):
            estimator.want(desired: rate, nextStep: rate > estimator.estimate ? rate : nil, at: now)
        case .raise:
            let more = SimulatedDownlink.nextStep
            estimator.want(desired: more, nextStep: more, at: now)
        case .camera: allocateCamera(at: now)
        }
        pacer.aim(at: estimator.pacing, queued: estimator.pacing < estimator.target ? 0 : queued, at: now)
    }

    private func allocateCamera(at now: Instant) {
        let reserve = SimulatedDownlink.audioSize * 8 * 50
        let track = Allocator.Track(id: 1, rank: .speaker, layers: CameraSource.layers(), current: allocated)
        let allocation = allocator.allocate(
            [track],
            .init(target: estimator.target, reserve: reserve, proven: estimator.proven(at: now)),
            at: now
        )
        allocated = allocation.decisions[0].layer
        camera.aim(at: allocated, room: estimator.target - reserve, at: now)
        estimator.want(desired: allocation.desired, nextStep: allocation.nextStep, at: now)
    }

    private func produce(_ path: inout SimulatedPath, at now: Instant) {
        while now >= nextAudio {
            nextAudio = nextAudio + .milliseconds(20)
            transmit(SimulatedDownlink.audioSize, .audio, &path, now)
        }
        let packets: [(size: Int, temporal: Int)]
        switch content {
        case .camera:
            let before = camera.spatial
            packets = camera.packets(at: now)
            if camera.spatial != before { switches.append((now, camera.spatial)) }
        case .following(let most):
            packets = follower.packets(target: min(estimator.target, most) - 57_000, at: now)
        case .burst(let begin, let rate):
            packets = now >= begin ? follower.packets(target: rate, at: now) : []
        case .raise(let time, let before, let after, let keyFrame):
            packets = raise(time, before, after, keyFrame, now)
        }
        guard !packets.isEmpty else { return }
        // Whole pictures that may be left out are, before the queue grows too long.
        if pacer.isOverfull(queued) && packets[0].temporal > 0 { return }
        for packet in packets {
            queue.append(packet)
            queued += packet.size
        }
        pacer.aim(at: estimator.pacing, queued: estimator.pacing < estimator.target ? 0 : queued, at: now)
    }

    private func raise(_ time: Instant, _ before: Int, _ after: Int, _ keyFrame: Int, _ now: Instant) -> [(
        size: Int, temporal: Int
    )] {
        let usual = follower.packets(target: now >= time ? after : before, at: now)
        guard now >= time, !isRaised else { return usual }
        isRaised = true
        return (0..<(keyFrame / SimulatedDownlink.packetSize)).map { _ in (SimulatedDownlink.packetSize, 0) }
    }

    private static let packetSize = 1100

    private func send(_ path: inout SimulatedPath, at now: Instant) {
        while let order = estimator.probe(at: now) {
            var bytes = order.bytes
            while bytes > 0 {
                let size: Int
                if let packet = queue.first {
                    queue.removeFirst()
                    queued -= packet.size
                    size = packet.size
                    transmit(size, .video, &path, now)
                } else {
                    size = max(order.packetBytes, 200)
                    slice.probe += size
                    transmit(size, .padding, &path, now)
                }
                bytes -= size
            }
        }
        while let packet = queue.first, pacer.available(at: now) > 0 {
            queue.removeFirst()
            queued -= packet.size
            transmit(packet.size, .video, &path, now)
        }
    }

    private func transmit(
        _ size: Int,
        _ kind: SentKind,
        _ path: inout SimulatedPath,
        _ now: Instant
    ) {
        estimator.sent(UInt16(truncatingIfNeeded: number), size: size, kind: kind, at: now)
        pacer.sent(size)
        slice.sent += size
        slice.packets += 1
        if kind == .audio { slice.audio += 1 }
        let packet = SimulatedPath.Packet(flow: flow, number: number, size: size, kind: kind, sentAt: now)
        if path.send(packet, at: now) {
            fate[number] = (slices.count, kind)
        } else {
            slice.dropped += size
            slice.droppedPackets += 1
            if kind == .audio { slice.droppedAudio += 1 }
        }
        number += 1
    }

    private func close(_ path: SimulatedPath, at now: Instant) {
        slice.link = path.rate(at: now)
        slice.estimate = estimator.estimate
        slice.target = estimator.target
        slice.bound = estimator.bound
        slice.loss = estimator.lossPercent
        slice.spatial = camera.spatial
        slice.temporal = camera.temporal
        slice.queue = path.queueDelay(at: now)
        slice.pacer = pacer.delay(of: queued)
        slices.append(slice)
        slice = Slice()
    }
}

/// Runs subscribers behind one path.
func simulate(
    _ conditions: PathConditions,
    _ downlinks: [SimulatedDownlink],
    seconds: Int,
    seed: UInt64,
    other: ((SimulatedPath.Packet, Instant) -> Void)? = nil,
    each: ((Instant, inout SimulatedPath) -> Void)? = nil
) {
    var path = SimulatedPath(conditions, seed: seed)
    for millisecond in 0..<(seconds * 1000) {
        let now = Instant(microseconds: Int64(millisecond) * 1000)
        while let arrival = path.receive(at: now) {
            if arrival.packet.flow < downlinks.count {
                downlinks[arrival.packet.flow].arrived(arrival.packet, at: arrival.at)
            } else {
                other?(arrival.packet, arrival.at)
            }
        }
        for downlink in downlinks { downlink.step(&path, at: now) }
        each?(now, &path)
    }
    Trace.write(downlinks, seed: seed)
}

// MARK: Figures

extension SimulatedDownlink {
    func slices(from: Double, to: Double) -> ArraySlice<Slice> {
        let first = min(slices.count, Int(from * 10))
        return slices[first..<max(first, min(slices.count, Int(to * 10)))]
    }

    /// Bits per second that came, from and to in seconds.
    func goodput(from: Double, to: Double) -> Double {
        Double(slices(from: from, to: to).reduce(0) { $0 + $1.delivered }) * 8 / (to - from)
    }

    func sentRate(from: Double, to: Double) -> Double {
        Double(slices(from: from, to: to).reduce(0) { $0 + $1.sent }) * 8 / (to - from)
    }

    /// Percent of the packets that the queue dropped.
    func dropPercent(from: Double, to: Double) -> Double {
        let part = slices(from: from, to: to)
        let all = part.reduce(0) { $0 + $1.packets }
        return all == 0 ? 0 : Double(part.reduce(0) { $0 + $1.droppedPackets }) * 100 / Double(all)
    }

    func audioDropPercent(from: Double, to: Double) -> Double {
        let part = slices(from: from, to: to)
        let all = part.reduce(0) { $0 + $1.audio }
        return all == 0 ? 0 : Double(part.reduce(0) { $0 + $1.droppedAudio }) * 100 / Double(all)
    }

    /// Percent of the audio that was dropped or came too late to be played.
    func audioGonePercent(from: Double, to: Double) -> Double {
        let part = slices(from: from, to: to)
        let all = part.reduce(0) { $0 + $1.audio }
        return all == 0
            ? 0 : Double(part.reduce(0) { $0 + $1.droppedAudio + $1.lateAudio }) * 100 / Double(all)
    }

    /// Seconds from `from` until a condition holds.
    func time(from: Double, until condition: (Slice) -> Bool) -> Double {
        let first = Int(from * 10)
        guard let found = slices.indices.first(where: { $0 >= first && condition(slices[$0]) }) else {
            return .infinity
        }
        return Double(found + 1) / 10 - from
    }

    /// The share of the time in which a condition holds.
    func share(from: Double, to: Double, of condition: (Slice) -> Bool) -> Double {
        let part = slices(from: from, to: to)
        return Double(part.count(where: condition)) / Double(max(1, part.count))
    }

    func queuePercentile(_ percent: Double, from: Double, to: Double) -> Double {
        percentile(slices(from: from, to: to).map { Double($0.queue.microseconds) / 1000 }, percent)
    }
}
