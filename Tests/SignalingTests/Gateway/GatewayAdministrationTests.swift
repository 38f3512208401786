import Foundation
import RTP
import Seam
import Testing

@testable import Signaling

@Suite("Rooms that the chat server keeps, on virtual time")
struct GatewayAdministrationTests {
    @Test func roomsMadeOnPurposeStayForADayWhileNobodyIsIn() async throws {
        let harness = await GatewayHarness()
        let gateway = harness.gateway
        let (room, isNew) = try await gateway.putRoom("standup", RoomConfig(locked: true), .absent)
        #expect(isNew)
        #expect(room.locked)
        await harness.pass(.seconds(1))
        #expect(try await gateway.readRoom("standup") == room)
        let mod = try await harness.join("mona,mod")
        harness.clock.advance(Limits.Rooms.emptyRoomAge)
        try await mod.request("leave")
        harness.clock.advance(Limits.Rooms.emptyRoomAge - .seconds(1))
        await gateway.tick(at: harness.clock.now)
        #expect(try await gateway.readRoom("standup").epoch == room.epoch)
        harness.clock.advance(.seconds(2))
        await gateway.tick(at: harness.clock.now)
        #expect(await gateway.listRooms(after: nil, limit: 10).rooms.isEmpty)
        // Others go with the last one.
        let bob = try await harness.join("bob")
        #expect(await gateway.listRooms(after: nil, limit: 10).rooms.count == 1)
        try await bob.request("leave")
        #expect(await gateway.listRooms(after: nil, limit: 10).rooms.isEmpty)
    }

    @Test func theFirstTokenMaySetTheRoom() async throws {
        let config = RoomConfig(meta: ["topic": "x"], lobby: true, maxParticipants: 2)
        let harness = await GatewayHarness()
        let claims = Claims(
            room: "standup",
            user: UserID("alice"),
            grants: .development,
            roomConfig: config
        )
        _ = try await harness.gateway.enterForTest(claims, at: harness.clock.now)
        let room = try await harness.gateway.readRoom("standup")
        #expect(room.meta == ["topic": "x"])
        #expect(room.lobby)
        #expect(room.maxParticipants == 2)
        var other = claims
        other.user = UserID("bob")
        other.roomConfig = RoomConfig(locked: true)
        _ = try await harness.gateway.enterForTest(other, at: harness.clock.now)
        #expect(try await harness.gateway.readRoom("standup") == room)
        other.user = UserID("carol")
        await #expect(throws: GatewayError.self) {
            try await harness.gateway.enterForTest(other, at: harness.clock.now)
        }
    }

    @Test func whoDoesNotFollowToTheOtherRoomIsPutOut() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        let body = MoveBody(to: "breakout")
        let claims = try await harness.gateway.movable("standup", body)
        #expect(Set(claims.keys.map(\.rawValue)) == [alice.pid, bob.pid])
        #expect(claims.values.allSatisfy { $0.room == "breakout" })
        _ = try await harness.gateway.move("standup", claims.mapValues { "token-of-\($0.user)" }, body)
        #expect(try alice.take("room.move").first?.string("data", "token") == "token-of-alice")
        #expect(await harness.gateway.standing(of: bob.pid)?.move?.room == "breakout")
        try await alice.request("leave")
        await harness.pass(Limits.Rooms.moveTimeout - .seconds(1))
        #expect(bob.closed == nil)
        await harness.pass(.seconds(2))
        #expect(bob.closed == 4101)
        #expect(alice.closed == 4103)
    }

    @Test func admissionByTheChatServer() async throws {
        let harness = await GatewayHarness()
        _ = try await harness.join("alice")
        let bob = await harness.connect()
        await bob.send(#"{"type":"hello","data":{"token":"bob,lobby"}}"#)
        try bob.readWelcome()
        let object = try await harness.gateway.patchParticipant(
            "standup",
            bob.pid,
            PatchParticipant(admit: true),
            .none
        )
        #expect(object.uid == "bob")
        await harness.settle()
        #expect(try bob.take("lobby.admitted").first?.string("data", "by") == nil)
        let carol = await harness.connect()
        await carol.send(#"{"type":"hello","data":{"token":"carol,lobby"}}"#)
        try carol.readWelcome()
        await #expect(throws: GatewayError.self) {
            try await harness.gateway.patchParticipant(
                "standup",
                carol.pid,
                PatchParticipant(admit: false),
                .none
            )
        }
        #expect(carol.closed == 4100)
    }
}

extension Gateway {
    fileprivate func enterForTest(_ claims: Claims, at now: Instant) throws -> ParticipantID {
        try enter(room: claims.room, claims: claims, front: .whip, kind: "whip", at: now).id
    }
}
