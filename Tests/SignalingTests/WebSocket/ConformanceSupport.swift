// What the tests of RFC 6455 share: a socket that echoes, and a client that cuts what it sends as the test wants.
import NIOCore
import Testing

@testable import Signaling

enum Echo {
    static let path = "/v1/rooms/echo/signal"

    static func connect(_ server: HTTPTestServer) async throws -> RawClient {
        let client = try await server.connect()
        let response = try await client.request("GET", path, upgradeHeaders())
        try #require(response.status == 101)
        return client
    }

    /// One server for all cases, a connection for each, all at the same time: after some faults the server waits.
    static func each<Case: Sendable>(
        _ cases: [Case],
        _ body: @escaping @Sendable (Case, RawClient) async throws -> Void
    ) async throws {
        try await HTTPTestServer.with { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for one in cases {
                    group.addTask {
                        let client = try await connect(server)
                        try await body(one, client)
                        client.close()
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}

extension RawClient {
    /// In writes of `size` bytes, each on its way before the next one begins.
    func send(_ bytes: [UInt8], inPiecesOf size: Int) async throws {
        for start in stride(from: 0, to: bytes.count, by: size) {
            try await send(Array(bytes[start..<min(start + size, bytes.count)]))
        }
    }

    /// The code of the Close frame that has to come next, answered, and followed by nothing.
    func expectClose(_ code: UInt16, _ what: String) async throws {
        let close = try await readFrame()
        #expect(close?.opcode == 8, "\(what)")
        #expect(close?.code == code, "\(what): \(close?.code.map(String.init) ?? "no code")")
        // The server may have stopped to wait.
        try? await send(closeFrame(code))
        #expect(try await readFrame() == nil, "\(what): something after the Close frame")
    }

    /// The connection works.
    func expectEcho(_ what: String) async throws {
        try await send(textFrame("still here"))
        #expect(try await readFrame()?.text == "still here", "\(what)")
    }
}
