import NIOCore
import Testing

@testable import Signaling

@Suite("RFC 6455 over loopback: frames and fragments")
struct WebSocketFramingTests {
    private static func text(_ length: Int) -> [UInt8] {
        (0..<length).map { UInt8(ascii: "a") + UInt8($0 % 26) }
    }

    // §5.2: seven bits, two bytes and eight bytes of length, and both sides of each border.
    @Test(arguments: [0, 1, 4, 125, 126, 127, 128, 1000, 65_535, 65_536, 65_537, 262_143, 262_144])
    func lengths(_ length: Int) async throws {
        try await Echo.each([length, 997]) { piece, client in
            let bytes = Self.text(length)
            try await client.send(frame(1, bytes), inPiecesOf: max(piece, 997))
            #expect(try await client.readFrame() == RawClient.Frame(first: 0x81, payload: bytes))
            try await client.expectEcho("after \(length) bytes")
        }
    }

    @Test func oneByteInEachSegment() async throws {
        try await Echo.each([0, 1, 125, 126, 400]) { length, client in
            let bytes = Self.text(length)
            try await client.send(frame(1, bytes), inPiecesOf: 1)
            #expect(try await client.readFrame()?.payload == bytes)
        }
    }

    @Test func aHeaderCutAnywhere() async throws {
        // Two bytes, eight bytes of length, four of the key.
        let bytes = frame(1, Self.text(70_000))
        try await Echo.each(Array(1...14)) { cut, client in
            try await client.send(Array(bytes[..<cut]))
            try await client.send(Array(bytes[cut...]))
            #expect(try await client.readFrame()?.payload.count == 70_000, "cut after \(cut)")
        }
    }

    @Test func manyFramesInOneSegment() async throws {
        try await Echo.each([200]) { count, client in
            try await client.send((0..<count).flatMap { textFrame("\($0)") })
            for number in 0..<count { #expect(try await client.readFrame()?.text == "\(number)") }
        }
    }

    // §5.3: any key, the one that changes nothing as well; the payload's place in the key goes on.
    @Test func maskingKeys() async throws {
        let keys: [[UInt8]] = [
            [0, 0, 0, 0], [0xff, 0xff, 0xff, 0xff], [0, 0, 0, 1], [0x80, 0, 0x7f, 0xaa],
        ]
        try await Echo.each(keys) { key, client in
            for length in [0, 1, 2, 3, 5, 127] {
                try await client.send(frame(1, Self.text(length), key: key))
                #expect(try await client.readFrame()?.payload == Self.text(length), "\(key), \(length)")
            }
        }
    }

    // §5.1: a server closes a connection upon a frame that is not masked, of whatever kind.
    @Test func unmaskedFramesAreRefused() async throws {
        let frames: [(String, [UInt8])] = [
            ("text", frame(1, [65], masked: false)), ("empty text", frame(1, masked: false)),
            ("ping", frame(9, masked: false)), ("pong", frame(10, masked: false)),
            ("close", frame(8, [3, 232], masked: false)),
            ("continuation", frame(1, [65], fin: false) + frame(0, [66], masked: false)),
        ]
        try await Echo.each(frames) { one, client in
            try await client.send(one.1)
            try await client.expectClose(1002, one.0)
        }
    }

    // §5.2: no extension was negotiated, so every reserved bit is an error.
    @Test(arguments: 1...7)
    func reservedBits(_ bits: Int) async throws {
        let rsv = UInt8(bits)
        let frames: [(String, [UInt8])] = [
            ("text", frame(1, [65], rsv: rsv)), ("fragment", frame(1, [65], fin: false, rsv: rsv)),
            ("ping", frame(9, rsv: rsv)), ("pong", frame(10, [1], rsv: rsv)),
            ("close", frame(8, [3, 232], rsv: rsv)),
            ("continuation", frame(1, [65], fin: false) + frame(0, [66], rsv: rsv)),
        ]
        try await Echo.each(frames) { one, client in
            try await client.send(one.1)
            try await client.expectClose(1002, "\(one.0), RSV \(bits)")
        }
    }

    @Test func reservedOpcodes() async throws {
        let opcodes: [UInt8] = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]
        try await Echo.each(opcodes.flatMap { [($0, 0), ($0, 5)] }) { one, client in
            try await client.send(frame(one.0, Self.text(one.1)))
            try await client.expectClose(1002, "opcode \(one.0) with \(one.1) bytes")
        }
        // In the middle of a message, after an answered one.
        try await Echo.each(opcodes) { opcode, client in
            try await client.expectEcho("before opcode \(opcode)")
            try await client.send(frame(1, [65], fin: false) + frame(opcode))
            try await client.expectClose(1002, "opcode \(opcode) between fragments")
        }
    }

