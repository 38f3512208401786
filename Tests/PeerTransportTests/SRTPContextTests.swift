// What comes in: replays, tampering, rollover of the peer, bounds, and RTCP both ways.
import RTP
import Testing

@testable import PeerTransport

struct SRTPContextTests {
    private func sealed(_ index: UInt64, ssrc: UInt32 = 1, by context: SRTPContext) -> [UInt8] {
        SRTPTestPacket(sequence: UInt16(truncatingIfNeeded: index), ssrc: ssrc, payload: [1, 2, 3, 4])
            .protected(by: context.sender, ssrc: ssrc, index: index)
    }

    @Test(arguments: SRTPTestTransform.all)
    func replayWindow(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 1)
        let pair = try SRTPPair(to: transform, random: &random)
        #expect(pair.far.unprotected(rtp: sealed(100, by: pair.near)).result == .ok(16))
        #expect(pair.far.unprotected(rtp: sealed(100, by: pair.near)).result == .replay)
        #expect(pair.far.unprotected(rtp: sealed(1123, by: pair.near)).result == .ok(16))
        #expect(
            pair.far.unprotected(rtp: sealed(101, by: pair.near)).result == .ok(16),
            "still in the window"
        )
        #expect(pair.far.unprotected(rtp: sealed(101, by: pair.near)).result == .replay)
        #expect(pair.far.unprotected(rtp: sealed(1123, by: pair.near)).result == .replay)
        #expect(pair.far.unprotected(rtp: sealed(1125, by: pair.near)).result == .ok(16))
        #expect(
            pair.far.unprotected(rtp: sealed(99, by: pair.near)).result == .replay,
            "older than the window"
        )
    }

    @Test(arguments: SRTPTestTransform.all)
    func everyTamperedByteIsRefused(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 2)
        let pair = try SRTPPair(to: transform, random: &random)
        let packet = SRTPTestPacket(sequence: 1000, ssrc: 77, random: &random)
        let good = packet.protected(by: pair.near.sender, ssrc: 77, index: 1000)
        for i in good.indices {
            var bad = good
            bad[i] ^= 1 << UInt8.random(in: 0...7, using: &random)
            let result = pair.far.unprotected(rtp: bad).result
            try #require(result == .authentication || result == .malformed, "byte \(i): \(result)")
        }
        for cut in 0..<good.count {
            let result = pair.far.unprotected(rtp: Array(good[..<cut])).result
            try #require(result == .authentication || result == .malformed, "cut at \(cut): \(result)")
        }
        #expect(
            pair.far.unprotected(rtp: good).bytes == packet.bytes,
            "the forgeries must have left no trace"
        )
    }

    @Test(arguments: SRTPTestTransform.all)
    func everyTamperedReportByteIsRefused(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 3)
        let pair = try SRTPPair(to: transform, random: &random)
        let report = srtpBytes("80c90001000000ff") + srtpBytes("81ca000200000063010161ff")
        let good = pair.near.protected(rtcp: report)
        for i in good.indices {
            var bad = good
            bad[i] ^= 1 << UInt8.random(in: 0...7, using: &random)
            let result = pair.far.unprotected(rtcp: bad).result
            try #require(result == .authentication || result == .malformed, "byte \(i): \(result)")
        }
        #expect(pair.far.unprotected(rtcp: good).bytes == report)
        #expect(pair.far.unprotected(rtcp: good).result == .replay)
    }

    @Test(arguments: SRTPTestTransform.all)
    func reportsBothWays(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 4)
        let pair = try SRTPPair(to: transform, random: &random)
        for n in 0..<200 {
            let words = Int.random(in: 1...100, using: &random)
            let report = [0x80, 201, 0, UInt8(words), 0, 0, 0, UInt8(n % 7)] + random.bytes(4 * (words - 1))
            let (from, to) = n % 2 == 0 ? (pair.near, pair.far) : (pair.far, pair.near)
            let protected = from.protected(rtcp: report)
            try #require(protected.count > report.count && protected.count <= report.count + 64)
            try #require(to.unprotected(rtcp: protected).bytes == report, "report \(n)")
        }
    }

    @Test(arguments: SRTPTestTransform.all)
    func malformedIsNotTouched(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 5)
        let pair = try SRTPPair(to: transform, random: &random)
        for length in 0..<40 {
            let bytes = random.bytes(length)
            #expect(pair.far.unprotected(rtp: bytes).bytes.isEmpty)
            #expect(pair.far.unprotected(rtcp: bytes).bytes.isEmpty)
        }
        #expect(pair.far.unprotected(rtp: [UInt8](repeating: 0x80, count: 3000)).result == .malformed)
        // An extension that claims more than there is.
        var liar = SRTPTestPacket(sequence: 1, ssrc: 1, payload: [0xbe, 0xde, 0xff, 0xff, 0, 0, 0, 0])
        liar.bytes[0] |= 0x10
        let result = pair.far.unprotected(rtp: liar.bytes + random.bytes(transform.profile.tagLength)).result
        #expect(result == .malformed || result == .authentication)
    }

    /// RFC 3711 §3.3.1 with reordering around the wrap.
    @Test(arguments: SRTPTestTransform.all)
    func guessesThePeersRollover(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 6)
        let pair = try SRTPPair(to: transform, random: &random)
        for index in [65533, 65535, 65536, 65537, 65534, 65538, 82630, 115_000] as [UInt64] {
            #expect(
                pair.far.unprotected(rtp: sealed(index, by: pair.near)).result == .ok(16),
                "index \(index)"
            )
        }
    }

    /// The first packets, before the wrap, were lost.
    @Test(arguments: SRTPTestTransform.all)
    func streamFirstHeardAfterItsWrap(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 7)
        let pair = try SRTPPair(to: transform, random: &random)
        for index in [65539, 65540, 65536, 70000, 100_000, 131_073] as [UInt64] {
            let opened = pair.far.unprotected(rtp: sealed(index, by: pair.near))
            #expect(opened.result == .ok(16), "index \(index)")
            #expect(opened.bytes.suffix(4) == [1, 2, 3, 4])
        }
        #expect(pair.far.unprotected(rtp: sealed(131_073, by: pair.near)).result == .replay)
    }

    @Test(arguments: SRTPTestTransform.all)
    func senderReportBeforeTheFirstPacketAfterAWrap(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 17)
        let pair = try SRTPPair(to: transform, random: &random)
        let report = srtpBytes("80c9000100000001")
        #expect(pair.far.unprotected(rtcp: pair.near.protected(rtcp: report)).bytes == report)
        // A forgery that is tried with ROC 1 must not leave it behind.
        let forged = SRTPTestPacket(sequence: 40, ssrc: 1, payload: random.bytes(60))
        #expect(pair.far.unprotected(rtp: forged.bytes).result == .authentication)
        #expect(pair.far.unprotected(rtp: sealed(65539, by: pair.near)).result == .ok(16))
        #expect(pair.far.unprotected(rtp: sealed(65540, by: pair.near)).result == .ok(16))
        #expect(pair.far.unprotected(rtp: sealed(65540, by: pair.near)).result == .replay)
        #expect(pair.far.unprotected(rtcp: pair.near.protected(rtcp: report)).bytes == report)
    }

    @Test(arguments: SRTPTestTransform.all)
    func failedGuessLeavesTheRolloverCounterAlone(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 19)
        let pair = try SRTPPair(to: transform, random: &random)
        let report = srtpBytes("80c9000100000001")
        #expect(pair.far.unprotected(rtcp: pair.near.protected(rtcp: report)).bytes == report)
        let forged = SRTPTestPacket(sequence: 40, ssrc: 1, payload: random.bytes(60))
        #expect(pair.far.unprotected(rtp: forged.bytes).result == .authentication)
        #expect(pair.far.unprotected(rtp: sealed(50, by: pair.near)).result == .ok(16), "ROC 0")
        #expect(pair.far.unprotected(rtcp: pair.near.protected(rtcp: report)).bytes == report)
    }

    /// RTP and RTCP of one SSRC are keyed apart, so neither disturbs the other's state.
    @Test(arguments: SRTPTestTransform.all)
    func bothKindsOfOneStream(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 18)
        let pair = try SRTPPair(to: transform, random: &random)
        for n in 0..<300 as Range<UInt64> {
            try #require(pair.far.unprotected(rtp: sealed(65500 + n, by: pair.near)).result == .ok(16))
            let report = srtpBytes("80c9000100000001")
            try #require(pair.far.unprotected(rtcp: pair.near.protected(rtcp: report)).bytes == report)
        }
        pair.far.forgetRemoteStream(ssrc: 1)
        #expect(
            pair.far.unprotected(rtp: sealed(65800, by: pair.near)).result == .ok(16),
            "ROC 1 is guessed anew"
        )
    }

    @Test func guessesAreLimited() throws {
        var random = SRTPTestRandom(state: 8)
        let pair = try SRTPPair(.aeadAES128GCM, random: &random)
        for n in 0..<Limits.SRTP.rolloverGuesses {
            let forged = SRTPTestPacket(sequence: 5, ssrc: UInt32(n), payload: random.bytes(40))
            #expect(pair.far.unprotected(rtp: forged.bytes).result == .authentication)
        }
        #expect(pair.far.unprotected(rtp: sealed(65539, by: pair.near)).result == .authentication)
        #expect(pair.far.unprotected(rtp: sealed(3, by: pair.near)).result == .ok(16))
    }

    @Test func streamsAreLimitedAndForgotten() throws {
        var random = SRTPTestRandom(state: 9)
        let pair = try SRTPPair(.aeadAES128GCM, random: &random)
        let limit = UInt32(Limits.SRTP.remoteStreams)
        for ssrc in 0..<limit {
            #expect(pair.far.unprotected(rtp: sealed(10, ssrc: ssrc, by: pair.near)).result == .ok(16))
        }
        #expect(pair.far.unprotected(rtp: sealed(10, ssrc: limit, by: pair.near)).result == .streamLimit)
        let report = pair.near.protected(rtcp: srtpBytes("80c90001000fffff"))
        #expect(pair.far.unprotected(rtcp: report).result == .streamLimit)
        pair.far.forgetRemoteStream(ssrc: 5)
        pair.far.forgetRemoteStream(ssrc: 5)
        #expect(pair.far.unprotected(rtp: sealed(10, ssrc: limit, by: pair.near)).result == .ok(16))
        #expect(pair.far.unprotected(rtp: sealed(11, ssrc: 5, by: pair.near)).result == .streamLimit)
        #expect(
            pair.far.unprotected(rtp: sealed(10, ssrc: 6, by: pair.near)).result == .replay,
            "others stay"
        )
    }

    @Test(arguments: SRTPProfile.allCases)
    func keysOfTheWrongLengthAreRefused(profile: SRTPProfile) {
        let key = [UInt8](repeating: 1, count: profile.keyLength)
        let salt = [UInt8](repeating: 2, count: profile.saltLength)
        #expect(throws: SRTPError.keyLength) {
            try SRTPContext(
                profile: profile,
                localKey: key + [0],
                localSalt: salt,
                remoteKey: key,
                remoteSalt: salt
            )
        }
        #expect(throws: SRTPError.keyLength) {
            try SRTPContext(
                profile: profile,
                localKey: key,
                localSalt: salt,
                remoteKey: key,
                remoteSalt: []
            )
        }
    }

    @Test func directionsHaveTheirOwnKeys() throws {
        var random = SRTPTestRandom(state: 10)
        let pair = try SRTPPair(.aes128CMSHA1_80, random: &random)
        #expect(pair.near.unprotected(rtp: sealed(10, by: pair.near)).result == .authentication)
        #expect(pair.near.unprotected(rtp: sealed(10, by: pair.far)).result == .ok(16))
    }
}
