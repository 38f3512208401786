import PeerTransport
import RTP
import Testing

private let key = Array("VOkJxbRl1RmTxUk/WvJxBt".utf8)
private let request = TransportFixture.bytes(
    hex: """
        000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff8029000893
        2ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a
        3bcf
        """
)
private let responseIPv4 = TransportFixture.bytes(
    hex: """
        0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b
        91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96
        """
)
private let responseIPv6 = TransportFixture.bytes(
    hex: """
        010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc
        25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c
        """
)

/// Parses and hands the message to `body` while its bytes are there; nil where it is refused.
private func parse<T>(
    _ datagram: [UInt8],
    requiresFingerprint: Bool = true,
    _ body: (STUNMessage) -> T
) -> T? {
    datagram.withUnsafeBufferPointer { bytes in
        bytes.baseAddress.flatMap {
            STUNMessage($0, length: bytes.count, requiresFingerprint: requiresFingerprint)
        }.map(body)
    }
}

private func text(_ bytes: UnsafeBufferPointer<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

/// Without the fingerprint, so that the parser goes on where it would stop.
private func withFingerprint(_ message: [UInt8]) -> [UInt8] {
    let covered = message.dropLast(8)
    var crc: UInt32 = 0xffff_ffff
    for byte in covered {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0xedb8_8320 : crc >> 1 }
    }
    let value = ~crc ^ 0x5354_554e
    return covered + [0x80, 0x28, 0, 4] + (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
}

@Suite struct STUNMessageTests {
    @Test func readsTheRequestOfRFC5769() throws {
        let integrity = try #require(STUNIntegrity())
        let isRead = parse(request) { message in
            #expect(message.kind == .request)
            #expect(message.method == 1)
            #expect(text(message.localUsernameFragment) == "evtj")
            #expect(text(message.remoteUsernameFragment) == "h6vY")
            #expect(message.priority == 0x6e00_01ff)
            #expect(message.iceControlled == 0x932f_f9b1_5126_3b36)
            #expect(message.iceControlling == nil)
            #expect(!message.hasUseCandidate)
            #expect(message.unknownRequiredAttributes == 0)
            #expect(message.isAuthentic(key: key, integrity: integrity))
            #expect(!message.isAuthentic(key: key + [1], integrity: integrity))
            #expect(!message.isAuthentic(key: [], integrity: integrity))
            return true
        }
        #expect(isRead == true)
    }

    @Test func readsTheResponsesOfRFC5769() throws {
        let integrity = try #require(STUNIntegrity())
        let v4 = parse(responseIPv4) { message in
            #expect(message.kind == .success)
            #expect(message.isAuthentic(key: key, integrity: integrity))
            #expect(message.xorMappedAddress?.address == IPAddress(v4: 0xc000_0201))
            return message.xorMappedAddress?.port
        }
        #expect(v4 == 32853)
        let v6 = parse(responseIPv6) { message in
            #expect(message.isAuthentic(key: key, integrity: integrity))
            let expected = IPAddress(v6High: 0x2001_0db8_1234_5678, low: 0x0011_2233_4455_6677)
            #expect(message.xorMappedAddress?.address == expected)
            return message.xorMappedAddress?.port
        }
        #expect(v6 == 32853)
    }

    /// RFC 5769 §2.4 has no FINGERPRINT, which ICE does not accept and the parser reads when told so.
    @Test func wantsAFingerprintUnlessTold() throws {
        let bare = Array(request.dropLast(8))
        var counted = bare
        counted[3] = UInt8(bare.count - 20)
        #expect(parse(counted) { _ in true } == nil)
        #expect(parse(counted, requiresFingerprint: false) { $0.hasIntegrity } == true)
    }

    @Test func refusesEachCorruptedByte() {
        for index in request.indices {
            for mask in [0x01, 0x20, 0x80, 0xff] as [UInt8] {
                var corrupted = request
                corrupted[index] ^= mask
                #expect(parse(corrupted) { _ in true } == nil, "byte \(index) mask \(mask)")
            }
        }
    }

    /// Who can compute the CRC still cannot make the HMAC: no byte up to the end of the integrity may change.
    @Test func authenticatesEachByteUnderTheFingerprint() throws {
        let integrity = try #require(STUNIntegrity())
        for index in 0..<(request.count - 8) {
            for mask in [0x01, 0x20, 0x80, 0xff] as [UInt8] {
                var corrupted = request
                corrupted[index] ^= mask
                let isAuthentic =
                    parse(withFingerprint(corrupted)) { $0.isAuthentic(key: key, integrity: integrity) }
                    ?? false
                #expect(!isAuthentic, "byte \(index) mask \(mask)")
            }
        }
        // The helper itself makes right fingerprints.
        #expect(withFingerprint(request) == request)
    }

    @Test func refusesWrongFrames() {
        #expect(parse([]) { _ in true } == nil)
        #expect(parse(Array(request.prefix(19))) { _ in true } == nil)
        for length in 20..<request.count {
            #expect(parse(Array(request.prefix(length))) { _ in true } == nil, "cut to \(length)")
        }
        #expect(parse(request + [0, 0, 0, 0]) { _ in true } == nil)
        // Anything after FINGERPRINT, counted or not.
        var longer = request + [0x80, 0x22, 0, 0]
        longer[3] += 4
        #expect(parse(longer) { _ in true } == nil)
    }

    @Test func ignoresWhatFollowsTheIntegrity() throws {
        var client = try #require(
            SimulatedICEClient(local: TransportFixture.client, remote: TransportFixture.server, seed: 5)
        )
        var check = SimulatedICEClient.Check()
        check.junk = [
            (STUN.Attribute.useCandidate, []), (0x0077, [1, 2, 3]),
            (STUN.Attribute.nomination, [0, 0, 0, 9]),
        ]
        let integrity = try #require(STUNIntegrity())
        let isRead = parse(client.check(check)) { message in
            #expect(!message.hasUseCandidate)
            #expect(message.nomination == nil)
            #expect(message.unknownRequiredAttributes == 0)
            #expect(
                message.isAuthentic(key: Array(TransportFixture.server.password.utf8), integrity: integrity)
            )
            return true
        }
        #expect(isRead == true)
    }

    @Test func firstOfEqualAttributesCounts() throws {
        var client = try #require(
            SimulatedICEClient(local: TransportFixture.client, remote: TransportFixture.server, seed: 6)
        )
        var check = SimulatedICEClient.Check(nomination: 7)
        check.extra = [
            (STUN.Attribute.nomination, [0, 0, 0, 99]), (STUN.Attribute.priority, [0, 0, 0, 1]),
            (STUN.Attribute.username, Array("x:y".utf8)),
        ]
        let isRead = parse(client.check(check)) { message in
            #expect(message.nomination == 7)
            #expect(message.priority == 1_845_501_695)
            #expect(text(message.localUsernameFragment) == TransportFixture.server.usernameFragment)
            return true
        }
        #expect(isRead == true)
    }

    @Test func refusesAttributesOfWrongSize() throws {
        let wrong: [(UInt16, [UInt8])] = [
            (STUN.Attribute.priority, [1, 2, 3]), (STUN.Attribute.useCandidate, [1]),
            (STUN.Attribute.iceControlled, [0, 0, 0, 0]), (STUN.Attribute.messageIntegrity, [1, 2]),
            (STUN.Attribute.username, [UInt8](repeating: 65, count: 514)),
        ]
        for (type, value) in wrong {
            var client = try #require(
                SimulatedICEClient(local: TransportFixture.client, remote: TransportFixture.server, seed: 7)
            )
            var check = SimulatedICEClient.Check()
            check.extra = [(type, value)]
            #expect(parse(client.check(check)) { _ in true } == nil, "attribute \(type)")
        }
    }

    @Test func findsOurFragmentOnlyInChecks() throws {
        var client = try #require(
            SimulatedICEClient(local: TransportFixture.client, remote: TransportFixture.server, seed: 8)
        )
        func fragment(_ datagram: [UInt8]) -> String? {
            datagram.withUnsafeBufferPointer { STUN.localUsernameFragment(in: $0) }
        }
        let check = client.check()
        #expect(fragment(check) == "AAserver01")
        #expect(fragment(request) == "evtj")
        #expect(fragment(responseIPv4) == nil)
        #expect(fragment([]) == nil)
        var unnamed = SimulatedICEClient.Check()
        unnamed.hasUsername = false
        #expect(fragment(client.check(unnamed)) == nil)
        for name in ["no colon", "", ":x", "seventeen+letters:x", "sp ace:x", "\u{e4}\u{f6}:x"] {
            unnamed.extra = [(STUN.Attribute.username, Array(name.utf8))]
            #expect(fragment(client.check(unnamed)) == nil, "\(name)")
        }
    }

    @Test func garbageNeverCrashes() {
        let seed: UInt64 = 0x5eed
        var generator = SimulatedICEClient.Generator(seed: seed)
        var accepted = 0
        for round in 0..<100_000 {
            var datagram: [UInt8]
            if round & 1 == 0 {
                datagram = (0..<Int(generator.next() % 200)).map { _ in
                    UInt8(truncatingIfNeeded: generator.next())
                }
            } else {
                // Damaged checks with a right fingerprint reach every branch behind it.
                datagram = request
                for _ in 0..<(1 + generator.next() % 4) {
                    datagram[Int(generator.next() % 108)] = UInt8(truncatingIfNeeded: generator.next())
                }
                if generator.next() & 1 == 0 { datagram = withFingerprint(datagram) }
            }
            let isRead = parse(datagram) { message in
                _ = message.localUsernameFragment.count + message.remoteUsernameFragment.count
                _ = message.xorMappedAddress
                _ = message.errorCode
                return true
            }
            if isRead == true { accepted += 1 }
            _ = datagram.withUnsafeBufferPointer { STUN.localUsernameFragment(in: $0) }
        }
        #expect(accepted > 0 && accepted < 50_000, "seed \(seed)")
    }
}
