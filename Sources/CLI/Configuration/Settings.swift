// Settings from the file, the environment and the flags, with one precedence: flag, then environment, then file,
// then default. Refuses what it does not know.
import Yams

/// Raw values by key, each with where it came from.
struct Settings: Sendable {
    struct Value: Sendable, Equatable {
        var texts: [String]
        /// For error messages: "sfu.yaml", "SFU_HTTP_LISTEN", "--http".
        var origin: String
    }

    private(set) var values: [String: Value] = [:]

    /// Later layers win.
    mutating func overlay(_ other: Settings) { values.merge(other.values) { _, new in new } }

    mutating func set(_ key: String, to texts: [String], origin: String) {
        values[key] = Value(texts: texts, origin: origin)
    }

    /// What the command line says about a setting; nothing where it says nothing.
    mutating func set(flag key: String, _ texts: [String]) {
        if !texts.isEmpty { set(key, to: texts, origin: "--\(Setting.named(key)?.flag ?? key)") }
    }

    mutating func set(flag key: String, _ text: String?) { set(flag: key, text.map { [$0] } ?? []) }

    // MARK: Sources

    /// - Throws: `SettingError` for what is no YAML mapping, an unknown key or a value of the wrong form.
    static func file(_ text: String, name: String) throws -> Settings {
        var settings = Settings()
        let node: Node?
        do { node = try Yams.compose(yaml: text) } catch {
            throw SettingError("\(name) is not valid YAML: \(error)")
        }
        guard let node, node.null == nil else { return settings }
        guard let mapping = node.mapping else { throw SettingError("\(name) must be a mapping of settings") }
        try settings.walk(mapping, prefix: "", name: name)
        return settings
    }

    private mutating func walk(_ mapping: Node.Mapping, prefix: String, name: String) throws {
        for (keyNode, value) in mapping {
            guard let word = keyNode.string else { throw SettingError("\(name): a key must be text") }
            let key = prefix + word
            let line = value.mark.map { "\(name), line \($0.line)" } ?? name
            if key == "keys" {
                guard let keys = value.mapping else {
                    throw SettingError("\(line): keys maps key ids to secrets")
                }
                for (id, secret) in keys {
                    guard let id = id.string, let secret = secret.scalar?.string else {
                        throw SettingError("\(line): keys maps key ids to secrets")
                    }
                    set(Setting.keysPrefix + id, to: [secret], origin: line)
                }
            } else if key == WebhookSettings.key {
                try WebhookSettings.read(value, name: name, into: &self)
            } else if let setting = Setting.named(key) {
                set(key, to: try Settings.texts(of: value, setting, line), origin: line)
            } else if let inner = value.mapping, Setting.all.contains(where: { $0.key.hasPrefix(key + ".") })
            {
                try walk(inner, prefix: key + ".", name: name)
            } else {
                throw unknown(key, in: Setting.fileKeys, at: line)
            }
        }
    }

    private static func texts(of node: Node, _ setting: Setting, _ line: String) throws -> [String] {
        if let scalar = node.scalar { return [scalar.string] }
        if let sequence = node.sequence, case .list = setting.form {
            return try sequence.map { item in
                guard let text = item.scalar?.string else {
                    throw SettingError("\(line): \(setting.key) must be a list of texts")
                }
                return text
            }
        }
        throw SettingError("\(line): \(setting.key) has the wrong form")
    }

    /// Variables that begin with `SFU_`; lists are separated by commas. `SFU_KEYS` is `id:secret,id:secret`.
    static func environment(_ environment: [String: String]) throws -> Settings {
        var settings = Settings()
        for (variable, text) in environment.sorted(by: { $0.key < $1.key }) where variable.hasPrefix("SFU_") {
            if variable == "SFU_CONFIG" { continue }
            if WebhookSettings.read(variable: variable, text, into: &settings) { continue }
            if variable == "SFU_KEYS" {
                for pair in text.split(separator: ",") {
                    let parts = pair.split(separator: ":", maxSplits: 1).map(String.init)
                    guard parts.count == 2 else { throw SettingError("SFU_KEYS must be id:secret,id:secret") }
                    settings.set(Setting.keysPrefix + parts[0], to: [parts[1]], origin: variable)
                }
                continue
            }
            guard let setting = Setting.all.first(where: { $0.variable == variable }) else {
                throw settings.unknown(
                    variable,
                    in: Setting.all.map(\.variable) + WebhookSettings.variables.keys.sorted() + ["SFU_KEYS"],
                    at: "environment"
                )
            }
            let isList = if case .list = setting.form { true } else { false }
            settings.set(
                setting.key,
                to: isList ? text.split(separator: ",").map(String.init) : [text],
                origin: variable
            )
        }
        return settings
    }

    private func unknown(_ key: String, in known: [String], at place: String) -> SettingError {
        let hint = Nearest.name(to: key, in: known).map { "; did you mean \"\($0)\"?" } ?? ""
        return SettingError("\(place): unknown setting \"\(key)\"\(hint)")
    }

    // MARK: Reading

    func list(_ key: String) -> [String] {
        let texts = values[key]?.texts ?? [Setting.named(key)?.fallback ?? ""]
        return texts.filter { !$0.isEmpty }
    }

    func text(_ key: String) -> String { values[key]?.texts.first ?? Setting.named(key)?.fallback ?? "" }

    func origin(_ key: String) -> String { values[key]?.origin ?? "default" }

    /// nil where it is not set and has no default.
    func whole(_ key: String, in range: ClosedRange<Int>) throws -> Int? {
        let text = text(key)
        guard !text.isEmpty else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw SettingError(
                "\(origin(key)): \(key) must be a whole number from \(range.lowerBound) to \(range.upperBound), "
                    + "not \"\(text)\""
            )
        }
        return number
    }

    func flag(_ key: String) throws -> Bool {
        switch text(key) {
        case "true", "yes", "on": return true
        case "false", "no", "off": return false
        default: throw SettingError("\(origin(key)): \(key) must be true or false, not \"\(text(key))\"")
        }
    }

    /// Token keys by id.
    var keys: [String: String] {
        var keys: [String: String] = [:]
        for (key, value) in values where key.hasPrefix(Setting.keysPrefix) {
            keys[String(key.dropFirst(Setting.keysPrefix.count))] = value.texts.first
        }
        return keys
    }
}
