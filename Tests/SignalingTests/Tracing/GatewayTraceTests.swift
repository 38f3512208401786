// One graph from a client's hello to the first picture, and who is told of what caused what.
import Foundation
import RTP
import Seam
import Telemetry
import Testing
import Tracing

@testable import Signaling

@Suite struct GatewayTraceTests {
    private let room = RoomID("standup")

    private func hello(_ user: String, trace: String?, offer: String? = nil, tracks: String = "[]") throws
        -> String
    {
        let trace = trace.map { "\"trace\":\"\($0)\"," } ?? ""
        let pc = try offer.map { sdp in
            let quoted = String(decoding: try JSONEncoder().encode(sdp), as: UTF8.self)
            return ",\"pc\":{\"gen\":1,\"sdp\":\(quoted),\"tracks\":\(tracks)}"
        }
        return "{\"type\":\"hello\",\"v\":\"1.0\",\(trace)\"data\":{\"token\":\"\(user)\"\(pc ?? "")}}"
    }

    /// Alice sends a camera, Bob has slots for it; each has said hello with a trace.
    private func call(_ harness: GatewayHarness) async throws -> (
        alice: TestClient, bob: TestClient, tid: String, mid: String
    ) {
        let alice = await harness.connect(traceparent: ClientTrace.upgrade)
        await alice.send(
            try hello(
                "alice",
                trace: ClientTrace.alice,
                offer: SDPFixture.text("chromium_VP8_sim.offer"),
                tracks:
                    #"[{"mid":"0","cid":"mic","kind":"audio","source":"mic"},{"mid":"1","cid":"cam","kind":"video","source":"camera"}]"#
            )
        )
        let welcome = try #require(try alice.take().first { $0.type == "welcome" })
        let camera = try #require(
            welcome.list("data", "pc", "tracks").first { $0["source"] as? String == "camera" }
        )
        let tid = try #require(camera["tid"] as? String)
        let bob = await harness.connect()
        let slots = try SDPFixture.text("chromium_VP8.offer").replacing("a=sendonly", with: "a=recvonly")
        await bob.send(try hello("bob", trace: ClientTrace.bob, offer: slots))
        let answer = try #require(try bob.take().first { $0.type == "welcome" })
        let slot = try #require(answer.list("data", "pc", "slots").first { $0["kind"] as? String == "video" })
        let sids = (
            try #require(welcome.string("data", "sid")), try #require(answer.string("data", "sid"))
        )
        for sid in [sids.0, sids.1] {
            await harness.emit(.transport(SessionID(sid), .connecting))
            await harness.emit(.transport(SessionID(sid), .connected))
        }
        return (alice, bob, tid, try #require(slot["mid"] as? String))
    }

    private func slot(_ mid: String, _ tid: String?, layer: UInt8?) -> SlotState {
        SlotState(
            mid: mid,
            kind: .video,
            publication: tid.map { PublicationID($0) },
            participant: tid.map { _ in ParticipantID("pa_x") },
            spatialLayer: layer,
            temporalLayer: layer,
            reason: layer == nil ? .keyframe : .none
        )
    }

    private func viewer(on harness: GatewayHarness) async throws -> SessionID {
        try #require(await harness.gateway.session(of: "bob"))
    }

