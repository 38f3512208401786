// A call in which real clips are switched: who publishes, who watches, and what each slot must have shown afterwards.
import RTP
import SFU
import Seam
import Simulation
import Testing

final class Scene {
    let call: Call
    private(set) var viewers: [SimulatedPeer] = []
    private(set) var publishers: [RealPublisher] = []
    /// Number of the next picture.
    private(set) var frame = 0
    var random: SimulatedICEClient.Generator
    let seed: UInt64
    let format: ClipFormat
    private let link: Link

    struct Link: Sendable {
        /// 0–1 of each datagram, both ways; repaired by retransmission.
        var loss = 0.0
        /// Datagrams overtake each other within this time.
        var jitter = Interval.zero
    }

    /// - Parameters:
    ///   - formats: of each publisher.
    ///   - decodes: what each viewer's slots take; nil: what its peer usually does.
    init(
        _ formats: [ClipFormat],
        seed: UInt64,
        viewers count: Int = 1,
        link: Link = Link(),
        decodes: [CodecParameters]? = nil
    ) throws {
        self.seed = seed
        self.link = link
        format = formats[0]
        random = SimulatedICEClient.Generator(seed: seed)
        call = try Call(seed: seed)
        for _ in 0..<count { try addViewer(decodes: decodes) }
        for (index, format) in formats.enumerated() {
            let peer = try call.join("publisher\(index)") { _ in }
            let publisher = try RealPublisher(peer, source: index, format: format, seed: seed)
            publisher.now = { [unowned call] in call.now }
            publishers.append(publisher)
            let media = SessionMedia(generation: 2, sections: [publisher.section], cname: peer.name)
            call.apply(.configure(peer.session, media))
            connect(peer)
        }
    }

    /// Somebody with one slot for video.
    func addViewer(decodes: [CodecParameters]? = nil) throws {
        let viewer = try call.join("viewer\(viewers.count)") { $0.addSlot(.video, codecs: decodes) }
        viewers.append(viewer)
        viewer.reorderGuard = link.jitter + .milliseconds(10)
        connect(viewer)
    }

    /// Bad weather begins behind the handshake.
    private func connect(_ peer: SimulatedPeer) {
        let isConnected = call.run(atMost: .seconds(5)) { peer.isConnected }
        #expect(isConnected, "seed \(seed)")
        for path in [\SimulatedPeer.up, \SimulatedPeer.down] {
            if link.loss > 0 { peer[keyPath: path].conditions.loss = .random(link.loss) }
            peer[keyPath: path].conditions.jitter = link.jitter
            peer[keyPath: path].conditions.reorders = link.jitter > .zero
        }
    }

    /// Lets everybody publish this many pictures, 30 each second.
    func run(pictures: Int) throws {
        for _ in 0..<pictures {
            for publisher in publishers { try publisher.produce(frame, at: call.now) }
            frame += 1
            // The packets of a picture are spread, so that what is switched meanwhile falls into the middle of it.
            for parts in stride(from: 4, through: 1, by: -1) {
                for publisher in publishers { publisher.send(oneOf: parts, at: call.now) }
                call.run(for: .microseconds(parts > 1 ? 8333 : frame % 3 == 0 ? 8335 : 8334))
            }
            if frame % 9 == 0 && !isClean { askForKeyFrames() }
        }
    }

    /// As a receiver does that cannot go on: its first picture was not whole, or nobody has a repair any more.
    private func askForKeyFrames() {
        for viewer in viewers
        where SlotDecoder.isStuck(
            viewer.packets(on: 0),
            void: void(viewer),
            codec: format.name,
            at: call.now
        ) {
            viewer.requestKeyFrame(slot: viewer.slots[0].ssrc, at: call.now)
        }
    }

    /// Numbers of which the server said that there is nothing.
    private func void(_ viewer: SimulatedPeer) -> Set<Int64> {
        viewer.receivers[viewer.slots[0].ssrc]?.void ?? []
    }

    private var isClean: Bool { link.loss == 0 && link.jitter == .zero }

    func run(milliseconds: Int) throws { try run(pictures: max(1, milliseconds * 30 / 1000)) }

    /// Repairs what is still missing.
    func settle() { call.run(for: .seconds(2)) }

    /// A tile for each publisher; nil: hidden.
    func view(_ heights: [UInt16?], frameRate: UInt8 = 0, by viewer: Int = 0) {
        var tiles: [PublicationID: Wishes.Tile] = [:]
        for (publisher, height) in zip(publishers, heights) {
            tiles[publisher.id] = Wishes.Tile(
                width: (height ?? 36) / 9 * 16,
                height: height ?? 36,
                visible: height != nil,
                maxFrameRate: frameRate
            )
        }
        call.apply(.subscribe(viewers[viewer].session, Wishes(tiles: tiles)))
    }

    static let heights: [UInt16] = [36, 72, 144]

    /// Draws a tile's size and frame rate anew every 200 to 700 ms, `count` times, for everybody who watches.
    func switchAtRandom(_ count: Int, frameRates: [UInt8] = [0, 0, 8, 15]) throws {
        for _ in 0..<count {
            for viewer in viewers.indices {
                let height = Scene.heights[Int.random(in: 0...2, using: &random)]
                let rate = frameRates[Int.random(in: 0..<frameRates.count, using: &random)]
                view([height], frameRate: rate, by: viewer)
            }
            try run(milliseconds: Int.random(in: 200...700, using: &random))
        }
    }

    /// Decodes a viewer's slot; nothing may be wrong with it.
    @discardableResult
    func check(viewer: Int = 0, location: SourceLocation = #_sourceLocation) throws -> SlotDecoder {
        let result = try SlotDecoder(
            viewers[viewer].packets(on: 0),
            void: void(viewers[viewer]),
            format: format,
            publishers: publishers,
            mostSkipped: isClean ? 1 : 30
        )
        let wrong = result.violations
        #expect(
            wrong.isEmpty,
            "seed \(seed): \(wrong.count) of \(result.pictures.count): \(wrong.prefix(4))",
            sourceLocation: location
        )
        return result
    }
}
