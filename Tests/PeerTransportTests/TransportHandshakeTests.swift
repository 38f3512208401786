// From the first check to keys: over clean, lossy and hostile pipes.
import PeerTransport
import RTP
import Testing

@Suite struct TransportHandshakeTests {
    @Test func connectsAndReportsInOrder() throws {
        let pair = try TransportPair.connected()
        for end in [pair.server, pair.client] {
            let path = end.path(1)
            #expect(end.changes == [.pathValidated(path), .pathSelected(path), .connected])
            #expect(end.transport.canSend)
            #expect(end.transport.selectedPath == path)
            #expect(end.transport.srtp?.profile == .aeadAES128GCM)
        }
        // A client speaks on the first validated path at once: the whole handshake takes two round trips.
        #expect(pair.now <= Instant(microseconds: 25_000))
    }

    @Test func connectsOverALossyAndReorderingPipe() throws {
        for seed in 1...25 as ClosedRange<UInt64> {
            let pair = try TransportPair(seed: seed, link: .init(loss: 0.25, delay: 1_000...80_000))
            pair.run(until: TransportFixture.seconds(29), stop: { pair.isConnected })
            #expect(pair.isConnected, "seed \(seed)")
            guard pair.isConnected else { continue }
            let packet = try TransportPair.rtp(from: pair.client, sequence: 1)
            let (received, clear) = pair.server.receive(packet, on: pair.server.path(1), at: pair.now)
            #expect(received == .rtp(length: 52), "seed \(seed)")
            #expect(clear[12..<52].allSatisfy { $0 == 0x55 }, "seed \(seed)")
        }
    }

    /// The server is connected when it sends its last flight; when that is lost the client repeats its own.
    @Test func aLostLastFlightIsSentAgain() throws {
        let pair = try TransportPair()
        var lost = 0
        pair.filter = { [server = pair.server] datagram, toServer in
            guard !toServer, server.transport.srtp != nil, datagram.isDTLS, lost < 2 else { return true }
            lost += 1
            return false
        }
        pair.run(until: TransportFixture.seconds(10), stop: { pair.isConnected })
        #expect(lost == 2)
        #expect(pair.isConnected)
        #expect(pair.server.changes.filter { $0 == .connected }.count == 1)
    }

    @Test func noDTLSBeforeACheck() throws {
        let pair = try TransportPair()
        pair.server.isChecked = false
        pair.client.transport.advance(to: TransportFixture.seconds(1), into: pair.client.probe.outbox)
        #expect(pair.client.probe.take().isEmpty)
        pair.run(until: TransportFixture.seconds(3))
        let hello = try #require(pair.client.sent.first { $0.isDTLS })
        #expect(pair.server.received.contains(.dropped(.dtlsBeforeCheck)))
        #expect(pair.server.sent.isEmpty)
        // Nor to a path that has none, once another has.
        pair.server.isChecked = true
        _ = pair.server.receive(pair.server.ice.check(), on: pair.server.path(1), at: pair.now)
        pair.server.probe.take().forEach { #expect($0.isSTUN) }
        let (spoofed, _) = pair.server.receive(hello.bytes, on: pair.server.path(66), at: pair.now)
        #expect(spoofed == .dropped(.dtlsBeforeCheck))
        #expect(pair.server.probe.take().isEmpty)
    }

    @Test func refusesAForeignCertificate() throws {
        let foreign = try DTLSCertificate.generate().fingerprint
        for fingerprints in [[foreign], []] {
            let pair = try TransportPair(clientFingerprints: fingerprints)
            pair.run(until: TransportFixture.seconds(5))
            #expect(pair.server.changes.last == .closed(.fingerprintMismatch))
            #expect(!pair.server.changes.contains(.connected))
            #expect(pair.server.transport.srtp == nil)
            #expect(!pair.server.transport.canSend)
            // The alert tells the other side.
            let last = try #require(pair.client.changes.last)
            #expect(last == .closed(.handshakeFailed) || last == .closed(.peerClosed))
        }
    }

    @Test func givesUpAHandshakeThatNobodyAnswers() throws {
        let pair = try TransportPair()
        pair.filter = { _, _ in false }
        pair.run(until: TransportFixture.seconds(40))
        #expect(pair.server.changes.last == .closed(.handshakeFailed))
        #expect(pair.client.changes.last == .closed(.handshakeFailed))
        #expect(pair.client.transport.handshakeFailure == .timeout)
        #expect(pair.client.transport.nextDeadline == .distantFuture)
    }

    @Test func closingTellsThePeerAndAnswersNoMore() throws {
        let pair = try TransportPair.connected()
        pair.client.transport.close(at: pair.now, into: pair.client.probe.outbox)
        pair.collect(from: pair.client)
        pair.run(until: pair.now + .milliseconds(100))
        #expect(pair.server.changes.last == .closed(.peerClosed))
        #expect(!pair.client.changes.contains(.closed(.peerClosed)))
        for end in [pair.server, pair.client] {
            _ = end.probe.take()
            #expect(!end.transport.canSend)
            #expect(end.transport.srtp == nil)
            let (received, _) = end.receive(end.ice.check(), on: end.path(1), at: pair.now)
            #expect(received == .dropped(.consentExpired))
            #expect(end.probe.take().isEmpty)
            #expect(end.transport.nextDeadline == .distantFuture)
            #expect(
                !end.transport.restartICE(
                    local: TransportFixture.server,
                    remote: .init(ice: TransportFixture.client, fingerprints: [], setup: .active),
                    at: pair.now
                )
            )
        }
    }

    @Test func garbageNeverCrashesNorIsAmplified() throws {
        let seed: UInt64 = 0xbad
        let pair = try TransportPair.connected()
        let end = pair.server
        let hello = try #require(pair.client.sent.first { $0.isDTLS }).bytes
        let check = end.ice.check()
        var generator = SimulatedICEClient.Generator(seed: seed)
        var bytesIn = 0
        var bytesOut = 0
        var dropped = 0
        for n in 0..<100_000 {
            var datagram: [UInt8]
            switch generator.next() % 4 {
            case 0:
                datagram = (0..<Int(generator.next() % 120)).map { _ in
                    UInt8(truncatingIfNeeded: generator.next())
                }
            case 1: datagram = check
            case 2: datagram = Array(hello.prefix(80))
            default:
                datagram =
                    [0x80, UInt8(truncatingIfNeeded: generator.next())] + [UInt8](repeating: 7, count: 60)
            }
            if !datagram.isEmpty {
                for _ in 0...(generator.next() % 3) {
                    let index = Int(generator.next() % UInt64(datagram.count))
                    datagram[index] = UInt8(truncatingIfNeeded: generator.next())
                }
            }
            let path = end.path(generator.next() & 1 == 0 ? 1 : 50 + Int(generator.next() % 20))
            bytesIn += datagram.count
            let (received, _) = end.receive(datagram, on: path, at: pair.now + .microseconds(Int64(n)))
            if case .dropped = received { dropped += 1 }
            end.received = []
            bytesOut += end.probe.take().reduce(0) { $0 + $1.bytes.count }
        }
        #expect(bytesOut < bytesIn / 2, "seed \(seed): \(bytesOut) of \(bytesIn)")
        #expect(dropped > 60_000, "seed \(seed)")
        end.poll()
        #expect(!end.changes.contains { if case .closed = $0 { true } else { false } }, "seed \(seed)")
        let packet = try TransportPair.rtp(from: pair.client, sequence: 9)
        #expect(end.receive(packet, on: end.path(1), at: pair.now + .seconds(1)).0 == .rtp(length: 52))
    }
}
