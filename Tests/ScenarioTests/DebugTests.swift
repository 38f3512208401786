import RTP
import SFU
import Seam
import Simulation
import Testing

@Test func debugPrint() throws {
    let call = try Call(seed: 1)
    let a = try call.join("a") { peer in
        _ = peer.publish(MediaSource.threeLayers)
        peer.addSlot(.audio)
    }
    let b = try call.join("b") { peer in
        _ = peer.publish(.opus(bytes: 80))
        peer.addSlot(.video)
    }
    _ = call.run(atMost: .seconds(2)) { a.isConnected && b.isConnected }
    call.run(for: .seconds(2))
    print(call.shard.counters)
    print(call.slots(of: b), b.received.count, b.undecryptable, a.undecryptable, b.receivers.mapValues { $0.missingCount })
    for packet in b.received.prefix(5) { print(packet.sequence, packet.timestamp, packet.payload.count, packet.stamp as Any, packet.payload.prefix(24)) }
    print(a.publishers[0].keyFrameRequests)
}
