// Webhook destinations in the settings: a list of mappings in the file, or one destination in the environment.
// Must not know how webhooks are sent.
import EventLog
import RTP
import Signaling
import Yams

enum WebhookSettings {
    /// In the file, a list; also the prefix of the values.
    static let key = "webhooks"
    /// Keys of one destination.
    static let fields = ["name", "url", "secrets", "events", "timeout", "allow-http"]
    /// Variables of the one destination that the environment can name.
    static let variables = [
        "SFU_WEBHOOK_URL": "url", "SFU_WEBHOOK_SECRETS": "secrets", "SFU_WEBHOOK_EVENTS": "events",
    ]

    /// Values of a file's list as `webhooks.INDEX.FIELD`.
    static func read(_ node: Node, name: String, into settings: inout Settings) throws {
        guard let list = node.sequence else {
            throw SettingError("\(place(node, name)): webhooks is a list of destinations")
        }
        guard list.count <= Limits.Events.destinations else {
            throw SettingError("\(place(node, name)): at most \(Limits.Events.destinations) webhooks")
        }
        for (index, item) in list.enumerated() {
            guard let mapping = item.mapping else {
                throw SettingError("\(place(item, name)): a webhook is a mapping with url and secrets")
            }
            for (keyNode, value) in mapping {
                let word = keyNode.string ?? ""
                guard fields.contains(word) else {
                    let hint = Nearest.name(to: word, in: fields).map { "; did you mean \"\($0)\"?" } ?? ""
                    throw SettingError("\(place(value, name)): unknown webhook setting \"\(word)\"\(hint)")
                }
                let isList = word == "secrets" || word == "events"
                let texts =
                    value.scalar.map { [$0.string] } ?? value.sequence?.compactMap { $0.scalar?.string }
                guard let texts, texts.count == (value.sequence?.count ?? 1), isList || value.sequence == nil
                else {
                    throw SettingError("\(place(value, name)): \(word) has the wrong form")
                }
                settings.set("\(key).\(padded(index)).\(word)", to: texts, origin: place(value, name))
            }
        }
    }

    private static func place(_ node: Node, _ name: String) -> String {
        node.mark.map { "\(name), line \($0.line)" } ?? name
    }

    /// So that destinations sort in the order of the file.
    private static func padded(_ index: Int) -> String { (index < 10 ? "0" : "") + "\(index)" }

    /// True where the variable is one of a webhook.
    static func read(variable: String, _ text: String, into settings: inout Settings) -> Bool {
        guard let field = variables[variable] else { return false }
        let texts = field == "url" ? [text] : text.split(separator: ",").map(String.init)
        settings.set("\(key).environment.\(field)", to: texts, origin: variable)
        return true
    }

    static func destinations(_ settings: Settings) throws -> [WebhookDestination] {
        let groups = Dictionary(grouping: settings.values.filter { $0.key.hasPrefix(key + ".") }) { entry in
            String(entry.key.split(separator: ".")[1])
        }
        let destinations = try groups.sorted { $0.key < $1.key }.map { _, entries in
            try destination(
                Dictionary(
                    entries.map { (String($0.key.split(separator: ".")[2]), $0.value) },
                    uniquingKeysWith: { first, _ in first }
                )
            )
        }
        for destination in destinations where destinations.count(where: { $0.name == destination.name }) > 1 {
            throw SettingError("two webhooks are called \"\(destination.name)\"; give them different names")
        }
        return destinations
    }

    private static func destination(_ fields: [String: Settings.Value]) throws -> WebhookDestination {
        let origin = fields.values.map(\.origin).min() ?? key
        func one(_ field: String) -> String? { fields[field]?.texts.first }
        guard let url = one("url"), !url.isEmpty else {
            throw SettingError("\(origin): a webhook needs a url")
        }
        var timeout = Limits.Events.webhookTimeout
        if let text = one("timeout") {
            guard let seconds = Int64(text), (1...3600).contains(seconds) else {
                throw SettingError("\(origin): timeout is a whole number of seconds")
            }
            timeout = .seconds(seconds)
        }
        let allowsPlaintext: Bool
        switch one("allow-http") {
        case nil, "false", "no", "off": allowsPlaintext = false
        case "true", "yes", "on": allowsPlaintext = true
        case .some: throw SettingError("\(origin): allow-http must be true or false")
        }
        do {
            return try WebhookDestination(
                name: one("name"),
                url: url,
                secrets: fields["secrets"]?.texts ?? [],
                types: try types(fields["events"]),
                timeout: timeout,
                allowsPlaintext: allowsPlaintext
            )
        } catch let error as WebhookDestinationError {
            throw SettingError("\(origin): webhook: \(error)")
        }
    }

    /// Exact types, and `user.*` for all that begin so. nil: all.
    private static func types(_ value: Settings.Value?) throws -> Set<String>? {
        guard let value else { return nil }
        let all = RoomEventType.allCases.map(\.rawValue)
        var types: Set<String> = []
        for pattern in value.texts {
            let matching =
                pattern == "*"
                ? all
                : pattern.hasSuffix(".*")
                    ? all.filter { $0.hasPrefix(pattern.dropLast()) } : all.filter { $0 == pattern }
            guard !matching.isEmpty else {
                let hint = Nearest.name(to: pattern, in: all).map { "; did you mean \"\($0)\"?" } ?? ""
                throw SettingError("\(value.origin): there is no event \"\(pattern)\"\(hint)")
            }
            types.formUnion(matching)
        }
        guard !types.isEmpty else { throw SettingError("\(value.origin): events names none") }
        return types
    }
}
