import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct SourceChangeTests {
    @Test(arguments: UInt64(1)...3)
    func anotherSSRCOfTheSameLayerGoesOnInTheSameSlot(seed: UInt64) throws {
        let call = try Call(seed: seed)
        let (publisher, viewer) = try call.publisherAndViewer()
        call.run(for: .seconds(1))
        for _ in 0..<3 {
            publisher.camera.changeStreams()
            call.run(for: .seconds(1))
            let last = viewer.packets(on: 1).last
            #expect(last.map { call.now - $0.at < .milliseconds(100) } == true, "seed \(seed)")
        }
        let checker = call.check(viewer, slot: 1, of: [publisher])
        #expect(checker.frames > 90, "seed \(seed)")
        #expect(viewer.undecryptable == 0)
    }

    /// As Chromium does it when a screen is shared a second time: same m-section, same SSRCs, no MID and RID any more.
    @Test func aSectionThatIsUsedAgainKeepsTheMeaningOfItsSSRCs() throws {
        let call = try Call(seed: 5)
        let (publisher, viewer) = try call.publisherAndViewer()
        call.run(for: .seconds(1))
        for round in UInt32(1)...12 {
            var media = publisher.media(generation: 2 * round)
            let index = try #require(
                media.sections.firstIndex { $0.section.kind == .video && !$0.section.receive.isEmpty }
            )
            let section = media.sections.remove(at: index)
            call.apply(.configure(publisher.session, media))
            call.run(for: .milliseconds(300))
            publisher.camera.namesLayers = false
            media.generation += 1
            media.sections.append(section)
            media.sections[media.sections.count - 1].publication = PublicationID("tr_again\(round)")
            call.apply(.configure(publisher.session, media))
            call.run(for: .seconds(1))
            let last = viewer.packets(on: 1).last
            #expect(last.map { call.now - $0.at < .milliseconds(100) } == true, "round \(round)")
        }
        #expect(viewer.undecryptable == 0)
    }

    @Test func latePacketsOfAFormerSSRCDoNotBringItBack() throws {
        let call = try Call(seed: 4)
        let link = LinkConditions.lossy(0, jitter: .milliseconds(80), reorders: true)
        let (publisher, viewer) = try call.publisherAndViewer(up: link)
        call.run(for: .seconds(1))
        publisher.camera.changeStreams()
        let changedAt = call.now
        call.run(for: .seconds(2))
        let late = viewer.packets(on: 1).filter { $0.at > changedAt + .seconds(1) }
        #expect(late.count > 100)
        #expect(viewer.undecryptable == 0)
    }

    @Test(arguments: UInt64(1)...3)
    func peopleComeAndGoAndTheOthersGoOn(seed: UInt64) throws {
        let call = try Call(seed: seed, shards: 1)
        let (publisher, viewer) = try call.publisherAndViewer { $0.addSlots(audio: 2, video: 2) }
        call.run(for: .seconds(1))
        for round in 0..<4 {
            let guest = try call.join("guest\(round)") { peer in
                peer.publishBoth()
                peer.addSlots(audio: 2, video: 2)
            }
            call.run(for: .milliseconds(1200))
            #expect(guest.packets(on: 0).count > 20 && guest.packets(on: 2).count > 20, "seed \(seed)")
            let fromGuest = viewer.received.contains { $0.stamp?.source == guest.camera.source.id }
            #expect(fromGuest, "seed \(seed)")
            call.leave(guest)
            call.run(for: .milliseconds(300))
        }
        let shown = viewer.packets(on: 0).filter { $0.stamp?.source == publisher.mic.source.id }.map(
            \.sequence
        )
        #expect(zip(shown, shown.dropFirst()).allSatisfy { $1 == $0 + 1 }, "seed \(seed)")
        #expect(viewer.undecryptable == 0)
        #expect(call.shard.sessionCount == 2)
    }
}
