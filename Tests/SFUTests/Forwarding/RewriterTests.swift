import RTP
import Testing

@testable import SFU

@Suite struct RewriterTests {
    private let now = Instant(microseconds: 10_000_000)

    private func record(
        _ sequence: Int64,
        timestamp: UInt32,
        picture: Int32 = -1,
        tl0: Int16 = -1,
        key: Int8 = -1
    ) -> PacketRecord {
        var record = PacketRecord()
        record.sequence = sequence
        record.timestamp = timestamp
        record.flags = .marker
        record.frame.pictureID = picture
        record.frame.pictureIDBits = 15
        record.frame.tl0PicIndex = tl0
        record.frame.keyIndex = key
        return record
    }

    private func rewrite(_ record: PacketRecord, _ rewriter: inout Rewriter, at time: Instant) -> Rewritten? {
        var copy = record
        return withUnsafeMutablePointer(to: &copy) {
            rewriter.rewrite($0, endsPicture: record.flags.contains(.marker), unless: nil, at: time)
        }
    }

    @Test func theFirstNumberIsBelowHalfTheCircle() {
        let rewriter = Rewriter(firstSequence: 0xffff, firstTimestamp: 0)
        #expect(rewriter.highestSequence == 0x7ffe)
    }

    @Test func aSwitchGoesOnInEveryCounter() {
        var rewriter = Rewriter(firstSequence: 100, firstTimestamp: 5000)
        let first = record(900, timestamp: 1, picture: 0x7fff, tl0: 255, key: 31)
        rewriter.begin(with: first, alignedTimestamp: nil, clockRate: 90_000, at: now)
        let a = rewrite(first, &rewriter, at: now)
        #expect(a?.sequence == 100 && a?.timestamp == 5000)
        #expect(a?.pictureID == 0x7fff && a?.tl0PictureIndex == 255 && a?.keyIndex == 31)
        let other = record(20_000, timestamp: 777_777, picture: 12, tl0: 9, key: 3)
        rewriter.begin(with: other, alignedTimestamp: nil, clockRate: 90_000, at: now + .milliseconds(33))
        let b = rewrite(other, &rewriter, at: now + .milliseconds(33))
        #expect(b?.sequence == 101)
        #expect(b?.timestamp == 7970)
        #expect(b?.pictureID == 0 && b?.tl0PictureIndex == 0 && b?.keyIndex == 0)
        let next = rewrite(
            record(20_001, timestamp: 777_777 + 3000, picture: 13, tl0: 10, key: 3),
            &rewriter,
            at: now + .milliseconds(66)
        )
        #expect(next?.sequence == 102 && next?.timestamp == 5000 + 5970 && next?.pictureID == 1)
    }

    @Test func timestampsNeverGoBack() {
        var rewriter = Rewriter(firstSequence: 0, firstTimestamp: 0xffff_fff0)
        let first = record(1, timestamp: 50)
        rewriter.begin(with: first, alignedTimestamp: nil, clockRate: 90_000, at: now)
        _ = rewrite(first, &rewriter, at: now)
        let other = record(5, timestamp: 60)
        rewriter.begin(with: other, alignedTimestamp: 0xffff_ff00, clockRate: 90_000, at: now)
        #expect(rewrite(other, &rewriter, at: now)?.timestamp == 0xffff_fff1)
    }

    @Test func reportsOfBothLayersDecideWhereTheyAreThere() {
        var rewriter = Rewriter(firstSequence: 0, firstTimestamp: 1000)
        let first = record(1, timestamp: 50)
        rewriter.begin(with: first, alignedTimestamp: nil, clockRate: 90_000, at: now)
        _ = rewrite(first, &rewriter, at: now)
        let other = record(5, timestamp: 60)
        rewriter.begin(with: other, alignedTimestamp: 4000, clockRate: 90_000, at: now + .seconds(9))
        #expect(rewrite(other, &rewriter, at: now)?.timestamp == 4000)
    }

    @Test func packetsFromBeforeTheSwitchAreRefused() {
        var rewriter = Rewriter(firstSequence: 0, firstTimestamp: 0)
        let first = record(10, timestamp: 0)
        rewriter.begin(with: first, alignedTimestamp: nil, clockRate: 48_000, at: now)
        #expect(rewrite(record(9, timestamp: 0), &rewriter, at: now) == nil)
        rewriter.end()
        #expect(rewrite(record(11, timestamp: 0), &rewriter, at: now) == nil)
    }

