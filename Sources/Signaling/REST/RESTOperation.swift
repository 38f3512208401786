// One operation of the REST API as a value: what it is called, what it takes and gives, who may ask, what it does. Routes and
// the OpenAPI document are made from the same list. Must not know rooms.
import HTTPTypes
import Hummingbird
import NIOCore
import NIOFoundationCompat

import class Foundation.JSONDecoder
import class Foundation.JSONEncoder

/// A request that was let in, with its body read.
struct RESTRequest: Sendable {
    var request: Request
    var scope: RequestScope
    var claims: ServerClaims
    var body: ByteBuffer

    /// Throws `.badRequest` with the place of what is wrong, never its value.
    func payload<Payload: Decodable>(_: Payload.Type = Payload.self) throws -> Payload {
        do {
            return try JSONDecoder().decode(Payload.self, from: body)
        } catch {
            throw Problem(.badRequest, InboundEnvelope.explain(error), code: .badRequest)
        }
    }

    func query(_ name: String) throws -> String? {
        guard let raw = request.uri.queryParameters[Substring(name)] else { return nil }
        guard RequestScope.isName(String(raw)) else {
            throw Problem(.badRequest, "\(name) in the query is not a name", code: .badRequest)
        }
        return String(raw)
    }

    func number(_ name: String, default value: Int, most: Int) throws -> Int {
        guard let text = try query(name) else { return value }
        guard let number = Int(text), (1...most).contains(number) else {
            throw Problem(.badRequest, "\(name) is from 1 to \(most)", code: .badRequest)
        }
        return number
    }

    var condition: Precondition {
        if let tags = request.headers[.ifMatch] { return .matches(Self.tags(tags)) }
        if Self.tags(request.headers[.ifNoneMatch] ?? "").contains("*") { return .absent }
        return .none
    }

    /// Whether the caller has this representation already.
    func has(_ tag: String) -> Bool {
        guard let tags = request.headers[.ifNoneMatch].map(Self.tags) else { return false }
        return tags.contains("*") || tags.contains(tag) || tags.contains("W/" + tag)
    }

    private static func tags(_ header: String) -> [String] {
        header.split(separator: ",").compactMap {
            $0.split(whereSeparator: \.isWhitespace).first.map(String.init)
        }
    }
}

struct RESTAnswer: Sendable {
    var status: HTTPResponse.Status
    var body: ByteBuffer?
    var headers: HTTPFields = [:]

    static let noContent = RESTAnswer(status: .noContent, body: nil)

    static func json(
        _ value: some Encodable,
        _ status: HTTPResponse.Status = .ok,
        tag: String? = nil
    ) throws -> RESTAnswer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let body = try encoder.encodeAsByteBuffer(value, allocator: ByteBufferAllocator())
        var answer = RESTAnswer(status: status, body: body)
        answer.headers[.eTag] = tag
        return answer
    }

    /// 304 where the caller has it.
    static func json(_ value: some Encodable, tag: String, for request: RESTRequest) throws -> RESTAnswer {
        guard !request.has(tag) else {
            return RESTAnswer(status: .notModified, body: nil, headers: [.eTag: tag])
        }
        return try json(value, tag: tag)
    }

    var response: Response {
        var response = Response(status: status, headers: headers)
        response.headers[.cacheControl] = "no-store"
        if let body {
            response.headers[.contentType] = "application/json"
            response.body = .init(byteBuffer: body)
        }
        return response
    }
}

struct RESTOperation: Sendable {
    struct Query: Sendable {
        var name: String
        var schema: JSONValue
        var summary: String
    }

    var id: String
    var method: HTTPRequest.Method
    /// With `{room}` and the like.
    var path: String
    /// nil: everybody may ask.
    var access: ServerScope?
    var summary: String
    var query: [Query] = []
    var body: (any (Codable & Sendable).Type)?
    var status = 200
    var result: (any (Codable & Sendable).Type)?
    /// Understands `If-Match` and `If-None-Match`.
    var isConditional = false
    /// What else it may answer, apart from 400, 401, 403, 404 and 429.
    var failures: [Int: String] = [:]
    var handle: @Sendable (RESTRequest) async throws -> RESTAnswer

    /// `Idempotency-Key` counts.
    var isIdempotent: Bool { method == .post }

    /// In the order of the path.
    var pathParameters: [String] {
        path.split(separator: "/").filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
    }
}
