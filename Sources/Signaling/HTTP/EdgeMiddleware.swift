// What every response has in common: errors as problems, CORS, nosniff. Must not know routes.
import HTTPTypes
import Hummingbird

struct EdgeMiddleware: RouterMiddleware {
    typealias Context = RequestScope

    let cors: OriginPolicy

    private static let requestMethod = headerName("access-control-request-method")

    func handle(
        _ request: Request,
        context: RequestScope,
        next: (Request, RequestScope) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do {
            response = try await next(request, context)
        } catch let problem as Problem {
            response = problem.response
        } catch let error as GatewayError {
            response = Problem(error).response
        } catch let error as HTTPError {
            response = Problem(error).response
        }
        response.headers[headerName("x-content-type-options")] = "nosniff"
        response.headers[headerName("referrer-policy")] = "no-referrer"
        if let origin = request.headers[.origin] { addCORS(origin, request, &response) }
        return response
    }

    private func addCORS(_ origin: String, _ request: Request, _ response: inout Response) {
        let isPublic = response.headers[.accessControlAllowOrigin] == "*"
        guard let value = isPublic ? "*" : cors.corsValue(for: origin) else { return }
        response.headers[.accessControlAllowOrigin] = value
        if value != "*" { response.headers[.vary] = "Origin" }
        if request.method == .options, request.headers[Self.requestMethod] != nil {
            response.headers[.accessControlAllowMethods] = response.headers[.allow] ?? "GET, OPTIONS"
            response.headers[.accessControlAllowHeaders] =
                "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, Traceparent"
            response.headers[headerName("access-control-max-age")] = "600"
        } else {
            response.headers[.accessControlExposeHeaders] =
                "Location, ETag, Link, Retry-After, Accept-Patch, Accept-Post, Idempotency-Replayed"
        }
    }
}
