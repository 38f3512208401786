// Handshakes over a good network: versions, profiles, certificates, keys, media under the keys.
import RTP
import Testing

@testable import PeerTransport

struct DTLSHandshakeTests {
    @Test func bothRolesConnectWithEqualKeys() throws {
        let link = try DTLSFixture.connected()
        #expect(link.isConnected)
        #expect(link.keysAgree)
        #expect(link.client.negotiatedProfile == .aeadAES128GCM)
        #expect(link.sentByClient.count == 2 && link.sentByServer.count == 2, "one datagram per flight")
        #expect(link.client.nextDeadline == .distantFuture && link.server.nextDeadline == .distantFuture)
        #expect(link.client.failure == nil && link.server.failure == nil)
    }

    @Test func onlyVersion12IsSpoken() throws {
        let link = try DTLSFixture.connected()
        // ServerHello: record header 13, handshake header 12, then the version.
        #expect(Array(link.sentByServer[0][25..<27]) == [0xfe, 0xfd])
    }

    @Test func mediaFlowsUnderTheKeysBothWays() throws {
        let link = try DTLSFixture.connected()
        let near = try link.client.makeSRTPContext()
        let far = try link.server.makeSRTPContext()
        let packet = SRTPTestPacket(sequence: 7, ssrc: 3, payload: [9, 8, 7])
        let up = packet.protected(by: near.sender, ssrc: 3, index: 7)
        #expect(far.unprotected(rtp: up).bytes == packet.bytes)
        let down = packet.protected(by: far.sender, ssrc: 3, index: 7)
        #expect(near.unprotected(rtp: down).bytes == packet.bytes)
        #expect(up != down)
        let report = srtpBytes("80c9000100000003")
        #expect(near.unprotected(rtcp: far.protected(rtcp: report)).bytes == report)
    }

    /// Browsers list CM first; where we are the server our order decides.
    @Test(arguments: [
        ("SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM", SRTPProfile.aeadAES128GCM),
        ("SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM", .aeadAES256GCM),
        ("SRTP_AES128_CM_SHA1_80", .aes128CMSHA1_80),
        ("SRTP_AES128_CM_SHA1_32:SRTP_AES128_CM_SHA1_80", .aes128CMSHA1_80),
    ])
    func serverChoosesTheProfile(offered: String, chosen: SRTPProfile) throws {
        let link = try DTLSFixture.connected(client: DTLSFixture.context(profiles: offered))
        #expect(link.isConnected && link.keysAgree)
        #expect(link.server.negotiatedProfile == chosen)
        #expect(try link.server.makeSRTPContext().profile == chosen)
    }

    @Test func noCommonProfileFails() throws {
        let link = try DTLSFixture.connected(client: DTLSFixture.context(profiles: "SRTP_AES128_CM_SHA1_32"))
        #expect(link.server.state == .failed)
        #expect(link.client.state != .connected)
        #expect(link.server.failure == .noSRTPProfile)
        #expect(throws: DTLSError.notConnected) { try link.server.makeSRTPContext() }
    }

    @Test(arguments: [
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
    ])
    func everySuiteConnectsAndRejects(suite: String) throws {
        let link = try DTLSFixture.connected(client: DTLSFixture.context(suites: suite))
        try #require(link.isConnected && link.keysAgree)
        link.server.rejectCertificate(send: link.fromServer)
        link.run()
        #expect(link.client.failure == .alert(42), "the alert must decrypt under \(suite)")
    }

    @Test func suitesWithoutForwardSecrecyAreRefused() throws {
        let link = try DTLSFixture.connected(
            client: DTLSFixture.context(suites: "AES128-GCM-SHA256:AES128-SHA")
        )
        #expect(link.server.state == .failed)
        #expect(link.client.failure == .alert(40))
    }

    /// GStreamer and others bring RSA certificates, as client and as server.
    @Test func certificatesOfKindRSA() throws {
        let rsa = try DTLSFixture.rsaCertificate()
        let asClient = try DTLSFixture.connected(client: DTLSFixture.context(rsa))
        #expect(asClient.isConnected && asClient.keysAgree)
        #expect(asClient.server.peerMatches([rsa.fingerprint]))
        let asServer = try DTLSFixture.connected(server: DTLSFixture.context(rsa))
        #expect(asServer.isConnected && asServer.keysAgree)
        #expect(asServer.client.peerMatches([rsa.fingerprint]))
    }

    @Test func datagramsStayBelowTheLinkMTU() throws {
        let rsa = try DTLSFixture.rsaCertificate()
        let link = try DTLSFixture.connected(
            client: DTLSFixture.context(rsa, linkMTU: 400),
            server: DTLSFixture.context(rsa, linkMTU: 400)
        )
        #expect(link.isConnected && link.keysAgree)
        let sizes = (link.sentByClient + link.sentByServer).map(\.count)
        #expect(sizes.allSatisfy { $0 <= 400 - 48 }, "\(sizes)")
        #expect(sizes.count > 6)
    }

    @Test func oneContextServesManyEndpoints() throws {
        let server = try DTLSFixture.context()
        let client = try DTLSFixture.context()
        var keys: Set<[UInt8]> = []
        for _ in 0..<20 {
            let link = try DTLSFixture.connected(client: client, server: server)
            try #require(link.keysAgree)
            keys.insert(link.client.exportKeys()?.clientKey ?? [])
        }
        #expect(keys.count == 20, "no resumption, new keys each time")
    }

    /// OpenSSL must let go of every connection, whatever it went through.
    @Test func endpointsAreFreed() throws {
        let server = try DTLSFixture.context()
        let client = try DTLSFixture.context()
        for n in 0..<1000 {
            let link = try DTLSFixture.link(client: client, server: server)
            switch n % 20 {
            case 0:
                link.start()
                link.run()
                try #require(link.isConnected)
            case 1:
                link.start()
                link.run(for: .milliseconds(15))
            case 2:
                link.start()
            default: break
            }
            try #require(server.liveConnections.pointee == 1 && client.liveConnections.pointee == 1)
        }
        #expect(server.liveConnections.pointee == 0)
        #expect(client.liveConnections.pointee == 0)
    }
}
