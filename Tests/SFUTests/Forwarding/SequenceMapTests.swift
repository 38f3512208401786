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

    // MARK: Packets that are late

    @Test func aLateFilteredPacketIsClosedOverWhereNothingBehindItWentOut() {
        var map = SequenceMap(first: 10, as: 100)
        #expect(map.map(10) == 100)
        map.drop(13)
        map.drop(15)
        // 11, 12 and 14 are still missing.
        map.close(12, closesPicture: false)
        #expect(map.map(14) == 102 && map.map(11) == 101 && map.map(16) == 103)
        #expect(map.place(12) == nil && map.place(13) == nil && map.place(15) == nil)
    }

    @Test func aPictureThatIsFilteredIsNotCountedBeforeIt() {
        var map = SequenceMap(first: 0, as: 0)
        _ = map.map(0)
        map.drop(2, closesPicture: true)
        map.drop(3)
        map.drop(5, closesPicture: true)
        #expect([0, 1, 4, 6].map { map.picturesDropped(before: $0) } == [0, 0, 1, 2])
        map.close(1, closesPicture: true)
        #expect([0, 4, 6].map { map.picturesDropped(before: $0) } == [0, 2, 3])
    }

    /// As a slot uses it: what is filtered is closed over as long as nothing behind it went out, whatever the order of
    /// arrival. Against a model that remembers every number.
    @Test(arguments: 0..<60) func holdsAgainstAModelInAnyOrder(seed: UInt64) {
        var random = RandomSource.seeded(seed)
        let first = Int64.random(in: -3...0x1_0000_0000, using: &random)
        let count = 300
        // Restarted after others it is as new.
        var map = SequenceMap(first: seed % 2 == 0 ? first : 3, as: 0)
        if seed % 2 == 1 {
            for number in Int64(4)..<300 where number % 3 != 0 { map.drop(number, closesPicture: true) }
            map.restart(first: first, as: 0)
        }
        // Each number is delayed by up to a dozen places, some for ever.
        let reach = Int.random(in: 0...12, using: &random)
        let order = (0..<count).map { ($0 + Int.random(in: 0...reach, using: &random), $0) }
            .sorted { $0 < $1 }.map(\.1)
            .filter { $0 == 0 || UInt8.random(in: 0..<12, using: &random) > 0 }
        let filterable = UInt8.random(in: 1...7, using: &random)
        var closed: [Int: Bool] = [:]
        var given: [Int: Int64] = [:]
        var highest = Int64(-1)
        var wrong = 0
        for number in order {
            let incoming = first + Int64(number)
            let below = closed.keys.filter { $0 < number }.count
            let place = Int64(number - below)
            let pictures = closed.filter { $0.key < number && $0.value }.count
            if number > 0 && UInt8.random(in: 0..<8, using: &random) < filterable {
                let isPicture = Bool.random(using: &random)
                if incoming > map.highest {
                    map.drop(incoming, closesPicture: isPicture)
                } else {
                    if map.place(incoming) != place { wrong += 1 }
                    guard place > highest else { continue }
                    map.close(incoming, closesPicture: isPicture)
                }
                closed[number] = isPicture
                if map.place(incoming) != nil { wrong += 1 }
            } else {
                if map.map(incoming) != place { wrong += 1 }
                if map.picturesDropped(before: incoming) != UInt16(pictures) { wrong += 1 }
                given[number] = place
                highest = max(highest, place)
            }
        }
        #expect(wrong == 0, "seed \(seed)")
        let outgoing = given.sorted { $0.key < $1.key }.map(\.value)
        #expect(zip(outgoing, outgoing.dropFirst()).allSatisfy { $0 < $1 }, "seed \(seed)")
    }

    /// The newest 64 stretches between filtered packets are remembered.
    @Test func sixtyFourStretchesAreRemembered() {
        var map = SequenceMap(first: 0, as: 0)
        for number in Int64(0)..<200 {
            if number % 2 == 0 { _ = map.map(number) } else { map.drop(number) }
        }
        // 198 is in the last of the stretches that ended.
        let newest = Int64(198)
        for age in Int64(0)..<64 {
            #expect(map.place(newest - 2 * age) == newest / 2 - age, "age \(age)")
        }
        #expect(map.place(newest - 2 * 64) == nil && map.place(0) == nil)
        #expect(map.picturesDropped(before: 0) == 0)
    }

    /// Splitting a stretch pushes the oldest one out and nothing else.
    @Test func closingInAFullTableForgetsTheOldestOnly() {
        var map = SequenceMap(first: 0, as: 0)
        for number in Int64(0)..<64 * 4 where number % 4 == 3 { map.drop(number) }
        // Stretches 0…2, 4…6, …; nothing of them came yet.
        let late = Int64(30 * 4 + 1)
        let expected = (0..<256).filter { $0 % 4 != 3 && $0 != Int(late) }
        map.close(late, closesPicture: false)
        for (place, number) in expected.enumerated() {
            let wanted: Int64? = number < 3 ? nil : Int64(place)
            #expect(map.place(Int64(number)) == wanted, "number \(number)")
        }
        #expect(map.place(late) == nil)
    }

    /// A stretch of which nothing is left takes no room.
    @Test func aStretchThatIsClosedWhollyMakesRoom() {
        var map = SequenceMap(first: 0, as: 0)
        for number in Int64(0)..<128 where number % 2 == 1 { map.drop(number) }
        map.close(60, closesPicture: false)
        map.drop(129)
        let oldest: Int64 = 0
        let newest: Int64 = 128 / 2 - 1
        #expect(map.place(0) == oldest && map.place(128) == newest && map.place(60) == nil)
    }

    @Test func numbersBeyondThirtyTwoBitsFindTheirStretch() {
        let first = Int64(0xffff_fff0)
        var map = SequenceMap(first: first, as: 5)
        _ = map.map(first)
        for number in stride(from: first + 3, to: first + 40, by: 4) { map.drop(number) }
        let middle: Int64 = 5 + 17 - 4
        let last: Int64 = 5 + 41 - 10
        #expect(map.place(first + 17) == middle && map.map(first + 41) == last)
    }
}
