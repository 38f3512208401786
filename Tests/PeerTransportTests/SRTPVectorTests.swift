// Published vectors: RFC 3711 appendix B, RFC 7714 §16 and §17, and packets under derived keys.
import Testing

@testable import PeerTransport

struct SRTPVectorTests {
    private let masterKey = srtpBytes("e1f97a0d3e018be0d64fa32c06de4139")
    private let masterSalt = srtpBytes("0ec675ad498afeebb6960b3aabe6")
    private let plain = srtpBytes("800f1234decafbadcafebabe") + [UInt8](repeating: 0xab, count: 16)

    /// RFC 3711 B.3.
    @Test(arguments: [
        (0, "c61e7a93744f39ee10734afe3ff7a087"), (2, "30cbbc08863d8c85d49db34a9ae1"),
        (1, "cebe321f6ff7716b6fd4ab49af256a156d38baa4"), (3, "4c1aa45a81f73d61c800bbb00fbb1eaa"),
        (5, "9581c7ad87b3e530bf3e4454a8b3"), (4, "8d54534feb49ae8e7993a6bd0b844fc323a93dfd"),
    ])
    func keyDerivation(label: UInt8, expected: String) throws {
        let derivation = try #require(SRTPKeyDerivation(masterKey, masterSalt))
        defer { derivation.free() }
        let key = derivation.key(label: label, length: expected.utf8.count / 2)
        #expect(srtpHex(key ?? []) == expected)
    }

