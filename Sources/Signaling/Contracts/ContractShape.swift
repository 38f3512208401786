// What of the contract old clients and old servers rely on, without any words, as a value that can be kept in a file and
// compared with a later one. Must not know what a difference means.

/// Messages, types, codes and bounds. Names of types do not count: they are no part of the wire.
struct ContractShape: Codable, Sendable, Equatable {
    struct Request: Codable, Sendable, Equatable {
        var form: String
        var grant: String?
        var data: String
        var result: String?
    }
    struct Event: Codable, Sendable, Equatable {
        var delivery: String
        var recovery: String?
        var key: [String]
        var data: String
    }
    struct Code: Codable, Sendable, Equatable {
        var action: String?
        var httpStatus: Int?
        var retryable: Bool?
    }

    var version: String
    var subprotocol: String
    var client: [String: Request]
    var server: [String: Event]
    /// JSON Schema without descriptions, by name.
    var types: [String: JSONValue]
    var errorCodes: [String: Code]
    var closeCodes: [String: Code]
    var caps: [String]
    var limits: [String: Int]
}

extension ContractShape {
    init(_ contract: Contract) {
        version = ProtocolVersion.text
        subprotocol = ProtocolVersion.subprotocol
        client = Dictionary(
            uniqueKeysWithValues: contract.fromClient.map { message in
                let entry = message.entry
                let request = Request(
                    form: entry.form.rawValue,
                    grant: entry.grant?.rawValue,
                    data: message.data,
                    result: message.result
                )
                return (entry.type, request)
            }
        )
        server = Dictionary(
            uniqueKeysWithValues: contract.fromServer.map { message in
                let entry = message.entry
                let event = Event(
                    delivery: entry.delivery.rawValue,
                    recovery: entry.recovery?.rawValue,
                    key: entry.key,
                    data: message.data
                )
                return (entry.type, event)
            }
        )
        types = contract.definitions.mapValues(Self.wordless)
        errorCodes = Dictionary(
            uniqueKeysWithValues: ErrorCode.allCases.map {
                ($0.rawValue, Code(httpStatus: $0.httpStatus, retryable: $0.retryable))
            }
        )
        closeCodes = Dictionary(
            uniqueKeysWithValues: CloseCode.allCases.map {
                ("\($0.rawValue)", Code(action: $0.action.rawValue))
            }
        )
        caps = Capability.allCases.map(\.rawValue)
        limits = Dictionary(uniqueKeysWithValues: Contract.limits.map { ($0.name, $0.value) })
    }

    /// A property may be called "description", a description never stands for one.
    private static func wordless(_ schema: JSONValue) -> JSONValue {
        var members = schema.members
        guard !members.isEmpty else { return schema }
        if members["description"]?.text != nil { members["description"] = nil }
        for key in ["items", "additionalProperties"] { members[key] = members[key].map(wordless) }
        if let properties = members["properties"]?.members {
            members["properties"] = .object(properties.mapValues(wordless))
        }
        if let alternatives = members["anyOf"]?.elements {
            members["anyOf"] = .array(alternatives.map(wordless))
        }
        return .object(members)
    }
}
