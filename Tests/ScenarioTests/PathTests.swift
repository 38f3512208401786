import PeerTransport
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct PathTests {
    private let elsewhere = NetworkPath(remote: IPAddress(v4: 0x0b00_0001), remotePort: 50_000)

    @Test(arguments: [true, false])
    func theCallGoesOnFromAnotherAddress(restartsICE: Bool) throws {
        let call = try Call(seed: 3)
        let (publisher, viewer) = try call.publisherAndViewer()
        call.run(for: .seconds(1))
        viewer.move(to: elsewhere)
        if restartsICE { call.restartICE(of: viewer) }
        call.run(for: .seconds(2))
        call.keepsMessages = true
        call.run(for: .milliseconds(200))
        // All that is for the viewer goes there.
        #expect(!call.messages.isEmpty)
        #expect(call.messages.filter { $0.path != publisher.path }.allSatisfy { $0.path == elsewhere })
        call.check(viewer, slot: 0, of: [publisher])
        let checker = call.check(viewer, slot: 1, of: [publisher])
        #expect(checker.gaps == 0)
        #expect(viewer.undecryptable == 0)
    }

    @Test func aPublisherThatMovesGoesOnAtOnce() throws {
        let call = try Call(seed: 4)
        let (publisher, viewer) = try call.publisherAndViewer()
        call.run(for: .seconds(1))
        publisher.move(to: elsewhere)
        call.run(for: .seconds(2))
        let last = viewer.packets(on: 0).last
        #expect(last.map { call.now - $0.at < .milliseconds(50) } == true)
        call.checkAccounts()
    }

    @Test func aFiveTupleThatIsUsedAgainFindsTheNewSession() throws {
        let call = try Call(seed: 5)
        let (publisher, viewer) = try call.publisherAndViewer()
        call.run(for: .seconds(1))
        // The old page is gone without a word; the new one has the same port.
        viewer.checks = false
        let old = viewer.path
        viewer.move(to: elsewhere, keepsOldPath: false)
        let again = try call.join("again") { peer in
            peer.addSlots(audio: 1, video: 1)
            peer.path = old
        }
        #expect(call.run(atMost: .seconds(2)) { again.isConnected })
        call.run(for: .seconds(1))
        call.check(again, slot: 1, of: [publisher])
        #expect(again.packets(on: 0).count > 30)
    }

    @Test func aCheckForAnotherWorkerIsHandedOver() throws {
        let call = try Call(seed: 6)
        let (_, viewer) = try call.publisherAndViewer()
        var random = SimulatedICEClient.Generator(seed: 6)
        let mine = ICECredentials.generate(worker: 63, using: &random)
        let theirs = ICECredentials.generate(worker: 2, using: &random)
        var client = try #require(SimulatedICEClient(local: mine, remote: theirs, seed: 6))
        let check = client.check()
        #expect(call.receive(check, from: elsewhere) == .belongsTo(worker: 2))
        #expect(call.receive(check, from: viewer.path) == .belongsTo(worker: 2))
        call.checkAccounts()
    }

    @Test func withoutConsentNothingIsSent() throws {
        let call = try Call(seed: 7)
        let (publisher, viewer) = try call.publisherAndViewer()
        call.run(for: .seconds(1))
        viewer.checks = false
        viewer.sendsNACK = false
        viewer.isSilent = true
        call.run(for: .seconds(35))
        let count = viewer.mediaCount
        call.run(for: .seconds(5))
        #expect(viewer.mediaCount == count)
        viewer.isSilent = false
        viewer.checks = true
        call.restartICE(of: viewer)
        call.run(for: .seconds(2))
        #expect(viewer.mediaCount > count + 50)
        #expect(viewer.undecryptable == 0)
        // However long it was: a receiver could not tell how many rounds the numbers made meanwhile.
        let numbers = viewer.packets(on: 0).map(\.sequence)
        #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $1 == $0 + 1 })
        let video = call.check(viewer, slot: 1, of: [publisher])
        #expect(video.gaps <= 1)
    }

    @Test func closeNotifyEndsTheSession() throws {
        let call = try Call(seed: 8, shards: 1)
        let (publisher, viewer) = try call.publisherAndViewer()
        call.run(for: .seconds(1))
        publisher.close(at: call.now)
        call.run(for: .milliseconds(200))
        #expect(call.shard.sessionCount == 1)
        let closed = call.events.contains {
            if case .sessionClosed(let id, .peerClosed) = $0.event { return id == publisher.session }
            return false
        }
        #expect(closed)
        let count = viewer.mediaCount
        call.run(for: .seconds(1))
        #expect(viewer.mediaCount == count)
        #expect(call.slots(of: viewer)["s0"]?.publication == nil)
    }

    @Test func aRestartThatCannotBeIsRefusedAndTheCallGoesOn() throws {
        let call = try Call(seed: 9)
        let (publisher, viewer) = try call.publisherAndViewer()
        call.run(for: .seconds(1))
        var other = viewer.remoteTransport
        other.fingerprints = [Fingerprint(algorithm: "sha-256", digest: [UInt8](repeating: 7, count: 32))]
        call.apply(.restartICE(viewer.session, other))
        let refused = call.events.contains {
            if case .sessionRefused(let id, .unusable) = $0.event { return id == viewer.session }
            return false
        }
        #expect(refused)
        let count = viewer.mediaCount
        call.run(for: .seconds(1))
        #expect(viewer.mediaCount > count + 50)
        call.check(viewer, slot: 1, of: [publisher])
    }
}
