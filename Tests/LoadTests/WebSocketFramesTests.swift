// Frames of RFC 6455, in pieces and broken ones, and the head of an event.
import Testing

@testable import Load

@Suite struct WebSocketFramesTests {
    private func read(_ bytes: [UInt8], from start: Int = 0) -> WebSocketFrames.Reading {
        bytes.withUnsafeBufferPointer { WebSocketFrames.read($0, from: start) }
    }

    /// As a server writes it.
    private func unmasked(_ payload: Int) -> [UInt8] {
        let length: [UInt8] =
            payload < 126
            ? [UInt8(payload)]
            : payload <= 0xffff
                ? [126, UInt8(payload >> 8), UInt8(payload & 0xff)]
                : [127, 0, 0, 0, 0] + (0..<4).map { UInt8(truncatingIfNeeded: payload >> (24 - 8 * $0)) }
        return [0x81] + length + [UInt8](repeating: 0x61, count: payload)
    }

    @Test(arguments: [0, 1, 125, 126, 65_535, 65_536])
    func readsAllLengths(length: Int) {
        let bytes = unmasked(length)
        let whole = WebSocketFrames.Frame(
            opcode: .text,
            isFinal: true,
            payload: bytes.count - length..<bytes.count,
            end: bytes.count
        )
        #expect(read(bytes) == .frame(whole))
        #expect(read(Array(bytes.dropLast())) == .incomplete)
        #expect(read(Array(bytes.prefix(1))) == .incomplete)
        let second = read(bytes + bytes, from: bytes.count)
        #expect(
            second
                == .frame(
                    .init(
                        opcode: .text,
                        isFinal: true,
                        payload: 2 * bytes.count - length..<2 * bytes.count,
                        end: 2 * bytes.count
                    )
                )
        )
    }

    @Test(
        arguments: [
            [0x81, 0x80, 0, 0, 0, 0], [0xc1, 0], [0x83, 0], [0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0],
        ] as [[UInt8]]
    )
    func refusesWhatServersDoNotSend(bytes: [UInt8]) {
        #expect(read(bytes) == .malformed)
    }

    @Test func masksWhatItWrites() {
        // RFC 6455 §5.7.
        #expect(
            WebSocketFrames.write(.text, Array("Hello".utf8), mask: 0x37fa_213d)
                == [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]
        )
        #expect(
            Array(WebSocketFrames.write(.text, [UInt8](repeating: 0, count: 300), mask: 0).prefix(4))
                == [0x81, 0xfe, 1, 44]
        )
        #expect(
            Array(WebSocketFrames.write(.text, [UInt8](repeating: 0, count: 70_000), mask: 0).prefix(10))
                == [0x81, 0xff, 0, 0, 0, 0, 0, 1, 0x11, 0x70]
        )
    }

    @Test func knowsNumberAndTypeOfAnEvent() {
        func sequence(_ text: String) -> UInt64? {
            Array(text.utf8).withUnsafeBufferPointer { SignalSocket.sequence(of: $0) }
        }
        func type(_ text: String) -> String? {
            Array(text.utf8).withUnsafeBufferPointer { SignalSocket.type(of: $0) }
        }
        let event = #"{"seq":1234,"rev":9,"type":"speakers","ts":1,"data":{"active":[]}}"#
        #expect(sequence(event) == 1234)
        #expect(type(event) == "speakers")
        #expect(sequence(#"{"type":"hb","data":{"seq":7}}"#) == nil)
        #expect(sequence(#"{"seq":"#) == nil)
        #expect(type(#"{"re":1,"data":{}}"#) == nil)
    }
}
