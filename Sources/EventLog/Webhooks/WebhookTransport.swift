// One HTTP request of a webhook and its answer. Must not know events, order or retries.
import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import RTP

public struct WebhookRequest: Sendable, Equatable {
    public var url: String
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]
    public var timeout: Interval

    public static func == (a: WebhookRequest, b: WebhookRequest) -> Bool {
        a.url == b.url && a.body == b.body && a.timeout == b.timeout
            && a.headers.elementsEqual(b.headers) { $0.name == $1.name && $0.value == $1.value }
    }
}

public struct WebhookAnswer: Sendable, Equatable {
    public var status: Int
    public var retryAfter: Interval?

    public init(status: Int, retryAfter: Interval? = nil) {
        self.status = status
        self.retryAfter = retryAfter
    }

    var isSuccess: Bool { (200..<300).contains(status) }
}

public protocol WebhookTransport: Sendable {
    /// Throws whatever went wrong below HTTP, a timeout included.
    func post(_ request: WebhookRequest) async throws -> WebhookAnswer
}

/// HTTP/1.1 and HTTP/2 with certificates checked and redirects left alone.
public final class WebhookClient: WebhookTransport {
    private let client: HTTPClient

    public init(group: any EventLoopGroup) {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(5))
        )
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit =
            Limits.Events.requestsPerDestination
        // A request belongs to a turn, which is repeated by the queue and by nobody else.
        configuration.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(eventLoopGroup: group, configuration: configuration)
    }

    public func post(_ request: WebhookRequest) async throws -> WebhookAnswer {
        var http = HTTPClientRequest(url: request.url)
        http.method = .POST
        for (name, value) in request.headers { http.headers.add(name: name, value: value) }
        http.body = .bytes(ByteBuffer(bytes: request.body))
        let deadline = NIODeadline.now() + .microseconds(request.timeout.microseconds)
        let response = try await client.execute(http, deadline: deadline)
        let answer = WebhookAnswer(
            status: Int(response.status.code),
            retryAfter: response.headers.first(name: "retry-after").flatMap { Int64($0) }
                .map { .seconds(min(max(0, $0), 86_400)) }
        )
        await discard(response.body, until: deadline)
        return answer
    }

    /// Read, so that the connection can be used again; the status has said everything already.
    private func discard(_ body: HTTPClientResponse.Body, until deadline: NIODeadline) async {
        let left = deadline - .now()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                var count = 0
                do {
                    for try await part in body {
                        count += part.readableBytes
                        if count > Limits.Events.webhookAnswerBytes { return }
                    }
                } catch {
                    // The connection is not used again.
                }
            }
            group.addTask { _ = try? await Task.sleep(for: .nanoseconds(max(0, left.nanoseconds))) }
            await group.next()
            group.cancelAll()
        }
    }

    public func shutdown() async throws { try await client.shutdown() }
}
