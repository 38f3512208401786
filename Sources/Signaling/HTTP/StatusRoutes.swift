// Liveness, readiness, metrics and the public configuration. Must not know rooms or media.
import HTTPTypes
import Hummingbird
import NIOCore
import NIOFoundationCompat

import class Foundation.JSONEncoder

struct StatusRoutes: Sendable {
    let isDevelopment: Bool
    let version: String
    let metricsToken: String?
    let registry: PrometheusRegistry
    let mediaCounters: MediaCounters
    let statistics: @Sendable () async -> GatewayStatistics
    /// nil where all is well, else why no new client should be sent here.
    let unreadiness: @Sendable () async -> String?

    func add(to router: Router<RequestScope>) {
        router.route("/healthz", [.get: { _, _ in Self.text("ok\n") }])
        router.route("/readyz", [.get: { _, _ in try await readiness() }])
        router.route("/metrics", [.get: { request, _ in try await metrics(request) }])
        router.route("/v1/config", [.get: { _, _ in try configuration() }])
    }

    private func readiness() async throws -> Response {
        if let reason = await unreadiness() {
            throw Problem(.serviceUnavailable, reason, code: .notReady, headers: [.retryAfter: "2"])
        }
        return Self.text("ready\n")
    }

    private func metrics(_ request: Request) async throws -> Response {
        if let metricsToken {
            guard let sent = BearerToken.read(request.headers), BearerToken.isEqual(sent, metricsToken) else {
                throw Problem(
                    .unauthorized,
                    "a bearer token is needed",
                    code: .unauthenticated,
                    headers: [.wwwAuthenticate: "Bearer"]
                )
            }
        }
        var text = PrometheusText()
        registry.write(to: &text)
        await statistics().write(to: &text)
        mediaCounters.write(to: &text)
        return Self.text(text.text, type: PrometheusText.contentType)
    }

    private func configuration() throws -> Response {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let json = try encoder.encode(PublicConfiguration(dev: isDevelopment, version: version))
        var response = Response(status: .ok, body: .init(byteBuffer: ByteBuffer(data: json)))
        response.headers[.contentType] = "application/json"
        response.headers[.cacheControl] = "no-cache"
        return response
    }

    private static func text(_ text: String, type: String = "text/plain; charset=utf-8") -> Response {
        Response(
            status: .ok,
            headers: [.contentType: type, .cacheControl: "no-store"],
            body: .init(byteBuffer: ByteBuffer(string: text))
        )
    }
}

/// The JSON of `GET /v1/config`.
struct PublicConfiguration: Codable, Sendable {
    /// Requests without a token are allowed.
    var dev: Bool
    /// Of the server.
    var version: String
}

/// `Authorization: Bearer …` (RFC 6750 §2.1).
enum BearerToken {
    static func read(_ headers: HTTPFields) -> String? {
        guard let value = headers[.authorization] else { return nil }
        let parts = value.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        let token = parts[1].drop { $0 == " " }
        return token.isEmpty ? nil : String(token)
    }

    /// Takes as long for a wrong token as for the right one.
    static func isEqual(_ a: String, _ b: String) -> Bool {
        let a = Array(a.utf8)
        let b = Array(b.utf8)
        var difference = a.count ^ b.count
        for index in b.indices { difference |= Int(b[index] ^ (index < a.count ? a[index] : 0)) }
        return difference == 0
    }
}
