// Tokens of the chat server itself: what their bearer may do by REST. A join token has no scope and opens nothing
// here. Must not know requests.
import JWTKit
import RTP
import Seam

/// What a part of the API asks for. Everything is denied unless it is said.
public enum ServerScope: String, Codable, Sendable, CaseIterable {
    case readRooms = "rooms:read"
    case writeRooms = "rooms:write"
    case tokens
    case admin
    case readEvents = "events:read"
}

public struct ServerClaims: Sendable, Equatable {
    /// Which key signed it.
    public var keyID: String
    public var scopes: Set<ServerScope>
    /// The only room that it is good for; nil: all.
    public var room: String?

    public init(keyID: String, scopes: Set<ServerScope>, room: String? = nil) {
        self.keyID = keyID
        self.scopes = scopes
        self.room = room
    }

    /// Throws `.forbidden`. `room` nil: it is about the whole server.
    public func check(_ scope: ServerScope, room: String?) throws(GatewayError) {
        guard scopes.contains(scope) else {
            throw GatewayError(.forbidden, "the token's scope does not include \(scope.rawValue)")
        }
        guard self.room == nil || self.room == room else {
            throw GatewayError(.forbidden, "the token is for another room")
        }
    }
}

/// Verifies and mints for the REST API.
public protocol ServerTokenVerifier: Sendable {
    /// Throws `GatewayError` with `.unauthenticated` or `.expired`.
    func verifyServer(_ token: String) async throws -> ServerClaims
    /// A join token, signed by the key of that name.
    func mintJoin(_ claims: Claims, keyID: String, lifetime: Interval) async throws -> String
}

struct ServerTokenPayload: JWTPayload, Equatable {
    /// `scope` is one string with spaces (RFC 9068 §2.2.3) or a list.
    struct Scopes: Codable, Equatable {
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

    var iss: String
    /// Missing in join tokens: they allow nothing here.
    var scope: Scopes?
    var exp: Double
    var nbf: Double?
    var aud: Audience?
    var room: String?

    /// Times and audience are judged by `TokenService`, which knows the clock.
    func verify(using algorithm: some JWTAlgorithm) async throws {}

    /// Scopes of a newer server are passed over.
    var claims: ServerClaims {
        ServerClaims(
            keyID: iss,
            scopes: Set((scope?.names ?? []).compactMap { ServerScope(rawValue: $0) }),
            room: room
        )
    }
}

extension TokenService: ServerTokenVerifier {
    public func verifyServer(_ token: String) async throws -> ServerClaims {
        let payload = try await signed(token, as: ServerTokenPayload.self) { $0.iss }
        try checkTimes(exp: payload.exp, nbf: payload.nbf)
        try checkAudience(payload.aud)
        return payload.claims
    }

    public func mintJoin(_ claims: Claims, keyID: String, lifetime: Interval) async throws -> String {
        try await mint(claims, keyID: keyID, lifetime: lifetime)
    }

    /// - Throws: `TokenKeyError.unknownKey`
    public func mintServer(_ claims: ServerClaims, lifetime: Interval) async throws -> String {
        try await sign(
            ServerTokenPayload(
                iss: claims.keyID,
                scope: .init(claims.scopes.map(\.rawValue).sorted()),
                exp: expiry(after: lifetime),
                aud: Audience([TokenPayload.audience]),
                room: claims.room
            ),
            keyID: claims.keyID
        )
    }
}
