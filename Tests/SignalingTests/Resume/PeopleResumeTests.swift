import Foundation
import RTP
import Seam
import Testing

@testable import Signaling

@Suite("Moderation, lobby and messages over lost sockets")
struct PeopleResumeTests {
    private struct Session {
        var client: TestClient
        var token: String
        var epoch: String
    }

    private static func join(_ harness: GatewayHarness, _ token: String) async throws -> Session {
        let client = await harness.connect()
        await client.send(#"{"type":"hello","data":{"token":"\#(token)"}}"#)
        return try session(client, try client.take())
    }

    private static func session(_ client: TestClient, _ messages: [Message]) throws -> Session {
        let welcome = try #require(messages.first { $0.type == "welcome" })
        return Session(
            client: client,
            token: try #require(welcome.string("data", "resume", "token")),
            epoch: try #require(welcome.string("data", "room", "epoch"))
        )
    }

    /// What the server says to the resume; the client has applied events up to `seq` and the room up to `rev`.
    private static func resume(
        _ harness: GatewayHarness,
        _ session: Session,
        seq: Int,
        rev: Int = 0,
        attempt: Int = 1
    ) async throws -> (client: TestClient, told: [Message]) {
        let client = await harness.connect()
        await client.send(
            #"{"type":"hello","data":{"resume":{"token":"\#(session.token)","attempt":\#(attempt),"lastSeq":\#(seq),"rev":\#(rev),"epoch":"\#(session.epoch)"}}}"#
        )
        return (client, try client.take())
    }

    @Test func whoWaitsComesBackWaiting() async throws {
        let harness = await GatewayHarness()
        let mod = try await harness.join("mona,mod")
        let bob = try await Self.join(harness, "bob,lobby")
        await bob.client.disconnect()
        let back = try await Self.resume(harness, bob, seq: 1)
        #expect(back.told.first?.bool("data", "waiting") == true)
        #expect(back.told.allSatisfy { $0.list("data", "participants").isEmpty })
        let pid = try #require(back.told.first?.string("data", "pid"))
        #expect(await harness.gateway.standing(of: mod.pid)?.lobby?.map(\.pid) == [pid])
        try await mod.request("mod.admit", #"{"pid":"\#(pid)","admit":true}"#)
        #expect(try back.client.take().map(\.type) == ["lobby.admitted", "snapshot"])
    }

    @Test func whoIsAdmittedWhileAwayGetsTheWholeRoom() async throws {
        let harness = await GatewayHarness()
        let mod = try await harness.join("mona,mod")
        _ = try await harness.join("alice")
        let bob = try await Self.join(harness, "bob,lobby")
        await bob.client.send(#"{"type":"ack","ack":1}"#)
        await bob.client.disconnect()
        let pid = try #require(await harness.gateway.standing(of: mod.pid)?.lobby?.first?.pid)
        try await mod.request("mod.admit", #"{"pid":"\#(pid)","admit":true}"#)
        // It says that it knows the room as it was when it began to wait, which is not true of its people.
        let back = try await Self.resume(harness, bob, seq: 1, rev: 2)
        #expect(back.told.first?.string("data", "outcome") == "snapshot")
        #expect(back.told.first?.bool("data", "waiting") == nil)
        let snapshot = try #require(back.told.first { $0.type == "snapshot" })
        #expect(snapshot.list("data", "participants").count == 3)
    }

    @Test func aServerThatForgotTheSessionLetsNobodyPastTheLobby() async throws {
        let seal = ResumeSeal()
        let before = await GatewayHarness(seal: seal)
        _ = try await before.join("mona,mod")
        let bob = try await Self.join(before, "bob,lobby")
        let after = await GatewayHarness(seal: seal)
        let back = try await Self.resume(after, bob, seq: 1)
        #expect(back.told.first?.string("data", "outcome") == "rejoin")
        #expect(back.told.first?.bool("data", "waiting") == true)
        #expect(back.told.allSatisfy { $0.list("data", "participants").isEmpty })
    }

    @Test func aKickEndsTheSessionForGood() async throws {
        let harness = await GatewayHarness()
        let mod = try await harness.join("mona,mod")
        let bob = try await Self.join(harness, "bob")
        let pid = await harness.gateway.pid(of: "bob")
        try await mod.request("mod.kick", #"{"pid":"\#(try #require(pid))"}"#)
        let back = try await Self.resume(harness, bob, seq: 1)
        #expect(back.client.closed == 4100)
        #expect(!back.told.contains { $0.type == "welcome" })
        // With a token of his own he may join anew.
        _ = try await harness.join("bob")
    }

    @Test func messagesMissedOnALostSocketAreReplayedOrRepeated() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await Self.join(harness, "bob")
        await harness.pass(.milliseconds(100))
        let last = try bob.client.take().compactMap(\.seq).max() ?? 1
        await bob.client.disconnect()
        let receipt = try await alice.request("data.send", #"{"topic":"t","mid":"m1","payload":1}"#)
        #expect(receipt.int("data", "deliveredTo") == 1)
        let back = try await Self.resume(harness, bob, seq: last)
        #expect(back.told.first?.string("data", "outcome") == "replay")
        #expect(back.told.filter { $0.type == "data" }.compactMap { $0.string("data", "mid") } == ["m1"])
        // Too much was missed for a replay: the relay has it.
        let again = try Self.session(back.client, back.told)
        await back.client.send(#"{"type":"ack","ack":\#(last)}"#)
        await back.client.disconnect()
        for n in 0..<Limits.Signaling.criticalEvents { await harness.gateway.fill("bob", n) }
        try await alice.request("data.send", #"{"topic":"t","mid":"m2","payload":2}"#)
        let third = try await Self.resume(harness, again, seq: last, attempt: 2)
        #expect(["delta", "snapshot"].contains(third.told.first?.string("data", "outcome")))
        let page = try #require(third.told.first { $0.type == "delta" || $0.type == "snapshot" })
        #expect(page.int("data", "relay", "lost") == 0)
        #expect(page.string("data", "standing", "me", "role") == "speaker")
        let mids = third.told.filter { $0.type == "data" }.compactMap { $0.string("data", "mid") }
        #expect(mids == ["m1", "m2"])
    }
}

extension Gateway {
    fileprivate func pid(of user: String) -> String? {
        rooms.values.lazy.flatMap { $0.members.values }.first { $0.claims.user == UserID(user) }?.id.rawValue
    }

    /// A critical event of no meaning.
    fileprivate func fill(_ user: String, _ number: Int) {
        for member in rooms.values.flatMap({ $0.members.values }) where member.claims.user == UserID(user) {
            let need = SlotsNeeded(audio: 3, video: number, reason: .publications)
            queueCritical(member, .need, need, at: clock())
        }
    }
}
