// JSON Schema of a `Codable` type, found by letting the type decode itself from a decoder that only writes down what it
// is asked for; texts come from the comments in the sources. Must not know which types there are.

/// A type that is not what its decoding looks like: it says its schema itself.
public protocol SchemaProviding {
    static var jsonSchema: JSONValue { get }
}

/// A list of cases that may grow: whoever reads one has to get along with a value that it does not know.
public protocol OpenEnumeration {}

/// Why a type has no schema.
public struct SchemaError: Error, Sendable, CustomStringConvertible {
    public var description: String
}

/// Collects the schemas of types; objects become definitions that others refer to.
public final class TypeSchema {
    /// What a reference begins with, "#/components/schemas/" for instance.
    private let prefix: String
    private let comments: SourceComments
    /// Whether enumerations are definitions, too.
    private let namesEnumerations: Bool
    /// By name, in JSON Schema 2020-12.
    public private(set) var definitions: [String: JSONValue] = [:]
    /// The properties of the definitions in the order in which they are declared.
    public private(set) var order: [String: [String]] = [:]
    private var names: [ObjectIdentifier: String] = [:]
    private var owners: [String: ObjectIdentifier] = [:]
    private var inProgress: Set<ObjectIdentifier> = []

    public init(
        prefix: String = "#/$defs/",
        comments: SourceComments = SourceComments(),
        namesEnumerations: Bool = false
    ) {
        self.prefix = prefix
        self.comments = comments
        self.namesEnumerations = namesEnumerations
    }

    /// The schema of one type, complete in itself.
    public static func of(_ type: any Decodable.Type) throws -> JSONValue {
        let collector = TypeSchema()
        let schema = try collector.schema(of: type)
        guard !collector.definitions.isEmpty else { return schema }
        var members: [String: JSONValue] = ["$defs": .object(collector.definitions)]
        if case .object(let own) = schema { members.merge(own) { mine, _ in mine } }
        return .object(members)
    }

    /// A reference for objects, the schema itself for everything else.
    public func schema(of type: any Decodable.Type) throws -> JSONValue {
        if let provider = type as? any SchemaProviding.Type { return provider.jsonSchema }
        if let primitive = Self.primitive(type) { return primitive }
        if let optional = type as? any OptionalShape.Type {
            return ["anyOf": [try schema(of: optional.wrapped()), ["type": "null"]]]
        }
        if let list = type as? any ListShape.Type {
            var members: [String: JSONValue] = ["type": "array", "items": try schema(of: list.element())]
            if list.isSet { members["uniqueItems"] = true }
            return .object(members)
        }
        if let map = type as? any MapShape.Type {
            return ["type": "object", "additionalProperties": try schema(of: map.value())]
        }
        if let cases = Self.cases(of: type) {
            return try enumeration(type, cases)
        }
        return try composed(type)
    }

    private func enumeration(_ type: any Decodable.Type, _ cases: [String]) throws -> JSONValue {
        var schema: [String: JSONValue] = ["type": "string", "enum": .array(cases.map { .string($0) })]
        guard namesEnumerations else { return .object(schema) }
        let name = try name(of: type)
        if type is any OpenEnumeration.Type { schema["x-open"] = true }
        if let text = comments.text(ofEnumeration: name) { schema["description"] = .string(text) }
        definitions[name] = .object(schema)
        return reference(name)
    }

    /// A value that has the type, for decoding to go on.
    fileprivate func sample<Value: Decodable>(of type: Value.Type) throws -> Value {
        if let list = type as? any ListShape.Type, let value = list.empty as? Value { return value }
        if let map = type as? any MapShape.Type, let value = map.empty as? Value { return value }
        if let iterable = type as? any CaseIterable.Type, let value = Self.first(of: iterable) as? Value {
            return value
        }
        return try Value(from: RecordingDecoder(self, Recording()))
    }

