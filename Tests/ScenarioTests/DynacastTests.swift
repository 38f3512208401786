// Encodings that nobody wants are switched off at their sender, and come back as soon as anybody does.
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct DynacastTests {
    private static let simulcast = ["VP8 L1T1", "AV1 L1T3"]
    /// The longest that may pass before the publisher is told.
    private static let longest = Interval.seconds(5)

    @Test(arguments: DynacastTests.simulcast)
    func whatNobodyWantsIsSwitchedOffWithinFiveSeconds(format: String) throws {
        let scene = try LayerScene(format)
        scene.run(1000)
        #expect(scene.told == [true, true, true], "\(format)")
        let shrunkAt = scene.call.now
        scene.view(180)
        scene.run(Limits.Media.demandDelay.milliseconds - 200)
        #expect(scene.told[2], "\(format): not for a moment")
        scene.run(2300)
        #expect(scene.told == [true, false, false], "\(format)")
        let told = scene.demands.first { $0.encodings.map(\.active) == [true, false, false] }
        #expect(told.map { $0.at - shrunkAt <= DynacastTests.longest } == true, "\(format)")
        #expect(scene.demands.last?.encodings[0].maxHeight == 180, "\(format)")
        #expect(scene.demands.last?.encodings.map(\.rid) == ["q", "h", "f"], "\(format)")
    }

    @Test(arguments: DynacastTests.simulcast)
    func whatSomebodyWantsAgainIsSwitchedOnInTheSameMoment(format: String) throws {
        let scene = try LayerScene(format, shards: 1)
        scene.run(1000)
        scene.view(180)
        scene.runObeying(6000)
        #expect(scene.camera.source.activeLayers == [0], "\(format)")
        for (height, layer) in [(720, 2), (360, 1), (180, 0)] {
            let grownAt = scene.call.now
            let requests = scene.camera.keyFrameRequests
            scene.view(height)
            #expect(scene.told[layer], "\(format), height \(height)")
            #expect(scene.demands.last?.at == grownAt || layer == 0, "\(format), height \(height)")
            scene.runObeying(1500)
            let delay = scene.delay(from: grownAt, toLayer: layer)
            #expect(delay.map { $0 <= .milliseconds(400) } == true, "\(format), height \(height)")
            // An encoding that comes back begins with a key frame.
            #expect(scene.camera.keyFrameRequests - requests <= 1, "\(format), height \(height)")
            scene.runObeying(4500)
            #expect(scene.camera.source.activeLayers == [layer], "\(format), height \(height)")
            #expect(scene.layerShown() == layer, "\(format), height \(height)")
        }
        #expect(scene.decoder().freezes(longerThan: .milliseconds(300)).isEmpty, "\(format)")
        scene.finish()
        scene.check()
    }

    @Test func eachViewerHasAnEncodingOfItsOwn() throws {
        let scene = try LayerScene("VP8 L1T1", viewers: 2, shards: 1)
        scene.view(180, by: 0)
        scene.view(720, by: 1)
        scene.run(6000)
        #expect(scene.told == [true, false, true])
        let changedAt = scene.call.now
        scene.view(360, by: 0)
        #expect(scene.told == [true, true, true])
        #expect(scene.demands.last?.at == changedAt)
        scene.run(6000)
        #expect(scene.told == [false, true, true])
        scene.view(360, by: 1)
        scene.run(6000)
        #expect(scene.told == [false, true, false])
        scene.finish()
        scene.check(0)
        scene.check(1)
    }

    /// The largest tile that an encoding is for is told along with it.
    @Test func theWidestTileOfAnEncodingIsTold() throws {
        let scene = try LayerScene("VP8 L1T1", viewers: 2)
        scene.view(90, maxFrameRate: 10, by: 0)
        scene.view(150, maxFrameRate: 15, by: 1)
        scene.run(6000)
        let low = scene.demands.last?.encodings[0]
        #expect(low?.active == true && low?.maxHeight == 150 && low?.maxFrameRate == 15)
    }

    /// One stream with spatial layers is asked for no more than its largest tile, a screen for all of itself.
    @Test func aScreenIsNotAskedForLessThanItsResolution() throws {
        for isScreen in [false, true] {
            let scene = try LayerScene("VP9 L3T3_KEY", isScreen: isScreen)
            scene.run(1000)
            scene.view(180, maxFrameRate: 10)
            scene.run(6000)
            let only = try #require(scene.demands.last?.encodings.first)
            #expect(only.active && only.maxFrameRate == 10)
            #expect(only.maxWidth == (isScreen ? 0 : 320) && only.maxHeight == (isScreen ? 0 : 180))
        }
    }

    @Test(arguments: ["VP8 L1T1", "VP9 L3T3_KEY"])
    func hiddenByEverybodyAllGoesOffAndAPictureIsThereAgainSoon(format: String) throws {
        let scene = try LayerScene(format, viewers: 2, shards: 1)
        scene.run(1000)
        scene.view(720, visible: false, by: 0)
        scene.runObeying(5000)
        #expect(scene.told.contains(true), "\(format): one still watches")
        scene.view(720, visible: false, by: 1)
        scene.runObeying(5000)
        #expect(!scene.told.contains(true), "\(format)")
        #expect(scene.camera.source.activeLayers.isEmpty, "\(format)")
        for number in [0, 1, 0] {
            let shownAt = scene.call.now
            scene.view(720, by: number)
            #expect(scene.demands.last?.at == shownAt && scene.told.last == true, "\(format)")
            scene.runObeying(1000)
            let first = scene.decoder(number).first(after: shownAt)
            #expect(first.map { $0.at - shownAt <= .milliseconds(300) } == true, "\(format)")
            #expect(first?.stamp.isKey == true, "\(format)")
            scene.view(720, visible: false, by: number)
            scene.runObeying(5000)
            #expect(!scene.told.contains(true), "\(format)")
        }
        scene.finish()
        scene.check(0)
        scene.check(1)
    }

    @Test func withoutAnybodyWhoWatchesAllGoesOff() throws {
        let scene = try LayerScene("VP8 L1T1")
        scene.runObeying(1000)
        scene.call.leave(scene.viewer)
        scene.runObeying(6000)
        #expect(scene.told == [false, false, false])
        let joinedAt = scene.call.now
        let guest = try scene.call.join("guest") { $0.addSlot(.video) }
        scene.runObeying(1000)
        #expect(scene.told == [false, false, true] || scene.told == [true, true, true])
        let first = DecoderModel(guest.packets(on: 0)).shown.first
        #expect(first?.stamp.isKey == true)
        #expect(first.map { $0.at - joinedAt <= .milliseconds(600) } == true)
    }

    /// Who unmutes is seen at once: muting switches nothing off, however long it lasts.
    @Test func mutingSwitchesNothingOff() throws {
        let scene = try LayerScene("VP8 L1T1")
        scene.run(1000)
        scene.call.apply(.mute(scene.camera.id, true))
        scene.camera.isRunning = false
        scene.run(8000)
        #expect(scene.demands.allSatisfy { $0.encodings.allSatisfy(\.active) })
        let unmutedAt = scene.call.now
        scene.camera.isRunning = true
        scene.call.apply(.mute(scene.camera.id, false))
        scene.run(500)
        let first = scene.decoder().first(after: unmutedAt)
        #expect(first.map { $0.at - unmutedAt <= .milliseconds(300) } == true)
        #expect(first?.stamp.isKey == true)
        scene.run(4000)
        #expect(scene.told.last == true)
    }

    /// A tile that changes often does not switch the camera on and off.
    @Test func tilesThatChangeOftenSwitchNothingOff() throws {
        let scene = try LayerScene("VP8 L1T1")
        for turn in 0..<16 {
            scene.view([180, 720][turn % 2])
            scene.run(700)
        }
        #expect(scene.told[0] && scene.told[2])
        #expect(!scene.told[1])
        #expect(scene.demands.allSatisfy { $0.encodings[0].active && $0.encodings[2].active })
    }

    /// Who goes on sending what nobody wants is told again, some times and no more, and it costs no subscriber anything.
    @Test(arguments: DynacastTests.simulcast)
    func whatComesAllTheSameIsToldAgainAndNotForwarded(format: String) throws {
        let scene = try LayerScene(format)
        scene.view(180)
        scene.run(Limits.Media.demandDelay.milliseconds + 1500)
        #expect(scene.told == [true, false, false], "\(format)")
        let since = scene.call.now
        let before = scene.demands.count
        scene.run(60_000)
        // Both encodings are told of in one message, or in two.
        let repeats = scene.demands.count - before
        #expect(
            repeats >= Limits.Media.demandRepeats && repeats <= 2 * Limits.Media.demandRepeats,
            "\(format): \(repeats)"
        )
        #expect(
            scene.demands.suffix(repeats).allSatisfy { $0.encodings.map(\.active) == [true, false, false] }
        )
        #expect(scene.stamps(since: since).allSatisfy { $0.layer == 0 }, "\(format)")
        #expect(scene.layerShown() == 0)
        // Wanted again and once more not, it is told as before.
        scene.view(720)
        scene.run(1000)
        scene.view(180)
        let again = scene.demands.count
        scene.run(60_000)
        #expect(scene.demands.count - again > Limits.Media.demandRepeats, "\(format)")
    }

    @Test func whoObeysIsNotToldAgain() throws {
        let scene = try LayerScene("VP8 L1T1")
        scene.view(180)
        scene.runObeying(6000)
        let before = scene.demands.count
        scene.runObeying(30_000)
        #expect(scene.demands.count == before)
    }
}
