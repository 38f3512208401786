// A burst for many goes out in slices: nobody loses anything by it, and what comes meanwhile does not wait for its end.
// `SFU_SLICE=1` cuts all other scenarios into slices of one copy.
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct BurstTests {
    private static let slice = 8
    private static let viewers = 20

    /// One person with microphone and camera, and who looks.
    private struct Scene {
        let call: Call
        let speaker: SimulatedPeer
        let viewers: [SimulatedPeer]

        init(slice: Int = BurstTests.slice, shards: Int = 1, viewers count: Int = BurstTests.viewers) throws {
            call = try Call(seed: 1, shards: shards, copiesPerSlice: slice)
            (speaker, viewers) = try Scene.people(of: "room", count, in: call)
            let all = viewers
            #expect(call.run(atMost: .seconds(5)) { all.allSatisfy { $0.mediaCount > 20 } })
        }

        static func people(
            of room: String,
            _ count: Int,
            in call: Call
        ) throws -> (speaker: SimulatedPeer, viewers: [SimulatedPeer]) {
            let speaker = try call.join("\(room) speaker", room: room) { peer in
                _ = peer.publish(.opus(bytes: 80))
                _ = peer.publish(.vp8([BurstTests.layer], framesPerSecond: 30))
            }
            var viewers: [SimulatedPeer] = []
            for number in 0..<count {
                viewers.append(
                    try call.join("\(room) viewer\(number)", room: room) { $0.addSlots(audio: 1, video: 1) }
                )
            }
            return (speaker, viewers)
        }

        /// Nothing is on its way.
        func settle() {
            speaker.stopSending()
            call.run(for: .milliseconds(20))
            call.keepsMessages = true
        }

        func receive(_ datagrams: [[UInt8]], from peer: SimulatedPeer) {
            for datagram in datagrams { _ = call.receive(datagram, from: peer.path) }
        }
    }

    private static let layer = MediaSource.VP8Layer(width: 1280, height: 720, bitsPerSecond: 2_500_000)

    /// Packets that left for this peer, by their sizes; audio is small here.
    private func sizes(_ call: Call, for peer: SimulatedPeer, audio: Bool) -> [Int] {
        call.messages.filter { $0.path == peer.path }.flatMap(\.sizes).filter { ($0 < 250) == audio }
    }

    @Test(arguments: [1, 2])
    func everybodyGetsEveryPacketOnceAndInOrder(shards: Int) throws {
        let scene = try Scene(slice: 3, shards: shards)
        scene.call.run(for: .seconds(3))
        for viewer in scene.viewers {
            for publisher in scene.speaker.publishers {
                let got = viewer.received.filter { $0.stamp?.source == publisher.source.id }
                let first = try #require(got.first?.sequence)
                #expect(got.count > 100)
                #expect(got.map(\.sequence) == got.indices.map { first + Int64($0) })
            }
            #expect(viewer.undecryptable == 0)
        }
        scene.call.checkAccounts()
    }

    @Test func audioOvertakesTheRestOfABurst() throws {
        let scene = try Scene()
        scene.settle()
        let frame = scene.speaker.record(scene.speaker.publishers[1], frames: 1)
        try #require(frame.count > 5)
        scene.receive(frame, from: scene.speaker)
        scene.call.turn()
        let served = scene.viewers.filter { !sizes(scene.call, for: $0, audio: false).isEmpty }
        #expect(served.count < 3, "a slice is a few copies")
        scene.receive(scene.speaker.record(scene.speaker.publishers[0], frames: 1), from: scene.speaker)
        for _ in 0..<4 { scene.call.turn() }
        for viewer in scene.viewers { #expect(sizes(scene.call, for: viewer, audio: true).count == 1) }
        let waiting = scene.viewers.filter { sizes(scene.call, for: $0, audio: false).isEmpty }
        #expect(waiting.count > BurstTests.viewers / 2, "most of the burst is still to come")
        for _ in 0..<BurstTests.viewers { scene.call.turn() }
        for viewer in scene.viewers {
            #expect(sizes(scene.call, for: viewer, audio: false).count == frame.count)
        }
    }

    @Test func whatArrivesBetweenSlicesIsForwardedAfterThem() throws {
        let scene = try Scene()
        scene.settle()
        let camera = scene.speaker.publishers[1]
        var sent = 0
        // A new frame before the last one is with everybody: they pile up until a batch is full.
        for _ in 0..<12 {
            let frame = scene.speaker.record(camera, frames: 1)
            sent += frame.count
            scene.receive(frame, from: scene.speaker)
            scene.call.turn()
        }
        for _ in 0..<100 { scene.call.turn() }
        for viewer in scene.viewers { #expect(sizes(scene.call, for: viewer, audio: false).count == sent) }
        let before = scene.viewers.map(\.mediaCount)
        scene.call.run(for: .milliseconds(200))
        for (viewer, count) in zip(scene.viewers, before) {
            #expect(viewer.mediaCount - count >= sent)
            #expect(viewer.undecryptable == 0 && viewer.replays == 0)
        }
    }

    @Test func roomsTakeTurns() throws {
        let call = try Call(seed: 1, shards: 1, copiesPerSlice: BurstTests.slice)
        let rooms = try ["a", "b", "c"].map { try Scene.people(of: $0, 10, in: call) }
        #expect(
            call.run(atMost: .seconds(5)) {
                rooms.allSatisfy { $0.viewers.allSatisfy { $0.mediaCount > 20 } }
            }
        )
        rooms.forEach { $0.speaker.stopSending() }
        call.run(for: .milliseconds(20))
        call.keepsMessages = true
        for room in rooms {
            for datagram in room.speaker.record(room.speaker.publishers[1], frames: 1) {
                _ = call.receive(datagram, from: room.speaker.path)
            }
        }
        for _ in 0..<6 { call.turn() }
        for room in rooms {
            let served = room.viewers.filter { !sizes(call, for: $0, audio: false).isEmpty }
            #expect(served.count > 0 && served.count < 10)
        }
    }

    @Test func whoLeavesInTheMidstOfABurstTakesNobodysShare() throws {
        let scene = try Scene()
        scene.settle()
        let frame = scene.speaker.record(scene.speaker.publishers[1], frames: 1)
        scene.receive(frame, from: scene.speaker)
        scene.call.turn()
        // Some who have it, some who wait for it.
        let gone = [0, 1, 7, 12, BurstTests.viewers - 1]
        for place in gone {
            scene.call.shard.apply(.close(scene.viewers[place].session), at: scene.call.now)
            scene.call.turn()
        }
        for _ in 0..<BurstTests.viewers { scene.call.turn() }
        for (place, viewer) in scene.viewers.enumerated() where !gone.contains(place) {
            #expect(sizes(scene.call, for: viewer, audio: false).count == frame.count, "viewer \(place)")
        }
    }

    @Test func aPublisherWhoLeavesInTheMidstOfABurstTakesItAlong() throws {
        let scene = try Scene()
        scene.settle()
        let frame = scene.speaker.record(scene.speaker.publishers[1], frames: 1)
        scene.receive(frame, from: scene.speaker)
        scene.call.turn()
        scene.call.shard.apply(.close(scene.speaker.session), at: scene.call.now)
        for _ in 0..<BurstTests.viewers { scene.call.turn() }
        let served = scene.viewers.filter { !sizes(scene.call, for: $0, audio: false).isEmpty }
        #expect(served.count < 3)
        #expect(scene.call.shard.nextDeadline > scene.call.now, "nothing is left to do")
    }
}
