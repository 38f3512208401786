// What comes in, against libsrtp2: the same datagrams to both, in any order, doubled and damaged, over several rollovers. What one
// lets through the other does, to the byte; what is refused is as it came.
import RTP
import Testing

@testable import PeerTransport

struct SRTPReceiverTests {
    /// Datagrams in the order of their sending, mixed up over `reach` places, some of them lost or twice.
    private func shuffled<Datagram>(
        _ sent: [Datagram],
        reach: Int,
        _ random: inout SRTPTestRandom
    ) -> [Datagram] {
        var places: [(Int, Datagram)] = []
        for (n, datagram) in sent.enumerated() {
            // The first one says where the numbers begin.
            guard n > 0 else {
                places.append((-1, datagram))
                continue
            }
            let isLate = Int.random(in: 0..<8, using: &random) == 0
            if Int.random(in: 0..<20, using: &random) == 0 { continue }
            places.append((n + (isLate ? Int.random(in: 0...reach, using: &random) : 0), datagram))
            if Int.random(in: 0..<10, using: &random) == 0 {
                places.append((n + Int.random(in: 0...reach, using: &random), datagram))
            }
        }
        return places.enumerated().sorted { ($0.element.0, $0.offset) < ($1.element.0, $1.offset) }
            .map { $0.element.1 }
    }

