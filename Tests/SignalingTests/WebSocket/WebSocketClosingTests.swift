import NIOCore
import Testing

@testable import Signaling

@Suite("RFC 6455 over loopback: text and closing")
struct WebSocketClosingTests {
    // §8.1, and what each character takes in bytes.
    static let texts = [
        "", "\u{0}", "\u{7f}", "\u{80}", "\u{7ff}", "\u{800}", "\u{d7ff}", "\u{e000}", "\u{fffd}", "\u{fffe}",
        "\u{ffff}", "\u{10000}", "\u{fffff}", "\u{10ffff}", "κόσμε", "grüß 你好 🎥", "e\u{301}", "\u{feff}bom",
    ]
    static let broken: [(String, [UInt8])] = [
        ("a continuation alone", [0x80]), ("the last one alone", [0xbf]), ("two of them", [0x80, 0xbf]),
        ("a beginning and a letter", [0xc3, 0x41]), ("three bytes, then a letter", [0xe4, 0xbd, 0x41]),
        ("four bytes, then a letter", [0xf0, 0x9f, 0x98, 0x41]), ("a slash in two bytes", [0xc0, 0xaf]),
        ("in three", [0xe0, 0x80, 0xaf]), ("in four", [0xf0, 0x80, 0x80, 0xaf]),
        ("U+7F in two", [0xc1, 0xbf]),
        ("U+7FF in three", [0xe0, 0x9f, 0xbf]), ("U+FFFF in four", [0xf0, 0x8f, 0xbf, 0xbf]),
        ("NUL in two", [0xc0, 0x80]), ("the first surrogate", [0xed, 0xa0, 0x80]),
        ("the last surrogate", [0xed, 0xbf, 0xbf]), ("a pair of them", [0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80]),
        ("U+110000", [0xf4, 0x90, 0x80, 0x80]), ("five bytes", [0xf8, 0x88, 0x80, 0x80, 0x80]),
        ("six bytes", [0xfc, 0x84, 0x80, 0x80, 0x80, 0x80]), ("0xfe", [0xfe]), ("0xff", [0xff]),
    ]

    @Test func validText() async throws {
        try await Echo.each(Self.texts) { text, client in
            try await client.send(textFrame(text))
            #expect(try await client.readFrame()?.text == text)
            // Each byte a fragment of its own.
            let bytes = Array(text.utf8)
            var frames = frame(1, [], fin: false)
            for byte in bytes { frames += frame(0, [byte], fin: false) }
            try await client.send(frames + frame(0))
            #expect(try await client.readFrame()?.payload == bytes, "\(text) in fragments")
        }
    }

    @Test func brokenText() async throws {
        try await Echo.each(Self.broken) { one, client in
            try await client.send(frame(1, Array("κόσ".utf8) + one.1 + Array("με".utf8)))
            try await client.expectClose(1007, one.0)
        }
    }

    /// The rest of the message never comes: it would not mend what there is.
    @Test func brokenTextFailsWithItsFragment() async throws {
        try await Echo.each(Self.broken) { one, client in
            try await client.send(frame(1, Array("κόσ".utf8) + one.1, fin: false))
            // A beginning that may go on is judged by what follows.
            try? await client.send(frame(0, Array("a".utf8), fin: false))
            try await client.expectClose(1007, one.0)
        }
        try await Echo.each(Self.broken) { one, client in
            try await client.send(frame(1, [], fin: false))
            for byte in one.1 + [0x41] { try? await client.send(frame(0, [byte], fin: false)) }
            try await client.expectClose(1007, "\(one.0), byte by byte")
        }
    }

    @Test func textThatEndsInsideACharacter() async throws {
        let cut: [[UInt8]] = [[0xc3], [0xe4], [0xe4, 0xbd], [0xf0], [0xf0, 0x9f], [0xf0, 0x9f, 0x98]]
        try await Echo.each(cut) { bytes, client in
            try await client.send(frame(1, bytes))
            try await client.expectClose(1007, "\(bytes)")
        }
        try await Echo.each(cut) { bytes, client in
            try await client.send(frame(1, bytes, fin: false) + frame(0))
            try await client.expectClose(1007, "\(bytes), then an empty end")
        }
    }

