// Tokens of the chat server itself: JWT of the same keys that say by `scope` what their bearer may do instead of
// opening a room. Must not know routes.
import JWTKit
import RTP

/// Says whether a token allows something.
public protocol ServerTokenVerifier: Sendable {
    /// Throws `.unauthenticated`, `.expired`, and `.forbidden` where the scope is not in the token.
    func verify(_ token: String, scope: ServerScope) async throws(GatewayError)
}

public enum ServerScope: String, Codable, Sendable, CaseIterable {
    case readEvents = "events:read"
}

/// `scope` is a list of words with spaces between (RFC 8693 §4.2) or a JSON list.
struct ServerTokenPayload: JWTPayload {
    var iss: String
    var exp: Double
    var nbf: Double?
    var iat: Double?
    var aud: Audience?
    var scope: Scopes?

    struct Scopes: Codable {
        var names: [String]

        init(_ names: [String]) { self.names = names }

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                names = text.split(separator: " ").map(String.init)
            } else {
                names = try container.decode([String].self)
            }
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(names.joined(separator: " "))
        }
    }

    /// Times and audience are judged by `TokenService`, which knows the clock.
    func verify(using algorithm: some JWTAlgorithm) async throws {}
}

extension TokenService: ServerTokenVerifier {
    public func verify(_ token: String, scope: ServerScope) async throws(GatewayError) {
        let payload = try await serverPayload(of: token)
        let now = now()
        guard payload.exp > now - Self.leewaySeconds else {
            throw GatewayError(.expired, "the token has expired")
        }
        guard (payload.nbf ?? 0) <= now + Self.leewaySeconds else {
            throw GatewayError(.unauthenticated, "the token is not valid yet")
        }
        if let audience = payload.aud, !audience.names.contains(TokenPayload.audience) {
            throw GatewayError(.unauthenticated, "the token is for another audience")
        }
        guard payload.scope?.names.contains(scope.rawValue) == true else {
            throw GatewayError(.forbidden, "the token's scope does not contain \(scope.rawValue)")
        }
    }

    /// Mints what `verify` accepts. Throws `TokenKeyError.unknownKey`.
    public func mint(
        scopes: [ServerScope],
        keyID: String? = nil,
        lifetime: Interval
    ) async throws -> String {
        let id = keyID ?? (keys.count == 1 ? keys.keys.first : nil) ?? ""
        guard let key = keys[id] else { throw TokenKeyError.unknownKey(id) }
        let issued = now().rounded(.down)
        var header = JWTHeader()
        header.alg = "HS256"
        header.typ = "JWT"
        let payload = ServerTokenPayload(
            iss: id,
            exp: issued + (Double(lifetime.microseconds) / 1_000_000).rounded(.up),
            iat: issued,
            aud: Audience([TokenPayload.audience]),
            scope: .init(scopes.map(\.rawValue))
        )
        return try await key.sign(payload, header: header)
    }

    private func serverPayload(of token: String) async throws(GatewayError) -> ServerTokenPayload {
        guard token.utf8.count <= Limits.HTTP.tokenBytes else {
            throw GatewayError(.unauthenticated, "the token is too long")
        }
        let bytes = [UInt8](token.utf8)
        // The parser's own messages quote the token's content.
        guard let unread = try? DefaultJWTParser().parse(bytes, as: ServerTokenPayload.self) else {
            throw GatewayError(.unauthenticated, "the token is malformed")
        }
        guard unread.header.alg == "HS256", unread.header.crit == nil else {
            throw GatewayError(.unauthenticated, "the token is not a plain JWT signed with HS256")
        }
        guard let key = keys[unread.payload.iss] else {
            throw GatewayError(.unauthenticated, "the token is signed by an unknown key (iss)")
        }
        guard let payload = try? await key.verify(bytes, as: ServerTokenPayload.self) else {
            throw GatewayError(.unauthenticated, "the token's signature is wrong")
        }
        return payload
    }
}
