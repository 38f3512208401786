// A call with one synthetic video of any kind, and those who watch it: what the tests of layers share.
import RTP
import SFU
import Seam
import Simulation
import Testing

struct LayerScene {
    let call: Call
    let publisher: SimulatedPeer
    private(set) var viewers: [SimulatedPeer] = []
    var viewer: SimulatedPeer { viewers[0] }
    var camera: SimulatedPublisher { publisher.publishers[0] }
    let isSVC: Bool

    /// - Parameter format: a name of `Formats`.
    init(
        _ format: String,
        seed: UInt64 = 1,
        viewers count: Int = 1,
        isScreen: Bool = false,
        withAudio: Bool = false,
        shards: Int = Call.shardsByDefault,
        change: (inout VideoFormat) -> Void = { _ in },
        prepare: (SimulatedPublisher) -> Void = { _ in }
    ) throws {
        var video = try Formats.named(format)
        change(&video)
        isSVC = video.isSVC
        call = try Call(seed: seed, shards: shards)
        publisher = try call.join("publisher") { peer in
            let camera = peer.publish(.video(video), nearWraps: true)
            camera.isScreen = isScreen
            prepare(camera)
            if withAudio { _ = peer.publish(.opus(bytes: 80)) }
        }
        for number in 0..<count {
            viewers.append(
                try call.join("viewer\(number)") { peer in
                    peer.addSlot(.video)
                    if withAudio { peer.addSlot(.audio) }
                }
            )
        }
        let all = [publisher] + viewers
        let isConnected = call.run(atMost: .seconds(3)) { all.allSatisfy(\.isConnected) }
        #expect(isConnected, "seed \(seed)")
    }

    func run(_ milliseconds: Int64) { call.run(for: .milliseconds(milliseconds)) }

    /// Bad links, once everybody is connected.
    func degrade(up: LinkConditions = .perfect, down: LinkConditions = .perfect) {
        publisher.up.conditions = up
        for viewer in viewers {
            viewer.down.conditions = down
            viewer.reorderGuard = up.jitter + down.jitter + .milliseconds(20)
        }
    }

    func view(_ height: Int, visible: Bool = true, maxFrameRate: Int = 0, by number: Int = 0) {
        let tile = Wishes.Tile(
            width: UInt16(height * 16 / 9),
            height: UInt16(height),
            visible: visible,
            maxFrameRate: UInt8(maxFrameRate)
        )
        call.apply(.subscribe(viewers[number].session, Wishes(tiles: [camera.id: tile])))
    }

    /// What the publisher was told of its encodings, in order.
    var demands: [(at: Instant, encodings: [PublicationDemand.Encoding])] {
        call.events.compactMap { at, event in
            guard case .demand(let demand) = event, demand.publication == camera.id else { return nil }
            return (at, demand.encodings)
        }
    }

    /// Which encodings the publisher was told to send last; it begins with all.
    var told: [Bool] {
        demands.last?.encodings.map(\.active) ?? Array(repeating: true, count: camera.source.layerCount)
    }

    /// Runs, and the publisher sends what it is told to, as soon as the word has come to it.
    func runObeying(_ milliseconds: Int64, way: Interval = .milliseconds(20)) {
        let end = call.now + .milliseconds(milliseconds)
        while call.now < end {
            call.run(for: min(.milliseconds(5), end - call.now))
            guard let heard = demands.last(where: { $0.at + way <= call.now }) else { continue }
            let active = heard.encodings.indices.filter { heard.encodings[$0].active }
            if camera.source.activeLayers != Set(active) { camera.source.activeLayers = Set(active) }
        }
    }

    func packets(_ number: Int = 0) -> [ReceivedPacket] { viewers[number].packets(on: 0) }

    func stamps(since: Instant, of number: Int = 0) -> [Stamp] {
        packets(number).filter { $0.at > since }.compactMap(\.stamp)
    }

    func decoder(_ number: Int = 0) -> DecoderModel { DecoderModel(packets(number)) }

    /// The layer of a picture that decides its size.
    func layer(_ stamp: Stamp) -> Int { Int(isSVC ? stamp.spatial : stamp.layer) }

    /// The layer on the screen now; nil: nothing new for 300 ms.
    func layerShown(_ number: Int = 0) -> Int? {
        guard let last = decoder(number).shown.last, call.now - last.at < .milliseconds(300) else {
            return nil
        }
        return layer(last.stamp)
    }

    /// The time from a moment to the first picture of this layer.
    func delay(from start: Instant, toLayer wanted: Int, by number: Int = 0) -> Interval? {
        decoder(number).first(after: start) { layer($0) == wanted }.map { $0.at - start }
    }

    @discardableResult
    func check(_ number: Int = 0, location: SourceLocation = #_sourceLocation) -> StreamChecker {
        let checker = StreamChecker(
            packets(number),
            kind: .video,
            context: viewers[number].context(of: 0, from: publisher.publishers)
        )
        #expect(
            checker.violations.isEmpty,
            "seed \(call.seed): \(checker.violations.prefix(4))",
            sourceLocation: location
        )
        #expect(viewers[number].unlikeCopies == 0, "seed \(call.seed)", sourceLocation: location)
        #expect(viewers[number].undecryptable == 0, "seed \(call.seed)", sourceLocation: location)
        return checker
    }

    func finish(_ milliseconds: Int64 = 1500) {
        publisher.stopSending()
        run(milliseconds)
    }
}
