// Every answer over HTTP that a test gets, against the committed OpenAPI document: its status is documented, and a body of
// JSON is what the schema says. Paths and methods that the document does not know are not its business.
import Foundation

@testable import Signaling

enum HTTPContract {
    struct Operation: Sendable {
        var path: [String]
        var method: String
        var responses: JSONValue
    }

    private struct Document: Sendable {
        var operations: [Operation]
        var schemas: SchemaValidator
    }

    private static let document: Document? = {
        guard let text = try? ContractFiles.read("docs/openapi.json"), let json = try? JSONReader.read(text)
        else {
            return nil
        }
        let operations = (json["paths"]?.members ?? [:]).flatMap { path, methods in
            methods.members.map { method, operation in
                Operation(
                    path: segments(path),
                    method: method.uppercased(),
                    responses: operation["responses"] ?? [:]
                )
            }
        }
        let schemas = (json["components"]?["schemas"] ?? [:]).mapReferences(local)
        guard let validator = try? SchemaValidator(["$defs": schemas]) else { return nil }
        return Document(operations: operations, schemas: validator)
    }()

    private static func local(_ reference: String) -> String {
        reference.replacing("#/components/schemas/", with: Contract.reference)
    }

    private static func segments(_ path: String) -> [String] {
        path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
    }

    /// nil: as documented, or not documented at all. `body`: nil where it is an invention of the test's.
    static func fault(method: String, target: String, status: Int, type: String?, body: String?) -> String? {
        guard let document else { return "docs/openapi.json cannot be read" }
        let path = segments(String(target.prefix { $0 != "?" }))
        let verb = method == "HEAD" ? "GET" : method
        let known = document.operations.filter {
            [method, verb].contains($0.method) && matches($0.path, path)
        }
        // Of "/v1/rooms/{room}" and a path that stands for itself the latter is meant.
        guard let operation = known.min(by: { wildcards($0) < wildcards($1) }) else { return nil }
        guard let response = operation.responses["\(status)"] else {
            return "\(method) \(target) answered \(status), which is not documented"
        }
        guard method != "HEAD", body?.isEmpty != true,
            let type = type?.split(separator: ";").first.map(String.init)
        else {
            return nil
        }
        guard let content = response["content"]?[type] else {
            return "\(method) \(target) answered \(status) with \(type), which is not documented"
        }
        guard let body, type.hasSuffix("json"), let schema = content["schema"]?["$ref"]?.text else {
            return nil
        }
        guard let value = try? JSONReader.read(body) else {
            return "\(method) \(target) answered what is no JSON"
        }
        let name = Contract.name(local(schema))
        return document.schemas.fault(value, as: name, isClosed: true).map { "\(method) \(target): \($0)" }
    }

    private static func matches(_ pattern: [String], _ path: [String]) -> Bool {
        pattern.count == path.count
            && zip(pattern, path).allSatisfy { $0.hasPrefix("{") ? !$1.isEmpty : $0 == $1 }
    }

    private static func wildcards(_ operation: Operation) -> Int {
        operation.path.count { $0.hasPrefix("{") }
    }
}
