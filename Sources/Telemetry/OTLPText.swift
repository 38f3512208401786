// Spans as OTLP/HTTP wants them in JSON (opentelemetry-proto, "OTLP/HTTP", JSON Protobuf Encoding): identities in hex,
// 64-bit numbers as text, enums as numbers. Must not know who sends it.
import Foundation
import RTP
import Tracing

/// Who sends the spans.
public struct TelemetryResource: Sendable, Equatable {
    public var serviceName: String
    public var serviceVersion: String
    /// Another one for each process.
    public var instanceID: String

    public init(serviceName: String, serviceVersion: String, instanceID: String) {
        self.serviceName = serviceName
        self.serviceVersion = serviceVersion
        self.instanceID = instanceID
    }
}

enum OTLPText {
    static func body(_ spans: [SpanRecord], of resource: TelemetryResource) throws -> [UInt8] {
        let request = Request(
            resourceSpans: [
                ResourceSpans(
                    resource: Resource(attributes: [
                        KeyValue("service.name", .string(resource.serviceName)),
                        KeyValue("service.version", .string(resource.serviceVersion)),
                        KeyValue("service.instance.id", .string(resource.instanceID)),
                    ]),
                    scopeSpans: [
                        ScopeSpans(
                            scope: Scope(name: "sfu", version: resource.serviceVersion),
                            spans: spans.map(WireSpan.init)
                        )
                    ]
                )
            ]
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        return [UInt8](try encoder.encode(request))
    }

    private struct Request: Encodable { var resourceSpans: [ResourceSpans] }
    private struct ResourceSpans: Encodable {
        var resource: Resource
        var scopeSpans: [ScopeSpans]
    }
    private struct Resource: Encodable { var attributes: [KeyValue] }
    private struct ScopeSpans: Encodable {
        var scope: Scope
        var spans: [WireSpan]
    }
    private struct Scope: Encodable {
        var name: String
        var version: String
    }
}

private struct WireSpan: Encodable {
    struct Event: Encodable {
        var timeUnixNano: String
        var name: String
        var attributes: [KeyValue]
        var droppedAttributesCount: Int?
    }
    struct Link: Encodable {
        var traceId: String
        var spanId: String
        var traceState: String?
        var attributes: [KeyValue]
        var flags: UInt32
    }
    struct Status: Encodable {
        var code: Int
        var message: String?
    }

    var traceId: String
    var spanId: String
    var traceState: String?
    var parentSpanId: String?
    var flags: UInt32
    var name: String
    var kind: Int
    var startTimeUnixNano: String
    var endTimeUnixNano: String
    var attributes: [KeyValue]
    var droppedAttributesCount: Int?
    var events: [Event]
    var droppedEventsCount: Int?
    var links: [Link]
    var droppedLinksCount: Int?
    var status: Status?

    init(_ span: SpanRecord) {
        traceId = "\(span.identity.traceID)"
        spanId = "\(span.identity.spanID)"
        traceState = span.identity.state.isEmpty ? nil : span.identity.state.text
        parentSpanId = span.parent.map { "\($0.spanID)" }
        flags = Self.flags(sampled: span.identity.isSampled, remote: span.parent?.isRemote ?? false)
        name = KeyValue.cut(span.name)
        kind = Self.number(of: span.kind)
        startTimeUnixNano = "\(span.start)"
        endTimeUnixNano = "\(span.end)"
        (attributes, droppedAttributesCount) = KeyValue.list(span.attributes)
        events = span.events.map { event in
            let (attributes, dropped) = KeyValue.list(event.attributes)
            return Event(
                timeUnixNano: "\(event.time)",
                name: KeyValue.cut(event.name),
                attributes: attributes,
                droppedAttributesCount: dropped
            )
        }
        droppedEventsCount = span.droppedEvents == 0 ? nil : span.droppedEvents
        links = span.links.map { link in
            Link(
                traceId: "\(link.identity.traceID)",
                spanId: "\(link.identity.spanID)",
                traceState: link.identity.state.isEmpty ? nil : link.identity.state.text,
                attributes: KeyValue.list(link.attributes).list,
                flags: Self.flags(sampled: link.identity.isSampled, remote: link.identity.isRemote)
            )
        }
        droppedLinksCount = span.droppedLinks == 0 ? nil : span.droppedLinks
        status = span.status.map { status in
            Status(code: status.code == .ok ? 1 : 2, message: status.message.map(KeyValue.cut))
        }
    }

