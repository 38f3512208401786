import Testing

@testable import SFU

@Suite struct SequenceMapTests {
    @Test func numbersGoOnWhereTheyWereTold() {
        var map = SequenceMap(first: 65_530, as: 7)
        #expect(map.map(65_530) == 7)
        #expect(map.map(65_540) == 17)
        #expect(map.map(65_529) == nil)
    }

    @Test func filteredPacketsLeaveNoGap() {
        var map = SequenceMap(first: 10, as: 100)
        #expect(map.map(10) == 100)
        map.drop(11)
        map.drop(12)
        #expect(map.map(13) == 101)
        #expect(map.map(11) == nil && map.map(12) == nil)
    }

    @Test func missingPacketsLeaveTheirGapAndAreTakenLate() {
        var map = SequenceMap(first: 10, as: 100)
        #expect(map.map(10) == 100)
        // 11 is missing when 12 is filtered.
        map.drop(12)
        #expect(map.map(13) == 102)
        #expect(map.map(11) == 101)
    }

    @Test func aLateFilteredPacketChangesNothing() {
        var map = SequenceMap(first: 10, as: 100)
        #expect(map.map(12) == 102)
        map.drop(11)
        #expect(map.map(13) == 103)
    }

    /// Against a model that remembers everything: outgoing numbers are one to one, in order, and without holes except
    /// for packets that are still missing.
    @Test(arguments: 0..<50) func holdsAgainstAModel(seed: UInt64) {
        var random = RandomSource.seeded(seed)
        var map = SequenceMap(first: 0, as: 0)
        var filtered: Set<Int64> = []
        var missing: [Int64] = []
        var given: [Int64: Int64] = [:]
        for incoming in Int64(0)..<400 {
            switch UInt8.random(in: 0..<10, using: &random) {
            case 0 where incoming > 0: missing.append(incoming)
            case 1, 2:
                map.drop(incoming)
                filtered.insert(incoming)
            default: given[incoming] = map.map(incoming)
            }
            if UInt8.random(in: 0..<8, using: &random) == 0, let late = missing.last, incoming - late < 10 {
                missing.removeLast()
                given[late] = map.map(late)
            }
        }
        let outgoing = given.sorted { $0.key < $1.key }.map(\.value)
        #expect(outgoing == outgoing.sorted(), "seed \(seed)")
        #expect(Set(outgoing).count == outgoing.count, "seed \(seed)")
        let wrong = given.filter { incoming, value in
            value != incoming - Int64(filtered.filter { $0 < incoming }.count)
        }
        #expect(wrong.isEmpty, "seed \(seed)")
    }
}
