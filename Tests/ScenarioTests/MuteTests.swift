import RTP
import Seam
import Simulation
import Testing

@Suite struct MuteTests {
    @Test(arguments: UInt64(1)...3)
    func mutedMediaIsNotForwardedAndGoesOnWithoutAGap(seed: UInt64) throws {
        let call = try Call(seed: seed)
        let (publisher, viewer) = try call.publisherAndViewer()
        call.run(for: .seconds(1))
        for publication in publisher.publishers { call.apply(.mute(publication.id, true)) }
        call.run(for: .milliseconds(50))
        let before = viewer.received.count
        call.run(for: .seconds(2))
        #expect(viewer.received.count == before, "seed \(seed)")
        #expect(call.slots(of: viewer)["s0"]?.reason == .muted)
        #expect(call.slots(of: viewer)["s1"]?.reason == .muted)
        for publication in publisher.publishers { call.apply(.mute(publication.id, false)) }
        call.run(for: .seconds(1))
        let after = viewer.packets(on: 1).filter { $0.at > call.now - .seconds(1) }
        #expect(after.first?.stamp?.isKey == true && after.first?.stamp?.part == 0, "seed \(seed)")
        // The pause is a pause in the timestamps too.
        let audio = viewer.packets(on: 0).filter { $0.at > call.now - .milliseconds(900) }
        #expect(audio.count > 40, "seed \(seed)")
        let numbers = viewer.packets(on: 1).map(\.sequence).sorted()
        #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $1 - $0 <= 1 }, "seed \(seed)")
    }

    @Test func aHiddenTileIsNotSent() throws {
        let call = try Call(seed: 9)
        let (publisher, viewer) = try call.publisherAndViewer()
        call.run(for: .seconds(1))
        call.view(publisher.camera, height: 360, visible: false, by: viewer)
        call.run(for: .milliseconds(50))
        let before = viewer.packets(on: 1).count
        call.run(for: .seconds(1))
        #expect(viewer.packets(on: 1).count == before)
        #expect(
            call.slots(of: viewer)["s1"]?.reason == .hidden && call.slots(of: viewer)["s1"]?.paused == true
        )
        call.view(publisher.camera, height: 360, by: viewer)
        call.run(for: .seconds(1))
        #expect(viewer.packets(on: 1).count > before)
        #expect(call.slots(of: viewer)["s1"]?.paused == false)
        call.check(viewer, slot: 1, of: [publisher])
    }
}
