// The road of a packet allocates nothing, however many people get it. A build without optimisation makes three for each
// packet that comes in; `bench/gates` counts those of an optimised one.
import AllocationCounter
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct ForwardingAllocationTests {
    /// Allocations of `packets` packets that come in one by one and go out to all viewers.
    private func allocations(_ format: MediaSource.Format, viewers: Int) throws -> (
        count: UInt64, packets: Int
    ) {
        let call = try Call(seed: 1)
        let publisher = try call.join("publisher") { _ = $0.publish(format) }
        var people: [SimulatedPeer] = []
        for number in 0..<viewers {
            people.append(
                try call.join("viewer\(number)") { peer in
                    peer.addSlot(.audio)
                    peer.addSlot(.video)
                    peer.keepsPackets = false
                }
            )
        }
        #expect(call.run(atMost: .seconds(5)) { people.allSatisfy { $0.mediaCount > 10 } })
        publisher.stopSending()
        call.run(for: .milliseconds(20))
        let recorded = publisher.record(publisher.publishers[0], frames: 400)
        call.discardsOutput = true
        call.inject(Array(recorded.prefix(100)), from: publisher.path)
        let before = call.counter("packets_forwarded")
        let rest = Array(recorded.dropFirst(100))
        let started = sfu_allocation_count()
        call.inject(rest, from: publisher.path)
        let count = sfu_allocation_count() - started
        #expect(call.counter("packets_forwarded") - before == UInt64(rest.count * viewers))
        return (count, rest.count)
    }

    @Test func audioForTenTimesAsManyPeopleAllocatesNoMore() throws {
        let few = try allocations(.opus(bytes: 100), viewers: 10)
        let many = try allocations(.opus(bytes: 100), viewers: 100)
        #expect(few.count == many.count)
        #expect(many.count <= UInt64(3 * many.packets))
    }

    @Test func videoForTenTimesAsManyPeopleAllocatesNoMore() throws {
        let layer = MediaSource.VP8Layer(width: 640, height: 360, bitsPerSecond: 900_000)
        let few = try allocations(.vp8([layer], framesPerSecond: 30), viewers: 10)
        let many = try allocations(.vp8([layer], framesPerSecond: 30), viewers: 100)
        #expect(few.count == many.count)
        #expect(many.count <= UInt64(3 * many.packets))
    }

    @Test func theCounterCounts() {
        let before = sfu_allocation_count()
        let bytes = [UInt8](repeating: 1, count: 100_000)
        #expect(bytes.count == 100_000)
        #expect(sfu_allocation_count() > before)
    }
}
