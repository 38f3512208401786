import RTP
import Seam
import Simulation
import Testing

@Suite struct TwoPeopleTalkTests {
    @Test func everyPacketOfEitherReachesTheOther() throws {
        let call = try Call(seed: 1)
        let a = try call.join("a") { peer in
            _ = peer.publish(.opus(bytes: 80))
            _ = peer.publish(MediaSource.threeLayers)
            peer.addSlot(.audio)
            peer.addSlot(.video)
        }
        let b = try call.join("b") { peer in
            _ = peer.publish(.opus(bytes: 80))
            peer.addSlot(.audio)
            peer.addSlot(.video)
        }
        #expect(call.run(atMost: .seconds(2)) { a.isConnected && b.isConnected })
        call.run(for: .seconds(5))
        for (from, to) in [(a, b), (b, a)] {
            let heard = to.received.filter { $0.stamp?.source == from.publishers[0].source.id }
            #expect(heard.count > 240, "seed \(call.seed)")
            let first = heard.first?.sequence ?? 0
            #expect(heard.map(\.sequence) == heard.indices.map { first + Int64($0) })
        }
        let seen = b.received.filter { $0.stamp?.source == a.publishers[1].source.id }
        #expect(seen.last?.stamp?.layer == 2)
        #expect(a.undecryptable == 0 && b.undecryptable == 0)
        #expect(call.isFraming)
    }
}
