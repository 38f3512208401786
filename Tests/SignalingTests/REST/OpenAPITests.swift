import Foundation
import HTTPTypes
import NIOCore
import Testing

@testable import Signaling

@Suite struct OpenAPITests {
    private static func operations() async throws -> [RESTOperation] {
        let harness = await GatewayHarness()
        let tokens = try await TokenService.development()
        return RESTOperations(rooms: harness.gateway, tokens: tokens, mintsTokens: true).all
    }

    /// `SFU_WRITE_CONTRACTS=1` writes it instead.
    @Test func theCommittedDocumentIsTheOneThatIsServed() async throws {
        let text = String(buffer: try OpenAPI.text(of: await Self.operations()))
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../../docs/openapi.json").standardized
        if ProcessInfo.processInfo.environment["SFU_WRITE_CONTRACTS"] != nil {
            try Data((text + "\n").utf8).write(to: file)
        }
        let committed = try String(contentsOf: file, encoding: .utf8)
        #expect(committed == text + "\n", "write it anew with SFU_WRITE_CONTRACTS=1")
        try await RESTTestServer.with { server in
            let served = try await server.call("GET", "/openapi.json", token: "")
            #expect(served.status == 200)
            #expect(served.text == text)
        }
    }

    @Test func everyOperationIsDescribed() async throws {
        let operations = try await Self.operations()
        let document = try OpenAPI.document(of: operations)
        #expect(Set(operations.map(\.id)).count == operations.count)
        for operation in operations {
            let described = document["paths"]?[operation.path]?[operation.method.rawValue.lowercased()]
            #expect(described?["operationId"] == .string(operation.id))
            #expect(described?["security"] != nil)
            #expect(described?["responses"]?["\(operation.status)"] != nil)
            #expect((described?["requestBody"] != nil) == (operation.body != nil), "\(operation.id)")
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
