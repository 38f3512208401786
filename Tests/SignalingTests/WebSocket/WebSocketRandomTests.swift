import NIOCore
import Testing

@testable import Signaling

@Suite("Sockets over loopback: what nobody wrote down")
struct WebSocketRandomTests {
    /// Messages cut into fragments at random, with pings between, in segments of any size.
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func randomConversations(_ seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        try await HTTPTestServer.with { server in
            let client = try await Echo.connect(server)
            for round in 0..<15 {
                var expected: [RawClient.Frame] = []
                let bytes = Self.conversation(&random, &expected)
                let piece = Int.random(in: 1...max(2, bytes.count / 4), using: &random)
                try await client.send(bytes, inPiecesOf: piece)
                for frame in expected {
                    #expect(try await client.readFrame() == frame, "seed \(seed), round \(round)")
                }
            }
            client.close()
        }
    }

    private static func conversation(
        _ random: inout SeededRandom,
        _ expected: inout [RawClient.Frame]
    ) -> [UInt8] {
        let characters = Array("aZ0 \u{7f}üß€你🎥\u{10ffff}")
        let text = String(
            (0..<Int.random(in: 0...300, using: &random)).map { _ in
                characters[Int.random(in: 0..<characters.count, using: &random)]
            }
        )
        var rest = Array(text.utf8)
        var bytes: [UInt8] = []
        var opcode: UInt8 = 1
        while true {
            let isLast = Int.random(in: 0..<5, using: &random) == 0
            let size = isLast ? rest.count : Int.random(in: 0...rest.count, using: &random)
            let key = (0..<4).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            bytes += frame(opcode, Array(rest.prefix(size)), fin: isLast, key: key)
            rest.removeFirst(size)
            opcode = 0
            if isLast { break }
            if expected.count < 8, Bool.random(using: &random) {
                let payload = (0..<Int.random(in: 0...125, using: &random)).map { _ in
                    UInt8.random(in: .min ... .max, using: &random)
                }
                bytes += frame(9, payload)
                expected.append(RawClient.Frame(first: 0x8a, payload: payload))
            }
        }
        expected.append(RawClient.Frame(first: 0x81, payload: Array(text.utf8)))
        return bytes
    }

    /// Rubbish ends with a Close frame or goes on; the others never notice.
    @Test(arguments: [11, 12, 13] as [UInt64])
    func rubbish(_ seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        try await HTTPTestServer.with { server in
            let other = try await Echo.connect(server)
            for round in 0..<60 {
                let client = try await Echo.connect(server)
                var bytes = textFrame(String(repeating: "x", count: Int.random(in: 0...200, using: &random)))
                if Bool.random(using: &random) {
                    bytes = (0..<bytes.count).map { _ in UInt8.random(in: .min ... .max, using: &random) }
                } else {
                    for _ in 0..<3 {
                        let index = Int.random(in: 0..<bytes.count, using: &random)
                        bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                    }
                }
                try? await client.send(bytes)
                try? await client.channel.close(mode: .output)
                while let answer = try? await client.readFrame() {
                    #expect([1, 8, 10].contains(answer.opcode), "seed \(seed), round \(round)")
                    if answer.opcode == 8, let code = answer.code {
                        let isFault = [1002, 1003, 1007, 1009].contains(code)
                        #expect(isFault || MessageAssembler.isValidCloseCode(code), "code \(code)")
                    }
                }
                client.close()
                try await other.expectEcho("seed \(seed), round \(round)")
            }
            other.close()
        }
    }

    /// One that sends nothing but PINGs is answered, but not each time, and is read at its turn only.
    @Test func aFloodOfPings() async throws {
        try await HTTPTestServer.with { server in
            let client = try await Echo.connect(server)
            let other = try await Echo.connect(server)
            let count = 400
            try await client.send((0..<count).flatMap { frame(9, [UInt8($0 >> 8), UInt8($0 & 0xff)]) })
            var last = -1
            var answers = 0
            while last < count - 1 {
                let pong = try #require(try await client.readFrame())
                #expect(pong.opcode == 10)
                let number = Int(pong.payload[0]) << 8 | Int(pong.payload[1])
                #expect(number > last)
                last = number
                answers += 1
            }
            #expect(answers <= count)
            try await other.expectEcho("beside the flood")
            try await client.expectEcho("after the flood")
            client.close()
            other.close()
        }
    }
}
