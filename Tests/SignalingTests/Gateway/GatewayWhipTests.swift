import Foundation
import NIOCore
import RTP
import SDP
import Seam
import Testing

@testable import Signaling

@Suite struct GatewayWhipTests {
    private func claims(_ user: String, _ grants: Grants = .development) -> Claims {
        Claims(room: "standup", user: UserID(user), name: user.capitalized, grants: grants)
    }
    private func open(
        _ harness: GatewayHarness,
        _ claims: Claims,
        _ kind: WhipKind,
        offer: String = "gst_whip_offer"
    ) async throws -> WhipSession {
        try await harness.gateway.openWhipSession(
            room: "standup",
            claims: claims,
            offer: try Offer(parsing: SDPFixture.text(offer)),
            kind: kind,
            remoteAddress: "192.0.2.50"
        )
    }
    /// The slots of a browser's offer: what a player sends.
    private func watchOffer() throws -> Offer {
        let sdp = try SDPFixture.text("chromium_VP8.offer")
        return try Offer(parsing: sdp.replacingOccurrences(of: "a=sendonly", with: "a=recvonly"))
    }
    private func refusal(_ body: () async throws -> some Any) async -> ErrorCode? {
        do {
            _ = try await body()
            return nil
        } catch {
            return (error as? GatewayError)?.code
        }
    }

    @Test func publishersAreInTheRoster() async throws {
        let harness = await GatewayHarness()
        let bob = try await harness.join("bob")
        _ = try bob.take()
        let session = try await open(harness, claims("encoder"), .whip)
        #expect(session.answer.contains("a=recvonly\r\n"))
        #expect(session.etag.hasPrefix("\"") && session.etag.hasSuffix("\""))
        await harness.pass(.milliseconds(50))
        let roster = try #require(try bob.take().first { $0.type == "roster" })
        let joined = try #require(roster.list("data", "joined").first)
        #expect(joined["kind"] as? String == "whip")
        #expect(joined["uid"] as? String == "encoder")
        #expect((joined["tracks"] as? [[String: Any]])?.count == 2)
        #expect(await harness.gateway.owner(of: session.session) == UserID("encoder"))
        #expect(await harness.gateway.endSession(session.session))
        #expect(await harness.gateway.endSession(session.session) == false)
        await harness.pass(.milliseconds(50))
        #expect(try bob.take().first { $0.type == "roster" }?.list("data", "left").count == 1)
        #expect(harness.media.commands.contains(.close(session.session)))
    }

    @Test func aSecondPostReplacesTheFirst() async throws {
        let harness = await GatewayHarness()
        let first = try await open(harness, claims("encoder"), .whip)
        let bad = await refusal { try await open(harness, claims("encoder", Grants(publish: [.mic])), .whip) }
        #expect(bad == .badRequest)
        #expect(await harness.gateway.owner(of: first.session) != nil)
        let second = try await open(harness, claims("encoder"), .whip)
        #expect(second.session != first.session)
        #expect(await harness.gateway.owner(of: first.session) == nil)
        #expect(harness.media.commands.contains(.close(first.session)))
        #expect(await harness.gateway.readStatistics().participants == 1)
        _ = try await open(harness, claims("other"), .whip)
        #expect(await harness.gateway.owner(of: second.session) != nil)
    }

