// Says whether a JSON value is what a JSON Schema describes: as much of 2020-12 as the contracts use. A keyword that it does
// not know is an error, so that nothing goes unchecked.
import Foundation

@testable import Signaling

final class SchemaValidator: Sendable {
    struct UnknownKeyword: Error { var keyword: String }

    indirect enum Node: Sendable {
        case anything
        case reference(String)
        case object(properties: [String: Node], required: [String], others: Node?)
        case array(Node, isSet: Bool)
        case string(Set<String>?)
        case number(isWhole: Bool, low: Double, high: Double)
        case boolean
        case null
        case constant(JSONValue)
        /// At least one of them, or exactly one.
        case union([Node], isExclusive: Bool)
    }

    private let definitions: [String: Node]

    /// - Parameter document: with `$defs`.
    init(_ document: JSONValue) throws {
        definitions = try document["$defs"]?.members.mapValues(Self.node) ?? [:]
    }

    private static let silent: Set = ["description", "title", "x-open", "$schema", "$id", "$defs"]

    private static func node(_ schema: JSONValue) throws -> Node {
        let members = schema.members.filter { !silent.contains($0.key) }
        func only(_ keys: String...) throws {
            if let other = members.keys.first(where: { !keys.contains($0) }) {
                throw UnknownKeyword(keyword: other)
            }
        }
        if let target = members["$ref"]?.text {
            try only("$ref")
            return .reference(Contract.name(target))
        }
        for (keyword, isExclusive) in [("anyOf", false), ("oneOf", true)] {
            guard let alternatives = members[keyword]?.elements else { continue }
            try only(keyword)
            return .union(try alternatives.map(node), isExclusive: isExclusive)
        }
        if let constant = members["const"] {
            try only("const")
            return .constant(constant)
        }
        switch members["type"]?.text {
        case nil:
            try only()
            return .anything
        case "object":
            try only("type", "properties", "required", "additionalProperties")
            return .object(
                properties: try members["properties"]?.members.mapValues(node) ?? [:],
                required: members["required"]?.elements.compactMap(\.text) ?? [],
                others: try members["additionalProperties"].map(node)
            )
        case "array":
            try only("type", "items", "uniqueItems")
            return .array(try members["items"].map(node) ?? .anything, isSet: members["uniqueItems"] != nil)
        case "string":
            try only("type", "enum")
            return .string((members["enum"]?.elements).map { Set($0.compactMap(\.text)) })
        case "boolean": return .boolean
        case "null": return .null
        case "integer", "number":
            try only("type", "minimum", "maximum")
            return .number(
                isWhole: members["type"]?.text == "integer",
                low: members["minimum"].flatMap(number) ?? -.infinity,
                high: members["maximum"].flatMap(number) ?? .infinity
            )
        case let other?: throw UnknownKeyword(keyword: "type \(other)")
        }
    }

    private static func number(_ value: JSONValue) -> Double? {
        switch value {
        case .whole(let whole): Double(whole)
        case .number(let number): number
        default: nil
        }
    }

    // MARK: Validation

    /// What is wrong, with its place; nil: nothing. `isClosed`: fields that the schema does not name are wrong, too.
    func fault(_ value: JSONValue, as name: String, isClosed: Bool) -> String? {
        fault(value, .reference(name), isClosed, name)
    }

    private func fault(_ value: JSONValue, _ node: Node, _ isClosed: Bool, _ place: String) -> String? {
        switch (node, value) {
        case (.anything, _), (.boolean, .bool), (.null, .null): return nil
        case (.reference(let name), _):
            guard let definition = definitions[name] else { return "\(place): there is no \(name)" }
            return fault(value, definition, isClosed, place)
        case (.constant(let constant), _):
            return value == constant ? nil : "\(place): \(value) is not \(constant)"
        case (.string(let cases), .string(let text)):
            return (cases?.contains(text) ?? true) ? nil : "\(place): \(text) is none of the values"
        case (.number(let isWhole, let low, let high), _):
            guard let number = Self.number(value) else { break }
            guard !isWhole || number.rounded() == number, (low...high).contains(number) else {
                return "\(place): \(number) is out of bounds"
            }
            return nil
        case (.array(let element, let isSet), .array(let elements)):
            for (index, one) in elements.enumerated() {
                if let fault = fault(one, element, isClosed, "\(place)[\(index)]") { return fault }
            }
            let texts = elements.compactMap(\.text)
            return isSet && Set(texts).count < texts.count ? "\(place): twice the same" : nil
        case (.object(let properties, let required, let others), .object(let members)):
            return fault(members, properties, required, others, isClosed, place)
        case (.union(let nodes, let isExclusive), _):
            return fault(value, anyOf: nodes, isExclusive, isClosed, place)
        default: break
        }
        return "\(place): \(value) has the wrong type"
    }

    private func fault(
        _ members: [String: JSONValue],
        _ properties: [String: Node],
        _ required: [String],
        _ others: Node?,
        _ isClosed: Bool,
        _ place: String
    ) -> String? {
        if let missing = required.first(where: { members[$0] == nil }) {
            return "\(place).\(missing) is missing"
        }
        for (name, value) in members {
            if let node = properties[name] ?? others {
                if let fault = fault(value, node, isClosed, "\(place).\(name)") { return fault }
            } else if isClosed, !properties.isEmpty || !required.isEmpty {
                return "\(place).\(name) is not in the schema"
            }
        }
        return nil
    }

    /// The fault of the alternative that says the same in its constant fields, for there it is of use.
    private func fault(
        _ value: JSONValue,
        anyOf nodes: [Node],
        _ isExclusive: Bool,
        _ isClosed: Bool,
        _ place: String
    ) -> String? {
        var faults: [String] = []
        var fitting = 0
        for node in nodes {
            guard !contradicts(value, node) else { continue }
            if let fault = fault(value, node, isClosed, place) { faults.append(fault) } else { fitting += 1 }
            if fitting > 0, !isExclusive { return nil }
        }
        if fitting == 1 { return nil }
        return fitting > 1
            ? "\(place) is several things at once"
            : faults.first ?? "\(place): \(value) is none of the alternatives"
    }

    private func contradicts(_ value: JSONValue, _ node: Node) -> Bool {
        switch node {
        case .reference(let name): return definitions[name].map { contradicts(value, $0) } ?? false
        case .object(let properties, let required, _):
            for (name, node) in properties {
                if case .constant(let constant) = node, let found = value[name], found != constant {
                    return true
                }
            }
            return required.contains { value[$0] == nil }
        default: return false
        }
    }
}

/// The messages of the protocol against their schema.
enum WireContract {
    static let validator: SchemaValidator? = {
        guard let contract = try? Contract() else { return nil }
        return try? SchemaValidator(contract.messageSchema)
    }()

    /// What is wrong with a text of the server: one or more envelopes. Nothing may be in it that the schema does not know.
    static func fault(ofServer text: String) -> String? {
        fault(text, as: "ServerEnvelope", isClosed: true)
    }

    static func fault(ofClient text: String) -> String? {
        fault(text, as: "ClientEnvelope", isClosed: false)
    }

    static func fault(ofResult text: String, to type: String) -> String? {
        fault(text, as: "result." + type, isClosed: true)
    }

    private static func fault(_ text: String, as name: String, isClosed: Bool) -> String? {
        guard let validator else { return "the contract has no schema" }
        for line in text.split(separator: "\n") {
            guard let value = try? JSONReader.read(String(line)) else { return "no JSON" }
            if let fault = validator.fault(value, as: name, isClosed: isClosed) { return fault }
        }
        return nil
    }
}
