// What a client and a server of `sfu.v1+json` have to agree on, collected from the registry and the types of its payloads.
// Must not know the languages that it is written in.
import RTP
import Seam

struct Contract: Sendable {
    struct Message: Sendable {
        var entry: MessageDescriptor
        /// Names of definitions.
        var data: String
        var result: String?

        /// Unique over both directions: "client.ping", "server.roster".
        var name: String { (entry.direction == .toServer ? "client." : "server.") + entry.type }
        var resultName: String? { result.map { _ in "result." + entry.type } }

        /// What the message says, in one text without links.
        var description: String {
            Markdown.plain(entry.notes.isEmpty ? entry.summary : "\(entry.summary) \(entry.notes)")
        }
    }

    struct Limit: Sendable {
        var name: String
        var value: Int
        var text: String
    }

    static let reference = "#/$defs/"

    let messages: [Message]
    /// References begin with `reference`.
    let definitions: [String: JSONValue]
    /// Properties of definitions as they were declared.
    let order: [String: [String]]

    /// Throws `SchemaError` where a payload is no object or has no schema.
    init(comments: SourceComments = SourceComments(), of entries: [MessageDescriptor] = MessageDescriptor.all)
        throws
    {
        let schemas = TypeSchema(prefix: Self.reference, comments: comments, namesEnumerations: true)
        func define(_ type: any Decodable.Type) throws -> String {
            guard let target = try schemas.schema(of: type)["$ref"]?.text else {
                throw SchemaError(description: "\(type) is no object")
            }
            return Self.name(target)
        }
        messages = try entries.map { entry in
            Message(entry: entry, data: try define(entry.payload), result: try entry.result.map(define))
        }
        _ = try define(ErrorObject.self)
        _ = try define(Capability.self)
        definitions = schemas.definitions
        order = schemas.order
    }

    var fromClient: [Message] { messages.filter { $0.entry.direction == .toServer } }
    var fromServer: [Message] { messages.filter { $0.entry.direction == .toClient } }

    static let limits: [Limit] = [
        .init(name: "hello", value: Limits.Signaling.greetingBytes, text: "Bytes of `hello`."),
        .init(name: "message", value: Limits.Signaling.messageBytes, text: "Bytes of a client message."),
        .init(
            name: "offer",
            value: Limits.Signaling.offerMessageBytes,
            text: "Bytes of a client message that carries SDP."
        ),
        .init(
            name: "envelopes",
            value: Limits.Signaling.envelopesPerMessage,
            text: "Envelopes in one client message."
        ),
        .init(
            name: "inflight",
            value: Limits.Signaling.requestsInFlight,
            text: "Requests that may wait for a response."
        ),
        .init(
            name: "rate",
            value: Limits.Signaling.messagesPerSecond,
            text: "Client messages per second in the long run."
        ),
        .init(
            name: "burst",
            value: Limits.Signaling.messageBurst,
            text: "Client messages that may be sent at once."
        ),
        .init(
            name: "serverMessage",
            value: Limits.Signaling.serverMessageBytes,
            text: "Bytes of a server message."
        ),
    ]

    static func name(_ reference: String) -> String { String(reference.dropFirst(Self.reference.count)) }

    /// Names of all definitions that these lead to, themselves included.
    func reachable(from names: some Sequence<String>) -> Set<String> {
        var found: Set<String> = []
        var waiting = Array(names)
        func look(_ value: JSONValue) {
            if let target = value["$ref"]?.text { waiting.append(Self.name(target)) }
            value.members.values.forEach(look)
            value.elements.forEach(look)
        }
        while let name = waiting.popLast() {
            guard let definition = definitions[name], found.insert(name).inserted else { continue }
            look(definition)
        }
        return found
    }

    /// Types that only clients write.
    var requestTypes: Set<String> {
        reachable(from: fromClient.map(\.data))
            .subtracting(reachable(from: fromServer.map(\.data) + messages.compactMap(\.result)))
    }

    /// As they stand in schemas: what a client leaves out may be null as well.
    var lenientDefinitions: [String: JSONValue] {
        var all = definitions
        for name in requestTypes {
            guard let definition = all[name], let properties = definition["properties"]?.members else {
                continue
            }
            let required = Set((definition["required"]?.elements ?? []).compactMap(\.text))
            let lenient = properties.map {
                ($0.key, required.contains($0.key) ? $0.value : Self.orNull($0.value))
            }
            all[name] = definition.adding(
                "properties",
                .object(Dictionary(uniqueKeysWithValues: lenient))
            )
        }
        return all
    }

    static func orNull(_ schema: JSONValue) -> JSONValue {
        let bare = schema.without(["description"])
        if bare.members.isEmpty { return schema }
        let lenient: JSONValue = ["anyOf": [bare, ["type": "null"]]]
        return lenient.adding("description", schema["description"])
    }
}

// The media plane and its values know nothing of contracts.
extension SlotState.Reason: OpenEnumeration {}
extension TransportState: OpenEnumeration {}
extension DirectionQuality.Reason: OpenEnumeration {}
extension DirectionQuality.Bound: OpenEnumeration {}
extension CodecName: OpenEnumeration {}
