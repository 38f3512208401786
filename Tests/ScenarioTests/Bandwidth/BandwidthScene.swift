// A camera of three layers and a voice, and viewers behind narrow links, with the whole server between them: what every
// scenario of bandwidth starts from, and the figures that it is judged by.
import Acceptance
import RTP
import Seam
import Simulation

@testable import SFU

final class BandwidthScene {
    /// What happened on the way to one viewer in 100 ms.
    struct Slice: Sendable {
        var link = 0
        /// Bytes on the wire, by what they carry.
        var sent = 0
        var audio = 0
        var video = 0
        var rtx = 0
        var padding = 0
        var packets = 0
        /// By the tail of the queue.
        var droppedPackets = 0
        var delivered = 0
        /// What a bulk transfer beside got through the same queue.
        var transferred = 0
        var audioPackets = 0
        /// Dropped, or longer than 200 ms in the queue.
        var audioGone = 0
        var wait = Interval.zero
        var estimate = 0
        var target = 0
        var pacerQueue = 0
        var bound = ""
        /// −1: nothing.
        var spatial = -1
        var temporal = -1
    }

    static let slice = Interval.milliseconds(100)
    /// What the encoders aim at; with what they overshoot and with headers these are 150, 500 and 2 500 kbit/s on the wire.
    static let layers = [115_000, 405_000, 2_060_000]
    /// One way.
    static let delay = Interval.milliseconds(20)

    let call: Call
    let publisher: SimulatedPeer
    private(set) var viewers: [SimulatedPeer] = []
    /// By viewer.
    private(set) var slices: [[Slice]] = []
    private var open: [Slice] = []
    private var transfer: SharedTransfer?
    var camera: SimulatedPublisher { publisher.publishers[0] }
    /// Whether the publisher sends only what it is asked for.
    var obeys = true
    /// Encodings that it does not send, whatever it is asked for.
    var stopped: Set<Int> = [] { didSet { settleEncodings() } }
    /// What it was told of its first camera, in order.
    private(set) var demands: [(at: Instant, active: [Bool])] = []
    private var heardEvents = 0
    /// What it will send, from when on.
    private var orders: [(at: Instant, publication: PublicationID, active: Set<Int>)] = []
    private var asked: [PublicationID: Set<Int>] = [:]

    /// The word's way to the publisher, and what its encoder takes to begin.
    static let wordDelay = Interval.milliseconds(20)
    static let startDelay = Interval.milliseconds(300)

    init(
        seed: UInt64,
        cameras: [MediaSource.Format] = [BandwidthScene.camera],
        screens: Int = 0,
        hasVoice: Bool = true
    ) throws {
        call = try Call(seed: seed, shards: 1, limitsBandwidth: true)
        publisher = try call.join("publisher") { peer in
            for (place, format) in cameras.enumerated() {
                let camera = peer.publish(format)
                camera.isScreen = place < screens
                camera.keepsSent = false
            }
            if hasVoice { peer.publish(.opus(bytes: 80)).keepsSent = false }
        }
        _ = call.run(atMost: .seconds(3)) { [publisher] in publisher.isConnected }
        // Pictures and reports of everybody begin at another moment for each seed.
        call.run(for: .milliseconds(2_000 + Int64(seed * 37 % 400)))
    }

    static let camera: MediaSource.Format = camera(layers)

    static func camera(_ rates: [Int], keyFrameShare: Int = 4, variation: Int = 0) -> MediaSource.Format {
        let sizes: [(UInt16, UInt16)] = [(320, 180), (640, 360), (1280, 720)]
        var format = VideoFormat(
            .vp8,
            zip(sizes, rates).map { VideoFormat.Layer(width: $0.0, height: $0.1, bitsPerSecond: $1) }
        )
        format.temporalLayers = 3
        format.keyFrameShare = keyFrameShare
        format.variation = variation
        return .video(format)
    }

    /// Comes in behind a link; what it wants is shown at once.
    @discardableResult
    func join(
        _ link: LinkConditions,
        cameras: Int = 1,
        feedback: Interval? = .milliseconds(100),
        bottleneck: Bottleneck? = nil,
        prepare: (SimulatedPeer) -> Void = { _ in }
    ) throws -> SimulatedPeer {
        var up = LinkConditions.perfect
        up.delay = BandwidthScene.delay
        let number = viewers.count
        let viewer = try call.join("viewer\(number)", up: up, down: link) { peer in
            for _ in 0..<cameras { peer.addSlot(.video) }
            peer.addSlot(.audio)
            peer.transportFeedback = feedback
            peer.down.bottleneck = bottleneck
            prepare(peer)
        }
        viewers.append(viewer)
        slices.append([])
        open.append(Slice())
        viewer.onDown = { [unowned self] datagram, isTaken, wait, at in
            note(number, datagram, isTaken, wait)
        }
        return viewer
    }

