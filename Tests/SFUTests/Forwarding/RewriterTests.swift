import RTP
import Testing

@testable import SFU

@Suite struct RewriterTests {
    private let now = Instant(microseconds: 10_000_000)

    private func record(
        _ sequence: Int64, timestamp: UInt32, picture: Int32 = -1, tl0: Int16 = -1, key: Int8 = -1
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
        return withUnsafeMutablePointer(to: &copy) { rewriter.rewrite($0, unless: nil, at: time) }
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
            record(20_001, timestamp: 777_777 + 3000, picture: 13, tl0: 10, key: 3), &rewriter,
            at: now + .milliseconds(66))
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
}

extension Rewritten: Equatable {
    public static func == (a: Rewritten, b: Rewritten) -> Bool {
        a.sequence == b.sequence && a.timestamp == b.timestamp && a.pictureID == b.pictureID
            && a.tl0PictureIndex == b.tl0PictureIndex && a.keyIndex == b.keyIndex
    }
}
