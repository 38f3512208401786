// The REST API over HTTP: who is let in, how fast, once; bodies and answers. Must not know what an operation does.
import HTTPTypes
import Hummingbird
import NIOCore
import RTP

struct RESTRoutes: Sendable {
    static let idempotencyKey = headerName("idempotency-key")
    static let replayed = headerName("idempotency-replayed")

    let operations: [RESTOperation]
    let tokens: any ServerTokenVerifier
    let isDevelopment: Bool
    let rate: RateLimiter
    let isDraining: @Sendable () -> Bool
    let store = IdempotencyStore()
    var now: @Sendable () -> Instant = WhipRoutes.monotonic

    func add(to router: Router<RequestScope>) {
        var paths: [String: [HTTPRequest.Method: RouteHandler]] = [:]
        for operation in operations {
            paths[operation.path, default: [:]][operation.method] = { request, scope in
                try await serve(operation, request, scope)
            }
        }
        for (path, handlers) in paths { router.route(path, handlers) }
    }

    private func serve(_ operation: RESTOperation, _ request: Request, _ scope: RequestScope) async throws
        -> Response
    {
        try admit(scope)
        let claims = try await authenticate(operation, request, scope)
        let body = try await read(operation, request, scope)
        let asked = RESTRequest(request: request, scope: scope, claims: claims, body: body)
        guard operation.isIdempotent, let key = request.headers[Self.idempotencyKey] else {
            return try await operation.handle(asked).response
        }
        return try await once(operation, asked, key: key)
    }

    // MARK: Letting in

    private func admit(_ scope: RequestScope) throws {
        guard !isDraining() else {
            throw Problem(
                .serviceUnavailable,
                "the server is restarting",
                code: .overloaded,
                headers: [.retryAfter: "2"]
            )
        }
        guard scope.client.isLoopback || rate.allows(scope.client.address, at: now()) else {
            throw Problem(
                .tooManyRequests,
                "too many requests",
                code: .rateLimited,
                headers: [.retryAfter: "1"]
            )
        }
    }

    private func authenticate(_ operation: RESTOperation, _ request: Request, _ scope: RequestScope)
        async throws -> ServerClaims
    {
        guard let access = operation.access else { return ServerClaims(keyID: "", scopes: []) }
        let claims = try await ServerAccess(tokens: tokens, isDevelopment: isDevelopment)
            .claims(for: access, request, from: scope)
        let room = operation.pathParameters.contains("room") ? try scope.name("room") : nil
        // Minting says in its body which room it is for.
        try claims.check(access, room: room ?? (access == .tokens ? claims.room : nil))
        return claims
    }

    private func read(_ operation: RESTOperation, _ request: Request, _ scope: RequestScope) async throws
        -> ByteBuffer
    {
        guard operation.body != nil else { return ByteBuffer() }
        let type = request.headers[.contentType]?.split(separator: ";").first?
            .split(whereSeparator: \.isWhitespace).first?.lowercased()
        guard type == "application/json" || type == "application/merge-patch+json" else {
            throw Problem(
                .unsupportedMediaType,
                "Content-Type must be application/json",
                code: .unsupported
            )
        }
        return ByteBuffer(
            string: try await WhipRoutes.text(of: request, scope, limit: Limits.REST.bodyBytes)
        )
    }

    // MARK: Once

    private func once(_ operation: RESTOperation, _ request: RESTRequest, key: String) async throws
        -> Response
    {
        guard !key.isEmpty, key.utf8.count <= Limits.REST.keyBytes else {
            throw Problem(
                .badRequest,
                "Idempotency-Key has 1 to \(Limits.REST.keyBytes) bytes",
                code: .badRequest
            )
        }
        let key = IdempotencyStore.Key(
            caller: "\(request.claims.keyID) \(request.claims.room ?? "")",
            operation: "\(operation.id) \(request.request.uri.path)",
            key: key
        )
        let fingerprint = IdempotencyStore.fingerprint(request.body)
        switch store.begin(key, fingerprint: fingerprint, at: now()) {
        case .execute:
            let response = await outcome(of: operation, request)
            store.finish(key, response.answer, at: now())
            return try response.result.get()
        case .replay(let answer):
            var response = Response(status: .init(code: answer.status), headers: answer.headers)
            response.headers[Self.replayed] = "true"
            response.body = .init(byteBuffer: answer.body)
            return response
        case .inProgress:
            throw Problem(
                .conflict,
                "the first request with this Idempotency-Key is still being done",
                code: .notReady,
                headers: [.retryAfter: "1"]
            )
        case .mismatch:
            throw Problem(
                .unprocessableContent,
                "this Idempotency-Key was used with another body",
                code: .unsupported
            )
        case .full:
            throw Problem(
                .serviceUnavailable,
                "too many requests are being done",
                code: .overloaded,
                headers: [.retryAfter: "1"]
            )
        }
    }

    /// The response, and what of it a repeated request gets; nil where trying again may go better.
    private func outcome(of operation: RESTOperation, _ request: RESTRequest) async
        -> (result: Result<Response, any Error>, answer: StoredAnswer?)
    {
        do {
            let answer = try await operation.handle(request)
            let response = answer.response
            return (
                .success(response),
                StoredAnswer(
                    status: answer.status.code,
                    headers: response.headers,
                    body: answer.body ?? ByteBuffer()
                )
            )
        } catch {
            let problem: Problem? = (error as? Problem) ?? (error as? GatewayError).map { Problem($0) }
            guard let problem, !problem.mayPass else { return (.failure(error), nil) }
            let (response, body) = problem.written
            return (
                .success(response),
                StoredAnswer(status: response.status.code, headers: response.headers, body: body)
            )
        }
    }
}

extension Problem {
    /// The same request may succeed later.
    fileprivate var mayPass: Bool {
        status.code >= 500 || [409, 423, 429].contains(status.code) || code?.retryable == true
    }
}
