import Foundation
import RTP
import Seam
import Synchronization
import Testing

@testable import Signaling

/// Remembers what it is told.
final class RecordedEvents: EventSink {
    private let events = Mutex<[RoomEvent]>([])

    func append(_ event: RoomEvent) { events.withLock { $0.append(event) } }
    var all: [RoomEvent] { events.withLock { $0 } }

    /// Since the last call, as `type uid`.
    func take() -> [String] {
        events.withLock { events in
            defer { events = [] }
            return events.map { "\($0.type.rawValue) \($0.uid ?? "")" }
        }
    }
}

@Suite("Events of the gateway")
struct GatewayEventTests {
    @Test func aCallIsToldFromJoinToLeave() async throws {
        let log = RecordedEvents()
        let harness = await GatewayHarness(events: log)
        let alice = try await harness.join("alice", did: "d1")
        #expect(log.all.map(\.type) == [.roomStarted, .userJoined, .participantJoined])
        let joined = log.all[2]
        #expect(
            joined.pid == alice.pid && joined.uid == "alice" && joined.did == "d1" && joined.kind == "web"
        )
        #expect(joined.name == "Alice" && joined.role == .speaker && joined.room == "standup")
        #expect(joined.time > 1_795_000_000_000)
        let bob = try await harness.join("bob")
        _ = log.take()
        _ = try await alice.publishBoth()
        await harness.pass(.milliseconds(100))
        let published = log.all
        #expect(published.map(\.type) == [.trackPublished, .trackPublished])
        #expect(Set(published.compactMap { $0.track?.source }) == [.mic, .camera])
        _ = log.take()
        try await bob.request("leave", #"{"reason":"bye"}"#)
        #expect(log.take() == ["participant.left bob", "user.left bob"])
        try await alice.request("leave")
        #expect(
            log.take() == [
                "track.unpublished alice", "track.unpublished alice", "participant.left alice",
                "user.left alice",
                "room.ended ", "call.summary ",
            ]
        )
    }

    @Test func aSummarySaysWhoSpokeAndWhoCameBack() async throws {
        let log = RecordedEvents()
        let harness = await GatewayHarness(events: log)
        for call in 1...2 {
            let alice = try await harness.join("alice", did: "d1")
            let bob = try await harness.join("bob")
            let speaking = SpeakerReport.Level(participant: ParticipantID(bob.pid), level: 90)
            let room = RoomID("standup")
            await harness.emit(.speakers(SpeakerReport(room: room, dominant: nil, active: [speaking])))
            await harness.pass(.seconds(3))
            await harness.emit(.speakers(SpeakerReport(room: room, dominant: nil, active: [])))
            try await bob.request("leave")
            try await alice.request("leave")
            let ended = log.all.last
            _ = log.take()
            let users = try #require(ended?.summary?.users)
            #expect(users.map(\.uid).sorted() == ["alice", "bob"], "call \(call)")
            #expect(users.first { $0.uid == "bob" }?.talkMs == 3000, "call \(call)")
            #expect(users.first { $0.uid == "alice" }?.talkMs == 0, "call \(call)")
            #expect(users.allSatisfy { $0.reconnects == 0 }, "call \(call)")
        }
    }

    @Test func aBrokenSocketIsToldAfterTheGraceAlone() async throws {
        let log = RecordedEvents()
        let harness = await GatewayHarness(events: log)
        let alice = try await harness.join("alice")
        _ = log.take()
        await alice.disconnect()
        #expect(log.take().isEmpty)
        await harness.pass(Limits.Signaling.detachGrace + .seconds(1))
        #expect(log.all.first { $0.type == .participantLeft }?.reason == "timeout")
    }

    @Test func theSameDeviceAgainReplacesWithoutAWordOfItsUser() async throws {
        let log = RecordedEvents()
        let harness = await GatewayHarness(events: log)
        let old = try await harness.join("alice", did: "d1")
        _ = log.take()
        let new = try await harness.join("alice", did: "d1")
        let events = log.all
        #expect(events.map(\.type) == [.participantJoined, .participantLeft])
        #expect(events[0].pid == new.pid && events[0].replaces == [old.pid])
        #expect(events[1].pid == old.pid && events[1].reason == "replaced")
    }

    @Test func whoMisbehavesBeforeTheWelcomeIsAborted() async throws {
        let log = RecordedEvents()
        let harness = await GatewayHarness(events: log)
        harness.media.with { $0.holds = true }
        let client = await harness.connect()
        let sdp = String(
            decoding: try JSONEncoder().encode(SDPFixture.text("chromium_VP8_sim.offer")),
            as: UTF8.self
        )
        await client.send(#"{"type":"hello","data":{"token":"alice","pc":{"offer":\#(sdp)}}}"#)
        await client.send(#"{"id":1,"type":"ping"}"#)
        #expect(log.all.map(\.type) == [.participantAborted])
        #expect(log.all.first?.reason == "protocol" && log.all.first?.uid == "alice")
    }

    @Test func theHiddenAndViewersCauseNone() async throws {
        let log = RecordedEvents()
        let harness = await GatewayHarness(events: log)
        let ghost = try await harness.join("ghost,hidden")
        try await ghost.request("leave")
        #expect(log.all.isEmpty)
    }

    @Test func theTraceOfAHelloIsCarried() async throws {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        let log = RecordedEvents()
        let harness = await GatewayHarness(events: log)
        let client = await harness.connect()
        await client.send(#"{"type":"hello","v":"1.0","trace":"\#(trace)","data":{"token":"alice"}}"#)
        #expect(log.all.first { $0.type == .participantJoined }?.trace == trace)
    }

    @Test func afterARestartOnlyThoseWhoStayAwayHaveLeft() async throws {
        let before = RecordedEvents()
        let first = await GatewayHarness(events: before)
        _ = try await first.join("alice", did: "d1")
        _ = try await first.join("bob", did: "d2")
        // A planned end tells nothing, as a crash would.
        let told = before.all
        await first.gateway.shutdownWithoutSockets()
        #expect(before.all == told)

        let after = RecordedEvents()
        let second = await GatewayHarness(events: after)
        await second.gateway.recall(told)
        _ = try await second.join("alice", did: "d1")
        #expect(after.all.map(\.type) == [.participantJoined, .participantLeft])
        #expect(after.all[0].call == told[0].call)
        _ = after.take()
        await second.pass(Limits.Events.returnWithin + .seconds(1))
        let lost = after.all
        #expect(lost.map(\.type) == [.participantLeft, .userLeft])
        #expect(lost.allSatisfy { $0.uid == "bob" && $0.reason == "lost" })
    }

    @Test func whipPublishersAreParticipants() async throws {
        let log = RecordedEvents()
        let harness = await GatewayHarness(events: log)
        let offer = try await harness.gateway.parse(offer: SDPFixture.text("gst_whip_offer"))
        let session = try await harness.gateway.openWhipSession(
            room: "standup",
            claims: Claims(room: "standup", user: UserID("camera"), grants: .development),
            offer: offer,
            kind: .whip,
            remoteAddress: "192.0.2.1"
        )
        #expect(log.all.prefix(3).map(\.type) == [.roomStarted, .userJoined, .participantJoined])
        #expect(log.all.dropFirst(3).allSatisfy { $0.type == .trackPublished })
        #expect(log.all[2].kind == "whip")
        await harness.gateway.endSession(session.session)
        #expect(log.all.last?.type == .callSummary)
    }
}

extension Gateway {
    /// As `shutdown`, for sockets that never answer.
    fileprivate func shutdownWithoutSockets() async {
        for connection in Array(connections.values) {
            connections[connection.id] = nil
            if case .member(let member) = connection.state { member.connection = nil }
        }
        await shutdown()
    }
}
