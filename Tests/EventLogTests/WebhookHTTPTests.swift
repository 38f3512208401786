import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import RTP
import Synchronization
import Testing

@testable import EventLog

/// An HTTP server on loopback that answers, stumbles, hangs and hangs up as it is told.
final class HookServer: Sendable {
    enum Deed: Sendable {
        case answer(HTTPResponseStatus, [(String, String)] = [], bodyBytes: Int = 0)
        case hang
        /// Takes the request and resets the connection.
        case reset
        /// Half of an answer.
        case breakOff
    }

    struct Received: Sendable {
        var headers: [String: String]
        var body: String
    }

    let received = Watched<[Received]>([])
    let port: Int
    private let channel: any Channel
    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    init(_ decide: @escaping @Sendable (Int, Received) -> Deed) async throws {
        let received = received
        channel = try await ServerBootstrap(group: Self.group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(
                        Handler(received: received, decide: decide)
                    )
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress?.port ?? 0
    }

    func close() async { try? await channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let received: Watched<[Received]>
        private let decide: @Sendable (Int, Received) -> Deed
        private var current = Received(headers: [:], body: "")

        init(received: Watched<[Received]>, decide: @escaping @Sendable (Int, Received) -> Deed) {
            self.received = received
            self.decide = decide
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head):
                current = Received(headers: ["": "\(head.method) \(head.uri)"], body: "")
                for (name, value) in head.headers { current.headers[name.lowercased()] = value }
            case .body(let part):
                current.body += String(buffer: part)
            case .end:
                let request = current
                let number = received.change { all in
                    all.append(request)
                    return all.count
                }
                act(decide(number, request), context)
            }
        }

        private func act(_ deed: Deed, _ context: ChannelHandlerContext) {
            switch deed {
            case .answer(let status, let fields, let bytes):
                var head = HTTPResponseHead(version: .http1_1, status: status)
                for (name, value) in fields { head.headers.add(name: name, value: value) }
                head.headers.add(name: "content-length", value: "\(bytes)")
                context.write(wrapOutboundOut(.head(head)), promise: nil)
                let body = ByteBuffer(repeating: 0x61, count: bytes)
                context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
                context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            case .hang:
                break
            case .reset:
                // SO_LINGER of zero seconds makes a close a reset.
                let option = ChannelOptions.Types.SocketOption(level: .socket, name: .so_linger)
                context.channel.setOption(option, value: 0).assumeIsolated().whenComplete { _ in
                    context.close(promise: nil)
                }
            case .breakOff:
                var head = HTTPResponseHead(version: .http1_1, status: .ok)
                head.headers.add(name: "content-length", value: "1000")
                context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
                context.close(promise: nil)
            }
        }
    }
}

@Suite("Webhooks over HTTP")
struct WebhookHTTPTests {
    private static func with(
        timeout: Interval = .seconds(10),
        path: String = "/hook",
        _ decide: @escaping @Sendable (Int, HookServer.Received) -> HookServer.Deed,
        _ body: (HookServer, EventLog, Watched<[WebhookFact]>) async throws -> Void
    ) async throws {
        let place = try LogPlace()
        let log = try place.open()
        let server = try await HookServer(decide)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let client = WebhookClient(group: group)
        let facts = Watched<[WebhookFact]>([])
        let sender = WebhookSenderTests.sender(
            try WebhookSenderTests.destination("http://127.0.0.1:\(server.port)\(path)", timeout: timeout),
            log,
            client,
            report: { fact in facts.change { $0.append(fact) } }
        )
        try await sender.register()
        let running = Task { await sender.run() }
        let result: Result<Void, any Error>
        do { result = .success(try await body(server, log, facts)) } catch { result = .failure(error) }
        running.cancel()
        await running.value
        try await client.shutdown()
        await server.close()
        await log.close()
        try await group.shutdownGracefully()
        try result.get()
    }

    private static func id(_ received: HookServer.Received) -> String {
        received.headers["sfu-event-id"] ?? ""
    }

    @Test func aRequestCarriesTheEventAndItsSignature() async throws {
        try await Self.with { _, _ in
            .answer(.noContent)
        } _: { server, log, facts in
            WebhookSenderTests.append(1, room: "a", to: log)
            await facts.wait { facts in
                facts.contains { if case .delivered = $0 { true } else { false } }
            }
            let request = try #require(server.received.value.first)
            #expect(request.headers[""] == "POST /hook")
            #expect(request.headers["content-type"] == "application/json")
            #expect(request.headers["sfu-event-id"] == "a/1")
            #expect(request.headers["sfu-event-type"] == "note")
            #expect(request.headers["user-agent"] == "sfu/test")
            #expect(request.body.hasPrefix(#"{"roomSeq":1,"id":"a/1""#))
            let expected = WebhookSignature.header(
                secrets: [WebhookSenderTests.secret],
                time: 5,
                id: "a/1",
                body: Array(request.body.utf8)
            )
            #expect(request.headers["sfu-signature"] == expected)
        }
    }

    /// Statuses that are no success, connections that break before, in and after the answer, timeouts.
    @Test(arguments: 0..<6) func troubleOfEveryKindLosesNothing(seed: UInt64) async throws {
        let random = Mutex(SeededRandom(seed: seed))
        let taken = Watched<[String]>([])
        try await Self.with(timeout: .milliseconds(50)) { _, request in
            switch random.withLock({ $0.below(12) }) {
            case 0: return .answer(.internalServerError)
            case 1: return .answer(.notFound, bodyBytes: 100_000)
            case 2: return .answer(.found, [("location", "/elsewhere")])
            case 3: return .reset
            case 4: return .hang
            case 5: return .answer(.tooManyRequests, [("retry-after", "0")])
            default:
                taken.change { $0.append(Self.id(request)) }
                return random.withLock { $0.below(5) } == 0 ? .reset : .answer(.ok, bodyBytes: 10)
            }
        } _: { _, log, _ in
            for number in 1...30 {
                for room in ["a", "b", "c"] { WebhookSenderTests.append(number, room: room, to: log) }
            }
            await taken.wait { Set($0).count == 90 }
            for room in ["a", "b", "c"] {
                var seen: Set<String> = []
                let firsts = taken.value.filter { $0.hasPrefix(room) && seen.insert($0).inserted }
                #expect(firsts == (1...30).map { "\(room)/\($0)" }, "seed \(seed)")
            }
        }
    }

    @Test func redirectsAreNotFollowed() async throws {
        try await Self.with { number, _ in
            number < 4 ? .answer(.permanentRedirect, [("location", "/elsewhere")]) : .answer(.ok)
        } _: { server, log, facts in
            WebhookSenderTests.append(1, room: "a", to: log)
            await facts.wait { facts in
                facts.contains { if case .delivered = $0 { true } else { false } }
            }
            #expect(server.received.value.count == 4)
            #expect(server.received.value.allSatisfy { $0.headers[""] == "POST /hook" })
        }
    }

    @Test func anAnswerThatBreaksOffAfterItsStatusCounts() async throws {
        try await Self.with { _, _ in
            .breakOff
        } _: { server, log, facts in
            for number in 1...3 { WebhookSenderTests.append(number, room: "a", to: log) }
            await facts.wait { facts in
                facts.count { if case .delivered = $0 { true } else { false } } == 3
            }
            #expect(server.received.value.map(Self.id) == ["a/1", "a/2", "a/3"])
        }
    }
}
