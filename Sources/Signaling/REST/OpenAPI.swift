// The OpenAPI 3.1 document of everything that the server answers over HTTP, made from the list of REST operations, the
// descriptions of the other routes and the types of their bodies. Must not know what an operation does.
import HTTPTypes
import Hummingbird

enum OpenAPI {
    /// Of the API, not of the server.
    static let version = "1.0.0"

    /// - Parameter comments: what the types say about themselves in the sources.
    ///
    /// Throws `SchemaError` where a type has no schema.
    static func document(of operations: [RESTOperation], comments: SourceComments = SourceComments()) throws
        -> JSONValue
    {
        let schemas = TypeSchema(
            prefix: "#/components/schemas/",
            comments: comments,
            namesEnumerations: true
        )
        let described = operations.map(HTTPOperation.init) + HTTPOperation.others
        var paths: [String: JSONValue] = [:]
        for operation in described {
            let path = paths[operation.path] ?? [:]
            paths[operation.path] = path.adding(
                operation.method.rawValue.lowercased(),
                try describe(operation, schemas)
            )
        }
        let webhook = try describe(.webhook, schemas)
        let code = try schemas.schema(of: ErrorCode.self)
        var components = schemas.definitions
        components["Problem"] = problem(code)
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "sfu",
                "summary":
                    "What a chat server asks of the rooms beside it, and everything else that is answered over HTTP.",
                "description": .string(
                    "`HEAD` works wherever `GET` does; `OPTIONS` is answered with `Allow`. Errors are "
                        + "application/problem+json. An enumeration with `x-open` may grow."
                ),
                "version": .string(version),
                "license": ["name": "Apache-2.0", "identifier": "Apache-2.0"],
            ],
            "paths": .object(paths),
            "webhooks": ["event": ["post": webhook]],
            "components": [
                "schemas": .object(components),
                "securitySchemes": securitySchemes,
            ],
        ]
    }

    private static let securitySchemes: JSONValue = [
        "server": [
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description":
                "HS256, `iss` the key's id, `exp`, `scope` with the scopes of the operation, `room` to bind it to one.",
        ],
        "join": [
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description":
                "A join token: HS256, `iss` the key's id, `sub` the user, `room`, `exp`, `grants`.",
        ],
        "metrics": [
            "type": "http", "scheme": "bearer",
            "description": "The word that `http.metrics-token` sets; without that setting nobody is asked.",
        ],
    ]

    private static func problem(_ code: JSONValue) -> JSONValue {
        [
            "type": "object",
            "properties": [
                "type": ["type": "string"], "title": ["type": "string"], "status": ["type": "integer"],
                "detail": ["type": "string"], "code": code,
            ],
            "required": ["type", "title", "status", "detail"],
        ]
    }

    private static func describe(_ operation: HTTPOperation, _ schemas: TypeSchema) throws -> JSONValue {
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
        parameters += operation.headers.map { header in
            [
                "name": .string(header.name), "in": "header", "schema": ["type": "string"],
                "description": .string(header.text), "required": .bool(header.isRequired),
            ]
        }
        var responses: [String: JSONValue] = [:]
        for (status, answer) in operation.answers {
            responses["\(status)"] = try describe(answer, schemas)
        }
        var members: JSONValue = [
            "operationId": .string(operation.id), "summary": .string(operation.summary),
            "tags": [.string(operation.tag)], "responses": .object(responses),
        ]
        if !parameters.isEmpty { members = members.adding("parameters", .array(parameters)) }
        if let body = operation.body {
            members = members.adding(
                "requestBody",
                ["required": true, "content": try content(body, schemas)]
            )
        }
        switch operation.access {
        case .everybody: break
        case .server(let scope): members = members.adding("security", [["server": [.string(scope.rawValue)]]])
        case .participant: members = members.adding("security", [["join": []]])
        case .metrics: members = members.adding("security", [["metrics": []], [:]])
        }
        return members
    }

    private static func describe(_ answer: HTTPOperation.Answer, _ schemas: TypeSchema) throws -> JSONValue {
        var members: JSONValue = ["description": .string(answer.text)]
        if let body = answer.body { members = members.adding("content", try content(body, schemas)) }
        guard !answer.headers.isEmpty else { return members }
        let headers = answer.headers.map { ($0, JSONValue.object(["schema": ["type": "string"]])) }
        return members.adding("headers", .object(Dictionary(uniqueKeysWithValues: headers)))
    }

    private static func content(_ body: HTTPOperation.Body, _ schemas: TypeSchema) throws -> JSONValue {
        switch body {
        case .json(let type): ["application/json": ["schema": try schemas.schema(of: type)]]
        case .problem:
            ["application/problem+json": ["schema": ["$ref": "#/components/schemas/Problem"]]]
        case .text(let type): .object([type: ["schema": ["type": "string"]]])
        case .document: ["application/json": ["schema": ["type": "object"]]]
        }
    }
}
