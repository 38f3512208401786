// Who asks a publisher for key frames, how often, and when nobody needs to.
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct KeyFrameRequestTests {
    /// When requests came to the publisher, by SSRC.
    private final class Requests {
        private(set) var times: [UInt32: [Instant]] = [:]

        init(to scene: LayerScene) {
            let call = scene.call
            scene.publisher.onRTCP = { [weak call] block in
                guard let request = PictureLossIndication(block), let call else { return }
                self.times[request.mediaSSRC, default: []].append(call.now)
            }
        }

        var count: Int { times.values.reduce(0) { $0 + $1.count } }

        /// The shortest time between two requests for one encoding.
        var closest: Interval? {
            times.values.flatMap { zip($0, $0.dropFirst()).map { $1 - $0 } }.min()
        }
    }

    private func sendFIR(_ viewer: SimulatedPeer, number: UInt8, at now: Instant) {
        var bytes = [UInt8](repeating: 0, count: 64)
        let length = bytes.withUnsafeMutableBufferPointer { buffer -> Int in
            guard let base = buffer.baseAddress else { return 0 }
            var writer = RTCPWriter(base, capacity: 64)
            _ = writer.appendReceiverReport(ssrc: 77)
            _ = writer.appendFIR(sender: 77, media: viewer.slots[0].ssrc, sequence: number)
            return writer.length
        }
        viewer.send(protectedRTCP: Array(bytes.prefix(length)), at: now)
    }

    /// PLI, FIR, viewers who come, tiles that change and hide, losses that are given up: one request of an encoding
    /// in half a second.
    @Test(arguments: ["VP8 L1T1", "VP9 L3T3_KEY", "AV1 L1T3"])
    func allWhoAskObeyOneLimiter_jvb2442(format: String) throws {
        let scene = try LayerScene(format, viewers: 3)
        let requests = Requests(to: scene)
        scene.run(1200)
        scene.publisher.usesRTX = false
        scene.publisher.answersNACK = false
        scene.degrade(up: .lossy(0.02))
        for round in 0..<80 {
            let now = scene.call.now
            switch round % 5 {
            case 0: scene.viewers[0].requestKeyFrame(slot: scene.viewers[0].slots[0].ssrc, at: now)
            case 1: sendFIR(scene.viewers[1], number: UInt8(round), at: now)
            case 2: scene.view([180, 360, 720][round / 5 % 3], by: 2)
            case 3: scene.view(720, visible: round % 2 == 0, by: 1)
            default: _ = try scene.call.join("guest\(round)") { $0.addSlot(.video) }
            }
            scene.run(40)
        }
        #expect(requests.count > 4, "\(format)")
        // The network may bring two of them together, but not much.
        let closest = requests.closest
        let shortest = Limits.Media.keyFrameInterval
        #expect(closest.map { $0 >= shortest } == true, "\(format): \(closest?.milliseconds ?? -1) ms")
    }

    @Test func aFullIntraRequestIsARequest() throws {
        let scene = try LayerScene("VP8 L1T1")
        scene.run(1200)
        let before = scene.camera.keyFrameRequests
        let askedAt = scene.call.now
        sendFIR(scene.viewer, number: 1, at: askedAt)
        scene.run(200)
        #expect(scene.camera.keyFrameRequests == before + 1)
        #expect(scene.packets().contains { $0.at > askedAt && $0.stamp?.startsKeyFrame == true })
    }

    /// Chromium answers on one encoding alone where x-google-per-layer-pli was negotiated, and only that one is asked.
    @Test(arguments: ["VP8 L1T1", "H264", "VP9 L1T3", "AV1 L1T3"])
    func onlyTheEncodingThatIsWantedIsAsked(format: String) throws {
        let scene = try LayerScene(format)
        let requests = Requests(to: scene)
        scene.run(1500)
        for (height, layer) in [(360, 1), (180, 0), (720, 2)] {
            let before = requests.times
            scene.view(height)
            scene.run(1000)
            scene.viewer.requestKeyFrame(slot: scene.viewer.slots[0].ssrc, at: scene.call.now)
            scene.run(1000)
            for other in 0..<3 {
                let ssrc = scene.camera.ssrc(other)
                let new = (requests.times[ssrc]?.count ?? 0) - (before[ssrc]?.count ?? 0)
                #expect(new == (other == layer ? 2 : 0), "\(format), height \(height): \(new) of \(other)")
            }
        }
    }

    /// A hundred people come while the last key frame is young: they start from what the server has.
    @Test(arguments: ["VP8 L1T3", "H264", "VP9 L3T3_KEY", "AV1 L3T3"])
    func lateJoinersStartFromTheStoredKeyFrame(format: String) throws {
        let count = 12
        let scene = try LayerScene(format, viewers: count)
        for number in 1..<count { scene.view(720, visible: false, by: number) }
        scene.run(2000)
        for layer in 0..<scene.camera.source.layerCount {
            scene.camera.source.requestKeyFrame(layer: layer)
        }
        scene.run(200)
        let before = scene.camera.keyFrameRequests
        let shownAt = scene.call.now
        for number in 1..<count { scene.view(720, by: number) }
        scene.run(Limits.Media.storedKeyFrameAge.milliseconds - 250)
        for number in 1..<count {
            let first = scene.decoder(number).first(after: shownAt)
            #expect(first?.stamp.isKey == true, "\(format)")
            // Of before it was shown.
            #expect(first.map { $0.at - shownAt < .milliseconds(60) } == true, "\(format)")
        }
        scene.run(1000)
        #expect(scene.camera.keyFrameRequests == before, "\(format)")
        // The same for somebody who comes into the room.
        for layer in 0..<scene.camera.source.layerCount {
            scene.camera.source.requestKeyFrame(layer: layer)
        }
        scene.run(100)
        let guest = try scene.call.join("guest") { $0.addSlot(.video) }
        scene.run(1000)
        #expect(scene.camera.keyFrameRequests == before, "\(format): a guest")
        #expect(guest.packets(on: 0).first?.stamp?.startsKeyFrame == true, "\(format)")
        #expect((0..<count).allSatisfy { scene.layerShown($0) == 2 }, "\(format)")
        scene.finish()
        for number in 0..<count { scene.check(number) }
    }

    @Test(arguments: ["VP8 L1T3", "AV1 L3T3"])
    func anOldKeyFrameIsNotStartedFrom(format: String) throws {
        let scene = try LayerScene(format, viewers: 2)
        scene.view(720, visible: false, by: 1)
        scene.run(3000)
        let before = scene.camera.keyFrameRequests
        let shownAt = scene.call.now
        scene.view(720, by: 1)
        scene.run(500)
        #expect(scene.camera.keyFrameRequests == before + 1, "\(format)")
        let first = scene.packets(1).first { $0.at > shownAt }
        #expect(first?.stamp?.startsKeyFrame == true, "\(format)")
        let sent = scene.camera.originals.first { $0.stamp == first?.stamp }
        #expect(sent.map { $0.sentAt > shownAt } == true, "\(format)")
        scene.finish()
        scene.check(1)
    }

    /// Key frames are far larger than other pictures: asked for without end, they would be all that the publisher sends,
    /// and its picture would get coarse and slow.
    @Test(arguments: ["VP8 L1T1", "VP9 L3T3_KEY"])
    func keyFramesDoNotTakeMostOfTheStream_jvb2448(format: String) throws {
        let scene = try LayerScene(format) { video in
            video.keyFrameShare = 12
        }
        scene.run(1500)
        let since = scene.call.now
        let before = scene.camera.keyFrameRequests
        for _ in 0..<100 {
            scene.viewer.requestKeyFrame(slot: scene.viewer.slots[0].ssrc, at: scene.call.now)
            scene.run(100)
        }
        let top = scene.camera.originals.filter { $0.sentAt > since && (scene.isSVC || $0.stamp.layer == 2) }
        let bytes = top.reduce(0) { $0 + $1.payload.count }
        let keyBytes = top.filter(\.stamp.isKey).reduce(0) { $0 + $1.payload.count }
        #expect(scene.camera.keyFrameRequests - before >= 3, "\(format)")
        #expect(keyBytes * 100 <= bytes * 35, "\(format): \(keyBytes * 100 / max(bytes, 1)) % are key frames")
    }
}
