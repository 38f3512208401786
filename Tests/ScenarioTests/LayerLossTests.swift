import RTP
import Simulation
import Testing

@Suite struct LayerLossTests {
    @Test(arguments: UInt64(1)...3)
    func theNextLayerTakesOverAndTheTopComesBack(seed: UInt64) throws {
        let call = try Call(seed: seed)
        let (publisher, viewer) = try call.publisherAndViewer()
        call.run(for: .seconds(2))
        #expect(viewer.packets(on: 1).last?.stamp?.layer == 2, "seed \(seed)")
        publisher.camera.source.activeLayers = [0, 1]
        let stoppedAt = call.now
        call.run(for: .seconds(1))
        let next = viewer.packets(on: 1).first { $0.stamp?.layer == 1 }
        // A link each way, and a frame.
        let silence = (next?.at ?? .distantFuture) - stoppedAt
        #expect(silence <= .milliseconds(600), "seed \(seed): \(silence.milliseconds) ms")
        publisher.camera.source.activeLayers = [0, 1, 2]
        publisher.camera.source.requestKeyFrame(layer: 2)
        let cameBackAt = call.now
        call.run(for: .seconds(1))
        let top = viewer.packets(on: 1).first { $0.at > cameBackAt && $0.stamp?.layer == 2 }
        #expect(top != nil && top?.stamp?.isKey == true, "seed \(seed)")
        call.check(viewer, slot: 1, of: [publisher])
    }

    @Test func whenNothingIsSentTheSlotSaysSoAndThePictureComesBack() throws {
        let call = try Call(seed: 5)
        let (publisher, viewer) = try call.publisherAndViewer()
        call.run(for: .seconds(1))
        publisher.camera.isRunning = false
        call.run(for: .seconds(2))
        let requests = call.counter("key_frame_requests_sent")
        call.run(for: .seconds(5))
        #expect(call.counter("key_frame_requests_sent") == requests)
        publisher.camera.isRunning = true
        call.run(for: .seconds(1))
        let last = viewer.packets(on: 1).last
        #expect(last.map { call.now - $0.at < .milliseconds(100) } == true)
        call.check(viewer, slot: 1, of: [publisher])
    }
}
