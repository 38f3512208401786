// Two transports, one in each DTLS role, joined by a pipe that loses and reorders, on virtual time. Both are
// ICE-lite, so a full ICE client plays each one's peer.
import PeerTransport
import RTP
import Testing

/// An outbox whose messages are taken out one by one.
final class OutboxProbe {
    struct Datagram: Equatable {
        var path: NetworkPath
        var bytes: [UInt8]
        var isSTUN: Bool { bytes.first.map { $0 <= 3 } ?? false }
        var isDTLS: Bool { bytes.first.map { 20...63 ~= $0 } ?? false }
    }

    private final class Store { var datagrams: [Datagram] = [] }
    private let store: Store
    let outbox: Outbox

    init() {
        let store = Store()
        self.store = store
        outbox = Outbox(bytes: 1 << 17, messages: 64) { outbox in
            for i in 0..<outbox.messageCount {
                let message = outbox.messages[i]
                let bytes = UnsafeBufferPointer(start: outbox.slab + message.offset, count: message.length)
                store.datagrams.append(Datagram(path: message.path, bytes: Array(bytes)))
            }
        }
    }

    func take() -> [Datagram] {
        outbox.flush()
        defer { store.datagrams = [] }
        return store.datagrams
    }
}

struct TransportLink {
    var loss = 0.0
    /// Microseconds; each datagram's delay is drawn anew, which reorders.
    var delay: ClosedRange<Int64> = 5_000...5_000
}

final class TransportPair {
    final class End {
        let transport: Transport
        /// Plays the full agent that this end's peer would be.
        var ice: SimulatedICEClient
        let probe = OutboxProbe()
        var changes: [TransportChange] = []
        var sent: [OutboxProbe.Datagram] = []
        var received: [Received] = []
        var checks = SimulatedICEClient.Check(usesCandidate: true)
        var isChecked = true
        let offset: Int

        init(
            local: ICECredentials,
            peer: ICECredentials,
            fingerprints: [Fingerprint],
            role: DTLSRole,
            certificate: DTLSCertificate,
            offset: Int,
            seed: UInt64
        ) throws {
            let remote = RemoteTransport(
                ice: peer,
                fingerprints: fingerprints,
                setup: role == .server ? .active : .passive
            )
            transport = try Transport(
                local: local,
                remote: remote,
                role: role,
                context: DTLSContext(certificate: certificate),
                at: .zero
            )
            ice = try #require(SimulatedICEClient(local: peer, remote: local, seed: seed))
            self.offset = offset
        }

        func path(_ n: Int) -> NetworkPath { TransportFixture.path(offset + n) }

        func receive(_ bytes: [UInt8], on path: NetworkPath, at now: Instant) -> (Received, [UInt8]) {
            var bytes = bytes
            let result = bytes.withUnsafeMutableBufferPointer {
                transport.receive($0, on: path, at: now, into: probe.outbox)
            }
            received.append(result)
            return (result, bytes)
        }

        func poll() {
            while let change = transport.nextChange() { changes.append(change) }
        }
    }

    struct Flight {
        var at: Instant
        var toServer: Bool
        var path: Int
        var bytes: [UInt8]
    }

    let server: End
    let client: End
    var link: TransportLink
    /// Sees each datagram that is about to be carried; false loses it.
    var filter: (OutboxProbe.Datagram, _ toServer: Bool) -> Bool = { _, _ in true }
    private(set) var now = Instant.zero
    private var flights: [Flight] = []
    private var nextCheck = Instant.zero
    private var generator: SimulatedICEClient.Generator

