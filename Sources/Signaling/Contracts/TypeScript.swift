// The messages and the objects in them as TypeScript types, one ambient namespace for the SDK's `sfu.d.ts`.
// Must not know the SDK.

extension Contract {
    /// `export declare namespace Protocol { … }`, with a comment for everything that has one in the sources.
    var typeScript: String {
        var lines = [
            "/** Messages of `\(ProtocolVersion.subprotocol)` and the objects in them, as they are on the wire. */",
            "export declare namespace Protocol {",
        ]
        lines += Self.codes
        for name in definitions.keys.sorted() { lines += declaration(of: name) }
        lines += envelopeTypes
        lines += messageMap(
            "ClientMessages",
            fromClient,
            "By type: the `data` that a client sends, and the `data` of the response; `void`: there is none."
        ) { message in
            "{ data: \(message.data); result: \(message.result ?? "void") }"
        }
        lines += messageMap("ServerMessages", fromServer, "By type: the `data` that the server sends.") {
            $0.data
        }
        return (lines + ["}"]).joined(separator: "\n")
    }

    /// Null is as good as absence in everything that clients write; here it is the plainer word.
    private static let nullable: Set = ["Spotlight.pid"]

    private static var codes: [String] {
        [
            "  /** How a closed socket ended; the hundreds carry the rule: 40xx resume, 41xx stay away, 44xx mend something first. */",
            "  type CloseCode = \(CloseCode.allCases.map { "\($0.rawValue)" }.joined(separator: " | "));",
        ]
    }

    private var envelopeTypes: [String] {
        [
            "  /** What a client sends. Requests have an `id`: 1, 2, 3 … without a gap. */",
            "  interface ClientEnvelope<T extends keyof ClientMessages = keyof ClientMessages> {",
            "    type: T;",
            "    id?: number;",
            "    /** Every event up to this `seq` was applied. */",
            "    ack?: number;",
            "    /** In `hello`. */",
            "    v?: string;",
            "    trace?: string;",
            "    data?: ClientMessages[T][\"data\"];",
            "  }",
            "  /** What the server sends by itself. */",
            "  interface ServerEnvelope<T extends keyof ServerMessages = keyof ServerMessages> {",
            "    type: T;",
            "    seq?: number;",
            "    rev?: number;",
            "    ts?: number;",
            "    /** In `welcome`. */",
            "    v?: string;",
            "    trace?: string;",
            "    data: ServerMessages[T];",
            "  }",
            "  /** The response to the request with the `id` `re`: `data`, or `error`. */",
            "  interface ResponseEnvelope<T extends keyof ClientMessages = keyof ClientMessages> {",
            "    re: number;",
            "    rev?: number;",
            "    data?: ClientMessages[T][\"result\"];",
            "    error?: ErrorObject;",
            "  }",
        ]
    }

    private func messageMap(
        _ name: String,
        _ messages: [Message],
        _ text: String,
        _ type: (Message) -> String
    ) -> [String] {
        var lines = ["  /** \(text) */", "  interface \(name) {"]
        for message in messages {
            lines += Self.comment(message.description, indentation: "    ")
            lines.append("    \"\(message.entry.type)\": \(type(message));")
        }
        return lines + ["  }"]
    }

    private func declaration(of name: String) -> [String] {
        guard let definition = definitions[name] else { return [] }
        let head = Self.comment(definition["description"]?.text, indentation: "  ")
        if let values = definition["enum"]?.elements {
            let names = values.compactMap(\.text).map { "\"\($0)\"" }
            let open = definition["x-open"]?.isTrue == true ? " | (string & {})" : ""
            return head + ["  type \(name) = \(names.joined(separator: " | "))\(open);"]
        }
        let required = Set((definition["required"]?.elements ?? []).compactMap(\.text))
        let properties = definition["properties"]?.members ?? [:]
        var lines = head + ["  interface \(name) {"]
        for field in order[name] ?? [] {
            guard let schema = properties[field] else { continue }
            lines += Self.comment(schema["description"]?.text, indentation: "    ")
            let mark = required.contains(field) ? "" : "?"
            let null = Self.nullable.contains("\(name).\(field)") ? " | null" : ""
            lines.append("    \(field)\(mark): \(Self.type(of: schema))\(null);")
        }
        return lines + ["  }"]
    }

    /// Where nothing is known of a value it is `unknown`: whoever reads it has to look.
    private static func type(of schema: JSONValue) -> String {
        if let target = schema["$ref"]?.text { return name(target) }
        if let alternatives = schema["anyOf"]?.elements {
            return alternatives.map(type).joined(separator: " | ")
        }
        switch schema["type"]?.text {
        case "string": return "string"
        case "boolean": return "boolean"
        case "integer", "number": return "number"
        case "null": return "null"
        case "array":
            let element = schema["items"].map(type) ?? "unknown"
            return element.contains(" ") ? "(\(element))[]" : "\(element)[]"
        case "object":
            return "Record<string, \(schema["additionalProperties"].map(type) ?? "unknown")>"
        default: return "unknown"
        }
    }

    private static func comment(_ text: String?, indentation: String) -> [String] {
        guard let text else { return [] }
        let lines = text.replacing("*/", with: "* /").split(separator: "\n")
        guard lines.count > 1 else { return ["\(indentation)/** \(text) */"] }
        return ["\(indentation)/**"] + lines.map { "\(indentation) * \($0)" } + ["\(indentation) */"]
    }
}
