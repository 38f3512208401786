// Our sender against libsrtp2: same bytes, and every packet opens there, over random packets and wraps.
import Testing

@testable import PeerTransport

struct SRTPSenderTests {
    @Test(arguments: SRTPTestTransform.all, [UInt64(1), 2, 3])
    func equalsLibsrtpOverRandomPackets(transform: SRTPTestTransform, seed: UInt64) throws {
        var random = SRTPTestRandom(state: seed)
        let pair = try SRTPPair(transform, random: &random)
        let oracle = SRTPOracle(transform.profile, key: pair.nearKey, salt: pair.nearSalt)
        let sources = (0..<3).map { _ in UInt32(truncatingIfNeeded: random.next()) }
        var indices = sources.map { _ in UInt64.random(in: 0x7000..<0x8000, using: &random) }
        for n in 0..<1500 {
            let i = Int.random(in: 0..<3, using: &random)
            // Gaps too, up to where the peer can still guess.
            indices[i] += UInt64.random(in: 1...(n % 20 == 0 ? 0x3fff : 3), using: &random)
            let index = indices[i]
            let packet = SRTPTestPacket(
                sequence: UInt16(truncatingIfNeeded: index),
                ssrc: sources[i],
                random: &random
            )
            let ours = packet.protected(by: pair.near.sender, ssrc: sources[i], index: index)
            try #require(ours == oracle.protected(packet.bytes), "seed \(seed), packet \(n), index \(index)")
            let opened = pair.far.unprotected(rtp: ours)
            try #require(opened.result == .ok(packet.bytes.count), "seed \(seed), packet \(n)")
            try #require(opened.bytes == packet.bytes, "seed \(seed), packet \(n)")
        }
        #expect(indices.allSatisfy { $0 > 1 << 16 }, "the rollover counter must have moved, seed \(seed)")
    }

    @Test(arguments: SRTPTestTransform.all, [UInt64(11), 12])
    func reportsEqualLibsrtp(transform: SRTPTestTransform, seed: UInt64) throws {
        var random = SRTPTestRandom(state: seed)
        let pair = try SRTPPair(transform, random: &random)
        let oracle = SRTPOracle(transform.profile, key: pair.nearKey, salt: pair.nearSalt)
        let ssrc = random.bytes(4)
        for n in 0..<400 {
            let words = Int.random(in: 0...300, using: &random)
            let report = [0x80, 201, UInt8(words >> 8), UInt8(words & 255)] + ssrc + random.bytes(4 * words)
            let ours = pair.near.protected(rtcp: report)
            try #require(ours == oracle.protected(rtcp: report), "seed \(seed), report \(n)")
            try #require(pair.far.unprotected(rtcp: ours).bytes == report, "seed \(seed), report \(n)")
        }
    }

    @Test(arguments: SRTPSender.Cipher.allCases.filter(\.isAvailable))
    func reportsStopAtTheLastIndex(gcm: SRTPSender.Cipher) throws {
        var random = SRTPTestRandom(state: 13)
        let key = random.bytes(16)
        let keys = try #require(
            SRTPSessionKeys(
                masterKey: key,
                masterSalt: Array(key.dropLast(4)),
                profile: .aeadAES128GCM,
                kind: .rtcp
            )
        )
        let sender = try #require(SRTPSender(profile: .aeadAES128GCM, keys: keys, gcm: gcm))
        defer { sender.free() }
        var report = srtpBytes("80c9000100000001") + [UInt8](repeating: 0, count: 64)
        #expect(sender.protectRTCP(&report, length: 8, index: 0x8000_0000) == 0)
        #expect(sender.protectRTCP(&report, length: 7, index: 1) == 0)
        #expect(sender.protectRTCP(&report, length: 8, index: 0x7fff_ffff) == 28)
        #expect(Array(report[24..<28]) == [0xff, 0xff, 0xff, 0xff])
    }

    /// Every packet over four wraps, so that ROC bytes of IV and HMAC are right.
    @Test(arguments: SRTPTestTransform.all)
    func rolloverCounter(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 7)
        let pair = try SRTPPair(transform, random: &random)
        for index in stride(from: UInt64(100), to: 4 << 16, by: 0x1001) {
            let packet = SRTPTestPacket(
                sequence: UInt16(truncatingIfNeeded: index),
                ssrc: 9,
                payload: [1, 2, 3]
            )
            let sealed = packet.protected(by: pair.near.sender, ssrc: 9, index: index)
            try #require(pair.far.unprotected(rtp: sealed).bytes == packet.bytes, "index \(index)")
        }
    }

    @Test(arguments: SRTPTestTransform.all)
    func repeatsAreBitIdentical(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 8)
        let pair = try SRTPPair(transform, random: &random)
        let packet = SRTPTestPacket(sequence: 5, ssrc: 1, random: &random)
        let first = packet.protected(by: pair.near.sender, ssrc: 1, index: 5)
        let other = packet.protected(by: pair.near.sender, ssrc: 1, index: 6)
        #expect(packet.protected(by: pair.near.sender, ssrc: 1, index: 5) == first)
        #expect(other != first)
    }

    /// A header without payload, and a report that ends behind its SSRC: the tag alone protects them.
    @Test(arguments: SRTPTestTransform.all)
    func protectsHeadersAlone(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 10)
        let pair = try SRTPPair(transform, random: &random)
        let oracle = SRTPOracle(transform.profile, key: pair.nearKey, salt: pair.nearSalt)
        let packet = SRTPTestPacket(sequence: 6, ssrc: 4, payload: [])
        let sealed = packet.protected(by: pair.near.sender, ssrc: 4, index: 6)
        #expect(sealed.count == 12 + transform.profile.tagLength)
        #expect(sealed == oracle.protected(packet.bytes))
        #expect(pair.far.unprotected(rtp: sealed).bytes == packet.bytes)
        let report = srtpBytes("80c9000100000004")
        let sealedReport = pair.near.protected(rtcp: report)
        #expect(sealedReport == oracle.protected(rtcp: report))
        #expect(pair.far.unprotected(rtcp: sealedReport).bytes == report)
    }

    @Test func takesTheFastestCipher() {
        let available = SRTPSender.Cipher.allCases.filter(\.isAvailable)
        #expect(available.first == .openSSL)
        #expect(available.last == .best)
    }

    @Test(arguments: SRTPTestTransform.all)
    func refusesImpossibleLengths(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 9)
        let pair = try SRTPPair(transform, random: &random)
        var buffer = [UInt8](repeating: 0, count: 2048)
        let sender = pair.near.sender
        #expect(sender.overhead == transform.profile.tagLength)
        #expect(sender.protect(&buffer, headerLength: 11, length: 100, ssrc: 1, index: 1) == 0)
        #expect(sender.protect(&buffer, headerLength: 40, length: 39, ssrc: 1, index: 1) == 0)
        #expect(sender.protect(&buffer, headerLength: 12, length: 1 << 17, ssrc: 1, index: 1) == 0)
        #expect(sender.protect(&buffer, headerLength: 12, length: -1, ssrc: 1, index: 1) == 0)
        #expect(buffer.allSatisfy { $0 == 0 })
    }
}
