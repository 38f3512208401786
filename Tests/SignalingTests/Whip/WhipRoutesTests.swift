import RTP
import Seam
import Synchronization
import Testing

@testable import Signaling

@Suite("WHIP and WHEP: status codes")
struct WhipRoutesTests {
    fileprivate static func offer(_ direction: String) -> String {
        [
            "v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE 0", "a=ice-ufrag:abcd",
            "a=ice-pwd:0123456789012345678901",
            "a=fingerprint:sha-256 "
                + Array(repeating: "AB", count: 32).joined(separator: ":"),
            "a=setup:actpass", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 0.0.0.0", "a=mid:0",
            "a=\(direction)",
            "a=rtcp-mux", "a=rtpmap:111 opus/48000/2", "",
        ].joined(separator: "\r\n")
    }

    private static let fragment: String =
        "a=ice-ufrag:efgh\r\na=ice-pwd:9876543210987654321098\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
        + "a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\na=end-of-candidates\r\n"
    fileprivate static let sdp: [String: String] = ["Content-Type": "application/sdp"]
    private static let session: String = "/whip/room/alice/se_0123456789abcdef0123456789abcdef"

    private static func token(
        _ server: HTTPTestServer,
        user: String = "alice",
        room: String = "room",
        grants: Grants = Grants(publish: [.mic], subscribe: true),
        lifetime: Interval = .seconds(60)
    ) async throws -> [String: String] {
        let claims = Claims(room: room, user: UserID(user), grants: grants)
        return ["Authorization": "Bearer \(try await server.tokens.mint(claims, lifetime: lifetime))"]
    }

    private static func with(_ headers: [String: String], _ more: [String: String]) -> [String: String] {
        headers.merging(more) { _, new in new }
    }

    @Test func publishes() async throws {
        try await HTTPTestServer.with { server in
            let headers = Self.with(
                try await Self.token(server),
                ["Content-Type": "Application/SDP; charset=utf-8"]
            )
            let response = try await server.request(
                "POST",
                "/whip/room/alice",
                Self.with(headers, ["Host": "call.example"]),
                body: Self.offer("sendonly")
            )
            #expect(response.status == 201)
            #expect(response.headers["content-type"] == "application/sdp")
            #expect(response.headers["location"] == "http://call.example" + Self.session)
            #expect(response.headers["etag"] == "\"e1\"")
            #expect(response.headers["accept-patch"] == "application/trickle-ice-sdpfrag")
            #expect(response.headers["link"] == nil)
            #expect(response.body == "v=0\r\n")
            let opened = server.whip.state.withLock { $0.opened }
            #expect(opened.map(\.kind) == [.whip])
            #expect(opened.first?.claims.user == UserID("alice"))
        }
    }

    @Test func watches() async throws {
        try await HTTPTestServer.with { server in
            let headers = Self.with(try await Self.token(server), Self.sdp)
            let one = try await server.request(
                "POST",
                "/whep/room/b%C3%B6b",
                headers,
                body: Self.offer("recvonly")
            )
            #expect(one.status == 201)
            #expect(one.headers["location"]?.hasPrefix("http://localhost/whep/room/b%C3%B6b/se_") == true)
            let room = try await server.request(
                "POST",
                "/whep/room?me=alice",
                headers,
                body: Self.offer("recvonly")
            )
            #expect(room.status == 201)
            #expect(room.headers["location"]?.hasPrefix("http://localhost/whep/room/alice/se_") == true)
            _ = try await server.request("POST", "/whep/room", headers, body: Self.offer("recvonly"))
            let kinds = server.whip.state.withLock { $0.opened.map(\.kind) }
            #expect(
                kinds == [
                    .whepParticipant(UserID("böb")), .whepRoom(me: UserID("alice")),
                    .whepRoom(me: UserID("alice")),
                ]
            )
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var method = "POST"
        var path = "/whip/room/alice"
        var headers: [String: String] = WhipRoutesTests.sdp
        var user: String? = "alice"
        var grants = Grants(publish: [.mic], subscribe: true)
        var tokenRoom = "room"
        var lifetime = Interval.seconds(60)
        var body: String? = WhipRoutesTests.offer("sendonly")
        var status: Int
        var header: [String: String] = [:]
        var testDescription: String { name }
    }

