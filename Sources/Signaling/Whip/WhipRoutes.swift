// WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) over HTTP: status codes, headers and tokens. Must not know what
// a session is made of; the gateway answers offers.
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import RTP
import SDP
import Seam

/// The gateway as WHIP and WHEP see it; see `Gateway` for what each throws.
protocol WhipGateway: Sendable {
    func openWhipSession(
        room: String,
        claims: Claims,
        offer: Offer,
        kind: WhipKind,
        remoteAddress: String
    ) async throws -> WhipSession
    func restartICE(session: SessionID, fragment: ICEFragment, ifMatch: String?) async throws -> WhipPatch
    func endSession(_ id: SessionID) async -> Bool
    func owner(of id: SessionID) async -> UserID?
}

extension Gateway: WhipGateway {}

struct WhipRoutes: Sendable {
    static let offerType = "application/sdp"
    static let fragmentType = "application/trickle-ice-sdpfrag"
    static let acceptPost = headerName("accept-post")
    static let acceptPatch = headerName("accept-patch")

    let gateway: any WhipGateway
    let access: WhipAccess
    let rate: RateLimiter
    let isDraining: @Sendable () -> Bool
    let now: @Sendable () -> Instant

    init(
        gateway: any WhipGateway,
        tokens: any TokenVerifier,
        isDevelopment: Bool,
        rate: RateLimiter,
        isDraining: @escaping @Sendable () -> Bool,
        now: @escaping @Sendable () -> Instant = Self.monotonic
    ) {
        self.gateway = gateway
        self.access = WhipAccess(tokens: tokens, isDevelopment: isDevelopment)
        self.rate = rate
        self.isDraining = isDraining
        self.now = now
    }

    func add(to router: Router<RequestScope>) {
        let endpoint: HTTPFields = [Self.acceptPost: Self.offerType]
        router.route(
            "/whip/{room}/{participant}",
            headers: endpoint,
            [.get: { _, _ in Response(status: .noContent) }, .post: publish]
        )
        router.route(
            "/whep/{room}/{participant}",
            headers: endpoint,
            [.get: { _, _ in Response(status: .noContent) }, .head: Self.discover, .post: watchParticipant]
        )
        router.route(
            "/whep/{room}",
            headers: endpoint,
            [.get: { _, _ in Response(status: .noContent) }, .head: Self.discover, .post: watchRoom]
        )
        let session: [HTTPRequest.Method: RouteHandler] = [.get: probe, .patch: patch, .delete: end]
        let patchable: HTTPFields = [Self.acceptPatch: Self.fragmentType]
        router.route("/whip/{room}/{participant}/{session}", headers: patchable, session)
        router.route("/whep/{room}/{participant}/{session}", headers: patchable, session)
    }

    // MARK: endpoints

    private func publish(_ request: Request, _ scope: RequestScope) async throws -> Response {
        try admit(scope)
        let room = try scope.name("room")
        let participant = try scope.name("participant")
        let claims = try await access.publisher(participant, room: room, request)
        let offer = try await readOffer(request, scope)
        guard offer.sections.contains(where: { $0.kind.media != nil && $0.direction.sends }) else {
            throw Problem(.unprocessableContent, "the offer sends nothing", code: .unsupported)
        }
        let session = try await open(.whip, room, claims, offer, scope)
        return created(session, path: ["whip", room, participant], request, scope)
    }

    private func watchParticipant(_ request: Request, _ scope: RequestScope) async throws -> Response {
        try admit(scope)
        let room = try scope.name("room")
        let participant = try scope.name("participant")
        let claims = try await access.viewer(me: nil, room: room, request)
        let offer = try await readViewerOffer(request, scope)
        let session = try await open(.whepParticipant(UserID(participant)), room, claims, offer, scope)
        return created(session, path: ["whep", room, participant], request, scope)
    }

    private func watchRoom(_ request: Request, _ scope: RequestScope) async throws -> Response {
        try admit(scope)
        let room = try scope.name("room")
        let me = request.uri.queryParameters["me"].map(String.init)
        if let me, !RequestScope.isName(me) {
            throw Problem(.badRequest, "me in the query is not a name", code: .badRequest)
        }
        let claims = try await access.viewer(me: me, room: room, request)
        let offer = try await readViewerOffer(request, scope)
        let session = try await open(.whepRoom(me: claims.user), room, claims, offer, scope)
        return created(session, path: ["whep", room, claims.user.rawValue], request, scope)
    }

    /// WHEP §4: a player finds out what an endpoint takes.
    private static let discover: RouteHandler = { _, _ in
        Response(status: .ok, headers: [.contentType: offerType])
    }

    private func open(
        _ kind: WhipKind,
        _ room: String,
        _ claims: Claims,
        _ offer: Offer,
        _ scope: RequestScope
    ) async throws -> WhipSession {
        try await gateway.openWhipSession(
            room: room,
            claims: claims,
            offer: offer,
            kind: kind,
            remoteAddress: scope.client.address
        )
    }

    private func created(
        _ session: WhipSession,
        path: [String],
        _ request: Request,
        _ scope: RequestScope
    ) -> Response {
        let path = "/" + (path + [session.session.rawValue]).map(PercentCoding.encode).joined(separator: "/")
        return Response(
            status: .created,
            headers: [
                .contentType: Self.offerType, .location: Self.location(path, scope.client),
                .eTag: session.etag,
                Self.acceptPatch: Self.fragmentType, .cacheControl: "no-store",
            ],
            body: .init(byteBuffer: ByteBuffer(string: session.answer))
        )
    }

