// What members are told of the quality of each other's media, and of their own.
import Foundation
import RTP
import Seam
import Testing

@testable import Signaling

@Suite struct GatewayQualityTests {
    private func quality(
        up: UInt8? = nil,
        down: UInt8? = nil,
        _ reason: DirectionQuality.Reason = .loss
    ) -> SessionQuality {
        func direction(_ score: UInt8?) -> DirectionQuality? {
            score.map {
                DirectionQuality(
                    score: $0,
                    reason: $0 > 45 ? .none : reason,
                    audio: $0,
                    lossPermille: 41,
                    roundTripMs: 80,
                    bitsPerSecond: 500_400,
                    estimateBitsPerSecond: 622_000,
                    bound: .loss
                )
            }
        }
        return SessionQuality(up: direction(up), down: direction(down))
    }

    private func connected(
        _ name: String,
        slotsOnly: Bool = false,
        in harness: GatewayHarness
    ) async throws -> TestClient {
        let client = try await harness.join(name)
        if slotsOnly { _ = try await client.offer("lk_offer") } else { _ = try await client.publishBoth() }
        await harness.emit(.transport(SessionID(client.sid), .connected))
        return client
    }

    private func tell(_ harness: GatewayHarness, _ client: TestClient, _ quality: SessionQuality) async {
        await harness.emit(.quality(SessionID(client.sid), quality))
    }

