// Header extensions that subscribers get as the publisher wrote them, or moved to our clock, in every copy of a packet;
// and those that are nobody else's business.
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct CarriedExtensionTests {
    private static let formats = ["VP8 L1T3", "H264", "VP9 L3T3_KEY", "AV1 L3T3"]

    private func scene(
        _ format: String,
        seed: UInt64 = 1,
        viewers: Int = 1,
        colorSpace: [UInt8] = [9, 16, 9, 1]
    ) throws -> LayerScene {
        try LayerScene(format, seed: seed, viewers: viewers) { _ in
        } prepare: { camera in
            camera.source.orientation = 2
            camera.contentType = 1
            camera.colorSpace = colorSpace
            camera.playoutDelay = 0x00_200a
            camera.sendsCaptureTime = true
        }
    }

    /// Key frames carry them, so that whoever begins with one has them.
    @Test(arguments: CarriedExtensionTests.formats, [4, 28])
    func whoBeginsHasThem(format: String, colorBytes: UInt8) throws {
        // BT.2020 with PQ; the long form adds the mastering display.
        let colorSpace = [9, 16, 9, 1] + (4..<28).map { UInt8($0) }.prefix(Int(colorBytes) - 4)
        let scene = try scene(format, viewers: 2, colorSpace: colorSpace)
        scene.view(720, visible: false, by: 1)
        scene.run(1500)
        for (height, pause) in [(180, 900), (720, 150), (360, 2000), (720, 400)] as [(Int, Int64)] {
            scene.view(height, by: 1)
            let shownAt = scene.call.now
            scene.run(1000)
            let begin = scene.packets(1).filter { $0.at > shownAt }
            let key = begin.prefix { $0.stamp?.frame == begin.first?.stamp?.frame }
            #expect(key.first?.playoutDelay == 0x00_200a, "\(format)")
            #expect(key.first?.captureTime != nil, "\(format)")
            scene.view(height, visible: false, by: 1)
            scene.run(pause)
        }
        scene.finish()
        for number in [0, 1] {
            scene.check(number)
            let top = scene.packets(number).filter { $0.stamp?.isKey == true && $0.marker }
            #expect(!top.isEmpty, "\(format)")
            // The marker of a lower spatial layer is ours: the publisher's last packet was not for this viewer.
            let whole = top.filter { !scene.isSVC || $0.stamp?.spatial == 2 }
            #expect(whole.allSatisfy { $0.orientation == 2 && $0.contentType == 1 }, "\(format)")
            #expect(whole.allSatisfy { $0.colorSpace == colorSpace }, "\(format)")
        }
    }

    /// Each packet has what its original had, whether it came at once, by RTX to us, or by RTX from us.
    @Test(arguments: CarriedExtensionTests.formats, UInt64(1)...2)
    func repairsHaveThem(format: String, seed: UInt64) throws {
        let scene = try scene(format, seed: seed)
        scene.camera.source.keyFrameEvery = 5
        scene.run(500)
        scene.degrade(up: .lossy(0.08), down: .lossy(0.08))
        scene.viewer.asksTwice = true
        for turn in 0..<10 {
            scene.view([720, 360, 180][turn % 3])
            scene.run(400)
        }
        scene.degrade()
        scene.finish(2500)
        scene.check()
        var rare = 0
        for packet in scene.packets() {
            guard let stamp = packet.stamp, let place = scene.camera.sent[stamp] else { continue }
            let original = scene.camera.originals[place]
            #expect(packet.captureTime == original.captureTime, "\(format), seed \(seed): \(stamp)")
            #expect(packet.playoutDelay == original.playoutDelay, "\(format), seed \(seed): \(stamp)")
            #expect(packet.orientation == original.orientation, "\(format), seed \(seed): \(stamp)")
            if packet.isRecovered && original.captureTime != nil { rare += 1 }
        }
        #expect(rare > 0, "\(format), seed \(seed)")
    }

    /// The offset of the capturer's clock is told against the clock of our own reports.
    @Test(arguments: [-7200, 0, 86_400 * 365] as [Int64])
    func theCaptureClockIsToldAgainstOurs(seconds: Int64) throws {
        let scene = try LayerScene("VP8 L1T1", withAudio: true) { _ in
        } prepare: { camera in
            camera.sendsCaptureTime = true
            // Captured elsewhere, 3 s behind the publisher's own clock.
            camera.captureClockOffset = -3 << 32
        }
        for publisher in scene.publisher.publishers { publisher.clockOffset = .seconds(seconds) }
        scene.degrade(up: .lossy(0.03), down: .lossy(0.05))
        scene.viewer.asksTwice = true
        scene.run(2000)
        let since = scene.call.now
        scene.run(5000)
        scene.degrade()
        scene.finish()
        scene.check()
        let told = scene.packets().filter { $0.at > since && $0.captureTime != nil }
        #expect(told.count >= 4)
        for packet in told {
            let offset = Double(try #require(packet.captureClockOffset)) / 4_294_967_296
            // What the way to us takes is seen as a clock that is behind: 10 ms here.
            let error = offset - Double(seconds - 3) + 0.010
            #expect(abs(error) < 0.015, "\(seconds) s: \(offset)")
        }
    }

    /// The same by what the viewer reckons with it: on our reports' clock, capture lies shortly before arrival.
    @Test func theCaptureTimeIsOfOurReportsClock() throws {
        let scene = try LayerScene("VP9 L3T3") { _ in
        } prepare: { camera in
            camera.sendsCaptureTime = true
            camera.captureClockOffset = 0
            camera.clockOffset = .seconds(5000)
        }
        scene.run(6000)
        let told = scene.packets().filter { $0.at > scene.call.now - .seconds(3) && $0.captureTime != nil }
        #expect(!told.isEmpty)
        for packet in told {
            let capture = try #require(packet.captureTime)
            let offset = try #require(packet.captureClockOffset)
            let onOurs = capture &- UInt64(bitPattern: offset)
            let arrived = NTPTime(packet.at, epochOffset: .seconds(3_900_000_000)).rawValue
            let age = Double(Int64(bitPattern: arrived &- onOurs)) / 4_294_967_296
            #expect(age > 0 && age < 0.05, "\(age) s")
        }
    }

    /// Before the publisher's first report nobody knows how its clock is set, and nothing is said of it.
    @Test func anUnknownClockIsNotVouchedFor() throws {
        let scene = try LayerScene("VP8 L1T1") { _ in
        } prepare: { camera in
            camera.sendsCaptureTime = true
            camera.captureClockOffset = 0
            camera.clockOffset = .seconds(5000)
        }
        scene.publisher.sendsSenderReports = false
        scene.camera.source.keyFrameEvery = 10
        scene.run(2000)
        let told = scene.packets().filter { $0.captureTime != nil }
        #expect(!told.isEmpty)
        #expect(told.allSatisfy { $0.captureClockOffset == nil })
    }

    /// Names of streams, allocations and other people's numbers stay here.
    @Test(arguments: CarriedExtensionTests.formats)
    func whatIsForUsGoesNoFurther(format: String) throws {
        let scene = try LayerScene(format) { _ in
        } prepare: {
            $0.source.announcesLayers = true
        }
        scene.degrade(down: .lossy(0.05))
        scene.run(3000)
        let packets = scene.packets()
        #expect(packets.count > 60, "\(format)")
        #expect(packets.allSatisfy { $0.mid == "s0" }, "\(format)")
        #expect(packets.allSatisfy { $0.foreign.isEmpty }, "\(format)")
    }
}
