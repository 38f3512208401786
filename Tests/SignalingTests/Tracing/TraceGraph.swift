// Ended spans as a graph: who caused what, and where the way ends.
import RTP
import Synchronization
import Telemetry
import Testing
import Tracing

final class KeptSpans: SpanSink {
    private let state = Mutex<[SpanRecord]>([])
    func ended(_ span: SpanRecord) { state.withLock { $0.append(span) } }
    var graph: TraceGraph { TraceGraph(spans: state.withLock { $0 }) }

    func tracer(ratio: Double = 1) -> OTLPTracer { OTLPTracer(sampler: Sampler(ratio: ratio), sink: self) }
}

struct TraceGraph {
    let spans: [SpanRecord]

    func named(_ name: String) -> [SpanRecord] { spans.filter { $0.name == name } }

    func one(_ name: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> SpanRecord {
        let found = named(name)
        #expect(found.count == 1, "\(name): \(found.count)", sourceLocation: sourceLocation)
        return try #require(found.first, "\(name) is missing", sourceLocation: sourceLocation)
    }

    func parent(of span: SpanRecord) -> SpanRecord? {
        spans.first { $0.identity.spanID == span.parent?.spanID }
    }

    /// From a span to where its trace begins, by name; ends with "?" where a parent is missing.
    func path(_ span: SpanRecord, outside: Set<String> = []) -> [String] {
        guard let parent = span.parent else { return [span.name] }
        if outside.contains("\(parent.spanID)") { return [span.name, "client"] }
        guard let known = self.parent(of: span) else { return [span.name, "?"] }
        return [span.name] + path(known, outside: outside)
    }

    /// Every parent and every link of every span is there, or one of `outside`.
    func check(outside: Set<String> = [], sourceLocation: SourceLocation = #_sourceLocation) {
        let known = Set(spans.map(\.identity.spanID))
        #expect(known.count == spans.count, sourceLocation: sourceLocation)
        for span in spans {
            if let parent = span.parent, !outside.contains("\(parent.spanID)") {
                #expect(
                    known.contains(parent.spanID),
                    "\(span.name) has lost its parent",
                    sourceLocation: sourceLocation
                )
                #expect(span.identity.traceID == parent.traceID, sourceLocation: sourceLocation)
            }
            for link in span.links {
                #expect(
                    known.contains(link.identity.spanID),
                    "\(span.name) links to nothing",
                    sourceLocation: sourceLocation
                )
            }
        }
    }
}

extension SpanRecord {
    func text(_ key: String) -> String? { attributes[key].map { "\($0.toSpanAttribute().shown)" } }
}

extension SpanAttribute {
    fileprivate var shown: String {
        switch self {
        case .string(let text): text
        case .int64(let number): "\(number)"
        case .int32(let number): "\(number)"
        case .bool(let flag): "\(flag)"
        default: "\(self)"
        }
    }
}

/// A `traceparent` of a client.
enum ClientTrace {
    static let alice = "00-4bf92f3577b34da6a3ce929d0e0e4736-00000000000a11ce-01"
    static let bob = "00-aaaabbbbccccddddeeeeffff00001111-0000000000000b0b-01"
    static let upgrade = "00-12345678123456781234567812345678-00000000000fade0-01"
    static let unsampled = "00-12345678123456781234567812345678-00000000000fade0-00"
    static let ids: Set<String> = ["00000000000a11ce", "0000000000000b0b", "00000000000fade0"]
}
