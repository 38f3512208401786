// One operation over HTTP as it is documented: what it takes, who may ask, what it answers. Must not know who answers.
import HTTPTypes
import Hummingbird

struct HTTPOperation: Sendable {
    enum Access: Sendable {
        case everybody
        case server(ServerScope)
        /// With a join token; a development server asks for none.
        case participant
        case metrics
    }
    enum Body: Sendable {
        case json(any (Codable & Sendable).Type)
        case problem
        /// Any text, by its media type.
        case text(String)
        /// JSON that describes itself.
        case document
    }
    struct Header: Sendable {
        var name: String
        var text: String
        var isRequired = false
    }
    struct Answer: Sendable {
        var text: String
        var body: Body?
        var headers: [String] = []

        static func problem(_ text: String, headers: [String] = []) -> Answer {
            Answer(text: text, body: .problem, headers: headers)
        }
    }

    var id: String
    var tag: String
    var method: HTTPRequest.Method
    /// With `{room}` and the like.
    var path: String
    var access: Access = .everybody
    var summary: String
    var query: [RESTOperation.Query] = []
    var headers: [Header] = []
    var body: Body?
    var answers: [Int: Answer]

    /// In the order of the path.
    var pathParameters: [String] {
        path.split(separator: "/").filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
    }

    static let retryAfter = ["Retry-After"]
    static let failed = Answer.problem("The server failed.")

    /// Of every operation that a chat server may ask for.
    static func serverFailures() -> [Int: Answer] {
        [
            400: .problem("The request cannot be understood."),
            401: .problem("The token is missing, wrong or expired.", headers: ["WWW-Authenticate"]),
            403: .problem("The token's scope or room does not allow it."),
            429: .problem("Too many requests.", headers: retryAfter),
            500: failed,
        ]
    }
}

extension HTTPOperation {
    init(_ operation: RESTOperation) {
        id = operation.id
        tag = "rooms"
        method = operation.method
        path = operation.path
        access = operation.access.map { .server($0) } ?? .everybody
        summary = operation.summary
        query = operation.query
        body = operation.body.map { .json($0) }
        answers = Self.serverFailures()
        if operation.isConditional {
            for name in ["If-Match", "If-None-Match"] where operation.method != .get || name != "If-Match" {
                headers.append(Header(name: name, text: "Entity tags."))
            }
        }
        if operation.isIdempotent {
            headers.append(
                Header(
                    name: "Idempotency-Key",
                    text: "The same one with the same body is done once and answered the same for a day."
                )
            )
            answers[409] = .problem(
                "The first request with this key is still being done.",
                headers: Self.retryAfter
            )
            answers[422] = .problem("This key was used with another body.")
        }
        answers[404] = .problem("There is no such thing.")
        answers[503] = .problem(
            "The server is restarting, or has no room for more.",
            headers: Self.retryAfter
        )
        if operation.body != nil {
            answers[413] = .problem("The body is too large.")
            answers[415] = .problem("The body is no JSON.")
        }
        let result = operation.result.map { Body.json($0) }
        let tags = operation.isConditional && operation.result != nil ? ["ETag"] : []
        answers[operation.status] =
            operation.status < 400
            ? Answer(text: "Done.", body: result, headers: tags) : .problem(operation.summary)
        if operation.isConditional, operation.method == .get {
            answers[304] = Answer(text: "You have it.", headers: tags)
        }
        for (status, text) in operation.failures {
            answers[status] = status < 300 ? Answer(text: text, body: result, headers: tags) : .problem(text)
        }
    }
}
