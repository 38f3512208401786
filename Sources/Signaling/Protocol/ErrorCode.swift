// Why something was refused: the error codes of responses and REST, and the close codes of sockets.
// Must not know which message caused it.

/// One list for responses, REST and WHIP.
public enum ErrorCode: String, Codable, Sendable, CaseIterable {
    case badRequest = "bad_request"
    case unauthenticated, forbidden
    case notFound = "not_found"
    case conflict, locked, full
    case rateLimited = "rate_limited"
    case tooLarge = "too_large"
    case unsupported
    case notReady = "not_ready"
    case alreadyApplied = "already_applied"
    case expired, overloaded, `internal`

    /// Whether the same request may succeed later without any change.
    public var retryable: Bool {
        switch self {
        case .rateLimited, .notReady, .overloaded, .internal, .full: true
        default: false
        }
    }

    /// The HTTP status that REST and WHIP answer.
    public var httpStatus: Int {
        switch self {
        case .badRequest: 400
        case .unauthenticated, .expired: 401
        case .forbidden: 403
        case .notFound: 404
        case .conflict, .notReady, .alreadyApplied: 409
        case .tooLarge: 413
        case .unsupported: 422
        case .locked: 423
        case .rateLimited: 429
        case .internal: 500
        case .full, .overloaded: 503
        }
    }
}

/// A refusal with its reason, as it goes to the client.
public struct GatewayError: Error, Sendable, Equatable {
    public var code: ErrorCode
    /// For people. Carries no secret.
    public var message: String
    /// Milliseconds after which a retry makes sense.
    public var retryAfterMs: Int?
    /// What a refused `hello` is closed with, where the code alone does not say it.
    public var close: CloseCode?

    public init(_ code: ErrorCode, _ message: String, retryAfterMs: Int? = nil, close: CloseCode? = nil) {
        self.code = code
        self.message = message
        self.retryAfterMs = retryAfterMs
        self.close = close
    }
}

/// WebSocket close codes; the hundreds carry the rule: 40xx resume, 41xx stay away, 44xx mend something first.
public enum CloseCode: UInt16, Codable, Sendable, CaseIterable {
    case normal = 1000
    case drain = 4000
    case badFrame = 4002
    case slowConsumer = 4008
    case sequenceGap = 4009
    case heartbeatTimeout = 4010
    case overloaded = 4013
    case kicked = 4100
    case roomClosed = 4101
    case replaced = 4102
    case left = 4103
    case banned = 4104
    case superseded = 4111
    case protocolError = 4400
    case tokenInvalid = 4401
    case tokenExpired = 4402
    case forbidden = 4403
    case noSuchRoom = 4404
    case roomFull = 4409
    case versionUnsupported = 4426

    /// What the client does next, as `bye.action` says it.
    public var action: ByeAction {
        switch rawValue {
        case 4000..<4100: .reconnect
        case 4400..<4500: .fix
        default: .stop
        }
    }
}

public enum ByeAction: String, Codable, Sendable, CaseIterable {
    /// Connect again.
    case reconnect
    /// Do not connect again by yourself.
    case stop
    /// Mend the token, the version or the request first.
    case fix
}
