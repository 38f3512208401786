import RTP
import Testing

@testable import SFU

/// What is left out of a stream: its numbers and its picture ids.
@Suite struct RewriterPictureTests {
    private let now = Instant(microseconds: 10_000_000)

    private final class Stream {
        var rewriter = Rewriter(firstSequence: 100, firstTimestamp: 0)
        let ring: ResendRing?
        let bits: UInt8
        let closesPictures: Bool
        let now: Instant

        init(bits: UInt8, closesPictures: Bool, at now: Instant) {
            ring = ResendRing(capacity: 64)
            self.bits = bits
            self.closesPictures = closesPictures
            self.now = now
        }

        func record(_ sequence: Int64, picture: Int32) -> PacketRecord {
            var it = PacketRecord()
            it.sequence = sequence
            it.timestamp = UInt32(truncatingIfNeeded: picture) &* 3000
            it.frame.pictureID = picture
            it.frame.pictureIDBits = bits
            return it
        }
    }

    private func begin(_ stream: Stream, _ sequence: Int64, picture: Int32) {
        stream.rewriter.begin(
            with: stream.record(sequence, picture: picture),
            alignedTimestamp: nil,
            clockRate: 90_000,
            closesPictures: stream.closesPictures,
            at: now
        )
    }

    /// Outgoing number and picture id.
    private func send(_ stream: Stream, _ sequence: Int64, picture: Int32) -> [Int64]? {
        var record = stream.record(sequence, picture: picture)
        let out = withUnsafeMutablePointer(to: &record) {
            stream.rewriter.rewrite($0, endsPicture: true, unless: stream.ring, at: now)
        }
        return out.map { [$0.sequence, Int64($0.pictureID)] }
    }

    private func skip(_ stream: Stream, _ sequence: Int64, picture: Int32) -> Int64? {
        var record = stream.record(sequence, picture: picture)
        return withUnsafeMutablePointer(to: &record) {
            stream.rewriter.skip($0, isPicture: stream.closesPictures)
        }
    }

    // MARK: Numbers

    @Test func whatIsLeftOutInTimeHasNoNumber() {
        let stream = Stream(bits: 15, closesPictures: true, at: now)
        begin(stream, 1, picture: 0)
        let first = send(stream, 1, picture: 0)
        let head = skip(stream, 3, picture: 1)
        // It comes late, but nothing behind it went out.
        let late = skip(stream, 2, picture: 1)
        let next = send(stream, 4, picture: 2)
        #expect(first == [100, 0] && head == nil && late == nil && next == [101, 1])
    }

    /// Its number is behind one that was used: nobody gets it, and whoever asks is told so.
    @Test func whatIsLeftOutTooLateLeavesAVoidNumber() {
        let stream = Stream(bits: 15, closesPictures: true, at: now)
        begin(stream, 1, picture: 0)
        _ = send(stream, 1, picture: 0)
        let behind = send(stream, 4, picture: 2)
        let late = [2, 3].map { skip(stream, $0, picture: 1) }
        let next = send(stream, 5, picture: 3)
        #expect(behind == [103, 2] && late == [101, 102] && next == [104, 3])
        // From before the source began there is none.
        let early = skip(stream, 0, picture: -1)
        #expect(early == nil)
        stream.rewriter.end()
        let ended = skip(stream, 9, picture: 9)
        #expect(ended == nil)
    }

    @Test func latePacketsOfTheSourceBeforeHaveVoidNumbers() {
        let stream = Stream(bits: 15, closesPictures: false, at: now)
        begin(stream, 10, picture: 0)
        _ = send(stream, 10, picture: 0)
        _ = send(stream, 13, picture: 1)
        begin(stream, 500, picture: 70)
        _ = send(stream, 500, picture: 70)
        let void = (Int64(9)...14).map { sequence in
            var record = stream.record(sequence, picture: 0)
            return withUnsafeMutablePointer(to: &record) { stream.rewriter.formerVoid($0) }
        }
        // Before it began, at its places, and behind the switch.
        #expect(void == [nil, 100, 101, 102, 103, nil])
        stream.rewriter.end()
        var record = stream.record(11, picture: 0)
        let ended = withUnsafeMutablePointer(to: &record) { stream.rewriter.formerVoid($0) }
        #expect(ended == nil)
    }

    // MARK: Picture ids

