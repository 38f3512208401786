// The ends of an association, and what must not end it.
import RTP
import Testing

@testable import PeerTransport

struct DTLSAlertTests {
    @Test(arguments: [true, false])
    func goodbyeClosesBothSides(byClient: Bool) throws {
        let link = try DTLSFixture.connected()
        let (one, other) = byClient ? (link.client, link.server) : (link.server, link.client)
        one.close(send: byClient ? link.fromClient : link.fromServer)
        #expect(one.state == .closed && other.state == .connected)
        link.run()
        #expect(other.state == .closed && other.failure == nil)
        let sent = (link.sentByClient.count, link.sentByServer.count)
        link.client.close(send: link.fromClient)
        link.server.close(send: link.fromServer)
        #expect(sent == (link.sentByClient.count, link.sentByServer.count), "nothing after the end")
    }

    @Test func closeBeforeTheHandshakeIsSilent() throws {
        let link = try DTLSFixture.link()
        link.server.start(at: link.now, send: link.fromServer)
        link.server.close(send: link.fromServer)
        #expect(link.server.state == .closed && link.sentByServer.isEmpty)
        #expect(link.server.nextDeadline == .distantFuture)
    }

    @Test(arguments: [true, false], [SRTPProfile.aeadAES128GCM])
    func wrongFingerprintIsTold(byServer: Bool, profile: SRTPProfile) throws {
        let link = try DTLSFixture.connected()
        let (judge, judged) = byServer ? (link.server, link.client) : (link.client, link.server)
        let stranger = try DTLSCertificate.generate()
        try #require(!judge.peerMatches([stranger.fingerprint]))
        judge.rejectCertificate(send: byServer ? link.fromServer : link.fromClient)
        #expect(judge.state == .failed && judge.failure == .certificateRejected)
        #expect(throws: DTLSError.notConnected) { try judge.makeSRTPContext() }
        let alert = try #require((byServer ? link.sentByServer : link.sentByClient).last)
        #expect(DTLSFixture.records(alert).map(\.type) == [21])
        #expect(DTLSFixture.records(alert).map(\.epoch) == [1])
        link.run()
        #expect(judged.state == .closed && judged.failure == .alert(42))
    }

    /// The rejected certificate's alert after a repeated last flight: its record number must be new.
    @Test func alertAfterRetransmissions() throws {
        let link = try DTLSFixture.link()
        link.isDropped = { !$0 && $1 > 0 && $1 < 5 }
        link.start()
        link.run()
        try #require(link.isConnected)
        link.server.rejectCertificate(send: link.fromServer)
        link.run()
        #expect(link.client.failure == .alert(42))
    }

    @Test func rejectionBeforeTheHandshakeIsSilent() throws {
        let link = try DTLSFixture.link()
        link.server.start(at: link.now, send: link.fromServer)
        link.server.rejectCertificate(send: link.fromServer)
        #expect(link.server.state == .failed && link.sentByServer.isEmpty)
    }

    @Test func garbageAndForgeriesNeverEndAnAssociation() throws {
        let link = try DTLSFixture.connected()
        var random = SRTPTestRandom(state: 3)
        let recorded = link.sentByClient
        let before = link.server.exportKeys()
        for n in 0..<3000 {
            var bytes: [UInt8]
            switch n % 6 {
            case 0: bytes = random.bytes(Int.random(in: 0...1400, using: &random))
            case 1: bytes = [UInt8.random(in: 20...63, using: &random)] + random.bytes(60)
            case 2:  // a plain fatal alert of epoch 0
                bytes = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, UInt8(n & 0xff), 0, 2, 2, 40]
            case 3:  // an alert of epoch 1 that cannot be authentic
                bytes = [21, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 1, UInt8(n & 0xff), 0, 26] + random.bytes(26)
            case 4:  // old records, whole or damaged
                bytes = recorded[n % recorded.count]
                if n % 4 == 0 { bytes[Int.random(in: bytes.indices, using: &random)] ^= 0x10 }
            default:  // a new hello of nobody
                bytes = recorded[0]
                bytes[10] = UInt8(n & 0xff)
            }
            link.deliver(bytes, toServer: true)
            try #require(link.server.state == .connected, "datagram \(n)")
        }
        #expect(link.server.exportKeys() == before)
        link.client.close(send: link.fromClient)
        link.run()
        #expect(link.server.state == .closed, "the real peer is still heard")
    }

    @Test func garbageBeforeAndDuringTheHandshakeDoesNotCrash() throws {
        for seed in 0..<60 as Range<UInt64> {
            var random = SRTPTestRandom(state: seed)
            let link = try DTLSFixture.link(seed: seed)
            link.server.start(at: link.now, send: link.fromServer)
            for _ in 0..<5 {
                let kind = UInt8.random(in: 20...63, using: &random)
                let length = Int.random(in: 0...100, using: &random)
                let header = [kind, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, UInt8(length)]
                link.deliver(header + random.bytes(length), toServer: true)
                link.deliver(random.bytes(length), toServer: true)
            }
            link.start()
            link.run()
            #expect(link.server.state != .handshaking, "seed \(seed): ended one way or the other")
        }
    }

    @Test func nothingIsSentToGarbage() throws {
        let link = try DTLSFixture.connected()
        let sent = link.sentByServer.count
        for _ in 0..<50 { link.deliver(link.sentByClient[0], toServer: true) }
        for _ in 0..<50 { link.deliver(link.sentByClient[1], toServer: true) }
        #expect(link.sentByServer.count == sent, "replays must not be answered")
    }
}
