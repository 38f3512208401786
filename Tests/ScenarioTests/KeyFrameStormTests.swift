import RTP
import Simulation
import Testing

@Suite struct KeyFrameStormTests {
    @Test func manyWhoJoinAtOnceAreOneRequestPerHalfSecond() throws {
        let call = try Call(seed: 1)
        let publisher = try call.join("publisher") { $0.publishBoth() }
        #expect(call.run(atMost: .seconds(2)) { publisher.isConnected })
        publisher.camera.source.activeLayers = [0]
        call.run(for: .seconds(1))
        let before = publisher.camera.keyFrameRequests
        let startedAt = call.now
        var viewers: [SimulatedPeer] = []
        for number in 0..<100 {
            viewers.append(try call.join("viewer\(number)") { $0.addSlots(audio: 1, video: 1) })
            call.run(for: .milliseconds(10))
        }
        #expect(call.run(atMost: .seconds(3)) { viewers.allSatisfy { !$0.packets(on: 1).isEmpty } })
        let halfSeconds = Int((call.now - startedAt).milliseconds / 500) + 1
        #expect(publisher.camera.keyFrameRequests - before <= halfSeconds)
        #expect(publisher.camera.keyFrameRequests > before)
        #expect(viewers.allSatisfy { $0.packets(on: 1).first?.stamp?.isKey == true })
    }

    @Test func aDecoderThatAsksGetsAKeyFrame() throws {
        let call = try Call(seed: 2)
        let (publisher, viewer) = try call.publisherAndViewer()
        call.run(for: .seconds(2))
        let askedAt = call.now
        viewer.requestKeyFrame(slot: viewer.slots[1].ssrc, at: call.now)
        call.run(for: .milliseconds(200))
        #expect(viewer.packets(on: 1).contains { $0.at > askedAt && $0.stamp?.isKey == true })
        call.check(viewer, slot: 1, of: [publisher])
    }
}
