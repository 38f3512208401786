// The JSON inside a join token (RFC 7519), to and from `Claims`. Must not know keys, signatures or the clock.
import JWTKit
import RTP
import Seam

/// Claims as they stand in the token. Times are NumericDate: seconds since 1970, fractions allowed.
struct TokenPayload: JWTPayload, Equatable {
    /// Audience that a token must name if it names any.
    static let audience = "sfu"

    var iss: String
    var sub: String
    var room: String
    var exp: Double
    var nbf: Double?
    var iat: Double?
    var jti: String?
    var aud: Audience?
    var name: String?
    var did: String?
    var role: Role?
    var grants: GrantsPayload?
    var dup: DuplicatePolicy?
    /// Seconds
    var maxSession: Int64?
    var attrs: [String: String]?
    var lobby: Bool?
    var roomCfg: RoomConfig?

    /// Times, audience and room are judged by `TokenService`, which knows the clock and the room.
    func verify(using algorithm: some JWTAlgorithm) async throws {}

    var claims: Claims {
        var claims = Claims(
            room: room,
            user: UserID(sub),
            name: name,
            device: did,
            role: role ?? .speaker,
            grants: grants?.grants ?? Grants(),
            duplicates: dup ?? .coexist,
            attributes: attrs ?? [:],
            waits: lobby ?? false,
            roomConfig: roomCfg
        )
        if let maxSession {
            let bound = Int64.max / 1_000_000
            claims.maxSession = .seconds(min(max(maxSession, 0), bound))
        }
        return claims
    }
}

/// `aud` is one string or a list (RFC 7519 §4.1.3).
struct Audience: Codable, Equatable {
    var names: [String]

    init(_ names: [String]) { self.names = names }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let one = try? container.decode(String.self) {
            names = [one]
        } else {
            names = try container.decode([String].self)
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if names.count == 1 {
            try container.encode(names[0])
        } else {
            try container.encode(names)
        }
    }
}

/// Everything is denied unless it is said. `publish` is a list of sources or false.
struct GrantsPayload: Codable, Equatable {
    var grants: Grants

    init(_ grants: Grants) { self.grants = grants }

    private enum CodingKeys: String, CodingKey {
        case publish, subscribe, data, hidden, moderate, record
        case receivesOwnUser = "self"
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        grants = Grants()
        if container.contains(.publish) {
            if let flag = try? container.decode(Bool.self, forKey: .publish) {
                guard !flag else {
                    throw DecodingError.dataCorruptedError(
                        forKey: .publish,
                        in: container,
                        debugDescription: "publish is a list of sources or false"
                    )
                }
            } else {
                grants.publish = Set(try container.decode([Source].self, forKey: .publish))
            }
        }
        func flag(_ key: CodingKeys) throws -> Bool {
            try container.decodeIfPresent(Bool.self, forKey: key) ?? false
        }
        grants.subscribe = try flag(.subscribe)
        grants.data = try flag(.data)
        grants.hidden = try flag(.hidden)
        grants.receivesOwnUser = try flag(.receivesOwnUser)
        grants.moderate = try flag(.moderate)
        grants.record = try flag(.record)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        if grants.publish.isEmpty {
            try container.encode(false, forKey: .publish)
        } else {
            let sources = grants.publish.map(\.rawValue).sorted()
            try container.encode(sources, forKey: .publish)
        }
        try container.encode(grants.subscribe, forKey: .subscribe)
        try container.encode(grants.data, forKey: .data)
        for (key, value) in [
            (CodingKeys.hidden, grants.hidden), (.receivesOwnUser, grants.receivesOwnUser),
            (.moderate, grants.moderate), (.record, grants.record),
        ] where value {
            try container.encode(true, forKey: key)
        }
    }
}
