import Foundation
import RTP
import Seam
import Testing

@testable import Signaling

@Suite("What participants say about themselves and the room")
struct GatewayProfileTests {
    @Test func nameAndAttributesReachTheOthersInTheRoster() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        await harness.pass(.milliseconds(100))
        for client in [alice, bob] { _ = try client.take() }
        let response = try await alice.request(
            "me.update",
            #"{"name":"Ally","attrs":{"team":"red","mood":"fine"}}"#
        )
        #expect(response.string("data", "participant", "name") == "Ally")
        #expect(response.int("rev") == response.int("data", "participant", "rev"))
        await harness.pass(.milliseconds(50))
        let roster = try #require(try bob.take("roster").first)
        #expect(roster.string("data", "updated", 0, "name") == "Ally")
        #expect(roster.string("data", "updated", 0, "attrs", "team") == "red")
        // null removes, what is absent stays, and the one who asked is not told again.
        try await alice.request("me.update", #"{"attrs":{"team":null}}"#)
        await harness.pass(.milliseconds(50))
        let second = try #require(try bob.take("roster").first)
        #expect(second.string("data", "updated", 0, "name") == "Ally")
        #expect(second.string("data", "updated", 0, "attrs", "team") == nil)
        #expect(second.string("data", "updated", 0, "attrs", "mood") == "fine")
        #expect(try alice.take("roster").isEmpty)
    }

    @Test func attributesAreBounded() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let long = String(repeating: "x", count: Limits.Rooms.attributeBytes)
        let tooLong = try await alice.request("me.update", #"{"attrs":{"a":"\#(long)"}}"#)
        #expect(tooLong.string("error", "code") == "too_large")
        let many = (0...Limits.Rooms.attributes).map { #""k\#($0)":"v""# }.joined(separator: ",")
        #expect(
            try await alice.request("me.update", "{\"attrs\":{\(many)}}").string("error", "code")
                == "too_large"
        )
        let long2 = String(repeating: "n", count: 257)
        #expect(
            try await alice.request("me.update", #"{"name":"\#(long2)"}"#).string("error", "code")
                == "bad_request"
        )
        let unchanged = try await alice.request("me.update")
        #expect(unchanged.string("data", "participant", "name") == "Alice")
        #expect(unchanged.string("data", "participant", "attrs", "a") == nil)
    }

