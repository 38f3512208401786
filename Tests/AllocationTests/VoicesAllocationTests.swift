// Where more people speak than are heard, packets that are left out cost the same however many people there are. What a
// build without optimisation allocates for each packet is known and bounded; an optimised one allocates nothing.
import AllocationCounter
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct VoicesAllocationTests {
    private func allocations(people count: Int) throws -> (left: UInt64, read: UInt64, allocations: UInt64) {
        let call = try Call(seed: 1)
        var people: [SimulatedPeer] = []
        for number in 0..<count {
            people.append(
                try call.join("person\(number)") { peer in
                    let mic = peer.publish(.opus(bytes: 60))
                    mic.source.audioLevel = number < 2 ? 0x80 | 20 : 127
                    peer.addSlot(.audio)
                    peer.keepsPackets = false
                }
            )
        }
        call.run(for: .seconds(2))
        let silent = people[count - 1]
        silent.stopSending()
        call.run(for: .milliseconds(50))
        let recorded = silent.record(silent.publishers[0], frames: 1100)
        call.discardsOutput = true
        call.inject(Array(recorded.prefix(100)), from: silent.path)
        let rest = Array(recorded.dropFirst(100))
        let left = call.shard.counters.drops["notLoudest"] ?? 0
        let read = call.counter("rtp_received")
        let before = sfu_allocation_count()
        call.inject(rest, from: silent.path)
        let allocations = sfu_allocation_count() - before
        return (
            (call.shard.counters.drops["notLoudest"] ?? 0) - left, call.counter("rtp_received") - read,
            allocations
        )
    }

    @Test func whoIsNotHeardCostsTheSameInALargerRoom() throws {
        let few = try allocations(people: 10)
        let many = try allocations(people: 40)
        #expect(few.left == 1000 && many.left == 1000)
        #expect(few.read == many.read && many.read <= 17)
        #expect(few.allocations == many.allocations)
        #expect(many.allocations <= 3 * many.left)
    }
}