    // §7.4
    @Test func closeCodes() async throws {
        let good: [UInt16] = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]
        try await Echo.each(good + [3000, 3999, 4000, 4009, 4999]) { code, client in
            try await client.send(closeFrame(code))
            let answer = try await client.readFrame()
            #expect(answer?.opcode == 8)
            #expect(answer?.code == code)
            #expect(try await client.readFrame() == nil, "\(code)")
        }
        let bad: [UInt16] = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]
        try await Echo.each(bad) { code, client in
            try await client.send(closeFrame(code))
            try await client.expectClose(1002, "\(code)")
        }
    }

    // §5.5.1
    @Test func whatACloseFrameCarries() async throws {
        let long = Array(String(repeating: "ü", count: 61).utf8) + [0x61]
        try await Echo.each([[], Array("bye".utf8), long]) { reason, client in
            try await client.send(frame(8, [3, 232] + reason))
            let answer = try await client.readFrame()
            #expect(answer?.code == 1000, "reason of \(reason.count) bytes")
            #expect(try await client.readFrame() == nil)
        }
        try await Echo.each([
            ("one byte", [3], 1002), ("124 bytes of reason", [3, 232] + long + [0x61], 1002),
        ]) {
            one,
            client in
            try await client.send(frame(8, one.1))
            try await client.expectClose(UInt16(one.2), one.0)
        }
        try await Echo.each(Self.broken) { one, client in
            try await client.send(frame(8, [3, 232] + one.1))
            try await client.expectClose(1007, "reason: \(one.0)")
        }
    }

    @Test func nothingIsHeardAfterAClose() async throws {
        let after: [(String, [UInt8])] = [
            ("text", textFrame("late")), ("ping", frame(9, [1])), ("another close", closeFrame(4000)),
            ("rubbish", [0xff, 0xff, 0xff, 0xff]), ("a fragment", frame(0, [1])),
        ]
        try await HTTPTestServer.with { server in
            for one in after {
                let client = try await Echo.connect(server)
                try await client.send(closeFrame(1000) + one.1)
                #expect(try await client.readFrame()?.code == 1000, "\(one.0)")
                #expect(try await client.readFrame() == nil, "\(one.0)")
            }
            var closed = 0
            for await event in server.sockets.events {
                #expect(event != .received("late"))
                if event == .closed { closed += 1 }
                if closed == after.count { break }
            }
        }
    }

    @Test func aCloseBetweenFragmentsEndsIt() async throws {
        try await Echo.each([0]) { _, client in
            try await client.send(frame(1, [65], fin: false) + closeFrame(1001))
            #expect(try await client.readFrame()?.code == 1001)
            #expect(try await client.readFrame() == nil)
        }
    }

    @Test func bothCloseAtOnce() async throws {
        try await HTTPTestServer.with { server in
            let client = try await Echo.connect(server)
            try await client.send(textFrame("close:4101") + closeFrame(1000))
            #expect(try await client.readFrame()?.code == 4101)
            #expect(try await client.readFrame() == nil)
        }
    }

    @Test func connectionsThatEndAnywhere() async throws {
        let whole = upgradeHeaders().reduce("GET \(Echo.path) HTTP/1.1\r\nHost: h\r\n") {
            "\($0)\($1.key): \($1.value)\r\n"
        }
        let stream = Array((whole + "\r\n").utf8) + frame(1, Array("cut".utf8), fin: false) + frame(0, [65])
        try await HTTPTestServer.with { server in
            for cut in 0...stream.count {
                let client = try await server.connect()
                try await client.send(Array(stream[..<cut]))
                try? await client.channel.close()
            }
            let client = try await Echo.connect(server)
            try await client.expectEcho("after all of them")
            client.close()
        }
    }
}
