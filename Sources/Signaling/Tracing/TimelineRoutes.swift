// `GET /v1/rooms/{room}/participants/{pid}/timeline`: what happened to one participant, for whoever runs the chat.
// Must not know how timelines are kept.
import HTTPTypes
import Hummingbird
import NIOCore
import NIOFoundationCompat
import RTP
import Seam

import class Foundation.JSONEncoder

/// What stands behind the route.
struct TimelineBackend: Sendable {
    var tokens: any ServerTokenVerifier
    /// nil where nothing is known of such a participant.
    var read: @Sendable (ParticipantID, RoomID) async -> TimelineReport?
}

struct TimelineRoutes: Sendable {
    let backend: TimelineBackend
    let isDevelopment: Bool
    let rate: RateLimiter
    let now: @Sendable () -> Instant

    init(
        backend: TimelineBackend,
        isDevelopment: Bool,
        rate: RateLimiter,
        now: @escaping @Sendable () -> Instant = WhipRoutes.monotonic
    ) {
        self.backend = backend
        self.isDevelopment = isDevelopment
        self.rate = rate
        self.now = now
    }

    func add(to router: Router<RequestScope>) {
        router.route("/v1/rooms/{room}/participants/{pid}/timeline", [.get: read])
    }

    private func read(_ request: Request, _ scope: RequestScope) async throws -> Response {
        guard scope.client.isLoopback || rate.allows(scope.client.address, at: now()) else {
            throw GatewayError(.rateLimited, "too many requests", retryAfterMs: 1000)
        }
        let room = try scope.name("room")
        let pid = try scope.name("pid")
        try await authorize(request, scope, room: room)
        guard let report = await backend.read(ParticipantID(pid), RoomID(room)) else {
            throw Problem(.notFound, "nothing is known of this participant", code: .notFound)
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Response(
            status: .ok,
            headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: .init(byteBuffer: ByteBuffer(data: try encoder.encode(report)))
        )
    }

    private func authorize(_ request: Request, _ scope: RequestScope, room: String) async throws {
        let access = ServerAccess(tokens: backend.tokens, isDevelopment: isDevelopment)
        try await access.claims(for: .readRooms, request, from: scope).check(.readRooms, room: room)
    }
}
