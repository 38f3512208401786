// The messages of `sfu.v1+json` as JSON Schema 2020-12: one document, one definition for each envelope and payload.
// Must not know where the messages come from.

extension Contract {
    /// What surrounds the payloads: an envelope for each message, a response for each result, and the two unions
    /// `ClientEnvelope` and `ServerEnvelope`.
    var envelopes: [String: JSONValue] {
        var all: [String: JSONValue] = ["failure": failure]
        for message in fromClient {
            all[message.name] = envelope(ofClient: message)
            if let name = message.resultName, let result = message.result {
                all[name] = Self.response(["$ref": .string(Self.reference + result)])
            }
        }
        for message in fromServer { all[message.name] = envelope(ofServer: message) }
        all["response"] = Self.response(["type": "object"])
        func union(_ names: [String], _ text: String) -> JSONValue {
            [
                "description": .string(text),
                "oneOf": .array(names.map { ["$ref": .string(Self.reference + $0)] }),
            ]
        }
        all["ClientEnvelope"] = union(fromClient.map(\.name), "What a client sends.")
        all["ServerEnvelope"] = union(
            ["response", "failure"] + fromServer.map(\.name),
            "What the server sends. What is in a `response` follows from the request: see its `result`."
        )
        return all
    }

    /// The whole document.
    var messageSchema: JSONValue {
        let definitions = lenientDefinitions.merging(envelopes) { mine, _ in mine }
        return [
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": "urn:sfu:v1",
            "title": .string(ProtocolVersion.subprotocol),
            "description": .string(
                "Messages of `\(ProtocolVersion.subprotocol)`, version \(ProtocolVersion.text). Receivers ignore fields "
                    + "that they do not know. An enumeration with `x-open` may grow."
            ),
            "anyOf": [["$ref": "#/$defs/ClientEnvelope"], ["$ref": "#/$defs/ServerEnvelope"]],
            "$defs": .object(definitions),
        ]
    }

    private func envelope(ofClient message: Message) -> JSONValue {
        var fields = ["id", "ack", "trace"]
        if message.entry.type == ClientMessage.hello.rawValue { fields.append("v") }
        var properties = EnvelopeField.properties(fields).mapValues { Self.orNull($0) }
        var required = ["type"]
        if message.entry.form == .request {
            properties["id"] = EnvelopeField.properties(["id"])["id"]
            required.append("id")
        }
        properties["type"] = ["const": .string(message.entry.type)]
        let isNeeded = definitions[message.data]?["required"] != nil
        let data: JSONValue = ["$ref": .string(Self.reference + message.data)]
        properties["data"] = isNeeded ? data : Self.orNull(data)
        if isNeeded { required.append("data") }
        return [
            "description": .string(message.description), "type": "object",
            "properties": .object(properties), "required": .strings(required),
        ]
    }

    private func envelope(ofServer message: Message) -> JSONValue {
        var fields = ["rev", "ts", "trace"]
        var required = ["type", "data"]
        switch message.entry.delivery {
        case .critical, .state:
            fields.append("seq")
            if message.entry.recovery != .relay { required.append("seq") }
        case .control where message.entry.type == ServerMessage.welcome.rawValue:
            fields.append("v")
            required.append("v")
        case .control, .ephemeral: break
        }
        var properties = EnvelopeField.properties(fields)
        properties["type"] = ["const": .string(message.entry.type)]
        properties["data"] = ["$ref": .string(Self.reference + message.data)]
        return [
            "description": .string(message.description), "type": "object",
            "properties": .object(properties), "required": .strings(required),
        ]
    }

    private static func response(_ data: JSONValue) -> JSONValue {
        var properties = EnvelopeField.properties(["re", "rev"])
        properties["data"] = data
        return [
            "description": "The response to a request.", "type": "object",
            "properties": .object(properties), "required": ["re", "data"],
        ]
    }

    private var failure: JSONValue {
        var properties = EnvelopeField.properties(["re"])
        properties["error"] = ["$ref": .string(Self.reference + "ErrorObject")]
        return [
            "description": "The response to a request that was refused.", "type": "object",
            "properties": .object(properties), "required": ["re", "error"],
        ]
    }
}