    @Test func oneselfIsToldFiguresAndOthersSteps() async throws {
        let harness = await GatewayHarness()
        let alice = try await connected("alice", in: harness)
        let bob = try await connected("bob", in: harness)
        await harness.pass(.milliseconds(100))
        _ = try (alice.take(), bob.take())
        await tell(harness, alice, quality(up: 37, down: 48))
        let own = try #require(try alice.take("quality").first)
        #expect(own.string("data", "pid") == alice.pid && own.seq != nil)
        #expect(own.int("data", "up", "score") == 37 && own.string("data", "up", "reason") == "loss")
        #expect(own.int("data", "up", "detail", "lossPermille") == 41)
        #expect(own.int("data", "up", "detail", "estimateKbps") == 622)
        #expect(own.string("data", "up", "detail", "text") == "Your uplink loses 4 % of the packets.")
        #expect(own.string("data", "down", "detail", "text") == "Your downlink is fine.")
        let other = try #require(try bob.take("quality").first)
        #expect(other.string("data", "pid") == alice.pid)
        #expect(other.int("data", "up", "score") == 35 && other.int("data", "down", "score") == 50)
        #expect(other.string("data", "up", "reason") == "loss")
        #expect(
            !other.text.contains("detail") && !other.text.contains("622"),
            "figures are for oneself: \(other)"
        )
    }

    @Test func othersAreToldStepsTogetherAndNotTooOften() async throws {
        let harness = await GatewayHarness()
        let alice = try await connected("alice", in: harness)
        let bob = try await connected("bob", in: harness)
        await harness.pass(.milliseconds(100))
        await tell(harness, alice, quality(up: 50))
        _ = try (alice.take(), bob.take())
        // Within the interval the newest counts; oneself hears all.
        for score: UInt8 in [40, 30, 20] { await tell(harness, alice, quality(up: score)) }
        #expect(try alice.take("quality").count == 3)
        #expect(try bob.take("quality").isEmpty)
        await harness.pass(Limits.Signaling.qualityInterval)
        let told = try bob.take("quality")
        #expect(told.count == 1 && told.first?.int("data", "up", "score") == 20)
        // A step is half a point, and a score at its edge does not go to and fro.
        for score: UInt8 in [21, 22, 23, 18, 22] {
            await tell(harness, alice, quality(up: score))
            await harness.pass(Limits.Signaling.qualityInterval)
        }
        #expect(try bob.take("quality").isEmpty)
        await tell(harness, alice, quality(up: 24))
        await harness.pass(Limits.Signaling.qualityInterval)
        #expect(try bob.take("quality").map { $0.int("data", "up", "score") } == [25])
    }

    @Test func whatIsNotKnownAnyMoreIsTakenBack() async throws {
        let harness = await GatewayHarness()
        let alice = try await connected("alice", in: harness)
        let bob = try await connected("bob", in: harness)
        await tell(harness, alice, quality(up: 20))
        await harness.pass(Limits.Signaling.qualityInterval)
        #expect(try bob.take("quality").count == 1)
        await harness.emit(.sessionClosed(SessionID(alice.sid), .timeout))
        await harness.pass(Limits.Signaling.qualityInterval)
        let gone = try #require(try bob.take("quality").first)
        #expect(gone.string("data", "pid") == alice.pid)
        #expect(gone.int("data", "up", "score") == nil && gone.int("data", "down", "score") == nil)
        // Nothing comes of a session that is gone.
        await tell(harness, alice, quality(up: 20))
        await harness.pass(Limits.Signaling.qualityInterval)
        #expect(try bob.take("quality").isEmpty)
    }

    @Test func whoIsHiddenIsNotTold() async throws {
        let harness = await GatewayHarness()
        let ghost = try await connected("ghost,hidden", slotsOnly: true, in: harness)
        let bob = try await connected("bob", in: harness)
        await harness.pass(.milliseconds(100))
        _ = try (ghost.take(), bob.take())
        await tell(harness, ghost, quality(up: 20, down: 20))
        await harness.pass(Limits.Signaling.qualityInterval)
        #expect(try ghost.take("quality").count == 1)
        #expect(try bob.take("quality").isEmpty)
        let late = await harness.connect()
        await late.send(#"{"type":"hello","v":"1.0","data":{"token":"late"}}"#)
        let snapshot = try #require(try late.take("snapshot").first)
        #expect(snapshot.list("data", "qualities").isEmpty)
    }

    @Test func snapshotsSayWhatWasTold() async throws {
        let harness = await GatewayHarness()
        let alice = try await connected("alice", in: harness)
        let bob = try await connected("bob", in: harness)
        await tell(harness, alice, quality(up: 33))
        await harness.pass(Limits.Signaling.qualityInterval)
        await tell(harness, bob, quality(down: 42))
        await harness.pass(Limits.Signaling.qualityInterval)
        let late = await harness.connect()
        await late.send(#"{"type":"hello","v":"1.0","data":{"token":"late"}}"#)
        let snapshot = try #require(try late.take("snapshot").first)
        let all = snapshot.list("data", "qualities")
        #expect(Set(all.compactMap { $0["pid"] as? String }) == [alice.pid, bob.pid])
        let scores = all.map { one in
            ((one["up"] ?? one["down"]) as? [String: Any])?["score"] as? Int
        }
        #expect(Set(scores) == [35, 40] && !snapshot.text.contains("lossPermille"), "\(snapshot)")
    }

    @Test func aLargeRoomTellsOnlyOneself() async throws {
        let harness = await GatewayHarness()
        let alice = try await connected("alice", in: harness)
        var others: [TestClient] = []
        for number in 0..<Limits.Signaling.qualityAudience {
            others.append(try await harness.join("p\(number)"))
        }
        await harness.pass(.seconds(1))
        _ = try alice.take()
        for other in others { _ = try other.take() }
        await tell(harness, alice, quality(up: 20))
        await harness.pass(Limits.Signaling.qualityInterval)
        #expect(try alice.take("quality").count == 1)
        for other in others { #expect(try other.take("quality").isEmpty) }
        // Fewer of them hear of it at the next change.
        try await others[0].request("leave")
        await tell(harness, alice, quality(up: 30))
        await harness.pass(Limits.Signaling.qualityInterval)
        #expect(try others[1].take("quality").count == 1)
    }

    @Test func metricsCountSessionsAndSlots() async throws {
        let harness = await GatewayHarness()
        let alice = try await connected("alice", in: harness)
        let bob = try await connected("bob", slotsOnly: true, in: harness)
        await tell(harness, alice, quality(up: 50, down: 33, .bandwidth))
        await tell(harness, bob, quality(down: 12, .loss))
        let mid = try #require(
            harness.media.configurations.last { $0.session == SessionID(bob.sid) }?.media.sections
                .first { $0.section.kind == .video && $0.section.slot != nil }
        ).section.mid
        let slot = SlotState(
            mid: mid,
            kind: .video,
            publication: PublicationID("tr_1"),
            reason: .bandwidth,
            neededBitsPerSecond: 1,
            availableBitsPerSecond: 1
        )
        await harness.emit(.slots(SessionID(bob.sid), [slot]))
        await harness.pass(Limits.Signaling.qualitySampling)
        let statistics = await harness.gateway.readStatistics()
        var text = PrometheusText()
        statistics.write(to: &text)
        for line in [
            #"sfu_quality_score_bucket{direction="up",le="4.5"} "#,
            #"sfu_quality_sessions{direction="down",reason="bandwidth"} 1"#,
            #"sfu_quality_sessions{direction="down",reason="loss"} 1"#,
            #"sfu_quality_sessions{direction="up",reason="none"} 1"#,
            #"sfu_quality_sessions{direction="up",reason="frozen"} 0"#,
            #"sfu_video_slots{reason="bandwidth"} 1"#,
            "sfu_downlink_estimate_bits_per_second_bucket{le=\"800000\"} ",
        ] {
            #expect(text.text.contains(line), "\(line)")
        }
        let down = statistics.quality.down
        #expect(down.count >= 2 && down.count % 2 == 0 && abs(down.sum - 4.5 * Double(down.count / 2)) < 1e-9)
        #expect(statistics.quality.estimate.count == down.count)
    }

    @Test func aSummarySaysHowItWas() async throws {
        let harness = await GatewayHarness()
        let alice = try await connected("alice", in: harness)
        await tell(harness, alice, quality(up: 40, down: 20))
        await harness.pass(.seconds(4))
        await tell(harness, alice, quality(up: 50, down: 30))
        await harness.pass(.seconds(4))
        let summary = try #require(await harness.gateway.conversation(in: RoomID("standup")))
        let user = try #require(summary.users.first)
        #expect(user.up?.mean == 45 && user.up?.poorMs == 0)
        #expect(user.down?.mean == 25 && user.down?.poorMs == 4000 && user.down?.ratedMs == 8000)
    }
}
