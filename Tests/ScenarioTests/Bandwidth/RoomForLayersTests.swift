// A publisher is not asked for what no viewer has room for, and is asked for it again in time.
import RTP
import Seam
import Simulation
import Testing

@testable import SFU

@Suite struct RoomForLayersTests {
    /// The longest until a layer is off that nobody has room for: what the path carries is found out meanwhile.
    private static let longest = 12.0

    @Test(arguments: [1, 2, 3])
    func whatTheOnlyViewerHasNoRoomForIsSwitchedOffAndComesBack(seed: UInt64) throws {
        let scene = try BandwidthScene(seed: seed)
        try scene.join(BandwidthScene.link(600_000))
        scene.run(seconds: Self.longest)
        #expect(scene.told == [true, true, false], "seed \(seed)")
        #expect(scene.camera.source.activeLayers == [0, 1], "seed \(seed)")
        let offAt = try #require(scene.demands.first { !$0.active[2] }?.at)
        #expect(offAt - scene.instant(0) >= Limits.Media.roomDelay, "seed \(seed): not for a moment")
        // It is the path that holds the tile, whatever the publisher was told.
        scene.run(seconds: 8) { second in
            #expect(scene.state()?.reason == .bandwidth, "seed \(seed), second \(second)")
        }
        #expect(scene.demands.count == 1, "seed \(seed): \(scene.demands)")
        #expect(scene.longestGap(from: 2, to: 20) < 0.5, "seed \(seed)")
        scene.viewers[0].down.conditions = BandwidthScene.link(5_000_000)
        scene.run(seconds: 5)
        #expect(scene.told == [true, true, true], "seed \(seed)")
        // The goal of C4.
        let shown = scene.shown(after: 20) { $0.layer == 2 }
        #expect(shown < 3, "seed \(seed): after \(shown) s")
        #expect(scene.longestGap(from: 20, to: 25) < 0.6, "seed \(seed)")
    }

    @Test func aFallWhileNothingIsMissingFindsTheSmallerLayers() throws {
        let scene = try BandwidthScene(seed: 4)
        try scene.join(BandwidthScene.link(5_000_000))
        scene.run(seconds: 20)
        #expect(scene.told == [true, true, true])
        scene.viewers[0].down.conditions = BandwidthScene.link(600_000)
        scene.run(seconds: Self.longest)
        #expect(scene.shown(after: 20) { $0.layer < 2 } < 1.5)
        #expect(scene.told == [true, true, false])
    }

    @Test func whatOneViewerHasRoomForStays() throws {
        let scene = try BandwidthScene(seed: 5)
        try scene.join(BandwidthScene.link(600_000))
        try scene.join(BandwidthScene.link(8_000_000))
        scene.run(seconds: 30)
        #expect(scene.demands.allSatisfy { $0.active == [true, true, true] }, "\(scene.demands)")
        #expect(scene.share(1, from: 5, to: 30) { $0.layer == 2 } > 99)
    }

    /// Who comes with more room brings the layer back, and who leaves takes it along.
    @Test func whoHasRoomBringsALayerBackAndTakesItAlong() throws {
        let scene = try BandwidthScene(seed: 6)
        try scene.join(BandwidthScene.link(600_000))
        scene.run(seconds: Self.longest)
        #expect(scene.told == [true, true, false])
        try scene.join(BandwidthScene.link(8_000_000))
        scene.run(seconds: 6)
        #expect(scene.told == [true, true, true])
        let first = scene.decoder(1).first(after: scene.instant(Self.longest)) { $0.layer == 2 }
        #expect(first.map { $0.at - scene.instant(Self.longest) < .seconds(2) } == true)
        scene.call.leave(scene.viewers[1])
        scene.run(seconds: Self.longest)
        #expect(scene.told == [true, true, false])
        #expect(scene.state(0)?.reason == .bandwidth)
    }

    /// A path that comes and goes does not switch an encoder on and off with it.
    @Test func aPathThatComesAndGoesSwitchesLittle() throws {
        let scene = try BandwidthScene(seed: 7)
        try scene.join(BandwidthScene.link(5_000_000))
        scene.run(seconds: 240) { second in
            let isNarrow = Int(second / 12) % 2 == 1
            scene.viewers[0].down.conditions = BandwidthScene.link(isNarrow ? 600_000 : 5_000_000)
        }
        // Off after 5, 10, 20 s, and then no more.
        #expect(scene.demands.count <= 6, "\(scene.demands.map { ($0.at, $0.active) })")
    }

    /// The least is asked for, whatever the path carries: it is what comes first when there is room.
    @Test func theLeastIsAlwaysAskedFor() throws {
        let scene = try BandwidthScene(seed: 8)
        try scene.join(BandwidthScene.link(60_000))
        scene.run(seconds: 20)
        #expect(scene.told[0] && !scene.told[2])
        let single = try BandwidthScene(
            seed: 8,
            cameras: [.vp8([.init(width: 1280, height: 720, bitsPerSecond: 1_800_000)], framesPerSecond: 30)]
        )
        try single.join(BandwidthScene.link(300_000))
        single.run(seconds: 20)
        #expect(single.demands.allSatisfy { $0.active == [true] })
    }

    /// What its sender does not send although it is asked for is not the path's fault.
    @Test func whatThePublisherLeavesOutIsItsOwn() throws {
        let scene = try BandwidthScene(seed: 9)
        try scene.join(BandwidthScene.link(5_000_000))
        scene.run(seconds: 6)
        scene.stopped = [2]
        scene.run(seconds: 20)
        #expect(scene.state()?.reason == .publisher)
        #expect(scene.told == [true, true, true])
        scene.stopped = []
        scene.run(seconds: 3)
        #expect(scene.shown(after: 26) { $0.layer == 2 } < 1)
    }
}
