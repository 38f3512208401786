// Why something was refused: the error codes of responses and REST, and the close codes of sockets.
// Must not know which message caused it.

/// One list for responses, REST and WHIP.
public enum ErrorCode: String, Codable, Sendable, CaseIterable, OpenEnumeration {
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

    public var summary: String {
        switch self {
        case .badRequest: "The message cannot be read, or says something impossible."
        case .unauthenticated: "The token is missing or wrong."
        case .forbidden: "The token, or a moderator, does not allow it."
        case .notFound: "There is no such room, participant, track or path."
        case .conflict: "It contradicts what is there."
        case .locked: "A moderator has closed this."
        case .full: "A bound of the server or of the room is reached."
        case .rateLimited: "Too much in too short a time."
        case .tooLarge: "Too many bytes or entries."
        case .unsupported: "This server does not know or do that."
        case .notReady: "Something has to happen first: admission, negotiation, an answer of the media plane."
        case .alreadyApplied: "The request was executed before, and its response is forgotten."
        case .expired: "The token, or the time in the room, is over."
        case .overloaded: "The server has no room for more at the moment, or restarts."
        case .internal: "The server failed."
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

    public var summary: String {
        switch self {
        case .normal: "Closed without a reason of the protocol."
        case .drain: "The server restarts."
        case .badFrame: "A message could not be read; the second time \(CloseCode.protocolError.rawValue)."
        case .slowConsumer: "The client takes no bytes."
        case .sequenceGap: "Said by clients: an event is missing."
        case .heartbeatTimeout: "Nothing was heard of the client."
        case .overloaded: "Too many connections or requests."
        case .kicked: "A moderator or the chat server removed the client, or did not admit it."
        case .roomClosed: "The room was closed, or the client was moved to another one."
        case .replaced:
            "The same device, or the same user where the token says `dup: replace`, joined again."
        case .left: "The client left."
        case .banned: "The user was banned."
        case .superseded: "Another socket has the session."
        case .protocolError: "Protocol error."
        case .tokenInvalid: "The token is missing or wrong."
        case .tokenExpired: "The token has expired, or the time in the room."
        case .forbidden: "The token is not for this room, or joining was refused."
        case .noSuchRoom: "Reserved: there is no such room."
        case .roomFull: "The room is full or locked, or there are too many rooms."
        case .versionUnsupported: "Another major version of the protocol."
        }
    }

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
