import RTP
import Seam
import Testing

@testable import SFU

@Suite struct DemandTests {
    private let start = Instant(microseconds: 1_000_000)
    private typealias Tile = Wishes.Tile

    /// Everybody is counted: these encodings are wanted. Returns whether the publisher must be told.
    private func count(_ demand: inout Demand, _ wanted: [Int], at now: Instant) -> Bool {
        demand.begin()
        for encoding in wanted { demand.want(encoding, for: Tile(width: 640, height: 360)) }
        demand.settle(at: now)
        return demand.isNews(at: now)
    }

    private func active(_ demand: Demand) -> [Bool] {
        (0..<3).map { demand.encoding($0, rid: nil).active }
    }

    @Test func everythingIsSentUntilSomebodyIsToldOtherwise() {
        let demand = Demand(encodings: 3)
        #expect(active(demand) == [true, true, true])
    }

    @Test func whatNobodyWantsIsSwitchedOffAfterAWhile() {
        var demand = Demand(encodings: 3)
        let first = count(&demand, [1], at: start)
        let before = count(&demand, [1], at: start + Limits.Media.demandDelay - .milliseconds(1))
        #expect(!first && !before && active(demand) == [true, true, true])
        let due = count(&demand, [1], at: start + Limits.Media.demandDelay)
        #expect(due && active(demand) == [false, true, false])
        let again = count(&demand, [1], at: start + .seconds(60))
        #expect(!again)
    }

    @Test func whatSomebodyWantsIsSwitchedOnAtOnce() {
        var demand = Demand(encodings: 3)
        _ = count(&demand, [1], at: start)
        _ = count(&demand, [1], at: start + .seconds(4))
        let now = start + .seconds(5)
        let isNews = count(&demand, [0, 1], at: now)
        #expect(isNews && active(demand) == [true, true, false])
        // And off again only after the whole delay.
        let early = count(&demand, [1], at: now + Limits.Media.demandDelay - .milliseconds(1))
        #expect(!early)
        let late = count(&demand, [1], at: now + Limits.Media.demandDelay + Limits.Media.demandDelay)
        #expect(late && active(demand) == [false, true, false])
    }

    /// A tile that flaps does not switch a camera on and off.
    @Test func theDelayStartsAnewWithEachWish() {
        var demand = Demand(encodings: 3)
        var states: Set<[Bool]> = []
        for step in Int64(0)..<40 {
            _ = count(&demand, step % 4 == 0 ? [0, 1, 2] : [1], at: start + .milliseconds(700 * step))
            states.insert(active(demand))
        }
        #expect(states == [[true, true, true]])
    }

    @Test func thatTimeHasComeIsNoticedWithoutAnotherCount() {
        var demand = Demand(encodings: 2)
        _ = count(&demand, [], at: start)
        let isNews = demand.isNews(at: start + Limits.Media.demandDelay)
        #expect(isNews && !demand.encoding(0, rid: "q").active && !demand.encoding(1, rid: "h").active)
    }

    // MARK: Room

    /// Encoding 2 is what a tile is for; whether there is room for it varies.
    private func count(_ demand: inout Demand, hasRoom: Bool, at now: Instant) -> Bool {
        demand.begin()
        for encoding in 0..<3 { demand.want(encoding, for: nil, hasRoom: encoding < 2 || hasRoom) }
        demand.settle(at: now)
        return demand.isNews(at: now)
    }

    @Test func whatNobodyHasRoomForIsSwitchedOffLater() {
        var demand = Demand(encodings: 3)
        _ = count(&demand, hasRoom: false, at: start)
        let early = count(&demand, hasRoom: false, at: start + Limits.Media.roomDelay - .milliseconds(1))
        #expect(!early)
        let due = count(&demand, hasRoom: false, at: start + Limits.Media.roomDelay)
        #expect(due && active(demand) == [true, true, false])
        let back = count(&demand, hasRoom: true, at: start + .seconds(20))
        #expect(back && active(demand) == [true, true, true])
    }

    /// One who has room is enough.
    @Test func roomOfOneViewerCounts() {
        for order in [[true, false], [false, true]] {
            var demand = Demand(encodings: 3)
            for second in Int64(0)..<20 {
                demand.begin()
                for hasRoom in order { demand.want(2, for: nil, hasRoom: hasRoom) }
                demand.settle(at: start + .seconds(second))
                _ = demand.isNews(at: start + .seconds(second))
            }
            #expect(active(demand)[2])
        }
    }

    /// Each time that it was needed again soon, it stays twice as long; a quiet minute forgives.
    @Test func whatIsNeededAgainSoonStaysLonger() {
        var demand = Demand(encodings: 3)
        var now = start
        func timeUntilOff() -> Int64 {
            let since = now
            while active(demand)[2] && now - since < .seconds(100) {
                _ = count(&demand, hasRoom: false, at: now)
                now = now + .milliseconds(500)
            }
            return (now - since).milliseconds / 1000
        }
        var times: [Int64] = []
        for _ in 0..<5 {
            times.append(timeUntilOff())
            now = now + .seconds(10)
            _ = count(&demand, hasRoom: true, at: now)
        }
        #expect(times == [5, 10, 20, 40, 40])
        now = now + Limits.Media.roomMemory + .seconds(1)
        _ = count(&demand, hasRoom: true, at: now)
        #expect(timeUntilOff() == 5)
    }

