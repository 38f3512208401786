// Two DTLS endpoints and a network between them on virtual time: loss, duplication and reordering by seed.
import COpenSSL
import RTP

@testable import PeerTransport

/// Moves datagrams between two endpoints. Nothing happens on its own: time passes in `run`.
final class DTLSLink {
    struct Flying {
        var at: Instant
        var order: Int
        var toServer: Bool
        var bytes: [UInt8]
    }

    /// Percent of datagrams; delay is 10 ms plus up to `jitter`.
    struct Weather {
        var loss = 0
        var duplication = 0
        var jitter = Interval.zero
    }

    let client: DTLSEndpoint
    let server: DTLSEndpoint
    var weather = Weather()
    var random: SRTPTestRandom
    var now = Instant(microseconds: 1_000_000)
    private(set) var sentByClient: [[UInt8]] = []
    private(set) var sentByServer: [[UInt8]] = []
    /// Decides over each datagram, after the weather: by sender and its number among that sender's datagrams.
    var isDropped: (_ toServer: Bool, _ number: Int) -> Bool = { _, _ in false }
    private var flying: [Flying] = []
    private var order = 0

    init(client: DTLSEndpoint, server: DTLSEndpoint, seed: UInt64 = 1) {
        self.client = client
        self.server = server
        random = SRTPTestRandom(state: seed)
    }

    func fromClient(_ bytes: UnsafeBufferPointer<UInt8>) {
        sentByClient.append(Array(bytes))
        launch(Array(bytes), toServer: true, number: sentByClient.count - 1)
    }

    func fromServer(_ bytes: UnsafeBufferPointer<UInt8>) {
        sentByServer.append(Array(bytes))
        launch(Array(bytes), toServer: false, number: sentByServer.count - 1)
    }

    private func launch(_ bytes: [UInt8], toServer: Bool, number: Int) {
        guard !isDropped(toServer, number) else { return }
        guard Int.random(in: 0..<100, using: &random) >= weather.loss else { return }
        let copies = Int.random(in: 0..<100, using: &random) < weather.duplication ? 2 : 1
        for _ in 0..<copies {
            let jitter = Int64.random(in: 0...weather.jitter.microseconds, using: &random)
            order += 1
            flying.append(
                Flying(
                    at: now + .microseconds(10_000 + jitter),
                    order: order,
                    toServer: toServer,
                    bytes: bytes
                )
            )
        }
    }

    func start() {
        server.start(at: now, send: fromServer)
        client.start(at: now, send: fromClient)
    }

    func deliver(_ bytes: [UInt8], toServer: Bool) {
        bytes.withUnsafeBufferPointer {
            if toServer {
                server.receive($0, at: now, send: fromServer)
            } else {
                client.receive($0, at: now, send: fromClient)
            }
        }
    }

    /// Until nothing flies and no timer of a handshake runs, or `limit` is over.
    func run(for limit: Interval = .seconds(60)) {
        let end = now + limit
        while true {
            let next = flying.min { ($0.at, $0.order) < ($1.at, $1.order) }?.at ?? .distantFuture
            let time = min(next, client.nextDeadline, server.nextDeadline)
            guard time <= end, time != .distantFuture else { return }
            now = max(now, time)
            while let i = flying.indices.filter({ flying[$0].at <= now }).min(by: {
                (flying[$0].at, flying[$0].order) < (flying[$1].at, flying[$1].order)
            }) {
                let datagram = flying.remove(at: i)
                deliver(datagram.bytes, toServer: datagram.toServer)
            }
            client.advance(to: now, send: fromClient)
            server.advance(to: now, send: fromServer)
        }
    }

    var isConnected: Bool { client.state == .connected && server.state == .connected }

    /// Same profile and keys on both sides.
    var keysAgree: Bool {
        guard let near = client.exportKeys(), let far = server.exportKeys() else { return false }
        return near == far && near.clientKey != near.serverKey
    }
}

enum DTLSFixture {
    static func context(
        _ certificate: DTLSCertificate? = nil,
        profiles: String = DTLSContext.srtpProfiles,
        suites: String = DTLSContext.cipherSuites,
        linkMTU: Int = Limits.DTLS.linkMTU
    ) throws -> DTLSContext {
        try DTLSContext(
            certificate: certificate ?? .generate(),
            srtpProfiles: profiles,
            cipherSuites: suites,
            linkMTU: linkMTU
        )
    }

    static func link(
        client: DTLSContext? = nil,
        server: DTLSContext? = nil,
        seed: UInt64 = 1,
        openSSLKeepsTime: Bool = false
    ) throws -> DTLSLink {
        try DTLSLink(
            client: DTLSEndpoint(
                context: client ?? context(),
                role: .client,
                openSSLKeepsTime: openSSLKeepsTime
            ),
            server: DTLSEndpoint(
                context: server ?? context(),
                role: .server,
                openSSLKeepsTime: openSSLKeepsTime
            ),
            seed: seed
        )
    }

    static func connected(
        client: DTLSContext? = nil,
        server: DTLSContext? = nil
    ) throws -> DTLSLink {
        let link = try link(client: client, server: server)
        link.start()
        link.run()
        return link
    }

    static func rsaCertificate() throws -> DTLSCertificate {
        guard let key = sfu_generate_rsa(2048) else { throw DTLSError.certificate("RSA") }
        defer { EVP_PKEY_free(key) }
        return try DTLSCertificate.selfSigned(key)
    }

    /// Content types and epochs of the records in a datagram.
    static func records(_ datagram: [UInt8]) -> [(type: UInt8, epoch: Int)] {
        var records: [(UInt8, Int)] = []
        var at = 0
        while at + 13 <= datagram.count {
            records.append((datagram[at], Int(datagram[at + 3]) << 8 | Int(datagram[at + 4])))
            at += 13 + Int(datagram[at + 11]) << 8 + Int(datagram[at + 12])
        }
        return records
    }
}
