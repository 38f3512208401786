// What the tests of STUN, ICE and Transport share: bytes from hex, paths by number, a server with its client.
import PeerTransport
import RTP
import Testing

enum TransportFixture {
    static func bytes(hex: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var high: UInt8?
        for character in hex {
            guard let digit = character.hexDigitValue else { continue }
            if let h = high {
                bytes.append(h << 4 | UInt8(digit))
                high = nil
            } else {
                high = UInt8(digit)
            }
        }
        return bytes
    }

    /// 192.0.2.n (RFC 5737), port 40000 + n.
    static func path(_ n: Int, connection: Int32 = -1) -> NetworkPath {
        NetworkPath(
            remote: IPAddress(v4: 0xc000_0200 + UInt32(n)),
            remotePort: UInt16(40_000 + n),
            local: IPAddress(v4: 0xc633_6401),
            connection: connection
        )
    }

    static func pathIPv6(_ n: Int) -> NetworkPath {
        NetworkPath(
            remote: IPAddress(v6High: 0x2001_0db8_0000_0000, low: UInt64(n)),
            remotePort: UInt16(40_000 + n),
            local: IPAddress(v6High: 0x2001_0db8_0000_0001, low: 1)
        )
    }

    static func seconds(_ n: Double) -> Instant { Instant(microseconds: Int64(n * 1_000_000)) }

    static let server = ICECredentials(usernameFragment: "AAserver01", password: "serverPasswordOf24Bytes+")
    static let newServer = ICECredentials(
        usernameFragment: "AAserver02",
        password: "otherPasswordOf24+Bytes/"
    )
    static let client = ICECredentials(usernameFragment: "cLnt", password: "clientPasswordOf24Bytes+")
    static let newClient = ICECredentials(usernameFragment: "cNew", password: "newClientPasswordOf24byt")
}

/// An agent with a client that knows it, on virtual time.
struct AgentBench {
    var agent: ICEAgent
    var client: SimulatedICEClient
    let integrity: STUNIntegrity

    init(seed: UInt64 = 1) throws {
        integrity = try #require(STUNIntegrity())
        client = try #require(
            SimulatedICEClient(
                local: TransportFixture.client,
                remote: TransportFixture.server,
                seed: seed
            )
        )
        agent = ICEAgent(local: TransportFixture.server, remote: TransportFixture.client, at: .zero)
    }

    mutating func check(
        _ check: SimulatedICEClient.Check = .init(),
        on path: NetworkPath,
        at seconds: Double
    ) throws -> OnCheck {
        try receive(client.check(check), on: path, at: seconds)
    }

    mutating func receive(_ datagram: [UInt8], on path: NetworkPath, at seconds: Double) throws -> OnCheck {
        try datagram.withUnsafeBufferPointer { bytes in
            let base = try #require(bytes.baseAddress)
            let message = try #require(STUNMessage(base, length: bytes.count))
            return agent.receivedMessage(
                message,
                on: path,
                at: TransportFixture.seconds(seconds),
                integrity: integrity
            )
        }
    }

    /// All facts up to this time.
    mutating func advance(to seconds: Double) -> [OnTime] {
        var facts: [OnTime] = []
        while facts.count < 100 {
            let on = agent.advance(to: TransportFixture.seconds(seconds))
            if on == .nothing { return facts }
            facts.append(on)
        }
        return facts
    }
}
