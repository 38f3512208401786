import RTP
import Seam
import Synchronization
import Testing

@testable import Signaling

/// Answers as the test says and remembers what it was asked.
private final class FakeReader: EventReader {
    struct State {
        var queries: [EventQuery] = []
        var answers: [Result<EventList, GatewayError>] = []
    }
    let state = Mutex(State())

    init(_ answers: Result<EventList, GatewayError>...) { state.withLock { $0.answers = answers } }

    func read(_ query: EventQuery) async throws(GatewayError) -> EventList {
        let answer = state.withLock { state -> Result<EventList, GatewayError>? in
            state.queries.append(query)
            return state.answers.isEmpty ? nil : state.answers.removeFirst()
        }
        guard let answer else { throw GatewayError(.internal, "asked too often") }
        return try answer.get()
    }

    var queries: [EventQuery] { state.withLock { $0.queries } }
}

@Suite("GET /v1/events")
struct EventRoutesTests {
    private static let empty = EventList(events: [], next: "abc-7", hasMore: false, hasGap: false)

    private static func bearer(
        _ server: HTTPTestServer,
        scopes: [ServerScope] = [.readEvents],
        lifetime: Interval = .seconds(60)
    ) async throws -> [String: String] {
        let claims = ServerClaims(keyID: "test", scopes: Set(scopes))
        return ["Authorization": "Bearer \(try await server.tokens.mintServer(claims, lifetime: lifetime))"]
    }

    @Test func answersWithEventsAndTheNextCursor() async throws {
        let list = EventList(
            events: [Array(#"{"a":1}"#.utf8), Array(#"{"b":2}"#.utf8)],
            next: "abc-9",
            hasMore: true,
            hasGap: true
        )
        let reader = FakeReader(.success(list))
        try await HTTPTestServer.with(events: reader) { server in
            let response = try await server.request(
                "GET",
                "/v1/events?after=abc-7&limit=2&room=stand%20up",
                try await Self.bearer(server)
            )
            #expect(response.status == 200)
            #expect(response.headers["content-type"] == "application/json")
            #expect(response.headers["cache-control"] == "no-store")
            #expect(
                response.body == #"{"events":[{"a":1},{"b":2}],"next":"abc-9","more":true,"gap":true}"# + "\n"
            )
        }
        #expect(
            reader.queries == [EventQuery(start: .after("abc-7"), limit: 2, room: "stand up", wait: .zero)]
        )
    }

    @Test func defaults() async throws {
        let reader = FakeReader(.success(Self.empty), .success(Self.empty))
        try await HTTPTestServer.with(events: reader) { server in
            let headers = try await Self.bearer(server)
            _ = try await server.request("GET", "/v1/events", headers)
            _ = try await server.request("GET", "/v1/events?after=newest", headers)
        }
        #expect(reader.queries.map(\.start) == [.oldest, .newest])
        #expect(reader.queries.allSatisfy { $0.limit == 100 && $0.room == nil && $0.wait == .zero })
    }

    @Test func tokensWithoutTheScopeAreRefused() async throws {
        try await HTTPTestServer.with(events: FakeReader()) { server in
            let none = try await server.request("GET", "/v1/events")
            #expect(none.status == 401)
            #expect(none.headers["www-authenticate"] == "Bearer scope=\"events:read\"")
            let join = try await server.tokens.mint(
                Claims(room: "standup", user: UserID("alice"), grants: .development),
                lifetime: .seconds(60)
            )
            let withJoin = try await server.request("GET", "/v1/events", ["Authorization": "Bearer \(join)"])
            #expect(withJoin.status == 403)
            let unscoped = try await server.request(
                "GET",
                "/v1/events",
                try await Self.bearer(server, scopes: [])
            )
            #expect(unscoped.status == 403)
            let old = try await server.request(
                "GET",
                "/v1/events",
                try await Self.bearer(server, lifetime: .seconds(-120))
            )
            #expect(old.status == 401)
            let garbage = try await server.request("GET", "/v1/events", ["Authorization": "Bearer a.b.c"])
            #expect(garbage.status == 401)
        }
    }

    @Test(arguments: ["limit=0", "limit=1001", "limit=x", "wait=26", "wait=-1", "room=%0A", "aftr=1"])
    func badParametersAreSaid(query: String) async throws {
        try await HTTPTestServer.with(events: FakeReader()) { server in
            let response = try await server.request(
                "GET",
                "/v1/events?\(query)",
                try await Self.bearer(server)
            )
            #expect(response.status == 400)
        }
    }

    @Test func theReadersRefusalIsAnswered() async throws {
        let reader = FakeReader(
            .failure(GatewayError(.badRequest, "after is no cursor of this server")),
            .failure(GatewayError(.overloaded, "not now", retryAfterMs: 1000))
        )
        try await HTTPTestServer.with(events: reader) { server in
            let headers = try await Self.bearer(server)
            #expect(try await server.request("GET", "/v1/events?after=x", headers).status == 400)
            let busy = try await server.request("GET", "/v1/events", headers)
            #expect(busy.status == 503)
            #expect(busy.headers["retry-after"] == "1")
        }
    }

    /// The reader waits; the route goes on from where it looked, and reports a gap once it has seen one.
    @Test func aWaitGoesOnUntilThereIsSomething() async throws {
        var gap = Self.empty
        gap.hasGap = true
        var skipped = Self.empty
        skipped.next = "abc-8"
        skipped.hasMore = true
        let found = EventList(events: [Array("{}".utf8)], next: "abc-9", hasMore: false, hasGap: false)
        let reader = FakeReader(.success(gap), .success(skipped), .success(found))
        try await HTTPTestServer.with(events: reader) { server in
            let response = try await server.request(
                "GET",
                "/v1/events?after=old-1&wait=25",
                try await Self.bearer(server)
            )
            #expect(response.body == #"{"events":[{}],"next":"abc-9","more":false,"gap":true}"# + "\n")
        }
        #expect(reader.queries.map(\.start) == [.after("old-1"), .after("abc-7"), .after("abc-8")])
        #expect(reader.queries.allSatisfy { $0.wait > .zero && $0.wait <= .seconds(1) })
    }

    @Test func withoutALogThereIsNoSuchPath() async throws {
        try await HTTPTestServer.with { server in
            let response = try await server.request("GET", "/v1/events", try await Self.bearer(server))
            #expect(response.status == 404)
        }
    }
}