    /// One number twice with other bytes gives a key away (RFC 7714 §8.1), whatever publishers send.
    @Test(arguments: 0..<40) func noNumberIsHandedOutTwice(seed: UInt64) {
        var random = RandomSource.seeded(seed)
        var rewriter = Rewriter(firstSequence: 7, firstTimestamp: 0)
        let ring: ResendRing? = ResendRing(capacity: 64)
        var given: Set<Int64> = []
        var heads: [Int64] = [500, 9000]
        var source = 0
        var repeated = 0
        for step in 0..<3000 {
            if step == 0 || UInt8.random(in: 0..<60, using: &random) == 0 {
                source = step == 0 ? 0 : 1 - source
                heads[source] += 1
                var first = record(heads[source], timestamp: 0)
                if Bool.random(using: &random) { first.flags = [] }
                rewriter.begin(with: first, alignedTimestamp: nil, clockRate: 90_000, at: now)
            }
            let jump = Int64.random(in: -70...3, using: &random)
            let isFormer = UInt8.random(in: 0..<4, using: &random) == 0
            var packet = record(heads[isFormer ? 1 - source : source] + jump, timestamp: 0)
            if Bool.random(using: &random) { packet.flags = [] }
            if !isFormer { heads[source] = max(heads[source], packet.sequence) }
            if UInt8.random(in: 0..<8, using: &random) == 0 {
                var skipped = PacketRecord()
                skipped.sequence = heads[source] + 1
                let number = rewriter.skip(&skipped, isPicture: false)
                #expect(number == nil)
            }
            let out = withUnsafeMutablePointer(to: &packet) {
                isFormer
                    ? rewriter.rewriteFormer($0, endsPicture: true, unless: ring)
                    : rewriter.rewrite($0, endsPicture: true, unless: ring, at: now)
            }
            guard let out else { continue }
            if !given.insert(out.sequence).inserted { repeated += 1 }
            ring?.note(SentPacket(sequence: out.sequence))
        }
        #expect(repeated == 0 && given.count > 40, "seed \(seed)")
    }

    @Test func aFrameThatIsBrokenOffLeavesOneNumberOut() {
        var rewriter = Rewriter(firstSequence: 100, firstTimestamp: 0)
        var first = record(1, timestamp: 0)
        first.flags = []
        rewriter.begin(with: first, alignedTimestamp: nil, clockRate: 90_000, at: now)
        #expect(rewrite(first, &rewriter, at: now)?.sequence == 100)
        let other = record(70, timestamp: 5)
        rewriter.begin(with: other, alignedTimestamp: nil, clockRate: 90_000, at: now)
        #expect(rewrite(other, &rewriter, at: now)?.sequence == 102)
    }

    @Test func aLatePacketOfTheSourceBeforeFindsItsPlace() {
        var rewriter = Rewriter(firstSequence: 100, firstTimestamp: 1000)
        let ring: ResendRing? = ResendRing(capacity: 64)
        for sequence in [Int64(10), 12] {
            let packet = record(sequence, timestamp: 10)
            if sequence == 10 {
                rewriter.begin(with: packet, alignedTimestamp: nil, clockRate: 90_000, at: now)
            }
            guard let out = rewrite(packet, &rewriter, at: now) else { continue }
            ring?.note(SentPacket(sequence: out.sequence))
        }
        let other = record(500, timestamp: 90_000)
        rewriter.begin(with: other, alignedTimestamp: nil, clockRate: 90_000, at: now)
        _ = rewrite(other, &rewriter, at: now)
        func late(_ sequence: Int64) -> Int64? {
            var packet = record(sequence, timestamp: 10)
            return withUnsafeMutablePointer(to: &packet) {
                rewriter.rewriteFormer($0, endsPicture: true, unless: ring)?.sequence
            }
        }
        #expect(late(11) == 101)
        // Sent already, from before it began, and behind the switch.
        #expect(late(12) == nil && late(9) == nil && late(13) == nil)
    }
}

extension Rewritten: Equatable {
    public static func == (a: Rewritten, b: Rewritten) -> Bool {
        a.sequence == b.sequence && a.timestamp == b.timestamp && a.pictureID == b.pictureID
            && a.tl0PictureIndex == b.tl0PictureIndex && a.keyIndex == b.keyIndex
    }
}