    @Test func oneWayFromHelloToTheFirstPicture() async throws {
        let kept = KeptSpans()
        let harness = await GatewayHarness(tracer: kept.tracer())
        let (alice, bob, tid, mid) = try await call(harness)
        let viewer = try await viewer(on: harness)
        await harness.emit(.slots(viewer, [slot(mid, tid, layer: nil)]))
        await harness.pass(.milliseconds(200))
        await harness.emit(
            .publication(
                PublicationState(publication: PublicationID(tid), room: room, codec: .vp8, layers: [])
            )
        )
        await harness.pass(.milliseconds(100))
        await harness.emit(.slots(viewer, [slot(mid, tid, layer: 1)]))
        await harness.emit(.slots(viewer, [slot(mid, tid, layer: 2)]))
        for client in [alice, bob] { await client.send(#"{"id":1,"type":"leave"}"#) }
        await harness.settle()
        let graph = kept.graph
        graph.check(outside: ClientTrace.ids)
        let frame = try graph.one("sfu.first_frame")
        #expect(
            graph.path(frame, outside: ClientTrace.ids) == [
                "sfu.first_frame", "sfu.negotiate", "sfu.session", "client",
            ]
        )
        #expect("\(frame.identity.traceID)" == "aaaabbbbccccddddeeeeffff00001111")
        #expect(frame.end - frame.start == 300_000_000 && frame.text("sfu.layer") == "1")
        // The picture is the publisher's: one link leads over to its trace.
        let media = try #require(graph.named("sfu.first_media").first { $0.text("sfu.source") == "camera" })
        #expect(frame.links.map(\.identity.spanID) == [media.identity.spanID])
        #expect(
            graph.path(media, outside: ClientTrace.ids) == [
                "sfu.first_media", "sfu.negotiate", "sfu.session", "client",
            ]
        )
        #expect("\(media.identity.traceID)" == "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(media.text("sfu.codec") == "vp8" && media.status == nil)
        // Nothing came of the microphone.
        let silent = try #require(graph.named("sfu.first_media").first { $0.text("sfu.source") == "mic" })
        #expect(silent.status?.code == .error)
        for name in ["sfu.ice", "sfu.dtls"] {
            #expect(graph.named(name).count == 2)
            for span in graph.named(name) {
                #expect(
                    graph.path(span, outside: ClientTrace.ids) == [
                        name, "sfu.negotiate", "sfu.session", "client",
                    ]
                )
                #expect(span.status == nil)
            }
        }
        let sessions = graph.named("sfu.session")
        #expect(sessions.map { $0.text("sfu.outcome") } == ["fresh", "fresh"])
        #expect(
            sessions.allSatisfy { $0.text("sfu.room") == "standup" && $0.text("sfu.close.code") == "4103" }
        )
        #expect(sessions.allSatisfy { $0.parent?.isRemote == true })
    }

    @Test func withoutAHelloTraceTheUpgradeIsTheParent() async throws {
        let kept = KeptSpans()
        let harness = await GatewayHarness(tracer: kept.tracer())
        let alice = await harness.connect(traceparent: ClientTrace.upgrade)
        await alice.send(try hello("alice", trace: "00-not-a-trace"))
        let welcome = try #require(try alice.take().first { $0.type == "welcome" })
        #expect((welcome.json["trace"] as? String)?.hasPrefix("00-12345678123456781234567812345678-") == true)
        let nobody = await harness.connect()
        await nobody.send(try hello("bob,bad", trace: nil))
        await harness.settle()
        await alice.disconnect()
        let sessions = kept.graph.named("sfu.session")
        #expect(sessions.map { $0.status?.code } == [.error, nil])
        #expect(
            sessions[0].parent == nil && "\(sessions[0].status?.message ?? "")" == "the token is not valid"
        )
        #expect(sessions[1].parent.map { "\($0.spanID)" } == "00000000000fade0")
    }

    @Test func requestsAndWhatTheyCauseBelongToTheirSender() async throws {
        let kept = KeptSpans()
        let harness = await GatewayHarness(tracer: kept.tracer())
        let (alice, bob, tid, _) = try await call(harness)
        let carol = await harness.connect()
        await carol.send(try hello("carol", trace: nil))
        await harness.pass(.milliseconds(100))
        for client in [alice, bob, carol] { _ = try client.take() }
        let mine = "00-99999999999999999999999999999999-0000000000000b0b-01"
        await alice.send(
            #"{"id":1,"type":"track.mute","trace":"\#(mine)","data":{"tid":"\#(tid)","muted":true}}"#
        )
        let told = try #require(try bob.take().first { $0.type == "track.muted" })
        let trace = try #require(told.json["trace"] as? String)
        #expect(try carol.take().first { $0.type == "track.muted" }?.json["trace"] as? String == trace)
        let mute = try kept.graph.one("sfu.signal.track.mute")
        #expect(mute.parent.map { "\($0.spanID)" } == "0000000000000b0b" && mute.kind == .server)
        let fanOut = try #require(
            kept.graph.named("sfu.fanout").first { $0.parent?.spanID == mute.identity.spanID }
        )
        #expect(trace == fanOut.identity.traceparent)
        #expect(fanOut.text("sfu.event") == "track.muted" && fanOut.text("sfu.receivers") == "2")
        // A request without a trace belongs to its session, and one that fails says so.
        await alice.send(#"{"id":2,"type":"track.mute","data":{"tid":"tr_none","muted":true}}"#)
        let failed = try #require(kept.graph.named("sfu.signal.track.mute").last)
        #expect(failed.status?.code == .error && failed.text("sfu.error") == "not_found")
        #expect("\(failed.identity.traceID)" == "4bf92f3577b34da6a3ce929d0e0e4736")
        // Pings are not worth a span.
        await alice.send(#"{"id":3,"type":"ping","data":{"t":1}}"#)
        #expect(kept.graph.named("sfu.signal.ping").isEmpty)
    }

    @Test func rostersNameTheirCauseWhereThereIsOne() async throws {
        let kept = KeptSpans()
        let harness = await GatewayHarness(tracer: kept.tracer())
        let watcher = try await harness.join("watcher")
        await harness.pass(.milliseconds(100))
        _ = try watcher.take()
        let alice = await harness.connect()
        await alice.send(try hello("alice", trace: ClientTrace.alice))
        await harness.pass(.milliseconds(100))
        let one = try #require(try watcher.take().first { $0.type == "roster" })
        let trace = try #require(one.json["trace"] as? String)
        let fanOut = try #require(kept.graph.named("sfu.fanout").last)
        #expect(trace == fanOut.identity.traceparent && fanOut.text("sfu.receivers") == "1")
        #expect("\(fanOut.identity.traceID)" == "4bf92f3577b34da6a3ce929d0e0e4736")
        // Two who come together are two causes.
        for user in ["bob", "carol"] {
            let client = await harness.connect()
            await client.send(try hello(user, trace: ClientTrace.bob))
        }
        await harness.pass(.milliseconds(100))
        let two = try #require(try watcher.take().first { $0.type == "roster" })
        #expect(two.list("data", "joined").count == 2 && two.json["trace"] == nil)
    }

    @Test func whatIsNotSampledIsNotNamed() async throws {
        let kept = KeptSpans()
        let harness = await GatewayHarness(tracer: kept.tracer())
        let alice = await harness.connect()
        await alice.send(try hello("alice", trace: ClientTrace.unsampled))
        let bob = await harness.connect()
        await bob.send(try hello("bob", trace: ClientTrace.unsampled))
        await harness.pass(.milliseconds(100))
        await alice.send(#"{"id":1,"type":"track.publish","data":{"cid":"a","kind":"audio"}}"#)
        await alice.send(#"{"id":2,"type":"leave"}"#)
        await harness.pass(.milliseconds(100))
        let all = try alice.take() + bob.take()
        #expect(all.count > 4 && all.allSatisfy { $0.json["trace"] == nil })
        #expect(kept.graph.spans.isEmpty)
    }

    @Test func withoutATracerNothingIsSaid() async throws {
        let harness = await GatewayHarness()
        let (alice, bob, _, _) = try await call(harness)
        let all = try alice.take() + bob.take()
        #expect(all.allSatisfy { $0.json["trace"] == nil })
        #expect(await harness.gateway.hasSpans == false)
    }

    @Test func aResumeIsAnotherSpanThatLinksToTheOneBefore() async throws {
        let kept = KeptSpans()
        let harness = await GatewayHarness(tracer: kept.tracer())
        let alice = try await harness.join("alice")
        await alice.disconnect()
        let back = await harness.connect()
        await harness.pass(.milliseconds(30))
        await back.send(
            #"{"type":"hello","v":"1.0","trace":"\#(ClientTrace.alice)","data":{"resume":{"token":"\#(alice.resumeToken)","attempt":1,"lastSeq":1}}}"#
        )
        #expect(try back.take().first?.string("data", "outcome") == "replay")
        await back.disconnect()
        let sessions = kept.graph.named("sfu.session")
        #expect(sessions.map { $0.text("sfu.outcome") } == ["fresh", "replay"])
        #expect(sessions[1].links.map(\.identity.spanID) == [sessions[0].identity.spanID])
        #expect(sessions[0].text("sfu.session.id") == sessions[1].text("sfu.session.id"))
        kept.graph.check(outside: ClientTrace.ids)
        let statistics = await harness.gateway.readStatistics()
        #expect(statistics.resumeTime.count == 1 && statistics.resumeTime.seconds == 0.03)
        #expect(statistics.resumeTime.counts[5] == 1)
    }

    @Test func theEndOfTheServerEndsEverySpan() async throws {
        for isApart in [false, true] {
            let kept = KeptSpans()
            let harness = await GatewayHarness(
                GatewayConfiguration(isMediaApart: isApart),
                tracer: kept.tracer()
            )
            let (alice, bob, tid, mid) = try await call(harness)
            await harness.emit(.slots(try await viewer(on: harness), [slot(mid, tid, layer: nil)]))
            await alice.disconnect()
            let ending = Task { await harness.gateway.shutdown() }
            await harness.settle()
            await bob.disconnect()
            await ending.value
            kept.graph.check(outside: ClientTrace.ids)
            for name in ["sfu.session", "sfu.negotiate", "sfu.first_frame", "sfu.first_media"] {
                #expect(!kept.graph.named(name).isEmpty, "\(name)")
            }
        }
    }

    @Test func offersThatFailSaySo() async throws {
        let kept = KeptSpans()
        let harness = await GatewayHarness(tracer: kept.tracer())
        let alice = try await harness.join("alice")
        harness.media.with { $0.refusal = .full }
        _ = try await alice.offer("chromium_VP8_sim.offer")
        let negotiate = try kept.graph.one("sfu.negotiate")
        #expect(negotiate.status?.code == .error && negotiate.text("sfu.error") == "overloaded")
        #expect(kept.graph.parent(of: negotiate)?.name == "sfu.signal.pc.offer")
        #expect(kept.graph.named("sfu.ice").isEmpty)
        harness.media.with { $0.refusal = nil }
        _ = try await alice.offer("chromium_VP8_sim.offer")
        let session = try #require(await harness.gateway.session(of: "alice"))
        await harness.emit(.transport(session, .connecting))
        await harness.emit(.sessionClosed(session, .handshakeFailed))
        #expect(try kept.graph.one("sfu.ice").status == nil)
        #expect(try kept.graph.one("sfu.dtls").status?.code == .error)
        let report = try #require(await harness.gateway.timeline(of: ParticipantID(alice.pid), in: room))
        #expect(
            report.sessions[0].entries.map(\.type) == [
                "joined", "offer", "refused", "offer", "answer", "transport", "mediaClosed",
            ]
        )
        #expect(report.sessions[0].entries[2].error == "overloaded")
    }
}

extension Gateway {
    /// The media session of a user.
    fileprivate func session(of user: String) -> SessionID? {
        links.first { $0.value.claims.user.rawValue == user }?.key
    }

    fileprivate var hasSpans: Bool { sessions.values.contains { $0.trace.session != nil } }
}

@Suite struct GatewayTimelineTests {
    @Test func aTimelineOutlivesItsParticipant() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let cam = try #require(try await alice.publishBoth().first { $0.source == "camera" })
        await harness.pass(.milliseconds(150))
        await harness.emit(.transport(SessionID(alice.sid), .connected))
        await harness.emit(
            .publication(
                PublicationState(
                    publication: PublicationID(cam.tid),
                    room: RoomID("standup"),
                    codec: .vp8,
                    layers: []
                )
            )
        )
        _ = try await alice.request("track.mute", #"{"tid":"\#(cam.tid)","muted":true}"#)
        await alice.disconnect()
        await harness.pass(.seconds(1))
        let back = await harness.connect()
        await back.send(
            #"{"type":"hello","v":"1.0","data":{"resume":{"token":"\#(alice.resumeToken)","attempt":1,"lastSeq":1}}}"#
        )
        let pid = ParticipantID(alice.pid)
        let during = try #require(await harness.gateway.timeline(of: pid, in: RoomID("standup")))
        #expect(during.sessions.count == 1 && !during.sessions[0].ended && during.sessions[0].resumes == 1)
        await back.send(#"{"type":"leave"}"#)
        let after = try #require(await harness.gateway.timeline(of: pid, in: RoomID("standup")))
        #expect(after.sessions.count == 1 && after.sessions[0].ended && after.sessions[0].uid == "alice")
        let entries = after.sessions[0].entries
        #expect(
            entries.map(\.type) == [
                "joined", "offer", "answer", "transport", "firstMedia", "mute", "detached", "resumed",
                "closed", "left",
            ]
        )
        #expect(entries[3].t == 150_000 && entries[4].source == "camera" && entries[5].muted == true)
        #expect(entries[7].outcome == "replay" && entries[8].code == 4103 && entries[9].reason == "left")
        #expect(await harness.gateway.timeline(of: pid, in: RoomID("elsewhere")) == nil)
        #expect(await harness.gateway.timeline(of: ParticipantID("pa_none"), in: RoomID("standup")) == nil)
    }

    @Test func callsAreCounted() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let phone = try await harness.join("alice", did: "phone")
        _ = try await harness.join("ghost,hidden")
        await harness.emit(
            .speakers(
                SpeakerReport(
                    room: RoomID("standup"),
                    dominant: ParticipantID(phone.pid),
                    active: [.init(participant: ParticipantID(phone.pid), level: 90)]
                )
            )
        )
        await harness.pass(.seconds(2))
        await phone.send(#"{"type":"leave"}"#)
        await harness.pass(.seconds(1))
        let summary = try #require(await harness.gateway.conversation(in: RoomID("standup")))
        let first = try #require(summary.users.first)
        #expect(first.uid == "alice" && first.presentMs == 3000 && first.joins == 2)
        // The phone spoke until it left; who goes on speaking says the next report.
        #expect(summary.peak == 3 && summary.durationMs == 3000)
        await harness.emit(.speakers(SpeakerReport(room: RoomID("standup"), dominant: nil, active: [])))
        await harness.pass(.seconds(1))
        #expect(await harness.gateway.conversation(in: RoomID("standup"))?.users.first?.talkMs == 3000)
        await alice.send(#"{"type":"leave"}"#)
    }

    @Test func queuesAreMeasured() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        alice.socket.with { $0.isWritable = false }
        let bob = try await harness.join("bob")
        _ = try await bob.publishBoth()
        await harness.pass(.milliseconds(200))
        let statistics = await harness.gateway.readStatistics()
        #expect(statistics.queuedEvents >= 1 && statistics.longestQueue == statistics.queuedEvents)
        var text = PrometheusText()
        statistics.write(to: &text)
        #expect(text.text.contains("\nsfu_signal_longest_queue_events \(statistics.longestQueue)\n"))
        #expect(text.text.contains("sfu_signal_resume_seconds_bucket{le=\"+Inf\"} 0\n"))
    }
}
