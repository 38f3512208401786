// The whole signaling plane over loopback with real tokens, and a caller of its REST API.
import Foundation
import Logging
import NIOCore
import NIOPosix
import RTP
import Seam
import ServiceLifecycle
import Synchronization
import Testing

@testable import Signaling

struct RESTTestServer: Sendable {
    static let secret = "a-secret-of-tests-with-enough-bytes-in-it"

    struct Answer {
        var status: Int
        var headers: [String: String]
        var text: String
        var json: [String: Any]

        var code: String? { json["code"] as? String }
        var tag: String? { headers["etag"] }
        func list(_ key: String) -> [[String: Any]] { json[key] as? [[String: Any]] ?? [] }
    }

    let address: SocketAddress
    let gateway: Gateway
    let media: FakeMediaPlane
    let tokens: TokenService
    /// Of all routes.
    let paths: Set<String>
    let guests = GuestBook()

    static func with(
        isDevelopment: Bool = false,
        mintsTokens: Bool = false,
        trustsProxies: Bool = false,
        events: (any EventReader)? = nil,
        _ body: (RESTTestServer) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let media = FakeMediaPlane()
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let tokens =
            if isDevelopment { try await TokenService.development() } else {
                try await TokenService(keys: ["chat": secret, "other": secret + "2"])
            }
        let gateway = Gateway(
            eventLoop: group.next(),
            media: media,
            verifier: tokens,
            configuration: GatewayConfiguration(isDevelopment: isDevelopment),
            logger: logger,
            clock: WhipRoutes.monotonic,
            wallClock: { UInt64(Date().timeIntervalSince1970 * 1000) }
        )
        let server = try SignalingServer(
            configuration: SignalingConfiguration(
                listen: [ListenAddress(host: "127.0.0.1", port: 0)],
                isDevelopment: isDevelopment,
                trustedProxies: trustsProxies ? [AddressRange("127.0.0.1/32")].compactMap { $0 } : [],
                mintsTokens: mintsTokens
            ),
            gateway: gateway,
            tokens: tokens,
            registry: PrometheusRegistry(),
            mediaCounters: MediaCounters(),
            events: events.map { EventBackend(reader: $0, tokens: tokens) },
            logger: logger
        )
        await gateway.start()
        let services = ServiceGroup(services: [server], logger: logger)
        let running = Task { try await services.run() }
        let address = try await server.boundAddresses[0]
        let result: Result<Void, any Error>
        let tested = RESTTestServer(
            address: address,
            gateway: gateway,
            media: media,
            tokens: tokens,
            paths: server.paths
        )
        do {
            try await body(tested)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        for guest in tested.guests.all { await gateway.closed(guest) }
        await services.triggerGracefulShutdown()
        _ = try? await running.value
        try await group.shutdownGracefully()
        try result.get()
    }

    func token(
        _ scopes: ServerScope...,
        key: String = "chat",
        room: String? = nil,
        lifetime: Interval = .seconds(60)
    ) async throws -> String {
        try await tokens.mintServer(
            ServerClaims(keyID: key, scopes: Set(scopes), room: room),
            lifetime: lifetime
        )
    }

    /// With a token of all scopes, unless `token` is another one; "" is none.
    func call(
        _ method: String,
        _ path: String,
        _ body: String? = nil,
        token: String? = nil,
        headers: [String: String] = [:]
    ) async throws -> Answer {
        let key = await gateway.configuration.isDevelopment ? TokenService.developmentKeyID : "chat"
        let bearer: String
        if let token {
            bearer = token
        } else {
            bearer = try await tokens.mintServer(
                ServerClaims(keyID: key, scopes: Set(ServerScope.allCases)),
                lifetime: .seconds(60)
            )
        }
        var all = headers
        if !bearer.isEmpty { all["Authorization"] = "Bearer \(bearer)" }
        if body != nil, all["Content-Type"] == nil { all["Content-Type"] = "application/json" }
        let client = try await RawClient.connect(address)
        defer { client.close() }
        let response = try await client.request(method, path, all, body: body)
        let fault = HTTPContract.fault(
            method: method,
            target: path,
            status: response.status,
            type: response.headers["content-type"],
            body: response.body
        )
        #expect(fault == nil)
        let json = try? JSONSerialization.jsonObject(with: Data(response.body.utf8)) as? [String: Any]
        return Answer(
            status: response.status,
            headers: response.headers,
            text: response.body,
            json: json ?? [:]
        )
    }

    /// Somebody in a room, without a wire.
    func join(_ user: String, room: String = "standup", grants: Grants = .development) async throws
        -> Guest
    {
        let token = try await tokens.mint(
            Claims(room: room, user: UserID(user), name: user.capitalized, grants: grants),
            keyID: await gateway.configuration.isDevelopment ? TokenService.developmentKeyID : "chat",
            lifetime: .seconds(60)
        )
        return try await Guest.join(token, room: room, gateway, guests)
    }
}

/// Whose sockets have to close at the end.
final class GuestBook: Sendable {
    private let ids = Mutex<[ConnectionID]>([])

    var all: [ConnectionID] { ids.withLock { $0 } }
    func add(_ id: ConnectionID) { ids.withLock { $0.append(id) } }
}

/// A participant of a gateway that runs by itself.
final class Guest: Sendable {
    let socket: FakeSocket
    let id: ConnectionID
    let pid: String

    private init(_ socket: FakeSocket, _ id: ConnectionID, _ pid: String) {
        self.socket = socket
        self.id = id
        self.pid = pid
    }

    static func join(_ token: String, room: String, _ gateway: Gateway, _ book: GuestBook) async throws
        -> Guest
    {
        let socket = FakeSocket()
        let request = SignalingRequest(room: room, remoteAddress: "192.0.2.9")
        let id = await gateway.opened(socket, request: request)
        book.add(id)
        await gateway.received(
            ByteBuffer(string: #"{"type":"hello","data":{"token":"\#(token)"}}"#),
            on: id
        )
        let welcome = try await message("welcome", on: socket, gateway)
        return Guest(socket, id, welcome.string("data", "pid") ?? "")
    }

    /// Waits for it; the gateway has it sent sooner or later.
    func message(_ type: String, _ gateway: Gateway) async throws -> Message {
        try await Self.message(type, on: socket, gateway)
    }

    private static func message(_ type: String, on socket: FakeSocket, _ gateway: Gateway) async throws
        -> Message
    {
        while true {
            for text in socket.with({ $0.texts }) {
                let message = try Message(text)
                if message.type == type { return message }
            }
            if let code = socket.with({ $0.closed }) { throw RawClientError("closed with \(code)") }
            try? await gateway.eventLoop.submit {}.get()
            await Task.yield()
        }
    }

    func send(_ text: String, _ gateway: Gateway) async {
        await gateway.received(ByteBuffer(string: text), on: id)
    }
}