    @Test func whatIsAskedForMayComeForAWhile() {
        var demand = Demand(encodings: 3)
        #expect(demand.mayCome(2, at: start))
        _ = count(&demand, hasRoom: true, at: start)
        #expect(demand.mayCome(2, at: start + Limits.Media.encodingStart - .milliseconds(1)))
        #expect(!demand.mayCome(2, at: start + Limits.Media.encodingStart))
        _ = count(&demand, hasRoom: false, at: start + .seconds(10))
        #expect(demand.mayCome(2, at: start + .seconds(60)))
        #expect(!demand.mayCome(3, at: start) && !demand.mayCome(-1, at: start))
    }

    // MARK: Bounds

    /// These tiles show encoding 0 for as long as it takes until the publisher hears of it.
    private func told(_ tiles: [Tile?], by demand: inout Demand, from time: Instant)
        -> PublicationDemand.Encoding
    {
        for now in [time, time + Limits.Media.demandDelay] {
            demand.begin()
            for tile in tiles { demand.want(0, for: tile) }
            demand.settle(at: now)
            _ = demand.isNews(at: now)
        }
        return demand.encoding(0, rid: "h")
    }

    @Test func theLargestOfAllTilesIsAskedFor() {
        var demand = Demand(encodings: 3)
        let wish = told(
            [
                Tile(width: 640, height: 100, maxFrameRate: 15),
                Tile(width: 320, height: 360, maxFrameRate: 30),
            ],
            by: &demand,
            from: start
        )
        #expect(wish.rid == "h" && wish.maxWidth == 640 && wish.maxHeight == 360 && wish.maxFrameRate == 30)
        let gone = told([], by: &demand, from: start + .seconds(10))
        #expect(!gone.active && gone.maxWidth == 0)
    }

    /// 0 is no bound: whoever has none undoes those of the others, whether it comes first or last.
    @Test(arguments: [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]])
    func oneWithoutABoundUndoesAllBounds(order: [Int]) {
        let tiles: [Tile?] = [
            nil, Tile(width: 640, height: 360, maxFrameRate: 15), Tile(width: 320, height: 180),
        ]
        var demand = Demand(encodings: 1)
        let wish = told(order.map { tiles[$0] }, by: &demand, from: start)
        #expect(wish.maxWidth == 0 && wish.maxHeight == 0 && wish.maxFrameRate == 0)
        let later = start + .seconds(10)
        let bounded = told(order.filter { $0 > 0 }.map { tiles[$0] }, by: &demand, from: later)
        #expect(bounded.maxWidth == 640 && bounded.maxHeight == 360 && bounded.maxFrameRate == 0)
    }

    /// A smaller tile is told after a while and a larger one at once: a sender may leave out layers that fill no tile.
    @Test func smallerIsToldLateAndLargerAtOnce() {
        var demand = Demand(encodings: 1)
        func look(_ tile: Tile, _ time: Instant) -> (isNews: Bool, width: UInt16) {
            demand.begin()
            demand.want(0, for: tile)
            demand.settle(at: time)
            return (demand.isNews(at: time), demand.encoding(0, rid: nil).maxWidth)
        }
        let small = Tile(width: 320, height: 180)
        let large = Tile(width: 1280, height: 720)
        #expect(look(large, start) == (false, 0))
        #expect(look(large, start + .seconds(3)) == (true, 1280))
        #expect(look(small, start + .seconds(4)) == (false, 1280))
        #expect(look(small, start + .milliseconds(6999)) == (false, 1280))
        #expect(look(small, start + .seconds(7)) == (true, 320))
        #expect(look(large, start + .seconds(8)) == (true, 1280))
        // So little is not worth an encoder's restart.
        #expect(look(Tile(width: 1000, height: 600), start + .seconds(20)) == (false, 1280))
        #expect(look(Tile(width: 1000, height: 600), start + .seconds(40)) == (false, 1280))
        // And what is only narrower may need every layer for its height.
        #expect(look(Tile(width: 300, height: 720), start + .seconds(60)) == (false, 1280))
        #expect(look(Tile(width: 300, height: 720), start + .seconds(80)) == (false, 1280))
    }

    @Test func fewerPicturesAreToldLateAndMoreAtOnce() {
        var demand = Demand(encodings: 1)
        let slow = [Tile(width: 0, height: 0, maxFrameRate: 8)] as [Tile?]
        #expect(told(slow, by: &demand, from: start).maxFrameRate == 8)
        demand.begin()
        demand.want(0, for: Tile(width: 0, height: 0, maxFrameRate: 20))
        demand.settle(at: start + .seconds(9))
        let isNews = demand.isNews(at: start + .seconds(9))
        #expect(isNews && demand.encoding(0, rid: nil).maxFrameRate == 20)
    }

    @Test func encodingsThatAreNotThereAreNotWanted() {
        var demand = Demand(encodings: 9)
        demand.begin()
        for index in [-1, 4, 100] { demand.want(index, for: nil) }
        demand.settle(at: start)
        let isNews = demand.isNews(at: start + Limits.Media.demandDelay)
        #expect(isNews && (0..<4).allSatisfy { !demand.encoding($0, rid: nil).active })
    }
}
