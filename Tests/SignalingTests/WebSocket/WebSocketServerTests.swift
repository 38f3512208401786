import NIOCore
import Testing

@testable import Signaling

@Suite("Sockets over loopback")
struct WebSocketServerTests {
    private static let path = "/v1/rooms/stand%20up/signal"

    private static func upgraded(_ server: HTTPTestServer) async throws -> RawClient {
        let client = try await server.connect()
        let response = try await client.request("GET", path, upgradeHeaders())
        #expect(response.status == 101)
        return client
    }

    @Test func upgradesAndEchoes() async throws {
        try await HTTPTestServer.with { server in
            let client = try await server.connect()
            let response = try await client.request(
                "GET",
                Self.path,
                upgradeHeaders(["User-Agent": "test/1", "Traceparent": "00-ab-cd-01"])
            )
            #expect(response.status == 101)
            // RFC 6455 §1.3
            #expect(response.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            #expect(response.headers["sec-websocket-protocol"] == "sfu.v1+json")
            try await client.send(textFrame("grüß dich"))
            #expect(
                try await client.readFrame() == RawClient.Frame(first: 0x81, payload: Array("grüß dich".utf8))
            )
            var events = server.sockets.events.makeAsyncIterator()
            let expected = SignalingRequest(
                room: "stand up",
                remoteAddress: "127.0.0.1",
                userAgent: "test/1",
                traceparent: "00-ab-cd-01"
            )
            #expect(await events.next() == .opened(expected))
            #expect(await events.next() == .received("grüß dich"))
            try await client.send(closeFrame(1000, "bye"))
            let close = try await client.readFrame()
            #expect(close?.opcode == 8)
            #expect(close?.code == 1000)
            #expect(try await client.readFrame() == nil)
            #expect(await events.next() == .closed)
        }
    }

    @Test func aFrameInTheSegmentOfTheRequestIsNotLost() async throws {
        try await HTTPTestServer.with { server in
            let client = try await server.connect()
            let head =
                "GET \(Self.path) HTTP/1.1\r\nHost: localhost\r\n"
                + upgradeHeaders().map { "\($0): \($1)\r\n" }.joined() + "\r\n"
            try await client.send(Array(head.utf8) + textFrame("early") + textFrame("bird"))
            #expect(try await client.readResponse().status == 101)
            #expect(try await client.readFrame()?.text == "early")
            #expect(try await client.readFrame()?.text == "bird")
            client.close()
        }
    }

    @Test func fragmentsWithControlFramesBetween() async throws {
        try await HTTPTestServer.with { server in
            let client = try await Self.upgraded(server)
            // A character cut in two by the fragments is no error.
            let bytes = Array("frag-ü-ment".utf8)
            try await client.send(frame(1, Array(bytes[..<6]), fin: false))
            try await client.send(frame(9, [1, 2, 3]))
            try await client.send(frame(0, [], fin: false))
            try await client.send(frame(10, [9]))
            try await client.send(frame(0, Array(bytes[6...])))
            #expect(try await client.readFrame() == RawClient.Frame(first: 0x8a, payload: [1, 2, 3]))
            #expect(try await client.readFrame()?.text == "frag-ü-ment")
            client.close()
        }
    }

    @Test func largeMessagesUpToTheLimit() async throws {
        try await HTTPTestServer.with { server in
            let client = try await Self.upgraded(server)
            let text = String(repeating: "x", count: 256 * 1024)
            try await client.send(textFrame(text))
            #expect(try await client.readFrame()?.payload.count == text.utf8.count)
            client.close()
        }
    }

    struct Violation: Sendable, CustomTestStringConvertible {
        var name: String
        var bytes: [UInt8]
        var code: UInt16
        var testDescription: String { name }
    }

    static let violations: [Violation] = [
        Violation(name: "unmasked", bytes: frame(1, [65], masked: false), code: 1002),
        Violation(name: "RSV1", bytes: frame(1, [65], rsv: 4), code: 1002),
        Violation(name: "RSV2 on a control frame", bytes: frame(9, [], rsv: 2), code: 1002),
        Violation(name: "binary", bytes: frame(2, [1, 2]), code: 1003),
        Violation(name: "unknown opcode", bytes: frame(3), code: 1002),
        Violation(name: "unknown control opcode", bytes: frame(11), code: 1002),
        Violation(name: "text not UTF-8", bytes: frame(1, [0x61, 0xff]), code: 1007),
        Violation(name: "surrogate", bytes: frame(1, [0xed, 0xa0, 0x80]), code: 1007),
        Violation(name: "cut character at the end", bytes: frame(1, [0xc3]), code: 1007),
        Violation(
            name: "fragments not UTF-8",
            bytes: frame(1, [0xc3], fin: false) + frame(0, [0x28]),
            code: 1007
        ),
        Violation(name: "continuation first", bytes: frame(0, [65]), code: 1002),
        Violation(
            name: "text inside fragments",
            bytes: frame(1, [65], fin: false) + frame(1, [66]),
            code: 1002
        ),
        Violation(name: "long control frame", bytes: frame(9, Array(repeating: 0, count: 126)), code: 1002),
        Violation(name: "fragmented control frame", bytes: frame(9, [1], fin: false), code: 1002),
        Violation(
            name: "frame too large",
            bytes: Array(frame(1, Array(repeating: 65, count: 262_145)).prefix(64)),
            code: 1009
        ),
        Violation(
            name: "message too large",
            bytes: frame(1, Array(repeating: 65, count: 200_000), fin: false)
                + frame(0, Array(repeating: 65, count: 62_145)),
            code: 1009
        ),
        Violation(name: "close code 1005", bytes: closeFrame(1005), code: 1002),
        Violation(name: "close with one byte", bytes: frame(8, [3]), code: 1002),
        Violation(name: "close reason not UTF-8", bytes: frame(8, [3, 232, 0xff]), code: 1007),
    ]

    @Test(arguments: violations)
    func violationsCloseWithTheirCode(_ violation: Violation) async throws {
        try await HTTPTestServer.with { server in
            let client = try await Self.upgraded(server)
            try await client.send(violation.bytes)
            let close = try await client.readFrame()
            #expect(close?.opcode == 8)
            #expect(close?.code == violation.code)
            // Nothing after the Close frame is heard.
            try? await client.send(textFrame("too late"))
            try? await client.send(closeFrame(violation.code))
            #expect(try await client.readFrame() == nil)
        }
    }

    @Test func theServerClosesAndWaitsForTheAnswer() async throws {
        try await HTTPTestServer.with { server in
            let client = try await Self.upgraded(server)
            try await client.send(textFrame("close:4100"))
            let close = try await client.readFrame()
            #expect(close?.code == 4100)
            #expect(close.map { String(decoding: $0.payload.dropFirst(2), as: UTF8.self) } == "as told")
            // On a busy machine the server may have stopped waiting.
            try? await client.send(closeFrame(4100))
            #expect(try await client.readFrame() == nil)
            var closes = 0
            for await event in server.sockets.events where event == .closed {
                closes += 1
                break
            }
            #expect(closes == 1)
            #expect(server.sockets.openCount == 0)
        }
    }

    @Test func anEmptyCloseIsAnsweredEmpty() async throws {
        try await HTTPTestServer.with { server in
            let client = try await Self.upgraded(server)
            try await client.send(frame(8))
            #expect(try await client.readFrame() == RawClient.Frame(first: 0x88, payload: []))
            #expect(try await client.readFrame() == nil)
        }
    }

    @Test func halfClosedSocketsEnd() async throws {
        try await HTTPTestServer.with { server in
            let client = try await Self.upgraded(server)
            try await client.channel.close(mode: .output)
            #expect(try await client.readFrame() == nil)
        }
    }

    @Test func shutdownSaysGoodbye() async throws {
        try await HTTPTestServer.with { server in
            let client = try await Self.upgraded(server)
            let down = Task { await server.shutdown() }
            let close = try await client.readFrame()
            #expect(close?.code == 4000)
            try? await client.send(closeFrame(4000))
            #expect(try await client.readFrame() == nil)
            await down.value
        }
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        var name: String
        var path = WebSocketServerTests.path
        var headers: [String: String?]
        var status: Int
        var says: String
        var testDescription: String { name }
    }

    static let refusals: [Refusal] = [
        Refusal(
            name: "no upgrade",
            headers: ["Upgrade": nil, "Connection": nil],
            status: 426,
            says: "WebSocket"
        ),
        Refusal(name: "h2c", headers: ["Upgrade": "h2c"], status: 426, says: "WebSocket"),
        Refusal(
            name: "no Connection",
            headers: ["Connection": "keep-alive"],
            status: 400,
            says: "Connection"
        ),
        Refusal(name: "version", headers: ["Sec-WebSocket-Version": "8"], status: 426, says: "13"),
        Refusal(name: "no key", headers: ["Sec-WebSocket-Key": nil], status: 400, says: "Key"),
        Refusal(name: "short key", headers: ["Sec-WebSocket-Key": "c2hvcnQ="], status: 400, says: "Key"),
        Refusal(
            name: "no subprotocol",
            headers: ["Sec-WebSocket-Protocol": nil],
            status: 400,
            says: "sfu.v1+json"
        ),
        Refusal(
            name: "other subprotocol",
            headers: ["Sec-WebSocket-Protocol": "sfu.v2+json, chat"],
            status: 400,
            says: "sfu.v1+json"
        ),
        Refusal(
            name: "origin",
            headers: ["Origin": "https://evil.example"],
            status: 403,
            says: "evil.example"
        ),
        Refusal(name: "null origin", headers: ["Origin": "null"], status: 403, says: "null"),
        Refusal(
            name: "loopback origin outside dev",
            headers: ["Origin": "http://localhost:3000"],
            status: 403,
            says: "localhost:3000"
        ),
        Refusal(name: "room name", path: "/v1/rooms/%ff/signal", headers: [:], status: 400, says: "room"),
        Refusal(name: "path", path: "/v1/rooms/r/signals", headers: [:], status: 404, says: "nothing"),
    ]

    @Test(arguments: refusals)
    func refusalsAreAnswered(_ refusal: Refusal) async throws {
        try await HTTPTestServer.with { server in
            let client = try await server.connect()
            let response = try await client.request("GET", refusal.path, upgradeHeaders(refusal.headers))
            #expect(response.status == refusal.status)
            #expect(response.headers["content-type"] == "application/problem+json")
            #expect(response.body.contains(refusal.says), "\(response.body)")
            if ["no upgrade", "no Connection"].contains(refusal.name) {
                #expect(try await client.request("GET", "/healthz").status == 200)
                client.close()
            } else {
                #expect(response.headers["connection"] == "close")
                #expect(await client.readToEnd().isEmpty)
            }
        }
    }

    @Test func onlyTheFirstRequestCanUpgrade() async throws {
        try await HTTPTestServer.with { server in
            let client = try await server.connect()
            #expect(try await client.request("GET", "/healthz").status == 200)
            let response = try await client.request("GET", Self.path, upgradeHeaders())
            #expect(response.status == 426)
            #expect(response.headers["sec-websocket-version"] == "13")
            client.close()
        }
    }

    @Test(arguments: [
        ("http://localhost", [String](), false, 101),
        ("https://chat.example", ["https://chat.example"], false, 101),
        ("https://CHAT.example:443", ["https://chat.example"], false, 101),
        ("https://chat.example:8443", ["https://chat.example"], false, 403),
        ("https://any.example", ["*"], false, 101), ("http://127.0.0.1:5173", [], true, 101),
        ("http://[::1]:5173", [], true, 101), ("https://evil.example", [], true, 403),
    ])
    func origins(_ origin: String, _ allowed: [String], _ dev: Bool, _ status: Int) async throws {
        try await HTTPTestServer.with {
            $0.origins = allowed
            $0.isDevelopment = dev
        } _: { server in
            let response = try await server.request("GET", Self.path, upgradeHeaders(["Origin": origin]))
            #expect(response.status == status)
        }
    }
}
