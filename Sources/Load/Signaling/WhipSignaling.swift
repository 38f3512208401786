// Joins over WHIP (RFC 9725) or WHEP with POST, leaves with DELETE: one exchange after the other. Must not know media.
import CLinux
import Foundation
import Glibc

final class WhipSignaling: Signaling {
    private enum State {
        case waiting
        case asking(HTTPExchange)
        /// Answered; the session's URL by its path.
        case joined(path: String?)
        case leaving(HTTPExchange)
        case ended
    }

    private static let retryAfter: Int64 = 200_000_000

    private(set) var askedAt: Int64?
    private(set) var notBefore: Int64 = 0
    private var state = State.waiting
    private let endpoint: ServerURL
    private let token: String?

    /// - Parameter endpoint: where to POST.
    init(_ endpoint: ServerURL, token: String?) {
        self.endpoint = endpoint
        self.token = token
    }

    private var exchange: HTTPExchange? {
        switch state {
        case .asking(let exchange), .leaving(let exchange): exchange
        case .waiting, .joined, .ended: nil
        }
    }

    var socket: Int32 { exchange?.socket ?? -1 }
    var interest: UInt32 { exchange?.interest ?? 0 }

    func begin(_ description: LocalDescription) throws {
        state = .asking(
            try HTTPExchange(
                to: endpoint,
                "POST",
                path: endpoint.path,
                token: token,
                body: description.offer
            )
        )
    }

    func leave() -> Bool {
        guard case .joined(let path?) = state,
            let exchange = try? HTTPExchange(to: endpoint, "DELETE", path: path, token: token, body: nil)
        else {
            state = .ended
            return false
        }
        state = .leaving(exchange)
        return true
    }

    func advance(at now: Int64) -> SignalingOutcome? {
        guard let exchange else { return nil }
        let isLeaving = if case .leaving = state { true } else { false }
        switch exchange.advance() {
        case .pending:
            return nil
        case .failed(let reason):
            state = .ended
            return .failed("HTTP: \(reason)")
        case .done(let response) where isLeaving:
            state = .ended
            return 200..<300 ~= response.status ? .left : .failed("DELETE was answered \(response.status)")
        case .done(let response):
            return joined(response, exchange, at: now)
        }
    }

    private func joined(_ response: HTTPResponse, _ exchange: HTTPExchange, at now: Int64) -> SignalingOutcome
    {
        // Not live yet, or too many at once: the server asks us to come again.
        if [409, 429, 503].contains(response.status) {
            state = .waiting
            notBefore = now + Self.retryAfter
            return .postponed
        }
        let text = String(decoding: response.body, as: UTF8.self)
        guard response.status == 201 else {
            state = .ended
            return .failed("POST was answered \(response.status): \(text.prefix(200))")
        }
        askedAt = exchange.startedAt
        state = .joined(path: response.headers["location"].map { Self.path(of: $0, under: endpoint.path) })
        do {
            return .described(try RemoteDescription(text))
        } catch {
            return .failed("\(error)")
        }
    }

    /// `Location` may be a whole URL, or relative to the endpoint; this client stays with the server it was told.
    static func path(of location: String, under endpoint: String) -> String {
        guard let scheme = location.range(of: "://") else {
            if location.hasPrefix("/") { return location }
            let folder = endpoint.lastIndex(of: "/").map { endpoint[...$0] } ?? "/"
            return folder + location
        }
        let rest = location[scheme.upperBound...]
        return rest.firstIndex(of: "/").map { String(rest[$0...]) } ?? "/"
    }
}
