// What the media plane says of a call's quality, on links that are good, lossy, long or dead, and which reason it gives.
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct QualityTests {
    private func told(_ call: Call, of peer: SimulatedPeer) -> [(at: Instant, quality: SessionQuality)] {
        call.events.compactMap { at, event in
            guard case .quality(let id, let quality) = event, id == peer.session else { return nil }
            return (at, quality)
        }
    }

    private func reporting(_ peer: SimulatedPeer) {
        peer.reportsReception = true
        peer.reportsPictures = true
        peer.addSlots(audio: 1, video: 1)
    }

    @Test(arguments: UInt64(1)...3)
    func aGoodCallIsExcellent(seed: UInt64) throws {
        let call = try Call(seed: seed)
        let (publisher, viewer) = try call.publisherAndViewer(prepare: reporting)
        call.run(for: .seconds(35))
        let up = told(call, of: publisher)
        let down = told(call, of: viewer)
        for (at, quality) in up + down {
            let direction = quality.up ?? quality.down
            #expect(
                direction.map { $0.score >= 48 && $0.reason == .none } ?? false,
                "\(seed) \(at): \(quality)"
            )
        }
        // Nothing changes, so that it is told every ten seconds.
        #expect(
            (3...5).contains(up.count) && (3...5).contains(down.count),
            "\(seed): \(up.count), \(down.count)"
        )
        #expect(up.allSatisfy { $0.quality.down == nil } && down.allSatisfy { $0.quality.up == nil })
        let last = try #require(down.last?.quality.down)
        #expect(last.bitsPerSecond > 300_000 && last.lossPermille == 0 && last.roundTripMs >= 20)
        #expect(last.audio == 50 && (last.video ?? 0) >= 48)
    }

    @Test(arguments: UInt64(1)...3)
    func lossOnTheWayDownIsSaidSo(seed: UInt64) throws {
        let call = try Call(seed: seed)
        let (publisher, viewer) = try call.publisherAndViewer(prepare: reporting)
        call.run(for: .seconds(10))
        let bad = call.now
        viewer.down.conditions = .lossy(0.3)
        call.run(for: .seconds(12))
        let last = try #require(told(call, of: viewer).last?.quality.down)
        #expect(last.reason == .loss && last.score < 48, "\(seed): \(last)")
        #expect((150...400).contains(last.lossPermille), "\(seed): \(last)")
        let first = told(call, of: viewer).first { $0.at > bad && $0.quality.down?.reason == .loss }
        #expect(first.map { $0.at - bad <= .seconds(8) } ?? false, "\(seed): \(String(describing: first))")
        viewer.down.conditions = .perfect
        call.run(for: .seconds(10))
        let better = try #require(told(call, of: viewer).last?.quality.down)
        #expect(better.score >= 45 && better.reason == .none, "\(seed): \(better)")
        // It is the viewer's own link that was bad.
        #expect(told(call, of: publisher).allSatisfy { ($0.quality.up?.score ?? 0) >= 47 }, "\(seed)")
    }

    @Test(arguments: UInt64(1)...3)
    func lossOnTheWayUpIsThePublishers(seed: UInt64) throws {
        let call = try Call(seed: seed, limitsBandwidth: true)
        // Over a short way, repairs are quick enough not to be noticed much.
        var far = LinkConditions.lossy(0.3)
        far.delay = .milliseconds(80)
        let (publisher, viewer) = try call.publisherAndViewer(
            up: far,
            prepare: { peer in
                reporting(peer)
                peer.transportFeedback = .milliseconds(100)
            }
        )
        call.run(for: .seconds(12))
        let up = try #require(told(call, of: publisher).last?.quality.up)
        #expect(up.reason == .loss && (up.video ?? 50) < 44 && up.lossPermille > 150, "\(seed): \(up)")
        let down = try #require(told(call, of: viewer).last?.quality.down)
        // What was lost before us leaves holes in our numbers; transport-wide feedback tells them from losses of its way.
        #expect(down.reason != .loss && down.lossPermille == 0, "\(seed): \(down)")
    }

    @Test func aLongWayIsDelay() throws {
        let call = try Call(seed: 5)
        var far = LinkConditions.perfect
        far.delay = .milliseconds(400)
        let (_, viewer) = try call.publisherAndViewer(down: far, prepare: reporting)
        call.run(for: .seconds(30))
        let down = try #require(told(call, of: viewer).last?.quality.down)
        #expect(down.reason == .delay && down.roundTripMs > 600 && (down.audio ?? 50) < 42, "\(down)")
    }

    @Test func aCameraThatStutters() throws {
        let scene = try LayerScene("VP8 L1T3")
        scene.view(720)
        scene.run(8000)
        let call = scene.call
        for _ in 0..<10 {
            scene.publisher.isSilent = true
            scene.run(450)
            scene.publisher.isSilent = false
            scene.run(550)
        }
        let up = try #require(told(call, of: scene.publisher).last?.quality.up)
        #expect(up.reason == .frozen && up.score < 40, "\(up)")
        scene.run(12_000)
        let later = try #require(told(call, of: scene.publisher).last?.quality.up)
        #expect(later.reason == .none && later.score >= 45, "\(later)")
    }

    @Test func aLayerThatIsWantedAndStopsCosts() throws {
        let scene = try LayerScene("VP8 L1T3")
        scene.view(720)
        scene.run(6000)
        scene.camera.source.activeLayers = [0]
        scene.run(8000)
        let up = try #require(told(scene.call, of: scene.publisher).last?.quality.up)
        #expect(up.reason == .layer && (up.video ?? 50) < 35, "\(up)")
        // What the viewer's own link does is as good as ever.
        let down = told(scene.call, of: scene.viewer).last?.quality.down
        #expect(down.map { $0.score >= 47 } ?? true, "\(String(describing: down))")
    }

    @Test func whatNobodyWantsIsNotMissed() throws {
        let scene = try LayerScene("VP8 L1T3")
        scene.view(180)
        scene.runObeying(15_000)
        let all = told(scene.call, of: scene.publisher)
        #expect(all.allSatisfy { $0.quality.up?.reason == DirectionQuality.Reason.none }, "\(all)")
        #expect(!all.isEmpty)
    }

    @Test func whoIsGoneIsSilent() throws {
        let call = try Call(seed: 6)
        let (publisher, viewer) = try call.publisherAndViewer(prepare: reporting)
        call.run(for: .seconds(8))
        publisher.isSilent = true
        call.run(for: .seconds(12))
        let up = try #require(told(call, of: publisher).last?.quality.up)
        #expect(up.reason == .silent && up.score == 10, "\(up)")
        publisher.up.conditions.isDown = true
        viewer.up.conditions.isDown = true
        call.run(for: .seconds(15))
        for peer in [publisher, viewer] {
            let last = try #require(told(call, of: peer).last?.quality)
            #expect([last.up, last.down].contains { $0?.reason == .silent && $0?.score == 10 }, "\(last)")
        }
    }

    @Test func mutedMediaIsNotJudged() throws {
        let call = try Call(seed: 7)
        let (publisher, _) = try call.publisherAndViewer(prepare: reporting)
        call.run(for: .seconds(6))
        call.apply(.mute(publisher.mic.id, true))
        call.apply(.mute(publisher.camera.id, true))
        publisher.isSilent = true
        call.run(for: .seconds(12))
        let last = try #require(told(call, of: publisher).last?.quality)
        #expect(last.up == nil)
    }

    @Test func aGatewayThatComesBackIsToldAgain() throws {
        let call = try Call(seed: 8)
        let (publisher, viewer) = try call.publisherAndViewer(prepare: reporting)
        call.run(for: .milliseconds(6500))
        let before = (told(call, of: publisher).count, told(call, of: viewer).count)
        #expect(before.0 >= 1 && before.1 >= 1)
        call.apply(.reportState)
        call.run(for: .milliseconds(1200))
        #expect(told(call, of: publisher).count == before.0 + 1)
        #expect(told(call, of: viewer).count == before.1 + 1)
    }
}
