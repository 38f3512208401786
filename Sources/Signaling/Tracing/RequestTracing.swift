// HTTP requests as server spans: children of their `traceparent`, parents of what they cause.
// Must not know what routes do. Paths are not in spans: those of WHIP sessions are secrets.
import HTTPTypes
import Hummingbird
import Tracing

struct RequestTracing: Sendable {
    private let tracer: GatewayTracer

    init(_ tracer: any Tracer) { self.tracer = GatewayTracer(tracer) }

    /// nil where tracing is off, or for what only machines ask for: files, health, metrics.
    func start(_ request: Request) -> TraceSpan? {
        guard tracer.isOn, Self.isTraced(request.uri.path) else { return nil }
        let parent = tracer.context(
            parent: request.headers[headerName("traceparent")],
            state: request.headers[headerName("tracestate")]
        )
        let now = TraceInstant(nanosecondsSinceEpoch: DefaultTracerClock.now.nanosecondsSinceEpoch)
        return tracer.start(Self.name(of: request.method), parent: parent, kind: .server, at: now)
    }

    private static func isTraced(_ path: String) -> Bool {
        ["/v1/", "/whip/", "/whep/"].contains { path.hasPrefix($0) } && path != "/v1/config"
    }

    /// Anybody can invent methods.
    private static func name(of method: HTTPRequest.Method) -> String {
        [.get, .head, .post, .put, .patch, .delete, .options].contains(method) ? method.rawValue : "HTTP"
    }

    /// What the route does sees the span as `InstrumentationContext.current`.
    func within(
        _ span: TraceSpan?,
        _ body: @Sendable () async throws -> Response
    ) async throws -> Response {
        guard let span else { return try await body() }
        return try await InstrumentationContext.$current.withValue(span.context) { try await body() }
    }

    /// The socket's session is a child of its upgrade.
    func handOver(_ span: TraceSpan?, to upgrade: UpgradeBox) {
        guard let header = tracer.header(of: span?.context) else { return }
        upgrade.trace(parent: header.parent, state: header.state)
    }

    /// - Parameter status: nil where the request could not be read to its end.
    func end(_ span: TraceSpan?, _ request: Request, status: Int?, route: String?) {
        guard let span else { return }
        if let route { span.operationName = "\(Self.name(of: request.method)) \(route)" }
        span.attributes["http.request.method"] = Self.name(of: request.method)
        span.attributes["http.route"] = route
        span.attributes["http.response.status_code"] = status
        if status.map({ $0 >= 500 }) ?? true { span.setStatus(SpanStatus(code: .error)) }
        span.end()
    }
}