    @Test func handsKeepTheTimeOfTheirRaising() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        await harness.pass(.milliseconds(100))
        _ = try bob.take()
        let raised = try #require(
            try await alice.request("hand", #"{"raised":true}"#).int("data", "participant", "hand")
        )
        await harness.pass(.seconds(1))
        let again = try await alice.request("hand", #"{"raised":true}"#)
        #expect(again.int("data", "participant", "hand") == raised)
        #expect(try bob.take("roster").first?.int("data", "updated", 0, "hand") == raised)
        try await alice.request("hand", #"{"raised":false}"#)
        await harness.pass(.milliseconds(50))
        let lowered = try #require(try bob.take("roster").first)
        #expect(lowered.string("data", "updated", 0, "pid") == alice.pid)
        #expect(lowered.int("data", "updated", 0, "hand") == nil)
        // Newcomers see it in their snapshot.
        try await bob.request("hand", #"{"raised":true}"#)
        let carol = await harness.connect()
        await carol.send(#"{"type":"hello","data":{"token":"carol"}}"#)
        let snapshot = try #require(try carol.take("snapshot").first)
        #expect(snapshot.list("data", "participants").compactMap { $0["hand"] as? Int }.count == 1)
    }

    @Test func reactionsAreForTheOthersAndForNow() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        await harness.pass(.milliseconds(100))
        _ = try bob.take()
        _ = try alice.take()
        await alice.send(#"{"type":"reaction","data":{"emoji":"👍🏽"}}"#)
        let reaction = try #require(try bob.take("reaction").first)
        #expect(reaction.string("data", "emoji") == "👍🏽")
        #expect(reaction.string("data", "pid") == alice.pid)
        #expect(reaction.string("data", "uid") == "alice")
        #expect(reaction.seq == nil)
        #expect(try alice.take().isEmpty)
        for bad in [#"{"emoji":""}"#, #"{"emoji":"\#(String(repeating: "👍", count: 9))"}"#, "{}"] {
            #expect(try await alice.request("reaction", bad).string("error", "code") == "bad_request")
        }
        let hidden = try await harness.join("ghost,hidden")
        #expect(
            try await hidden.request("reaction", #"{"emoji":"x"}"#).string("error", "code") == "forbidden"
        )
        var codes: [String?] = []
        for _ in 0..<20 {
            codes.append(try await alice.request("reaction", #"{"emoji":"x"}"#).string("error", "code"))
        }
        #expect(codes.first == .some(nil))
        #expect(codes.last == "rate_limited")
        await harness.pass(.seconds(10))
        #expect(try await alice.request("reaction", #"{"emoji":"x"}"#).bool("data", "ok") == true)
    }

    @Test func theRosterComesInPages() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        for n in 0..<7 { _ = try await harness.join("guest\(n)") }
        _ = try await harness.join("ghost,hidden")
        var seen: [String] = []
        var after: String?
        repeat {
            let cursor = after.map { ",\"after\":\"\($0)\"" } ?? ""
            let page = try await alice.request("roster.page", "{\"limit\":3\(cursor)}")
            #expect(page.int("data", "total") == 8)
            seen += page.list("data", "participants").compactMap { $0["uid"] as? String }
            after = page.string("data", "next")
        } while after != nil
        #expect(seen == ["alice"] + (0..<7).map { "guest\($0)" })
        let filtered = try await alice.request("roster.page", #"{"filter":{"name":"GUEST3"}}"#)
        #expect(filtered.list("data", "participants").compactMap { $0["uid"] as? String } == ["guest3"])
        #expect(filtered.int("data", "total") == 1)
        #expect(
            try await alice.request("roster.page", #"{"filter":{"hand":true}}"#).int("data", "total") == 0
        )
        for bad in [#"{"limit":0}"#, #"{"limit":501}"#, #"{"after":"x"}"#] {
            #expect(try await alice.request("roster.page", bad).string("error", "code") == "bad_request")
        }
    }

    @Test func pagesOfTheRosterAreBoundedInBytes() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let attribute = String(repeating: "a", count: 7000)
        for n in 0..<40 {
            let guest = try await harness.join("guest\(n)")
            try await guest.request("me.update", #"{"attrs":{"x":"\#(attribute)"}}"#)
        }
        let page = try await alice.request("roster.page", #"{"limit":500}"#)
        #expect(page.text.utf8.count < Limits.Signaling.serverMessageBytes)
        let count = page.list("data", "participants").count
        #expect(count > 20 && count < 41)
        #expect(page.string("data", "next") != nil)
    }

    @Test func onlyModeratorsDescribeTheRoom() async throws {
        let harness = await GatewayHarness()
        let mod = try await harness.join("mona,mod")
        let bob = try await harness.join("bob")
        await harness.pass(.milliseconds(100))
        _ = try bob.take()
        #expect(
            try await bob.request("room.update", #"{"meta":{"topic":"x"}}"#).string("error", "code")
                == "forbidden"
        )
        _ = try bob.take()
        _ = try mod.take()
        let response = try await mod.request("room.update", #"{"meta":{"topic":"plans","link":"a"}}"#)
        #expect(response.string("data", "room", "meta", "topic") == "plans")
        #expect(response.int("rev") == response.int("data", "room", "rev"))
        let event = try #require(try bob.take("room.updated").first)
        #expect(event.string("data", "room", "meta", "topic") == "plans")
        #expect(event.string("data", "by") == mod.pid)
        #expect(event.seq != nil)
        #expect(try mod.take("room.updated").isEmpty)
        try await mod.request("room.update", #"{"meta":{"link":null}}"#)
        let carol = await harness.connect()
        await carol.send(#"{"type":"hello","data":{"token":"carol"}}"#)
        let welcome = try carol.take()
        #expect(welcome[0].string("data", "room", "meta", "topic") == "plans")
        #expect(welcome[1].string("data", "standing", "room", "meta", "topic") == "plans")
        #expect(welcome[1].string("data", "standing", "room", "meta", "link") == nil)
    }
}
