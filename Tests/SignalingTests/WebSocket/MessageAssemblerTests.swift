import NIOCore
import NIOWebSocket
import Testing

@testable import Signaling

@Suite("Fragments to messages")
struct MessageAssemblerTests {
    private static func frame(_ opcode: WebSocketOpcode, _ bytes: some Sequence<UInt8>, fin: Bool)
        -> WebSocketFrame
    {
        let key: WebSocketMaskingKey = [9, 8, 7, 6]
        var data = ByteBuffer(bytes: bytes)
        data.webSocketMask(key)
        return WebSocketFrame(fin: fin, opcode: opcode, maskKey: key, data: data)
    }

    /// Every way to cut a text in three, characters included.
    @Test func everyCutOfATextIsTheText() {
        let bytes = Array("aüb€c🎥d".utf8)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                var assembler = MessageAssembler()
                #expect(assembler.receive(Self.frame(.text, bytes[..<first], fin: false)) == .nothing)
                #expect(
                    assembler.receive(Self.frame(.continuation, bytes[first..<second], fin: false))
                        == .nothing,
                    "cut after \(first) and \(second)"
                )
                let onFrame = assembler.receive(Self.frame(.continuation, bytes[second...], fin: true))
                #expect(onFrame == .text(ByteBuffer(bytes: bytes)), "cut after \(first) and \(second)")
            }
        }
    }

    /// Byte by byte, it fails where the text can be none any more: neither earlier nor later.
    @Test(
        arguments: [
            ([0x61, 0x80], 2), ([0xc3, 0x28], 2), ([0xc0], 1), ([0xe0, 0x9f], 2), ([0xed, 0xa0], 2),
            ([0xf0, 0x8f], 2),
            ([0xf4, 0x8f, 0xbf, 0xbf, 0xf4, 0x90], 6), ([0xf5], 1), ([0xff], 1), ([0xe2, 0x82, 0x41], 3),
            ([0xf0, 0x9f, 0x8e, 0x41], 4),
        ] as [([UInt8], Int)]
    )
    func brokenTextFailsWithTheByteThatBreaksIt(_ bytes: [UInt8], _ failing: Int) {
        var assembler = MessageAssembler()
        for (index, byte) in bytes.prefix(failing).enumerated() {
            let opcode: WebSocketOpcode = index == 0 ? .text : .continuation
            let onFrame = assembler.receive(Self.frame(opcode, [byte], fin: false))
            let isLast = index == failing - 1
            #expect(onFrame == (isLast ? .violation(1007, "text is not UTF-8") : .nothing), "byte \(index)")
        }
    }

    @Test func theNextMessageBeginsAnew() {
        var assembler = MessageAssembler()
        let bytes = Array("ü".utf8)
        for _ in 0..<3 {
            #expect(assembler.receive(Self.frame(.text, bytes[..<1], fin: false)) == .nothing)
            #expect(
                assembler.receive(Self.frame(.continuation, bytes[1...], fin: true))
                    == .text(ByteBuffer(bytes: bytes))
            )
            #expect(assembler.receive(Self.frame(.text, bytes, fin: true)) == .text(ByteBuffer(bytes: bytes)))
        }
    }

    @Test func theLimitIsOfTheWholeMessage() {
        var assembler = MessageAssembler(limit: 4)
        #expect(assembler.receive(Self.frame(.text, [65, 65], fin: false)) == .nothing)
        #expect(
            assembler.receive(Self.frame(.continuation, [65, 65], fin: true))
                == .text(ByteBuffer(string: "AAAA"))
        )
        #expect(assembler.receive(Self.frame(.text, [65, 65], fin: false)) == .nothing)
        #expect(
            assembler.receive(Self.frame(.continuation, [65, 65, 65], fin: false))
                == .violation(1009, "message too large")
        )
    }
}
