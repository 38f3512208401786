// Opus packets, RED packets and a history of them, for the tests of redundancy.
import RTP

@testable import SFU

/// Opus packets that are told apart by their bytes, and the RED packets that a publisher makes of them.
enum OpusFeed {
    /// CELT, 20 ms.
    static let usual: UInt8 = 0xf8
    /// CELT, 10 ms.
    static let short: UInt8 = 0xf0
    /// SILK, 60 ms.
    static let long: UInt8 = 0x18

    static func packet(_ mark: Int, length: Int = 40, toc: UInt8 = usual) -> [UInt8] {
        [toc] + (1..<max(length, 1)).map { UInt8(truncatingIfNeeded: mark &* 37 &+ $0 &* 5) }
    }

    struct Block {
        var offset: UInt32
        var bytes: [UInt8]
        var payloadType: UInt8 = 111
    }

    /// Written out by hand, so that the reader is not tested by its own writer. Oldest block first.
    static func red(_ blocks: [Block], primary: [UInt8], payloadType: UInt8 = 111) -> [UInt8] {
        var headers: [UInt8] = []
        for block in blocks {
            let bits = block.offset << 10 | UInt32(block.bytes.count)
            headers += [
                0x80 | block.payloadType, UInt8(bits >> 16 & 0xff), UInt8(bits >> 8 & 0xff),
                UInt8(bits & 0xff),
            ]
        }
        return headers + [payloadType] + blocks.flatMap(\.bytes) + primary
    }

    /// Memory of exactly these bytes, so that a sanitizer sees each read behind the end.
    static func exact<R>(_ bytes: [UInt8], _ body: (UnsafePointer<UInt8>, Int) -> R) -> R {
        let p = UnsafeMutablePointer<UInt8>.allocate(capacity: bytes.count)
        defer { p.deallocate() }
        for (index, byte) in bytes.enumerated() { (p + index).initialize(to: byte) }
        return body(p, bytes.count)
    }
}

/// A history as a reference, since macros cannot take what cannot be copied.
final class OpusHistory {
    var packets = PacketHistory(for: .audio)

    func store(
        _ sequence: Int64,
        timestamp: UInt32,
        _ bytes: [UInt8],
        flags: PacketRecord.Flags = [],
        payloadType: UInt8 = 111
    ) {
        var record = PacketRecord()
        record.sequence = sequence
        record.timestamp = timestamp
        record.length = UInt16(bytes.count)
        record.flags = flags
        record.payloadType = payloadType
        OpusFeed.exact(bytes) { p, _ in _ = packets.store(record, payload: p) }
    }

    func has(_ sequence: Int64) -> Bool { packets.contains(sequence) }
}
