// What accompanies a request through middleware and routes. Must not know what routes do with it.
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import RTP
import Synchronization

/// Filled by the route that accepts an upgrade.
final class UpgradeBox: Sendable {
    private let accepted = Mutex<SignalingRequest?>(nil)

    func accept(_ request: SignalingRequest) { accepted.withLock { $0 = request } }
    var request: SignalingRequest? { accepted.withLock { $0 } }

    /// What the socket does belongs to this span.
    func trace(parent: String, state: String?) {
        accepted.withLock { request in
            request?.traceparent = parent
            request?.tracestate = state
        }
    }
}

/// Hummingbird's request context.
struct RequestScope: RequestContext {
    struct Source: RequestContextSource {
        var logger: Logger
        var channel: any Channel
        var client: ClientInfo
        var upgrade: UpgradeBox?
    }

    var coreContext: CoreRequestContextStorage
    let channel: any Channel
    let client: ClientInfo
    /// Set while a WebSocket upgrade is being judged. A refused one is judged again without, to write the refusal.
    let upgrade: UpgradeBox?

    init(source: Source) {
        coreContext = .init(source: source)
        channel = source.channel
        client = source.client
        upgrade = source.upgrade
    }

    /// A path segment as a name: percent-decoded, not empty, bounded, without control characters.
    func name(_ parameter: String) throws -> String {
        guard let raw = parameters.get(parameter), let name = PercentCoding.decode(raw),
            RequestScope.isName(name)
        else { throw Problem(.badRequest, "the \(parameter) in the path is not a name", code: .badRequest) }
        return name
    }

    static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= Limits.HTTP.nameBytes
            && !text.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7f }
    }
}

typealias RouteHandler = @Sendable (Request, RequestScope) async throws -> Response

extension Router where Context == RequestScope {
    /// Registers a path with everything it understands; other methods get 405 with Allow, OPTIONS gets 204.
    func route(
        _ path: String,
        headers: HTTPFields = [:],
        _ handlers: [HTTPRequest.Method: RouteHandler]
    ) {
        var known = handlers
        if known[.head] == nil, let get = known[.get] {
            known[.head] = { request, scope in try await get(request, scope).createHeadResponse() }
        }
        let names = (known.keys.map(\.rawValue) + ["OPTIONS"]).sorted()
        let allow = Set(names).sorted().joined(separator: ", ")
        if known[.options] == nil {
            known[.options] = { _, _ in
                var response = Response(status: .noContent, headers: headers)
                response.headers[.allow] = allow
                return response
            }
        }
        for method in [HTTPRequest.Method.get, .head, .post, .put, .patch, .delete, .options] {
            let handler =
                known[method] ?? { _, _ in
                    throw Problem(.methodNotAllowed, "this path knows \(allow)", headers: [.allow: allow])
                }
            on(RouterPath(path), method: method) { request, scope in try await handler(request, scope) }
        }
    }
}
