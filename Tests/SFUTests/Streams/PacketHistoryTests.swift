import RTP
import Testing

@testable import SFU

@Suite struct PacketHistoryTests {
    private func store(_ sequence: Int64, _ bytes: [UInt8], in history: inout PacketHistory) {
        var record = PacketRecord()
        record.sequence = sequence
        record.length = UInt16(bytes.count)
        bytes.withUnsafeBufferPointer { buffer in
            if let base = buffer.baseAddress { _ = history.store(record, payload: base) }
        }
    }

    private func payload(_ sequence: Int64, in history: borrowing PacketHistory) -> [UInt8]? {
        guard let record = history.record(sequence) else { return nil }
        return Array(UnsafeBufferPointer(start: history.payload(record), count: Int(record.pointee.length)))
    }

    @Test(arguments: 0..<4) func whatIsFoundIsWhatWasStored(seed: UInt64) {
        var random = RandomSource.seeded(seed)
        var history = PacketHistory(records: 64, bytes: 1 << 16)
        var stored: [Int64: [UInt8]] = [:]
        var wrong = 0
        for sequence in Int64(-5)..<500 {
            let size = Int.random(in: 1...1400, using: &random)
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: Int(sequence) &* 31 &+ $0) }
            store(sequence, bytes, in: &history)
            stored[sequence] = bytes
            if payload(sequence, in: history) != bytes { wrong += 1 }
            for back in Int64(0)..<70 {
                // Found or gone, never somebody else's bytes.
                if let found = payload(sequence - back, in: history), found != stored[sequence - back] {
                    wrong += 1
                }
            }
        }
        #expect(wrong == 0, "seed \(seed)")
        // 64 kB of at most 1400 bytes: the last 45 are always there.
        for back in Int64(0)..<45 { #expect(payload(499 - back, in: history) != nil, "seed \(seed)") }
        #expect(payload(499 - 64, in: history) == nil)
    }

    @Test func anotherLapIsNotMistaken() {
        var history = PacketHistory(records: 16, bytes: 1 << 16)
        store(3, [1], in: &history)
        #expect(payload(19, in: history) == nil)
        store(19, [2], in: &history)
        #expect(payload(3, in: history) == nil)
        #expect(payload(19, in: history) == [2])
    }
}
