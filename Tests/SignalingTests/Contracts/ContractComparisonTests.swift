import Testing

@testable import Signaling

/// One test for each rule of docs/protocol.md, Versions.
@Suite struct ContractComparisonTests {
    private static let base = ContractShape(
        version: "1.0",
        subprotocol: "sfu.v1+json",
        client: ["do": .init(form: "request", grant: nil, data: "Do", result: "Done")],
        server: ["did": .init(delivery: "critical", recovery: "state", key: [], data: "Did")],
        types: [
            "Do": object(["must": text, "may": whole, "kind": reference("Kind")], required: ["must"]),
            "Done": object(["ok": ["type": "boolean"], "why": text], required: ["ok"]),
            "Did": object(
                [
                    "who": text, "kind": reference("Kind"), "reason": reference("Reason"),
                    "list": list(reference("Item")),
                ],
                required: ["who", "list"]
            ),
            "Item": object(["n": whole, "next": reference("Item")], required: ["n"]),
            "Kind": ["type": "string", "enum": ["a", "b"]],
            "Reason": ["type": "string", "enum": ["x", "y"], "x-open": true],
        ],
        errorCodes: ["bad": .init(httpStatus: 400, retryable: false)],
        closeCodes: ["4000": .init(action: "reconnect")],
        caps: ["batch"],
        limits: ["message": 100]
    )
    private static let text: JSONValue = ["type": "string"]
    private static let whole: JSONValue = ["type": "integer", "minimum": 0, "maximum": 255]

    private static func object(_ properties: [String: JSONValue], required: [String]) -> JSONValue {
        ["type": "object", "properties": .object(properties), "required": .strings(required)]
    }
    private static func reference(_ name: String) -> JSONValue { ["$ref": .string("#/$defs/" + name)] }
    private static func list(_ element: JSONValue) -> JSONValue { ["type": "array", "items": element] }

    private func changes(_ change: (inout ContractShape) -> Void) -> [String] {
        var new = Self.base
        change(&new)
        return Self.base.changes(to: new).map { "\($0.isBreaking ? "!" : "+") \($0.place)" }
    }

    private func field(_ type: String, _ name: String, _ schema: JSONValue?, isRequired: Bool? = nil)
        -> [String]
    {
        changes { shape in
            var properties = shape.types[type]?["properties"]?.members ?? [:]
            properties[name] = schema ?? properties[name]
            var required = (shape.types[type]?["required"]?.elements ?? []).compactMap(\.text)
            if let isRequired {
                required.removeAll { $0 == name }
                if isRequired { required.append(name) }
            }
            shape.types[type] = Self.object(properties, required: required)
        }
    }

    private func without(_ type: String, _ name: String) -> [String] {
        changes { shape in
            let properties = (shape.types[type]?["properties"]?.members ?? [:]).filter { $0.key != name }
            let required = (shape.types[type]?["required"]?.elements ?? []).compactMap(\.text).filter {
                $0 != name
            }
            shape.types[type] = Self.object(properties, required: required)
        }
    }

