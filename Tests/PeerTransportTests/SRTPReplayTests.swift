// Windows of indices against a plain list of what came, and the guess of the rollover counter against the RFC's own words.
import RTP
import Testing

@testable import PeerTransport

struct SRTPReplayTests {
    /// RFC 3711 appendix A as it stands there, but that nothing comes before ROC 0.
    private func appendixA(highest: UInt64, sequence: UInt16) -> UInt64 {
        let last = Int(highest & 0xffff), rollover = Int(highest >> 16), sequence = Int(sequence)
        var guess = rollover
        if last < 32_768 {
            if sequence - last > 32_768 { guess = rollover - 1 }
        } else if last - 32_768 > sequence {
            guess = rollover + 1
        }
        return UInt64(max(guess, 0)) << 16 | UInt64(sequence)
    }

    @Test(arguments: [UInt64(1), 2])
    func guessesAsTheRFCSays(seed: UInt64) throws {
        var random = SRTPTestRandom(state: seed)
        let edges: [UInt16] = [0, 1, 2, 32_766, 32_767, 32_768, 32_769, 32_770, 65_534, 65_535]
        for n in 0..<40_000 {
            let isEdge = n % 2 == 0
            let last = isEdge ? edges[n / 2 % 10] : UInt16.random(in: 0...65_535, using: &random)
            let sequence = isEdge ? edges[n / 20 % 10] : UInt16.random(in: 0...65_535, using: &random)
            let rollover = [0, 1, 2, 0xffff_fffe, UInt64.random(in: 0..<0xffff_ffff, using: &random)][
                n / 200 % 5
            ]
            let highest = rollover << 16 | UInt64(last)
            let window = SRTPReplayWindow(first: highest)
            defer { window.free() }
            try #require(
                window.index(of: sequence) == appendixA(highest: highest, sequence: sequence),
                "\(sequence) after \(highest)"
            )
        }
    }

    /// Steps of all kinds, early and late, against a list of all that came.
    @Test(arguments: [UInt64(3), 4, 5])
    func remembersWhatCame(seed: UInt64) throws {
        var random = SRTPTestRandom(state: seed)
        let size = UInt64(Limits.SRTP.replayWindow)
        var highest = UInt64.random(in: 0..<100_000, using: &random)
        let window = SRTPReplayWindow(first: highest)
        defer { window.free() }
        var came: Set<UInt64> = [highest]
        for n in 0..<30_000 {
            let index =
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<4: highest + 1
                case 4: highest + UInt64.random(in: 1...70, using: &random)
                case 5 where n % 10 == 0: highest + UInt64.random(in: 1...(2 * size), using: &random)
                case 6 where n % 100 == 0: highest + size + UInt64.random(in: 0...2, using: &random)
                default: highest - min(highest, UInt64.random(in: 0...(size + 4), using: &random))
                }
            let isNew = index > highest || (highest - index < size && !came.contains(index))
            try #require(
                window.accepts(index) == isNew,
                "seed \(seed), step \(n): \(index), highest \(highest)"
            )
            guard isNew, n % 7 != 0 else { continue }
            window.add(index)
            came.insert(index)
            highest = max(highest, index)
        }
        #expect(came.count > 10_000)
    }

    @Test func aKeyEndsWithItsLastIndex() {
        let window = SRTPReplayWindow(first: SRTPReplayWindow.lastIndex - 1)
        defer { window.free() }
        #expect(window.accepts(SRTPReplayWindow.lastIndex))
        window.add(SRTPReplayWindow.lastIndex)
        #expect(window.index(of: 0) == SRTPReplayWindow.lastIndex + 1)
        #expect(!window.accepts(window.index(of: 0)))
        #expect(!window.accepts(SRTPReplayWindow.lastIndex))
        #expect(window.accepts(SRTPReplayWindow.lastIndex - 2))
    }

    @Test(arguments: [UInt64(6), 7])
    func remembersReports(seed: UInt64) throws {
        var random = SRTPTestRandom(state: seed)
        var window = SRTCPReplayWindow()
        #expect(window.accepts(0) && window.accepts(0x7fff_ffff))
        var highest = UInt32.random(in: 0..<1000, using: &random)
        window.add(highest)
        var came: Set<UInt32> = [highest]
        for n in 0..<30_000 {
            let index =
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<4: highest + 1
                case 4: highest + UInt32.random(in: 1...200, using: &random)
                default: highest - min(highest, UInt32.random(in: 0...132, using: &random))
                }
            let isNew = index > highest || (highest - index < 128 && !came.contains(index))
            try #require(
                window.accepts(index) == isNew,
                "seed \(seed), step \(n): \(index), highest \(highest)"
            )
            guard isNew, n % 7 != 0 else { continue }
            window.add(index)
            came.insert(index)
            highest = max(highest, index)
        }
        #expect(window.accepts(0x7fff_ffff))
    }

    @Test func indexNoughtIsSeenOnce() {
        var reports = SRTCPReplayWindow()
        reports.add(0)
        #expect(!reports.accepts(0) && reports.accepts(1))
        let packets = SRTPReplayWindow(first: 0)
        defer { packets.free() }
        #expect(!packets.accepts(0) && packets.accepts(1))
    }

    /// Against a dictionary, with as many SSRCs as there may be.
    @Test func tableOfStreams() throws {
        var random = SRTPTestRandom(state: 8)
        var table = SRTPRemoteStreams()
        defer { table.free() }
        var known: [UInt32: UInt64] = [:]
        for n in 0..<20_000 {
            let ssrc = UInt32.random(in: 0..<200, using: &random)
            let found = table.find(ssrc)?.pointee
            try #require((found != nil) == (known[ssrc] != nil), "step \(n)")
            try #require(table.count == known.count)
            try #require(table.isFull == (known.count == Limits.SRTP.remoteStreams))
            if let index = known[ssrc] {
                try #require(found?.ssrc == ssrc)
                try #require(found?.packets?.accepts(index) == false, "step \(n)")
                try #require(found?.packets?.accepts(index + 1) == true, "step \(n)")
                if Int.random(in: 0..<3, using: &random) == 0 {
                    table.remove(ssrc)
                    known[ssrc] = nil
                }
            } else if !table.isFull {
                known[ssrc] = UInt64(n)
                table.add(ssrc).pointee.packets = SRTPReplayWindow(first: UInt64(n))
            } else {
                table.remove(ssrc)
            }
        }
    }
}