    /// A bulk transfer shares a viewer's queue from now on.
    func beginTransfer(through bottleneck: Bottleneck, _ link: LinkConditions, seed: UInt64) {
        transfer = SharedTransfer(through: bottleneck, link, from: call.now, seed: seed)
    }

    static func link(_ rate: Int, queue: Int? = nil) -> LinkConditions {
        var link = LinkConditions()
        link.rate = rate
        // 300 ms of it.
        link.queue = queue ?? rate * 3 / 80
        link.delay = delay
        return link
    }

    // MARK: Time

    /// Seconds since the scene began are those of the figures.
    func run(seconds: Double, each: (Double) -> Void = { _ in }) {
        let steps = Int((seconds * 10).rounded())
        for _ in 0..<steps {
            each(Double(slices.first?.count ?? 0) / 10)
            for _ in 0..<BandwidthScene.steps {
                run(BandwidthScene.slice.milliseconds / Int64(BandwidthScene.steps))
                hearDemands()
            }
            close()
        }
    }

    private func run(_ milliseconds: Int64) {
        guard transfer != nil else { return call.run(for: .milliseconds(milliseconds)) }
        for _ in 0..<milliseconds {
            call.run(for: .milliseconds(1))
            let bytes = transfer?.step(at: call.now) ?? 0
            for viewer in open.indices { open[viewer].transferred += bytes }
        }
    }

    private static let steps = 10

    /// The publisher stops soon what nobody wants; an encoder that is to begin again takes a while.
    private func hearDemands() {
        let all = call.events
        for (at, event) in all[heardEvents...] {
            guard case .demand(let demand) = event else { continue }
            let active = demand.encodings.map(\.active)
            if demand.publication == camera.id { demands.append((at, active)) }
            let wanted = Set(active.indices.filter { active[$0] })
            var due = at + BandwidthScene.wordDelay
            if let present = asked[demand.publication], !wanted.isSubset(of: present) {
                // What is starting already is not delayed by another word.
                let pending = orders.last {
                    $0.publication == demand.publication && wanted.isSubset(of: $0.active)
                }
                due = max(due, pending?.at ?? due + BandwidthScene.startDelay)
            }
            orders.removeAll { $0.publication == demand.publication }
            orders.append((due, demand.publication, wanted))
        }
        heardEvents = all.count
        let due = orders.filter { $0.at <= call.now }
        guard obeys, !due.isEmpty else { return }
        for order in due { asked[order.publication] = order.active }
        orders.removeAll { $0.at <= call.now }
        settleEncodings()
    }

    private func settleEncodings() {
        for place in publisher.publishers.indices where publisher.publishers[place].kind == .video {
            let count = publisher.publishers[place].source.layerCount
            var active = asked[publisher.publishers[place].id] ?? Set(0..<count)
            if place == 0 { active.subtract(stopped) }
            if publisher.publishers[place].source.activeLayers != active {
                publisher.publishers[place].source.activeLayers = active
            }
        }
    }

    private func note(_ number: Int, _ datagram: [UInt8], _ isTaken: Bool, _ wait: Interval) {
        guard datagram.count >= 12, datagram[0] >= 128 else { return }
        let size = datagram.count + 28
        open[number].sent += size
        open[number].packets += 1
        if isTaken { open[number].delivered += size } else { open[number].droppedPackets += 1 }
        open[number].wait = max(open[number].wait, wait)
        guard datagram[1] & 0xe0 != 0xc0 else { return }
        let ssrc = datagram[8..<12].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let slot = viewers[number].slots.first { $0.ssrc == ssrc || $0.rtx == ssrc }
        if slot?.kind == .audio {
            open[number].audio += size
            open[number].audioPackets += 1
            if !isTaken || wait > .milliseconds(200) { open[number].audioGone += 1 }
        } else if slot?.rtx == ssrc {
            if datagram[0] & 0x20 != 0 { open[number].padding += size } else { open[number].rtx += size }
        } else {
            open[number].video += size
        }
    }

    private func close() {
        for (number, viewer) in viewers.enumerated() {
            open[number].link = viewer.down.conditions.rate ?? 0
            let session = call.home(of: viewer).session(viewer.session)
            if let control = session?.downlink.pointee.control {
                open[number].estimate = control.pointee.estimator.estimate
                open[number].target = control.pointee.estimator.target
                open[number].pacerQueue = control.pointee.waiting.bytes
                open[number].bound = "\(control.pointee.estimator.bound)"
            }
            if let slot = session?.slots(of: .video).first, slot.pointee.pause == .none {
                open[number].spatial = slot.pointee.currentLayer
                open[number].temporal =
                    slot.pointee.currentLayer < 0 ? -1 : Int(slot.pointee.filter.choice.temporal)
            }
            slices[number].append(open[number])
            open[number] = Slice()
        }
    }

