import RTP
import Testing

@testable import SFU

@Suite struct StructureTableTests {
    private let plan = DescriptorPlan.l1t3
    /// Another structure with the same template ids: template 1 is of another layer.
    private let other = DescriptorPlan.l2t1

    private func withTable(_ body: (inout StructureTable) throws -> Void) rethrows {
        var table = StructureTable()
        defer { table.free() }
        try body(&table)
    }

    @Test func nothingIsReadBeforeAStructureCame() {
        withTable { table in
            let early = table.read(plan.bytes(4, number: 7), sequence: 10)
            #expect(early == nil && table.newest == nil)
            let key = table.read(plan.bytes(0, number: 6, withStructure: true), sequence: 12)
            #expect(key?.hasStructure == true && table.start == 12)
            // What stands before it belongs to a structure that did not come.
            let late = table.read(plan.bytes(4, number: 7), sequence: 10, isNewest: false)
            let next = table.read(plan.bytes(4, number: 7), sequence: 13)
            #expect(late == nil && next?.temporalLayer == 2)
        }
    }

    @Test func latePacketsAreReadWithTheStructureOfTheirPlace() {
        withTable { table in
            _ = table.read(plan.bytes(0, number: 0, withStructure: true), sequence: 10)
            let first = table.number
            _ = table.read(other.bytes(0, number: 9, withStructure: true), sequence: 20)
            #expect(table.number == first &+ 1)
            let late = table.read(plan.bytes(4, number: 5), sequence: 15, isNewest: false)
            let now = table.read(other.bytes(2, number: 10), sequence: 21)
            #expect(late?.temporalLayer == 2 && now?.spatialLayer == 1)
            guard let late, let now else { return }
            #expect(table.number(of: late, sequence: 15) == first)
            #expect(table.number(of: now, sequence: 21) == first &+ 1)
            #expect(table[first]?.pointee.maxTemporalLayer == 2)
            #expect(table[first &+ 1]?.pointee.maxSpatialLayer == 1)
            #expect(table.newest?.pointee.maxSpatialLayer == 1)
        }
    }

    @Test func twoStructuresAreRemembered() {
        withTable { table in
            _ = table.read(plan.bytes(0, number: 0, withStructure: true), sequence: 10)
            let first = table.number
            _ = table.read(other.bytes(0, number: 9, withStructure: true), sequence: 20)
            _ = table.read(plan.bytes(0, number: 19, withStructure: true), sequence: 30)
            #expect(table[first] == nil)
            #expect(table[first &+ 1]?.pointee.maxSpatialLayer == 1)
            #expect(table[first &+ 2]?.pointee.maxTemporalLayer == 2)
            let old = table.read(plan.bytes(4, number: 5), sequence: 15, isNewest: false)
            let former = table.read(other.bytes(2, number: 10), sequence: 21, isNewest: false)
            #expect(old == nil && former?.spatialLayer == 1)
        }
    }

    /// A repaired key frame that another one has overtaken is read with its own structure, which is not kept.
    @Test func aStructureThatComesLateChangesNothing() {
        withTable { table in
            _ = table.read(other.bytes(0, number: 9, withStructure: true), sequence: 20)
            let number = table.number
            let bytes = plan.bytes(0, number: 0, withStructure: true)
            let late = table.read(bytes, sequence: 10, isNewest: false)
            #expect(late?.frameNumber == 0 && table.number == number && table.start == 20)
            #expect(table.newest?.pointee.maxSpatialLayer == 1)
            // Nobody may take what is kept for its own.
            guard let late else { return }
            #expect(table[table.number(of: late, sequence: 10)] == nil)
        }
    }

    /// The first packet of a key frame comes twice, by retransmission.
    @Test func theSameStructureAgainCountsOnce() {
        withTable { table in
            let bytes = plan.bytes(0, number: 0, withStructure: true)
            _ = table.read(bytes, sequence: 10)
            let number = table.number
            let again = table.read(bytes, sequence: 10, isNewest: false)
            #expect(again?.hasStructure == true && table.number == number)
            guard let again else { return }
            #expect(table.number(of: again, sequence: 10) == number)
        }
    }

    @Test func aMaskHoldsUntilTheNextOne() {
        withTable { table in
            _ = table.read(plan.bytes(0, number: 0, withStructure: true), sequence: 10)
            #expect(table.newest?.pointee.activeDecodeTargets == 0b111)
            _ = table.read(plan.bytes(1, number: 4, mask: 0b001), sequence: 14)
            #expect(table.newest?.pointee.activeDecodeTargets == 0b001)
            _ = table.read(plan.bytes(4, number: 3, mask: 0b111), sequence: 13, isNewest: false)
            #expect(table.newest?.pointee.activeDecodeTargets == 0b001)
        }
    }

    @Test func malformedDescriptorsLeaveItAsItIs() {
        withTable { table in
            let bytes = plan.bytes(0, number: 0, withStructure: true)
            for length in 0..<bytes.count {
                let cut = table.read(Array(bytes.prefix(length)), sequence: 10)
                #expect(cut == nil && table.newest == nil, "\(length) bytes")
            }
            _ = table.read(bytes, sequence: 10)
            let unknown = table.read(plan.bytes(40, number: 1), sequence: 11)
            let broken = table.read(Array(bytes.dropLast(2)), sequence: 12)
            #expect(unknown == nil && broken == nil && table.start == 10)
            #expect(table.newest?.pointee.templateCount == 5)
        }
    }

    @Test func aSenderThatStartsOverIsReadAnew() {
        withTable { table in
            _ = table.read(plan.bytes(0, number: 0, withStructure: true), sequence: 10)
            let number = table.number
            table.unread = 3
            table.hasMore = true
            table.clear()
            #expect(table.newest == nil && table.unread == 0 && !table.hasMore)
            // Packets of before are not taken for those of the next structure.
            #expect(table[number] == nil)
            let next = table.read(plan.bytes(4, number: 1), sequence: 11)
            #expect(next == nil)
            _ = table.read(other.bytes(0, number: 0, withStructure: true), sequence: 5)
            #expect(table.start == 5 && table[number] == nil)
        }
    }
}
