import Testing

@testable import Signaling

/// The rules of AsyncAPI 3.0.0, as far as its text gives them for what our document uses.
@Suite struct AsyncAPITests {
    private let document: JSONValue

    init() throws { document = try ContractFiles.contract().asyncAPI }

    private func walk(_ value: JSONValue, _ visit: (JSONValue) -> Void) {
        visit(value)
        value.members.values.forEach { walk($0, visit) }
        value.elements.forEach { walk($0, visit) }
    }

    private func target(_ reference: String) -> JSONValue? {
        guard reference.hasPrefix("#/") else { return nil }
        var value: JSONValue? = document
        for step in reference.dropFirst(2).split(separator: "/") { value = value?[String(step)] }
        return value
    }

    @Test func referencesLeadSomewhere() {
        var count = 0
        walk(document) { value in
            guard let reference = value["$ref"]?.text else { return }
            count += 1
            #expect(target(reference) != nil, "\(reference)")
        }
        #expect(count > 300)
    }

    @Test func theRootHasWhatItNeeds() {
        #expect(document["asyncapi"] == "3.0.0")
        #expect(document["info"]?["title"]?.text?.isEmpty == false)
        #expect(document["info"]?["version"] == .string("\(ProtocolVersion.text).0"))
        let known: Set = [
            "asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components",
        ]
        for key in document.members.keys { #expect(known.contains(key) || key.hasPrefix("x-"), "\(key)") }
        for server in document["servers"]?.members.values.map({ $0 }) ?? [] {
            #expect(server["host"]?.text != nil && server["protocol"]?.text != nil)
        }
    }

    @Test func theChannelsParametersAreThoseOfItsAddress() throws {
        for channel in try #require(document["channels"]).members.values {
            let address = try #require(channel["address"]?.text)
            let names = address.split(separator: "/").filter { $0.hasPrefix("{") }
                .map { String($0.dropFirst().dropLast()) }
            #expect(Set(names) == Set(channel["parameters"]?.members.keys.map { $0 } ?? []))
            #expect(channel["messages"]?.members.isEmpty == false)
        }
    }

    @Test func namesAreAllowedOnes() throws {
        let allowed: (String) -> Bool = { name in
            name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) }
        }
        for section in ["schemas", "messages"] {
            for name in try #require(document["components"]?[section]).members.keys {
                #expect(allowed(name), "\(name)")
            }
        }
        for name in try #require(document["operations"]).members.keys { #expect(allowed(name), "\(name)") }
    }

    @Test func operationsSpeakOfMessagesOfTheirChannel() throws {
        let operations = try #require(document["operations"]).members
        for (name, operation) in operations {
            #expect(["send", "receive"].contains(operation["action"]?.text), "\(name)")
            let channel = try #require(operation["channel"]?["$ref"]?.text)
            let replies = operation["reply"]?["messages"]?.elements ?? []
            for message in (operation["messages"]?.elements ?? []) + replies {
                let reference = try #require(message["$ref"]?.text)
                #expect(reference.hasPrefix(channel + "/messages/"), "\(name)")
                #expect(target(reference) != nil, "\(name)")
            }
            if operation["reply"] != nil { #expect(!replies.isEmpty, "\(name)") }
        }
    }

    @Test func everyMessageOfTheRegistryIsThere() throws {
        let operations = try #require(document["operations"]).members
        let messages = try #require(document["components"]?["messages"]).members
        for entry in MessageDescriptor.all {
            let isInward = entry.direction == .toServer
            let name = (isInward ? "client." : "server.") + entry.type
            let operation = try #require(operations[name], "\(name)")
            #expect(operation["action"] == .string(isInward ? "receive" : "send"))
            #expect(messages[name]?["title"] == .string(entry.type))
            #expect(messages[name]?["summary"] == .string(entry.summary))
            #expect(
                (messages["result." + entry.type] != nil) == (entry.result != nil) || !isInward,
                "\(name)"
            )
            if isInward {
                #expect(operation["x-sfu-form"] == .string(entry.form.rawValue))
                #expect(
                    (operation["reply"] != nil) == (entry.result != nil || entry.type == "hello"),
                    "\(name)"
                )
            } else {
                #expect(operation["x-sfu-class"] == .string(entry.delivery.rawValue))
                #expect((operation["x-sfu-key"] != nil) == !entry.key.isEmpty)
            }
        }
        #expect(operations.count == MessageDescriptor.all.count)
    }

    @Test func codesCapsAndBoundsAreComplete() {
        func names(_ section: String, _ key: String) -> [JSONValue?] {
            (document[section]?.elements ?? []).map { $0[key] }
        }
        #expect(names("x-sfu-errors", "code") == ErrorCode.allCases.map { .string($0.rawValue) })
        #expect(names("x-sfu-close-codes", "code") == CloseCode.allCases.map { .whole(Int64($0.rawValue)) })
        #expect(names("x-sfu-caps", "name") == Capability.allCases.map { .string($0.rawValue) })
        #expect(names("x-sfu-limits", "name").count == Contract.limits.count)
        for section in ["x-sfu-errors", "x-sfu-close-codes", "x-sfu-caps", "x-sfu-limits"] {
            #expect(names(section, "description").allSatisfy { $0?.text?.last == "." }, "\(section)")
        }
    }

    @Test func textsHaveNoLinksOfAnotherDocument() {
        walk(document) { value in
            if let text = value["description"]?.text { #expect(!text.contains("]("), "\(text)") }
        }
    }
}
