// A whole server on a port of loopback, with sockets that echo and a WHIP gateway that does as it is told.
import Logging
import NIOCore
import NIOPosix
import RTP
import SDP
import Seam
import ServiceLifecycle
import Synchronization

@testable import Signaling

/// Answers "close:CODE" by closing, "pause" by reading no more, everything else by an echo.
final class EchoSockets: SignalingSocketDelegate {
    enum Event: Equatable, Sendable {
        case opened(SignalingRequest)
        case received(String)
        case closed
    }

    private struct State {
        var sockets: [ConnectionID: NIOLoopBound<any SignalingSocket>] = [:]
        var lastID: UInt64 = 0
    }

    let eventLoop: any EventLoop
    let events: AsyncStream<Event>
    private let continuation: AsyncStream<Event>.Continuation
    private let state = Mutex(State())

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        (events, continuation) = AsyncStream.makeStream(of: Event.self)
    }

    var openCount: Int { state.withLock { $0.sockets.count } }

    func socketOpened(_ socket: any SignalingSocket, request: SignalingRequest) -> ConnectionID {
        let bound = NIOLoopBound(socket, eventLoop: eventLoop)
        continuation.yield(.opened(request))
        return state.withLock { state in
            state.lastID += 1
            let id = ConnectionID(rawValue: state.lastID)
            state.sockets[id] = bound
            return id
        }
    }

    func socketReceived(_ text: ByteBuffer, on id: ConnectionID) {
        continuation.yield(.received(String(buffer: text)))
        guard let socket = state.withLock({ $0.sockets[id] })?.value else { return }
        let message = String(buffer: text)
        if message.hasPrefix("close:"), let code = UInt16(message.dropFirst(6)) {
            socket.close(code: code, reason: "as told")
        } else {
            socket.send(text: text)
        }
    }

    func socketWritabilityChanged(_ id: ConnectionID, isWritable: Bool) {}

    func socketClosed(_ id: ConnectionID) {
        _ = state.withLock { $0.sockets.removeValue(forKey: id) }
        continuation.yield(.closed)
    }
}

/// Opens, patches and ends what the test says.
final class FakeWhip: WhipGateway {
    struct Opened: Equatable, Sendable {
        var room: String
        var claims: Claims
        var kind: WhipKind
    }

    struct State {
        var openResult: Result<WhipSession, GatewayError> = .success(
            WhipSession(
                session: SessionID("se_0123456789abcdef0123456789abcdef"),
                answer: "v=0\r\n",
                etag: "\"e1\""
            )
        )
        var patchResult: Result<WhipPatch, GatewayError> = .success(.trickled)
        var owners: [SessionID: UserID] = [:]
        var opened: [Opened] = []
        var ended: [SessionID] = []
        var ifMatch: [String?] = []
    }

    let state = Mutex(State())

    func openWhipSession(
        room: String,
        claims: Claims,
        offer: Offer,
        kind: WhipKind,
        remoteAddress: String
    ) async throws -> WhipSession {
        try state.withLock {
            $0.opened.append(Opened(room: room, claims: claims, kind: kind))
            let session = try $0.openResult.get()
            $0.owners[session.session] = claims.user
            return session
        }
    }

    func restartICE(session: SessionID, fragment: ICEFragment, ifMatch: String?) async throws -> WhipPatch {
        try state.withLock {
            $0.ifMatch.append(ifMatch)
            return try $0.patchResult.get()
        }
    }

    func endSession(_ id: SessionID) async -> Bool {
        state.withLock {
            $0.ended.append(id)
            return $0.owners.removeValue(forKey: id) != nil
        }
    }

    func owner(of id: SessionID) async -> UserID? { state.withLock { $0.owners[id] } }
}

struct HTTPTestServer: Sendable {
    static let secret = "a-secret-of-tests-with-enough-bytes-in-it"

    static let statistics: GatewayStatistics = {
        var statistics = GatewayStatistics()
        statistics.rooms = 3
        statistics.joins = 9
        statistics.errors = [.forbidden: 2, .badRequest: 1]
        statistics.closes = [.kicked: 4]
        statistics.shed = [.levels: 5]
        return statistics
    }()

    let address: SocketAddress
    let sockets: EchoSockets
    let whip: FakeWhip
    let tokens: TokenService
    let registry: PrometheusRegistry
    let mediaCounters: MediaCounters
    let shutdown: @Sendable () async -> Void

    func connect() async throws -> RawClient { try await RawClient.connect(address) }

    /// One request on a connection of its own.
    func request(
        _ method: String,
        _ path: String,
        _ headers: [String: String] = [:],
        body: String? = nil
    ) async throws -> RawClient.Response {
        let client = try await connect()
        defer { client.close() }
        return try await client.request(method, path, headers, body: body)
    }

    /// Runs a server for the length of `body`.
    static func with(
        _ change: (inout SignalingConfiguration) -> Void = { _ in },
        unreadiness: String? = nil,
        events: (any EventReader)? = nil,
        timelines: (@Sendable (ParticipantID, RoomID) async -> TimelineReport?)? = nil,
        _ body: (HTTPTestServer) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let eventLoop = group.next()
        var configuration = SignalingConfiguration(
            listen: [ListenAddress(host: "127.0.0.1", port: 0)],
            version: "1.2.3"
        )
        change(&configuration)
        let sockets = EchoSockets(eventLoop: eventLoop)
        let whip = FakeWhip()
        let tokens = try await TokenService(keys: ["test": secret])
        let registry = PrometheusRegistry()
        let mediaCounters = MediaCounters()
        let backend = SignalingBackend(
            sockets: sockets,
            whip: whip,
            tokens: tokens,
            unreadiness: { unreadiness },
            statistics: { Self.statistics },
            shutdown: {},
            events: events.map { EventBackend(reader: $0, tokens: tokens) },
            timelines: timelines.map { TimelineBackend(tokens: tokens, read: $0) }
        )
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let server = try SignalingServer(
            configuration: configuration,
            eventLoop: eventLoop,
            backend: backend,
            registry: registry,
            mediaCounters: mediaCounters,
            logger: logger
        )
        let services = ServiceGroup(services: [server], logger: logger)
        let running = Task { try await services.run() }
        let address = try await server.boundAddresses[0]
        let result: Result<Void, any Error>
        do {
            try await body(
                HTTPTestServer(
                    address: address,
                    sockets: sockets,
                    whip: whip,
                    tokens: tokens,
                    registry: registry,
                    mediaCounters: mediaCounters,
                    shutdown: {
                        await services.triggerGracefulShutdown()
                        _ = try? await running.value
                    }
                )
            )
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await services.triggerGracefulShutdown()
        _ = try? await running.value
        try await group.shutdownGracefully()
        try result.get()
    }
}

/// Headers of a legal upgrade request.
func upgradeHeaders(_ change: [String: String?] = [:]) -> [String: String] {
    var headers = [
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "sfu.v1+json",
    ]
    for (name, value) in change { headers[name] = value }
    return headers
}
