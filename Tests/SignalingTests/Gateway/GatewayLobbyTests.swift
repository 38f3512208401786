import Foundation
import RTP
import Seam
import Testing

@testable import Signaling

@Suite("Locked rooms and the lobby")
struct GatewayLobbyTests {
    private static func hello(_ harness: GatewayHarness, _ token: String, did: String? = nil) async
        -> TestClient
    {
        let client = await harness.connect()
        let device = did.map { ",\"device\":{\"did\":\"\($0)\"}" } ?? ""
        await client.send(#"{"type":"hello","data":{"token":"\#(token)"\#(device)}}"#)
        return client
    }

    @Test func lockedRoomsTakeModeratorsAndThoseWhoAreIn() async throws {
        let harness = await GatewayHarness()
        let mod = try await harness.join("mona,mod")
        let alice = try await harness.join("alice")
        try await mod.request("mod.lock", #"{"locked":true}"#)
        #expect(try alice.take("room.updated").first?.bool("data", "room", "locked") == true)
        let bob = await Self.hello(harness, "bob")
        #expect(bob.closed == 4409)
        #expect(try bob.take("error").first?.string("data", "error", "code") == "locked")
        // Another device of hers, and another moderator.
        _ = try await harness.join("alice", did: "phone")
        _ = try await harness.join("max,mod")
        try await mod.request("mod.lock", #"{"locked":false}"#)
        _ = try await harness.join("bob")
    }

    @Test func whoWaitsHearsAndSendsNothing() async throws {
        let harness = await GatewayHarness()
        let mod = try await harness.join("mona,mod")
        let alice = try await harness.join("alice")
        await harness.pass(.milliseconds(100))
        _ = try mod.take()
        _ = try alice.take()
        let bob = await Self.hello(harness, "bob,lobby")
        let first = try bob.take()
        let welcome = try #require(first.first { $0.type == "welcome" })
        #expect(welcome.bool("data", "waiting") == true)
        let snapshot = try #require(first.first { $0.type == "snapshot" })
        #expect(snapshot.list("data", "participants").isEmpty)
        #expect(snapshot.bool("data", "standing", "waiting") == true)
        let waiting = try #require(try mod.take("lobby.waiting").first)
        #expect(waiting.string("data", "waiting", "uid") == "bob")
        #expect(waiting.string("data", "waiting", "name") == "Bob")
        await harness.pass(.milliseconds(100))
        #expect(try alice.take().isEmpty)
        // What happens inside stays inside.
        _ = try await alice.publishBoth()
        try await alice.request("reaction", #"{"emoji":"x"}"#)
        try await alice.request("data.send", #"{"topic":"t","payload":1}"#)
        try await mod.request("room.update", #"{"meta":{"a":"b"}}"#)
        await harness.emit(
            .speakers(
                SpeakerReport(
                    room: RoomID("standup"),
                    dominant: ParticipantID(alice.pid),
                    active: [.init(participant: ParticipantID(alice.pid), level: 100)]
                )
            )
        )
        await harness.pass(.milliseconds(200))
        #expect(try bob.take().isEmpty)
        for (type, data) in [
            ("pc.offer", #"{"sdp":"v=0"}"#), ("track.publish", #"{"cid":"x","kind":"audio"}"#),
            ("sub.update", "{}"), ("roster.page", "{}"), ("data.send", #"{"topic":"t","payload":1}"#),
            ("hand", #"{"raised":true}"#), ("mod.lock", #"{"locked":false}"#),
        ] {
            #expect(try await bob.request(type, data).string("error", "code") == "not_ready", "\(type)")
        }
        #expect(try await bob.request("ping").int("data", "serverTime") != nil)
        // Nobody but moderators knows of him.
        #expect(try await alice.request("roster.page").int("data", "total") == 2)
    }

    @Test func admissionOpensTheRoom() async throws {
        let harness = await GatewayHarness()
        let mod = try await harness.join("mona,mod")
        let other = try await harness.join("max,mod")
        let alice = try await harness.join("alice")
        let bob = await Self.hello(harness, "bob,lobby")
        try bob.readWelcome()
        await harness.pass(.milliseconds(100))
        for client in [mod, other, alice] { _ = try client.take() }
        let response = try await mod.request("mod.admit", #"{"pid":"\#(bob.pid)","admit":true}"#)
        #expect(response.bool("data", "admitted") == true)
        #expect(response.string("data", "participant", "uid") == "bob")
        let told = try bob.take()
        #expect(told.map(\.type) == ["lobby.admitted", "snapshot"])
        #expect(told[1].list("data", "participants").count == 4)
        #expect(told[1].bool("data", "standing", "waiting") == nil)
        #expect(try other.take("lobby.admitted").count == 1)
        #expect(try mod.take("lobby.admitted").isEmpty)
        await harness.pass(.milliseconds(100))
        let roster = try #require(try alice.take("roster").first)
        #expect(roster.string("data", "joined", 0, "uid") == "bob")
        #expect(try await bob.publishBoth().count == 2)
        // Again says the same; turning away comes too late.
        let again = try await other.request("mod.admit", #"{"pid":"\#(bob.pid)","admit":true}"#)
        #expect(again.bool("data", "admitted") == true)
        let late = try await other.request("mod.admit", #"{"pid":"\#(bob.pid)","admit":false}"#)
        #expect(late.string("error", "code") == "conflict")
    }

    @Test func turningAway() async throws {
        let harness = await GatewayHarness()
        let mod = try await harness.join("mona,mod")
        let bob = await Self.hello(harness, "bob,lobby")
        try bob.readWelcome()
        let response = try await mod.request("mod.admit", #"{"pid":"\#(bob.pid)","admit":false}"#)
        #expect(response.bool("data", "admitted") == false)
        #expect(try bob.take().map(\.type) == ["lobby.denied", "bye"])
        #expect(bob.closed == 4100)
        #expect(await harness.gateway.standing(of: mod.pid)?.lobby?.isEmpty == true)
        #expect(
            try await mod.request("mod.admit", #"{"pid":"\#(bob.pid)","admit":true}"#).string("error", "code")
                == "not_found"
        )
    }

    @Test func whoWasAdmittedNeedNotWaitAgain() async throws {
        let harness = await GatewayHarness()
        let mod = try await harness.join("mona,mod")
        let bob = await Self.hello(harness, "bob,lobby", did: "tab")
        try bob.readWelcome()
        try await mod.request("mod.admit", #"{"pid":"\#(bob.pid)","admit":true}"#)
        try await bob.request("leave")
        let back = await Self.hello(harness, "bob,lobby", did: "tab")
        let welcome = try #require(try back.take("welcome").first)
        #expect(welcome.bool("data", "waiting") == nil)
        // Put out by a moderator, he waits again.
        let pid = try #require(welcome.string("data", "pid"))
        try await mod.request("mod.kick", #"{"pid":"\#(pid)"}"#)
        let third = await Self.hello(harness, "bob,lobby", did: "tab")
        #expect(try third.take("welcome").first?.bool("data", "waiting") == true)
    }

    @Test func waitingAgainAfterALostSocketTakesTheOldPlace() async throws {
        let harness = await GatewayHarness()
        let mod = try await harness.join("mona,mod")
        let bob = await Self.hello(harness, "bob,lobby", did: "tab")
        try bob.readWelcome()
        await bob.disconnect()
        let again = await Self.hello(harness, "bob,lobby", did: "tab")
        try again.readWelcome()
        #expect(await harness.gateway.standing(of: mod.pid)?.lobby?.map(\.pid) == [again.pid])
        let told = try mod.take().compactMap(\.type).filter { $0.hasPrefix("lobby") }
        #expect(told == ["lobby.waiting", "lobby.waiting", "lobby.left"])
        await again.disconnect()
        await harness.pass(Limits.Signaling.detachGrace + .seconds(1))
        #expect(await harness.gateway.standing(of: mod.pid)?.lobby?.isEmpty == true)
        #expect(try mod.take("lobby.left").count == 1)
    }

    @Test func unlockingLetsInWhoWaitedForIt() async throws {
        let harness = await GatewayHarness()
        let mod = try await harness.join("mona,mod")
        try await mod.request("mod.lock", #"{"locked":true,"lobby":true}"#)
        let byLock = await Self.hello(harness, "bob")
        try byLock.readWelcome()
        let byToken = await Self.hello(harness, "carol,lobby")
        try byToken.readWelcome()
        #expect(await harness.gateway.standing(of: mod.pid)?.lobby?.count == 2)
        try await mod.request("mod.lock", #"{"locked":false}"#)
        #expect(try byLock.take().map(\.type) == ["lobby.admitted", "snapshot"])
        #expect(try byToken.take().isEmpty)
        #expect(await harness.gateway.standing(of: mod.pid)?.lobby?.map(\.uid) == ["carol"])
    }

    @Test func newModeratorsSeeWhoWaits() async throws {
        let harness = await GatewayHarness()
        let mod = try await harness.join("mona,mod")
        let alice = try await harness.join("alice")
        let bob = await Self.hello(harness, "bob,lobby")
        try bob.readWelcome()
        #expect(try alice.take("lobby.waiting").isEmpty)
        try await mod.request("mod.role", #"{"pid":"\#(alice.pid)","role":"moderator"}"#)
        #expect(try alice.take("lobby.waiting").first?.string("data", "waiting", "pid") == bob.pid)
        let late = await Self.hello(harness, "max,mod")
        let snapshot = try #require(try late.take("snapshot").first)
        #expect(snapshot.string("data", "standing", "lobby", 0, "pid") == bob.pid)
    }

    @Test func aMediaOfferInTheHelloOfWhoWaitsIsRefusedAlone() async throws {
        let harness = await GatewayHarness()
        _ = try await harness.join("mona,mod")
        let bob = await harness.connect()
        let sdp = String(
            decoding: try JSONEncoder().encode(try SDPFixture.text("chromium_VP8_sim.offer")),
            as: UTF8.self
        )
        await bob.send(#"{"type":"hello","data":{"token":"bob,lobby","pc":{"gen":1,"sdp":\#(sdp)}}}"#)
        let welcome = try #require(try bob.take("welcome").first)
        #expect(welcome.string("data", "pc", "error", "code") == "not_ready")
        #expect(harness.media.commands.isEmpty)
    }

    @Test func theLobbyIsBounded() async throws {
        let harness = await GatewayHarness()
        _ = try await harness.join("mona,mod")
        for n in 0..<Limits.Rooms.waiting { _ = await Self.hello(harness, "guest\(n),lobby") }
        let last = await Self.hello(harness, "bob,lobby")
        #expect(try last.take("error").first?.string("data", "error", "code") == "full")
    }
}
