import Foundation
import NIOCore
import RTP
import Seam
import Testing

@testable import Signaling

@Suite struct GatewayJoinTests {
    @Test func threeJoinsSeeEachOther() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        _ = try await alice.publishBoth()
        let bob = await harness.connect()
        await bob.send(
            #"{"type":"hello","v":"1.0","data":{"token":"bob","device":{"did":"d1","kind":"web"}}}"#
        )
        let greeting = try bob.take()
        #expect(greeting.map(\.type) == ["welcome", "snapshot"])
        #expect(greeting[0].seq == nil)
        #expect(greeting[0].string("v") == "1.0")
        #expect(greeting[0].string("data", "outcome") == "fresh")
        #expect(greeting[0].string("data", "uid") == "bob")
        #expect(greeting[0].string("data", "room", "id") == "standup")
        #expect(greeting[0].int("data", "limits", "inflight") == 64)
        #expect(greeting[0].int("data", "hb") == 10_000)
        #expect(greeting[1].seq == 1)
        let seen = greeting[1].list("data", "participants")
        #expect(seen.compactMap { $0["uid"] as? String } == ["alice", "bob"])
        let tracks = seen[0]["tracks"] as? [[String: Any]]
        #expect(Set(tracks?.compactMap { $0["source"] as? String } ?? []) == ["mic", "camera"])