    static let refusals: [Case] = [
        Case(name: "no token", user: nil, status: 401, header: ["www-authenticate": "Bearer"]),
        Case(
            name: "expired token",
            lifetime: .seconds(-60),
            status: 401,
            header: ["www-authenticate": "Bearer error=\"invalid_token\""]
        ),
        Case(name: "another participant", path: "/whip/room/bob", status: 403),
        Case(name: "another room", tokenRoom: "lunch", status: 403),
        Case(name: "me of another", path: "/whep/room?me=bob", body: offer("recvonly"), status: 403),
        Case(
            name: "may not receive",
            path: "/whep/room",
            grants: Grants(publish: [.mic]),
            body: offer("recvonly"),
            status: 403
        ),
        Case(name: "no type", headers: [:], status: 415, header: ["accept-post": "application/sdp"]),
        Case(name: "other type", headers: ["Content-Type": "text/plain"], status: 415),
        Case(name: "no SDP", body: "hello", status: 400),
        Case(name: "empty", body: "", status: 400),
        Case(name: "too large", body: String(repeating: "a", count: 262_145), status: 413),
        Case(name: "sends nothing", body: offer("recvonly"), status: 422),
        Case(name: "receives nothing", path: "/whep/room/bob", status: 422),
        Case(name: "bad name", path: "/whip/room/%00", status: 400),
        Case(name: "PUT on the endpoint", method: "PUT", status: 405),
        Case(name: "DELETE on the endpoint", method: "DELETE", body: nil, status: 405),
    ]

