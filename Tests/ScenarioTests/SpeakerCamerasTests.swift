import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct SpeakerCamerasTests {
    private static let camera = MediaSource.Format.vp8(
        [MediaSource.VP8Layer(width: 320, height: 180, bitsPerSecond: 100_000)],
        framesPerSecond: 15
    )

    private struct Meeting {
        let call: Call
        var people: [SimulatedPeer] = []
        let viewer: SimulatedPeer
        var random: SimulatedICEClient.Generator

        init(seed: UInt64, people count: Int, videoSlots: Int) throws {
            call = try Call(seed: seed)
            random = SimulatedICEClient.Generator(seed: seed)
            for number in 0..<count {
                people.append(
                    try call.join("person\(number)") { peer in
                        peer.publish(.opus(bytes: 60)).source.audioLevel = 90
                        _ = peer.publish(SpeakerCamerasTests.camera)
                    }
                )
            }
            viewer = try call.join("viewer") { $0.addSlots(audio: 3, video: videoSlots) }
            let people = people
            #expect(call.run(atMost: .seconds(5)) { people.allSatisfy(\.isConnected) && viewerIsConnected })
            call.run(for: .seconds(1))
        }

        private var viewerIsConnected: Bool { viewer.isConnected }

        mutating func speak(_ speaker: Int, for duration: Interval) {
            let end = call.now + duration
            while call.now < end {
                people[speaker].mic.source.audioLevel = 0x80 | UInt8.random(in: 20...36, using: &random)
                call.run(for: .milliseconds(20))
            }
            people[speaker].mic.source.audioLevel = 90
        }

        /// Whose cameras are in the slots.
        var shown: [Int?] {
            call.slots(of: viewer).filter { $0.value.kind == .video }.sorted { $0.key < $1.key }
                .map { slot in people.firstIndex { $0.camera.id == slot.value.publication } }
        }
    }

    @Test(arguments: UInt64(1)...3)
    func whoTakesTheFloorGetsTheSlotOfWhoSpokeLongestAgo(seed: UInt64) throws {
        var meeting = try Meeting(seed: seed, people: 6, videoSlots: 3)
        #expect(Set(meeting.shown) == [0, 1, 2], "seed \(seed)")
        var order = [2, 1, 0]
        for speaker in [1, 4, 4, 0, 5, 1, 3] {
            let before = meeting.shown
            meeting.speak(speaker, for: .seconds(2))
            meeting.call.run(for: .milliseconds(500))
            let after = meeting.shown
            #expect(after.contains(speaker), "seed \(seed)")
            if before.contains(speaker) {
                #expect(after == before, "seed \(seed): nobody moves")
            } else {
                let stayed = zip(before, after).filter { $0 == $1 }
                #expect(stayed.count == 2, "seed \(seed): the others keep their slots")
                // Those who never spoke go first; then who spoke longest ago.
                if let gone = before.first(where: { !after.contains($0) }) ?? nil, order.count > 3 {
                    let spoken = order.filter { before.contains($0) }
                    #expect(gone == spoken.first, "seed \(seed)")
                }
            }
            order.removeAll { $0 == speaker }
            order.append(speaker)
        }
        for slot in 3..<6 { meeting.call.check(meeting.viewer, slot: slot, of: meeting.people) }
    }

    @Test func tilesAndScreensGoBeforeSpeakers() throws {
        var meeting = try Meeting(seed: 4, people: 5, videoSlots: 2)
        let pinned = meeting.people[4].camera.id
        meeting.call.apply(
            .subscribe(
                meeting.viewer.session,
                Wishes(tiles: [pinned: Wishes.Tile(width: 640, height: 360, priority: 200)])
            )
        )
        meeting.call.run(for: .milliseconds(300))
        for speaker in [1, 2, 3] {
            meeting.speak(speaker, for: .seconds(2))
            meeting.call.run(for: .milliseconds(500))
            #expect(Set(meeting.shown) == [4, speaker])
        }
    }

    /// Nobody sees his own camera, whoever has the floor.
    @Test func theSpeakerSeesTheOthers() throws {
        let call = try Call(seed: 5)
        var people: [SimulatedPeer] = []
        for number in 0..<3 {
            people.append(
                try call.join("person\(number)") { peer in
                    peer.publish(.opus(bytes: 60)).source.audioLevel = 90
                    _ = peer.publish(SpeakerCamerasTests.camera)
                    peer.addSlots(audio: 1, video: 1)
                }
            )
        }
        call.run(for: .seconds(1))
        var random = SimulatedICEClient.Generator(seed: 5)
        for _ in 0..<100 {
            people[2].mic.source.audioLevel = 0x80 | UInt8.random(in: 20...36, using: &random)
            call.run(for: .milliseconds(20))
        }
        #expect(call.slots(of: people[0])["s1"]?.publication == people[2].camera.id)
        #expect(call.slots(of: people[1])["s1"]?.publication == people[2].camera.id)
        #expect(call.slots(of: people[2])["s1"]?.publication != people[2].camera.id)
        #expect(call.slots(of: people[2])["s1"]?.publication != nil)
    }
}
