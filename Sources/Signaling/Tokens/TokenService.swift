// Join tokens: JWT with HS256 (RFC 7519, RFC 7515), `iss` names the key. Knows keys, signatures and the wall
// clock; must not know requests. No token and no secret is ever written to a log or into an error.
import Foundation
import JWTKit
import RTP
import Seam

/// Why a key set was refused at load.
public enum TokenKeyError: Error, Sendable, Equatable, CustomStringConvertible {
    case emptyKeyID
    /// HS256 asks for a key at least as long as its hash (RFC 7518 §3.2).
    case secretTooShort(keyID: String, bytes: Int)
    case unknownKey(String)

    public var description: String {
        switch self {
        case .emptyKeyID: "a token key needs a non-empty id"
        case .secretTooShort(let id, let bytes):
            "the secret of token key \"\(id)\" has \(bytes) bytes; at least \(TokenService.minimumSecretBytes) "
                + "are needed, for example from: openssl rand -base64 32"
        case .unknownKey(let id): "there is no token key \"\(id)\""
        }
    }
}

/// Verifies and mints join tokens.
public struct TokenService: TokenVerifier {
    /// Seconds since 1970.
    public typealias WallClock = @Sendable () -> Double

    public static let minimumSecretBytes = 32
    /// The key of `sfu serve --dev`. It is no secret: a server that uses it listens on loopback.
    public static let developmentKeyID = "dev"
    public static let developmentSecret = "development-only-key-that-everybody-knows"
    /// What clocks of two machines may differ by, seconds.
    public static let leewaySeconds = 30.0

    let keys: [String: JWTKeyCollection]
    let now: WallClock

    /// - Parameter keys: secrets by key id (`iss`). May be empty: then every token is refused.
    /// - Throws: `TokenKeyError`
    public init(
        keys: [String: String],
        now: @escaping WallClock = { Date().timeIntervalSince1970 }
    ) async throws {
        var loaded: [String: JWTKeyCollection] = [:]
        for (id, secret) in keys {
            guard !id.isEmpty else { throw TokenKeyError.emptyKeyID }
            guard secret.utf8.count >= Self.minimumSecretBytes else {
                throw TokenKeyError.secretTooShort(keyID: id, bytes: secret.utf8.count)
            }
            loaded[id] = await JWTKeyCollection().add(hmac: HMACKey(from: secret), digestAlgorithm: .sha256)
        }
        self.keys = loaded
        self.now = now
    }

    /// A service that knows only the development key.
    public static func development() async throws -> TokenService {
        try await TokenService(keys: [developmentKeyID: developmentSecret])
    }

    public func verify(_ token: String, room: String) async throws -> Claims {
        let payload = try await signed(token, as: TokenPayload.self) { $0.iss }
        try checkTimes(exp: payload.exp, nbf: payload.nbf)
        try checkAudience(payload.aud)
        guard !payload.sub.isEmpty, payload.sub.utf8.count <= Limits.HTTP.nameBytes else {
            throw Self.refuse(.unauthenticated, "the token names no user (sub)")
        }
        guard payload.room == room else { throw Self.refuse(.forbidden, "the token is for another room") }
        return payload.claims
    }

    /// - Parameters:
    ///   - keyID: which key signs; nil works when there is exactly one.
    ///   - lifetime: how long the token opens the room; not how long the bearer may stay.
    /// - Throws: `TokenKeyError.unknownKey`
    public func mint(_ claims: Claims, keyID: String? = nil, lifetime: Interval) async throws -> String {
        let id = keyID ?? (keys.count == 1 ? keys.keys.first : nil) ?? ""
        let issued = now().rounded(.down)
        let payload = TokenPayload(
            iss: id,
            sub: claims.user.rawValue,
            room: claims.room,
            exp: issued + (Double(lifetime.microseconds) / 1_000_000).rounded(.up),
            iat: issued,
            aud: Audience([TokenPayload.audience]),
            name: claims.name,
            did: claims.device,
            role: claims.role,
            grants: GrantsPayload(claims.grants),
            dup: claims.duplicates == .coexist ? nil : claims.duplicates,
            maxSession: claims.maxSession.microseconds / 1_000_000,
            attrs: claims.attributes.isEmpty ? nil : claims.attributes,
            lobby: claims.waits ? true : nil,
            roomCfg: claims.roomConfig
        )
        return try await sign(payload, keyID: id)
    }

    func sign(_ payload: some JWTPayload, keyID: String) async throws -> String {
        guard let key = keys[keyID] else { throw TokenKeyError.unknownKey(keyID) }
        var header = JWTHeader()
        header.alg = "HS256"
        header.typ = "JWT"
        return try await key.sign(payload, header: header)
    }

    /// NumericDate
    func expiry(after lifetime: Interval) -> Double {
        now().rounded(.down) + (Double(lifetime.microseconds) / 1_000_000).rounded(.up)
    }

    /// A payload whose signature is right. Times and audience are still to be judged.
    func signed<Payload: JWTPayload>(
        _ token: String,
        as _: Payload.Type,
        issuer: (Payload) -> String
    ) async throws -> Payload {
        guard !token.isEmpty else { throw Self.refuse(.unauthenticated, "a token is needed") }
        guard token.utf8.count <= Limits.HTTP.tokenBytes else {
            throw Self.refuse(.unauthenticated, "the token is too long")
        }
        let token = [UInt8](token.utf8)
        let unread: (header: JWTHeader, payload: Payload)
        do {
            let parsed = try DefaultJWTParser().parse(token, as: Payload.self)
            unread = (parsed.header, parsed.payload)
        } catch {
            // The parser's own message quotes the token's content.
            throw Self.refuse(.unauthenticated, "the token is malformed")
        }
        guard unread.header.alg == "HS256" else {
            throw Self.refuse(.unauthenticated, "the token is not signed with HS256")
        }
        guard unread.header.crit == nil else {
            throw Self.refuse(.unauthenticated, "the token asks for extensions that are not known (crit)")
        }
        guard let key = keys[issuer(unread.payload)] else {
            throw Self.refuse(.unauthenticated, "the token is signed by an unknown key (iss)")
        }
        do {
            return try await key.verify(token, as: Payload.self)
        } catch {
            throw Self.refuse(.unauthenticated, "the token's signature is wrong")
        }
    }

    func checkAudience(_ audience: Audience?) throws {
        if let audience, !audience.names.contains(TokenPayload.audience) {
            throw Self.refuse(.unauthenticated, "the token is for another audience")
        }
    }

    func checkTimes(exp: Double, nbf: Double?) throws {
        let now = now()
        guard exp > now - Self.leewaySeconds else {
            throw Self.refuse(.expired, "the token has expired")
        }
        guard (nbf ?? 0) <= now + Self.leewaySeconds else {
            throw Self.refuse(.unauthenticated, "the token is not valid yet")
        }
    }

    private static func refuse(_ code: ErrorCode, _ message: String) -> GatewayError {
        GatewayError(code, message)
    }
}
