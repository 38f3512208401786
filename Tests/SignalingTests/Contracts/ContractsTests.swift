import Foundation
import NIOCore
import Testing

@testable import Signaling

/// The committed contracts are those that the sources say. docs/decisions/0019 has the reasons.
@Suite(.serialized) struct ContractsTests {
    @Test func asyncAPI() throws {
        try ContractFiles.check("docs/asyncapi.json", is: try ContractFiles.contract().asyncAPI.document())
    }

    @Test func messageSchema() throws {
        try ContractFiles.check(
            "docs/sfu.v1.schema.json",
            is: try ContractFiles.contract().messageSchema.document()
        )
    }

    @Test func openAPI() async throws {
        let document = try OpenAPI.document(
            of: try await OpenAPITests.operations(),
            comments: try ContractFiles.comments()
        )
        try ContractFiles.check("docs/openapi.json", is: try document.document())
    }

    @Test func typesOfTheSDK() throws {
        let path = "Sources/Signaling/Web/sdk/sfu.d.ts"
        let text = try GeneratedSection.replace(
            "protocol",
            with: try ContractFiles.contract().typeScript,
            in: try ContractFiles.read(path)
        )
        try ContractFiles.check(path, is: text)
    }

    @Test func tablesOfTheDocument() throws {
        let path = "docs/protocol.md"
        var text = try ContractFiles.read(path)
        for (section, table) in try ContractFiles.contract().tables {
            text = try GeneratedSection.replace(section, with: table, in: text)
        }
        try ContractFiles.check(path, is: text)
    }

    /// What is served was embedded when this was built.
    @Test func theServedDocumentsAreTheCommittedOnes() async throws {
        guard !ContractFiles.isWriting else { return }
        try await RESTTestServer.with { server in
            for name in ["asyncapi", "openapi"] {
                let served = try await server.call("GET", "/\(name).json", token: "")
                #expect(served.status == 200)
                #expect(served.headers["content-type"] == "application/json")
                #expect(served.headers["access-control-allow-origin"] == "*")
                #expect(served.text == (try ContractFiles.read("docs/\(name).json")), "build anew")
                let tag = try #require(served.tag)
                let again = try await server.call(
                    "GET",
                    "/\(name).json",
                    token: "",
                    headers: ["If-None-Match": tag]
                )
                #expect(again.status == 304 && again.text.isEmpty)
            }
        }
    }

    /// `SFU_WRITE_BASELINE=1` takes the contract of today as the one that is promised from now on.
    @Test func nothingThatWasPromisedIsBroken() throws {
        let path = "docs/contracts/sfu.v1.baseline.json"
        let shape = ContractShape(try Contract())
        if ProcessInfo.processInfo.environment["SFU_WRITE_BASELINE"] != nil {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            let file = ContractFiles.root.appendingPathComponent(path)
            try (try encoder.encode(shape) + Data("\n".utf8)).write(to: file)
        }
        let promised = try JSONDecoder().decode(
            ContractShape.self,
            from: Data(try ContractFiles.read(path).utf8)
        )
        let broken = promised.changes(to: shape).filter(\.isBreaking)
        #expect(
            broken.isEmpty,
            """
            these changes break clients or servers of \(path):
            \(broken.map { "\($0)" }.joined(separator: "\n"))
            Find another way (docs/protocol.md, Versions), or make a new major version.
            """
        )
    }
}