    @Test func keyDerivationForGCM() throws {
        let keys = try #require(
            SRTPSessionKeys(
                masterKey: (0..<16).map { $0 },
                masterSalt: (0xa0...0xab).map { $0 },
                profile: .aeadAES128GCM
            )
        )
        #expect(srtpHex(keys.encryption) == "077c6143cb221bc355ff23d5f984a16e")
        #expect(srtpHex(keys.salt) == "9af3e95364ebac9c99c5a7c4")
        #expect(keys.authentication.isEmpty)
    }

    @Test func keyDerivationRefusesOddSizes() throws {
        #expect(SRTPKeyDerivation([UInt8](repeating: 0, count: 15), masterSalt) == nil)
        #expect(SRTPKeyDerivation(masterKey, []) == nil)
        let derivation = try #require(SRTPKeyDerivation(masterKey, masterSalt))
        defer { derivation.free() }
        #expect(derivation.key(label: 0, length: 65) == nil)
        #expect(derivation.key(label: 0, length: 0) == [])
    }

    /// RFC 3711 B.2: with SSRC and index 0 the ciphertext of zeros is the keystream.
    @Test func counterModeKeystream() throws {
        let keys = SRTPSessionKeys(
            encryption: srtpBytes("2b7e151628aed2a6abf7158809cf4f3c"),
            authentication: [UInt8](repeating: 0, count: 20),
            salt: (0xf0...0xfd).map { $0 }
        )
        let sender = try #require(SRTPSender(profile: .aes128CMSHA1_80, keys: keys))
        defer { sender.free() }
        let packet = SRTPTestPacket(sequence: 0, ssrc: 0, payload: [UInt8](repeating: 0, count: 48))
        let protected = packet.protected(by: sender, ssrc: 0, index: 0)
        let expected =
            "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0"
        #expect(srtpHex(protected[12..<60]) == expected)
        let receiver = try #require(SRTPReceiver(profile: .aes128CMSHA1_80, keys: keys))
        defer { receiver.free() }
        var bytes = protected
        #expect(receiver.open(&bytes, headerLength: 12, length: 70, ssrc: 0, index: 0) == 60)
        #expect(Array(bytes[..<60]) == packet.bytes)
    }

    @Test func counterModePackets() throws {
        let context = try SRTPContext(
            profile: .aes128CMSHA1_80,
            localKey: masterKey,
            localSalt: masterSalt,
            remoteKey: masterKey,
            remoteSalt: masterSalt
        )
        let expected = srtpBytes(
            "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb"
        )
        var packet = SRTPTestPacket(sequence: 0x1234, ssrc: 0xcafe_babe, payload: [])
        packet.bytes = plain
        let protected = packet.protected(by: context.sender, ssrc: 0xcafe_babe, index: 0x1234)
        #expect(srtpHex(protected) == srtpHex(expected))
        #expect(context.unprotected(rtp: expected).bytes == plain)

        let report = srtpBytes("81c8000bcafebabe") + [UInt8](repeating: 0xab, count: 16)
        let sealed = "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798"
        #expect(srtpHex(context.protected(rtcp: report)) == sealed)
        #expect(context.unprotected(rtcp: srtpBytes(sealed)).bytes == report)
    }

    @Test func gcmPacketUnderDerivedKeys() throws {
        let key = [UInt8](0..<16)
        let salt = [UInt8](0xa0...0xab)
        let context = try SRTPContext(
            profile: .aeadAES128GCM,
            localKey: key,
            localSalt: salt,
            remoteKey: key,
            remoteSalt: salt
        )
        var packet = SRTPTestPacket(sequence: 0x1234, ssrc: 0xcafe_babe, payload: [])
        packet.bytes = plain
        let protected = packet.protected(by: context.sender, ssrc: 0xcafe_babe, index: 0x1234)
        let expected =
            "800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06ed2976826f796b201df3131a127e8a392"
        #expect(srtpHex(protected) == expected)
        #expect(context.unprotected(rtp: protected).bytes == plain)
    }

    /// RFC 7714 §16.1.1 and §16.2.1, session keys as they are.
    @Test(arguments: [
        (
            SRTPProfile.aeadAES128GCM, 16,
            "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce"
        ),
        (
            SRTPProfile.aeadAES256GCM, 32,
            "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13"
        ),
    ])
    func gcmPackets(profile: SRTPProfile, keyLength: Int, expected: String) throws {
        let keys = SRTPSessionKeys(
            encryption: (0..<UInt8(keyLength)).map { $0 },
            authentication: [],
            salt: srtpBytes("517569642070726f2071756f")
        )
        for gcm in SRTPSender.Cipher.allCases {
            let sender = try #require(SRTPSender(profile: profile, keys: keys, gcm: gcm))
            defer { sender.free() }
            var packet = SRTPTestPacket(sequence: 0, ssrc: 0, payload: [])
            packet.bytes =
                srtpBytes("8040f17b8041f8d35501a0b2") + Array("Gallia est omnis divisa in partes tres".utf8)
            let protected = packet.protected(by: sender, ssrc: 0x5501_a0b2, index: 0xf17b)
            #expect(srtpHex(protected) == "8040f17b8041f8d35501a0b2" + expected, "\(gcm)")
            let receiver = try #require(SRTPReceiver(profile: profile, keys: keys, gcm: gcm))
            defer { receiver.free() }
            var bytes = protected
            let length = receiver.open(
                &bytes,
                headerLength: 12,
                length: bytes.count,
                ssrc: 0x5501_a0b2,
                index: 0xf17b
            )
            #expect(Array(bytes[..<length]) == packet.bytes, "\(gcm)")
        }
    }

    /// RFC 7714 §17.1.
    @Test(arguments: SRTPSender.Cipher.allCases)
    func gcmReport(gcm: SRTPSender.Cipher) throws {
        let keys = SRTPSessionKeys(
            encryption: (0..<16).map { $0 },
            authentication: [],
            salt: srtpBytes("517569642070726f2071756f")
        )
        let sender = try #require(SRTPSender(profile: .aeadAES128GCM, keys: keys, gcm: gcm))
        defer { sender.free() }
        let sealed = """
            81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded\
            0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4
            """
        let plain = """
            81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef
            """
        var packet = srtpBytes(plain) + [UInt8](repeating: 0, count: 64)
        let length = sender.protectRTCP(&packet, length: srtpBytes(plain).count, index: 0x5d4)
        #expect(srtpHex(packet[..<length]) == sealed)
        let receiver = try #require(SRTPReceiver(profile: .aeadAES128GCM, keys: keys, gcm: gcm))
        defer { receiver.free() }
        #expect(receiver.reportIndex(&packet, length: length) == 0x5d4)
        let clear = receiver.openRTCP(&packet, length: length, index: 0x5d4)
        #expect(srtpHex(packet[..<clear]) == plain)
    }
}
