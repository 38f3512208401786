// Joins and leaves over WHIP and WHEP: one exchange of each session after the other, a few at a time. Must not know
// media.
import CLinux
import Foundation
import Glibc

/// Where a session stands with the server's HTTP.
final class Joining {
    enum State {
        case waiting
        case asking(HTTPExchange)
        /// Answered; the session's URL by its path.
        case joined(path: String?)
        case leaving(HTTPExchange)
        case ended
    }

    enum Outcome {
        case answer(Answer)
        case failed(String)
        case left
    }

    private static let retryAfter: Int64 = 200_000_000

    let endpoint: String
    private(set) var state = State.waiting
    /// First byte of the request that was answered with 201, nanoseconds.
    private(set) var askedAt: Int64?
    /// Not before this; nanoseconds.
    private(set) var notBefore: Int64 = 0
    private let url: ServerURL
    private let token: String?

    init(_ url: ServerURL, endpoint: String, token: String?) {
        self.url = url
        self.endpoint = endpoint
        self.token = token
    }

    var exchange: HTTPExchange? {
        switch state {
        case .asking(let exchange), .leaving(let exchange): exchange
        case .waiting, .joined, .ended: nil
        }
    }

    func ask(offer: String) throws {
        state = .asking(
            try HTTPExchange(to: url, "POST", path: url.path + endpoint, token: token, body: offer)
        )
    }

    /// False: there is nothing to end.
    func leave() throws -> Bool {
        guard case .joined(let path?) = state else {
            state = .ended
            return false
        }
        state = .leaving(try HTTPExchange(to: url, "DELETE", path: path, token: token, body: nil))
        return true
    }

    func abandon() { state = .ended }

    /// The exchange's socket is ready. nil: not done yet.
    func advance(at now: Int64) -> Outcome? {
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

    private func joined(_ response: HTTPResponse, _ exchange: HTTPExchange, at now: Int64) -> Outcome? {
        // Not live yet, or too many at once: the server asks us to come again.
        if [409, 429, 503].contains(response.status) {
            state = .waiting
            notBefore = now + Self.retryAfter
            return nil
        }
        let text = String(decoding: response.body, as: UTF8.self)
        guard response.status == 201 else {
            state = .ended
            return .failed("POST was answered \(response.status): \(text.prefix(200))")
        }
        askedAt = exchange.startedAt
        state = .joined(path: response.headers["location"].map(Self.path))
        do {
            return .answer(try Answer(text))
        } catch {
            return .failed("\(error)")
        }
    }

    /// `Location` may be a whole URL; this client stays with the server it was told.
    static func path(of location: String) -> String {
        guard let scheme = location.range(of: "://") else {
            return location.hasPrefix("/") ? location : "/" + location
        }
        let rest = location[scheme.upperBound...]
        return rest.firstIndex(of: "/").map { String(rest[$0...]) } ?? "/"
    }
}
