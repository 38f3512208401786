// Handshakes over bad networks, on virtual time: the retransmission is driven by instants alone.
import RTP
import Testing

@testable import PeerTransport

struct DTLSLossTests {
    @Test(arguments: 1...60 as ClosedRange<UInt64>)
    func connectsThroughLossReorderingAndDuplication(seed: UInt64) throws {
        let small = seed % 3 == 0 ? 300 : Limits.DTLS.linkMTU
        let link = try DTLSFixture.link(
            client: DTLSFixture.context(linkMTU: small),
            server: DTLSFixture.context(linkMTU: small),
            seed: seed
        )
        link.weather = .init(loss: 25, duplication: 20, jitter: .milliseconds(seed % 2 == 0 ? 80 : 0))
        link.start()
        link.run()
        #expect(link.isConnected, "seed \(seed): \(link.client.state), \(link.server.state)")
        #expect(link.keysAgree, "seed \(seed)")
    }

    /// Each single datagram of a handshake lost once, the very last one included.
    @Test(arguments: [true, false], [0, 1])
    func anySingleLossIsRepaired(toServer: Bool, number: Int) throws {
        let link = try DTLSFixture.link()
        link.isDropped = { $0 == toServer && $1 == number }
        link.start()
        link.run()
        #expect(link.isConnected && link.keysAgree)
        #expect(
            link.now - Instant(microseconds: 1_000_000) < .milliseconds(400),
            "one first timeout, not more"
        )
    }

    /// As above where OpenSSL's clock cannot be moved: the stored flight goes out again as it was.
    @Test(arguments: [(true, 0), (true, 1), (false, 0)])
    func storedFlightsRepairWhereOpenSSLKeepsTheTime(toServer: Bool, number: Int) throws {
        let link = try DTLSFixture.link(openSSLKeepsTime: true)
        link.isDropped = { $0 == toServer && $1 == number }
        link.start()
        link.run()
        #expect(link.isConnected && link.keysAgree)
    }

    @Test func timeoutsDoubleUpToTheirCap() throws {
        let link = try DTLSFixture.link()
        link.isDropped = { _, _ in true }
        let start = link.now
        link.start()
        var waits: [Int64] = []
        var last = start
        while link.client.state == .handshaking, waits.count < 40 {
            let sent = link.sentByClient.count
            let deadline = link.client.nextDeadline
            link.client.advance(to: deadline - .microseconds(1), send: link.fromClient)
            try #require(link.sentByClient.count == sent, "too early")
            link.client.advance(to: deadline, send: link.fromClient)
            guard link.sentByClient.count > sent else { break }
            waits.append((deadline - last).milliseconds)
            last = deadline
        }
        #expect(waits == [150, 300, 600, 1200, 2400, 3000, 3000, 3000, 3000, 3000, 3000, 3000])
        #expect(link.client.nextDeadline == start + .seconds(30))
        #expect(link.client.state == .handshaking)
        link.client.advance(to: start + .seconds(30), send: link.fromClient)
        #expect(link.client.state == .failed && link.client.failure == .timeout)
        #expect(link.client.nextDeadline == .distantFuture)
    }

    @Test func serverGivesUpOnASilentClient() throws {
        let link = try DTLSFixture.link()
        link.server.start(at: link.now, send: link.fromServer)
        #expect(link.server.nextDeadline == link.now + .seconds(30))
        link.server.advance(to: link.now + .seconds(29), send: link.fromServer)
        #expect(link.server.state == .handshaking)
        link.server.advance(to: link.now + .seconds(30), send: link.fromServer)
        #expect(link.server.state == .failed && link.server.failure == .timeout)
        #expect(link.sentByServer.isEmpty, "a server never speaks first")
    }

    @Test func repeatedFlightsHaveNewRecordNumbers() throws {
        let link = try DTLSFixture.link()
        link.isDropped = { _, _ in true }
        link.start()
        link.client.advance(to: link.client.nextDeadline, send: link.fromClient)
        try #require(link.sentByClient.count == 2)
        #expect(link.sentByClient[0] != link.sentByClient[1], "a replay window would drop the same record")
        #expect(link.sentByClient[0].dropFirst(13) == link.sentByClient[1].dropFirst(13))
    }

    /// A client that lost our last flight repeats its own: OpenSSL answers although we are connected.
    @Test func lastFlightIsRepeatedForTheClient() throws {
        let link = try DTLSFixture.link()
        link.isDropped = { !$0 && $1 > 0 && $1 < 4 }
        link.start()
        link.run()
        #expect(link.isConnected && link.keysAgree)
        #expect(link.sentByServer.count > 4)
    }
}
