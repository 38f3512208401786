// From a request to its response: the client behind proxies, the router, the metrics, what all responses carry.
// Must not know sockets or routes.
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import Metrics
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import Synchronization
import Tracing

import struct Foundation.Date

final class RequestDispatcher: Sendable {
    private let router: RouterResponder<RequestScope>
    private let proxies: ProxyPolicy
    private let metrics: any MetricsFactory
    private let logger: Logger
    private let isTLS: Bool
    private let connections: Meter
    private let tracing: RequestTracing

    init(
        router: Router<RequestScope>,
        proxies: ProxyPolicy,
        isTLS: Bool,
        metrics: any MetricsFactory,
        tracer: any Tracer = NoOpTracer(),
        logger: Logger
    ) {
        self.router = router.buildResponder()
        self.proxies = proxies
        self.isTLS = isTLS
        self.metrics = metrics
        self.logger = logger
        tracing = RequestTracing(tracer)
        connections = Meter(label: MetricCatalog.httpConnections.name, dimensions: [], factory: metrics)
    }

    var responder: HTTPChannelHandler.Responder {
        { [self] request, writer, channel in
            if request.headers[.expect]?.lowercased() == "100-continue" {
                try await writer.writeInformationalHead(HTTPResponse(status: .continue))
            }
            var response = try await answer(request, channel, upgrade: nil)
            let isLast = Self.asksForUpgrade(request)
            if isLast { response.headers[.connection] = "close" }
            try await writer.write(response: response.head, body: response.body)
            if isLast { channel.close(promise: nil) }
        }
    }

    /// The parser takes what follows such a request for another protocol, even after a refusal.
    private static func asksForUpgrade(_ request: Request) -> Bool {
        request.headers.contains(.upgrade)
            && request.headers[values: .connection].contains { $0.lowercased().contains("upgrade") }
    }

    func connectionOpened(_ channel: any Channel) {
        connections.increment()
        channel.closeFuture.whenComplete { [connections] _ in connections.decrement() }
    }

    /// The headers of a 101, or nil: then the request is dispatched once more, to be refused in full.
    func judgeUpgrade(
        _ head: HTTPRequestHead,
        _ channel: any Channel,
        isTLS: Bool,
        _ box: UpgradeBox
    ) async -> HTTPHeaders? {
        guard let converted = try? HTTPRequest(head, secure: isTLS, splitCookie: false) else { return nil }
        let request = Request(head: converted, body: RequestBody(buffer: ByteBuffer()))
        guard let response = try? await answer(request, channel, upgrade: box),
            response.status == .switchingProtocols, box.request != nil
        else { return nil }
        return HTTPHeaders(response.headers)
    }

    /// Throws only what the connection itself must hear: errors of the HTTP parser while a body is read.
    private func answer(_ request: Request, _ channel: any Channel, upgrade: UpgradeBox?) async throws
        -> Response
    {
        let started = ContinuousClock.now
        let client = proxies.client(of: request.head, peer: channel.remoteAddress?.ipAddress, isTLS: isTLS)
        let scope = RequestScope(
            source: .init(logger: logger, channel: channel, client: client, upgrade: upgrade)
        )
        let span = tracing.start(request)
        var response: Response
        do {
            response = try await tracing.within(span) { [router] in
                try await router.respond(to: request, context: scope)
            }
        } catch let error as HTTPParserError {
            tracing.end(span, request, status: nil, route: scope.endpointPath)
            throw error
        } catch {
            logger.error("request failed", metadata: ["path": "\(request.uri.path)", "error": "\(error)"])
            response = Problem(.internalServerError, "something went wrong", code: .internal).response
        }
        response.headers[.date] = HTTPDate.format(secondsSince1970: Int64(Date().timeIntervalSince1970))
        if let upgrade { tracing.handOver(span, to: upgrade) }
        // A refused upgrade is counted when its refusal is written.
        if upgrade == nil || response.status == .switchingProtocols {
            count(request, scope, response, since: started)
            tracing.end(span, request, status: response.status.code, route: scope.endpointPath)
        }
        return response
    }

    private func count(
        _ request: Request,
        _ scope: RequestScope,
        _ response: Response,
        since started: ContinuousClock.Instant
    ) {
        let route = scope.endpointPath ?? "none"
        Counter(
            label: MetricCatalog.httpRequests.name,
            dimensions: [
                ("method", Self.known(request.method)), ("route", route),
                ("status", "\(response.status.code)"),
            ],
            factory: metrics
        ).increment()
        Timer(label: MetricCatalog.httpDuration.name, dimensions: [("route", route)], factory: metrics)
            .record(duration: started.duration(to: .now))
        logger.debug(
            "request",
            metadata: [
                "method": "\(Self.known(request.method))", "route": "\(route)",
                "status": "\(response.status.code)", "client": "\(scope.client.address)",
            ]
        )
    }

    /// Anybody can invent methods; the metrics know these.
    private static func known(_ method: HTTPRequest.Method) -> String {
        [.get, .head, .post, .put, .patch, .delete, .options].contains(method) ? method.rawValue : "other"
    }
}
