// The envelope of `sfu.v1+json`, field by field. Must not know messages.

/// One field of the envelope.
struct EnvelopeField: Sendable {
    enum Sender: String, Sendable { case client, server, both }

    var name: String
    var sender: Sender
    var schema: JSONValue
    var text: String

    static let all: [EnvelopeField] = [
        .init(name: "type", sender: .both, schema: ["type": "string"], text: "What it is."),
        .init(name: "data", sender: .both, schema: [:], text: "Its content; missing counts as `{}`."),
        .init(
            name: "id",
            sender: .client,
            schema: ["type": "integer", "minimum": 0],
            text: "Request id: 1, 2, 3 … without a gap, per session (`sid`). Gets exactly one response."
        ),
        .init(
            name: "re",
            sender: .server,
            schema: ["type": "integer", "minimum": 0],
            text: "This is the response to that request, with `data` or with `error`."
        ),
        .init(
            name: "seq",
            sender: .server,
            schema: ["type": "integer", "minimum": 1],
            text: "Number of an event that must not be missed, from 1 without a gap."
        ),
        .init(
            name: "ack",
            sender: .client,
            schema: ["type": "integer", "minimum": 0],
            text: "Every event up to this `seq` was applied; on any envelope, or as a message of its own."
        ),
        .init(
            name: "rev",
            sender: .server,
            schema: ["type": "integer", "minimum": 0],
            text: "The room's revision when this was written."
        ),
        .init(
            name: "ts",
            sender: .server,
            schema: ["type": "integer", "minimum": 0],
            text: "Milliseconds since 1970; of a page of a snapshot that others get as well, up to 1 s ago."
        ),
        .init(
            name: "v",
            sender: .both,
            schema: ["type": "string"],
            text:
                "Version of the protocol, in `hello` and `welcome`; `\"\(ProtocolVersion.text)\"`. See [Versions](#versions)."
        ),
        .init(
            name: "trace",
            sender: .both,
            schema: ["type": "string"],
            text: "W3C `traceparent`: [who caused this](#traces)."
        ),
    ]

    static func properties(_ names: [String]) -> [String: JSONValue] {
        var found: [String: JSONValue] = [:]
        for field in all where names.contains(field.name) {
            found[field.name] = field.schema.adding("description", .string(Markdown.plain(field.text)))
        }
        return found
    }
}

enum Markdown {
    /// Without links into the document that the text was written for.
    static func plain(_ text: String) -> String {
        text.replacing(/\[([^\[\]]*)\]\([^)]*\)/) { $0.output.1 }
    }
}