    @Test func theSameIsNoChange() { #expect(changes { _ in } == []) }

    @Test func messages() {
        #expect(changes { $0.client["do"] = nil } == ["! client do"])
        #expect(changes { $0.server["did"] = nil } == ["! server did"])
        #expect(changes { $0.client["more"] = $0.client["do"] } == ["+ client more"])
        #expect(changes { $0.server["more"] = $0.server["did"] } == ["+ server more"])
    }

    @Test func forms() {
        #expect(changes { $0.client["do"]?.form = "either" } == ["+ client do"])
        #expect(changes { $0.client["do"]?.form = "notification" } == ["! client do"])
        #expect(changes { $0.client["do"]?.grant = "moderate" } == ["! client do"])
        #expect(changes { $0.client["do"]?.result = nil } == ["! client do"])
    }

    @Test func aGrantOrResponseMoreOrLess() {
        var old = Self.base
        old.client["do"]?.grant = "moderate"
        old.client["do"]?.result = nil
        let found = old.changes(to: Self.base)
        #expect(found.count == 2 && found.allSatisfy { !$0.isBreaking })
    }

    @Test func delivery() {
        #expect(changes { $0.server["did"]?.delivery = "ephemeral" } == ["! server did"])
        #expect(changes { $0.server["did"]?.recovery = "relay" } == ["! server did"])
        #expect(changes { $0.server["did"]?.key = ["who"] } == ["! server did"])
    }

    @Test func fieldsOfRequests() {
        #expect(without("Do", "may") == ["! client do data.may"])
        #expect(field("Do", "new", Self.text) == ["+ client do data.new"])
        #expect(field("Do", "new", Self.text, isRequired: true) == ["! client do data.new"])
        #expect(field("Do", "may", nil, isRequired: true) == ["! client do data.may"])
        #expect(field("Do", "must", nil, isRequired: false) == ["+ client do data.must"])
    }

    @Test func fieldsOfEventsAndResults() {
        #expect(without("Did", "who") == ["! server did data.who"])
        #expect(without("Done", "why") == ["! client do result.why"])
        #expect(field("Did", "new", Self.text) == ["+ server did data.new"])
        #expect(field("Did", "new", Self.text, isRequired: true) == ["+ server did data.new"])
        #expect(field("Did", "who", nil, isRequired: false) == ["! server did data.who"])
        #expect(field("Done", "why", nil, isRequired: true) == ["+ client do result.why"])
    }

    @Test func typesOfFields() {
        #expect(field("Do", "must", Self.whole) == ["! client do data.must"])
        #expect(field("Did", "who", Self.whole) == ["! server did data.who"])
        #expect(field("Did", "who", Self.list(Self.text)) == ["! server did data.who"])
    }

    @Test func widerAndNarrowerTypes() {
        let number: JSONValue = ["type": "number"]
        let larger: JSONValue = ["type": "integer", "minimum": 0, "maximum": 65_535]
        let smaller: JSONValue = ["type": "integer", "minimum": 1, "maximum": 255]
        #expect(field("Do", "may", number) == ["+ client do data.may"])
        #expect(field("Do", "may", larger) == ["+ client do data.may"])
        #expect(field("Do", "may", smaller) == ["! client do data.may"])
        #expect(field("Do", "may", [:]) == ["+ client do data.may"])
        #expect(field("Item", "n", number) == ["! server did data.list[].n"])
        #expect(field("Item", "n", larger) == ["! server did data.list[].n"])
        #expect(field("Item", "n", smaller) == ["+ server did data.list[].n"])
    }

    @Test func values() {
        // `Kind` is in a request and in an event.
        #expect(
            changes { $0.types["Kind"] = ["type": "string", "enum": ["a"]] } == [
                "! client do data.kind", "+ server did data.kind",
            ]
        )
        #expect(
            changes { $0.types["Kind"] = ["type": "string", "enum": ["a", "b", "c"]] } == [
                "+ client do data.kind", "! server did data.kind",
            ]
        )
        let grown: JSONValue = ["type": "string", "enum": ["x", "y", "z"], "x-open": true]
        #expect(changes { $0.types["Reason"] = grown } == ["+ server did data.reason"])
        let opened: JSONValue = ["type": "string", "enum": ["a", "b"], "x-open": true]
        #expect(changes { $0.types["Kind"] = opened } == ["! server did data.kind"])
        #expect(changes { $0.types["Reason"] = ["type": "string", "enum": ["x", "y"]] } == [])
    }

    @Test func textsAndValues() {
        #expect(
            changes { $0.types["Kind"] = Self.text } == ["+ client do data.kind", "! server did data.kind"]
        )
        #expect(field("Do", "must", ["type": "string", "enum": ["a"]]) == ["! client do data.must"])
    }

    @Test func whatIsInListsMapsAndCircles() {
        #expect(without("Item", "n") == ["! server did data.list[].n"])
        var old = Self.base
        old.types["Did"] = Self.object(
            ["map": ["type": "object", "additionalProperties": Self.text]],
            required: []
        )
        var new = old
        new.types["Did"] = Self.object(
            ["map": ["type": "object", "additionalProperties": Self.whole]],
            required: []
        )
        #expect(old.changes(to: new).map(\.place) == ["server did data.map.*"])
    }

    @Test func namesOfTypesDoNotCount() {
        let renamed = changes { shape in
            shape.types["Other"] = shape.types["Do"]
            shape.types["Do"] = nil
            shape.client["do"]?.data = "Other"
        }
        #expect(renamed == [])
    }

    @Test func codes() {
        #expect(changes { $0.errorCodes["bad"] = nil } == ["! error code bad"])
        #expect(changes { $0.errorCodes["bad"]?.httpStatus = 422 } == ["! error code bad"])
        #expect(changes { $0.errorCodes["bad"]?.retryable = true } == ["! error code bad"])
        #expect(changes { $0.errorCodes["worse"] = .init(httpStatus: 500) } == ["+ error code worse"])
        #expect(changes { $0.closeCodes["4000"] = nil } == ["! close code 4000"])
        #expect(changes { $0.closeCodes["4000"]?.action = "stop" } == ["! close code 4000"])
        #expect(changes { $0.closeCodes["4999"] = .init(action: "fix") } == ["+ close code 4999"])
    }

    @Test func capsBoundsAndVersion() {
        #expect(changes { $0.caps = [] } == ["! cap batch"])
        #expect(changes { $0.caps += ["deflate"] } == ["+ cap deflate"])
        #expect(changes { $0.limits["message"] = 99 } == ["! limit message"])
        #expect(changes { $0.limits["message"] = 101 } == ["+ limit message"])
        #expect(changes { $0.limits = [:] } == ["! limit message"])
        #expect(changes { $0.limits["lines"] = 1 } == ["! limit lines"])
        #expect(changes { $0.version = "2.0" } == ["! version"])
        #expect(changes { $0.version = "1.1" } == [])
    }

    @Test func aFindingNamesItsPlace() throws {
        var new = Self.base
        new.server["did"] = nil
        let change = try #require(Self.base.changes(to: new).first)
        #expect("\(change)" == "breaking: server did: was removed: clients wait for it")
    }

    /// The real contract: a field that a client relies on cannot go unnoticed, wherever it is.
    @Test func everyFieldOfTheProtocolIsLookedAt() throws {
        let shape = ContractShape(try Contract())
        #expect(shape.changes(to: shape).isEmpty)
        for (type, schema) in shape.types {
            for field in schema["properties"]?.members.keys.map({ $0 }) ?? [] {
                var new = shape
                let rest = (schema["properties"]?.members ?? [:]).filter { $0.key != field }
                new.types[type] = schema.adding("properties", .object(rest))
                #expect(shape.changes(to: new).contains { $0.isBreaking }, "\(type).\(field)")
            }
        }
    }
}
