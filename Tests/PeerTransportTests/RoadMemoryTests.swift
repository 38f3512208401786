import CSlab
import PeerTransport
import Testing

@Suite(.serialized) struct RoadMemoryTests {
    /// Every size up to beyond what is cut from chunks.
    static let sizes = [0, 1, 63, 64, 65, 448, 4096, 100_000, 262_144, 262_145, 1 << 20, 3 << 20]

    @Test(arguments: sizes)
    func aPlaceIsALineOfTheCacheAndAllOfItCanBeUsed(size: Int) {
        let places = (0..<9).map { _ in RoadMemory.allocate(UInt8.self, count: size) }
        for (i, place) in places.enumerated() {
            #expect(Int(bitPattern: place) % 64 == 0)
            place.initialize(repeating: UInt8(i), count: size)
        }
        for (i, place) in places.enumerated() {
            #expect(UnsafeBufferPointer(start: place, count: size).allSatisfy { $0 == UInt8(i) })
        }
        places.forEach { RoadMemory.free($0, count: size) }
    }

    /// Random lives of places of a few sizes: none reaches into another.
    @Test func placesNeverOverlap() {
        var random = SystemRandomNumberGenerator()
        var living: [(place: UnsafeMutablePointer<UInt32>, count: Int, mark: UInt32)] = []
        for mark in 0..<20_000 as Range<UInt32> {
            if living.count > 300 || mark % 3 == 2, !living.isEmpty {
                let one = living.swapRemove(at: Int.random(in: 0..<living.count, using: &random))
                #expect((0..<one.count).allSatisfy { one.place[$0] == one.mark })
                RoadMemory.free(one.place, count: one.count)
            } else {
                let count = [1, 16, 17, 100, 1000, 5000].randomElement(using: &random) ?? 1
                let place = RoadMemory.allocate(UInt32.self, count: count)
                place.initialize(repeating: mark, count: count)
                living.append((place, count, mark))
            }
        }
        for one in living { RoadMemory.free(one.place, count: one.count) }
    }

    /// What is given back is taken again: a server whose people come and go does not grow.
    @Test func whatIsGivenBackIsTakenAgain() {
        let sizes = [64, 1024, 40_960]
        func life() -> Set<UnsafeMutablePointer<UInt8>> {
            let places = sizes.flatMap { size in
                (0..<50).map { _ in (place: RoadMemory.allocate(UInt8.self, count: size), size: size) }
            }
            places.forEach { RoadMemory.free($0.place, count: $0.size) }
            return Set(places.map(\.place))
        }
        var seen = life()
        let first = seen.count
        for _ in 0..<20 { seen.formUnion(life()) }
        // Other suites take and give at the same time; a sanitizer itself sees that all is given back.
        #expect(cslab_is_plain() || seen.count < 10 * first)
    }

    @Test func manyThreadsTakeAndGive() async {
        await withTaskGroup(of: Bool.self) { group in
            for task in 0..<8 as Range<UInt64> {
                group.addTask {
                    var isWhole = true
                    for round in 0..<2000 as Range<UInt64> {
                        let count = Int(round % 7 + 1) * 40
                        let place = RoadMemory.allocate(UInt64.self, count: count)
                        place.initialize(repeating: task << 32 | round, count: count)
                        isWhole = isWhole && (0..<count).allSatisfy { place[$0] == task << 32 | round }
                        RoadMemory.free(place, count: count)
                    }
                    return isWhole
                }
            }
            for await isWhole in group { #expect(isWhole) }
        }
    }

    @Test func nothingIsNoPlace() {
        RoadMemory.free(nil as UnsafeMutablePointer<UInt8>?)
    }
}

extension Array {
    fileprivate mutating func swapRemove(at index: Int) -> Element {
        swapAt(index, count - 1)
        return removeLast()
    }
}