    // §5.4
    @Test func fragments() async throws {
        struct Case: Sendable {
            var name: String
            var cuts: [Int]
            var piece = 100_000
        }
        let cases = [
            Case(name: "two", cuts: [3]), Case(name: "an empty first one", cuts: [0]),
            Case(name: "an empty last one", cuts: [12]),
            Case(name: "nothing but empty ones", cuts: [0, 0, 0]),
            Case(name: "each byte", cuts: Array(1...11)),
            Case(name: "each byte in segments of a byte", cuts: Array(1...11), piece: 1),
            Case(name: "empty ones between", cuts: [2, 2, 2, 7, 7]),
        ]
        try await Echo.each(cases) { one, client in
            let text = one.name == "nothing but empty ones" ? [] : Self.text(12)
            var bytes: [UInt8] = []
            var start = 0
            for (index, cut) in (one.cuts + [text.count]).enumerated() {
                bytes += frame(
                    index == 0 ? 1 : 0,
                    Array(text[start..<cut]),
                    fin: index == one.cuts.count
                )
                start = cut
            }
            try await client.send(bytes, inPiecesOf: one.piece)
            #expect(try await client.readFrame()?.payload == text, "\(one.name)")
            try await client.expectEcho(one.name)
        }
    }

    @Test func fragmentsOutOfPlace() async throws {
        let begin = frame(1, [65], fin: false)
        let frames: [(String, [UInt8])] = [
            ("a last one first", frame(0, [65])), ("a middle one first", frame(0, [65], fin: false)),
            ("an empty one first", frame(0)), ("a text inside", begin + frame(1, [66])),
            ("a beginning inside", begin + frame(1, [66], fin: false)),
            ("one after the end", begin + frame(0, [66]) + frame(0, [67])),
        ]
        try await Echo.each(frames) { one, client in
            try await client.send(one.1)
            if one.0 == "one after the end" { #expect(try await client.readFrame()?.text == "AB") }
            try await client.expectClose(1002, one.0)
        }
        // §5.6: binary is a data frame like another; this protocol has no use for it.
        try await Echo.each([frame(2), frame(2, [0, 255]), frame(2, [1], fin: false)]) { bytes, client in
            try await client.send(bytes)
            try await client.expectClose(1003, "binary")
        }
    }

    @Test func tooLargeInOnePieceOrMany() async throws {
        let limit = 262_144
        let whole = frame(1, Self.text(limit + 1))
        var headers: [(String, [UInt8])] = [
            ("one byte too many", whole), ("the header of it alone", Array(whole[..<14])),
        ]
        for length: [UInt8] in [
            [0, 0, 0, 1, 0, 0, 0, 0], [0x7f, 255, 255, 255, 255, 255, 255, 255],
            // §5.2: the most significant bit is 0.
            [0x80, 0, 0, 0, 0, 0, 0, 1], [255, 255, 255, 255, 255, 255, 255, 255],
        ] {
            headers.append(("length \(length)", [0x81, 0xff] + length + [1, 2, 3, 4]))
        }
        try await Echo.each(headers) { one, client in
            // The server may close before all of it is sent.
            try? await client.send(one.1)
            try await client.expectClose(1009, one.0)
        }
        try await Echo.each([1000]) { size, client in
            for number in 0...(limit / size) {
                try? await client.send(frame(number == 0 ? 1 : 0, Self.text(size), fin: false))
            }
            try await client.expectClose(1009, "fragments")
        }
    }

    // §5.5
    @Test func controlFramesBetweenFragments() async throws {
        try await Echo.each([1, 3, 100_000]) { piece, client in
            var bytes = frame(9, [1])
            for index in 0..<5 {
                bytes += frame(index == 0 ? 1 : 0, Self.text(7), fin: index == 4)
                if index < 4 { bytes += frame(9, [UInt8(index)]) + frame(10, [9, 9]) }
            }
            try await client.send(bytes, inPiecesOf: piece)
            #expect(try await client.readFrame() == RawClient.Frame(first: 0x8a, payload: [1]))
            for index: UInt8 in 0..<4 {
                #expect(try await client.readFrame() == RawClient.Frame(first: 0x8a, payload: [index]))
            }
            #expect(try await client.readFrame()?.payload.count == 35)
        }
    }

    @Test func pings() async throws {
        try await Echo.each(Array(0...125)) { length, client in
            let payload = (0..<length).map { UInt8(truncatingIfNeeded: 255 - $0) }
            try await client.send(frame(9, payload), inPiecesOf: length == 125 ? 1 : 1000)
            #expect(try await client.readFrame() == RawClient.Frame(first: 0x8a, payload: payload))
        }
        try await Echo.each([126, 127, 65_536]) { length, client in
            try? await client.send(frame(9, Self.text(length)))
            try await client.expectClose(1002, "ping of \(length)")
        }
        try await Echo.each([9, 10, 8] as [UInt8]) { opcode, client in
            try await client.send(frame(opcode, [], fin: false))
            try await client.expectClose(1002, "fragmented control frame \(opcode)")
        }
    }

    @Test func tenPingsGetTenPongsAndPongsNone() async throws {
        try await Echo.each([1, 1000]) { piece, client in
            let bytes = (0..<10).flatMap { frame(10, [77]) + frame(9, [UInt8($0)]) }
            try await client.send(bytes, inPiecesOf: piece)
            for number: UInt8 in 0..<10 {
                #expect(try await client.readFrame() == RawClient.Frame(first: 0x8a, payload: [number]))
            }
            try await client.expectEcho("after pings")
        }
    }
}