    init(seed: UInt64 = 1, link: TransportLink = .init(), clientFingerprints: [Fingerprint]? = nil) throws {
        let certificates = (try Self.serverCertificate.get(), try Self.clientCertificate.get())
        server = try End(
            local: TransportFixture.server,
            peer: TransportFixture.client,
            fingerprints: clientFingerprints ?? [certificates.1.fingerprint],
            role: .server,
            certificate: certificates.0,
            offset: 0,
            seed: seed
        )
        client = try End(
            local: TransportFixture.newServer,
            peer: TransportFixture.newClient,
            fingerprints: [certificates.0.fingerprint],
            role: .client,
            certificate: certificates.1,
            offset: 100,
            seed: seed &+ 1
        )
        self.link = link
        generator = .init(seed: seed)
    }

    static let serverCertificate = Result { try DTLSCertificate.generate() }
    static let clientCertificate = Result { try DTLSCertificate.generate() }

    /// Runs checks, deliveries and deadlines in the order of their times.
    func run(until end: Instant, stop: () -> Bool = { false }) {
        while !stop() {
            let delivery = flights.map(\.at).min() ?? .distantFuture
            let deadline = min(server.transport.nextDeadline, client.transport.nextDeadline)
            let next = min(nextCheck, min(delivery, deadline))
            guard next <= end else { break }
            now = max(now, next)
            if now >= nextCheck {
                nextCheck = now + .milliseconds(500)
                for end in [server, client] where end.isChecked {
                    _ = end.receive(end.ice.check(end.checks), on: end.path(1), at: now)
                    collect(from: end)
                }
            }
            deliver()
            for end in [server, client] where now >= end.transport.nextDeadline {
                end.transport.advance(to: now, into: end.probe.outbox)
                #expect(end.transport.nextDeadline > now)
                collect(from: end)
            }
        }
        if !stop() { now = max(now, end) }
    }

    private func deliver() {
        flights.sort { $0.at < $1.at }
        while let flight = flights.first, flight.at <= now {
            flights.removeFirst()
            let end = flight.toServer ? server : client
            _ = end.receive(flight.bytes, on: end.path(flight.path), at: now)
            collect(from: end)
        }
    }

    /// STUN goes back to the one who asked, all else over the link.
    func collect(from end: End) {
        end.poll()
        for datagram in end.probe.take() {
            end.sent.append(datagram)
            let toServer = end === client
            if datagram.isSTUN {
                if case .invalid = end.ice.receive(datagram.bytes) { Issue.record("a bad STUN answer") }
                continue
            }
            guard filter(datagram, toServer) else { continue }
            guard Double(generator.next() >> 11) / Double(1 << 53) >= link.loss else { continue }
            let delay = Int64.random(in: link.delay, using: &generator)
            let path = Int(datagram.path.remotePort) - 40_000 - end.offset
            flights.append(
                Flight(at: now + .microseconds(delay), toServer: toServer, path: path, bytes: datagram.bytes)
            )
        }
    }

    var isConnected: Bool { server.transport.srtp != nil && client.transport.srtp != nil }

    /// Connected over a clean link.
    static func connected(seed: UInt64 = 1) throws -> TransportPair {
        let pair = try TransportPair(seed: seed)
        pair.run(until: TransportFixture.seconds(2), stop: { pair.isConnected })
        try #require(pair.isConnected)
        return pair
    }

    /// An RTP packet with 40 bytes of payload, protected as `end` sends it.
    static func rtp(from end: End, sequence: UInt16, ssrc: UInt32 = 0x1234) throws -> [UInt8] {
        let sender = try #require(end.transport.srtp).sender
        var packet: [UInt8] = [0x80, 111, UInt8(sequence >> 8), UInt8(sequence & 0xff), 0, 0, 0, 1]
        packet += (0..<4).map { UInt8(truncatingIfNeeded: ssrc >> (24 - 8 * UInt32($0))) }
        packet += [UInt8](repeating: 0x55, count: 40) + [UInt8](repeating: 0, count: sender.overhead)
        let length = packet.withUnsafeMutableBufferPointer { bytes in
            bytes.baseAddress.map {
                sender.protect($0, headerLength: 12, length: 52, ssrc: ssrc, index: UInt64(sequence))
            }
        }
        return Array(packet.prefix(length ?? 0))
    }
}
