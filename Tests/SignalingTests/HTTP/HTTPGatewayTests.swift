import Foundation
import Logging
import NIOCore
import NIOPosix
import Seam
import ServiceLifecycle
import Testing

@testable import Signaling

@Suite("The whole signaling plane over loopback, on a media plane that answers")
struct HTTPGatewayTests {
    private static func with(
        _ body: (SocketAddress, FakeMediaPlane, @escaping @Sendable () async -> Void) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let media = FakeMediaPlane()
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let mediaCounters = MediaCounters()
        let gateway = Gateway(
            eventLoop: group.next(),
            media: media,
            verifier: FakeVerifier(),
            configuration: GatewayConfiguration(isDevelopment: true),
            logger: logger,
            clock: WhipRoutes.monotonic,
            wallClock: { UInt64(Date().timeIntervalSince1970 * 1000) },
            counters: { mediaCounters.record($0) }
        )
        let server = try SignalingServer(
            configuration: SignalingConfiguration(
                listen: [ListenAddress(host: "127.0.0.1", port: 0)],
                isDevelopment: true
            ),
            gateway: gateway,
            tokens: FakeVerifier(),
            registry: PrometheusRegistry(),
            mediaCounters: mediaCounters,
            logger: logger
        )
        await gateway.start()
        let services = ServiceGroup(services: [server], logger: logger)
        let running = Task { try await services.run() }
        let shutdown: @Sendable () async -> Void = {
            await services.triggerGracefulShutdown()
            _ = try? await running.value
        }
        let address = try await server.boundAddresses[0]
        let result: Result<Void, any Error>
        do {
            try await body(address, media, shutdown)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await shutdown()
        try await group.shutdownGracefully()
        try result.get()
    }

    private static func join(_ address: SocketAddress, _ hello: String) async throws -> RawClient {
        let client = try await RawClient.connect(address)
        let response = try await client.request("GET", "/v1/rooms/standup/signal", upgradeHeaders())
        #expect(response.status == 101)
        try await client.send(textFrame(hello))
        return client
    }

    @Test func aHelloIsWelcomedAndShutdownSaysBye() async throws {
        try await Self.with { address, _, shutdown in
            let client = try await Self.join(
                address,
                #"{"type":"hello","v":"1.0","data":{"token":"alice","device":{"did":"d1","kind":"web"}}}"#
            )
            let first = try #require(try await client.readFrame()).text
            #expect(first.contains(#""type":"welcome""#), "\(first)")
            let metrics = try await RawClient.connect(address)
            let text = try await metrics.request("GET", "/metrics").body
            #expect(text.contains("\nsfu_signal_participants 1\n"))
            metrics.close()
            let down = Task { await shutdown() }
            var texts: [String] = []
            var code: UInt16?
            while let frame = try await client.readFrame() {
                if frame.opcode == 8 {
                    code = frame.code
                    try? await client.send(closeFrame(4000))
                } else {
                    texts.append(frame.text)
                }
            }
            #expect(code == 4000)
            #expect(texts.contains { $0.contains(#""type":"bye""#) })
            await down.value
        }
    }

    @Test func aBrokenHelloIsRefusedByCode() async throws {
        try await Self.with { address, _, _ in
            let client = try await Self.join(
                address,
                #"{"type":"hello","v":"1.0","data":{"token":"alice,bad","device":{"did":"d1","kind":"web"}}}"#
            )
            var code: UInt16?
            while code == nil, let frame = try await client.readFrame() {
                if frame.opcode == 8 { code = frame.code }
            }
            #expect(code == CloseCode.tokenInvalid.rawValue)
            client.close()
        }
    }

    @Test func publishesRestartsAndEnds() async throws {
        let offer = try SDPFixture.text("gst_whip_offer")
        try await Self.with { address, media, _ in
            let client = try await RawClient.connect(address)
            let sdp = ["Content-Type": "application/sdp", "Authorization": "Bearer encoder"]
            let absent = try await client.request(
                "POST",
                "/whep/standup/encoder",
                sdp,
                body: offer.replacing("a=sendonly", with: "a=recvonly")
            )
            #expect(absent.status == 409)
            #expect(absent.headers["retry-after"] != nil)
            let created = try await client.request("POST", "/whip/standup/encoder", sdp, body: offer)
            #expect(created.status == 201, "\(created.body)")
            let location = try #require(created.headers["location"])
            let path = try #require(location.split(separator: "localhost").last.map(String.init))
            let id = try #require(path.split(separator: "/").last.map(String.init))
            // 128 bits are 26 characters of base32.
            #expect(id.utf8.count >= 3 + 26)
            let tag = try #require(created.headers["etag"])
            let fragment = [
                "Content-Type": "application/trickle-ice-sdpfrag", "Authorization": "Bearer encoder",
            ]
            let restart = try await client.request(
                "PATCH",
                path,
                fragment.merging(["If-Match": "*"]) { $1 },
                body: "a=ice-ufrag:fresh\r\na=ice-pwd:0123456789012345678901\r\n"
            )
            #expect(restart.status == 200, "\(restart.body)")
            #expect(restart.headers["etag"] != tag)
            #expect(restart.body.contains("a=ice-ufrag:srv1"))
            let stale = try await client.request(
                "PATCH",
                path,
                fragment.merging(["If-Match": tag]) { $1 },
                body: "a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n"
            )
            #expect(stale.status == 412)
            let end = try await client.request("DELETE", path, ["Authorization": "Bearer encoder"])
            #expect(end.status == 200)
            #expect(media.commands.contains(.close(SessionID(id))))
            let again = try await client.request("DELETE", path, ["Authorization": "Bearer encoder"])
            #expect(again.status == 404)
            client.close()
        }
    }
}
