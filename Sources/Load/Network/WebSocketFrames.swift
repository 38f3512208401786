// Frames of RFC 6455 as a client writes and reads them. Must not know sockets or what the text says.

import RTP

enum WebSocketFrames {
    enum Opcode: UInt8 {
        case continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10
    }

    struct Frame: Equatable {
        var opcode: Opcode
        var isFinal: Bool
        var payload: Range<Int>
        /// Where the next frame begins.
        var end: Int
    }

    enum Reading: Equatable {
        case incomplete
        case frame(Frame)
        case malformed
    }

    /// The frame that begins at `start`; frames of servers are not masked (§5.1).
    static func read(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Reading {
        guard bytes.count - start >= 2 else { return .incomplete }
        guard bytes[start] & 0x70 == 0, bytes[start + 1] & 0x80 == 0,
            let opcode = Opcode(rawValue: bytes[start] & 0x0f)
        else { return .malformed }
        var length = Int(bytes[start + 1])
        var body = start + 2
        let extra = length == 126 ? 2 : length == 127 ? 8 : 0
        if extra > 0 {
            guard bytes.count - body >= extra else { return .incomplete }
            var value: UInt64 = 0
            for i in 0..<extra { value = value << 8 | UInt64(bytes[body + i]) }
            guard value <= UInt64(Limits.Load.messageBytes) else { return .malformed }
            length = Int(value)
            body += extra
        }
        guard bytes.count - body >= length else { return .incomplete }
        return .frame(
            Frame(
                opcode: opcode,
                isFinal: bytes[start] & 0x80 != 0,
                payload: body..<body + length,
                end: body + length
            )
        )
    }

    /// A whole message of a client, masked (§5.3).
    static func write(_ opcode: Opcode, _ payload: some Collection<UInt8>, mask: UInt32) -> [UInt8] {
        var frame: [UInt8] = [0x80 | opcode.rawValue]
        let length = payload.count
        if length < 126 {
            frame.append(0x80 | UInt8(length))
        } else if length <= 0xffff {
            frame += [0x80 | 126, UInt8(length >> 8), UInt8(length & 0xff)]
        } else {
            frame.append(0x80 | 127)
            for shift in stride(from: 56, through: 0, by: -8) {
                frame.append(UInt8(truncatingIfNeeded: length >> shift))
            }
        }
        let key = (0..<4).map { UInt8(truncatingIfNeeded: mask >> (24 - 8 * $0)) }
        frame += key
        for (place, byte) in payload.enumerated() { frame.append(byte ^ key[place & 3]) }
        return frame
    }
}
