import Foundation
import NIOCore
import RTP
import SDP
import Seam
import Testing

@testable import Signaling

@Suite struct GatewayMediaTests {
    @Test func offersAreAnsweredByRealClientsText() async throws {
        for fixture in [
            "chromium_VP8_sim.offer", "firefox_VP8_sim.offer", "gst_whip_offer", "lk_offer", "wrtc_offer",
        ] {
            let harness = await GatewayHarness()
            let alice = try await harness.join("alice")
            let answer = try await alice.offer(fixture)
            let text = try #require(answer.string("data", "answer"), "\(fixture)")
            let own = FakeMediaPlane.transport("srv0")
            #expect(text.contains("a=ice-ufrag:\(own.ice.usernameFragment)\r\n"), "\(fixture)")
            #expect(text.contains("a=ice-lite\r\n"), "\(fixture)")
            #expect(answer.list("data", "tracks").count == 2, "\(fixture)")
            guard case .open(let open)? = harness.media.commands.first else {
                Issue.record("\(fixture): not opened first")
                continue
            }
            #expect(open.session == SessionID(alice.sid))
            #expect(open.participant == ParticipantID(alice.pid))
            #expect(open.user == UserID("alice"))
            let configured = try #require(harness.media.configurations.first)
            #expect(configured.media.generation == 1)
            #expect(configured.media.sections.compactMap(\.publication).count == 2)
        }
    }

    /// Clients hear of maximum bitrates before they publish, the media plane with what is published.
    @Test func maximumBitratesAreToldToBothSides() async throws {
        let maximums = SourceBitrates(camera: 2_000_000, mic: nil)
        let harness = await GatewayHarness(GatewayConfiguration(maximumBitrates: maximums))
        let alice = try await harness.join("alice")
        let text = try #require(alice.socket.with { $0.texts.first { $0.contains("\"welcome\"") } })
        let welcome = try Message(text)
        #expect(welcome.int("data", "limits", "bitrates", "camera") == 2_000_000)
        #expect(welcome.int("data", "limits", "bitrates", "mic") == nil)
        #expect(welcome.int("data", "limits", "bitrates", "screen") == Limits.BitrateLimit.screen)
        _ = try await alice.offer("chromium_VP8_sim.offer")
        let sections = try #require(harness.media.configurations.first).media.sections
        #expect(sections.first { $0.source == .camera }?.maxBitsPerSecond == 2_000_000)
        #expect(sections.contains { $0.source == .mic })
        #expect(sections.filter { $0.source != .camera }.allSatisfy { $0.maxBitsPerSecond == nil })
    }

    @Test func offersWaitForEachOther() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        harness.media.with { $0.holds = true }
        let sdp = String(
            decoding: try JSONEncoder().encode(SDPFixture.text("chromium_VP8_sim.offer")),
            as: UTF8.self
        )
        for id in 1...7 {
            await alice.send(#"{"id":\#(id),"type":"pc.offer","data":{"gen":1,"sdp":\#(sdp)}}"#)
        }
        // One in progress, four in line, the others refused.
        #expect(harness.media.commands.count == 1)
        let refused = try alice.take()
        #expect(refused.map(\.re) == [6, 7])
        #expect(refused[0].string("error", "code") == "rate_limited")
        harness.media.release()
        await harness.settle()
        let answers = try alice.take()
        #expect(answers.map(\.re) == [1, 2, 3, 4, 5])
        #expect(answers.allSatisfy { $0.string("data", "answer") != nil })
        #expect(harness.media.configurations.map(\.media.generation) == [1, 2, 3, 4, 5])
        let tids = Set(answers.map { $0.string("data", "tracks", 0, "tid") })
        #expect(tids.count == 1)
        let versions = answers.compactMap { $0.string("data", "answer")?.split(separator: "\r\n")[1] }
        #expect(Set(versions).count == 5)
    }

