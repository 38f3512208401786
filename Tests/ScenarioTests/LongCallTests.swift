import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct LongCallTests {
    @Test func tenPeopleTalkForAMinuteAndNothingIsLeftOfThem() throws {
        let call = try Call(seed: 1, shards: 1)
        let small: MediaSource.Format = .vp8(
            [
                MediaSource.VP8Layer(width: 320, height: 180, bitsPerSecond: 60_000),
                MediaSource.VP8Layer(width: 640, height: 360, bitsPerSecond: 120_000),
            ],
            framesPerSecond: 10
        )
        var people: [SimulatedPeer] = []
        for number in 0..<10 {
            people.append(
                try call.join("person\(number)", up: .lossy(0.01), down: .lossy(0.01)) { peer in
                    _ = peer.publish(.opus(bytes: 60))
                    _ = peer.publish(small)
                    for publisher in peer.publishers { publisher.keepsSent = false }
                    peer.addSlots(audio: 3, video: 4)
                    peer.keepsPackets = false
                }
            )
        }
        #expect(call.run(atMost: .seconds(3)) { people.allSatisfy(\.isConnected) })
        let full = call.shard.counters.gauges
        #expect(
            full["sessions"] == 10 && full["rooms"] == 1 && full["publications"] == 20 && full["paths"] == 10
        )
        call.run(for: .seconds(60))
        #expect(call.shard.counters.gauges == full)
        #expect(people.allSatisfy { $0.undecryptable == 0 }, "\(people.map(\.undecryptable))")
        #expect(people.allSatisfy { $0.mediaCount > 8000 }, "\(people.map(\.mediaCount))")
        for person in people { call.leave(person) }
        call.run(for: .seconds(1))
        let empty = call.shard.counters.gauges
        #expect(empty.values.allSatisfy { $0 == 0 }, "\(empty)")
        call.checkAccounts()
    }
}
