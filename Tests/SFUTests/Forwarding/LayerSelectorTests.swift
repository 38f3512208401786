import RTP
import Seam
import Testing

@testable import SFU

@Suite struct LayerSelectorTests {
    private typealias Candidate = LayerSelector.Candidate
    private typealias Tile = Wishes.Tile

    private static let sizes: [(width: UInt16, height: UInt16)] = [(320, 180), (640, 360), (1280, 720)]

    private func simulcast(live: Set<Int> = [0, 1, 2], order: [Int] = [0, 1, 2]) -> [Candidate] {
        order.map { layer in
            let size = LayerSelectorTests.sizes[layer]
            return Candidate(
                encoding: Int8(layer),
                width: size.width,
                height: size.height,
                isLive: live.contains(layer)
            )
        }
    }

    private func svc(live: Set<Int> = [0, 1, 2]) -> [Candidate] {
        simulcast(live: live).enumerated().map { index, candidate in
            var layer = candidate
            layer.encoding = 0
            layer.spatial = UInt8(index)
            return layer
        }
    }

    /// - Parameter rates: pictures per second up to each temporal layer.
    private func choose(
        _ candidates: [Candidate],
        _ tile: Wishes.Tile?,
        isScreen: Bool = false,
        present: LayerTarget = .none,
        rates: [UInt32] = [8, 15, 30, 30]
    ) -> LayerChoice {
        LayerSelector(candidates, isScreen: isScreen).choose(for: tile, present: present) { _, temporal in
            rates[temporal]
        }
    }

    // MARK: Resolution

    /// Tile, encoding that fills it.
    @Test(
        arguments: [
            (160, 90, 0), (320, 180, 0), (321, 181, 1), (640, 360, 1), (641, 361, 2), (1280, 720, 2),
            (3840, 2160, 2),
            // One side is enough: nothing of a cropped or letterboxed picture is lost.
            (330, 170, 0), (320, 2000, 0), (2000, 180, 0),
        ] as [(UInt16, UInt16, Int8)]
    )
    func theSmallestThatFillsTheTileElseTheLargest(_ width: UInt16, _ height: UInt16, _ encoding: Int8) {
        let choice = choose(simulcast(), Tile(width: width, height: height))
        #expect(choice.target == LayerTarget(encoding: encoding))
        #expect(choice.ideal == choice.target)
        #expect(choice.reason == (encoding == 2 ? .none : .viewport))
    }

    @Test func withoutAWishTheLargest() {
        for tile in [nil, Tile(width: 0, height: 0)] {
            let choice = choose(simulcast(), tile)
            #expect(choice.target.encoding == 2 && choice.reason == .none)
        }
    }

    /// A phone that is turned sends the lowest layer last, or all of them in another order.
    @Test func measuredSizesCountNotTheOrderOfTheOffer() {
        let choice = choose(simulcast(order: [2, 0, 1]), Tile(width: 640, height: 360))
        #expect(choice.target.encoding == 1)
        #expect(choose(simulcast(order: [2, 1, 0]), nil).target.encoding == 2)
    }

    @Test func untilAllSizesAreKnownTheOrderOfTheOfferCounts() {
        var candidates = simulcast()
        candidates[2].width = 0
        candidates[2].height = 0
        // What has no size yet fills nothing, but it is the best there is.
        #expect(choose(candidates, Tile(width: 600, height: 340)).target.encoding == 1)
        #expect(choose(candidates, Tile(width: 1000, height: 600)).target.encoding == 2)
        candidates.swapAt(0, 2)
        #expect(choose(candidates, Tile(width: 1000, height: 600)).target.encoding == 0)
    }

    @Test func layersOfOneEncodingAreChosenLikeEncodings() {
        let choice = choose(svc(), Tile(width: 640, height: 360))
        #expect(choice.target == LayerTarget(encoding: 0, spatial: 1))
        #expect(choice.reason == .viewport)
        #expect(choose(svc(live: [0]), Tile(width: 640, height: 360)).target.spatial == 0)
    }

    @Test func equalSizesKeepTheirOrder() {
        var candidates = simulcast()
        candidates[1].width = 1280
        candidates[1].height = 720
        #expect(choose(candidates, Tile(width: 1280, height: 720)).target.encoding == 1)
    }

