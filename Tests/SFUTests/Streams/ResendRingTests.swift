import RTP
import Testing

@testable import SFU

@Suite struct ResendRingTests {
    @Test func aNumberIsFreeOnceAndOnlyWhileItIsRemembered() {
        let ring = ResendRing(capacity: 16)
        var free = [ring.isFree(100, highest: 100)]
        ring.note(SentPacket(sequence: 100))
        // 84: nobody knows any more whether it was used.
        for number in [Int64(100), 99, 84] { free.append(ring.isFree(number, highest: 100)) }
        ring.note(SentPacket(sequence: 116))
        for number in [Int64(100), 101] { free.append(ring.isFree(number, highest: 116)) }
        #expect(free == [true, false, true, false, false, true])
    }

    @Test func findsByTheLowSixteenBits() {
        let ring = ResendRing(capacity: 16)
        ring.note(SentPacket(sequence: 0x1_0002, incoming: 7))
        let found = ring.find(2, highest: 0x1_0005)?.pointee.incoming
        let other = ring.find(3, highest: 0x1_0005)
        let older = ring.find(2, highest: 0x2_0005)
        #expect(found == 7 && other == nil && older == nil)
    }

    @Test func sourcesAreForgottenByAgeAndByNameOfTheirMemory() {
        let streams = UnsafeMutablePointer<ReceiveStream>.allocate(capacity: 12)
        defer { streams.deallocate() }
        var table = SourceTable()
        var numbers: [UInt16] = []
        for i in 0..<10 {
            table.begin(streams + i)
            numbers.append(table.current)
        }
        #expect(table.source(numbers[1]) == nil)
        #expect(table.source(numbers[2]) == streams + 2 && table.source(numbers[9]) == streams + 9)
        table.forget(streams + 8, count: 2)
        #expect(table.source(numbers[9]) == nil && table.source(numbers[8]) == nil)
        #expect(table.source(numbers[7]) == streams + 7)
    }
}
