// `GET /v1/events`: the log of events for the chat server, by cursor. Must not know who stores them.
import HTTPTypes
import Hummingbird
import NIOCore
import RTP
import Synchronization

/// What stands behind `GET /v1/events`.
public struct EventBackend: Sendable {
    public var reader: any EventReader
    public var tokens: any ServerTokenVerifier

    public init(reader: any EventReader, tokens: any ServerTokenVerifier) {
        self.reader = reader
        self.tokens = tokens
    }
}

struct EventRoutes: Sendable {
    let backend: EventBackend
    let isDevelopment: Bool
    let rate: RateLimiter
    let isDraining: @Sendable () -> Bool
    let now: @Sendable () -> Instant
    private let waiting = WaitingPulls()

    init(
        backend: EventBackend,
        isDevelopment: Bool,
        rate: RateLimiter,
        isDraining: @escaping @Sendable () -> Bool,
        now: @escaping @Sendable () -> Instant = WhipRoutes.monotonic
    ) {
        self.backend = backend
        self.isDevelopment = isDevelopment
        self.rate = rate
        self.isDraining = isDraining
        self.now = now
    }

    func add(to router: Router<RequestScope>) {
        router.route("/v1/events", [.get: read])
    }

    private func read(_ request: Request, _ scope: RequestScope) async throws -> Response {
        guard scope.client.isLoopback || rate.allows(scope.client.address, at: now()) else {
            throw GatewayError(.rateLimited, "too many requests", retryAfterMs: 1000)
        }
        let access = ServerAccess(tokens: backend.tokens, isDevelopment: isDevelopment)
        let claims = try await access.claims(for: .readEvents, request, from: scope)
        let query = try Self.query(request)
        try claims.check(.readEvents, room: query.room)
        let isWaiting = query.wait > .zero
        guard !isWaiting || waiting.enter() else {
            throw GatewayError(.overloaded, "too many pulls wait", retryAfterMs: 1000)
        }
        defer { if isWaiting { waiting.leave() } }
        return Self.response(try await wait(for: query))
    }

    /// In short steps, because nobody waits for a server that is about to go.
    private func wait(for query: EventQuery) async throws -> EventList {
        let until = now() + query.wait
        var query = query
        var hasGap = false
        while true {
            let left = until - now()
            query.wait = isDraining() ? .zero : max(.zero, min(left, Self.waitStep))
            var list = try await backend.reader.read(query)
            hasGap = hasGap || list.hasGap
            list.hasGap = hasGap
            guard list.events.isEmpty, list.hasMore || query.wait > .zero else { return list }
            query.start = .after(list.next)
        }
    }

    private static let waitStep = Interval.seconds(1)

    private static func query(_ request: Request) throws -> EventQuery {
        let parameters = request.uri.queryParameters
        let known: Set = ["after", "limit", "room", "wait"]
        if let other = parameters.first(where: { !known.contains(String($0.key)) }) {
            throw GatewayError(.badRequest, "there is no parameter \(other.key.prefix(64))")
        }
        func whole(_ name: String, _ range: ClosedRange<Int>, _ fallback: Int) throws -> Int {
            guard let text = parameters[Substring(name)] else { return fallback }
            guard let number = Int(text), range.contains(number) else {
                let bounds = "\(range.lowerBound) to \(range.upperBound)"
                throw GatewayError(.badRequest, "\(name) is a whole number from \(bounds)")
            }
            return number
        }
        let room = parameters["room"].map(String.init)
        if let room, !RequestScope.isName(room) { throw GatewayError(.badRequest, "room is not a name") }
        let start: EventQuery.Start =
            switch parameters["after"] {
            case nil, "": .oldest
            case "newest": .newest
            case .some(let cursor): .after(String(cursor))
            }
        let longest = Int(Limits.Events.pullWait.microseconds / 1_000_000)
        return EventQuery(
            start: start,
            limit: try whole("limit", 1...Limits.Events.page, Limits.Events.defaultPage),
            room: room,
            wait: .seconds(Int64(try whole("wait", 0...longest, 0)))
        )
    }

    private static func response(_ list: EventList) -> Response {
        var body = ByteBuffer()
        body.writeString("{\"events\":[")
        for (index, event) in list.events.enumerated() {
            if index > 0 { body.writeString(",") }
            body.writeBytes(event)
        }
        // Cursors are letters, digits and a hyphen.
        body.writeString("],\"next\":\"\(list.next)\",\"more\":\(list.hasMore),\"gap\":\(list.hasGap)}\n")
        return Response(
            status: .ok,
            headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: .init(byteBuffer: body)
        )
    }
}

/// Counts those that wait.
private final class WaitingPulls: Sendable {
    private let count = Mutex(0)

    func enter() -> Bool {
        count.withLock { count in
            guard count < Limits.Events.waitingPulls else { return false }
            count += 1
            return true
        }
    }

    func leave() { count.withLock { $0 -= 1 } }
}