    // MARK: Layers that do not come

    /// What the publisher is asked for stays what the tile wants.
    @Test func aDeadLayerIsReplacedByALiveOne() {
        let large = Tile(width: 1280, height: 720)
        let lower = choose(simulcast(live: [0, 1]), large)
        #expect(lower.target.encoding == 1 && lower.ideal.encoding == 2 && lower.reason == .publisher)
        // A larger one than wanted is no loss to the viewer.
        let higher = choose(simulcast(live: [2]), Tile(width: 320, height: 180))
        #expect(higher.target.encoding == 2 && higher.ideal.encoding == 0 && higher.reason == .viewport)
        // The largest that is left, and it is not the best that there is.
        let lowest = choose(simulcast(live: [0]), Tile(width: 640, height: 360))
        #expect(lowest.target.encoding == 0 && lowest.ideal.encoding == 1 && lowest.reason == .publisher)
    }

    @Test func whereNothingIsAliveItStaysAsItIs() {
        let present = LayerTarget(encoding: 1, spatial: 0, temporal: 2)
        let kept = choose(simulcast(live: []), Tile(width: 1280, height: 720), present: present)
        #expect(kept.target == present && kept.ideal.encoding == 2 && kept.reason == .publisher)
        let first = choose(simulcast(live: []), Tile(width: 640, height: 360))
        #expect(first.target.encoding == 1 && first.reason == .publisher)
    }

    @Test func whatHasNoLayersChangesNothing() {
        let present = LayerTarget(encoding: 1)
        let choice = choose([], Tile(width: 640, height: 360), present: present)
        #expect(choice.target == present && choice.ideal == present && choice.reason == .none)
    }

    // MARK: Frame rates

    /// Wanted rate, temporal layers that stay within it.
    @Test(
        arguments: [
            (1, 0), (7, 0), (8, 0), (13, 1), (15, 1), (16, 1), (26, 1), (27, 7), (30, 7), (60, 7), (0, 7),
        ] as [(UInt8, UInt8)]
    )
    func aRateLeavesTemporalLayersOut(_ rate: UInt8, _ temporal: UInt8) {
        let choice = choose(simulcast(), Tile(width: 320, height: 180, maxFrameRate: rate))
        #expect(choice.target == LayerTarget(encoding: 0, temporal: temporal))
        #expect(choice.ideal.temporal == temporal)
    }

    @Test func theRateIsThatOfTheChosenEncoding() {
        var asked: Set<Int> = []
        let choice = LayerSelector(simulcast(), isScreen: false).choose(
            for: Tile(width: 640, height: 360, maxFrameRate: 10),
            present: .none
        ) { encoding, temporal in
            asked.insert(encoding)
            return encoding == 1 ? [10, 20, 40, 40][temporal] : [1, 2, 4, 4][temporal]
        }
        #expect(asked == [1] && choice.target == LayerTarget(encoding: 1, temporal: 0))
    }

    // MARK: Screens

    /// Text must stay sharp: a small tile of a screen shows fewer pictures of it.
    @Test func aScreenKeepsItsResolutionAndGivesUpPictures() {
        let layers = simulcast()
        let small = choose(layers, Tile(width: 320, height: 180), isScreen: true)
        #expect(small.target == LayerTarget(encoding: 2, temporal: 0) && small.reason == .none)
        // A quarter of its area is large enough.
        let medium = choose(layers, Tile(width: 640, height: 360), isScreen: true)
        #expect(medium.target == LayerTarget(encoding: 2))
        let slow = choose(layers, Tile(width: 1280, height: 720, maxFrameRate: 15), isScreen: true)
        #expect(slow.target == LayerTarget(encoding: 2, temporal: 1))
        #expect(choose(layers, nil, isScreen: true).target == LayerTarget(encoding: 2))
        let rest = choose(simulcast(live: [0]), Tile(width: 1280, height: 720), isScreen: true)
        #expect(rest.target.encoding == 0 && rest.ideal.encoding == 2 && rest.reason == .publisher)
    }
}