    /// A flipped bit, a cut, bytes too many.
    private func damaged(_ bytes: [UInt8], _ random: inout SRTPTestRandom) -> [UInt8] {
        var bad = bytes
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bad = Array(bytes.prefix(Int.random(in: 0..<bytes.count, using: &random)))
        case 1: bad += random.bytes(Int.random(in: 1...20, using: &random))
        default:
            bad[Int.random(in: 0..<bad.count, using: &random)] ^= 1 << UInt8.random(in: 0...7, using: &random)
        }
        return bad
    }

    @Test(arguments: SRTPTestTransform.all, [UInt64(31), 32])
    func takesWhatLibsrtpTakes(transform: SRTPTestTransform, seed: UInt64) throws {
        var random = SRTPTestRandom(state: seed)
        let pair = try SRTPPair(to: transform, random: &random)
        let from = SRTPOracle(transform.profile, key: pair.nearKey, salt: pair.nearSalt)
        let peer = SRTPOracle(transform.profile, key: pair.nearKey, salt: pair.nearSalt, isInbound: true)
        let ssrc = UInt32(truncatingIfNeeded: random.next())
        var index = UInt64.random(in: 0x8000..<0xfff0, using: &random)
        var sent: [(index: UInt64, plain: [UInt8], sealed: [UInt8])] = []
        for n in 0..<4000 {
            let packet = SRTPTestPacket(
                sequence: UInt16(truncatingIfNeeded: index),
                ssrc: ssrc,
                random: &random
            )
            sent.append((index, packet.bytes, from.protected(packet.bytes)))
            index += n % 500 == 0 ? UInt64.random(in: 1000...0x6fff, using: &random) : n % 9 == 0 ? 20 : 1
        }
        #expect(index > 1 << 16, "seed \(seed)")
        var opened = 0, refused = 0, replays = 0
        for (n, datagram) in shuffled(sent, reach: 1300, &random).enumerated() {
            if n > 0, Int.random(in: 0..<4, using: &random) == 0 {
                let bad = damaged(datagram.sealed, &random)
                let ours = pair.far.unprotected(rtp: bad), theirs = peer.unprotected(rtp: bad)
                try #require(
                    ours.bytes.isEmpty && theirs.bytes.isEmpty,
                    "seed \(seed), \(n): \(srtpHex(bad))"
                )
                refused += 1
            }
            let ours = pair.far.unprotected(rtp: datagram.sealed)
            let theirs = peer.unprotected(rtp: datagram.sealed)
            try #require(ours == theirs, "seed \(seed), datagram \(n), index \(datagram.index)")
            try #require(ours.bytes.isEmpty || ours.bytes == datagram.plain, "seed \(seed), datagram \(n)")
            if ours.result == .replay { replays += 1 }
            if case .ok = ours.result { opened += 1 }
        }
        #expect(opened > 3000 && refused > 700 && replays > 200, "\(opened), \(refused), \(replays)")
    }

    @Test(arguments: SRTPTestTransform.all, [UInt64(41), 42])
    func takesTheReportsThatLibsrtpTakes(transform: SRTPTestTransform, seed: UInt64) throws {
        var random = SRTPTestRandom(state: seed)
        let pair = try SRTPPair(to: transform, random: &random)
        let from = SRTPOracle(transform.profile, key: pair.nearKey, salt: pair.nearSalt)
        let peer = SRTPOracle(transform.profile, key: pair.nearKey, salt: pair.nearSalt, isInbound: true)
        let ssrc = random.bytes(4)
        let sent = (0..<2500).map { _ in
            let words = Int.random(in: 0...(Bool.random(using: &random) ? 12 : 300), using: &random)
            let report = [0x80, 201, UInt8(words >> 8), UInt8(words & 255)] + ssrc + random.bytes(4 * words)
            return (plain: report, sealed: from.protected(rtcp: report))
        }
        var opened = 0, refused = 0, replays = 0
        for (n, datagram) in shuffled(sent, reach: 180, &random).enumerated() {
            if n > 0, Int.random(in: 0..<3, using: &random) == 0 {
                let bad = damaged(datagram.sealed, &random)
                let ours = pair.far.unprotected(rtcp: bad), theirs = peer.unprotected(rtcp: bad)
                try #require(
                    ours.bytes.isEmpty && theirs.bytes.isEmpty,
                    "seed \(seed), \(n): \(srtpHex(bad))"
                )
                refused += 1
            }
            let ours = pair.far.unprotected(rtcp: datagram.sealed)
            let theirs = peer.unprotected(rtcp: datagram.sealed)
            try #require(ours == theirs, "seed \(seed), datagram \(n)")
            try #require(ours.bytes.isEmpty || ours.bytes == datagram.plain, "seed \(seed), datagram \(n)")
            if ours.result == .replay { replays += 1 }
            if case .ok = ours.result { opened += 1 }
        }
        #expect(opened > 2000 && refused > 500 && replays > 100, "\(opened), \(refused), \(replays)")
    }

    /// Authentic, but in the clear: the E bit is 0.
    @Test(arguments: SRTPTestTransform.all)
    func reportsMustBeEncrypted(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 43)
        let pair = try SRTPPair(to: transform, random: &random)
        let from = SRTPOracle(
            transform.profile,
            key: pair.nearKey,
            salt: pair.nearSalt,
            encryptsReports: false
        )
        let report = srtpBytes("80c90001000000ff81ca000200000063010161ff")
        let clear = from.protected(rtcp: report)
        let place = transform.profile.isAEAD ? clear.count - 4 : clear.count - 14
        try #require(clear[place] & 0x80 == 0 && clear.starts(with: report))
        #expect(pair.far.unprotected(rtcp: clear) == (.authentication, []))
        var said = clear
        said[place] |= 0x80
        #expect(pair.far.unprotected(rtcp: said) == (.authentication, []))
        #expect(pair.far.unprotected(rtcp: pair.near.protected(rtcp: report)).bytes == report)
    }

    /// We negotiate no MKI (RFC 3711 §3.1): it stands before the tag under AES-CM and behind it under GCM (RFC 7714 §5).
    @Test(arguments: SRTPTestTransform.all)
    func aKeyIdentifierIsNoPartOfAPacket(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 44)
        let pair = try SRTPPair(to: transform, random: &random)
        let packet = SRTPTestPacket(sequence: 7, ssrc: 9, payload: random.bytes(50))
        let good = packet.protected(by: pair.near.sender, ssrc: 9, index: 7)
        let identifier: [UInt8] = [0, 0, 0, 1]
        let tag = transform.profile.tagLength
        #expect(pair.far.unprotected(rtp: good + identifier) == (.authentication, []))
        let inside = good.dropLast(tag) + identifier + good.suffix(tag)
        #expect(pair.far.unprotected(rtp: Array(inside)) == (.authentication, []))
        #expect(pair.far.unprotected(rtp: good).bytes == packet.bytes)
    }

    /// A forgery says that it is far ahead: neither window nor rollover counter follow it.
    @Test(arguments: SRTPTestTransform.all)
    func forgeriesMoveNothing(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 45)
        let pair = try SRTPPair(to: transform, random: &random)
        for n in 0..<300 as Range<UInt64> {
            let index = 65_000 + 4 * n
            let sequence = UInt16(truncatingIfNeeded: index + UInt64.random(in: 0..<0x7000, using: &random))
            let forged = SRTPTestPacket(sequence: sequence, ssrc: 3, payload: random.bytes(40))
            try #require(pair.far.unprotected(rtp: forged.bytes) == (.authentication, []), "index \(index)")
            let packet = SRTPTestPacket(
                sequence: UInt16(truncatingIfNeeded: index),
                ssrc: 3,
                payload: [1, 2, 3]
            )
            let sealed = packet.protected(by: pair.near.sender, ssrc: 3, index: index)
            try #require(pair.far.unprotected(rtp: sealed).bytes == packet.bytes, "index \(index)")
            let report = srtpBytes("80c9000100000003")
            var forgedReport = report + random.bytes(4 + transform.profile.tagLength)
            let word = transform.profile.isAEAD ? forgedReport.count - 4 : 8
            forgedReport.replaceSubrange(word..<word + 2, with: [0xff, 0xff])
            try #require(pair.far.unprotected(rtcp: forgedReport) == (.authentication, []))
            try #require(pair.far.unprotected(rtcp: pair.near.protected(rtcp: report)).bytes == report)
        }
    }

    /// Claims of CSRCs and extensions that reach into the tag, or behind the end.
    @Test(arguments: SRTPTestTransform.all)
    func headersStayBeforeTheTag(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 46)
        let pair = try SRTPPair(to: transform, random: &random)
        let tag = transform.profile.tagLength
        for length in (12 + tag)...120 {
            for sources in 0...15 {
                for words in [nil, 0, 1, 5, 25, 0xffff] as [Int?] {
                    var bytes = SRTPTestPacket(sequence: 9, ssrc: 5, payload: random.bytes(length - 12)).bytes
                    bytes[0] |= UInt8(sources)
                    var header = 12 + 4 * sources
                    if let words {
                        bytes[0] |= 0x10
                        if header + 4 <= length {
                            bytes[header + 2] = UInt8(words >> 8)
                            bytes[header + 3] = UInt8(words & 255)
                        }
                        header += 4 + 4 * words
                    }
                    let expected: SRTPResult = header + tag > length ? .malformed : .authentication
                    try #require(pair.far.unprotected(rtp: bytes) == (expected, []), "\(length), \(header)")
                }
            }
        }
    }

    /// Lengths that no packet has, at the transform itself.
    @Test(arguments: SRTPTestTransform.all)
    func refusesImpossibleLengths(transform: SRTPTestTransform) throws {
        var random = SRTPTestRandom(state: 47)
        let profile = transform.profile
        let keys = try #require(
            SRTPSessionKeys(
                masterKey: random.bytes(profile.keyLength),
                masterSalt: random.bytes(profile.saltLength),
                profile: profile
            )
        )
        let receiver = try #require(SRTPReceiver(profile: profile, keys: keys, gcm: transform.gcm))
        defer { receiver.free() }
        var bytes = [UInt8](repeating: 0x80, count: 2048)
        let tag = profile.tagLength
        #expect(receiver.overhead == tag)
        for (header, length) in [
            (11, 100), (12, 11 + tag), (40, 39 + tag), (12, -1), (12, 1 << 17), (-1, 100), (.max, 100),
        ] {
            #expect(receiver.open(&bytes, headerLength: header, length: length, ssrc: 1, index: 1) == 0)
        }
        for length in [-1, 0, 8, 11 + tag, 1 << 17] {
            #expect(receiver.openRTCP(&bytes, length: length, index: 1) == 0)
        }
        #expect(receiver.openRTCP(&bytes, length: 100, index: 0x8000_0000) == 0)
        for length in [-1, 0, 11 + tag] { #expect(receiver.reportIndex(&bytes, length: length) == nil) }
        #expect(receiver.reportIndex(&bytes, length: 12 + tag) == 0x0080_8080)
        #expect(bytes.allSatisfy { $0 == 0x80 })
    }
}
