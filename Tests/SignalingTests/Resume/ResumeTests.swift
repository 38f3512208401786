import Foundation
import NIOCore
import RTP
import Seam
import Testing

@testable import Signaling

/// One way back each, told in the words of the protocol.
@Suite struct ResumeTests {
    private func resume(
        _ client: TestClient,
        on harness: GatewayHarness,
        attempt: Int = 1,
        last: Int,
        token: String? = nil,
        extra: String = ""
    ) async throws -> (client: TestClient, messages: [Message]) {
        let token = token ?? client.resumeToken
        let other = await harness.connect()
        await other.send(
            #"{"type":"hello","v":"1.0","data":{"resume":{"token":"\#(token)","attempt":\#(attempt),"#
                + #""lastSeq":\#(last)}\#(extra)}}"#
        )
        return (other, try other.take())
    }

    private func outcome(_ messages: [Message]) -> String? {
        messages.first { $0.type == "welcome" }?.string("data", "outcome")
    }

    @Test func whatWasMissedIsSentAgainUnderItsNumbers() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        await harness.pass(.milliseconds(100))
        let before = try alice.take()
        #expect(before.map(\.seq) == [2])
        await alice.disconnect()
        _ = try await bob.publishBoth()
        await harness.pass(.milliseconds(100))
        let (back, messages) = try await resume(alice, on: harness, last: 1)
        #expect(outcome(messages) == "replay")
        let welcome = try #require(messages.first)
        #expect(welcome.type == "welcome" && welcome.seq == nil)
        #expect(welcome.int("data", "seq") == 1 && welcome.int("data", "upTo") == 2)
        #expect(welcome.string("data", "sid") == alice.sid && welcome.string("data", "pid") == alice.pid)
        // Number 2 was not acknowledged: once more. Then the end of the replay, then what is new.
        #expect(messages.dropFirst().map { $0.seq } == [2, nil, 3])
        #expect(messages[1].list("data", "joined").first?["pid"] as? String == bob.pid)
        #expect(messages[2].type == "replayed" && messages[2].int("data", "upTo") == 2)
        #expect(messages[3].type == "roster")
        #expect(back.closed == nil)
    }

    @Test func nobodySeesAnybodyLeave() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        await harness.pass(.milliseconds(100))
        _ = try bob.take()
        await alice.disconnect()
        await harness.pass(.seconds(30))
        _ = try await resume(alice, on: harness, last: 2)
        await harness.pass(.seconds(1))
        let told = try bob.take()
        #expect(told.allSatisfy { $0.type != "roster" })
        let states = told.filter { $0.type == "conn" }.map { $0.string("data", "conn") }
        #expect(states == ["reconnecting", "signalOnly"])
    }

    @Test func afterTheGraceThereIsAnotherSessionOfTheSameName() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        await harness.pass(.milliseconds(100))
        await alice.disconnect()
        await harness.pass(Limits.Signaling.detachGrace)
        _ = try bob.take()
        await harness.pass(.milliseconds(200))
        let (back, messages) = try await resume(alice, on: harness, last: 2)
        #expect(outcome(messages) == "rejoin")
        #expect(messages.first?.string("data", "pid") == alice.pid)
        #expect(messages.first?.string("data", "sid") != alice.sid)
        #expect(messages.first?.string("data", "uid") == "alice")
        #expect(messages.dropFirst().first?.type == "snapshot" && messages.dropFirst().first?.seq == 1)
        #expect(back.closed == nil)
    }

    @Test func aRestartedServerKnowsItsTokens() async throws {
        let seal = ResumeSeal()
        let first = await GatewayHarness(seal: seal)
        let alice = try await first.join("alice", did: "phone")
        let second = await GatewayHarness(seal: seal)
        let (_, messages) = try await resume(alice, on: second, last: 1)
        #expect(outcome(messages) == "rejoin")
        #expect(messages.first?.string("data", "pid") == alice.pid)
        #expect((messages.first?.int("data", "settleMs") ?? 0) > 10_000)
        #expect(messages[1].list("data", "participants").first?["did"] as? String == "phone")
        let third = await GatewayHarness()
        let (refused, answer) = try await resume(alice, on: third, last: 1)
        #expect(refused.closed == CloseCode.tokenInvalid.rawValue && outcome(answer) == nil)
    }

    @Test func aTokenBesideTheResumeJoinsWhereThatIsRefused() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let (_, messages) = try await resume(
            alice,
            on: harness,
            last: 1,
            token: "nonsense",
            extra: #","token":"alice""#
        )
        #expect(outcome(messages) == "fresh")
    }

    @Test func anOlderAttemptDoesNotTakeTheSession() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let (newer, _) = try await resume(alice, on: harness, attempt: 5, last: 1)
        let (older, messages) = try await resume(alice, on: harness, attempt: 4, last: 1)
        #expect(older.closed == CloseCode.superseded.rawValue && outcome(messages) == nil)
        #expect(newer.closed == nil)
        #expect(alice.closed == CloseCode.superseded.rawValue)
    }

    @Test func anOldTokenIsVoidOnceTheNewOneIsConfirmed() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice", did: "laptop")
        let old = alice.resumeToken
        // The welcome may be lost, so the token before counts until the client has spoken.
        let (second, _) = try await resume(alice, on: harness, attempt: 2, last: 1, token: old)
        let (third, messages) = try await resume(alice, on: harness, attempt: 3, last: 1, token: old)
        #expect(outcome(messages) == "replay" && second.closed == CloseCode.superseded.rawValue)
        await third.send(#"{"type":"ping"}"#)
        let (_, late) = try await resume(alice, on: harness, attempt: 4, last: 1, token: old)
        #expect(outcome(late) == "rejoin")
    }

    @Test func aRequestThatWasExecutedIsAnsweredAgain() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let first = try await alice.request("track.publish", #"{"cid":"a","kind":"audio"}"#)
        await alice.disconnect()
        let (back, messages) = try await resume(alice, on: harness, last: 1)
        #expect(messages.first?.int("data", "ackedId") == 1)
        await back.send(#"{"id":1,"type":"track.publish","data":{"cid":"a","kind":"audio"}}"#)
        #expect(try back.take().last?.text == first.text)
        await back.send(#"{"id":2,"type":"track.unpublish","data":{"cid":"a"}}"#)
        #expect(try back.take().last?.string("data", "tid") == first.string("data", "track", "tid"))
    }

    @Test func manyChangesBecomeADelta() async throws {
        let harness = await GatewayHarness(GatewayConfiguration(criticalEvents: 20))
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        await harness.pass(.milliseconds(100))
        let rev = try alice.take().last?.json["rev"] as? Int ?? 0
        await alice.disconnect()
        // More than her session keeps for her.
        for n in 0..<150 {
            let other = try await harness.join("guest\(n)")
            await harness.pass(.milliseconds(50))
            if n % 2 == 0 { _ = try await other.request("leave") }
            await harness.pass(.milliseconds(100))
        }
        await bob.disconnect()
        await harness.pass(.seconds(2))
        let (_, messages) = try await resume(alice, on: harness, last: 2)
        #expect(outcome(messages) == "delta")
        let base = messages.first?.int("data", "seq") ?? 0
        let pages = messages.filter { $0.type == "delta" }
        #expect(pages.map(\.seq) == pages.indices.map { base + 1 + $0 })
        // Bob lost his socket, and she came back.
        #expect(pages.count == 1 && pages.flatMap { $0.list("data", "changed") }.count == 77)
        #expect(pages.flatMap { $0.list("data", "left") }.count == 75)
        #expect(pages.first?.int("data", "fromRev") == rev)
    }

    @Test func iceIsRestartedInsideTheHello() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        _ = try await alice.publishBoth()
        await alice.disconnect()
        let offer = try SDPFixture.text("chromium_VP8_sim.offer")
            .components(separatedBy: "\r\n")
            .map { $0.hasPrefix("a=ice-ufrag:") ? "a=ice-ufrag:other1" : $0 }.joined(separator: "\r\n")
        let quoted = String(decoding: try JSONEncoder().encode(offer), as: UTF8.self)
        let (_, messages) = try await resume(
            alice,
            on: harness,
            last: 1,
            extra: #","pc":{"gen":1,"sdp":\#(quoted),"iceRestart":true}"#
        )
        #expect(outcome(messages) == "replay")
        #expect(messages.first?.string("data", "pc", "answer")?.contains("a=ice-ufrag:srv1") == true)
        #expect(harness.media.with { $0.restarts } == 1)
    }

    @Test func aForgottenPeerConnectionIsNotRestarted() async throws {
        let seal = ResumeSeal()
        let first = await GatewayHarness(seal: seal)
        let alice = try await first.join("alice")
        _ = try await alice.publishBoth()
        let second = await GatewayHarness(seal: seal)
        let (_, messages) = try await resume(
            alice,
            on: second,
            last: 1,
            extra: #","pc":{"gen":1,"sdp":"v=0","iceRestart":true}"#
        )
        #expect(outcome(messages) == "rejoin")
        #expect(messages.first?.string("data", "pc", "error", "code") == "not_ready")
        #expect(second.media.commands.isEmpty)
    }

    @Test func theStayEndsWithItsTokenAndIsLengthenedByAnother() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice,short")
        await harness.pass(.seconds(1))
        let told = try alice.take()
        #expect(told.contains { $0.type == "auth.expiring" })
        let answer = try await alice.request("auth.refresh", #"{"token":"alice"}"#)
        #expect(answer.int("data", "stayMs") == 24 * 3_600_000)
        await harness.pass(.seconds(70))
        #expect(alice.closed == nil)
        let other = try await alice.request("auth.refresh", #"{"token":"bob"}"#)
        #expect(other.string("error", "code") == "forbidden")
    }

    /// The resume token was sealed before the stay was lengthened.
    @Test func whoseStayWasLengthenedIsResumedByTheTokenThatItHas() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice,short")
        _ = try await alice.request("auth.refresh", #"{"token":"alice"}"#)
        await harness.pass(.seconds(70))
        await alice.disconnect()
        let (back, messages) = try await resume(alice, on: harness, last: 1)
        // What it has not acknowledged for a minute is not repeated.
        #expect(outcome(messages) == "delta")
        #expect(back.closed == nil)
    }

    @Test func whoseStayIsOverIsNotResumed() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice,short")
        await harness.pass(.seconds(55))
        await alice.disconnect()
        await harness.pass(.seconds(6))
        let (back, messages) = try await resume(alice, on: harness, last: 1)
        #expect(outcome(messages) == nil)
        #expect(back.closed == CloseCode.tokenExpired.rawValue)
    }

    @Test func whatMayNoLongerBePublishedEnds() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        _ = try await alice.publishBoth()
        await harness.pass(.milliseconds(100))
        _ = try bob.take()
        let answer = try await alice.request("auth.refresh", #"{"token":"alice,viewer"}"#)
        #expect(answer.list("data", "grants", "publish").isEmpty)
        await harness.pass(.milliseconds(100))
        let updated = try bob.take().flatMap { $0.list("data", "updated") }
        #expect((updated.last?["tracks"] as? [Any])?.isEmpty == true)
        #expect(
            harness.media.configurations.last?.media.sections.allSatisfy { $0.publication == nil } == true
        )
    }

    @Test func aWholeWishIsSaidAtOnce() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        _ = try await alice.publishBoth()
        _ = try await alice.request("track.publish", #"{"cid":"old","kind":"audio"}"#)
        let answer = try await alice.request(
            "sync",
            #"{"desired":{"publications":[{"cid":"mic","kind":"audio","muted":true},"#
                + #"{"cid":"cam","kind":"video"},{"cid":"new","kind":"video","source":"screen"}],"#
                + #""subscriptions":{"auto":false,"set":[]}}}"#
        )
        let tracks = answer.list("data", "tracks")
        #expect(Set(tracks.compactMap { $0["cid"] as? String }) == ["mic", "cam", "new"])
        #expect(tracks.first { $0["cid"] as? String == "mic" }?["muted"] as? Bool == true)
        #expect(answer.json["data"].flatMap { ($0 as? [String: Any])?["missing"] as? [String] } == ["new"])
        #expect(harness.media.subscriptions.last?.wishes.scope == Wishes.Scope.none)
    }
}
