import PeerTransport
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct SegmentTests {
    @Test(arguments: UInt64(1)...3)
    func messagesHaveEqualSegmentsButForTheLast(seed: UInt64) throws {
        let call = try Call(seed: seed, videoWindow: .milliseconds(5))
        let (publisher, viewer) = try call.publisherAndViewer(up: .lossy(0, jitter: .milliseconds(5)))
        call.keepsMessages = true
        call.run(for: .seconds(2))
        let grouped = call.messages.filter { $0.sizes.count > 1 }
        #expect(grouped.count > 30, "seed \(seed)")
        for message in grouped {
            #expect(message.sizes.dropLast().allSatisfy { $0 == message.segmentSize }, "seed \(seed)")
            #expect(message.sizes.last.map { $0 <= message.segmentSize } == true, "seed \(seed)")
            #expect(message.sizes.count <= 64 && message.sizes.reduce(0, +) < 65_508, "seed \(seed)")
        }
        #expect(viewer.received.allSatisfy { $0.padding <= 16 }, "seed \(seed)")
        #expect(viewer.received.contains { $0.padding > 0 }, "seed \(seed)")
        call.check(viewer, slot: 1, of: [publisher])
    }

    @Test func overTCPEachPacketIsAMessageWithoutPadding() throws {
        let call = try Call(seed: 5, shards: 1)
        let (publisher, viewer) = try call.publisherAndViewer { peer in
            peer.addSlots(audio: 1, video: 1)
            peer.path.connection = 3
        }
        call.keepsMessages = true
        call.run(for: .seconds(2))
        let messages = call.messages.filter { $0.path == viewer.path }
        #expect(messages.count > 100)
        #expect(messages.allSatisfy { $0.sizes.count == 1 })
        #expect(viewer.received.allSatisfy { $0.padding == 0 })
        call.check(viewer, slot: 1, of: [publisher])
        call.shard.connectionClosed(3, at: call.now)
        let count = viewer.mediaCount
        call.run(for: .milliseconds(500))
        #expect(viewer.mediaCount <= count + 2)
    }
}