    @Test(arguments: refusals)
    func refusalsSayWhy(_ test: Case) async throws {
        try await HTTPTestServer.with { server in
            var headers = test.headers
            if let user = test.user {
                headers = Self.with(
                    headers,
                    try await Self.token(
                        server,
                        user: user,
                        room: test.tokenRoom,
                        grants: test.grants,
                        lifetime: test.lifetime
                    )
                )
            }
            let response = try await server.request(test.method, test.path, headers, body: test.body)
            #expect(response.status == test.status)
            #expect(response.headers["content-type"] == "application/problem+json")
            for (name, value) in test.header { #expect(response.headers[name] == value) }
            #expect(server.whip.state.withLock { $0.opened.isEmpty })
        }
    }

    @Test(arguments: [
        (GatewayError(.conflict, "not live", retryAfterMs: 1500), 409, "2"),
        (GatewayError(.notReady, "not yet"), 409, "2"), (GatewayError(.full, "full"), 503, "2"),
        (GatewayError(.overloaded, "busy", retryAfterMs: 10_000), 503, "10"),
        (GatewayError(.unsupported, "no codec"), 422, nil), (GatewayError(.badRequest, "nothing"), 400, nil),
        (GatewayError(.forbidden, "no"), 403, nil), (GatewayError(.rateLimited, "slow"), 429, "2"),
        (GatewayError(.internal, "oh"), 500, nil),
    ])
    func theGatewayRefuses(_ error: GatewayError, _ status: Int, _ retryAfter: String?) async throws {
        try await HTTPTestServer.with { server in
            server.whip.state.withLock { $0.openResult = .failure(error) }
            let headers = Self.with(try await Self.token(server), Self.sdp)
            let response = try await server.request(
                "POST",
                "/whip/room/alice",
                headers,
                body: Self.offer("sendonly")
            )
            #expect(response.status == status)
            #expect(response.headers["retry-after"] == retryAfter)
            #expect(response.body.contains(error.message))
        }
    }

    private static func opened(_ server: HTTPTestServer, _ token: [String: String]) async throws {
        let response = try await server.request(
            "POST",
            "/whip/room/alice",
            with(token, sdp),
            body: offer("sendonly")
        )
        #expect(response.status == 201)
    }

    @Test func patches() async throws {
        try await HTTPTestServer.with { server in
            let token = try await Self.token(server)
            try await Self.opened(server, token)
            let headers = Self.with(
                token,
                ["Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "\"e1\""]
            )
            let trickle = try await server.request("PATCH", Self.session, headers, body: Self.fragment)
            #expect(trickle.status == 204)
            #expect(trickle.headers["etag"] == nil)
            server.whip.state.withLock {
                $0.patchResult = .success(.restarted(fragment: "a=ice-ufrag:new\r\n", etag: "\"e2\""))
            }
            let restart = try await server.request(
                "PATCH",
                Self.session,
                Self.with(headers, ["If-Match": "*"]),
                body: Self.fragment
            )
            #expect(restart.status == 200)
            #expect(restart.headers["etag"] == "\"e2\"")
            #expect(restart.headers["content-type"] == "application/trickle-ice-sdpfrag")
            #expect(restart.body == "a=ice-ufrag:new\r\n")
            #expect(server.whip.state.withLock { $0.ifMatch } == ["\"e1\"", "*"])

            server.whip.state.withLock { $0.patchResult = .failure(GatewayError(.conflict, "another tag")) }
            #expect(
                try await server.request("PATCH", Self.session, headers, body: Self.fragment).status == 412
            )
            server.whip.state.withLock { $0.patchResult = .failure(GatewayError(.unsupported, "no restart")) }
            #expect(
                try await server.request("PATCH", Self.session, headers, body: Self.fragment).status == 422
            )
            var without = headers
            without["If-Match"] = nil
            #expect(
                try await server.request("PATCH", Self.session, without, body: Self.fragment).status == 428
            )
            let type = try await server.request(
                "PATCH",
                Self.session,
                Self.with(headers, Self.sdp),
                body: Self.fragment
            )
            #expect(type.status == 415)
            #expect(type.headers["accept-patch"] == "application/trickle-ice-sdpfrag")
            #expect(try await server.request("PATCH", Self.session, headers, body: "v=0\r\n").status == 400)
            #expect(
                try await server.request("PATCH", "/whip/room/alice/se_x", headers, body: Self.fragment)
                    .status == 404
            )
            #expect(server.whip.state.withLock { $0.owners.count } == 1)
        }
    }

    @Test func sessionsBelongToTheirUser() async throws {
        try await HTTPTestServer.with { server in
            let token = try await Self.token(server)
            try await Self.opened(server, token)
            let other = try await Self.token(server, user: "bob")
            let patch = Self.with(
                other,
                ["Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*"]
            )
            #expect(try await server.request("PATCH", Self.session, patch, body: Self.fragment).status == 403)
            #expect(try await server.request("DELETE", Self.session, other).status == 403)
            #expect(try await server.request("DELETE", Self.session).status == 401)
            #expect(
                try await server.request("DELETE", Self.session, ["Authorization": "Bearer x"]).status == 401
            )
            #expect(server.whip.state.withLock { $0.ended.isEmpty })
            // The token opens the door; it need not be valid still when one leaves.
            let late = try await Self.token(server, lifetime: .seconds(-60))
            #expect(try await server.request("DELETE", Self.session, late).status == 200)
            #expect(try await server.request("DELETE", Self.session, token).status == 404)
        }
    }

    @Test func otherMethods() async throws {
        try await HTTPTestServer.with { server in
            #expect(try await server.request("GET", "/whip/room/alice").status == 204)
            let discovery = try await server.request("HEAD", "/whep/room/alice")
            #expect(discovery.status == 200)
            #expect(discovery.headers["content-type"] == "application/sdp")
            let options = try await server.request("OPTIONS", "/whep/room/alice")
            #expect(options.status == 204)
            #expect(options.headers["accept-post"] == "application/sdp")
            #expect(options.headers["allow"]?.contains("POST") == true)
            #expect(try await server.request("GET", Self.session).status == 404)
            try await Self.opened(server, try await Self.token(server))
            #expect(try await server.request("GET", Self.session).status == 204)
            for method in ["POST", "PUT"] {
                let response = try await server.request(method, Self.session, body: "")
                #expect(response.status == 405)
                #expect(response.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH")
            }
            let session = try await server.request("OPTIONS", Self.session)
            #expect(session.headers["accept-patch"] == "application/trickle-ice-sdpfrag")
        }
    }

    @Test func developmentAsksForNoToken() async throws {
        try await HTTPTestServer.with {
            $0.isDevelopment = true
        } _: { server in
            let published = try await server.request(
                "POST",
                "/whip/room/alice",
                Self.sdp,
                body: Self.offer("sendonly")
            )
            #expect(published.status == 201)
            #expect(
                try await server.request("POST", "/whep/room", Self.sdp, body: Self.offer("recvonly")).status
                    == 201
            )
            let opened = server.whip.state.withLock { $0.opened }
            #expect(opened.first?.claims == Claims(room: "room", user: UserID("alice"), grants: .development))
            #expect(opened.last?.claims.user.rawValue.hasPrefix("viewer-") == true)
            #expect(try await server.request("DELETE", Self.session).status == 200)
            // A token that is there must be right.
            let wrong = Self.with(Self.sdp, ["Authorization": "Bearer wrong"])
            #expect(
                try await server.request("POST", "/whip/room/alice", wrong, body: Self.offer("sendonly"))
                    .status == 401
            )
        }
    }

    @Test func addressesHaveARate() async throws {
        try await HTTPTestServer.with {
            $0.requestsPerSecond = 1
            $0.trustedProxies = AddressRange("127.0.0.0/8").map { [$0] } ?? []
        } _: { server in
            // All at once: one after the other, a slow machine might take a second for each.
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        let client = try await server.connect()
                        defer { client.close() }
                        let headers = ["X-Forwarded-For": "198.51.100.1"]
                        return try await client.request("POST", "/whip/room/alice", headers, body: "").status
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.contains(401))
            #expect(statuses.contains(429))
            let client = try await server.connect()
            let other = ["X-Forwarded-For": "198.51.100.2"]
            #expect(try await client.request("POST", "/whip/room/alice", other, body: "").status == 401)
            // Loopback is exempt.
            for _ in 0..<9 {
                #expect(try await client.request("POST", "/whip/room/alice", body: "").status == 401)
            }
            client.close()
        }
    }

    @Test func locationsAreAbsoluteWhereTheURLIsKnown() {
        var client = ClientInfo(
            address: "1.2.3.4",
            scheme: "https",
            host: "a.example:444",
            isBehindUnknownProxy: false
        )
        #expect(WhipRoutes.location("/x", client) == "https://a.example:444/x")
        client.isBehindUnknownProxy = true
        #expect(WhipRoutes.location("/x", client) == "/x")
        client.isBehindUnknownProxy = false
        client.host = nil
        #expect(WhipRoutes.location("/x", client) == "/x")
    }

    @Test func bodiesInPiecesAndExpectations() async throws {
        try await HTTPTestServer.with { server in
            let client = try await server.connect()
            let authorization = try await Self.token(server)["Authorization"] ?? ""
            let offer = Self.offer("sendonly")
            try await client.send(
                "POST /whip/room/alice HTTP/1.1\r\nHost: localhost\r\nAuthorization: \(authorization)\r\n"
                    + "Content-Type: application/sdp\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
            )
            #expect(try await client.readResponse().status == 100)
            for part in [offer.prefix(50), offer.dropFirst(50)] {
                try await client.send("\(String(part.utf8.count, radix: 16))\r\n\(part)\r\n")
            }
            try await client.send("0\r\n\r\n")
            #expect(try await client.readResponse().status == 201)
            client.close()
        }
    }
}