    @Test func newCredentialsRestartICE() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let sdp = try SDPFixture.text("chromium_VP8_sim.offer")
        _ = try await alice.offer(sdp: sdp)
        let ufrag = try #require(
            sdp.components(separatedBy: "a=ice-ufrag:").last?.split(separator: "\r\n").first
        )
        let restarted = try await alice.offer(
            sdp: sdp.replacingOccurrences(of: "a=ice-ufrag:\(ufrag)", with: "a=ice-ufrag:newfrag")
        )
        #expect(restarted.string("data", "answer")?.contains("a=ice-ufrag:srv1\r\n") == true)
        #expect(
            harness.media.commands.contains { command in
                if case .restartICE(_, let remote) = command {
                    remote.ice.usernameFragment == "newfrag"
                } else {
                    false
                }
            }
        )
        #expect(harness.media.commands.count(where: { if case .open = $0 { true } else { false } }) == 1)
    }

    @Test func anotherPeerConnectionReplacesTheSession() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        let first = try await alice.publishBoth()
        await harness.pass(.milliseconds(50))
        _ = try bob.take()
        let again = try await alice.offer(
            "chromium_VP8_sim.offer",
            tracks: #"[{"mid":"1","cid":"cam","kind":"video"}]"#,
            gen: 2
        )
        // The same track by its stable key, on another session.
        #expect(again.string("data", "tracks", 0, "tid") == first.first { $0.source == "camera" }?.tid)
        #expect(harness.media.commands.contains(.close(SessionID(alice.sid))))
        #expect(harness.media.configurations.last?.session == SessionID(alice.sid + ".2"))
        #expect(try await alice.offer("chromium_VP8_sim.offer", gen: 1).string("error", "code") == "conflict")
        await harness.pass(.milliseconds(50))
        let roster = try #require(try bob.take().first { $0.type == "roster" })
        #expect((roster.list("data", "updated").first?["tracks"] as? [[String: Any]])?.count == 1)
    }

    @Test func sectionsThatFallSilentEndTheirTracks() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let bob = try await harness.join("bob")
        _ = try await alice.publishBoth()
        await harness.pass(.milliseconds(50))
        _ = try bob.take()
        let sdp = try SDPFixture.text("chromium_VP8_sim.offer")
        let video = try #require(sdp.range(of: "m=video"))
        let silent = sdp.replacingOccurrences(
            of: "a=sendonly",
            with: "a=inactive",
            range: video.lowerBound..<sdp.endIndex
        )
        let answer = try await alice.offer(sdp: silent, tracks: #"[{"mid":"0","cid":"mic","kind":"audio"}]"#)
        #expect(answer.list("data", "tracks").compactMap { $0["source"] as? String } == ["mic"])
        await harness.pass(.milliseconds(50))
        let roster = try #require(try bob.take().first { $0.type == "roster" })
        #expect(
            (roster.list("data", "updated").first?["tracks"] as? [[String: Any]])?.compactMap {
                $0["source"] as? String
            } == ["mic"]
        )
    }

    @Test func badOffersChangeNothing() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        #expect(try await alice.offer(sdp: "v=0\r\nhello").string("error", "code") == "bad_request")
        #expect(try await alice.request("pc.offer", "{}").string("error", "code") == "bad_request")
        #expect(harness.media.commands.isEmpty)
        harness.media.with { $0.refusal = .unusable }
        #expect(try await alice.offer("chromium_VP8_sim.offer").string("error", "code") == "bad_request")
        #expect(await harness.gateway.readStatistics().publications == 0)
        #expect(await harness.gateway.readStatistics().mediaSessions == 0)
    }

    @Test func aSilentMediaPlaneIsAnError() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        harness.media.with { $0.holds = true }
        let sdp = String(
            decoding: try JSONEncoder().encode(SDPFixture.text("chromium_VP8_sim.offer")),
            as: UTF8.self
        )
        await alice.send(#"{"id":1,"type":"pc.offer","data":{"sdp":\#(sdp)}}"#)
        await harness.pass(.milliseconds(4900))
        #expect(try alice.take().filter { $0.re == 1 }.isEmpty)
        await harness.pass(.milliseconds(150))
        #expect(try alice.take().first { $0.re == 1 }?.string("error", "code") == "not_ready")
        // What comes too late finds nobody.
        harness.media.release()
        await harness.settle()
        #expect(await harness.gateway.readStatistics().mediaSessions == 0)
        await alice.send(#"{"id":2,"type":"pc.offer","data":{"sdp":\#(sdp)}}"#)
        #expect(try alice.take().first { $0.re == 2 }?.string("data", "answer") != nil)
    }

    @Test func aFullMailboxIsRetried() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        harness.media.with { $0.isFull = true }
        let sdp = String(
            decoding: try JSONEncoder().encode(SDPFixture.text("chromium_VP8_sim.offer")),
            as: UTF8.self
        )
        await alice.send(#"{"id":1,"type":"pc.offer","data":{"sdp":\#(sdp)}}"#)
        #expect(try alice.take().isEmpty)
        harness.media.with { $0.isFull = false }
        await harness.pass(.milliseconds(50))
        #expect(try alice.take().first { $0.re == 1 }?.string("data", "answer") != nil)
    }

    @Test func unpublishingWhileAnOfferIsInProgressWins() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let camera = try #require(try await alice.publishBoth().first { $0.source == "camera" })
        harness.media.with { $0.holds = true }
        let sdp = String(
            decoding: try JSONEncoder().encode(SDPFixture.text("chromium_VP8_sim.offer")),
            as: UTF8.self
        )
        await alice.send(#"{"id":2,"type":"pc.offer","data":{"gen":1,"sdp":\#(sdp)}}"#)
        await alice.send(#"{"id":3,"type":"track.unpublish","data":{"tid":"\#(camera.tid)"}}"#)
        await alice.send(#"{"id":4,"type":"track.mute","data":{"cid":"mic","muted":true}}"#)
        harness.media.release()
        await harness.settle()
        let answer = try #require(try alice.take().first { $0.re == 2 })
        #expect(answer.list("data", "tracks").compactMap { $0["source"] as? String } == ["mic"])
        #expect(answer.bool("data", "tracks", 0, "muted") == true)
        #expect(harness.media.configurations.last?.media.sections.compactMap(\.publication).count == 1)
    }

    @Test func slotsAreToldToTheirOwner() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let camera = try #require(try await alice.publishBoth().first { $0.source == "camera" })
        let bob = try await harness.join("bob")
        let answer = try await bob.offer("lk_offer")
        #expect(answer.list("data", "slots").count == 6)
        let mid = try #require(
            answer.list("data", "slots").first { $0["kind"] as? String == "video" }?["mid"] as? String
        )
        await harness.pass(.milliseconds(50))
        _ = try alice.take()
        _ = try bob.take()
        let slot = SlotState(
            mid: mid,
            kind: .video,
            publication: PublicationID(camera.tid),
            participant: ParticipantID(alice.pid),
            spatialLayer: 1,
            width: 640,
            height: 360,
            paused: true,
            reason: .bandwidth
        )
        await harness.emit(
            .slots(SessionID(bob.sid), [slot, SlotState(mid: "nope", kind: .video)]),
            .slots(SessionID("se_unknown"), [slot])
        )
        #expect(try alice.take().isEmpty)
        let events = try bob.take()
        #expect(events.map(\.type) == ["slots"])
        #expect(events[0].string("data", "mid") == mid)
        #expect(events[0].string("data", "tid") == camera.tid)
        #expect(events[0].string("data", "pid") == alice.pid)
        #expect(events[0].int("data", "layer", "s") == 1)
        #expect(events[0].int("data", "layer", "height") == 360)
        #expect(events[0].string("data", "reason") == "bandwidth")
        #expect(events[0].seq != nil)
    }

    @Test func moreVideosThanSlotsAskForSlotsOnce() async throws {
        let harness = await GatewayHarness()
        let viewer = try await harness.join("vera")
        _ = try await viewer.offer("lk_offer")
        for n in 0..<5 {
            let publisher = try await harness.join("p\(n)")
            _ = try await publisher.publishBoth()
        }
        await harness.pass(.milliseconds(200))
        let needs = try viewer.take().filter { $0.type == "pc.need" }
        #expect(needs.count == 1)
        #expect(needs.first?.int("data", "video") == 8)
        #expect(needs.first?.int("data", "audio") == 3)
        // Who shows two tiles needs no more slots.
        let modest = try await harness.join("mo")
        _ = try await modest.request("view.update", #"{"tiles":[]}"#)
        _ = try await modest.offer("lk_offer")
        await harness.pass(.milliseconds(200))
        #expect(try modest.take().filter { $0.type == "pc.need" }.isEmpty)
    }

    @Test func speakersAreStateAndLevelsAreEphemeral() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        _ = try alice.take()
        let pid = ParticipantID(alice.pid)
        func report(_ level: UInt8, dominant: ParticipantID? = nil) -> Event {
            .speakers(
                SpeakerReport(
                    room: RoomID("standup"),
                    dominant: dominant,
                    active: [SpeakerReport.Level(participant: pid, level: level)]
                )
            )
        }
        await harness.emit(report(80, dominant: pid))
        let first = try alice.take()
        #expect(Set(first.compactMap(\.type)) == ["speakers", "levels"])
        #expect(first.first { $0.type == "speakers" }?.string("data", "dominant") == alice.pid)
        #expect(first.first { $0.type == "speakers" }?.seq != nil)
        #expect(first.first { $0.type == "levels" }?.seq == nil)
        await harness.emit(report(90, dominant: pid), report(91, dominant: pid))
        #expect(try alice.take().isEmpty)
        await harness.pass(.milliseconds(100))
        let later = try alice.take()
        #expect(later.map(\.type) == ["levels"])
        #expect(later[0].int("data", "active", 0, "level") == 91)
    }

    @Test func layersAreToldWhenTheirShapeChanges() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let camera = try #require(try await alice.publishBoth().first { $0.source == "camera" })
        let bob = try await harness.join("bob")
        _ = try bob.take()
        func event(_ bits: UInt32) -> Event {
            .publication(
                PublicationState(
                    publication: PublicationID(camera.tid),
                    room: RoomID("standup"),
                    codec: .vp8,
                    layers: [.init(rid: "q", live: true, width: 320, height: 180, bitsPerSecond: bits)]
                )
            )
        }
        await harness.emit(event(100_000), event(120_000))
        let events = try bob.take().filter { $0.type == "track.layers" }
        #expect(events.count == 1)
        #expect(events.first?.string("data", "codec") == "vp8")
        #expect(events.first?.int("data", "layers", 0, "kbps") == 100)
        await harness.emit(event(130_000))
        #expect(try bob.take().isEmpty)
    }

    @Test func transportsMakeConnectionStates() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        _ = try await alice.publishBoth()
        let bob = try await harness.join("bob")
        await harness.pass(.milliseconds(50))
        _ = try bob.take()
        func state(after state: TransportState) async throws -> String? {
            await harness.emit(.transport(SessionID(alice.sid), state))
            return try bob.take().first { $0.type == "conn" }?.string("data", "conn")
        }
        #expect(try await state(after: .connected) == "active")
        #expect(try await state(after: .connected) == nil)
        #expect(try await state(after: .disconnected) == "reconnecting")
        _ = try alice.take()
        #expect(try await state(after: .failed) == nil)
        #expect(try alice.take().first { $0.type == "pc.restart" }?.string("data", "mode") == "ice")
        #expect(try await state(after: .connected) == "active")
        await alice.disconnect()
        await harness.pass(.seconds(2))
        #expect(try bob.take().first { $0.type == "conn" }?.string("data", "conn") == "mediaOnly")
    }

    @Test func closedMediaAsksForANewPeerConnection() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        _ = try await alice.publishBoth()
        let bob = try await harness.join("bob")
        await harness.pass(.milliseconds(50))
        _ = try bob.take()
        _ = try alice.take()
        await harness.emit(.sessionClosed(SessionID(alice.sid), .timeout))
        #expect(try alice.take().first { $0.type == "pc.restart" }?.string("data", "mode") == "new")
        await harness.pass(.milliseconds(50))
        // The owner did not do this, so it is told as well.
        for client in [alice, bob] {
            let roster = try #require(try client.take().first { $0.type == "roster" })
            #expect((roster.list("data", "updated").first?["tracks"] as? [[String: Any]])?.isEmpty == true)
        }
        #expect(try await alice.publishBoth().count == 2)
        #expect(harness.media.configurations.last?.session == SessionID(alice.sid + ".2"))
    }
}
