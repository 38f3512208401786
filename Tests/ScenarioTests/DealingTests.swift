// Where only one member changed, only he is dealt to: a join into a room of thousands costs what one member costs.
import RTP
import Seam
import Simulation
import Testing

@testable import SFU

@Suite struct DealingTests {
    private static let viewers = 30
    /// One member is dealt audio and video, once for what was negotiated and once when it can receive.
    private static let ofOne: UInt64 = 4

    private struct Scene {
        let call: Call
        let speaker: SimulatedPeer
        let viewers: [SimulatedPeer]

        init(shards: Int) throws {
            call = try Call(seed: 1, shards: shards)
            speaker = try call.join("speaker") { $0.publishBoth() }
            var joined: [SimulatedPeer] = []
            for number in 0..<DealingTests.viewers {
                joined.append(try call.join("viewer\(number)") { $0.addSlots(audio: 1, video: 1) })
            }
            let all = joined
            viewers = joined
            #expect(call.run(atMost: .seconds(5)) { all.allSatisfy { $0.mediaCount > 20 } })
            // Layers that came alive are dealt to all.
            call.run(for: .seconds(2))
        }

        var dealings: UInt64 {
            call.shards.reduce(0) { $0 + ($1.roomsByID[RoomID("room")]?.dealings ?? 0) }
        }
    }

    @Test(arguments: [1, 2])
    func aListenerWhoJoinsIsDealtToAlone(shards: Int) throws {
        let scene = try Scene(shards: shards)
        let before = scene.dealings
        let joined = try scene.call.join("newcomer") { $0.addSlots(audio: 1, video: 1) }
        #expect(scene.call.run(atMost: .seconds(2)) { joined.mediaCount > 20 })
        scene.call.run(for: .milliseconds(500))
        #expect(scene.dealings - before > 0)
        #expect(scene.dealings - before <= DealingTests.ofOne)
        #expect(Set(joined.received.compactMap(\.stamp?.source)).count == 2, "he sees and hears")
    }

    @Test(arguments: [1, 2])
    func whoWantsSomethingElseIsDealtToAlone(shards: Int) throws {
        let scene = try Scene(shards: shards)
        let before = scene.dealings
        scene.call.apply(.subscribe(scene.viewers[3].session, Wishes(scope: .none)))
        scene.call.run(for: .milliseconds(500))
        #expect(scene.dealings - before <= DealingTests.ofOne / 2)
        let count = scene.viewers[3].mediaCount
        scene.call.run(for: .milliseconds(500))
        #expect(scene.viewers[3].mediaCount == count, "he wants nothing and gets nothing")
        #expect(scene.viewers[4].lastMediaAt > scene.call.now - .milliseconds(100))
    }

    @Test(arguments: [1, 2])
    func aListenerWhoLeavesChangesNothing(shards: Int) throws {
        let scene = try Scene(shards: shards)
        let before = scene.dealings
        scene.call.leave(scene.viewers[3])
        scene.call.run(for: .milliseconds(500))
        #expect(scene.dealings == before)
        #expect(scene.viewers[4].lastMediaAt > scene.call.now - .milliseconds(100))
    }

    @Test(arguments: [1, 2])
    func aPublisherWhoJoinsIsDealtToEverybody(shards: Int) throws {
        let scene = try Scene(shards: shards)
        let before = scene.dealings
        _ = try scene.call.join("another") { $0.publishBoth() }
        scene.call.run(for: .milliseconds(500))
        #expect(scene.dealings - before >= UInt64(2 * DealingTests.viewers))
    }

    @Test func whoHasMoreSlotsThanAnybodyMakesRoomForMoreVoices() throws {
        let call = try Call(seed: 1, shards: 1)
        var people: [SimulatedPeer] = []
        for number in 0..<5 {
            people.append(
                try call.join("person\(number)") { peer in
                    _ = peer.publish(.opus(bytes: 80))
                    peer.addSlots(audio: 1, video: 0)
                }
            )
        }
        #expect(call.run(atMost: .seconds(5)) { people.allSatisfy { $0.mediaCount > 20 } })
        let room = try #require(call.shard.roomsByID[RoomID("room")])
        #expect(room.voices.limit == 2)
        let listener = try call.join("listener") { $0.addSlots(audio: 2, video: 0) }
        call.run(for: .milliseconds(200))
        #expect(room.voices.limit == 3)
        call.leave(listener)
        call.run(for: .milliseconds(200))
        #expect(room.voices.limit == 2)
    }
}
