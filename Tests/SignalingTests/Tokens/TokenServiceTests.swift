import Foundation
import JWTKit
import RTP
import Seam
import Testing

@testable import Signaling

@Suite("Join tokens")
struct TokenServiceTests {
    fileprivate static let secret: String = "0123456789abcdef0123456789abcdef"
    private static let now: Double = 1_800_000_000.0

    private static func service(at now: Double = now) async throws -> TokenService {
        try await TokenService(keys: ["key1": secret, "key2": String(secret.reversed())], now: { now })
    }

    /// Signs any JSON, also what `mint` would never write.
    private static func sign(
        _ payload: String,
        header: String = #"{"alg":"HS256","typ":"JWT"}"#,
        secret: String = secret
    ) async throws -> String {
        func base64(_ bytes: some Sequence<UInt8>) -> String {
            Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
                .replacing("=", with: "")
        }
        let input = base64(header.utf8) + "." + base64(payload.utf8)
        let keys = await JWTKeyCollection().add(hmac: HMACKey(from: secret), digestAlgorithm: .sha256)
        let signature = try await keys.getKey().sign(Array(input.utf8))
        return input + "." + base64(signature)
    }

    private static func payload(_ change: [String: String?] = [:]) -> String {
        var members = ["iss": "\"key1\"", "sub": "\"alice\"", "room": "\"standup\"", "exp": "1800000060"]
        for (name, value) in change { members[name] = value }
        return "{" + members.map { "\"\($0)\":\($1)" }.sorted().joined(separator: ",") + "}"
    }

    @Test func mintedTokensVerify() async throws {
        let service = try await Self.service()
        let claims = Claims(
            room: "standup",
            user: UserID("alice"),
            name: "Alice Ä",
            device: "d1",
            role: .moderator,
            grants: Grants(
                publish: [.mic, .camera],
                subscribe: true,
                data: true,
                receivesOwnUser: true,
                moderate: true
            ),
            duplicates: .replace,
            maxSession: .seconds(3600),
            attributes: ["team": "blue"]
        )
        let token = try await service.mint(claims, keyID: "key2", lifetime: .seconds(60))
        #expect(try await service.verify(token, room: "standup") == claims)
    }

    @Test func nothingIsGrantedUnlessSaid() async throws {
        let token = try await Self.sign(Self.payload())
        let claims = try await Self.service().verify(token, room: "standup")
        #expect(claims == Claims(room: "standup", user: UserID("alice")))
        #expect(claims.grants == Grants())
    }