    /// SpanFlags: bit 0 sampled, bit 8 "it is known whether the parent is remote", bit 9 "it is".
    private static func flags(sampled: Bool, remote: Bool) -> UInt32 {
        (sampled ? 1 : 0) | 0x100 | (remote ? 0x200 : 0)
    }

    private static func number(of kind: SpanKind) -> Int {
        switch kind {
        case .internal: 1
        case .server: 2
        case .client: 3
        case .producer: 4
        case .consumer: 5
        }
    }
}

private struct KeyValue: Encodable {
    var key: String
    var value: Value

    init(_ key: String, _ value: Value) {
        self.key = key
        self.value = value
    }

    enum Value: Encodable {
        case string(String)
        case int(Int64)
        case double(Double)
        case bool(Bool)
        case array([Value])

        private enum CodingKeys: String, CodingKey {
            case stringValue, intValue, doubleValue, boolValue, arrayValue
        }
        private struct List: Encodable { var values: [Value] }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            switch self {
            case .string(let value): try container.encode(value, forKey: .stringValue)
            case .int(let value): try container.encode("\(value)", forKey: .intValue)
            case .double(let value) where value.isFinite: try container.encode(value, forKey: .doubleValue)
            // JSON has no such numbers; protobuf's JSON writes them as text.
            case .double(let value):
                try container.encode(
                    value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity",
                    forKey: .doubleValue
                )
            case .bool(let value): try container.encode(value, forKey: .boolValue)
            case .array(let values): try container.encode(List(values: values), forKey: .arrayValue)
            }
        }

        init?(_ attribute: SpanAttribute) {
            switch attribute {
            case .int32(let value): self = .int(Int64(value))
            case .int64(let value): self = .int(value)
            case .double(let value): self = .double(value)
            case .bool(let value): self = .bool(value)
            case .string(let value): self = .string(cut(value))
            case .stringConvertible(let value): self = .string(cut("\(value)"))
            case .int32Array(let values): self = .array(Self.bounded(values).map { .int(Int64($0)) })
            case .int64Array(let values): self = .array(Self.bounded(values).map { .int($0) })
            case .doubleArray(let values): self = .array(Self.bounded(values).map { .double($0) })
            case .boolArray(let values): self = .array(Self.bounded(values).map { .bool($0) })
            case .stringArray(let values): self = .array(Self.bounded(values).map { .string(cut($0)) })
            case .stringConvertibleArray(let values):
                self = .array(Self.bounded(values).map { .string(cut("\($0)")) })
            default: return nil
            }
        }

        private static func bounded<Element>(_ values: [Element]) -> ArraySlice<Element> {
            values.prefix(Limits.Telemetry.attributesPerSpan)
        }
    }

    /// At most so many bytes, and no broken character.
    static func cut(_ text: String) -> String {
        guard text.utf8.count > Limits.Telemetry.attributeBytes else { return text }
        var text = String(decoding: text.utf8.prefix(Limits.Telemetry.attributeBytes), as: UTF8.self)
        if text.unicodeScalars.last == "\u{fffd}" { text.unicodeScalars.removeLast() }
        return text
    }

    /// Sorted by key; what is too much is counted.
    static func list(_ attributes: SpanAttributes) -> (list: [KeyValue], dropped: Int?) {
        var all: [KeyValue] = []
        attributes.forEach { key, attribute in
            if let value = Value(attribute) { all.append(KeyValue(key, value)) }
        }
        all.sort { $0.key < $1.key }
        let limit = Limits.Telemetry.attributesPerSpan
        return (Array(all.prefix(limit)), all.count > limit ? all.count - limit : nil)
    }
}

private func cut(_ text: String) -> String { KeyValue.cut(text) }
