// What most scenarios share: people who talk and look, bad links, and the check of what arrived.
import RTP
import SFU
import Seam
import Simulation
import Testing

extension LinkConditions {
    /// - Parameter loss: 0–1, each datagram on its own.
    static func lossy(_ loss: Double, jitter: Interval = .zero, reorders: Bool = false) -> LinkConditions {
        var link = LinkConditions()
        link.loss = loss > 0 ? .random(loss) : .none
        link.jitter = jitter
        link.reorders = reorders
        return link
    }
}

extension SimulatedPeer {
    /// Audio and simulcast video.
    func publishBoth() {
        _ = publish(.opus(bytes: 80))
        _ = publish(MediaSource.threeLayers)
    }

    func addSlots(audio: Int, video: Int) {
        for _ in 0..<audio { addSlot(.audio) }
        for _ in 0..<video { addSlot(.video) }
    }

    var mic: SimulatedPublisher { publishers[0] }
    var camera: SimulatedPublisher { publishers[publishers.count - 1] }
}

extension Call {
    /// One who sends audio and three layers, and one who watches. Both are connected afterwards.
    func publisherAndViewer(
        up: LinkConditions = .perfect,
        down: LinkConditions = .perfect,
        prepare: (SimulatedPeer) -> Void = { $0.addSlots(audio: 1, video: 1) }
    ) throws -> (publisher: SimulatedPeer, viewer: SimulatedPeer) {
        let publisher = try join("publisher", up: up, down: up) { $0.publishBoth() }
        let viewer = try join("viewer", up: down, down: down, prepare: prepare)
        #expect(run(atMost: .seconds(5)) { publisher.isConnected && viewer.isConnected }, "seed \(seed)")
        return (publisher, viewer)
    }

    /// Shows a publication in a tile of this height.
    func view(_ publisher: SimulatedPublisher, height: UInt16, visible: Bool = true, by peer: SimulatedPeer) {
        let tile = Wishes.Tile(width: height / 9 * 16, height: height, visible: visible)
        apply(.subscribe(peer.session, Wishes(tiles: [publisher.id: tile])))
    }

    /// What one slot got is in order and is what was sent.
    @discardableResult
    func check(
        _ peer: SimulatedPeer,
        slot: Int,
        of publishers: [SimulatedPeer],
        location: SourceLocation = #_sourceLocation
    ) -> StreamChecker {
        let checker = StreamChecker(
            peer.packets(on: slot),
            kind: peer.slots[slot].kind,
            context: peer.context(of: slot, from: publishers.flatMap(\.publishers))
        )
        #expect(
            checker.violations.isEmpty,
            "seed \(seed): \(checker.violations.prefix(5))",
            sourceLocation: location
        )
        return checker
    }

    /// Every datagram that came in is counted out.
    func checkAccounts(location: SourceLocation = #_sourceLocation) {
        let out =
            counter("rtp_queued") + counter("rtcp_received") + counter("datagrams_consumed")
            + counter("datagrams_handed_over") + counter("datagrams_dropped")
        #expect(counter("datagrams_received") == out, "seed \(seed)", sourceLocation: location)
    }
}
