import Foundation
import RTP
import Seam
import Testing

@testable import Signaling

@Suite("Why don't I hear Bob?")
struct GatewayDiagnosisTests {
    private struct Call {
        let harness: GatewayHarness
        let alice: TestClient
        let bob: TestClient
        let mic: PublicationID
        let camera: PublicationID

        /// Bob publishes and is connected, Alice has slots and is connected.
        init() async throws {
            harness = await GatewayHarness()
            alice = try await harness.join("alice")
            bob = try await harness.join("bob")
            let tracks = try await bob.publishBoth()
            mic = PublicationID(try #require(tracks.first { $0.source == "mic" }).tid)
            camera = PublicationID(try #require(tracks.first { $0.source == "camera" }).tid)
            _ = try await alice.offer("lk_offer")
            for client in [alice, bob] {
                await harness.emit(.transport(SessionID(client.sid), .connected))
            }
        }

        func arrives(_ id: PublicationID, codec: CodecName, live: Bool = true) async {
            let layer = PublicationState.Layer(
                rid: nil,
                live: live,
                width: 640,
                height: 360,
                bitsPerSecond: 500_000
            )
            await harness.emit(
                .publication(
                    PublicationState(
                        publication: id,
                        room: RoomID("standup"),
                        codec: codec,
                        layers: [layer]
                    )
                )
            )
        }

        func slot(_ kind: MediaKind, _ state: (inout SlotState) -> Void) async throws {
            let answer = harness.media.configurations.last { $0.session == SessionID(alice.sid) }
            let mid = try #require(
                answer?.media.sections.first { $0.section.kind == kind && $0.section.slot != nil }
            ).section.mid
            var slot = SlotState(
                mid: mid,
                kind: kind,
                publication: kind == .audio ? mic : camera,
                participant: ParticipantID(bob.pid)
            )
            state(&slot)
            await harness.emit(.slots(SessionID(alice.sid), [slot]))
        }

        func verdict(_ data: String) async throws -> String? {
            try await alice.request("diag.get", data).string("data", "verdict", "code")
        }
    }

