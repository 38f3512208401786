import Foundation
import HTTPTypes
import NIOCore
import Testing

@testable import Signaling

@Suite struct OpenAPITests {
    static func operations() async throws -> [RESTOperation] {
        let harness = await GatewayHarness()
        let tokens = try await TokenService.development()
        return RESTOperations(rooms: harness.gateway, tokens: tokens, mintsTokens: true).all
    }

    @Test func everyOperationIsDescribed() async throws {
        let operations = try await Self.operations()
        let document = try OpenAPI.document(of: operations)
        #expect(Set(operations.map(\.id)).count == operations.count)
        for operation in operations {
            let described = document["paths"]?[operation.path]?[operation.method.rawValue.lowercased()]
            #expect(described?["operationId"] == .string(operation.id))
            #expect(described?["security"] != nil)
            #expect(described?["responses"]?["503"] != nil)
            #expect(described?["responses"]?["\(operation.status)"] != nil)
            #expect((described?["requestBody"] != nil) == (operation.body != nil), "\(operation.id)")
        }
    }

    @Test func theOtherRoutesAreDescribedAsWell() async throws {
        let operations = try await Self.operations()
        let document = try OpenAPI.document(of: operations)
        let ids = operations.map(\.id) + HTTPOperation.others.map(\.id)
        #expect(Set(ids).count == ids.count)
        for operation in HTTPOperation.others {
            let described = document["paths"]?[operation.path]?[operation.method.rawValue.lowercased()]
            #expect(described?["operationId"] == .string(operation.id))
            #expect(described?["summary"]?.text?.last == ".", "\(operation.id)")
            #expect(operation.answers.keys.contains { $0 < 300 }, "\(operation.id)")
            for name in operation.pathParameters {
                #expect(
                    described?["parameters"]?.elements.contains { $0["name"] == .string(name) } == true,
                    "\(operation.id)"
                )
            }
        }
        #expect(document["webhooks"]?["event"]?["post"]?["requestBody"] != nil)
    }

    /// A running server is asked what it has, and what each path understands.
    @Test func everyRouteOfTheServerIsDescribed() async throws {
        let document = try OpenAPI.document(of: try await Self.operations())
        let described = try #require(document["paths"]).members
        try await RESTTestServer.with(mintsTokens: true, events: OneEvent()) { server in
            #expect(server.paths == Set(described.keys))
            for (path, methods) in described {
                let concrete = path.replacing("{", with: "").replacing("}", with: "")
                let options = try await server.call("OPTIONS", concrete, token: "")
                #expect(options.status == 204, "\(path)")
                let allowed = Set(
                    (options.headers["allow"] ?? "").split(separator: ", ").map { $0.lowercased() }
                )
                var expected = Set(methods.members.keys)
                if expected.contains("get") { expected.insert("head") }
                #expect(allowed.subtracting(["options"]) == expected, "\(path)")
            }
        }
    }

    @Test func thePageOfEventsIsTheOneThatIsSent() async throws {
        try await RESTTestServer.with(events: OneEvent()) { server in
            let answer = try await server.call("GET", "/v1/events")
            let page = try JSONDecoder().decode(EventPage.self, from: Data(answer.text.utf8))
            #expect(page.events.map(\.type) == [.roomStarted] && page.next == "n-1" && !page.more && page.gap)
        }
    }

    private struct OneEvent: EventReader {
        func read(_: EventQuery) async throws(GatewayError) -> EventList {
            let event = #"{"id":"ev_1","type":"room.started","room":"standup","time":1}"#
            return EventList(events: [Array(event.utf8)], next: "n-1", hasMore: false, hasGap: true)
        }
    }

    @Test func referencesLeadSomewhere() async throws {
        let document = try OpenAPI.document(of: await Self.operations())
        var missing: [String] = []
        func walk(_ value: JSONValue) {
            switch value {
            case .object(let members):
                if case .string(let target)? = members["$ref"] {
                    let name = target.replacing("#/components/schemas/", with: "")
                    if document["components"]?["schemas"]?[name] == nil { missing.append(target) }
                }
                members.values.forEach(walk)
            case .array(let elements): elements.forEach(walk)
            default: break
            }
        }
        walk(document)
        #expect(missing.isEmpty)
    }
}
