import Testing

@testable import Signaling

@Suite struct TypeSchemaTests {
    enum Colour: String, Codable, CaseIterable { case red, darkBlue = "dark_blue" }
    enum Nameless: String, Codable { case one }
    struct Point: Codable {
        var x: Double
        var y: Double?
    }
    struct Shape: Codable {
        enum CodingKeys: String, CodingKey {
            case name, colour, points, tags, origin, `self` = "own", children, extra, count, flags, patch
        }
        var name: String
        var colour: Colour
        var points: [Point]
        var tags: Set<String>?
        var origin: Point?
        var `self`: Bool
        var children: [Shape]
        var extra: JSONValue
        var count: UInt16
        var flags: [String: Bool]
        var patch: [String: String?]?
    }
    struct Bad: Codable { var nameless: Nameless }
    struct Wrapped: RawRepresentable, Codable { var rawValue: String }
    enum Open: String, Codable, CaseIterable, OpenEnumeration { case one }
    struct Painted: Codable {
        var colour: Colour
        var open: Open?
    }
    /// Both are called `TypeSchemaTestsPair` without their dots.
    struct Pair: Codable { var a: Int }
    enum Pai { struct r: Codable { var b: Int } }
    struct Pairs: Codable {
        var one: Pair
        var other: Pai.r
    }

    @Test func objectsBecomeDefinitions() throws {
        let schema = try TypeSchema.of(Shape.self)
        #expect(schema["$ref"] == "#/$defs/TypeSchemaTestsShape")
        let shape = try #require(schema["$defs"]?["TypeSchemaTestsShape"])
        #expect(shape["type"] == "object")
        #expect(
            shape["required"]
                == ["children", "colour", "count", "extra", "flags", "name", "own", "points"]
        )
        let properties = try #require(shape["properties"])
        #expect(properties["name"] == ["type": "string"])
        #expect(properties["colour"] == ["type": "string", "enum": ["red", "dark_blue"]])
        #expect(properties["points"] == ["type": "array", "items": ["$ref": "#/$defs/TypeSchemaTestsPoint"]])
        #expect(
            properties["tags"] == ["type": "array", "items": ["type": "string"], "uniqueItems": true]
        )
        #expect(properties["origin"] == ["$ref": "#/$defs/TypeSchemaTestsPoint"])
        #expect(properties["own"] == ["type": "boolean"])
        #expect(
            properties["children"] == ["type": "array", "items": ["$ref": "#/$defs/TypeSchemaTestsShape"]]
        )
        #expect(properties["extra"] == [:])
        #expect(properties["count"] == ["type": "integer", "minimum": 0, "maximum": 65_535])
        #expect(
            properties["flags"] == ["type": "object", "additionalProperties": ["type": "boolean"]]
        )
        #expect(
            properties["patch"]
                == [
                    "type": "object",
                    "additionalProperties": ["anyOf": [["type": "string"], ["type": "null"]]],
                ]
        )
        let point = try #require(schema["$defs"]?["TypeSchemaTestsPoint"])
        #expect(point["required"] == ["x"])
        #expect(point["properties"]?["y"] == ["type": "number"])
    }

    @Test func enumerationsCanBeDefinitions() throws {
        let comments = SourceComments(
            sources: [
                """
                /// A painted thing.
                struct TypeSchemaTestsPainted {
                    /// How it looks.
                    var colour: Colour
                }
                /// Some light.
                enum TypeSchemaTestsColour {
                    /// Warm.
                    case red
                }
                """
            ]
        )
        let schemas = TypeSchema(comments: comments, namesEnumerations: true)
        _ = try schemas.schema(of: Painted.self)
        #expect(schemas.order["TypeSchemaTestsPainted"] == ["colour", "open"])
        let painted = try #require(schemas.definitions["TypeSchemaTestsPainted"])
        #expect(painted["description"] == "A painted thing.")
        #expect(
            painted["properties"]?["colour"]
                == ["$ref": "#/$defs/TypeSchemaTestsColour", "description": "How it looks."]
        )
        #expect(
            schemas.definitions["TypeSchemaTestsColour"]
                == [
                    "type": "string", "enum": ["red", "dark_blue"],
                    "description": "Some light.\n`red`: Warm.",
                ]
        )
        #expect(schemas.definitions["TypeSchemaTestsOpen"]?["x-open"] == true)
    }

    @Test func twoTypesWithOneNameAreRefused() {
        #expect(throws: SchemaError.self) { try TypeSchema.of(Pairs.self) }
    }

    @Test func whatIsNoObjectStandsForItself() throws {
        #expect(try TypeSchema.of([Int].self) == ["type": "array", "items": ["type": "integer"]])
        #expect(try TypeSchema.of(Wrapped.self) == ["type": "string"])
        #expect(try TypeSchema.of(Colour.self)["enum"] == ["red", "dark_blue"])
    }

    @Test func enumsNeedTheirCases() {
        #expect(throws: SchemaError.self) { try TypeSchema.of(Bad.self) }
    }

    /// Contracts for other languages are made from these.
    @Test func everyMessageOfTheProtocolHasASchema() throws {
        let schemas = TypeSchema()
        for message in MessageDescriptor.all {
            _ = try schemas.schema(of: message.payload)
            if let result = message.result { _ = try schemas.schema(of: result) }
        }
        #expect(schemas.definitions.count > 50)
        #expect(schemas.definitions["TrackObject"]?["properties"]?["kind"]?["enum"] == ["audio", "video"])
    }
}