    @Test(arguments: [
        (#"{"publish":["camera","screenAudio"]}"#, Grants(publish: [.camera, .screenAudio])),
        (#"{"publish":false,"subscribe":true,"hidden":true}"#, Grants(subscribe: true, hidden: true)),
        (#"{"self":true,"record":true,"data":false}"#, Grants(receivesOwnUser: true, record: true)),
    ])
    func grantsAsWritten(_ json: String, _ grants: Grants) async throws {
        let token = try await Self.sign(Self.payload(["grants": json]))
        #expect(try await Self.service().verify(token, room: "standup").grants == grants)
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        var name: String
        var payload: [String: String?] = [:]
        var header = #"{"alg":"HS256","typ":"JWT"}"#
        var secret: String = TokenServiceTests.secret
        var code: ErrorCode
        var says: String
        var testDescription: String { name }
    }

    static let refusals: [Refusal] = [
        Refusal(
            name: "wrong secret",
            secret: String(repeating: "x", count: 32),
            code: .unauthenticated,
            says: "signature"
        ),
        Refusal(
            name: "key of another",
            payload: ["iss": "\"key2\""],
            code: .unauthenticated,
            says: "signature"
        ),
        Refusal(
            name: "unknown key",
            payload: ["iss": "\"key3\""],
            code: .unauthenticated,
            says: "unknown key"
        ),
        Refusal(name: "expired", payload: ["exp": "1799999970"], code: .expired, says: "expired"),
        Refusal(name: "no exp", payload: ["exp": nil], code: .unauthenticated, says: "malformed"),
        Refusal(
            name: "not yet",
            payload: ["nbf": "1800000031"],
            code: .unauthenticated,
            says: "not valid yet"
        ),
        Refusal(name: "room", payload: ["room": "\"lunch\""], code: .forbidden, says: "another room"),
        Refusal(name: "no room", payload: ["room": nil], code: .unauthenticated, says: "malformed"),
        Refusal(name: "no sub", payload: ["sub": nil], code: .unauthenticated, says: "malformed"),
        Refusal(name: "empty sub", payload: ["sub": "\"\""], code: .unauthenticated, says: "no user"),
        Refusal(name: "audience", payload: ["aud": "[\"chat\"]"], code: .unauthenticated, says: "audience"),
        Refusal(
            name: "unknown source",
            payload: ["grants": #"{"publish":["fax"]}"#],
            code: .unauthenticated,
            says: "malformed"
        ),
        Refusal(
            name: "publish true",
            payload: ["grants": #"{"publish":true}"#],
            code: .unauthenticated,
            says: "malformed"
        ),
        Refusal(name: "none", header: #"{"alg":"none"}"#, code: .unauthenticated, says: "HS256"),
        Refusal(name: "HS512", header: #"{"alg":"HS512"}"#, code: .unauthenticated, says: "HS256"),
        Refusal(
            name: "critical extension",
            header: #"{"alg":"HS256","crit":["x"]}"#,
            code: .unauthenticated,
            says: "crit"
        ),
    ]

    @Test(arguments: refusals)
    func refusalsSayWhy(_ refusal: Refusal) async throws {
        let token = try await Self.sign(
            Self.payload(refusal.payload),
            header: refusal.header,
            secret: refusal.secret
        )
        let error = await #expect(throws: GatewayError.self) {
            try await Self.service().verify(token, room: "standup")
        }
        #expect(error?.code == refusal.code)
        #expect(error?.message.contains(refusal.says) == true, "\(error?.message ?? "")")
        #expect(error?.message.contains(token) == false)
    }

    @Test(arguments: ["", "a", "a.b", "a.b.c", "a.b.c.d", "..", "eyJhbGciOiJIUzI1NiJ9..", "\u{0}"])
    func garbageIsRefused(_ token: String) async throws {
        let error = await #expect(throws: GatewayError.self) {
            try await Self.service().verify(token, room: "standup")
        }
        #expect(error?.code == .unauthenticated)
    }

    @Test func everyChangedByteIsNoticed() async throws {
        let service = try await Self.service()
        let token = Array(try await Self.sign(Self.payload()).utf8)
        // The last character of a base64 text carries bits that mean nothing.
        for index in token.indices.dropLast() {
            var changed = token
            changed[index] = changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            await #expect(throws: GatewayError.self, "byte \(index)") {
                try await service.verify(String(decoding: changed, as: UTF8.self), room: "standup")
            }
        }
    }

    @Test func clocksMayDiffer() async throws {
        let late = try await Self.sign(Self.payload(["exp": "1799999970.5"]))
        #expect(try await Self.service().verify(late, room: "standup").user == UserID("alice"))
        let early = try await Self.sign(Self.payload(["nbf": "1800000030"]))
        #expect(try await Self.service().verify(early, room: "standup").user == UserID("alice"))
    }

    @Test func audienceMayBeOneOrMany() async throws {
        for audience in ["\"sfu\"", "[\"chat\",\"sfu\"]"] {
            let token = try await Self.sign(Self.payload(["aud": audience]))
            #expect(try await Self.service().verify(token, room: "standup").room == "standup")
        }
    }

    @Test func longTokensAreNotRead() async throws {
        let token = try await Self.sign(Self.payload(["name": "\"\(String(repeating: "x", count: 9000))\""]))
        let error = await #expect(throws: GatewayError.self) {
            try await Self.service().verify(token, room: "standup")
        }
        #expect(error?.message.contains("too long") == true)
    }

    @Test func sessionLengthsStayInRange() async throws {
        for (text, seconds) in [("-5", 0), ("9223372036854775807", Int64.max / 1_000_000)] {
            let token = try await Self.sign(Self.payload(["maxSession": text]))
            #expect(try await Self.service().verify(token, room: "standup").maxSession == .seconds(seconds))
        }
    }

    @Test func weakKeysAreRefused() async throws {
        await #expect(throws: TokenKeyError.secretTooShort(keyID: "k", bytes: 31)) {
            try await TokenService(keys: ["k": String(repeating: "x", count: 31)])
        }
        await #expect(throws: TokenKeyError.emptyKeyID) { try await TokenService(keys: ["": Self.secret]) }
        let service = try await Self.service()
        let claims = Claims(room: "r", user: UserID("u"))
        await #expect(throws: TokenKeyError.unknownKey("nobody")) {
            try await service.mint(claims, keyID: "nobody", lifetime: .seconds(1))
        }
        await #expect(throws: TokenKeyError.unknownKey("")) {
            try await service.mint(claims, lifetime: .seconds(1))
        }
        let development = try await TokenService.development()
        let token = try await development.mint(claims, lifetime: .seconds(60))
        #expect(try await development.verify(token, room: "r") == claims)
    }
}
