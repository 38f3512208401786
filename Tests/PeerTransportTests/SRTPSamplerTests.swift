// The sampler opens what libsrtp2 protects, in any order, and nothing else.
import Testing

@testable import PeerTransport

struct SRTPSamplerTests {
    private func opened(
        _ sampler: SRTPSampler,
        _ bytes: [UInt8],
        header: Int,
        ssrc: UInt32,
        index: UInt64
    ) -> [UInt8]? {
        bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.flatMap {
                sampler.open($0, headerLength: header, length: buffer.count, ssrc: ssrc, index: index)
            }.map(Array.init)
        }
    }

    @Test(arguments: SRTPProfile.allCases, [UInt64(21), 22])
    func opensWhatLibsrtpProtects(profile: SRTPProfile, seed: UInt64) throws {
        var random = SRTPTestRandom(state: seed)
        let pair = try SRTPPair(profile, random: &random)
        let oracle = SRTPOracle(profile, key: pair.nearKey, salt: pair.nearSalt)
        let sampler = try #require(SRTPSampler(of: pair.far))
        let ssrc = UInt32(truncatingIfNeeded: random.next())
        var index = UInt64(0x7ff0)
        var packets: [(plain: SRTPTestPacket, bytes: [UInt8], index: UInt64)] = []
        for _ in 0..<300 {
            index += UInt64.random(in: 1...0x1ff, using: &random)
            let packet = SRTPTestPacket(
                sequence: UInt16(truncatingIfNeeded: index),
                ssrc: ssrc,
                random: &random
            )
            packets.append((packet, oracle.protected(packet.bytes), index))
        }
        #expect(index > 1 << 16)
        for packet in packets.shuffled(using: &random) {
            let header = packet.plain.headerLength
            let found = opened(sampler, packet.bytes, header: header, ssrc: ssrc, index: packet.index)
            try #require(found == packet.plain.bytes, "seed \(seed), index \(packet.index)")
        }
    }

    @Test(arguments: SRTPProfile.allCases)
    func refusesWhatWasChanged(profile: SRTPProfile) throws {
        var random = SRTPTestRandom(state: 23)
        let pair = try SRTPPair(profile, random: &random)
        let sampler = try #require(SRTPSampler(of: pair.far))
        let packet = SRTPTestPacket(sequence: 500, ssrc: 9, payload: random.bytes(100))
        let bytes = packet.protected(by: pair.near.sender, ssrc: 9, index: 500)
        #expect(opened(sampler, bytes, header: 12, ssrc: 9, index: 500) == packet.bytes)
        for place in [0, 11, 12, 60, bytes.count - 1] {
            var changed = bytes
            changed[place] ^= 1
            #expect(opened(sampler, changed, header: 12, ssrc: 9, index: 500) == nil)
        }
        #expect(opened(sampler, bytes, header: 12, ssrc: 9, index: 500 + 1 << 16) == nil)
        let short = Array(bytes.prefix(12 + profile.tagLength - 1))
        #expect(opened(sampler, short, header: 12, ssrc: 9, index: 500) == nil)
        // Its own direction is not the peer's.
        let own = try #require(SRTPSampler(of: pair.near))
        #expect(opened(own, bytes, header: 12, ssrc: 9, index: 500) == nil)
    }

    private func openedReport(_ sampler: SRTPSampler, _ bytes: [UInt8]) -> [UInt8]? {
        bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.flatMap { sampler.openRTCP($0, length: buffer.count) }.map(Array.init)
        }
    }

    @Test(arguments: SRTPProfile.allCases)
    func opensReportsOfLibsrtp(profile: SRTPProfile) throws {
        var random = SRTPTestRandom(state: 24)
        let pair = try SRTPPair(profile, random: &random)
        let oracle = SRTPOracle(profile, key: pair.nearKey, salt: pair.nearSalt)
        let sampler = try #require(SRTPSampler(of: pair.far))
        let ssrc = random.bytes(4)
        for _ in 0..<100 {
            let words = Int.random(in: 0...200, using: &random)
            let report = [0x80, 201, UInt8(words >> 8), UInt8(words & 255)] + ssrc + random.bytes(4 * words)
            let bytes = oracle.protected(rtcp: report)
            try #require(openedReport(sampler, bytes) == report)
            for place in [1, bytes.count - 1, bytes.count - 13] {
                var changed = bytes
                changed[place] ^= 1
                try #require(openedReport(sampler, changed) == nil)
            }
            #expect(openedReport(sampler, Array(bytes.prefix(11))) == nil)
        }
    }
}