    @Test func viewersOfOneParticipant() async throws {
        let harness = await GatewayHarness()
        let bob = try await harness.join("bob")
        #expect(await refusal { try await watch(harness, .whepParticipant(UserID("alice"))) } == .conflict)
        let alice = try await harness.join("alice")
        #expect(await refusal { try await watch(harness, .whepParticipant(UserID("alice"))) } == .conflict)
        _ = try await alice.publishBoth()
        await harness.pass(.milliseconds(50))
        _ = try bob.take()
        let viewer = try await watch(harness, .whepParticipant(UserID("alice")))
        #expect(viewer.answer.contains("a=sendonly\r\n"))
        #expect(harness.media.subscriptions.last?.session == viewer.session)
        #expect(
            harness.media.subscriptions.last?.wishes == Wishes(scope: .participant(ParticipantID(alice.pid)))
        )
        // Nobody sees a viewer.
        await harness.pass(.milliseconds(100))
        #expect(try bob.take().filter { $0.type == "roster" }.isEmpty)
        // It follows the user to another device.
        try await alice.request("leave")
        let again = try await harness.join("alice")
        _ = try await again.publishBoth()
        await harness.pass(.milliseconds(50))
        #expect(
            harness.media.subscriptions.last { $0.session == viewer.session }?.wishes
                == Wishes(scope: .participant(ParticipantID(again.pid)))
        )
    }

    private func watch(_ harness: GatewayHarness, _ kind: WhipKind, as user: String = "player") async throws
        -> WhipSession
    {
        try await harness.gateway.openWhipSession(
            room: "standup",
            claims: claims(user, Grants(subscribe: true)),
            offer: try watchOffer(),
            kind: kind,
            remoteAddress: "192.0.2.51"
        )
    }

    @Test func viewersOfARoomMayComeFirst() async throws {
        let harness = await GatewayHarness()
        let viewer = try await watch(harness, .whepRoom(me: UserID("alice")))
        #expect(harness.media.subscriptions.last?.wishes == Wishes(scope: .all))
        guard case .open(let open)? = harness.media.commands.first else {
            Issue.record("not opened")
            return
        }
        // The media plane does not send alice what alice publishes.
        #expect(open.user == UserID("alice"))
        #expect(!open.receivesOwnUser)
        #expect(await harness.gateway.readStatistics().participants == 0)
        await harness.emit(.sessionClosed(viewer.session, .peerClosed))
        #expect(await harness.gateway.readStatistics().rooms == 0)
    }

    @Test func grantsDecide() async throws {
        let harness = await GatewayHarness()
        #expect(
            await refusal { try await open(harness, claims("x", Grants(subscribe: true)), .whip) }
                == .forbidden
        )
        #expect(
            await refusal { try await open(harness, claims("x", Grants(publish: [.mic])), .whip) }
                == .badRequest
        )
        let deaf = await refusal {
            try await harness.gateway.openWhipSession(
                room: "standup",
                claims: claims("x", Grants(publish: [.mic])),
                offer: try watchOffer(),
                kind: .whepRoom(me: nil),
                remoteAddress: ""
            )
        }
        #expect(deaf == .forbidden)
        #expect(await harness.gateway.readStatistics().rooms == 0)
    }

    @Test func patchesTrickleOrRestart() async throws {
        let harness = await GatewayHarness()
        let session = try await open(harness, claims("encoder"), .whip)
        let offer = try Offer(parsing: SDPFixture.text("gst_whip_offer"))
        var fragment = ICEFragment()
        fragment.usernameFragment = offer.remote.ice.usernameFragment
        fragment.password = offer.remote.ice.password
        #expect(
            try await harness.gateway.restartICE(
                session: session.session,
                fragment: fragment,
                ifMatch: session.etag
            ) == .trickled
        )
        fragment.usernameFragment = "newfrag"
        fragment.password = "newpasswordnewpasswordnew"
        #expect(
            await refusal {
                try await harness.gateway.restartICE(
                    session: session.session,
                    fragment: fragment,
                    ifMatch: "\"other\""
                )
            } == .conflict
        )
        let patched = try await harness.gateway.restartICE(
            session: session.session,
            fragment: fragment,
            ifMatch: session.etag
        )
        guard case .restarted(let text, let etag) = patched else {
            Issue.record("not restarted")
            return
        }
        #expect(text.contains("a=ice-ufrag:srv1\r\n"))
        #expect(etag != session.etag)
        #expect(
            try await harness.gateway.restartICE(session: session.session, fragment: fragment, ifMatch: etag)
                == .trickled
        )
        #expect(
            await refusal {
                try await harness.gateway.restartICE(
                    session: SessionID("se_x"),
                    fragment: fragment,
                    ifMatch: nil
                )
            } == .notFound
        )
    }

    @Test func refusalsLeaveNothingBehind() async throws {
        let harness = await GatewayHarness()
        harness.media.with { $0.refusal = .full }
        #expect(await refusal { try await open(harness, claims("encoder"), .whip) } == .overloaded)
        let left = await harness.gateway.readStatistics()
        #expect(left.rooms == 0 && left.mediaSessions == 0 && left.participants == 0)
    }

    @Test func socketParticipantsCannotBeEndedByWhip() async throws {
        let harness = await GatewayHarness()
        let alice = try await harness.join("alice")
        _ = try await alice.publishBoth()
        #expect(await harness.gateway.endSession(SessionID(alice.sid)) == false)
        #expect(await harness.gateway.owner(of: SessionID(alice.sid)) == nil)
    }
}
