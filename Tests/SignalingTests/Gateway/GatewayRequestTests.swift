import Foundation
import NIOCore
import RTP
import Seam
import Testing

@testable import Signaling

@Suite struct GatewayRequestTests {
    @Test func mutingReachesTheOthersOnly() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let other = try await harness.join("alice", did: "phone")
        let bob = try await harness.join("bob")
        let mic = try #require(try await alice.publishBoth().first { $0.source == "mic" })
        await harness.pass(.milliseconds(100))
        for client in [alice, bob, other] { _ = try client.take() }

        let response = try await alice.request("track.mute", #"{"tid":"\#(mic.tid)","muted":true}"#)
        #expect(response.bool("data", "track", "muted") == true)
        #expect(response.int("rev") == response.int("data", "track", "rev"))
        #expect(try alice.take().map(\.type) == [nil])
        for client in [bob, other] {
            let event = try #require(try client.take().first { $0.type == "track.muted" })
            #expect(event.string("data", "tid") == mic.tid)
            #expect(event.bool("data", "muted") == true)
            #expect(event.string("data", "origin", "pid") == alice.pid)
            #expect(event.int("data", "origin", "id") == response.re)
            #expect(event.seq != nil)
        }
        #expect(harness.media.commands.last == .mute(PublicationID(mic.tid), true))
        // The same again changes nothing and is told to nobody.
        try await alice.request("track.mute", #"{"cid":"mic","muted":true}"#)
        #expect(try bob.take().isEmpty)
        #expect(
            try await bob.request("track.mute", #"{"tid":"\#(mic.tid)","muted":false}"#).string(
                "error",
                "code"
            ) == "not_found"
        )
    }

    @Test func unpublishing() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        let camera = try #require(try await alice.publishBoth().first { $0.source == "camera" })
        await harness.pass(.milliseconds(50))
        _ = try bob.take()
        let response = try await alice.request("track.unpublish", #"{"tid":"\#(camera.tid)"}"#)
        #expect(response.string("data", "tid") == camera.tid)
        let configured = try #require(harness.media.configurations.last)
        #expect(configured.media.sections.compactMap(\.publication).count == 1)
        #expect(configured.media.sections.first { $0.section.mid == "1" }?.section.receive.isEmpty == true)
        await harness.pass(.milliseconds(50))
        let roster = try #require(try bob.take().first { $0.type == "roster" })
        let tracks = try #require(roster.list("data", "updated").first?["tracks"] as? [[String: Any]])
        #expect(tracks.compactMap { $0["source"] as? String } == ["mic"])
        // The section is still there, and may carry it again without an offer.
        let again = try await alice.request("track.publish", #"{"cid":"cam2","mid":"1","kind":"video"}"#)
        #expect(again.string("data", "track", "mid") == "1")
        #expect(harness.media.configurations.last?.media.sections.compactMap(\.publication).count == 2)
        let taken = try await alice.request("track.publish", #"{"cid":"cam3","mid":"1","kind":"video"}"#)
        #expect(taken.string("error", "code") == "not_ready")
    }

    @Test func announcedTracksAreBoundByTheOffer() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        let announced = try await alice.request(
            "track.publish",
            #"{"cid":"cam","kind":"video","source":"screen","name":"Slides","muted":true}"#
        )
        let tid = try #require(announced.string("data", "track", "tid"))
        await harness.pass(.milliseconds(50))
        let before = try bob.take().filter { $0.type == "roster" }.flatMap { $0.list("data", "updated") }
        #expect(before.isEmpty)
        let answer = try await alice.offer(
            "chromium_VP8_sim.offer",
            tracks: #"[{"mid":"1","cid":"cam"}]"#
        )
        #expect(answer.string("data", "tracks", 0, "tid") == tid)
        #expect(answer.string("data", "tracks", 0, "source") == "screen")
        #expect(answer.bool("data", "tracks", 0, "muted") == true)
        #expect(
            harness.media.configurations.last?.media.sections.first { $0.publication?.rawValue == tid }?.muted
                == true
        )
    }

