// One peer's transport after and around the handshake: demux, media, replies, consent, restart, connections.
import PeerTransport
import RTP
import Testing

private typealias Check = SimulatedICEClient.Check

@Suite struct TransportTests {
    @Test func tellsDatagramsApartByTheirFirstByte() throws {
        let pair = try TransportPair.connected()
        let path = pair.server.path(1)
        for first in 0...255 as ClosedRange<UInt8> {
            let datagram = [first] + [UInt8](repeating: 0, count: 127)
            let expected: Received =
                switch first {
                case 0...3: .dropped(.stunMalformed)
                case 20...63: .consumed
                case 128...191: .dropped(.srtpAuthentication)
                default: .dropped(.notForMedia)
                }
            #expect(
                pair.server.receive(datagram, on: path, at: pair.now).0 == expected,
                "first byte \(first)"
            )
        }
        #expect(pair.server.receive([], on: path, at: pair.now).0 == .dropped(.malformed))
        #expect(pair.server.receive([0x80, 96], on: path, at: pair.now).0 == .dropped(.rtpMalformed))
        #expect(pair.server.receive([22, 254, 253], on: path, at: pair.now).0 == .dropped(.dtlsMalformed))
    }

    @Test func carriesMedia() throws {
        let pair = try TransportPair.connected()
        let end = pair.server
        let packet = try TransportPair.rtp(from: pair.client, sequence: 1)
        // Only on validated paths, but there on any.
        #expect(end.receive(packet, on: end.path(7), at: pair.now).0 == .dropped(.unknownPath))
        var corrupted = packet
        corrupted[20] ^= 1
        #expect(end.receive(corrupted, on: end.path(1), at: pair.now).0 == .dropped(.srtpAuthentication))
        #expect(end.receive(packet, on: end.path(1), at: pair.now).0 == .rtp(length: 52))
        #expect(end.receive(packet, on: end.path(1), at: pair.now).0 == .dropped(.srtpReplay))
        _ = end.receive(end.ice.check(), on: end.path(7), at: pair.now)
        let next = try TransportPair.rtp(from: pair.client, sequence: 2)
        #expect(end.receive(next, on: end.path(7), at: pair.now).0 == .rtp(length: 52))
        #expect(end.transport.selectedPath == end.path(1))
    }

    @Test func dropsMediaBeforeKeys() throws {
        let pair = try TransportPair()
        let packet = [0x80, 111] + [UInt8](repeating: 0, count: 60)
        #expect(pair.server.receive(packet, on: pair.server.path(1), at: .zero).0 == .dropped(.unknownPath))
        _ = pair.server.receive(pair.server.ice.check(), on: pair.server.path(1), at: .zero)
        #expect(
            pair.server.receive(packet, on: pair.server.path(1), at: .zero).0 == .dropped(.srtpBeforeKeys)
        )
    }

    @Test func sendsRTCP() throws {
        let pair = try TransportPair.connected()
        let report: [UInt8] = [0x80, 201, 0, 1, 0, 0, 0, 9]
        func send(_ bytes: [UInt8]) {
            bytes.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                pair.client.transport.sendRTCP(
                    base,
                    length: buffer.count,
                    at: pair.now,
                    into: pair.client.probe.outbox
                )
            }
        }
        send(report)
        let sent = pair.client.probe.take()
        #expect(sent.count == 1 && sent[0].path == pair.client.path(1))
        let (received, clear) = pair.server.receive(sent[0].bytes, on: pair.server.path(1), at: pair.now)
        #expect(received == .rtcp(length: 8))
        #expect(Array(clear.prefix(8)) == report)
        #expect(
            pair.server.receive(sent[0].bytes, on: pair.server.path(1), at: pair.now).0
                == .dropped(.srtpReplay)
        )
        // What cannot be sent is not.
        send([0x80])
        send([UInt8](repeating: 0x80, count: 1500))
        #expect(pair.client.probe.take().isEmpty)
    }

    @Test func answersWithTheAddressItSaw() throws {
        let pair = try TransportPair()
        let end = pair.server
        for path in [
            TransportFixture.path(3), TransportFixture.pathIPv6(4), TransportFixture.path(5, connection: 2),
        ] {
            _ = end.receive(end.ice.check(), on: path, at: pair.now)
            let sent = end.probe.take().filter(\.isSTUN)
            #expect(sent.count == 1 && sent[0].path == path)
            #expect(sent[0].bytes.count == (path.remote.isIPv6 ? 76 : 64))
            #expect(end.ice.receive(sent[0].bytes) == .success(mapped: path.remote, port: path.remotePort))
        }
    }

    @Test func explainsRefusals() throws {
        var cases: [(Check, code: Int, isSigned: Bool)] = []
        var check = Check()
        check.role = .controlled
        cases.append((check, 487, true))
        check = Check()
        check.extra = [(0x0077, []), (0x0078, [1, 2, 3, 4, 5])]
        cases.append((check, 420, true))
        check = Check()
        check.priority = nil
        cases.append((check, 400, true))
        check = Check()
        check.hasIntegrity = false
        cases.append((check, 400, false))
        for (check, code, isSigned) in cases {
            let end = try TransportPair().server
            let request = end.ice.check(check)
            let (received, _) = end.receive(request, on: end.path(1), at: .zero)
            #expect(received == .dropped(isSigned ? .stunUnsupported : .stunUnauthenticated))
            let reply = try #require(end.probe.take().first)
            #expect(reply.bytes.count <= request.count)
            if code == 420 {
                // RFC 8489 §14.10: both types, in order.
                #expect(Array(reply.bytes[28..<36]) == [0, 0x0a, 0, 4, 0, 0x77, 0, 0x78])
            }
            #expect(end.ice.receive(reply.bytes) == .failure(code: code, isSigned: isSigned))
        }
    }

    /// No spoofed request makes us send more than it cost.
    @Test func repliesAreNeverLarger() throws {
        for seed in 1...2000 as ClosedRange<UInt64> {
            var generator = SimulatedICEClient.Generator(seed: seed)
            let integrity = try #require(STUNIntegrity())
            let transport = try Self.lone(integrity: integrity)
            var ice = try #require(
                SimulatedICEClient(
                    local: TransportFixture.client,
                    remote: TransportFixture.server,
                    seed: seed
                )
            )
            if generator.next() % 4 == 0 { ice.remote.password = "wrong" }
            if generator.next() % 6 == 0 { ice.remote.usernameFragment = "x" }
            var check = Check()
            check.role = [.controlling, .controlled, .unsaid][Int(generator.next() % 3)]
            check.hasUsername = generator.next() % 4 > 0
            check.hasIntegrity = generator.next() % 4 > 0
            if generator.next() % 3 == 0 { check.priority = nil }
            if generator.next() % 2 == 0 {
                check.extra = (0..<Int(generator.next() % 200)).map { (UInt16(0x60 + $0), []) }
            }
            var request = ice.check(check)
            let probe = OutboxProbe()
            let path = generator.next() & 1 == 0 ? TransportFixture.path(1) : TransportFixture.pathIPv6(1)
            _ = request.withUnsafeMutableBufferPointer {
                transport.receive($0, on: path, at: .zero, into: probe.outbox)
            }
            for reply in probe.take() { #expect(reply.bytes.count <= request.count, "seed \(seed)") }
        }
    }

    @Test func consentRunsOutAndARestartRevives() throws {
        let pair = try TransportPair.connected()
        let end = pair.server
        let keys = try #require(end.transport.srtp)
        pair.server.isChecked = false
        let start = pair.now
        end.changes = []
        pair.run(until: start + .seconds(31))
        #expect(end.changes == [.disconnected, .consentLost])
        #expect(!end.transport.canSend)
        _ = end.receive(end.ice.check(), on: end.path(1), at: pair.now)
        #expect(end.probe.take().isEmpty)
        end.transport.close(at: pair.now, into: OutboxProbe().outbox)

        let second = try TransportPair.connected(seed: 2)
        let revived = second.server
        revived.isChecked = false
        revived.changes = []
        second.run(until: second.now + .seconds(31))
        let remote = RemoteTransport(
            ice: TransportFixture.newClient,
            fingerprints: [try TransportPair.clientCertificate.get().fingerprint],
            setup: .active
        )
        let parked = try #require(revived.transport.srtp)
        #expect(
            revived.transport.restartICE(local: TransportFixture.newServer, remote: remote, at: second.now)
        )
        #expect(!revived.transport.canSend)
        revived.ice.local = TransportFixture.newClient
        revived.ice.remote = TransportFixture.newServer
        let path = revived.path(2)
        #expect(revived.receive(revived.ice.check(), on: path, at: second.now).0 == .consumed)
        revived.poll()
        #expect(
            revived.changes == [
                .disconnected, .consentLost, .pathValidated(path),
                .usernameFragmentRetired(TransportFixture.server.usernameFragment), .pathSelected(path),
                .reconnected,
            ]
        )
        #expect(revived.transport.canSend)
        #expect(revived.transport.srtp === parked && parked !== keys)
        let packet = try TransportPair.rtp(from: second.client, sequence: 3)
        #expect(revived.receive(packet, on: path, at: second.now).0 == .rtp(length: 52))
    }

    @Test func endsWhenTheGraceIsOver() throws {
        let pair = try TransportPair.connected()
        pair.server.isChecked = false
        pair.server.changes = []
        pair.run(until: pair.now + .seconds(61))
        #expect(pair.server.changes == [.disconnected, .consentLost, .closed(.timeout)])
        #expect(pair.server.transport.srtp == nil)
    }

    @Test func aRestartKeepsMediaAndRefusesAnotherIdentity() throws {
        let pair = try TransportPair.connected()
        let end = pair.server
        let fingerprint = try TransportPair.clientCertificate.get().fingerprint
        let foreign = Fingerprint(algorithm: "sha-256", digest: [UInt8](repeating: 1, count: 32))
        func remote(_ fingerprints: [Fingerprint]) -> RemoteTransport {
            RemoteTransport(ice: TransportFixture.newClient, fingerprints: fingerprints, setup: .active)
        }
        let fresh = TransportFixture.newServer
        #expect(!end.transport.restartICE(local: fresh, remote: remote([foreign]), at: pair.now))
        #expect(
            !end.transport.restartICE(local: fresh, remote: remote([fingerprint, foreign]), at: pair.now)
        )
        #expect(end.transport.localCredentials == TransportFixture.server)
        // A fragment of SDP names none: the association stays.
        #expect(end.transport.restartICE(local: fresh, remote: remote([]), at: pair.now))
        #expect(end.transport.localCredentials == fresh)
        #expect(end.transport.canSend)
        #expect(end.transport.selectedPath == end.path(1))
        let packet = try TransportPair.rtp(from: pair.client, sequence: 1)
        #expect(end.receive(packet, on: end.path(1), at: pair.now).0 == .rtp(length: 52))
        // The old client still gets answers.
        _ = end.probe.take()
        _ = end.receive(end.ice.check(), on: end.path(1), at: pair.now)
        let answer = try #require(end.probe.take().first)
        let mapped = end.path(1)
        #expect(end.ice.receive(answer.bytes) == .success(mapped: mapped.remote, port: mapped.remotePort))
    }

    @Test func aPeerMayMoveByMediaOrByNomination() throws {
        let pair = try TransportPair.connected()
        let end = pair.server
        end.changes = []
        _ = end.receive(end.ice.check(Check(usesCandidate: true)), on: end.path(2), at: pair.now)
        end.poll()
        #expect(end.changes == [.pathValidated(end.path(2)), .pathSelected(end.path(2))])
        end.changes = []
        _ = end.receive(end.ice.check(), on: end.path(1), at: pair.now)
        // As long as the selected path speaks, others may too.
        let early = try TransportPair.rtp(from: pair.client, sequence: 1)
        _ = end.receive(early, on: end.path(2), at: pair.now + .milliseconds(1900))
        let packet = try TransportPair.rtp(from: pair.client, sequence: 2)
        _ = end.receive(packet, on: end.path(1), at: pair.now + .milliseconds(3900))
        end.poll()
        #expect(end.changes.isEmpty)
        let late = try TransportPair.rtp(from: pair.client, sequence: 3)
        _ = end.receive(late, on: end.path(1), at: pair.now + .milliseconds(3901))
        end.poll()
        #expect(end.changes == [.pathSelected(end.path(1))])
        // A replayed packet is no sign of life.
        end.changes = []
        _ = end.receive(packet, on: end.path(2), at: pair.now + .seconds(8))
        end.poll()
        #expect(end.changes.isEmpty)
    }

    @Test func aClosedConnectionLeavesTheTransportAlive() throws {
        let pair = try TransportPair.connected()
        let end = pair.server
        let tcp = TransportFixture.path(30, connection: 5)
        _ = end.receive(end.ice.check(Check(usesCandidate: true)), on: tcp, at: pair.now)
        #expect(end.transport.selectedPath == tcp)
        end.poll()
        end.changes = []
        end.transport.connectionClosed(5, at: pair.now)
        end.poll()
        #expect(end.changes == [.pathForgotten(tcp), .pathSelected(end.path(1))])
        #expect(end.transport.canSend)

        let lone = try TransportPair()
        let only = TransportFixture.path(31, connection: 6)
        _ = lone.server.receive(lone.server.ice.check(), on: only, at: .zero)
        lone.server.transport.connectionClosed(6, at: .zero)
        lone.server.poll()
        #expect(
            lone.server.changes == [
                .pathValidated(only), .pathSelected(only), .pathForgotten(only), .disconnected,
            ]
        )
        #expect(lone.server.transport.selectedPath == nil)
        _ = lone.server.receive(lone.server.ice.check(), on: lone.server.path(1), at: .zero)
        lone.server.poll()
        #expect(lone.server.changes.last == .reconnected)
        #expect(lone.server.transport.selectedPath == lone.server.path(1))
    }

    @Test func pendingFactsAreBounded() throws {
        let pair = try TransportPair()
        let end = pair.server
        for n in 1...1000 { _ = end.receive(end.ice.check(), on: TransportFixture.path(n), at: .zero) }
        var facts: [TransportChange] = []
        while let change = end.transport.nextChange() { facts.append(change) }
        #expect(facts.count == Limits.Transport.pendingChanges)
        #expect(facts.last == .pathValidated(TransportFixture.path(1000)))
    }

    private static func lone(integrity: STUNIntegrity) throws -> Transport {
        let certificate = try TransportPair.serverCertificate.get()
        let remote = RemoteTransport(
            ice: TransportFixture.client,
            fingerprints: [certificate.fingerprint],
            setup: .active
        )
        return try Transport(
            local: TransportFixture.server,
            remote: remote,
            role: .server,
            context: DTLSContext(certificate: certificate),
            at: .zero,
            integrity: integrity
        )
    }
}
