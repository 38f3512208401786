// RED (RFC 2198) as simulated peers write and read it, apart from how the server does: bytes in, blocks out. Knows no
// stream.
import RTP

/// An earlier packet that a RED packet repeats.
public struct RedundantBlock: Sendable, Equatable {
    public var payloadType: UInt8
    /// Of the packet that it repeats, on the clock of the packet that it came in.
    public var timestamp: UInt32
    public var payload: [UInt8]

    public var stamp: Stamp? { Stamp.read(payload[...]) }
}

enum RedundantAudio {
    /// A RED payload, the oldest block first. What its header cannot express is left out.
    static func compose(
        _ primary: [UInt8],
        timestamp: UInt32,
        earlier: [(payload: [UInt8], timestamp: UInt32)],
        payloadType: UInt8
    ) -> [UInt8] {
        let blocks = earlier.filter { block in
            let offset = timestamp &- block.timestamp
            return offset > 0 && offset < 1 << 14 && block.payload.count < 1 << 10
        }
        var bytes: [UInt8] = []
        for block in blocks {
            let offset = Int(timestamp &- block.timestamp)
            let count = block.payload.count
            bytes += [0x80 | payloadType, UInt8(offset >> 6), UInt8(offset & 0x3f) << 2 | UInt8(count >> 8)]
            bytes.append(UInt8(count & 0xff))
        }
        bytes.append(payloadType)
        return bytes + blocks.flatMap(\.payload) + primary
    }

    /// The blocks of a RED payload, the primary last; nil where it is cut off.
    static func parse(_ payload: [UInt8], timestamp: UInt32) -> [RedundantBlock]? {
        var headers: [(type: UInt8, offset: UInt32, count: Int)] = []
        var at = 0
        while at < payload.count, payload[at] & 0x80 != 0 {
            guard at + 4 <= payload.count else { return nil }
            let offset = UInt32(payload[at + 1]) << 6 | UInt32(payload[at + 2] >> 2)
            let count = Int(payload[at + 2] & 3) << 8 | Int(payload[at + 3])
            headers.append((payload[at] & 0x7f, offset, count))
            at += 4
        }
        guard at < payload.count else { return nil }
        let primaryType = payload[at]
        at += 1
        var blocks: [RedundantBlock] = []
        for header in headers {
            guard at + header.count <= payload.count else { return nil }
            blocks.append(
                RedundantBlock(
                    payloadType: header.type,
                    timestamp: timestamp &- header.offset,
                    payload: Array(payload[at..<at + header.count])
                )
            )
            at += header.count
        }
        guard at < payload.count else { return nil }
        blocks.append(
            RedundantBlock(payloadType: primaryType, timestamp: timestamp, payload: Array(payload[at...]))
        )
        return blocks
    }
}