    @Test func requestsAreAnsweredOnceAndInOrder() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        _ = try await alice.request("ping", #"{"t":12.5}"#)
        _ = try alice.take()
        await alice.send(#"{"id":1,"type":"ping","data":{"t":99}}"#)
        let repeated = try alice.take()
        #expect(repeated.count == 1)
        #expect(repeated[0].re == 1)
        #expect(repeated[0].json["data"].flatMap { ($0 as? [String: Any])?["t"] as? Double } == 12.5)
        await alice.send(
            "{\"id\":2,\"type\":\"nonsense.do\"}\n{\"id\":3,\"type\":\"track.mute\",\"data\":{}}\n{\"type\":\"nonsense.note\"}\n{\"type\":\"track.mute\",\"data\":{\"muted\":true}}\n{\"type\":\"ping\"}"
        )
        let answers = try alice.take()
        #expect(answers.map(\.re) == [2, 3, nil, nil])
        #expect(answers[0].string("error", "code") == "unsupported")
        #expect(answers[1].string("error", "code") == "bad_request")
        #expect(answers[2].type == "error")
        #expect(answers[2].string("data", "of") == "track.mute")
        #expect(answers[3].type == "pong")
        await alice.send(#"{"id":7,"type":"ping"}"#)
        #expect(alice.closed == 4002)
    }

    @Test func badFramesClose() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        await alice.send("{\"type\":")
        #expect(alice.closed == 4002)
        #expect(try alice.take().map(\.type) == ["error", "bye"])
        let bob = try await harness.join("bob")
        await bob.send(#"{"type":"ack","ack":100}"#)
        #expect(bob.closed == 4400)
        let carol = try await harness.join("carol")
        await carol.send(String(repeating: "x", count: Limits.Signaling.offerMessageBytes + 1))
        #expect(carol.closed == 4400)
    }

    @Test func longMessagesAreRefusedUnlessTheyCarrySDP() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let padding = String(repeating: "y", count: Limits.Signaling.messageBytes)
        let refused = try await alice.request("ping", #"{"x":"\#(padding)"}"#)
        #expect(refused.string("error", "code") == "too_large")
        let offer = try await alice.request("pc.offer", #"{"sdp":"v=0","x":"\#(padding)"}"#)
        #expect(offer.string("error", "code") == "bad_request")
        #expect(alice.closed == nil)
    }

    @Test func floodsAreHeldBackThenRefused() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let batch = Array(repeating: #"{"type":"ping"}"#, count: 64).joined(separator: "\n")
        for _ in 0..<3 { await alice.send(batch) }
        #expect(alice.socket.with { $0.isPaused } == false)
        await alice.send(batch)
        #expect(alice.socket.with { $0.isPaused })
        for _ in 0..<3 { await alice.send(batch) }
        let refused = try await alice.request("ping")
        #expect(refused.string("error", "code") == "rate_limited")
        await harness.pass(.seconds(10))
        #expect(alice.socket.with { $0.isPaused } == false)
        #expect(try await alice.request("ping").int("data", "serverTime") != nil)
    }

    @Test func leaving() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        _ = try await alice.publishBoth()
        await harness.pass(.milliseconds(50))
        _ = try bob.take()
        _ = try alice.take()
        try await alice.request("leave", #"{"reason":"lunch"}"#)
        #expect(alice.closed == 4103)
        let said = try alice.take()
        #expect(said.map(\.re) == [2, nil])
        #expect(said.last?.type == "bye")
        #expect(harness.media.commands.contains(.close(SessionID(alice.sid))))
        await harness.pass(.milliseconds(50))
        let roster = try #require(try bob.take().first { $0.type == "roster" })
        #expect(roster.string("data", "left", 0, "pid") == alice.pid)
        #expect(roster.string("data", "left", 0, "reason") == "left")
    }

    @Test func lostSocketsLeaveAfterTheGrace() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        await harness.pass(.milliseconds(50))
        _ = try bob.take()
        await alice.disconnect()
        await harness.pass(.milliseconds(1950))
        #expect(try bob.take().isEmpty)
        await harness.pass(.milliseconds(50))
        let conn = try #require(try bob.take().first { $0.type == "conn" })
        #expect(conn.string("data", "conn") == "reconnecting")
        await bob.send(#"{"type":"ack","ack":\#(conn.seq ?? 0)}"#)
        await harness.pass(Limits.Signaling.detachGrace - .milliseconds(2100))
        #expect(try bob.take("roster").isEmpty)
        await harness.pass(.milliseconds(250))
        let roster = try #require(try bob.take().first { $0.type == "roster" })
        #expect(roster.string("data", "left", 0, "reason") == "timeout")
    }

    @Test func subscriptionsBecomeWishes() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let tracks = try await alice.publishBoth()
        let mic = PublicationID(try #require(tracks.first { $0.source == "mic" }).tid)
        let camera = PublicationID(try #require(tracks.first { $0.source == "camera" }).tid)
        let bob = try await harness.join("bob")
        _ = try await bob.offer("lk_offer")
        #expect(harness.media.subscriptions.last?.session == SessionID(bob.sid))
        #expect(harness.media.subscriptions.last?.wishes == Wishes(scope: .all))

        let response = try await bob.request(
            "sub.update",
            #"{"set":[{"pid":"\#(alice.pid)","source":"camera","on":false},{"tid":"tr_none","on":true},{"on":true}]}"#
        )
        #expect(response.list("data", "results").map { $0["ok"] as? Bool } == [true, false, false])
        #expect(response.string("data", "results", 1, "error", "code") == "not_found")
        #expect(harness.media.subscriptions.last?.wishes == Wishes(scope: .all, overrides: [camera: false]))

        let count = harness.media.subscriptions.count
        try await bob.request(
            "sub.update",
            #"{"set":[{"pid":"\#(alice.pid)","source":"camera","on":false}]}"#
        )
        #expect(harness.media.subscriptions.count == count)

        try await bob.request("sub.update", #"{"set":[{"tid":"\#(mic)","on":true}],"auto":false}"#)
        #expect(harness.media.subscriptions.last?.wishes == Wishes(scope: .none, overrides: [mic: true]))
    }

    @Test func viewsBecomeTiles() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        _ = try await bob.offer("lk_offer")
        // The tile is there before the camera is.
        let response = try await bob.request(
            "view.update",
            #"{"tiles":[{"pid":"\#(alice.pid)","w":640.4,"h":360,"visible":true,"priority":200},{"pid":"pa_gone","w":1,"h":1}],"audioTopN":3}"#
        )
        #expect(response.bool("data", "ok") == true)
        let camera = PublicationID(
            try #require(try await alice.publishBoth().first { $0.source == "camera" }).tid
        )
        await harness.pass(.milliseconds(50))
        let tile = Wishes.Tile(width: 640, height: 360, priority: 200)
        #expect(harness.media.subscriptions.last?.wishes == Wishes(scope: .all, tiles: [camera: tile]))
        // As a notification, and hidden.
        await bob.send(
            #"{"type":"view.update","data":{"tiles":[{"tid":"\#(camera)","w":640,"h":360,"visible":false}]}}"#
        )
        #expect(harness.media.subscriptions.last?.wishes.tiles[camera]?.visible == false)
    }

    @Test func tokensWithoutGrantsReceiveAndPublishNothing() async throws {
        let harness = await GatewayHarness()
        let viewer = try await harness.join("vera,viewer")
        #expect(try await viewer.offer("chromium_VP8_sim.offer").string("error", "code") == "bad_request")
        #expect(
            try await viewer.request("track.publish", #"{"cid":"x","kind":"video"}"#).string("error", "code")
                == "forbidden"
        )
        let deaf = try await harness.join("dora,deaf")
        #expect(
            try await deaf.request("sub.update", #"{"auto":true}"#).string("error", "code") == "forbidden"
        )
        let answer = try await deaf.offer("lk_offer")
        #expect(answer.list("data", "slots").isEmpty)
        #expect(harness.media.subscriptions.last?.wishes == Wishes(scope: .none))
    }

    @Test func slowReadersGetASnapshotOrAreClosed() async throws {
        let harness = await GatewayHarness()
        let slow = try await harness.join("slow")
        let alice = try await harness.join("alice")
        _ = try await alice.publishBoth()
        await harness.pass(.milliseconds(50))
        _ = try slow.take()
        slow.socket.with { $0.isWritable = false }
        await harness.gateway.writabilityChanged(slow.id, isWritable: false)
        for n in 0..<520 {
            _ = try await alice.request(
                "track.publish",
                #"{"cid":"mic","kind":"audio","mid":"0","name":"n\#(n)"}"#
            )
            harness.clock.advance(.milliseconds(15))
            await harness.gateway.tick(at: harness.clock.now + .milliseconds(60))
        }
        slow.socket.with { $0.isWritable = true }
        await harness.gateway.writabilityChanged(slow.id, isWritable: true)
        await harness.settle()
        let told = try slow.take()
        let snapshot = try #require(told.first { $0.type == "snapshot" })
        #expect(told.filter { $0.type == "roster" }.count < 10)
        #expect(snapshot.list("data", "participants").count == 2)
        #expect(slow.closed == nil)
        #expect(await harness.gateway.readStatistics().overflows == 1)
        slow.socket.with { $0.isWritable = false }
        await harness.gateway.writabilityChanged(slow.id, isWritable: false)
        await harness.pass(.seconds(11))
        #expect(slow.closed == 4008)
    }

    @Test func heartbeatsAndBatches() async throws {
        let harness = await GatewayHarness()
        let client = await harness.connect()
        await client.send(#"{"type":"hello","data":{"token":"alice","caps":["batch"]}}"#)
        _ = try await harness.join("bob")
        await client.send(#"{"id":1,"type":"ping"}\#n{"id":2,"type":"ping"}"#)
        // The welcome goes by itself; what waits together is sent together.
        let texts = client.socket.with { $0.texts }
        let batches = try texts.map { text in
            try text.split(separator: "\n").map { try Message(String($0)) }
        }
        #expect(batches.map { $0.map(\.type) } == [["welcome"], ["snapshot"], [nil, nil]])
        await harness.pass(.seconds(11))
        let hb = try Message(try #require(client.socket.with { $0.texts }.last))
        #expect(hb.type == "hb")
        #expect(hb.int("data", "seq") == 2)
        #expect(hb.seq == nil)
    }
}
