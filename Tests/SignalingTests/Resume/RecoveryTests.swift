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
    private func join(_ gateway: Gateway, _ user: String = "ada") async throws -> String {
        let pc = ["sdp": try SDPFixture.text("chromium_VP8_sim.offer")]
        let socket = try await greet(gateway, ["user": ["uid": user], "pc": pc])
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

    @Test func whatModeratorsDecidedHoldsOn() async throws {
        let first = await start()
        var tokens: [String: String] = [:]
        for user in ["ada", "bob", "carl", "dora"] { tokens[user] = try await join(first, user) }
        let raisedAt = try await first.decide(at: clock.now)
        await pass(first)
        // Two restarts: what was read from records is left in records.
        for _ in 0..<2 {
            let gateway = await start()
            await pass(gateway)
            #expect(await gateway.people.map(\.user.rawValue).sorted() == ["ada", "dora"])
            #expect(await gateway.listBans("standup").bans.map(\.uid) == ["bob"])
            #expect(await gateway.person("ada")?.hand == raisedAt)
            #expect(await gateway.isLocked("dora", .mic))
        }
        let last = await start()
        for (user, code) in [("bob", CloseCode.kicked), ("carl", .kicked)] {
            let resume: [String: Any] = ["token": tokens[user] ?? "", "attempt": 2, "lastSeq": 1]
            let socket = try await greet(last, ["resume": resume])
            #expect(socket.closed == code.rawValue, "\(user)")
        }
        // A new join is another matter for who was only put out.
        #expect(try await greet(last, ["user": ["uid": "bob"]]).closed != nil)
        #expect(try await greet(last, ["user": ["uid": "carl"]]).welcome?.outcome == .fresh)
    }

    @Test func aStayThatWasLengthenedIsOnRecord() async throws {
        let first = await start()
        let pc = ["sdp": try SDPFixture.text("chromium_VP8_sim.offer")]
        let socket = try await greet(first, ["token": "ada,short", "pc": pc])
        await pass(first)
        let token = try #require(socket.welcome?.resume?.token)
        let refresh = #"{"id":1,"type":"auth.refresh","data":{"token":"ada"}}"#
        await first.received(ByteBuffer(string: refresh), on: try #require(socket.id))
        await pass(first, .seconds(1))
        await pass(first, .seconds(70))
        let second = await start()
        let back = try await greet(second, ["resume": ["token": token, "attempt": 1, "lastSeq": 0]])
        await pass(second)
        #expect(back.welcome?.outcome == .snapshot)
    }

    @Test(arguments: [true, false])
    func whoseStayWasLengthenedMayComeBackBeforeTheMediaPlaneSpeaks(_ isTold: Bool) async throws {
        let first = await start()
        let pc = ["sdp": try SDPFixture.text("chromium_VP8_sim.offer")]
        let socket = try await greet(first, ["token": "ada,short", "pc": pc])
        await pass(first)
        let token = try #require(socket.welcome?.resume?.token)
        let refresh = #"{"id":1,"type":"auth.refresh","data":{"token":"ada"}}"#
        await first.received(ByteBuffer(string: refresh), on: try #require(socket.id))
        await pass(first, .seconds(71))
        let second = await start(isTold: isTold)
        let back = try await greet(second, ["resume": ["token": token, "attempt": 1, "lastSeq": 0]])
        await pass(second)
        await second.reconcile(with: media.report, at: clock.now)
        #expect(back.welcome?.outcome == .snapshot)
    }

    /// A media session that is new has no record yet, of the room as little as of its owner.
    @Test func anotherMediaSessionHasTheRecordsAsWell() async throws {
        let gateway = await start()
        let pc = ["sdp": try SDPFixture.text("chromium_VP8_sim.offer")]
        let socket = try await greet(gateway, ["user": ["uid": "ada"], "pc": pc])
        await pass(gateway)
        media.restart()
        await gateway.reconcile(with: media.report, at: clock.now)
        let offer = try JSONSerialization.data(withJSONObject: [
            "id": 1, "type": "pc.offer",
            "data": ["gen": 2, "sdp": try SDPFixture.text("chromium_VP8_sim.offer")],
        ])
        await gateway.received(ByteBuffer(bytes: offer), on: try #require(socket.id))
        await pass(gateway)
        await pass(gateway)
        let keys = media.report.sessions.map { Set($0.attachments.keys) }
        #expect(keys == [["member", "tracks", "attrs", "room", "conduct"]])
    }

    @Test func whatIsPublishedIsSaidByTheWholeState() async throws {
        let first = await start()
        _ = try await join(first)
        await pass(first)
        var report = media.report
        let tracks = try #require(await first.person("ada")?.publications.filter { $0.kind == .video })
        let id = try #require(tracks.first?.id)
        let layer = PublicationState.Layer(
            rid: "q",
            live: true,
            width: 320,
            height: 180,
            bitsPerSecond: 90_000
        )
        report.sessions[0].publications = [
            PublicationState(publication: id, room: RoomID("standup"), codec: .vp8, layers: [layer])
        ]
        // The gateway that was there, and one that knows nothing.
        await first.reconcile(with: report, at: clock.now)
        let second = await start(isTold: false)
        await second.reconcile(with: report, at: clock.now)
        for gateway in [first, second] {
            let known = await gateway.person("ada")?.publications.first { $0.id == id }
            #expect(known?.codec == .vp8)
            #expect(known?.layers?.map(\.width) == [320])
        }
    }

    @Test func messagesThatTheRelayHasForgottenAreNotMissedSilently() async throws {
        let token = try await join(await start())
        let second = await start()
        let resume: [String: Any] = ["resume": ["token": token, "attempt": 2, "lastSeq": 1]]
        let socket = try await greet(second, resume)
        await pass(second)
        #expect(socket.relayReports == [RelayReport(from: 0, to: 0, lost: 0, unknown: true)])
        // Said once.
        let again: [String: Any] = [
            "token": try #require(socket.welcome?.resume?.token), "attempt": 3, "lastSeq": 9,
        ]
        let next = try await greet(second, ["resume": again])
        await pass(second)
        #expect(next.relayReports.isEmpty)
    }

    @Test func aRecordKeepsWhatFits() throws {
        var locks = MuteLocks()
        for n in 0..<2000 { _ = locks.lock(UserID("user-\(n)"), .mic) }
        let record = ConductRecord(
            bans: (0..<500).map { ConductRecord.Ban(user: UserID("banned-\($0)"), until: 1_795_000_000_000) },
            expelled: (0..<128).map { SessionID("se_\($0)") },
            locks: locks
        )
        let data = try #require(record.encoded())
        #expect(data.count <= Limits.Media.attachmentBytes)
        let kept = try JSONDecoder().decode(ConductRecord.self, from: data)
        #expect(!kept.locks.sources.isEmpty || !kept.bans.isEmpty)
        #expect(kept.bans.first == record.bans.first || kept.bans.isEmpty)
        let small = ConductRecord(bans: Array(record.bans.prefix(9)), expelled: [], locks: MuteLocks())
        let whole = try JSONDecoder().decode(ConductRecord.self, from: try #require(small.encoded()))
        #expect(whole == small)
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
    private struct Page: Decodable {
        struct Content: Decodable {
            let relay: RelayReport?
        }
        let type: String
        let data: Content
    }

    fileprivate var relayReports: [RelayReport] {
        toClient.compactMap { try? JSONDecoder().decode(Page.self, from: Data($0.utf8)) }
            .filter { $0.type == ServerMessage.snapshot.rawValue || $0.type == ServerMessage.delta.rawValue }
            .compactMap(\.data.relay)
    }

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

    fileprivate func person(_ user: String) -> Participant? { people.first { $0.user == UserID(user) } }

    fileprivate func isLocked(_ user: String, _ source: Source) -> Bool {
        rooms[RoomID("standup")]?.state.muteLocks.contains(UserID(user), source) ?? false
    }

    /// Ada's hand is up, Bob is banned, Carl put out, Dora's microphone locked. Since when the hand is up.
    fileprivate func decide(at now: Instant) throws -> UInt64? {
        let room = try #require(rooms[RoomID("standup")])
        func member(_ user: String) throws -> Member {
            try #require(room.members.values.first { $0.claims.user == UserID(user) })
        }
        _ = try raiseHand(true, of: member("ada"), byOwner: true, at: now)
        _ = try kick(
            Kick(pid: member("bob").id.rawValue, reason: nil, banSec: 3600),
            in: room,
            by: .server,
            at: now
        )
        _ = try kick(Kick(pid: member("carl").id.rawValue), in: room, by: .server, at: now)
        _ = try forceMute(
            ForceMute(pid: member("dora").id.rawValue, source: .mic, lockMuted: true),
            in: room,
            by: .server,
            at: now
        )
        return person("ada")?.hand
    }
}
