// The HTTP side of the gateway as one service: listeners, routes, sockets, certificate, shutdown. Everything runs on
// the gateway's event loop. Must not know rooms or media.
import Hummingbird
import HummingbirdCore
import Logging
import Metrics
import NIOCore
import RTP
import ServiceLifecycle
import Synchronization
import Tracing

import struct Foundation.Date

/// Serves the page, the SDK, signaling sockets, WHIP, WHEP and status.
public final class SignalingServer: Service {
    private typealias Listener = Server<SignalingChannel>

    private let configuration: SignalingConfiguration
    private let eventLoop: any EventLoop
    private let backend: SignalingBackend
    private let certificate: TLSCertificate?
    private let registry: PrometheusRegistry
    private let logger: Logger
    private let channel: SignalingChannel
    private let draining: DrainingFlag
    private let bound = Announcement<[SocketAddress]>()
    /// Of all routes, with `{room}` and the like.
    let paths: Set<String>

    /// - Parameters:
    ///   - gateway: its event loop is the one that everything runs on.
    ///   - tokens: verifies bearer tokens of WHIP and WHEP, and of the REST API if it is a `ServerTokenVerifier`.
    ///   - mediaCounters: shown by `/metrics`.
    ///   - events: what `GET /v1/events` reads; without it there is no such path.
    ///   - unreadiness: nil where the media plane can take sessions, else the reason for `/readyz`.
    /// - Throws: what is wrong with the certificate files.
    public convenience init(
        configuration: SignalingConfiguration,
        gateway: Gateway,
        tokens: any TokenVerifier,
        registry: PrometheusRegistry,
        mediaCounters: MediaCounters,
        events: EventBackend? = nil,
        unreadiness: @escaping @Sendable () async -> String? = { nil },
        tracer: any Tracer = NoOpTracer(),
        logger: Logger
    ) throws {
        let backend = SignalingBackend(
            sockets: GatewaySockets(gateway: gateway),
            whip: gateway,
            tokens: tokens,
            unreadiness: { await gateway.isDrained ? "the server is draining" : await unreadiness() },
            statistics: { await gateway.readStatistics() },
            shutdown: { await gateway.shutdown() },
            events: events,
            administration: gateway,
            serverTokens: tokens as? any ServerTokenVerifier,
            timelines: (tokens as? any ServerTokenVerifier).map { tokens in
                TimelineBackend(tokens: tokens) { pid, room in await gateway.timeline(of: pid, in: room) }
            }
        )
        try self.init(
            configuration: configuration,
            eventLoop: gateway.eventLoop,
            backend: backend,
            registry: registry,
            mediaCounters: mediaCounters,
            tracer: tracer,
            logger: logger
        )
    }

    init(
        configuration: SignalingConfiguration,
        eventLoop: any EventLoop,
        backend: SignalingBackend,
        registry: PrometheusRegistry,
        mediaCounters: MediaCounters,
        tracer: any Tracer = NoOpTracer(),
        logger: Logger
    ) throws {
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.backend = backend
        self.registry = registry
        self.logger = logger
        let draining = DrainingFlag()
        self.draining = draining
        certificate = try configuration.tls.map {
            try TLSCertificate(files: $0, metrics: registry, logger: logger)
        }
        let router = Self.router(configuration, backend, registry, mediaCounters, draining)
        paths = Set(router.routes.map { "\($0.path)" })
        let dispatcher = RequestDispatcher(
            router: router,
            proxies: ProxyPolicy(trusted: configuration.trustedProxies),
            isTLS: certificate != nil,
            metrics: registry,
            tracer: tracer,
            logger: logger
        )
        let hub = NIOLoopBoundBox.makeBoxSendingValue(
            WebSocketHub(delegate: backend.sockets, eventLoop: eventLoop, metrics: registry),
            eventLoop: eventLoop
        )
        channel = SignalingChannel(
            dispatcher: dispatcher,
            certificate: certificate,
            hub: hub,
            firstRequestTimeout: TimeAmount(Limits.HTTP.firstRequestTimeout)
        )
    }

