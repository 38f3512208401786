// HTTP requests as spans, from the header to the media; and who may read timelines.
import Foundation
import Logging
import NIOCore
import NIOPosix
import RTP
import Seam
import ServiceLifecycle
import Telemetry
import Testing
import Tracing

@testable import Signaling

@Suite struct TraceHTTPTests {
    private static func with(
        _ tracer: any Tracer,
        _ body: (SocketAddress, FakeMediaPlane) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let media = FakeMediaPlane()
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let gateway = Gateway(
            eventLoop: group.next(),
            media: media,
            verifier: FakeVerifier(),
            configuration: GatewayConfiguration(isDevelopment: true),
            logger: logger,
            tracer: tracer,
            clock: WhipRoutes.monotonic,
            wallClock: { UInt64(Date().timeIntervalSince1970 * 1000) }
        )
        let server = try SignalingServer(
            configuration: SignalingConfiguration(
                listen: [ListenAddress(host: "127.0.0.1", port: 0)],
                isDevelopment: true
            ),
            gateway: gateway,
            tokens: FakeVerifier(),
            registry: PrometheusRegistry(),
            mediaCounters: MediaCounters(),
            tracer: tracer,
            logger: logger
        )
        await gateway.start()
        let services = ServiceGroup(services: [server], logger: logger)
        let running = Task { try await services.run() }
        let address = try await server.boundAddresses[0]
        let result: Result<Void, any Error>
        do {
            try await body(address, media)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await services.triggerGracefulShutdown()
        _ = try? await running.value
        try await group.shutdownGracefully()
        try result.get()
    }

    @Test func whipAndWhepAreOneGraph() async throws {
        let kept = KeptSpans()
        let offer = try SDPFixture.text("gst_whip_offer")
        try await Self.with(kept.tracer()) { address, media in
            let client = try await RawClient.connect(address)
            let sdp = ["Content-Type": "application/sdp"]
            let created = try await client.request(
                "POST",
                "/whip/standup/encoder",
                sdp.merging(["traceparent": ClientTrace.alice, "tracestate": "vendor=1"]) { $1 },
                body: offer
            )
            #expect(created.status == 201)
            let published = try #require(media.configurations.first)
            let video = try #require(
                published.media.sections.first { $0.section.kind == .video }?.publication
            )
            media.emit([
                .transport(published.session, .connected),
                .publication(
                    PublicationState(publication: video, room: RoomID("standup"), codec: .h264, layers: [])
                ),
            ])
            let watched = try await client.request(
                "POST",
                "/whep/standup/encoder",
                sdp.merging(["traceparent": ClientTrace.bob]) { $1 },
                body: try SDPFixture.text("chromium_VP8.offer").replacing("a=sendonly", with: "a=recvonly")
            )
            #expect(watched.status == 201)
            let viewing = try #require(media.configurations.last)
            let slot = try #require(viewing.media.sections.first { $0.section.kind == .video })
            for layer: UInt8? in [nil, 0] {
                media.emit([
                    .slots(
                        viewing.session,
                        [
                            SlotState(
                                mid: slot.section.mid,
                                kind: .video,
                                publication: video,
                                participant: ParticipantID("pa_x"),
                                spatialLayer: layer
                            )
                        ]
                    )
                ])
            }
            let path = try #require(
                created.headers["location"]?.split(separator: "localhost").last.map(String.init)
            )
            let refused = try await client.request("GET", "/whip/standup/encoder/nothing", [:])
            #expect(refused.status == 404)
            _ = try await client.request("GET", "/healthz", [:])
            _ = try await client.request("DELETE", path, [:])
            client.close()
        }
        let graph = kept.graph
        graph.check(outside: ClientTrace.ids)
        let frame = try graph.one("sfu.first_frame")
        #expect(
            graph.path(frame, outside: ClientTrace.ids) == [
                "sfu.first_frame", "sfu.negotiate", "sfu.session", "POST /whep/{room}/{participant}",
                "client",
            ]
        )
        let media = try #require(graph.named("sfu.first_media").first { $0.text("sfu.codec") == "h264" })
        #expect(frame.links.map(\.identity.spanID) == [media.identity.spanID])
        #expect(
            graph.path(media, outside: ClientTrace.ids) == [
                "sfu.first_media", "sfu.negotiate", "sfu.session", "POST /whip/{room}/{participant}",
                "client",
            ]
        )
        #expect(media.identity.state.text == "vendor=1")
        let post = try graph.one("POST /whip/{room}/{participant}")
        #expect(post.kind == .server && post.text("http.response.status_code") == "201")
        #expect(
            graph.named("GET /whip/{room}/{participant}/{session}").first?.text("http.response.status_code")
                == "404"
        )
        #expect(graph.spans.allSatisfy { !$0.name.contains("healthz") })
        // The address of a WHIP session is a secret.
        let texts = graph.spans.map { "\($0)" }.joined()
        #expect(!texts.contains("nothing"))
    }

    @Test func aSocketIsAChildOfItsUpgrade() async throws {
        let kept = KeptSpans()
        try await Self.with(kept.tracer()) { address, _ in
            let client = try await RawClient.connect(address)
            let response = try await client.request(
                "GET",
                "/v1/rooms/standup/signal",
                upgradeHeaders(["traceparent": ClientTrace.alice])
            )
            #expect(response.status == 101)
            try await client.send(textFrame(#"{"type":"hello","v":"1.0","data":{"token":"alice"}}"#))
            let first = try #require(try await client.readFrame()).text
            #expect(first.contains("\"trace\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-"))
            let refused = try await RawClient.connect(address)
            let bad = try await refused.request(
                "GET",
                "/v1/rooms/standup/signal",
                upgradeHeaders(["Sec-WebSocket-Protocol": "chat"])
            )
            #expect(bad.status == 400)
            refused.close()
            client.close()
        }
        let graph = kept.graph
        graph.check(outside: ClientTrace.ids)
        let session = try graph.one("sfu.session")
        #expect(
            graph.path(session, outside: ClientTrace.ids) == [
                "sfu.session", "GET /v1/rooms/{room}/signal", "client",
            ]
        )
        let upgrades = graph.named("GET /v1/rooms/{room}/signal")
        #expect(Set(upgrades.compactMap { $0.text("http.response.status_code") }) == ["101", "400"])
    }

    @Test func timelinesAreForTheChatServer() async throws {
        let report = TimelineReport(room: "r 1", pid: "pa_1", sessions: [])
        let known: @Sendable (ParticipantID, RoomID) async -> TimelineReport? = { pid, room in
            pid.rawValue == "pa_1" && room.rawValue == "r 1" ? report : nil
        }
        try await HTTPTestServer.with(timelines: known) { server in
            func get(_ path: String, _ token: String?) async throws -> RawClient.Response {
                try await server.request("GET", path, token.map { ["Authorization": "Bearer \($0)"] } ?? [:])
            }
            func mint(_ scopes: Set<ServerScope>, room: String? = nil) async throws -> String {
                try await server.tokens.mintServer(
                    ServerClaims(keyID: "test", scopes: scopes, room: room),
                    lifetime: .seconds(60)
                )
            }
            let path = "/v1/rooms/r%201/participants/pa_1/timeline"
            let good = try await get(path, mint([.readRooms]))
            #expect(good.status == 200 && good.body == #"{"pid":"pa_1","room":"r 1","sessions":[]}"#)
            #expect(try await get(path, mint([.readRooms], room: "r 1")).status == 200)
            #expect(try await get(path, mint([.readRooms], room: "other")).status == 403)
            #expect(try await get(path, mint([.writeRooms])).status == 403)
            #expect(try await get(path, nil).status == 401)
            #expect(try await get(path, "garbage").status == 401)
            let join = try await server.tokens.mint(
                Claims(room: "r 1", user: UserID("a")),
                lifetime: .seconds(60)
            )
            #expect(try await get(path, join).status == 403)
            let none = "/v1/rooms/r%201/participants/pa_2/timeline"
            #expect(try await get(none, mint([.readRooms])).status == 404)
        }
    }

    @Test func bytesOfSocketsAreCounted() async throws {
        try await HTTPTestServer.with { server in
            let client = try await server.connect()
            _ = try await client.request("GET", "/v1/rooms/r/signal", upgradeHeaders())
            try await client.send(textFrame("twelve bytes"))
            _ = try await client.readFrame()
            client.close()
            let text = try await server.request("GET", "/metrics").body
            #expect(text.contains("\nsfu_signal_received_bytes_total 12\n"))
            #expect(text.contains("\nsfu_signal_sent_bytes_total 12\n"))
        }
    }
}
