// Small tools for JSON values that are documents: looking in, changing references, writing them as text.
// Must not know what a document is about.
import Foundation

extension JSONValue {
    /// Empty where it is no object.
    var members: [String: JSONValue] {
        guard case .object(let members) = self else { return [:] }
        return members
    }

    /// Empty where it is no array.
    var elements: [JSONValue] {
        guard case .array(let elements) = self else { return [] }
        return elements
    }

    var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    var isTrue: Bool { self == .bool(true) }

    static func strings(_ list: some Sequence<String>) -> JSONValue { .array(list.map { .string($0) }) }

    func adding(_ key: String, _ value: JSONValue?) -> JSONValue {
        guard let value else { return self }
        var members = members
        members[key] = value
        return .object(members)
    }

    func without(_ keys: Set<String>) -> JSONValue {
        guard case .object(let members) = self else { return self }
        return .object(members.filter { !keys.contains($0.key) })
    }

    /// The same with every value of `$ref` changed.
    func mapReferences(_ change: (String) -> String) -> JSONValue {
        switch self {
        case .object(let members):
            .object(
                Dictionary(
                    uniqueKeysWithValues: members.map { key, value in
                        guard key == "$ref", case .string(let target) = value else {
                            return (key, value.mapReferences(change))
                        }
                        return (key, .string(change(target)))
                    }
                )
            )
        case .array(let elements): .array(elements.map { $0.mapReferences(change) })
        default: self
        }
    }

    /// Sorted, indented, with a line feed at the end: the same value is always the same text.
    func document() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    }
}
