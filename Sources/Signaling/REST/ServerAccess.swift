// Whose server token opens what, for every route that a chat server calls. Must not know what the routes do.
import HTTPTypes
import Hummingbird
import RTP

struct ServerAccess: Sendable {
    let tokens: any ServerTokenVerifier
    let isDevelopment: Bool

    /// The claims of a valid token; what they allow is the caller's to check.
    ///
    /// Throws 401 without a token or with a bad one, 403 for the development key from another machine.
    func claims(for scope: ServerScope, _ request: Request, from client: RequestScope) async throws
        -> ServerClaims
    {
        guard let token = BearerToken.read(request.headers) else {
            throw Problem(
                .unauthorized,
                "a server token with the scope \(scope.rawValue) is needed",
                code: .unauthenticated,
                headers: [.wwwAuthenticate: "Bearer scope=\"\(scope.rawValue)\""]
            )
        }
        let claims = try await tokens.verifyServer(token)
        let isAtHome = client.client.isLoopback && !client.client.isBehindUnknownProxy
        guard claims.keyID != TokenService.developmentKeyID || !isDevelopment || isAtHome else {
            throw Problem(
                .forbidden,
                "everybody knows the development key: it counts on this machine only",
                code: .forbidden
            )
        }
        return claims
    }
}
