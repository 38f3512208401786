import RTP
import Testing

@testable import SFU

@Suite struct WaitingPacketsTests {
    @Test func firstInFirstOutAcrossItsEndAndGrowth() {
        let queue = TwoSlots()
        var sent: [Int64?] = []
        // Two come for each that goes: it grows several times, with its head anywhere.
        for i in Int64(0)..<150 {
            #expect(queue.append(2 * i) && queue.append(2 * i + 1))
            sent.append(queue.next())
        }
        #expect(sent + queue.rest() == Array(0..<300))
        #expect(queue.bytes == 0)
    }

    @Test func asManyAsMayWaitAndNoMore() {
        let queue = TwoSlots()
        let most = Int64(Limits.Bandwidth.waitingPackets)
        #expect((0..<most).allSatisfy { queue.append($0) })
        let bytes = queue.bytes
        #expect(!queue.append(most) && queue.bytes == bytes)
        #expect(queue.next() == 0)
        #expect(queue.append(most))
        #expect(queue.rest() == Array(1...most))
    }

    @Test func aSlotThatGoesTakesItsPacketsAlongAndLeavesTheOrder() {
        let queue = TwoSlots()
        #expect((0..<24).allSatisfy { queue.append($0) && queue.next() == $0 })
        // These lie across the end.
        #expect((24..<50).allSatisfy { queue.append($0, of: Int($0 % 2)) })
        queue.removeSecond()
        #expect(queue.rest() == Array(stride(from: 24, to: 50, by: 2)))
        #expect(queue.bytes == 0)
    }

    @Test func whatWaitsOutlivesTrimming() {
        let queue = TwoSlots()
        #expect(queue.append(7))
        queue.trim()
        #expect(queue.next() == 7)
        queue.trim()
        #expect(queue.next() == nil)
        #expect(queue.append(8))
        #expect(queue.rest() == [8])
    }

    @Test func aPacketIsWantedUntilItsSlotGivesUpWhatWasNumbered() {
        let queue = TwoSlots()
        let packets = [queue.packet(1, of: 0), queue.packet(1, of: 1)]
        queue.abandonFirst()
        #expect(packets.map(\.isWanted) == [false, true])
        #expect(queue.packet(2, of: 0).isWanted)
    }
}

/// Two slots that show nothing, and a queue of packets numbered for them.
private final class TwoSlots {
    private var waiting = WaitingPackets()
    private let slots = UnsafeMutablePointer<SendStream>.allocate(capacity: 2)
    private let source = UnsafeMutablePointer<ReceiveStream>.allocate(capacity: 1)
    private let record = UnsafeMutablePointer<PacketRecord>.allocate(capacity: 1)

    init() {
        var random = RandomSource.seeded(1)
        for i in 0..<2 {
            let section = MediaSection(mid: "\(i)", kind: .video, codecs: [], extensions: [])
            let slot = SlotParameters(ssrc: UInt32(i + 1))
            let stream = SendStream(section: section, slot: slot, past: SentNumbers(), random: &random)
            (slots + i).initialize(to: stream)
        }
        record.initialize(to: PacketRecord())
    }

    deinit {
        slots.deinitialize(count: 2)
        slots.deallocate()
        source.deallocate()
        record.deallocate()
    }

    var bytes: Int { waiting.bytes }

    /// Its size is its number and a hundred: sums tell which ones were counted.
    func packet(_ number: Int64, of slot: Int) -> WaitingPacket {
        let departure = Departure(
            stream: slots + slot,
            source: source,
            record: record,
            rewritten: Rewritten(sequence: number, timestamp: 0),
            sourceNumber: 0,
            size: 0,
            headerLength: 12
        )
        return WaitingPacket(departure, size: 100 + Int(number))
    }

    func append(_ number: Int64, of slot: Int = 0) -> Bool { waiting.append(packet(number, of: slot)) }

    func next() -> Int64? {
        let first = waiting.first?.departure.rewritten.sequence
        waiting.removeFirst()
        return first
    }

    func rest() -> [Int64] {
        var numbers: [Int64] = []
        while let number = next() { numbers.append(number) }
        return numbers
    }

    func removeSecond() { waiting.remove(slots + 1) }

    func abandonFirst() { slots[0].abandon() }

    func trim() { waiting.trim() }
}