    /// VP8: a receiver takes a missing id for a missing picture.
    @Test func vp8ClosesRanksOverWholePictures() {
        let stream = Stream(bits: 15, closesPictures: true, at: now)
        begin(stream, 1, picture: 0x7ffd)
        var ids: [Int64] = []
        var number: Int64 = 1
        for picture in Int32(0)..<12 {
            let id = (0x7ffd + picture) & 0x7fff
            for _ in 0..<3 {
                if picture % 3 == 1 {
                    _ = skip(stream, number, picture: id)
                } else if let out = send(stream, number, picture: id), ids.last != out[1] {
                    ids.append(out[1])
                }
                number += 1
            }
        }
        #expect(ids == [0x7ffd, 0x7ffe, 0x7fff, 0, 1, 2, 3, 4])
    }

    /// The packets of two pictures that are left out come mixed: each counts once.
    @Test func mixedPacketsOfPicturesCountOnce() {
        let stream = Stream(bits: 15, closesPictures: true, at: now)
        begin(stream, 1, picture: 50)
        _ = send(stream, 1, picture: 50)
        for (sequence, picture) in [(3, 51), (5, 52), (2, 51), (6, 52), (4, 52)] as [(Int64, Int32)] {
            let number = skip(stream, sequence, picture: picture)
            #expect(number == nil)
        }
        let next = send(stream, 7, picture: 53)
        #expect(next == [101, 51])
    }

    @Test func aLatePacketHasTheIdOfItsPicture() {
        let stream = Stream(bits: 15, closesPictures: true, at: now)
        begin(stream, 1, picture: 50)
        _ = send(stream, 1, picture: 50)
        // 2 is missing, 3 is of the same picture.
        _ = send(stream, 3, picture: 51)
        _ = skip(stream, 4, picture: 52)
        let next = send(stream, 5, picture: 53)
        let late = send(stream, 2, picture: 51)
        #expect(next == [103, 52] && late == [101, 51])
    }

    @Test func sevenBitsWrap() {
        let stream = Stream(bits: 7, closesPictures: true, at: now)
        begin(stream, 1, picture: 126)
        let ids = [126, 127, 0, 1].enumerated().map {
            send(stream, Int64($0.offset) + 1, picture: Int32($0.element))?[1]
        }
        #expect(ids == [126, 127, 0, 1])
        // Another source goes on.
        begin(stream, 900, picture: 127)
        let next = [127, 0].enumerated().map {
            send(stream, Int64($0.offset) + 900, picture: Int32($0.element))?[1]
        }
        #expect(next == [2, 3])
    }

    /// VP9 and the dependency descriptor count references in ids (RFC 9628 §4.2; AV1 RTP specification, A.8.2): what
    /// is left out leaves its hole.
    @Test(arguments: [15, 16] as [UInt8]) func referencesKeepTheirDistance(bits: UInt8) {
        let stream = Stream(bits: bits, closesPictures: false, at: now)
        let mask: Int32 = (1 << Int32(bits)) - 1
        begin(stream, 1, picture: 7)
        _ = send(stream, 1, picture: 7)
        begin(stream, 1000, picture: mask - 3)
        var ids: [Int64?] = []
        for step in Int32(0)..<10 {
            let picture = (mask - 3 + step) & mask
            if step % 4 == 2 {
                _ = skip(stream, 1000 + Int64(step), picture: picture)
            } else {
                ids.append(send(stream, 1000 + Int64(step), picture: picture)?[1])
            }
        }
        // One more than the last id of the source before, and then as the sender counts.
        #expect(ids == [8, 9, 11, 12, 13, 15, 16, 17])
    }

    @Test(arguments: [15, 16] as [UInt8]) func idsWrapAtTheirWidth(bits: UInt8) {
        let stream = Stream(bits: bits, closesPictures: false, at: now)
        let mask: Int32 = (1 << Int32(bits)) - 1
        begin(stream, 1, picture: mask - 1)
        let ids = (0..<4).map { send(stream, Int64($0) + 1, picture: (mask - 1 + Int32($0)) & mask)?[1] }
        #expect(ids == [Int64(mask) - 1, Int64(mask), 0, 1])
        begin(stream, 50, picture: 40)
        let next = (0..<2).map { send(stream, Int64($0) + 50, picture: 40 + Int32($0))?[1] }
        #expect(next == [2, 3])
    }

    /// Hidden for a while, or another codec between: the ids go on where they were.
    @Test func idsGoOnBehindASourceWithout() {
        let stream = Stream(bits: 15, closesPictures: true, at: now)
        begin(stream, 1, picture: 9)
        _ = send(stream, 1, picture: 9)
        begin(stream, 70, picture: -1)
        let without = send(stream, 70, picture: -1)
        begin(stream, 300, picture: 4000)
        let with = send(stream, 300, picture: 4000)
        #expect(without == [101, -1] && with == [102, 10])
    }
}
