// The OpenAPI 3.1 document of the REST API, made from the list of its operations and the types of their bodies.
// Must not know what an operation does.
import HTTPTypes
import Hummingbird
import NIOCore
import NIOFoundationCompat

import class Foundation.JSONEncoder

enum OpenAPI {
    /// Of the API, not of the server.
    static let version = "1.0.0"

    /// Throws `SchemaError` where a type has no schema.
    static func document(of operations: [RESTOperation]) throws -> JSONValue {
        let schemas = TypeSchema(prefix: "#/components/schemas/")
        var paths: [String: JSONValue] = [:]
        for operation in operations {
            var methods: [String: JSONValue] = [:]
            if case .object(let known)? = paths[operation.path] { methods = known }
            methods[operation.method.rawValue.lowercased()] = try describe(operation, schemas)
            paths[operation.path] = .object(methods)
        }
        var components = schemas.definitions
        components["Problem"] = problem
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "sfu",
                "summary": "What a chat server asks of the rooms beside it.",
                "version": .string(version),
            ],
            "paths": .object(paths),
            "components": [
                "schemas": .object(components),
                "securitySchemes": [
                    "server": [
                        "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                        "description":
                            "HS256, `iss` the key's id, `exp`, `scope` with the scopes of the operation, `room` to bind it to one.",
                    ]
                ],
            ],
        ]
    }

    static func text(of operations: [RESTOperation]) throws -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        return try encoder.encodeAsByteBuffer(
            try document(of: operations),
            allocator: ByteBufferAllocator()
        )
    }

    static func add(_ text: ByteBuffer, to router: Router<RequestScope>) {
        router.route(
            "/openapi.json",
            [
                .get: { _, _ in
                    var response = Response(status: .ok, body: .init(byteBuffer: text))
                    response.headers[.contentType] = "application/json"
                    response.headers[.cacheControl] = "no-cache"
                    return response
                }
            ]
        )
    }

    private static let problem: JSONValue = [
        "type": "object",
        "properties": [
            "type": ["type": "string"], "title": ["type": "string"], "status": ["type": "integer"],
            "detail": ["type": "string"],
            "code": ["type": "string", "enum": .array(ErrorCode.allCases.map { .string($0.rawValue) })],
        ],
        "required": ["type", "title", "status", "detail"],
    ]

    private static func describe(_ operation: RESTOperation, _ schemas: TypeSchema) throws -> JSONValue {
        var parameters: [JSONValue] = operation.pathParameters.map { name in
            [
                "name": .string(name), "in": "path", "required": true,
                "schema": ["type": "string", "minLength": 1, "maxLength": 128],
            ]
        }
        parameters += operation.query.map { query in
            [
                "name": .string(query.name), "in": "query", "schema": query.schema,
                "description": .string(query.summary),
            ]
        }
        if operation.isConditional {
            for name in ["If-Match", "If-None-Match"] where operation.method != .get || name != "If-Match" {
                parameters.append(["name": .string(name), "in": "header", "schema": ["type": "string"]])
            }
        }
        if operation.isIdempotent {
            parameters.append([
                "name": "Idempotency-Key", "in": "header",
                "schema": ["type": "string", "minLength": 1, "maxLength": 128],
                "description":
                    "The same one with the same body is done once and answered the same for a day.",
            ])
        }
        var members: [String: JSONValue] = [
            "operationId": .string(operation.id), "summary": .string(operation.summary),
            "responses": .object(try responses(operation, schemas)),
        ]
        if !parameters.isEmpty { members["parameters"] = .array(parameters) }
        if let body = operation.body {
            members["requestBody"] = [
                "required": true,
                "content": ["application/json": ["schema": try schemas.schema(of: body)]],
            ]
        }
        if let scope = operation.access { members["security"] = [["server": [.string(scope.rawValue)]]] }
        return .object(members)
    }

    private static func responses(_ operation: RESTOperation, _ schemas: TypeSchema) throws
        -> [String: JSONValue]
    {
        let content = try operation.result.map { type -> JSONValue in
            ["application/json": ["schema": try schemas.schema(of: type)]]
        }
        let failure: JSONValue = [
            "application/problem+json": ["schema": ["$ref": "#/components/schemas/Problem"]]
        ]
        func answer(_ summary: String, _ content: JSONValue?) -> JSONValue {
            var members: [String: JSONValue] = ["description": .string(summary)]
            members["content"] = content
            return .object(members)
        }
        var all: [String: JSONValue] = [
            "400": answer("The request cannot be understood.", failure),
            "401": answer("The token is missing, wrong or expired.", failure),
            "403": answer("The token's scope or room does not allow it.", failure),
            "404": answer("There is no such thing.", failure),
            "429": answer("Too many requests.", failure),
        ]
        all["\(operation.status)"] =
            operation.status < 400 ? answer("Done.", content) : answer(operation.summary, failure)
        if operation.isConditional, operation.method == .get { all["304"] = answer("You have it.", nil) }
        if operation.isIdempotent {
            all["409"] = answer("The first request with this key is still being done.", failure)
            all["422"] = answer("This key was used with another body.", failure)
        }
        for (status, summary) in operation.failures {
            all["\(status)"] = answer(summary, status < 300 ? content : failure)
        }
        return all
    }
}
