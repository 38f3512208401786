// The documentation comments of types, of their fields and cases, read from formatted Swift sources: each text lives once,
// where the field is declared. Only types that are declared `Codable` count. Must not know which types are messages, nor
// anything else of Swift's grammar.

/// By the names that `TypeSchema` gives: "TrackObject", "TrackObject.tid".
public struct SourceComments: Sendable {
    struct CaseGroup: Sendable, Equatable {
        var values: [String]
        var text: String
    }

    private var texts: [String: String] = [:]
    private(set) var cases: [String: [CaseGroup]] = [:]

    public init() {}

    /// - Parameter sources: whole files, four spaces for each level of nesting.
    public init(sources: [String]) {
        for source in sources { read(source) }
    }

    public func text(of name: String) -> String? { texts[name] }

    /// What the type is, then each commented value.
    func text(ofEnumeration name: String) -> String? {
        let lines = (cases[name] ?? []).map { group in
            "\(group.values.map { "`\($0)`" }.joined(separator: ", ")): \(group.text)"
        }
        let all = (texts[name].map { [$0] } ?? []) + lines
        return all.isEmpty ? nil : all.joined(separator: "\n")
    }

    // MARK: Reading

    private struct Scope {
        var name: String
        var indentation: Int
        var isEnumeration: Bool
        var isCodable: Bool
    }

    private mutating func read(_ source: String) {
        var scopes: [Scope] = []
        var comment: [Substring] = []
        for line in source.split(separator: "\n", omittingEmptySubsequences: false) {
            let body = line.drop { $0 == " " }
            let indentation = line.count - body.count
            if body.hasPrefix("///") {
                comment.append(body.dropFirst(3).drop { $0 == " " })
                continue
            }
            let text = comment.isEmpty ? nil : comment.joined(separator: " ")
            comment = []
            if let scope = scopes.last, indentation <= scope.indentation, body.hasPrefix("}") {
                scopes.removeLast()
            } else if let declared = Self.type(body) {
                let name = scopes.map(\.name).joined() + declared.name
                let isCodable = body.contains("Codable") && !declared.isExtension
                if let text, isCodable { texts[name] = text }
                // "struct Done {}" has no lines of its own.
                guard !body.hasSuffix("}") else { continue }
                scopes.append(
                    Scope(
                        name: declared.name,
                        indentation: indentation,
                        isEnumeration: declared.isEnumeration,
                        isCodable: isCodable
                    )
                )
            } else if let scope = scopes.last, indentation == scope.indentation + 4 {
                note(body, text, in: scopes)
            }
        }
    }

    private mutating func note(_ body: Substring, _ text: String?, in scopes: [Scope]) {
        guard let scope = scopes.last else { return }
        let path = scopes.map(\.name).joined()
        if scope.isEnumeration, body.hasPrefix("case ") {
            let values = Self.values(body.dropFirst(5))
            if scope.name == "CodingKeys" {
                rename(values, of: scopes.dropLast().map(\.name).joined())
            } else if let text, scope.isCodable {
                cases[path, default: []].append(CaseGroup(values: values.map(\.raw), text: text))
            }
        } else if let text, scope.isCodable, let field = Self.field(body) {
            texts["\(path).\(field)"] = text
        }
    }

    /// A field is called in JSON as its coding key says; the fields stand above their keys.
    private mutating func rename(_ keys: [(name: String, raw: String)], of type: String) {
        for key in keys where key.raw != key.name {
            texts["\(type).\(key.raw)"] = texts.removeValue(forKey: "\(type).\(key.name)")
        }
    }

    private static func type(_ body: Substring) -> (name: String, isEnumeration: Bool, isExtension: Bool)? {
        var words = body.split(whereSeparator: { " :<{".contains($0) })[...]
        while let first = words.first,
            ["public", "private", "fileprivate", "final", "indirect"].contains(first)
        {
            words.removeFirst()
        }
        guard words.count >= 2, let kind = words.first, let name = words.dropFirst().first,
            ["struct", "enum", "class", "extension", "actor", "protocol"].contains(kind)
        else { return nil }
        return (String(name).replacing(".", with: ""), kind == "enum", kind == "extension")
    }

    private static func field(_ body: Substring) -> String? {
        let words = body.split(separator: " ", maxSplits: 3)
        guard let place = words.firstIndex(where: { $0 == "var" || $0 == "let" }), place <= 1,
            words.indices.contains(place + 1)
        else { return nil }
        return String(words[place + 1].prefix { $0 != ":" }).replacing("`", with: "")
    }

    private static func values(_ list: Substring) -> [(name: String, raw: String)] {
        list.split(separator: ",").map { item in
            let sides = item.split(separator: "=").map { side in
                String(side.filter { !" `\"".contains($0) })
            }
            return (sides.first ?? "", sides.last ?? "")
        }
    }
}