    // MARK: Figures

    func slices(_ viewer: Int = 0, from: Double, to: Double) -> ArraySlice<Slice> {
        let all = slices[viewer]
        let first = min(all.count, Int((from * 10).rounded()))
        return all[first..<max(first, min(all.count, Int((to * 10).rounded())))]
    }

    /// Bits per second.
    func rate(_ viewer: Int = 0, from: Double, to: Double, of part: (Slice) -> Int) -> Double {
        Double(slices(viewer, from: from, to: to).reduce(0) { $0 + part($1) }) * 8 / (to - from)
    }

    /// Percent.
    func dropped(_ viewer: Int = 0, from: Double, to: Double) -> Double {
        let part = slices(viewer, from: from, to: to)
        let all = part.reduce(0) { $0 + $1.packets }
        return all == 0 ? 0 : Double(part.reduce(0) { $0 + $1.droppedPackets }) * 100 / Double(all)
    }

    /// Percent of the audio that was dropped or late.
    func audioGone(_ viewer: Int = 0, from: Double, to: Double) -> Double {
        let part = slices(viewer, from: from, to: to)
        let all = part.reduce(0) { $0 + $1.audioPackets }
        return all == 0 ? 0 : Double(part.reduce(0) { $0 + $1.audioGone }) * 100 / Double(all)
    }

    /// Seconds from `from` until what is sent within 500 ms stays below.
    func settled(_ viewer: Int = 0, from: Double, below limit: Double) -> Double {
        var time = 0.0
        while time < 30 {
            let rate = rate(viewer, from: from + time, to: from + time + 0.5) { $0.sent }
            if rate <= limit { return time }
            time += 0.1
        }
        return .infinity
    }

    /// Milliseconds that a packet waits, 95 % of the slices below it.
    func wait95(_ viewer: Int = 0, from: Double, to: Double) -> Double {
        percentile(slices(viewer, from: from, to: to).map { Double($0.wait.microseconds) / 1000 }, 95)
    }

    /// When the scene's seconds began to be counted.
    func instant(_ seconds: Double) -> Instant {
        call.now - .milliseconds(Int64(slices[0].count) * 100) + .microseconds(Int64(seconds * 1_000_000))
    }

    /// Which encodings of the first camera are asked for.
    var told: [Bool] { demands.last?.active ?? Array(repeating: true, count: camera.source.layerCount) }

    /// What a viewer's first video slot says now.
    func state(_ viewer: Int = 0) -> SlotState? {
        call.home(of: viewers[viewer]).session(viewers[viewer].session)?.slots(of: .video).first?.pointee
            .state
    }

    /// What a viewer sees.
    func decoder(_ viewer: Int = 0, slot: Int = 0) -> DecoderModel {
        DecoderModel(viewers[viewer].packets(on: slot))
    }

    /// Seconds from a time until this layer or a better one is on the screen, or none of the better ones.
    func shown(_ viewer: Int = 0, after: Double, _ condition: (Stamp) -> Bool) -> Double {
        let from = instant(after)
        guard let shown = decoder(viewer).first(after: from, where: condition) else { return .infinity }
        return Double((shown.at - from).microseconds) / 1_000_000
    }

    /// The longest time without a new picture, seconds.
    func longestGap(_ viewer: Int = 0, from: Double, to: Double) -> Double {
        let end = instant(to)
        let times =
            [instant(from)] + decoder(viewer).shown.map(\.at).filter { $0 > instant(from) && $0 < end } + [
                end
            ]
        let gaps = zip(times, times.dropFirst()).map { ($1 - $0).microseconds }
        return Double(gaps.max() ?? 0) / 1_000_000
    }

    /// The share of the time in which a layer is on the screen, percent.
    func share(_ viewer: Int = 0, from: Double, to: Double, of condition: (Stamp) -> Bool) -> Double {
        let decoder = decoder(viewer)
        let steps = Int((to - from) * 20)
        guard steps > 0 else { return 0 }
        let shown = decoder.shown
        var place = 0
        var good = 0
        for step in 0..<steps {
            let time = instant(from + Double(step) / 20)
            while place + 1 < shown.count && shown[place + 1].at <= time { place += 1 }
            if place < shown.count, shown[place].at <= time, condition(shown[place].stamp) { good += 1 }
        }
        return Double(good) * 100 / Double(steps)
    }
}
