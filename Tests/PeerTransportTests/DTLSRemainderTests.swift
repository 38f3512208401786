// An association whose handshake is forgotten, against OpenSSL on the other side.
import RTP
import Testing

@testable import PeerTransport

struct DTLSRemainderTests {
    static let suites = [
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
    ]

    private func connected(_ suite: String = DTLSContext.cipherSuites) throws -> DTLSLink {
        let link = try DTLSFixture.connected(client: DTLSFixture.context(suites: suite))
        try #require(link.isConnected && link.keysAgree)
        return link
    }

    @Test(arguments: suites, [true, false])
    func hearsGoodbye(suite: String, isServer: Bool) throws {
        let link = try connected(suite)
        let (one, other) = isServer ? (link.server, link.client) : (link.client, link.server)
        one.forgetHandshake()
        #expect(one.state == .connected && one.nextDeadline == .distantFuture)
        other.close(send: isServer ? link.fromClient : link.fromServer)
        let sent = link.sentByServer.count + link.sentByClient.count
        link.run()
        #expect(one.state == .closed && one.failure == nil)
        #expect(link.sentByServer.count + link.sentByClient.count == sent + 1, "one answer")
    }

    @Test(arguments: suites, [true, false])
    func saysGoodbye(suite: String, isServer: Bool) throws {
        let link = try connected(suite)
        let (one, other) = isServer ? (link.server, link.client) : (link.client, link.server)
        one.forgetHandshake()
        one.close(send: isServer ? link.fromServer : link.fromClient)
        link.run()
        #expect(one.state == .closed && other.state == .closed && other.failure == nil)
    }

    @Test(arguments: suites)
    func twoOfThemUnderstandEachOther(suite: String) throws {
        let link = try connected(suite)
        link.server.forgetHandshake()
        link.client.forgetHandshake()
        link.client.close(send: link.fromClient)
        link.run()
        #expect(link.server.state == .closed && link.server.failure == nil)
    }

    @Test(arguments: suites)
    func hearsAFatalAlert(suite: String) throws {
        let link = try connected(suite)
        link.server.forgetHandshake()
        link.client.rejectCertificate(send: link.fromClient)
        link.run()
        #expect(link.server.state == .closed && link.server.failure == .alert(42))
    }

    @Test func rejectsACertificateAfterwards() throws {
        let link = try connected()
        link.server.forgetHandshake()
        link.server.rejectCertificate(send: link.fromServer)
        link.run()
        #expect(link.server.state == .failed && link.client.failure == .alert(42))
    }

    /// The server's last flight is lost several times: each repetition of the client's brings it again.
    @Test(arguments: suites, 1...4)
    func repeatsTheLastFlight(suite: String, losses: Int) throws {
        let link = try DTLSFixture.link(client: DTLSFixture.context(suites: suite))
        let server = link.server
        // Datagram 0 of the server is its first flight.
        link.isDropped = { toServer, number in
            if server.state == .connected { server.forgetHandshake() }
            return !toServer && (1...losses).contains(number)
        }
        link.start()
        link.run()
        #expect(link.client.state == .connected && server.state == .connected)
        #expect(link.sentByServer.count == losses + 2)
        #expect(Set(link.sentByServer.dropFirst()).count == 1, "the same records again")
        link.client.close(send: link.fromClient)
        link.run()
        #expect(server.state == .closed)
    }

    @Test func aRecordedFinishedIsAnsweredOnce() throws {
        let link = try connected()
        link.server.forgetHandshake()
        let sent = link.sentByServer.count
        for _ in 0..<50 {
            for datagram in link.sentByClient { link.deliver(datagram, toServer: true) }
        }
        #expect(link.sentByServer.count <= sent + 1)
        #expect(link.server.state == .connected)
    }

    @Test func forgeriesAndGarbageChangeNothing() throws {
        let link = try connected()
        let recorded = link.sentByClient
        link.client.close(send: link.fromClient)
        let goodbye = try #require(link.sentByClient.last)
        link.server.forgetHandshake()
        for i in goodbye.indices {
            var forged = goodbye
            forged[i] ^= 1
            link.deliver(forged, toServer: true)
            try #require(link.server.state == .connected, "byte \(i)")
        }
        for length in 0..<goodbye.count { link.deliver(Array(goodbye[..<length]), toServer: true) }
        var random = SRTPTestRandom(state: 5)
        for n in 0..<3000 {
            var bytes = random.bytes(Int.random(in: 0...1400, using: &random))
            switch n % 4 {
            case 0: break
            case 1: bytes = [22, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 1, UInt8(n & 0xff), 0, 60] + random.bytes(60)
            case 2: bytes = [21, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 1, UInt8(n & 0xff), 0, 26] + random.bytes(26)
            default:
                bytes = recorded[n % recorded.count]
                bytes[Int.random(in: bytes.indices, using: &random)] ^= 0x10
            }
            link.deliver(bytes, toServer: true)
            try #require(link.server.state == .connected, "datagram \(n)")
        }
        link.deliver(goodbye, toServer: true)
        #expect(link.server.state == .closed, "the real one is still heard")
    }

    /// Several records in one datagram, the alert not the first.
    @Test func readsEachRecordOfADatagram() throws {
        let link = try connected()
        link.server.forgetHandshake()
        link.client.close(send: link.fromClient)
        let goodbye = try #require(link.sentByClient.last)
        let other: [UInt8] = [23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 1, 1, 0, 3, 1, 2, 3]
        link.deliver(other + goodbye, toServer: true)
        #expect(link.server.state == .closed)
    }

    @Test func givesBackWhatOpenSSLHeld() throws {
        let server = try DTLSFixture.context()
        let link = try DTLSFixture.connected(server: server)
        #expect(server.liveConnections.pointee == 1)
        link.server.forgetHandshake()
        #expect(server.liveConnections.pointee == 0)
        #expect(!link.server.peerMatches([]) && link.server.exportKeys() == nil)
        #expect(throws: DTLSError.notConnected) { try link.server.makeSRTPContext() }
        link.server.forgetHandshake()
        #expect(link.server.state == .connected)
    }

    @Test func nothingIsForgottenBeforeTheEnd() throws {
        let link = try DTLSFixture.link()
        link.server.forgetHandshake()
        link.start()
        link.server.forgetHandshake()
        link.run()
        #expect(link.isConnected && link.keysAgree)
    }

    /// Where the client takes no profile of ours, the alert is made while the handshake's pipe is being read.
    @Test func refusesWithoutAProfile() throws {
        let link = try DTLSFixture.connected(client: DTLSFixture.context(profiles: "SRTP_AES128_CM_SHA1_32"))
        #expect(link.server.state == .failed && link.server.failure == .noSRTPProfile)
        #expect(link.client.state != .connected)
    }
}