        _ = try alice.take()
        let carol = try await harness.join("carol")
        #expect(try alice.take().isEmpty)
        await harness.pass(.milliseconds(50))
        let roster = try alice.take().filter { $0.type == "roster" }
        #expect(roster.count == 1)
        #expect(roster[0].list("data", "joined").compactMap { $0["uid"] as? String } == ["bob", "carol"])
        // Nobody is told of itself, nor what its snapshot said.
        let toBob = try bob.take().filter { $0.type == "roster" }
        #expect(toBob.flatMap { $0.list("data", "joined") }.compactMap { $0["uid"] as? String } == ["carol"])
        #expect(try carol.take().filter { $0.type == "roster" }.isEmpty)
    }

    @Test func helloMayCarryTheFirstOffer() async throws {
        let harness = await GatewayHarness()
        let client = await harness.connect()
        let sdp = String(
            decoding: try JSONEncoder().encode(SDPFixture.text("chromium_VP8_sim.offer")),
            as: UTF8.self
        )
        await client.send(
            #"{"type":"hello","v":"1.0","data":{"token":"alice","pc":{"gen":1,"offerId":3,"offer":\#(sdp),"tracks":[{"mid":"0","cid":"mic"}]}}}"#
        )
        let messages = try client.take()
        #expect(messages.map(\.type) == ["welcome", "snapshot"])
        #expect(messages[0].int("data", "pc", "offerId") == 3)
        #expect(messages[0].string("data", "pc", "answer")?.hasPrefix("v=0") == true)
        #expect(messages[0].string("data", "pc", "tracks", 0, "cid") == "mic")
    }

    @Test func refusedOffersLeaveTheSessionOpen() async throws {
        let harness = await GatewayHarness()
        let client = await harness.connect()
        harness.media.with { $0.refusal = .full }
        let sdp = String(
            decoding: try JSONEncoder().encode(SDPFixture.text("chromium_VP8_sim.offer")),
            as: UTF8.self
        )
        await client.send(#"{"type":"hello","data":{"token":"alice","pc":{"offer":\#(sdp)}}}"#)
        let messages = try client.take()
        #expect(messages.map(\.type) == ["welcome", "snapshot"])
        #expect(messages[0].string("data", "pc", "error", "code") == "overloaded")
        #expect(messages[1].list("data", "participants").first?["tracks"] as? [String] == [])
        harness.media.with { $0.refusal = nil }
        #expect(try await client.offer("chromium_VP8_sim.offer").string("data", "answer") != nil)
    }

    @Test(arguments: [
        (#"{"type":"hello","data":{"token":"x,bad"}}"#, 4401, "unauthenticated"),
        (#"{"type":"hello","data":{"token":"x,expired"}}"#, 4402, "expired"),
        (#"{"type":"hello","data":{"token":"x,elsewhere"}}"#, 4403, "forbidden"),
        (#"{"type":"hello","data":{}}"#, 4401, "unauthenticated"),
        (#"{"type":"hello","data":{"user":{"uid":"eve"}}}"#, 4401, "unauthenticated"),
        (#"{"type":"hello","v":"2.0","data":{"token":"x"}}"#, 4426, "unsupported"),
        (#"{"type":"ack","ack":0}"#, 4400, "bad_request"),
        (#"hello"#, 4400, "bad_request"),
        ("{\"type\":\"hello\",\"data\":{\"token\":\"x\"}}\n{\"type\":\"ack\"}", 4400, "too_large"),
    ])
    func badHellosAreRefusedInWords(_ hello: String, _ code: UInt16, _ error: String) async throws {
        let harness = await GatewayHarness()
        let client = await harness.connect()
        await client.send(hello)
        let messages = try client.take()
        #expect(messages.map(\.type) == ["error", "bye"])
        #expect(messages.first?.string("data", "error", "code") == error)
        #expect(messages.last?.int("data", "code") == Int(code))
        #expect(client.closed == code)
        #expect(await harness.gateway.readStatistics().rooms == 0)
    }

    @Test func developmentNeedsNoToken() async throws {
        let harness = await GatewayHarness(GatewayConfiguration(isDevelopment: true))
        let client = await harness.connect()
        await client.send(#"{"type":"hello","data":{"user":{"uid":"eve","name":"Eve"}}}"#)
        let welcome = try #require(try client.take().first)
        #expect(welcome.string("data", "uid") == "eve")
        #expect(welcome.bool("data", "grants", "subscribe") == true)
        let other = await harness.connect()
        await other.send(#"{"type":"hello","data":{"user":{"uid":""}}}"#)
        #expect(other.closed == 4400)
    }

    @Test func silenceBeforeHelloIsLimited() async throws {
        let harness = await GatewayHarness()
        let client = await harness.connect()
        await harness.pass(.milliseconds(4950))
        #expect(client.closed == nil)
        await harness.pass(.milliseconds(50))
        #expect(client.closed == 4401)
    }

    @Test func roomsAreLimited() async throws {
        let harness = await GatewayHarness(
            GatewayConfiguration(maximumRooms: 1, maximumParticipantsPerRoom: 2)
        )
        let alice = try await harness.join("alice")
        _ = try await harness.join("bob", did: "phone")
        let third = await harness.connect()
        await third.send(#"{"type":"hello","data":{"token":"carol"}}"#)
        #expect(third.closed == 4409)
        #expect(try third.take().first?.string("data", "error", "code") == "full")
        // A device that comes again takes its own place.
        _ = try await harness.join("bob", did: "phone")
        let elsewhere = await harness.connect(room: "other")
        await elsewhere.send(#"{"type":"hello","data":{"token":"dan"}}"#)
        #expect(elsewhere.closed == 4409)
        try await alice.request("leave")
        _ = try await harness.join("carol")
    }

    @Test func connectionsAreLimited() async throws {
        let harness = await GatewayHarness(GatewayConfiguration(maximumConnections: 1))
        _ = await harness.connect()
        #expect(await harness.connect().closed == 4013)
    }

    @Test func theSameDeviceReplacesItself() async throws {
        let harness = await GatewayHarness()
        let watcher = try await harness.join("zoe")
        let first = try await harness.join("alice", did: "laptop")
        let phone = try await harness.join("alice", did: "phone")
        await harness.pass(.milliseconds(50))
        _ = try watcher.take()
        let second = try await harness.join("alice", did: "laptop")
        #expect(first.closed == 4102)
        #expect(phone.closed == nil)
        await harness.pass(.milliseconds(50))
        let roster = try #require(try watcher.take().first { $0.type == "roster" })
        #expect(roster.list("data", "joined").compactMap { $0["pid"] as? String } == [second.pid])
        #expect(roster.string("data", "left", 0, "pid") == first.pid)
        #expect(roster.string("data", "left", 0, "reason") == "replaced")
    }

    @Test func tokensDecideAboutSecondSessions() async throws {
        let harness = await GatewayHarness()
        let first = try await harness.join("alice", did: "a")
        let rejected = await harness.connect()
        await rejected.send(#"{"type":"hello","data":{"token":"alice,reject","device":{"did":"b"}}}"#)
        #expect(rejected.closed == 4403)
        #expect(first.closed == nil)
        _ = try await harness.join("alice,replace", did: "c")
        #expect(first.closed == 4102)
    }

    @Test func hiddenParticipantsAreSeenByNobody() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let ghost = try await harness.join("ghost,hidden")
        await harness.pass(.milliseconds(100))
        #expect(try alice.take().filter { $0.type == "roster" }.isEmpty)
        let bob = await harness.connect()
        await bob.send(#"{"type":"hello","data":{"token":"bob"}}"#)
        #expect(
            try bob.take()[1].list("data", "participants").compactMap { $0["uid"] as? String } == [
                "alice", "bob",
            ]
        )
        let refused = try await ghost.request("track.publish", #"{"cid":"x","kind":"audio"}"#)
        #expect(refused.string("error", "code") == "forbidden")
    }

    @Test func timeInTheRoomEnds() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice,short")
        await harness.pass(.seconds(59))
        #expect(alice.closed == nil)
        await harness.pass(.seconds(2))
        #expect(alice.closed == 4402)
        #expect(await harness.gateway.readStatistics().participants == 0)
    }

    @Test func nothingMayComeBeforeTheWelcome() async throws {
        let harness = await GatewayHarness()
        harness.media.with { $0.holds = true }
        let client = await harness.connect()
        let sdp = String(
            decoding: try JSONEncoder().encode(SDPFixture.text("chromium_VP8_sim.offer")),
            as: UTF8.self
        )
        await client.send(#"{"type":"hello","data":{"token":"alice","pc":{"offer":\#(sdp)}}}"#)
        await client.send(#"{"id":1,"type":"ping"}"#)
        #expect(client.closed == 4400)
        harness.media.release()
        await harness.settle()
        #expect(await harness.gateway.readStatistics().mediaSessions == 0)
    }

    @Test func shutdownSaysGoodbye() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        _ = try await alice.publishBoth()
        async let done: Void = harness.gateway.shutdown()
        while alice.closed == nil { await harness.settle() }
        await alice.disconnect()
        await done
        let bye = try #require(try alice.take().last)
        #expect(bye.type == "bye")
        #expect(bye.string("data", "action") == "reconnect")
        #expect(alice.closed == 4000)
        #expect(harness.media.commands.contains(.close(SessionID(alice.sid))))
        #expect(await harness.connect().closed == 4000)
    }
}