    /// Where it listens, once it does; in the order of the configuration. Throws if it never will.
    public var boundAddresses: [SocketAddress] {
        get async throws { try await bound.value() }
    }

    /// Listens until graceful shutdown or cancellation. Throws where an address cannot be bound.
    public func run() async throws {
        let listeners = configuration.listen.map { address in makeListener(address) }
        eventLoop.execute { [hub = channel.hub] in hub.value.start() }
        defer {
            bound.fail(CancellationError())
            eventLoop.execute { [hub = channel.hub] in hub.value.stop() }
        }
        // The listeners do not see the graceful shutdown themselves: sockets say goodbye first.
        let ended = Announcement<Void>()
        let tasks = listeners.map { listener in
            Task.detached {
                do {
                    try await listener.server.run()
                    ended.succeed(())
                } catch {
                    ended.fail(error)
                }
            }
        }
        do {
            try await serve(listeners.map(\.address), ended)
        } catch {
            for task in tasks { task.cancel() }
            throw error
        }
        draining.set()
        logger.info("shutting down")
        await withinGrace { [backend] in await backend.shutdown() }
        await withinGrace {
            for listener in listeners { try? await listener.server.shutdownGracefully() }
            for task in tasks { await task.value }
        }
        for task in tasks { task.cancel() }
    }

    // MARK: parts

    private struct BoundListener: Sendable {
        let server: Listener
        let address: Announcement<SocketAddress>
    }

    private func makeListener(_ address: ListenAddress) -> BoundListener {
        let announcement = Announcement<SocketAddress>()
        let connections = Limits.HTTP.connections
        let server = Listener(
            childChannelSetup: channel,
            configuration: ServerConfiguration(
                address: .hostname(address.host, port: address.port),
                serverName: nil,
                availableConnectionsDelegate: .maximum(connections, logger: logger)
            ),
            onServerRunning: { channel in
                if let address = channel.localAddress { announcement.succeed(address) }
            },
            eventLoopGroup: eventLoop,
            logger: logger
        )
        return BoundListener(server: server, address: announcement)
    }