    /// Absolute, for clients that cannot resolve a path; but only where our own URL is beyond doubt.
    static func location(_ path: String, _ client: ClientInfo) -> String {
        guard let host = client.host, !client.isBehindUnknownProxy else { return path }
        return "\(client.scheme)://\(host)\(path)"
    }

    // MARK: sessions

    private func probe(_ request: Request, _ scope: RequestScope) async throws -> Response {
        _ = try await knownSession(scope)
        return Response(status: .noContent)
    }

    private func patch(_ request: Request, _ scope: RequestScope) async throws -> Response {
        try admit(scope)
        let room = try scope.name("room")
        let bearer = try await access.holder(room: room, request)
        let (session, owner) = try await knownSession(scope)
        try bearer.check(owns: owner)
        try Self.check(request, type: Self.fragmentType, [Self.acceptPatch: Self.fragmentType])
        guard let ifMatch = request.headers[.ifMatch] else {
            throw Problem(.preconditionRequired, "If-Match is needed", code: .badRequest)
        }
        let text = try await Self.text(of: request, scope, limit: Limits.HTTP.fragmentBytes)
        let fragment = try Self.parse("fragment") { () throws(SDPError) in try ICEFragment(parsing: text) }
        do {
            switch try await gateway.restartICE(session: session, fragment: fragment, ifMatch: ifMatch) {
            case .trickled:
                return Response(status: .noContent)
            case .restarted(let fragment, let etag):
                return Response(
                    status: .ok,
                    headers: [.contentType: Self.fragmentType, .eTag: etag, .cacheControl: "no-store"],
                    body: .init(byteBuffer: ByteBuffer(string: fragment))
                )
            }
        } catch let error as GatewayError where error.code == .conflict {
            throw Problem(.preconditionFailed, error.message, code: .conflict)
        }
    }

    private func end(_ request: Request, _ scope: RequestScope) async throws -> Response {
        try admit(scope)
        let room = try scope.name("room")
        let bearer = try await access.holder(room: room, request)
        let (session, owner) = try await knownSession(scope)
        try bearer.check(owns: owner)
        guard await gateway.endSession(session) else { throw Problem.notFound }
        return Response(status: .ok)
    }

    private func knownSession(_ scope: RequestScope) async throws -> (SessionID, UserID) {
        let id = SessionID(try scope.name("session"))
        guard let owner = await gateway.owner(of: id) else {
            throw Problem(.notFound, "there is no such session", code: .notFound)
        }
        return (id, owner)
    }

    // MARK: requests

    /// Counts the request against its sender.
    private func admit(_ scope: RequestScope) throws {
        guard !isDraining() else {
            throw Problem(
                .serviceUnavailable,
                "the server is restarting",
                code: .overloaded,
                headers: [.retryAfter: "2"]
            )
        }
        guard scope.client.isLoopback || rate.allows(scope.client.address, at: now()) else {
            throw Problem(
                .tooManyRequests,
                "too many requests",
                code: .rateLimited,
                headers: [.retryAfter: "1"]
            )
        }
    }

    private func readViewerOffer(_ request: Request, _ scope: RequestScope) async throws -> Offer {
        let offer = try await readOffer(request, scope)
        guard offer.sections.contains(where: { $0.kind.media != nil && $0.direction.receives }) else {
            throw Problem(.unprocessableContent, "the offer receives nothing", code: .unsupported)
        }
        return offer
    }

    private func readOffer(_ request: Request, _ scope: RequestScope) async throws -> Offer {
        try Self.check(request, type: Self.offerType, [Self.acceptPost: Self.offerType])
        let text = try await Self.text(of: request, scope, limit: Limits.HTTP.offerBytes)
        return try Self.parse("offer") { () throws(SDPError) in try Offer(parsing: text) }
    }

    private static func parse<Value>(_ what: String, _ read: () throws(SDPError) -> Value) throws -> Value {
        do {
            return try read()
        } catch {
            throw Problem(.badRequest, "the \(what) cannot be read: \(error)", code: .badRequest)
        }
    }

    /// Parameters of the media type ("; charset=utf-8") are passed over.
    private static func check(_ request: Request, type: String, _ headers: HTTPFields) throws {
        let sent = request.headers[.contentType]?.split(separator: ";").first?
            .split(whereSeparator: \.isWhitespace).first?.lowercased()
        guard sent == type else {
            throw Problem(
                .unsupportedMediaType,
                "Content-Type must be \(type)",
                code: .unsupported,
                headers: headers
            )
        }
    }

    static func text(of request: Request, _ scope: RequestScope, limit: Int) async throws -> String {
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limit {
            throw Problem(.contentTooLarge, "at most \(limit) bytes", code: .tooLarge)
        }
        let timer = scope.channel.eventLoop.scheduleTask(in: TimeAmount(Limits.HTTP.bodyTimeout)) {
            scope.channel.close(promise: nil)
        }
        defer { timer.cancel() }
        var body = ByteBuffer()
        for try await var part in request.body {
            guard body.readableBytes + part.readableBytes <= limit else {
                throw Problem(.contentTooLarge, "at most \(limit) bytes", code: .tooLarge)
            }
            body.writeBuffer(&part)
        }
        guard MessageAssembler.isUTF8(body) else {
            throw Problem(.badRequest, "the body is not UTF-8", code: .badRequest)
        }
        return String(buffer: body)
    }

    private static let clockStart = ContinuousClock.now

    static let monotonic: @Sendable () -> Instant = { Instant(clockStart.duration(to: .now)) }
}
