import RTP
import Testing

@testable import SFU

@Suite struct BitrateLimitTests {
    private static func limit(_ maximum: UInt32) -> BitrateLimit {
        var limit = BitrateLimit()
        limit.maximum = maximum
        limit.look([0, 0, 0], at: .zero)
        return limit
    }

    private static func at(_ seconds: Int64) -> Instant { .zero + .seconds(seconds) }

    /// Bytes of one second.
    private static func bytes(_ kilobits: Int...) -> [Int] { kilobits.map { $0 * 125 } }

    @Test func whoStaysBelowIsLeftAlone() {
        var limit = Self.limit(1_000_000)
        for second in 1..<20 {
            limit.look(Self.bytes(100, 300, 600), at: Self.at(Int64(second)))
            #expect(!limit.isExceeded && !limit.isShedding && limit.wholeEncodings == 4)
        }
    }

    @Test func withoutAMaximumNothingIsTooMuch() {
        var limit = Self.limit(0)
        for second in 1..<20 {
            limit.look(Self.bytes(100_000), at: Self.at(Int64(second)))
            #expect(!limit.isExceeded && !limit.isShedding)
        }
    }

    /// An encoder that overshoots, and one that is a little above for ever, are told at most.
    @Test func aLittleTooMuchIsNeverDropped() {
        var limit = Self.limit(1_000_000)
        limit.look(Self.bytes(1090), at: Self.at(1))
        #expect(!limit.isExceeded)
        for second in 2..<60 {
            limit.look(Self.bytes(1450), at: Self.at(Int64(second)))
            #expect(limit.isExceeded && !limit.isShedding)
        }
    }

    @Test func aBurstIsNotDropped() {
        var limit = Self.limit(1_000_000)
        for second in 1..<30 {
            limit.look(Self.bytes(second % 3 == 0 ? 500 : 4000), at: Self.at(Int64(second)))
            #expect(!limit.isShedding, "second \(second)")
        }
    }

    @Test func farTooMuchForLongIsDroppedFromTheTopUntilItEnds() {
        var limit = Self.limit(1_000_000)
        for second in 1...2 {
            limit.look(Self.bytes(100, 300, 2000), at: Self.at(Int64(second)))
            #expect(!limit.isShedding)
        }
        limit.look(Self.bytes(100, 300, 2000), at: Self.at(3))
        #expect(limit.isShedding && limit.wholeEncodings == 2)
        limit.look(Self.bytes(100, 1800, 2000), at: Self.at(4))
        #expect(limit.wholeEncodings == 1)
        for second in 5...6 {
            limit.look(Self.bytes(100, 300, 500), at: Self.at(Int64(second)))
            #expect(limit.isShedding && limit.wholeEncodings == 3)
        }
        limit.look(Self.bytes(100, 300, 500), at: Self.at(7))
        #expect(!limit.isShedding && limit.wholeEncodings == 4)
    }

    /// Of the lowest encoding as much is let in as it may send, in whole pictures.
    @Test func ofASingleEncodingPicturesAreChosen() {
        var limit = Self.limit(1_000_000)
        for second in 1...3 { limit.look(Self.bytes(4000), at: Self.at(Int64(second))) }
        #expect(limit.isShedding && limit.wholeEncodings == 0)
        var admitted = 0
        for picture in 0..<300 {
            let now = Self.at(3) + .milliseconds(Int64(picture) * 100 / 3)
            var parts: Set<Bool> = []
            for _ in 0..<14 {
                let isIn = limit.admits(
                    encoding: 0,
                    bytes: 1190,
                    timestamp: UInt32(picture) &* 3000,
                    isRepair: false,
                    at: now
                )
                parts.insert(isIn)
                if isIn { admitted += 1190 }
            }
            #expect(parts.count == 1, "picture \(picture)")
        }
        // Ten seconds, and what was saved up before them.
        let rate = admitted * 8 / 10
        #expect(rate > 900_000 && rate < 1_100_000)
        let repair = limit.admits(encoding: 0, bytes: 10, timestamp: 0, isRepair: true, at: Self.at(20))
        let upper = limit.admits(encoding: 1, bytes: 10, timestamp: 0, isRepair: false, at: Self.at(20))
        #expect(!repair && !upper)
    }

    @Test func aPauseIsNoMeasurement() {
        var limit = Self.limit(1_000_000)
        for second in 1...3 { limit.look(Self.bytes(4000), at: Self.at(Int64(second))) }
        #expect(limit.isShedding)
        limit.look(Self.bytes(40_000), at: Self.at(60))
        #expect(!limit.isShedding && !limit.isExceeded)
    }

    // MARK: What is told

    /// What is told in so many seconds.
    private static func told(
        _ notice: inout BitrateNotice,
        sum: UInt64?,
        isExceeded: Bool,
        seconds: Int
    ) -> [UInt64] {
        var told: [UInt64] = []
        for _ in 0..<seconds {
            if let bitrate = notice.next(sum: sum, isExceeded: isExceeded) { told.append(bitrate) }
        }
        return told
    }

    @Test func theSumIsToldWhileItIsExceededAndAFewTimesMore() {
        var notice = BitrateNotice()
        let before = Self.told(&notice, sum: 1000, isExceeded: false, seconds: 5)
        let during = Self.told(&notice, sum: 1000, isExceeded: true, seconds: 5)
        let after = Self.told(&notice, sum: 1000, isExceeded: false, seconds: 20)
        #expect(before.isEmpty)
        #expect(during == Array(repeating: 1000, count: 5))
        #expect(after == Array(repeating: 1000, count: Limits.BitrateLimit.noticeRepeats))
    }

    /// The sender goes on to keep to what it was told last: more sources must be told as well.
    @Test func anotherSumIsToldToWhoKnowsOne() {
        var notice = BitrateNotice()
        let unknown = Self.told(&notice, sum: 5000, isExceeded: false, seconds: 5)
        let first = Self.told(&notice, sum: 1000, isExceeded: true, seconds: 1)
        _ = Self.told(&notice, sum: 1000, isExceeded: false, seconds: 10)
        let more = Self.told(&notice, sum: 3000, isExceeded: false, seconds: 10)
        // A source without a maximum.
        let unbounded = Self.told(&notice, sum: nil, isExceeded: false, seconds: 10)
        let repeated = 1 + Limits.BitrateLimit.noticeRepeats
        #expect(unknown.isEmpty && first == [1000])
        #expect(more == Array(repeating: 3000, count: repeated))
        #expect(unbounded == Array(repeating: UInt64(Limits.Bandwidth.maximum), count: repeated))
    }

    @Test func withoutAMaximumNothingIsTold() {
        var notice = BitrateNotice()
        let told = Self.told(&notice, sum: nil, isExceeded: true, seconds: 10)
        #expect(told.isEmpty)
    }
}
