// The tables of docs/protocol.md: envelope, messages, objects, codes. Must not know the prose around them.

extension Contract {
    /// By the name of their section in the document.
    var tables: [(section: String, text: String)] {
        [
            ("envelope", envelopeTable),
            ("client messages", clientTable(of: fromClient.filter { $0.entry.grant != .moderate })),
            ("moderator messages", clientTable(of: fromClient.filter { $0.entry.grant == .moderate })),
            ("server messages", serverTable),
            ("objects", objectTable),
            ("enumerations", enumerationTable),
            ("error codes", errorTable),
            ("close codes", closeTable),
            ("capabilities", capabilityTable),
        ]
    }

    private static func table(_ head: [String], _ rows: [[String]]) -> String {
        let lines = [head, head.map { _ in "---" }] + rows
        return lines.map { "| \($0.joined(separator: " | ")) |".replacing("|  |", with: "| |") }
            .joined(separator: "\n")
    }

    private var envelopeTable: String {
        Self.table(
            ["field", "from", "meaning"],
            EnvelopeField.all.map { ["`\($0.name)`", $0.sender.rawValue, $0.text] }
        )
    }

    // MARK: Messages

    private func clientTable(of messages: [Message]) -> String {
        Self.table(
            ["type", "form", "what it does", "`data`", "response"],
            messages.map { message in
                [
                    "`\(message.entry.type)`", message.entry.form.rawValue, Self.prose(message.entry),
                    fields(of: message.data), message.result.map { fields(of: $0) } ?? "",
                ]
            }
        )
    }

    private var serverTable: String {
        Self.table(
            ["type", "class", "key", "what it says", "`data`"],
            fromServer.map { message in
                let isBoth = message.entry.recovery == .relay
                return [
                    "`\(message.entry.type)`",
                    message.entry.delivery.rawValue + (isBoth ? " or ephemeral" : ""),
                    message.entry.key.map { "`\($0)`" }.joined(separator: " "), Self.prose(message.entry),
                    fields(of: message.data),
                ]
            }
        )
    }

    private static func prose(_ entry: MessageDescriptor) -> String {
        entry.notes.isEmpty ? entry.summary : "\(entry.summary) \(entry.notes)"
    }

    // MARK: Fields

    /// Objects that several messages carry: they have a row of their own.
    static let objects: [(type: String, name: String)] = [
        ("ParticipantObject", "participant"), ("TrackObject", "track"), ("LayerObject", "layer"),
        ("SlotObject", "slot"), ("RoomObject", "room"), ("Permissions", "permissions"), ("Grants", "grants"),
        ("GrantsPatch", "grants patch"), ("WaitingObject", "waiting"), ("UnmuteRequest", "unmute request"),
        ("RoomMove", "move"), ("Standing", "standing"), ("Speakers", "speakers"),
        ("RelayReport", "relay report"),
        ("Offering", "offer"), ("OfferedTrack", "offered track"), ("Answering", "answer"),
        ("PublishTrack", "publication"), ("UpdateSubscriptions", "subscriptions"), ("UpdateView", "view"),
        ("ErrorObject", "error"),
    ]

    /// `a`, `b?`, `c {d, e}`: what is optional has a question mark.
    private func fields(of name: String) -> String {
        properties(of: name).map { "`\($0)`" }.joined(separator: ", ")
    }

    private func properties(of name: String) -> [String] {
        let properties = definitions[name]?["properties"]?.members ?? [:]
        let required = Set((definitions[name]?["required"]?.elements ?? []).compactMap(\.text))
        return (order[name] ?? []).compactMap { field in
            guard let schema = properties[field] else { return nil }
            let shape = shape(of: schema)
            let isPlain = shape.isEmpty || shape == "(\(field))"
            return field + (required.contains(field) ? "" : "?") + (isPlain ? "" : " \(shape)")
        }
    }

    /// How a field looks inside; empty where it is a simple value.
    private func shape(of schema: JSONValue) -> String {
        if schema["type"]?.text == "array", let items = schema["items"] {
            let inner = shape(of: items)
            return inner.hasPrefix("(") ? "[\(inner.dropFirst().dropLast())]" : "[\(inner)]"
        }
        if let alternatives = schema["anyOf"]?.elements, let first = alternatives.first {
            return shape(of: first)
        }
        guard let target = schema["$ref"]?.text else { return "" }
        let name = Self.name(target)
        guard definitions[name]?["enum"] == nil else { return "" }
        if let object = Self.objects.first(where: { $0.type == name }) { return "(\(object.name))" }
        return "{\(properties(of: name).joined(separator: ", "))}"
    }

    private var objectTable: String {
        Self.table(
            ["object", "fields"],
            Self.objects.map { [$0.name, fields(of: $0.type)] }
        )
    }

    private var enumerationTable: String {
        let uses = enumerationUses
        /// Fields that carry several enumerations are told apart by where they stand.
        let fields = uses.values.flatMap { Set($0.map(\.field)) }
        let ambiguous = Set(fields.filter { field in fields.count { $0 == field } > 1 })
        let rows = uses.map { name, uses in
            let places = Set(uses.map { ambiguous.contains($0.field) ? "\($0.owner).\($0.field)" : $0.field })
            let values = (definitions[name]?["enum"]?.elements ?? []).compactMap(\.text)
            let isOpen = definitions[name]?["x-open"]?.isTrue == true
            return [
                places.sorted().map { "`\($0)`" }.joined(separator: ", "),
                values.map { "`\($0)`" }.joined(separator: " ") + (isOpen ? " …" : ""),
            ]
        }
        return Self.table(["field", "values"], rows.sorted { $0[0] < $1[0] })
    }

    /// The fields that carry an enumeration. Error codes have a table of their own.
    private var enumerationUses: [String: [(owner: String, field: String)]] {
        var uses: [String: [(owner: String, field: String)]] = [:]
        for (owner, field, target) in fieldTargets where definitions[target]?["enum"] != nil {
            guard target != "ErrorCode" else { continue }
            for label in labels(of: owner) { uses[target, default: []].append((label, field)) }
        }
        return uses
    }

    /// Every field that leads to a definition.
    private var fieldTargets: [(owner: String, field: String, target: String)] {
        definitions.flatMap { owner, definition in
            (definition["properties"]?.members ?? [:]).compactMap { field, schema in
                var inner = schema
                while let items = inner["items"] { inner = items }
                return (inner["$ref"]?.text).map { (owner, field, Self.name($0)) }
            }
        }
    }

    /// What a reader of the tables calls a definition: an object, a message, or the field that carries it.
    private func labels(of name: String) -> Set<String> {
        if let object = Self.objects.first(where: { $0.type == name }) { return [object.name] }
        let carriers = messages.filter { $0.data == name || $0.result == name }.map(\.entry.type)
        if !carriers.isEmpty { return Set(carriers) }
        return Set(fieldTargets.filter { $0.target == name }.map(\.field))
    }

    // MARK: Codes

    private var errorTable: String {
        Self.table(
            ["code", "HTTP", "retry as it is", "means"],
            ErrorCode.allCases.map { code in
                ["`\(code.rawValue)`", "\(code.httpStatus)", code.retryable ? "yes" : "no", code.summary]
            }
        )
    }

    private var closeTable: String {
        Self.table(
            ["code", "action", "meaning"],
            CloseCode.allCases.filter { $0 != .normal }.map { code in
                ["\(code.rawValue)", code.action.rawValue, code.summary]
            }
        )
    }

    private var capabilityTable: String {
        Self.table(["cap", "means"], Capability.allCases.map { ["`\($0.rawValue)`", $0.summary] })
    }
}
