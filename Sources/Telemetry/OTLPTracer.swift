// A swift-distributed-tracing backend: makes spans, carries them across processes by W3C Trace Context, and hands
// those that have ended to a sink. Must not know where spans go.
import RTP
import Tracing

/// Takes spans that have ended. Never blocks.
public protocol SpanSink: Sendable {
    func ended(_ span: SpanRecord)
}

public struct OTLPTracer: Tracer {
    public typealias Span = OTLPSpan

    private let sampler: Sampler
    private let sink: any SpanSink
    private let random: @Sendable () -> UInt64

    public init(
        sampler: Sampler,
        sink: any SpanSink,
        random: @escaping @Sendable () -> UInt64 = {
            var generator = SystemRandomNumberGenerator()
            return generator.next()
        }
    ) {
        self.sampler = sampler
        self.sink = sink
        self.random = random
    }

    public func startSpan<Moment: TracerInstant>(
        _ operationName: String,
        context: @autoclosure () -> InstrumentationContext,
        ofKind kind: SpanKind,
        at instant: @autoclosure () -> Moment,
        function: String,
        file fileID: String,
        line: UInt
    ) -> OTLPSpan {
        var context = context()
        let parent = context.traceContext
        let traceID = parent?.traceID ?? makeTraceID()
        let identity = TraceContext(
            traceID: traceID,
            spanID: makeSpanID(),
            isSampled: sampler.samples(traceID, parent: parent),
            state: parent?.state ?? TraceState()
        )
        context.traceContext = identity
        guard identity.isSampled else { return OTLPSpan(context: context, recording: nil, sink: sink) }
        return OTLPSpan(
            context: context,
            recording: SpanRecord(
                name: operationName,
                kind: kind,
                identity: identity,
                parent: parent,
                start: instant().nanosecondsSinceEpoch
            ),
            sink: sink
        )
    }

    public func forceFlush() {}

    public func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier,
        into context: inout InstrumentationContext,
        using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard let parent = extractor.extract(key: TraceContext.parentKey, from: carrier),
            let found = TraceContext(
                traceparent: parent,
                tracestate: extractor.extract(key: TraceContext.stateKey, from: carrier)
            )
        else { return }
        context.traceContext = found
    }

    public func inject<Carrier, Inject: Injector>(
        _ context: InstrumentationContext,
        into carrier: inout Carrier,
        using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let identity = context.traceContext else { return }
        injector.inject(identity.traceparent, forKey: TraceContext.parentKey, into: &carrier)
        guard !identity.state.isEmpty else { return }
        injector.inject(identity.state.text, forKey: TraceContext.stateKey, into: &carrier)
    }

    private func makeTraceID() -> TraceID {
        while true {
            if let id = TraceID(high: random(), low: random()) { return id }
        }
    }

    private func makeSpanID() -> SpanID {
        while true {
            if let id = SpanID(random()) { return id }
        }
    }
}
