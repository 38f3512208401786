import Foundation
import Logging
import NIOCore
import NIOPosix
import RTP
import SDP
import Seam
import Testing

@testable import Signaling

/// What a gateway that was killed leaves to the next one.
@Suite struct RecoveryTests {
    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let media = ModelMedia()
    private let seal = ResumeSeal()
    private let clock = GatewayHarness.SharedTime()

    /// The next gateway; `isTold`: the media plane has said what it has.
    private func start(isTold: Bool = true) async -> Gateway {
        let clock = clock
        let gateway = Gateway(
            eventLoop: Self.group.next(),
            media: media,
            verifier: FakeVerifier(),
            configuration: GatewayConfiguration(isDevelopment: true, isMediaApart: true),
            seal: seal,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            clock: { clock.now },
            wallClock: { UInt64(clock.now.microseconds / 1000) + 1_795_000_000_000 }
        )
        await gateway.listen()
        if isTold { await gateway.reconcile(with: media.report, at: clock.now) }
        return gateway
    }

    private func greet(_ gateway: Gateway, _ data: [String: Any]) async throws -> ModelSocket {
        let socket = ModelSocket()
        let hello = try JSONSerialization.data(withJSONObject: ["type": "hello", "v": "1.0", "data": data])
        let id = await gateway.opened(
            socket,
            request: SignalingRequest(room: "standup", remoteAddress: "192.0.2.1")
        )
        socket.id = id
        await gateway.received(ByteBuffer(bytes: hello), on: id)
        for _ in 0..<8 { try? await gateway.eventLoop.submit {}.get() }
        return socket
    }

    /// Somebody with media; the resume token.
    private func join(_ gateway: Gateway) async throws -> String {
        let pc = ["sdp": try SDPFixture.text("chromium_VP8_sim.offer")]
        let socket = try await greet(gateway, ["user": ["uid": "ada"], "pc": pc])
        await pass(gateway)
        return try #require(socket.welcome?.resume?.token)
    }

    private func pass(_ gateway: Gateway, _ interval: Interval = .milliseconds(100)) async {
        for _ in 0..<8 { try? await gateway.eventLoop.submit {}.get() }
        clock.advance(interval)
        await gateway.tick(at: clock.now)
    }

    private func open(_ gateway: Gateway, _ kind: WhipKind, _ user: String, _ offer: Offer) async throws
        -> WhipSession
    {
        try await gateway.openWhipSession(
            room: "standup",
            claims: Claims(
                room: "standup",
                user: UserID(user),
                grants: .development,
                attributes: ["desk": "4"]
            ),
            offer: offer,
            kind: kind,
            remoteAddress: "192.0.2.50"
        )
    }

    @Test func encodersAndPlayersGoOn() async throws {
        let first = await start()
        let offer = try Offer(parsing: SDPFixture.text("gst_whip_offer"))
        let encoder = try await open(first, .whip, "encoder", offer)
        let sdp = try SDPFixture.text("chromium_VP8.offer")
        let watch = try Offer(parsing: sdp.replacingOccurrences(of: "a=sendonly", with: "a=recvonly"))
        let player = try await open(first, .whepParticipant(UserID("encoder")), "tv", watch)
        await pass(first)
        let before = await first.people.first
        let second = await start()
        let after = try #require(await second.people.first)
        #expect(after.id == before?.id && after.kind == "whip" && after.attributes == ["desk": "4"])
        #expect(after.publications.map(\.id) == before?.publications.map(\.id))
        #expect(await second.owner(of: encoder.session) == UserID("encoder"))
        #expect(await second.owner(of: player.session) == UserID("tv"))
        // The entity tag of the ICE session is still the one that the encoder has.
        let fragment = try ICEFragment(
            parsing:
                "a=ice-ufrag:new1\r\na=ice-pwd:newpasswordnewpasswordnew\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
        )
        let patch = try await second.restartICE(
            session: encoder.session,
            fragment: fragment,
            ifMatch: encoder.etag
        )
        guard case .restarted(let text, let etag) = patch else {
            Issue.record("\(patch)")
            return
        }
        #expect(text.contains("a=ice-ufrag:srv") && etag != encoder.etag)
        #expect(await second.endSession(player.session))
        #expect(media.sessions == [encoder.session])
    }

    @Test func sessionsThatNobodyKnowsAreClosed() async throws {
        let first = await start()
        let encoder = try await open(
            first,
            .whip,
            "encoder",
            try Offer(parsing: SDPFixture.text("gst_whip_offer"))
        )
        // Killed before its record was left.
        let second = await start()
        #expect(await second.people.isEmpty)
        #expect(!media.sessions.contains(encoder.session))
    }

    @Test func whoComesBackBeforeTheMediaPlaneSpeaksWaitsForIt() async throws {
        let token = try await join(await start())
        let sessions = media.sessions
        #expect(sessions.count == 1)
        let second = await start(isTold: false)
        let resume: [String: Any] = ["resume": ["token": token, "attempt": 2, "lastSeq": 1]]
        let socket = try await greet(second, resume)
        await pass(second)
        #expect(socket.toClient.isEmpty && socket.closed == nil)
        await second.reconcile(with: media.report, at: clock.now)
        #expect(socket.welcome?.outcome == .snapshot)
        await pass(second)
        #expect(media.sessions == sessions)
    }

    @Test func aMediaPlaneThatSaysNothingIsNotWaitedForLong() async throws {
        let token = try await join(await start())
        let second = await start(isTold: false)
        let socket = try await greet(second, ["resume": ["token": token, "attempt": 2, "lastSeq": 1]])
        let gone = try await greet(second, ["resume": ["token": token, "attempt": 3, "lastSeq": 1]])
        if let id = gone.id { await second.closed(id) }
        await pass(second, Limits.Signaling.mediaWait - .milliseconds(1))
        #expect(socket.toClient.isEmpty)
        await pass(second, .milliseconds(1))
        #expect(socket.welcome?.outcome == .rejoin)
        // Whoever knows nobody is not held up.
        let late = try await greet(await start(isTold: false), ["user": ["uid": "eve"]])
        #expect(late.welcome?.outcome == .fresh)
    }

    @Test func anotherMediaPlaneHasNothingOfTheOldOne() async throws {
        let gateway = await start()
        let encoder = try await open(
            gateway,
            .whip,
            "encoder",
            try Offer(parsing: SDPFixture.text("gst_whip_offer"))
        )
        media.restart()
        await gateway.reconcile(with: media.report, at: clock.now)
        #expect(await gateway.owner(of: encoder.session) == nil)
        #expect(await gateway.people.isEmpty)
    }
}

extension ModelSocket {
    private struct Greeting: Decodable {
        let type: String
        let data: Welcome
    }

    fileprivate var welcome: Welcome? {
        toClient.lazy.compactMap { try? JSONDecoder().decode(Greeting.self, from: Data($0.utf8)) }.first?.data
    }
}

extension Gateway {
    fileprivate var people: [Participant] { rooms[RoomID("standup")]?.state.visible ?? [] }
}