    /// Returns when shutdown is asked for; throws when a listener fails.
    private func serve(_ addresses: [Announcement<SocketAddress>], _ ended: Announcement<Void>) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            // What waits for an announcement does not hear a cancellation, but hears these.
            defer {
                ended.succeed(())
                for address in addresses { address.fail(CancellationError()) }
                group.cancelAll()
            }
            group.addTask { try await ended.value() }
            group.addTask { [bound] in
                var all: [SocketAddress] = []
                for address in addresses { all.append(try await address.value()) }
                bound.succeed(all)
                try? await gracefulShutdown()
            }
            if let certificate {
                group.addTask { await Self.watch(certificate) }
            }
            // The first to end says how: a listener by its error, the waiting one by returning.
            try await group.next()
        }
    }

    private static func watch(_ certificate: TLSCertificate) async {
        let pause = Duration.microseconds(Limits.HTTP.certificatePoll.microseconds)
        while (try? await Task.sleep(for: pause)) != nil { certificate.poll() }
    }

    /// Waits for the work, but not longer than the grace.
    private func withinGrace(_ work: @escaping @Sendable () async -> Void) async {
        let done = Announcement<Void>()
        let worker = Task.detached {
            await work()
            done.succeed(())
        }
        let timer = Task.detached {
            try? await Task.sleep(for: .microseconds(Limits.HTTP.shutdownGrace.microseconds))
            done.succeed(())
        }
        try? await done.value()
        worker.cancel()
        timer.cancel()
    }

    private static func router(
        _ configuration: SignalingConfiguration,
        _ backend: SignalingBackend,
        _ registry: PrometheusRegistry,
        _ mediaCounters: MediaCounters,
        _ draining: DrainingFlag
    ) -> Router<RequestScope> {
        let isDevelopment = configuration.isDevelopment
        let router = Router(context: RequestScope.self)
        router.add(
            middleware: EdgeMiddleware(
                cors: OriginPolicy(origins: configuration.corsOrigins, allowsLoopback: isDevelopment)
            )
        )
        WebFileRoutes(frameAncestors: configuration.origins).add(to: router)
        StatusRoutes(
            isDevelopment: isDevelopment,
            version: configuration.version,
            metricsToken: configuration.metricsToken,
            registry: registry,
            mediaCounters: mediaCounters,
            statistics: backend.statistics,
            unreadiness: { draining.isSet ? "the server is restarting" : await backend.unreadiness() }
        ).add(to: router)
        UpgradeRoute(
            origins: OriginPolicy(origins: configuration.origins, allowsLoopback: isDevelopment),
            isDraining: { draining.isSet }
        ).add(to: router)
        let perSecond = configuration.requestsPerSecond
        let rate = RateLimiter(
            perSecond: perSecond,
            burst: perSecond * Limits.HTTP.requestBurst / Limits.HTTP.requestsPerSecond
        )
        if let timelines = backend.timelines {
            TimelineRoutes(backend: timelines, isDevelopment: isDevelopment, rate: rate).add(to: router)
        }
        WhipRoutes(
            gateway: backend.whip,
            tokens: backend.tokens,
            isDevelopment: isDevelopment,
            rate: rate,
            isDraining: { draining.isSet }
        ).add(to: router)
        if let events = backend.events {
            EventRoutes(
                backend: events,
                isDevelopment: isDevelopment,
                rate: rate,
                isDraining: { draining.isSet }
            ).add(to: router)
        }
        if let rooms = backend.administration, let tokens = backend.serverTokens {
            let operations = RESTOperations(
                rooms: rooms,
                tokens: tokens,
                mintsTokens: configuration.mintsTokens
            ).all
            RESTRoutes(
                operations: operations,
                tokens: tokens,
                isDevelopment: isDevelopment,
                rate: rate,
                isDraining: { draining.isSet }
            ).add(to: router)
        }
        return router
    }
}

/// What stands behind the HTTP side.
struct SignalingBackend: Sendable {
    var sockets: any SignalingSocketDelegate
    var whip: any WhipGateway
    var tokens: any TokenVerifier
    var unreadiness: @Sendable () async -> String?
    var statistics: @Sendable () async -> GatewayStatistics
    var shutdown: @Sendable () async -> Void
    var events: EventBackend?
    /// nil, or no tokens of servers: there is no REST API.
    var administration: (any RoomAdministration)?
    var serverTokens: (any ServerTokenVerifier)?
    var timelines: TimelineBackend?
}

/// Set once, when shutdown begins.
final class DrainingFlag: Sendable {
    private let flag = Atomic<Bool>(false)

    var isSet: Bool { flag.load(ordering: .relaxed) }
    func set() { flag.store(true, ordering: .relaxed) }
}

/// A value that somebody will announce, once; any number may wait.
final class Announcement<Value: Sendable>: Sendable {
    private struct State {
        var result: Result<Value, any Error>?
        var waiting: [CheckedContinuation<Value, any Error>] = []
    }

    private let state = Mutex(State())

    func succeed(_ value: Value) { announce(.success(value)) }
    /// Does nothing after a success.
    func fail(_ error: any Error) { announce(.failure(error)) }

    func value() async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let known = state.withLock { state in
                if state.result == nil { state.waiting.append(continuation) }
                return state.result
            }
            if let known { continuation.resume(with: known) }
        }
    }

    private func announce(_ result: Result<Value, any Error>) {
        let waiting = state.withLock { state in
            guard state.result == nil else { return [CheckedContinuation<Value, any Error>]() }
            state.result = result
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume(with: result) }
    }
}
