// Who may open a signaling socket: the checks before the upgrade. Must not know frames or messages.
import HTTPTypes
import Hummingbird
import NIOCore

struct UpgradeRoute: Sendable {
    static let path = "/v1/rooms/{room}/signal"
    static let subprotocol = ProtocolVersion.subprotocol

    let origins: OriginPolicy
    let isDraining: @Sendable () -> Bool

    func add(to router: Router<RequestScope>) {
        router.route(Self.path, [.get: { request, scope in try respond(request, scope) }])
    }

    /// 101 with the box filled, or the refusal. A refused upgrade comes a second time without a box, so that the
    /// refusal is written: the order of the checks is the same.
    private func respond(_ request: Request, _ scope: RequestScope) throws -> Response {
        let headers = request.headers
        try checkHandshake(headers)
        let room = try scope.name("room")
        let origin = headers[.origin]
        guard origins.allows(origin: origin, host: scope.client.host) else {
            throw Problem(
                .forbidden,
                "pages of \(origin ?? "this origin") may not open sockets here; the server's list of "
                    + "origins says who may",
                code: .forbidden
            )
        }
        let offered = Self.list(headers[values: .secWebSocketProtocol])
        guard offered.contains(Self.subprotocol) else {
            throw Problem(
                .badRequest,
                "the subprotocol \(Self.subprotocol) must be offered in Sec-WebSocket-Protocol",
                code: .badRequest
            )
        }
        guard !isDraining() else {
            throw Problem(
                .serviceUnavailable,
                "the server is restarting",
                code: .overloaded,
                headers: [.retryAfter: "2"]
            )
        }
        guard let upgrade = scope.upgrade else {
            throw Self.upgradeRequired("only the first request of a connection can become a WebSocket")
        }
        upgrade.accept(
            SignalingRequest(
                room: room,
                remoteAddress: scope.client.address,
                origin: origin,
                userAgent: headers[.userAgent],
                traceparent: headers[headerName("traceparent")],
                tracestate: headers[headerName("tracestate")]
            )
        )
        return Response(
            status: .switchingProtocols,
            headers: [.secWebSocketProtocol: Self.subprotocol]
        )
    }

    /// RFC 6455 §4.2.1.
    private func checkHandshake(_ headers: HTTPFields) throws {
        guard Self.list(headers[values: .upgrade]).contains("websocket") else {
            throw Self.upgradeRequired("this path speaks WebSocket only")
        }
        guard Self.list(headers[values: .connection]).contains("upgrade") else {
            throw Problem(.badRequest, "Connection: Upgrade is missing", code: .badRequest)
        }
        guard headers[.secWebSocketVersion] == "13" else {
            throw Self.upgradeRequired("only WebSocket version 13 is spoken here")
        }
        guard headers[values: .secWebSocketKey].count == 1, Self.isKey(headers[.secWebSocketKey] ?? "") else {
            throw Problem(.badRequest, "Sec-WebSocket-Key is not 16 bytes in base64", code: .badRequest)
        }
    }

    private static func upgradeRequired(_ detail: String) -> Problem {
        Problem(
            .upgradeRequired,
            detail,
            code: .badRequest,
            headers: [.upgrade: "websocket", .connection: "upgrade", .secWebSocketVersion: "13"]
        )
    }

    /// 16 bytes are 22 characters and two signs of padding.
    private static func isKey(_ key: String) -> Bool {
        let bytes = Array(key.utf8)
        guard bytes.count == 24, bytes.suffix(2).elementsEqual("==".utf8) else { return false }
        return bytes.dropLast(2).allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                true
            default: false
            }
        }
    }

    /// Comma-separated members of a header, in lower case.
    private static func list(_ values: [String]) -> [String] {
        values.flatMap { $0.split(separator: ",") }
            .compactMap { $0.split(whereSeparator: \.isWhitespace).first?.lowercased() }
    }
}
