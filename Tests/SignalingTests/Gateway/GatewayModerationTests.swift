import Foundation
import RTP
import Seam
import Testing

@testable import Signaling

@Suite("Moderation")
struct GatewayModerationTests {
    /// A moderator, a publisher with microphone and camera, and somebody who watches.
    private struct Call {
        let harness: GatewayHarness
        let mod: TestClient
        let alice: TestClient
        let bob: TestClient
        let mic: String
        let camera: String

        init() async throws {
            harness = await GatewayHarness()
            mod = try await harness.join("mona,mod")
            alice = try await harness.join("alice")
            bob = try await harness.join("bob")
            let tracks = try await alice.publishBoth()
            mic = try #require(tracks.first { $0.source == "mic" }).tid
            camera = try #require(tracks.first { $0.source == "camera" }).tid
            await harness.pass(.milliseconds(100))
            try clear()
        }

        func clear() throws { for client in [mod, alice, bob] { _ = try client.take() } }
    }

    @Test(arguments: [
        ("mod.mute", #"{"all":true}"#), ("mod.unmuteRequest", #"{"pid":"pa_x"}"#),
        ("mod.kick", #"{"pid":"pa_x"}"#), ("mod.role", #"{"pid":"pa_x","role":"viewer"}"#),
        ("mod.lock", #"{"locked":true}"#), ("mod.stopShare", #"{"pid":"pa_x"}"#),
        ("mod.spotlight", "{}"), ("mod.admit", #"{"pid":"pa_x","admit":true}"#),
        ("room.update", #"{"meta":{}}"#),
    ])
    func nobodyElseModerates(type: String, data: String) async throws {
        let harness = await GatewayHarness()
        let bob = try await harness.join("bob")
        #expect(try await bob.request(type, data).string("error", "code") == "forbidden")
        let mod = try await harness.join("mona,mod")
        let code = try await mod.request(type, data).string("error", "code")
        #expect(code == nil || code == "not_found")
        // Without an id there would be no answer; those are refused as well.
        await bob.send("{\"type\":\"\(type)\",\"data\":\(data)}")
        #expect(try bob.take("error").count == 1)
    }

    @Test func mutingOthersStopsTheirMediaAtOnceAndTheyMayUnmute() async throws {
        let call = try await Call()
        let response = try await call.mod.request("mod.mute", #"{"tid":"\#(call.mic)"}"#)
        #expect(response.string("data", "tracks", 0, "tid") == call.mic)
        #expect(response.bool("data", "tracks", 0, "muted") == true)
        #expect(response.string("data", "tracks", 0, "mutedBy") == call.mod.pid)
        #expect(call.harness.media.commands.last == .mute(PublicationID(call.mic), true))
        let told = try #require(try call.alice.take("mod.muted").first)
        #expect(told.string("data", "tid") == call.mic)
        #expect(told.string("data", "by") == call.mod.pid)
        #expect(told.bool("data", "locked") == false)
        #expect(told.seq != nil)
        let seen = try #require(try call.bob.take("track.muted").first)
        #expect(seen.string("data", "by") == call.mod.pid)
        #expect(try call.mod.take("track.muted").isEmpty)
        // The same again is told to nobody.
        try await call.mod.request("mod.mute", #"{"tid":"\#(call.mic)"}"#)
        #expect(try call.bob.take().isEmpty)

        let own = try await call.alice.request("track.mute", #"{"cid":"mic","muted":false}"#)
        #expect(own.bool("data", "track", "muted") == false)
        #expect(own.string("data", "track", "mutedBy") == nil)
        #expect(call.harness.media.commands.last == .mute(PublicationID(call.mic), false))
    }

    @Test func lockedTracksStayMutedWhateverTheirPublisherTries() async throws {
        let call = try await Call()
        try await call.mod.request(
            "mod.mute",
            #"{"pid":"\#(call.alice.pid)","source":"mic","lockMuted":true}"#
        )
        let refused = try await call.alice.request("track.mute", #"{"cid":"mic","muted":false}"#)
        #expect(refused.string("error", "code") == "locked")
        // By publishing it anew,
        let again = try await call.alice.request(
            "track.publish",
            #"{"cid":"mic","kind":"audio","mid":"0","muted":false}"#
        )
        #expect(again.bool("data", "track", "muted") == true)
        #expect(again.bool("data", "track", "locked") == true)
        // by ending it first,
        try await call.alice.request("track.unpublish", #"{"cid":"mic"}"#)
        let other = try await call.alice.request(
            "track.publish",
            #"{"cid":"mic2","kind":"audio","mid":"0","muted":false}"#
        )
        #expect(other.bool("data", "track", "muted") == true)
        let section = call.harness.media.configurations.last?.media.sections.first { $0.source == .mic }
        #expect(section?.muted == true)
        // by coming back,
        try await call.alice.request("leave")
        let returned = try await call.harness.join("alice")
        let tracks = try await returned.publishBoth()
        #expect(tracks.count == 2)
        let sections = call.harness.media.configurations.last?.media.sections ?? []
        #expect(sections.first { $0.source == .mic }?.muted == true)
        #expect(sections.first { $0.source == .camera }?.muted == false)
        // until a moderator asks for it.
        try await call.mod.request("mod.unmuteRequest", #"{"pid":"\#(returned.pid)","source":"mic"}"#)
        let free = try await returned.request("track.mute", #"{"cid":"mic","muted":false}"#)
        #expect(free.bool("data", "track", "muted") == false)
    }

    @Test func offersDoNotUnmuteWhatWasMutedByOthers() async throws {
        let call = try await Call()
        try await call.mod.request("mod.mute", #"{"tid":"\#(call.mic)"}"#)
        let answer = try await call.alice.offer(
            "chromium_VP8_sim.offer",
            tracks:
                #"[{"mid":"0","cid":"mic","kind":"audio","source":"mic","muted":false},{"mid":"1","cid":"cam","kind":"video","source":"camera"}]"#
        )
        let mic = try #require(
            answer.list("data", "tracks").first { $0["cid"] as? String == "mic" }
        )
        #expect(mic["muted"] as? Bool == true)
        #expect(mic["mutedBy"] as? String == call.mod.pid)
        let sections = call.harness.media.configurations.last?.media.sections ?? []
        #expect(sections.first { $0.source == .mic }?.muted == true)
    }

    @Test func everybodyIsMutedButModerators() async throws {
        let call = try await Call()
        let other = try await call.harness.join("max,mod")
        _ = try await other.publishBoth()
        _ = try await call.bob.publishBoth()
        let response = try await call.mod.request("mod.mute", #"{"all":true}"#)
        let muted = response.list("data", "tracks").compactMap { $0["pid"] as? String }
        #expect(Set(muted) == [call.alice.pid, call.bob.pid])
        #expect(response.list("data", "tracks").allSatisfy { $0["source"] as? String == "mic" })
    }

    @Test func unmutingIsOnlyAskedAndStaysUntilAnswered() async throws {
        let call = try await Call()
        try await call.mod.request("mod.mute", #"{"tid":"\#(call.mic)","lockMuted":true}"#)
        try call.clear()
        let response = try await call.mod.request("mod.unmuteRequest", #"{"tid":"\#(call.mic)"}"#)
        #expect(response.string("data", "source") == "mic")
        let asked = try #require(try call.alice.take("mod.unmuteRequest").first)
        #expect(asked.string("data", "tid") == call.mic)
        #expect(asked.string("data", "by") == call.mod.pid)
        // It is still muted, and a client that lost everything is told again.
        #expect(call.harness.media.commands.last == .mute(PublicationID(call.mic), true))
        let standing = await call.harness.gateway.standing(of: call.alice.pid)
        #expect(standing?.unmute?.map(\.source) == [.mic])
        try await call.alice.request("track.mute", #"{"tid":"\#(call.mic)","muted":true}"#)
        #expect(await call.harness.gateway.standing(of: call.alice.pid)?.unmute == nil)
        // Who is not muted need not be asked, who may not publish cannot be.
        try await call.mod.request("mod.unmuteRequest", #"{"tid":"\#(call.camera)"}"#)
        #expect(try call.alice.take("mod.unmuteRequest").isEmpty)
        let viewer = try await call.harness.join("vera,viewer")
        let refused = try await call.mod.request("mod.unmuteRequest", #"{"pid":"\#(viewer.pid)"}"#)
        #expect(refused.string("error", "code") == "conflict")
    }

    @Test func kickedPeopleGoAndMayJoinAnew() async throws {
        let call = try await Call()
        let response = try await call.mod.request(
            "mod.kick",
            #"{"pid":"\#(call.alice.pid)","reason":"spam"}"#
        )
        #expect(response.string("data", "pid") == call.alice.pid)
        #expect(response.string("data", "uid") == "alice")
        #expect(response.int("data", "bannedUntil") == nil)
        #expect(call.alice.closed == 4100)
        let bye = try #require(try call.alice.take("bye").first)
        #expect(bye.int("data", "code") == 4100)
        #expect(bye.string("data", "action") == "stop")
        #expect(bye.string("data", "reason")?.hasSuffix("spam") == true)
        #expect(call.harness.media.commands.contains(.close(SessionID(call.alice.sid))))
        await call.harness.pass(.milliseconds(50))
        let roster = try #require(try call.bob.take("roster").first)
        #expect(roster.string("data", "left", 0, "reason") == "kicked")
        #expect(await call.harness.gateway.bans.isExpelled(SessionID(call.alice.sid)))
        _ = try await call.harness.join("alice")
        for bad in [(#"{"pid":"pa_none"}"#, "not_found"), (#"{"pid":"\#(call.mod.pid)"}"#, "bad_request")] {
            #expect(try await call.mod.request("mod.kick", bad.0).string("error", "code") == bad.1)
        }
    }

    @Test func bansAreOfTheUserAndEnd() async throws {
        let call = try await Call()
        let phone = try await call.harness.join("alice", did: "phone")
        let response = try await call.mod.request(
            "mod.kick",
            #"{"pid":"\#(call.alice.pid)","banSec":60}"#
        )
        #expect(response.int("data", "bannedUntil") != nil)
        #expect(call.alice.closed == 4104)
        #expect(phone.closed == 4104)
        let refused = await call.harness.connect()
        await refused.send(#"{"type":"hello","data":{"token":"alice"}}"#)
        #expect(refused.closed == 4104)
        #expect(try refused.take("error").first?.string("data", "error", "code") == "forbidden")
        // Only there,
        _ = try await call.harness.join("alice", room: "elsewhere")
        // also when the room was empty meanwhile,
        for client in [call.mod, call.bob] { try await client.request("leave") }
        let later = await call.harness.connect()
        await later.send(#"{"type":"hello","data":{"token":"alice"}}"#)
        #expect(later.closed == 4104)
        // until it ends.
        await call.harness.pass(.seconds(61))
        _ = try await call.harness.join("alice")
    }

    @Test func whatMayNoLongerBePublishedEnds() async throws {
        let call = try await Call()
        let response = try await call.mod.request(
            "mod.role",
            #"{"pid":"\#(call.alice.pid)","grants":{"publish":["mic"]}}"#
        )
        #expect(
            response.list("data", "participant", "tracks").compactMap { $0["source"] as? String } == ["mic"]
        )
        #expect(response.string("data", "permissions", "role") == "speaker")
        let told = try #require(try call.alice.take("me.permissions").first)
        #expect(told.json["data"].flatMap { ($0 as? [String: Any])?["ended"] as? [String] } == [call.camera])
        #expect(told.string("data", "by") == call.mod.pid)
        let sections = call.harness.media.configurations.last?.media.sections ?? []
        #expect(sections.compactMap(\.publication) == [PublicationID(call.mic)])
        await call.harness.pass(.milliseconds(50))
        let roster = try #require(try call.bob.take("roster").first)
        let tracks = roster.json["data"].flatMap { data in
            ((data as? [String: Any])?["updated"] as? [[String: Any]])?.first?["tracks"] as? [[String: Any]]
        }
        #expect(tracks?.count == 1)
        let refused = try await call.alice.request("track.publish", #"{"cid":"cam","kind":"video"}"#)
        #expect(refused.string("error", "code") == "forbidden")
        let offer = try await call.alice.offer(
            "chromium_VP8_sim.offer",
            tracks: #"[{"mid":"1","cid":"cam","kind":"video","source":"camera"}]"#
        )
        #expect(offer.string("error", "code") == "forbidden")
        // And given back, it may be again.
        try await call.mod.request("mod.role", #"{"pid":"\#(call.alice.pid)","role":"speaker"}"#)
        let again = try await call.alice.request("track.publish", #"{"cid":"cam","mid":"1","kind":"video"}"#)
        #expect(again.string("data", "track", "mid") == "1")
    }

    @Test func rightsThatChangeDuringAnOfferCount() async throws {
        let harness = await GatewayHarness()
        let mod = try await harness.join("mona,mod")
        let alice = try await harness.join("alice")
        harness.media.with { $0.holds = true }
        await alice.send(
            #"{"id":1,"type":"pc.offer","data":{"gen":1,"sdp":\#(try quoted("chromium_VP8_sim.offer")),"tracks":[{"mid":"1","cid":"cam","kind":"video","source":"camera"}]}}"#
        )
        try await mod.request("mod.role", #"{"pid":"\#(alice.pid)","grants":{"publish":["mic"]}}"#)
        harness.media.release()
        await harness.settle()
        harness.media.release()
        await harness.settle()
        let answer = try #require(try alice.take().first { $0.re == 1 })
        #expect(answer.list("data", "tracks").isEmpty)
        let sections = harness.media.configurations.last?.media.sections ?? []
        #expect(sections.allSatisfy { $0.publication == nil })
    }

    private func quoted(_ fixture: String) throws -> String {
        String(decoding: try JSONEncoder().encode(try SDPFixture.text(fixture)), as: UTF8.self)
    }

    @Test func receivingStopsAndStartsWithTheGrant() async throws {
        let call = try await Call()
        _ = try await call.bob.offer("lk_offer")
        #expect(call.harness.media.subscriptions.last?.wishes == Wishes(scope: .all))
        try await call.mod.request("mod.role", #"{"pid":"\#(call.bob.pid)","grants":{"subscribe":false}}"#)
        #expect(call.harness.media.subscriptions.last?.session == SessionID(call.bob.sid))
        #expect(call.harness.media.subscriptions.last?.wishes == Wishes(scope: .none))
        try await call.mod.request("mod.role", #"{"pid":"\#(call.bob.pid)","grants":{"subscribe":true}}"#)
        #expect(call.harness.media.subscriptions.last?.wishes == Wishes(scope: .all))
    }

    @Test func moderationIsGivenAndTaken() async throws {
        let call = try await Call()
        try await call.mod.request("mod.role", #"{"pid":"\#(call.bob.pid)","role":"moderator"}"#)
        #expect(try call.bob.take("me.permissions").first?.string("data", "role") == "moderator")
        let locked = try await call.bob.request("mod.lock", #"{"locked":true}"#)
        #expect(locked.bool("data", "room", "locked") == true)
        let own = try await call.bob.request("mod.role", #"{"pid":"\#(call.bob.pid)","role":"viewer"}"#)
        #expect(own.string("error", "code") == "bad_request")
        let record = try await call.bob.request(
            "mod.role",
            #"{"pid":"\#(call.alice.pid)","grants":{"record":true}}"#
        )
        #expect(record.string("error", "code") == "forbidden")
        try await call.mod.request("mod.role", #"{"pid":"\#(call.bob.pid)","role":"speaker"}"#)
        #expect(
            try await call.bob.request("mod.lock", #"{"locked":false}"#).string("error", "code")
                == "forbidden"
        )
        #expect(
            try await call.mod.request("mod.role", #"{"pid":"\#(call.bob.pid)"}"#).string("error", "code")
                == "bad_request"
        )
    }

    @Test func sharedScreensAreStopped() async throws {
        let harness = await GatewayHarness()
        let mod = try await harness.join("mona,mod")
        let alice = try await harness.join("alice")
        let answer = try await alice.offer(
            "chromium_VP8_sim.offer",
            tracks:
                #"[{"mid":"0","cid":"mic","kind":"audio","source":"mic"},{"mid":"1","cid":"scr","kind":"video","source":"screen"}]"#
        )
        let screen = try #require(
            answer.list("data", "tracks").first { $0["source"] as? String == "screen" }?["tid"] as? String
        )
        let response = try await mod.request("mod.stopShare", #"{"pid":"\#(alice.pid)"}"#)
        #expect(response.json["data"].flatMap { ($0 as? [String: Any])?["tids"] as? [String] } == [screen])
        let told = try #require(try alice.take("mod.stopped").first)
        #expect(told.json["data"].flatMap { ($0 as? [String: Any])?["tids"] as? [String] } == [screen])
        let sections = harness.media.configurations.last?.media.sections ?? []
        #expect(sections.compactMap(\.source) == [.mic])
        // Nothing is left to stop.
        let again = try await mod.request("mod.stopShare", #"{"pid":"\#(alice.pid)"}"#)
        #expect(again.list("data", "tids").isEmpty)
        #expect(try alice.take("mod.stopped").isEmpty)
    }

    @Test func theSpotlightGoesWithItsParticipant() async throws {
        let call = try await Call()
        let response = try await call.mod.request("mod.spotlight", #"{"pid":"\#(call.alice.pid)"}"#)
        #expect(response.string("data", "room", "spotlight") == call.alice.pid)
        #expect(
            try call.bob.take("room.updated").first?.string("data", "room", "spotlight") == call.alice.pid
        )
        try await call.alice.request("leave")
        let event = try #require(try call.bob.take("room.updated").first)
        #expect(event.string("data", "room", "spotlight") == nil)
        let unknown = try await call.mod.request("mod.spotlight", #"{"pid":"pa_none"}"#)
        #expect(unknown.string("error", "code") == "not_found")
        try await call.mod.request("mod.spotlight", #"{"pid":"\#(call.bob.pid)"}"#)
        let none = try await call.mod.request("mod.spotlight", #"{"pid":null}"#)
        #expect(none.string("data", "room", "spotlight") == nil)
    }
}

extension Gateway {
    /// What a snapshot would say now.
    func standing(of pid: String) -> Standing? {
        for room in rooms.values {
            if let member = room.members[ParticipantID(pid)] { return standing(of: member) }
        }
        return nil
    }
}
