import RTP
import Seam
import Testing

@testable import Signaling

@Suite("Tokens of the chat server")
struct ServerTokenTests {
    private static let keys = ["chat": "a-secret-of-tests-with-enough-bytes-in-it"]

    private static func refusal(_ work: () async throws -> Void) async -> ErrorCode? {
        do {
            try await work()
            return nil
        } catch { return (error as? GatewayError)?.code }
    }

    @Test func scopesAndRoomComeBack() async throws {
        let service = try await TokenService(keys: Self.keys, now: { 1_000_000 })
        let claims = ServerClaims(keyID: "chat", scopes: [.readRooms, .tokens], room: "standup")
        let token = try await service.mintServer(claims, lifetime: .seconds(60))
        #expect(try await service.verifyServer(token) == claims)
        let later = try await TokenService(keys: Self.keys, now: { 1_000_000 + 91 })
        #expect(await Self.refusal { _ = try await later.verifyServer(token) } == .expired)
        let stranger = try await TokenService(keys: ["chat": Self.keys["chat", default: ""] + "!"])
        #expect(await Self.refusal { _ = try await stranger.verifyServer(token) } == .unauthenticated)
        // It opens no room.
        #expect(
            await Self.refusal { _ = try await service.verify(token, room: "standup") } == .unauthenticated
        )
    }

    @Test func everythingIsDeniedUnlessItIsSaid() throws {
        let claims = ServerClaims(keyID: "chat", scopes: [.readRooms], room: "a")
        try claims.check(.readRooms, room: "a")
        for (scope, room) in [(ServerScope.writeRooms, "a"), (.readRooms, "b"), (.readRooms, nil)] {
            #expect(throws: GatewayError.self) { try claims.check(scope, room: room) }
        }
    }

    @Test func joinTokensSayWhoWaitsAndHowTheRoomIsSet() async throws {
        let service = try await TokenService(keys: Self.keys)
        var claims = Claims(room: "standup", user: UserID("alice"))
        claims.waits = true
        claims.roomConfig = RoomConfig(meta: ["a": "b"], locked: true)
        let token = try await service.mintJoin(claims, keyID: "chat", lifetime: .seconds(60))
        #expect(try await service.verify(token, room: "standup") == claims)
        #expect(try await service.verifyServer(token).scopes.isEmpty)
    }
}
