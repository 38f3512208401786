// Many people join at once: their handshakes wait until media is on its way.
import RTP
import SFU
import Seam
import Simulation
import Testing

struct HandshakeStormTests {
    private func startedCall() throws -> (Call, SimulatedPeer, SimulatedPeer) {
        let call = try Call(seed: 3, shards: 1)
        let speaker = try call.join("speaker") { _ = $0.publish(.opus(bytes: 80)) }
        let listener = try call.join("listener") { $0.addSlot(.audio) }
        #expect(call.run(atMost: .seconds(5), until: { listener.mediaCount > 20 }))
        return (call, speaker, listener)
    }

    /// Everything that a batch holds is forwarded before the first handshake of it takes a step.
    @Test func mediaGoesFirst() throws {
        let (call, speaker, listener) = try startedCall()
        speaker.stopSending()
        call.run(for: .milliseconds(100))
        let publisher = try #require(speaker.publishers.first)
        let media = speaker.record(publisher, frames: 3)
        let consumed = call.counter("datagrams_consumed")
        let forwarded = call.counter("packets_forwarded")
        for number in 0..<30 {
            _ = call.receive(
                [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, UInt8(number), 0, 1, 0],
                from: listener.path
            )
        }
        #expect(call.shard.hasHandshakes)
        #expect(call.shard.nextDeadline == .zero, "the rest is worked off without waiting")
        call.inject(media, from: speaker.path)
        #expect(call.counter("packets_forwarded") == forwarded + UInt64(media.count))
        #expect(call.counter("datagrams_consumed") == consumed, "not a step was taken meanwhile")
        call.run(for: .milliseconds(1))
        #expect(call.counter("datagrams_consumed") == consumed + 30)
        #expect(!call.shard.hasHandshakes)
    }

    @Test func aCrowdConnectsAndNobodyWaits() throws {
        let (call, _, listener) = try startedCall()
        let before = listener.mediaCount
        var crowd: [SimulatedPeer] = []
        for number in 0..<60 { crowd.append(try call.join("guest\(number)") { $0.addSlot(.audio) }) }
        #expect(call.run(atMost: .seconds(5), until: { crowd.allSatisfy { $0.mediaCount > 5 } }))
        let start = listener.mediaCount
        call.run(for: .seconds(1))
        #expect(start > before && listener.mediaCount - start >= 49)
        #expect(!call.shard.hasHandshakes)
    }

    @Test func oneSessionCannotFillTheQueue() throws {
        let (call, _, listener) = try startedCall()
        for _ in 0..<100 { _ = call.receive([22] + [UInt8](repeating: 0, count: 20), from: listener.path) }
        let dropped = call.shard.counters.drops["handshakeQueueFull"] ?? 0
        #expect(dropped == UInt64(100 - Limits.DTLS.waitingPerSession))
        let heard = listener.mediaCount
        call.run(for: .seconds(1))
        #expect(listener.mediaCount >= heard + 49, "the session goes on")
        #expect(!call.shard.hasHandshakes)
    }

    /// What waits of a session that is closed is dropped, and counted.
    @Test func closingLeavesNothingBehind() throws {
        let (call, _, listener) = try startedCall()
        for _ in 0..<5 { _ = call.receive([22] + [UInt8](repeating: 0, count: 20), from: listener.path) }
        let unknown = call.shard.counters.drops["unknownPath"] ?? 0
        call.shard.apply(.close(listener.session), at: call.now)
        #expect(!call.shard.hasHandshakes && !call.shard.advanceHandshake(at: call.now))
        #expect((call.shard.counters.drops["unknownPath"] ?? 0) == unknown + 5)
        let again = try call.join("again") { $0.addSlot(.audio) }
        #expect(call.run(atMost: .seconds(5), until: { again.mediaCount > 5 }))
    }
}