    @Test func theChainEndsWhereItBreaks() async throws {
        let call = try await Call()
        let question = #"{"pid":"\#(call.bob.pid)"}"#
        #expect(try await call.verdict(question) == "nothingArrives")
        await call.arrives(call.mic, codec: .opus)
        #expect(try await call.verdict(question) == "notHeard")
        await call.harness.emit(
            .speakers(
                SpeakerReport(
                    room: RoomID("standup"),
                    dominant: nil,
                    active: [.init(participant: ParticipantID(call.bob.pid), level: 90)]
                )
            )
        )
        #expect(try await call.verdict(question) == "noSlot")
        try await call.slot(.audio) { _ in }
        let fine = try await call.alice.request("diag.get", question)
        #expect(fine.string("data", "verdict", "code") == "ok", "\(fine)")
        #expect(fine.list("data", "chain").allSatisfy { $0["ok"] as? Bool == true })
        #expect(fine.list("data", "chain").count >= 9)
        try await call.alice.request("sub.update", #"{"set":[{"pid":"\#(call.bob.pid)","on":false}]}"#)
        #expect(try await call.verdict(question) == "unsubscribed")
        try await call.bob.request("track.mute", #"{"cid":"mic","muted":true}"#)
        #expect(try await call.verdict(question) == "muted")
        await call.harness.emit(.transport(SessionID(call.bob.sid), .disconnected))
        #expect(try await call.verdict(question) == "senderNotConnected")
        try await call.bob.request("track.unpublish", #"{"cid":"mic"}"#)
        #expect(try await call.verdict(question) == "notPublishing")
        #expect(try await call.verdict(#"{"tid":"\#(call.mic)"}"#) == "notPublishing")
        try await call.bob.request("leave")
        #expect(try await call.verdict(question) == "notInRoom")
    }

    @Test func picturesSayWhyTheyArePaused() async throws {
        let call = try await Call()
        await call.arrives(call.camera, codec: .vp8)
        try await call.slot(.video) {
            $0.paused = true
            $0.reason = .bandwidth
        }
        let answer = try await call.alice.request(
            "diag.get",
            #"{"pid":"\#(call.bob.pid)","source":"camera"}"#
        )
        #expect(answer.string("data", "verdict", "code") == "paused")
        #expect(answer.string("data", "verdict", "text")?.contains("no room") == true)
        let step = answer.list("data", "chain").last
        #expect(step?["step"] as? String == "paused")
        #expect(step?["detail"] as? String == "bandwidth")
        await call.arrives(call.camera, codec: .vp8, live: false)
        #expect(try await call.verdict(#"{"tid":"\#(call.camera)"}"#) == "nothingArrives")
    }

    @Test func picturesSayWhatTheDownlinkCarries() async throws {
        let call = try await Call()
        await call.arrives(call.camera, codec: .vp8)
        let sizes: [(height: UInt16, kilobits: UInt32)] = [(180, 150), (360, 500), (720, 1700)]
        let layers = sizes.map { size in
            PublicationState.Layer(
                rid: "r\(size.height)",
                live: true,
                width: size.height / 9 * 16,
                height: size.height,
                bitsPerSecond: size.kilobits * 1000
            )
        }
        await call.harness.emit(
            .publication(
                PublicationState(
                    publication: call.camera,
                    room: RoomID("standup"),
                    codec: .vp8,
                    layers: layers
                )
            )
        )
        try await call.slot(.video) {
            $0.spatialLayer = 1
            $0.width = 640
            $0.height = 360
            $0.reason = .bandwidth
            $0.neededBitsPerSecond = 1_943_000
            $0.availableBitsPerSecond = 622_000
        }
        let down = DirectionQuality(
            score: 34,
            reason: .bandwidth,
            lossPermille: 41,
            estimateBitsPerSecond: 622_000,
            bound: .delay
        )
        await call.harness.emit(.quality(SessionID(call.alice.sid), SessionQuality(down: down)))
        let question = #"{"tid":"\#(call.camera)"}"#
        let answer = try await call.alice.request("diag.get", question)
        #expect(answer.string("data", "verdict", "code") == "bandwidth")
        let sentence =
            "360p: your downlink is about 620 kbit/s, 4 % loss; 720p needs about 1\u{202f}900 kbit/s."
        #expect(answer.string("data", "verdict", "text") == sentence)
        let steps = answer.list("data", "chain").map { ($0["step"] as? String, $0["detail"] as? String) }
        #expect(steps.contains { $0.0 == "layer" && $0.1 == sentence })
        #expect(
            steps.contains { $0.0 == "ownDownlink" && $0.1 == "Your downlink is about 620 kbit/s, 4 % loss." }
        )
        #expect(answer.int("data", "media", "down", "score") == 34)
        #expect(answer.int("data", "media", "down", "detail", "estimateKbps") == 622)
        let slot = answer.list("data", "slots").first { $0["reason"] as? String == "bandwidth" }
        #expect(slot?["neededKbps"] as? Int == 1943 && slot?["availableKbps"] as? Int == 622)
    }

    @Test func aBadPathIsTheVerdictWhereNothingElseIsWrong() async throws {
        let call = try await Call()
        await call.arrives(call.mic, codec: .opus)
        try await call.slot(.audio) { _ in }
        let question = #"{"tid":"\#(call.mic)"}"#
        #expect(try await call.verdict(question) == "ok")
        func rate(_ client: TestClient, up: UInt8, down: UInt8) async {
            let quality = SessionQuality(
                up: DirectionQuality(score: up, reason: .loss, lossPermille: 90),
                down: DirectionQuality(score: down, reason: .delay, roundTripMs: 900)
            )
            await call.harness.emit(.quality(SessionID(client.sid), quality))
        }
        await rate(call.alice, up: 29, down: 45)
        await rate(call.bob, up: 40, down: 10)
        #expect(try await call.verdict(question) == "poorUplink")
        await rate(call.alice, up: 29, down: 12)
        let own = try await call.alice.request("diag.get", "{}")
        #expect(own.string("data", "verdict", "code") == "poorDownlink")
        #expect(own.string("data", "verdict", "text") == "Your downlink is slow: 900 ms there and back.")
        await rate(call.bob, up: 15, down: 10)
        let sender = try await call.alice.request("diag.get", question)
        #expect(sender.string("data", "verdict", "code") == "poorSender")
        // Of others no figures are told.
        #expect(!sender.text.contains("90 ‰") && sender.text.contains("(loss)"), "\(sender)")
    }

    @Test func moderatorsLobbyAndTheEchoRuleAreNamed() async throws {
        let call = try await Call()
        let mod = try await call.harness.join("mona,mod")
        try await mod.request("mod.mute", #"{"tid":"\#(call.mic)"}"#)
        #expect(try await call.verdict(#"{"tid":"\#(call.mic)"}"#) == "mutedByModerator")
        let waiting = await call.harness.connect()
        await waiting.send(#"{"type":"hello","data":{"token":"wanda,lobby"}}"#)
        try waiting.readWelcome()
        #expect(try await call.verdict(#"{"pid":"\#(waiting.pid)"}"#) == "waiting")
        let phone = try await call.harness.join("alice", did: "phone")
        _ = try await phone.publishBoth()
        #expect(try await call.verdict(#"{"pid":"\#(phone.pid)"}"#) == "ownUser")
        let hidden = try await call.harness.join("ghost,hidden")
        #expect(try await call.verdict(#"{"pid":"\#(hidden.pid)"}"#) == "notInRoom")
    }

    @Test func theOwnSideIsLookedAtAlone() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        let before = try await alice.request("diag.get")
        #expect(before.string("data", "verdict", "code") == "noMedia")
        #expect(before.int("data", "signal", "seq") == 1)
        #expect(before.int("data", "signal", "unacknowledged") == 1)
        #expect(before.string("data", "permissions", "role") == "speaker")
        await alice.send(#"{"type":"ack","ack":1}"#)
        _ = try await alice.offer("lk_offer")
        await harness.emit(.transport(SessionID(alice.sid), .connecting))
        #expect(
            try await alice.request("diag.get").string("data", "verdict", "code") == "notConnected"
        )
        await harness.emit(.transport(SessionID(alice.sid), .connected))
        let after = try await alice.request("diag.get")
        #expect(after.string("data", "verdict", "code") == "ok")
        #expect(after.int("data", "signal", "unacknowledged") == 0)
        #expect(after.string("data", "media", "transport") == "connected")
        #expect(after.list("data", "chain").isEmpty)
        let deaf = try await harness.join("dora,deaf")
        #expect(
            try await deaf.request("diag.get", #"{"pid":"\#(alice.pid)"}"#).string("data", "verdict", "code")
                == "notAllowed"
        )
    }

    @Test func reportsAreCountedAndBounded() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        for _ in 0..<(Limits.Rooms.loggedReports + 5) {
            await alice.send(#"{"type":"diag.report","data":{"lastSeq":3,"gaps":0,"timeToResumeMs":41.5}}"#)
        }
        #expect(
            await harness.gateway.readStatistics().diagnosisReports
                == UInt64(Limits.Rooms.loggedReports + 5)
        )
        let long = String(repeating: "x", count: Limits.Rooms.textBytes + 1)
        await alice.send(#"{"type":"diag.report","data":{"note":"\#(long)"}}"#)
        #expect(try alice.take("error").first?.string("data", "error", "code") == "too_large")
    }
}