    private func composed(_ type: any Decodable.Type) throws -> JSONValue {
        let id = ObjectIdentifier(type)
        let name = try name(of: type)
        guard !inProgress.contains(id), definitions[name] == nil else { return reference(name) }
        inProgress.insert(id)
        defer { inProgress.remove(id) }
        let recording = Recording()
        do {
            _ = try type.init(from: RecordingDecoder(self, recording))
        } catch let error as SchemaError {
            throw error
        } catch {
            throw SchemaError(description: "\(type) has no schema: an enum needs CaseIterable (\(error))")
        }
        guard !recording.isKeyed else {
            definitions[name] = describe(recording.object, name)
            order[name] = recording.order
            return reference(name)
        }
        guard let single = recording.single else {
            throw SchemaError(description: "\(type) decodes nothing that has a schema")
        }
        return single
    }

    private func reference(_ name: String) -> JSONValue { ["$ref": .string(prefix + name)] }

    private func describe(_ object: JSONValue, _ name: String) -> JSONValue {
        guard case .object(var members) = object, case .object(var properties)? = members["properties"] else {
            return object
        }
        if let text = comments.text(of: name) { members["description"] = .string(text) }
        for (field, schema) in properties {
            guard case .object(var described) = schema, let text = comments.text(of: "\(name).\(field)")
            else {
                continue
            }
            described["description"] = .string(text)
            properties[field] = .object(described)
        }
        members["properties"] = .object(properties)
        return .object(members)
    }

    /// "Signaling.UpdateView.Tile" becomes "UpdateViewTile". Throws where two types would get the same name.
    private func name(of type: any Decodable.Type) throws -> String {
        let id = ObjectIdentifier(type)
        if let known = names[id] { return known }
        let parts = String(reflecting: type).split(separator: ".").dropFirst()
        let name = parts.joined().filter { $0.isLetter || $0.isNumber }
        guard owners.updateValue(id, forKey: name) == nil else {
            throw SchemaError(description: "two types are called \(name)")
        }
        names[id] = name
        return name
    }

    private static func primitive(_ type: any Decodable.Type) -> JSONValue? {
        switch type {
        case is String.Type: ["type": "string"]
        case is Bool.Type: ["type": "boolean"]
        case is Double.Type, is Float.Type: ["type": "number"]
        case is Int.Type, is Int64.Type, is Int32.Type, is Int16.Type, is Int8.Type: ["type": "integer"]
        case is UInt.Type, is UInt64.Type, is UInt32.Type: ["type": "integer", "minimum": 0]
        case is UInt16.Type: ["type": "integer", "minimum": 0, "maximum": 65_535]
        case is UInt8.Type: ["type": "integer", "minimum": 0, "maximum": 255]
        default: nil
        }
    }

    private static func cases(of type: any Decodable.Type) -> [String]? {
        func names<Cases: CaseIterable>(_ type: Cases.Type) -> [String]? {
            let names = type.allCases.compactMap { ($0 as? any RawRepresentable)?.rawValue as? String }
            return names.count == type.allCases.count ? names : nil
        }
        guard let iterable = type as? any CaseIterable.Type else { return nil }
        return names(iterable)
    }

    private static func first(of type: any CaseIterable.Type) -> Any? {
        func first<Cases: CaseIterable>(_ type: Cases.Type) -> Any? { type.allCases.first }
        return first(type)
    }
}

// MARK: Shapes that the library's own types have

private protocol OptionalShape {
    static func wrapped() throws -> any Decodable.Type
}

private protocol ListShape {
    static var isSet: Bool { get }
    static var empty: Any { get }
    static func element() throws -> any Decodable.Type
}

private protocol MapShape {
    static var empty: Any { get }
    static func value() throws -> any Decodable.Type
}

private func decodable(_ type: Any.Type) throws -> any Decodable.Type {
    guard let type = type as? any Decodable.Type else {
        throw SchemaError(description: "\(type) cannot be decoded")
    }
    return type
}

