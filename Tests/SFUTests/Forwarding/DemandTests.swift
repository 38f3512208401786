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
        var news = 0
        for step in Int64(0)..<40 {
            if count(&demand, step % 4 == 0 ? [0, 1, 2] : [1], at: start + .milliseconds(700 * step)) {
                news += 1
            }
        }
        #expect(news == 0 && active(demand) == [true, true, true])
    }

    @Test func thatTimeHasComeIsNoticedWithoutAnotherCount() {
        var demand = Demand(encodings: 2)
        _ = count(&demand, [], at: start)
        let isNews = demand.isNews(at: start + Limits.Media.demandDelay)
        #expect(isNews && !demand.encoding(0, rid: "q").active && !demand.encoding(1, rid: "h").active)
    }

    // MARK: Bounds

    @Test func theLargestOfAllTilesIsAskedFor() {
        var demand = Demand(encodings: 3)
        demand.begin()
        demand.want(1, for: Tile(width: 640, height: 100, maxFrameRate: 15))
        demand.want(1, for: Tile(width: 320, height: 360, maxFrameRate: 30))
        let wish = demand.encoding(1, rid: "h")
        #expect(wish.rid == "h" && wish.maxWidth == 640 && wish.maxHeight == 360 && wish.maxFrameRate == 30)
        #expect(demand.encoding(0, rid: "q").maxWidth == 0)
        demand.begin()
        #expect(demand.encoding(1, rid: "h").maxWidth == 0)
    }

    /// 0 is no bound: whoever has none undoes those of the others, whether it comes first or last.
    @Test(arguments: [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]])
    func oneWithoutABoundUndoesAllBounds(order: [Int]) {
        let tiles: [Tile?] = [
            nil, Tile(width: 640, height: 360, maxFrameRate: 15), Tile(width: 320, height: 180),
        ]
        var demand = Demand(encodings: 1)
        demand.begin()
        for index in order { demand.want(0, for: tiles[index]) }
        let wish = demand.encoding(0, rid: nil)
        #expect(wish.maxWidth == 0 && wish.maxHeight == 0 && wish.maxFrameRate == 0)
        demand.begin()
        for index in order where index > 0 { demand.want(0, for: tiles[index]) }
        let bounded = demand.encoding(0, rid: nil)
        #expect(bounded.maxWidth == 640 && bounded.maxHeight == 360 && bounded.maxFrameRate == 0)
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
