import RTP
import Testing

@testable import SFU

@Suite struct WaitingPacketsTests {
    @Test func firstInFirstOutAcrossItsEndAndGrowth() {
        let streams = TwoSlots()
        var waiting = WaitingPackets()
        var sent: [Int64] = []
        var next: Int64 = 0
        // Two come for each that goes: it grows several times, with its head anywhere.
        for _ in 0..<150 {
            for _ in 0..<2 {
                #expect(waiting.append(streams.packet(next, of: 0)))
                next += 1
            }
            if let first = waiting.first { sent.append(first.departure.rewritten.sequence) }
            waiting.removeFirst()
        }
        while let first = waiting.first {
            sent.append(first.departure.rewritten.sequence)
            waiting.removeFirst()
        }
        #expect(sent == Array(0..<300))
        #expect(waiting.bytes == 0)
    }

    @Test func asManyAsMayWaitAndNoMore() {
        let streams = TwoSlots()
        var waiting = WaitingPackets()
        for i in 0..<Limits.Bandwidth.waitingPackets { #expect(waiting.append(streams.packet(Int64(i), of: 0))) }
        let bytes = waiting.bytes
        #expect(!waiting.append(streams.packet(-1, of: 0)))
        #expect(waiting.count == Limits.Bandwidth.waitingPackets && waiting.bytes == bytes)
        waiting.removeFirst()
        #expect(waiting.append(streams.packet(-1, of: 0)))
    }

    @Test func aSlotThatGoesTakesItsPacketsAlongAndLeavesTheOrder() {
        let streams = TwoSlots()
        var waiting = WaitingPackets()
        for i in 0..<24 { #expect(waiting.append(streams.packet(Int64(i), of: 0))) }
        for _ in 0..<20 { waiting.removeFirst() }
        // Those lie across the end.
        for i in 24..<40 { #expect(waiting.append(streams.packet(Int64(i), of: i % 2))) }
        waiting.remove(streams[1])
        var left: [Int64] = []
        var bytes = waiting.bytes
        while let first = waiting.first {
            left.append(first.departure.rewritten.sequence)
            bytes -= first.size
            waiting.removeFirst()
        }
        #expect(left == [20, 21, 22, 23] + stride(from: 24, to: 40, by: 2))
        #expect(bytes == 0)
    }

    @Test func whatWaitsOutlivesTrimming() {
        let streams = TwoSlots()
        var waiting = WaitingPackets()
        #expect(waiting.append(streams.packet(7, of: 0)))
        waiting.trim()
        #expect(waiting.first?.departure.rewritten.sequence == 7)
        waiting.removeFirst()
        waiting.trim()
        #expect(waiting.isEmpty && waiting.first == nil)
        #expect(waiting.append(streams.packet(8, of: 0)))
        #expect(waiting.first?.departure.rewritten.sequence == 8)
    }

    @Test func aPacketIsWantedUntilItsSlotStops() {
        let streams = TwoSlots()
        let packets = [streams.packet(1, of: 0), streams.packet(1, of: 1)]
        streams[0].pointee.abandon()
        #expect(packets.map(\.isWanted) == [false, true])
        #expect(streams.packet(2, of: 0).isWanted)
    }
}

/// Two slots that show nothing, and packets numbered for them.
private final class TwoSlots {
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
        record.deinitialize(count: 1)
        record.deallocate()
    }

    subscript(_ index: Int) -> UnsafeMutablePointer<SendStream> { slots + index }

    /// Its size is its number and a hundred: sums tell which ones were counted.
    func packet(_ number: Int64, of slot: Int) -> WaitingPacket {
        let departure = Departure(
            stream: self[slot],
            source: source,
            record: record,
            rewritten: Rewritten(sequence: number, timestamp: 0),
            sourceNumber: 0,
            size: 0,
            headerLength: 12
        )
        return WaitingPacket(departure, size: 100 + Int(number))
    }
}