extension Optional: OptionalShape {
    static func wrapped() throws -> any Decodable.Type { try decodable(Wrapped.self) }
}

extension Array: ListShape {
    static var isSet: Bool { false }
    static var empty: Any { [Element]() }
    static func element() throws -> any Decodable.Type { try decodable(Element.self) }
}

extension Set: ListShape {
    static var isSet: Bool { true }
    static var empty: Any { Set<Element>() }
    static func element() throws -> any Decodable.Type { try decodable(Element.self) }
}

extension Dictionary: MapShape where Key == String {
    static var empty: Any { [Key: Value]() }
    static func value() throws -> any Decodable.Type { try decodable(Value.self) }
}

// MARK: The decoder that writes down

private final class Recording {
    private(set) var properties: [String: JSONValue] = [:]
    private(set) var required: Set<String> = []
    private(set) var order: [String] = []
    var isKeyed = false
    var single: JSONValue?

    func note(_ key: any CodingKey, _ schema: JSONValue, isRequired: Bool) {
        if properties.updateValue(schema, forKey: key.stringValue) == nil { order.append(key.stringValue) }
        if isRequired { required.insert(key.stringValue) }
    }

    var object: JSONValue {
        var members: [String: JSONValue] = ["type": "object", "properties": .object(properties)]
        if !required.isEmpty { members["required"] = .array(required.sorted().map { .string($0) }) }
        return .object(members)
    }
}

private struct RecordingDecoder: Decoder {
    let schema: TypeSchema
    let recording: Recording
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(_ schema: TypeSchema, _ recording: Recording) {
        self.schema = schema
        self.recording = recording
    }

    func container<Key: CodingKey>(keyedBy: Key.Type) -> KeyedDecodingContainer<Key> {
        recording.isKeyed = true
        return KeyedDecodingContainer(KeyedRecorder<Key>(schema: schema, recording: recording))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        throw SchemaError(description: "a type that decodes a list by hand has to be SchemaProviding")
    }

    func singleValueContainer() -> any SingleValueDecodingContainer {
        SingleRecorder(schema: schema, recording: recording)
    }
}

private struct SingleRecorder: SingleValueDecodingContainer {
    let schema: TypeSchema
    let recording: Recording
    var codingPath: [any CodingKey] { [] }

    func decodeNil() -> Bool { false }

    private func note<Value: Decodable>(_ value: Value) throws -> Value {
        recording.single = try schema.schema(of: Value.self)
        return value
    }

    func decode(_: Bool.Type) throws -> Bool { try note(false) }
    func decode(_: String.Type) throws -> String { try note("") }
    func decode(_: Double.Type) throws -> Double { try note(0) }
    func decode(_: Float.Type) throws -> Float { try note(0) }
    func decode(_: Int.Type) throws -> Int { try note(0) }
    func decode(_: Int8.Type) throws -> Int8 { try note(0) }
    func decode(_: Int16.Type) throws -> Int16 { try note(0) }
    func decode(_: Int32.Type) throws -> Int32 { try note(0) }
    func decode(_: Int64.Type) throws -> Int64 { try note(0) }
    func decode(_: UInt.Type) throws -> UInt { try note(0) }
    func decode(_: UInt8.Type) throws -> UInt8 { try note(0) }
    func decode(_: UInt16.Type) throws -> UInt16 { try note(0) }
    func decode(_: UInt32.Type) throws -> UInt32 { try note(0) }
    func decode(_: UInt64.Type) throws -> UInt64 { try note(0) }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try note(try schema.sample(of: type))
    }
}

