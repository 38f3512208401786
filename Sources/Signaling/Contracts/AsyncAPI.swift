// The AsyncAPI 3.0 document of `sfu.v1+json`: one channel, an operation for each message, replies, classes, codes, bounds.
// The document's application is the server. Must not know where the messages come from.
import RTP

extension Contract {
    private static let schemas = "#/components/schemas/"
    private static let messages = "#/components/messages/"
    private static let channel: JSONValue = ["$ref": "#/channels/signal"]

    var asyncAPI: JSONValue {
        [
            "asyncapi": "3.0.0",
            "id": "urn:sfu:v1",
            "info": info,
            "defaultContentType": "application/json",
            "servers": ["sfu": Self.server],
            "channels": ["signal": signal],
            "operations": .object(operations),
            "components": [
                "schemas": .object(
                    lenientDefinitions.merging(envelopes) { mine, _ in mine }
                        .mapValues { $0.mapReferences { Self.schemas + Self.name($0) } }
                ),
                "messages": .object(componentMessages),
            ],
            "x-sfu-errors": .array(ErrorCode.allCases.map(Self.describe)),
            "x-sfu-close-codes": .array(CloseCode.allCases.map(Self.describe)),
            "x-sfu-caps": .array(
                Capability.allCases.map {
                    ["name": .string($0.rawValue), "description": .string($0.summary)]
                }
            ),
            "x-sfu-limits": .array(
                Self.limits.map {
                    [
                        "name": .string($0.name), "value": .whole(Int64($0.value)),
                        "description": .string($0.text),
                    ]
                }
            ),
        ]
    }

    private var info: JSONValue {
        [
            "title": "sfu signaling",
            "version": .string("\(ProtocolVersion.text).0"),
            "description": .string(
                "Rooms, media negotiation and messages between a client and the server, over one WebSocket with the "
                    + "subprotocol `\(ProtocolVersion.subprotocol)`. A text message is one or more JSON objects, one per "
                    + "line. The first one is `hello`. Requests carry `id` and get exactly one response with the same number "
                    + "in `re`; `x-sfu-class` says how an event is delivered."
            ),
            "license": ["name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"],
        ]
    }

    private static let server: JSONValue = [
        "host": "{host}", "protocol": "wss", "protocolVersion": "13",
        "description": "Without TLS the protocol is ws.",
        "variables": ["host": ["default": "127.0.0.1:8080", "description": "Host and port of the server."]],
    ]

    private var signal: JSONValue {
        [
            "address": .string(UpgradeRoute.path),
            "title": "Signaling of one participant",
            "servers": [["$ref": "#/servers/sfu"]],
            "parameters": [
                "room": ["description": .string("Name of the room, at most \(Limits.HTTP.nameBytes) bytes.")]
            ],
            "messages": .object(
                Dictionary(
                    uniqueKeysWithValues: componentMessages.keys.map {
                        ($0, ["$ref": .string(Self.messages + $0)])
                    }
                )
            ),
            "bindings": [
                "ws": [
                    "method": "GET", "bindingVersion": "0.1.0",
                    "headers": [
                        "type": "object", "required": ["Sec-WebSocket-Protocol"],
                        "properties": [
                            "Sec-WebSocket-Protocol": [
                                "type": "string", "const": .string(ProtocolVersion.subprotocol),
                            ]
                        ],
                    ],
                ]
            ],
        ]
    }

    // MARK: Messages

    private var componentMessages: [String: JSONValue] {
        var all: [String: JSONValue] = [
            "failure": Self.message(
                "failure",
                summary: "A request was refused.",
                correlation: "$message.payload#/re"
            )
        ]
        for message in messages {
            let hasID = message.entry.form == .request || message.entry.form == .either
            all[message.name] = Self.message(
                message.name,
                title: message.entry.type,
                summary: message.entry.summary,
                notes: message.entry.notes,
                correlation: hasID ? "$message.payload#/id" : nil
            )
            if let name = message.resultName {
                all[name] = Self.message(
                    name,
                    summary: "The response to `\(message.entry.type)`.",
                    correlation: "$message.payload#/re"
                )
            }
        }
        return all
    }

    private static func message(
        _ name: String,
        title: String? = nil,
        summary: String,
        notes: String = "",
        correlation: String?
    ) -> JSONValue {
        var message: JSONValue = [
            "name": .string(name), "title": .string(title ?? name), "summary": .string(summary),
            "payload": ["$ref": .string(schemas + name)],
        ]
        if !notes.isEmpty { message = message.adding("description", .string(Markdown.plain(notes))) }
        return message.adding("correlationId", correlation.map { ["location": .string($0)] })
    }

    // MARK: Operations

    private var operations: [String: JSONValue] {
        Dictionary(uniqueKeysWithValues: messages.map { ($0.name, operation($0)) })
    }

    private static func reference(_ name: String) -> JSONValue {
        ["$ref": .string("#/channels/signal/messages/" + name)]
    }

    private func operation(_ message: Message) -> JSONValue {
        let entry = message.entry
        let isInward = entry.direction == .toServer
        var operation: JSONValue = [
            "action": isInward ? "receive" : "send", "channel": Self.channel,
            "title": .string(entry.type), "summary": .string(entry.summary),
            "messages": [Self.reference(message.name)],
        ]
        guard isInward else {
            operation = operation.adding("x-sfu-class", .string(entry.delivery.rawValue))
            operation = operation.adding("x-sfu-recovery", (entry.recovery?.rawValue).map { .string($0) })
            return operation.adding("x-sfu-key", entry.key.isEmpty ? nil : .strings(entry.key))
        }
        operation = operation.adding("x-sfu-form", .string(entry.form.rawValue))
        operation = operation.adding("x-sfu-grant", (entry.grant?.rawValue).map { .string($0) })
        let replies = replies(to: message)
        guard !replies.isEmpty else { return operation }
        return operation.adding(
            "reply",
            ["channel": Self.channel, "messages": .array(replies.map(Self.reference))]
        )
    }

    private func replies(to message: Message) -> [String] {
        if message.entry.type == ClientMessage.hello.rawValue { return ["server.welcome", "server.error"] }
        guard let result = message.resultName else { return [] }
        return [result, "failure"]
            + (message.entry.type == ClientMessage.ping.rawValue ? ["server.pong"] : [])
    }

    // MARK: Codes

    private static func describe(_ code: ErrorCode) -> JSONValue {
        [
            "code": .string(code.rawValue), "description": .string(code.summary),
            "retryable": .bool(code.retryable), "httpStatus": .whole(Int64(code.httpStatus)),
        ]
    }

    private static func describe(_ code: CloseCode) -> JSONValue {
        [
            "code": .whole(Int64(code.rawValue)), "name": .string("\(code)"),
            "description": .string(code.summary), "action": .string(code.action.rawValue),
        ]
    }
}
