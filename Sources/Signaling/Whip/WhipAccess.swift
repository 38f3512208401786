// Whose token opens what at WHIP and WHEP. Must not know sessions or SDP.
import HTTPTypes
import Hummingbird
import RTP
import Seam

struct WhipAccess: Sendable {
    let tokens: any TokenVerifier
    let isDevelopment: Bool

    /// Who holds a session's URL. The URL cannot be guessed; the token says who may use it.
    enum Holder: Sendable, Equatable {
        case user(UserID)
        /// A development server asks nobody; a token that has expired since still ends what it began.
        case anyone

        func check(owns owner: UserID) throws {
            guard case .user(let user) = self, user != owner else { return }
            throw Problem(.forbidden, "the session belongs to somebody else", code: .forbidden)
        }
    }

    /// The participant in the path publishes, and nobody else may in that name.
    func publisher(_ participant: String, room: String, _ request: Request) async throws -> Claims {
        guard let claims = try await claims(room: room, request) else {
            return Claims(room: room, user: UserID(participant), grants: .development)
        }
        guard claims.user.rawValue == participant else {
            throw Problem(
                .forbidden,
                "the participant in the path is not the user of the token",
                code: .forbidden
            )
        }
        return claims
    }

    /// - Parameter me: who watches, as the query says.
    func viewer(me: String?, room: String, _ request: Request) async throws -> Claims {
        guard let claims = try await claims(room: room, request) else {
            let user = me ?? "viewer-" + String(UInt32.random(in: .min ... .max), radix: 16)
            return Claims(room: room, user: UserID(user), role: .viewer, grants: .development)
        }
        guard me == nil || claims.user.rawValue == me else {
            throw Problem(.forbidden, "me in the query is not the user of the token", code: .forbidden)
        }
        guard claims.grants.subscribe else {
            throw Problem(.forbidden, "the token does not allow to receive", code: .forbidden)
        }
        return claims
    }

    func holder(room: String, _ request: Request) async throws -> Holder {
        do {
            return try await claims(room: room, request).map { .user($0.user) } ?? .anyone
        } catch let error as GatewayError where error.code == .expired {
            return .anyone
        }
    }

    /// nil: a development server got no token.
    private func claims(room: String, _ request: Request) async throws -> Claims? {
        guard let token = BearerToken.read(request.headers) else {
            if isDevelopment, request.headers[.authorization] == nil { return nil }
            throw Problem(
                .unauthorized,
                "a bearer token is needed",
                code: .unauthenticated,
                headers: [.wwwAuthenticate: "Bearer"]
            )
        }
        return try await tokens.verify(token, room: room)
    }
}