private struct KeyedRecorder<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let schema: TypeSchema
    let recording: Recording
    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { [] }

    func contains(_: Key) -> Bool { true }
    func decodeNil(forKey: Key) -> Bool { false }

    private func note<Value: Decodable>(_ key: Key, _ value: Value) throws -> Value {
        recording.note(key, try schema.schema(of: Value.self), isRequired: true)
        return value
    }

    private func skip<Value: Decodable>(_ key: Key, _: Value.Type) throws -> Value? {
        recording.note(key, try schema.schema(of: Value.self), isRequired: false)
        return nil
    }

    func decode(_: Bool.Type, forKey key: Key) throws -> Bool { try note(key, false) }
    func decode(_: String.Type, forKey key: Key) throws -> String { try note(key, "") }
    func decode(_: Double.Type, forKey key: Key) throws -> Double { try note(key, 0) }
    func decode(_: Float.Type, forKey key: Key) throws -> Float { try note(key, 0) }
    func decode(_: Int.Type, forKey key: Key) throws -> Int { try note(key, 0) }
    func decode(_: Int8.Type, forKey key: Key) throws -> Int8 { try note(key, 0) }
    func decode(_: Int16.Type, forKey key: Key) throws -> Int16 { try note(key, 0) }
    func decode(_: Int32.Type, forKey key: Key) throws -> Int32 { try note(key, 0) }
    func decode(_: Int64.Type, forKey key: Key) throws -> Int64 { try note(key, 0) }
    func decode(_: UInt.Type, forKey key: Key) throws -> UInt { try note(key, 0) }
    func decode(_: UInt8.Type, forKey key: Key) throws -> UInt8 { try note(key, 0) }
    func decode(_: UInt16.Type, forKey key: Key) throws -> UInt16 { try note(key, 0) }
    func decode(_: UInt32.Type, forKey key: Key) throws -> UInt32 { try note(key, 0) }
    func decode(_: UInt64.Type, forKey key: Key) throws -> UInt64 { try note(key, 0) }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try note(key, try schema.sample(of: type))
    }

    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? { try skip(key, type) }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? { try skip(key, type) }
    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? { try skip(key, type) }
    func decodeIfPresent(_ type: Float.Type, forKey key: Key) throws -> Float? { try skip(key, type) }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? { try skip(key, type) }
    func decodeIfPresent(_ type: Int8.Type, forKey key: Key) throws -> Int8? { try skip(key, type) }
    func decodeIfPresent(_ type: Int16.Type, forKey key: Key) throws -> Int16? { try skip(key, type) }
    func decodeIfPresent(_ type: Int32.Type, forKey key: Key) throws -> Int32? { try skip(key, type) }
    func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? { try skip(key, type) }
    func decodeIfPresent(_ type: UInt.Type, forKey key: Key) throws -> UInt? { try skip(key, type) }
    func decodeIfPresent(_ type: UInt8.Type, forKey key: Key) throws -> UInt8? { try skip(key, type) }
    func decodeIfPresent(_ type: UInt16.Type, forKey key: Key) throws -> UInt16? { try skip(key, type) }
    func decodeIfPresent(_ type: UInt32.Type, forKey key: Key) throws -> UInt32? { try skip(key, type) }
    func decodeIfPresent(_ type: UInt64.Type, forKey key: Key) throws -> UInt64? { try skip(key, type) }
    func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? {
        try skip(key, type)
    }

    func nestedContainer<Nested: CodingKey>(keyedBy: Nested.Type, forKey: Key) throws
        -> KeyedDecodingContainer<Nested>
    {
        throw SchemaError(description: "a type with nested containers has to be SchemaProviding")
    }
    func nestedUnkeyedContainer(forKey: Key) throws -> any UnkeyedDecodingContainer {
        throw SchemaError(description: "a type with nested containers has to be SchemaProviding")
    }
    func superDecoder() throws -> any Decoder {
        throw SchemaError(description: "a class with a decoding parent has to be SchemaProviding")
    }
    func superDecoder(forKey: Key) throws -> any Decoder { try superDecoder() }
}

extension JSONValue: SchemaProviding {
    /// Anything.
    public static var jsonSchema: JSONValue { [:] }
}
