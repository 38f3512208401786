// The client against a collector on loopback that speaks real HTTP.
import NIOCore
import NIOHTTP1
import NIOPosix
import RTP
import Synchronization
import Testing

@testable import Telemetry

/// Answers each request with the next status, and keeps heads and bodies.
private final class FakeCollector: Sendable {
    struct Answer: Sendable {
        var status: HTTPResponseStatus
        var headers: [(String, String)] = []
        var body = ""
    }
    struct Request: Sendable {
        var head: HTTPRequestHead
        var body: [UInt8]
    }

    private struct State {
        var answers: [Answer]
        var requests: [Request] = []
    }
    private let state: Mutex<State>

    init(_ answers: [Answer]) { state = Mutex(State(answers: answers)) }

    var requests: [Request] { state.withLock { $0.requests } }

    /// nil: the connection is cut.
    fileprivate func received(_ request: Request) -> Answer? {
        state.withLock { state in
            state.requests.append(request)
            return state.answers.isEmpty ? nil : state.answers.removeFirst()
        }
    }

    func start() async throws -> any Channel {
        try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Handler(self))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let collector: FakeCollector
        private var head: HTTPRequestHead?
        private var body: [UInt8] = []

        init(_ collector: FakeCollector) { self.collector = collector }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): self.head = head
            case .body(let part): body += Array(buffer: part)
            case .end:
                guard let head else { return }
                guard let answer = collector.received(Request(head: head, body: body)) else {
                    return context.close(promise: nil)
                }
                var headers = HTTPHeaders(answer.headers)
                headers.add(name: "content-length", value: "\(answer.body.utf8.count)")
                let response = HTTPResponseHead(version: .http1_1, status: answer.status, headers: headers)
                context.write(wrapOutboundOut(.head(response)), promise: nil)
                context.write(
                    wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: answer.body)))),
                    promise: nil
                )
                context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            }
        }
    }
}

@Suite struct CollectorClientTests {
    private func talk(
        _ answers: [FakeCollector.Answer],
        _ use: (CollectorClient) async throws -> Void
    ) async throws -> [FakeCollector.Request] {
        let collector = FakeCollector(answers)
        let channel = try await collector.start()
        let port = try #require(channel.localAddress?.port)
        let client = CollectorClient(
            try CollectorAddress(
                endpoint: "http://127.0.0.1:\(port)",
                headers: ["Authorization=Bearer%20s3cret"]
            ),
            userAgent: "sfu/test",
            group: .singletonMultiThreadedEventLoopGroup,
            wallClock: { 784_111_770 }
        )
        try await use(client)
        await client.shutdown()
        try await channel.close()
        return collector.requests
    }

    @Test func theRequestIsOTLPOverHTTP() async throws {
        let requests = try await talk([.init(status: .ok, body: "{}")]) { client in
            let answer = await client.post(Array("{\"resourceSpans\":[]}".utf8))
            #expect(answer == .status(200, retryAfter: nil, rejected: 0))
        }
        let request = try #require(requests.first)
        #expect(request.head.method == .POST && request.head.uri == "/v1/traces")
        #expect(request.head.headers["content-type"] == ["application/json"])
        #expect(request.head.headers["authorization"] == ["Bearer s3cret"])
        #expect(request.head.headers["user-agent"] == ["sfu/test"])
        #expect(String(decoding: request.body, as: UTF8.self) == "{\"resourceSpans\":[]}")
    }

    @Test func answersAreRead() async throws {
        let requests = try await talk([
            .init(status: .ok, body: #"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"old"}}"#),
            .init(status: .ok, body: #"{"partialSuccess":{"rejectedSpans":4}}"#),
            .init(status: .tooManyRequests, headers: [("Retry-After", "17")]),
            .init(status: .serviceUnavailable, headers: [("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")]),
            .init(status: .movedPermanently, headers: [("Location", "http://127.0.0.1:1/elsewhere")]),
            .init(status: .ok, body: "not json"),
        ]) { client in
            #expect(await client.post([]) == .status(200, retryAfter: nil, rejected: 3))
            #expect(await client.post([]) == .status(200, retryAfter: nil, rejected: 4))
            #expect(await client.post([]) == .status(429, retryAfter: .seconds(17), rejected: 0))
            #expect(await client.post([]) == .status(503, retryAfter: .seconds(7), rejected: 0))
            #expect(await client.post([]) == .status(301, retryAfter: nil, rejected: 0))
            #expect(await client.post([]) == .status(200, retryAfter: nil, rejected: 0))
            // It cuts the connection from here on.
            guard case .failed(let reason) = await client.post([]) else {
                Issue.record("an answer from nobody")
                return
            }
            #expect(!reason.contains("s3cret"))
        }
        #expect(requests.count >= 7)
    }

    @Test func addresses() throws {
        for (text, url) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            ("https://collector/otlp/", "https://collector/otlp/v1/traces"),
            ("http://collector/v1/traces", "http://collector/v1/traces"),
        ] {
            #expect(try CollectorAddress(endpoint: text).url == url)
        }
        for text in [
            "", "collector:4318", "ftp://collector", "http://", "http://user:pass@collector", "http://h/#x",
        ] {
            #expect(throws: CollectorAddress.Fault.self, "\(text)") { try CollectorAddress(endpoint: text) }
        }
        #expect {
            try CollectorAddress(endpoint: "http://user:pa55@collector")
        } throws: { error in
            !"\(error)".contains("pa55")
        }
        for header in ["novalue", "=x", "a b=x", "a=\u{1}", "a=%0d%0aEvil: yes", "a=%zz"] {
            #expect(throws: CollectorAddress.Fault.header, "\(header)") {
                try CollectorAddress(endpoint: "http://c", headers: [header])
            }
        }
    }
}
