// Spans on the gateway's clock, and their names in messages. Without a tracer every call is one test of a bool.
// Must not know rooms or sockets.
import RTP
import Tracing

/// A moment of the gateway's clock as tracers want it.
struct TraceInstant: TracerInstant {
    var nanosecondsSinceEpoch: UInt64
    static func < (a: Self, b: Self) -> Bool { a.nanosecondsSinceEpoch < b.nanosecondsSinceEpoch }
}

typealias TraceSpan = any Tracing.Span

/// The keys of W3C Trace Context, in headers and in a dictionary.
struct TraceCarrier: Extractor, Injector {
    static let parent = "traceparent"
    static let state = "tracestate"

    func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
    func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) {
        carrier[key] = value
    }
}

struct GatewayTracer: Sendable {
    private let tracer: any Tracer
    /// False: nobody wants spans.
    let isOn: Bool

    init(_ tracer: any Tracer) {
        self.tracer = tracer
        isOn = !(tracer is NoOpTracer)
    }

    /// nil where there is no `traceparent`, or none that can be read.
    func context(parent: String?, state: String? = nil) -> InstrumentationContext? {
        guard isOn, let parent else { return nil }
        var carrier = [TraceCarrier.parent: parent]
        carrier[TraceCarrier.state] = state
        var context = InstrumentationContext.topLevel
        tracer.extract(carrier, into: &context, using: TraceCarrier())
        return context.isEmpty ? nil : context
    }

    /// nil where tracing is off.
    func start(
        _ name: String,
        parent: InstrumentationContext?,
        kind: SpanKind = .internal,
        at instant: TraceInstant
    ) -> TraceSpan? {
        guard isOn else { return nil }
        return tracer.startSpan(name, context: parent ?? .topLevel, ofKind: kind, at: instant)
    }

    /// `traceparent`, also of a span that is not sampled; nil where there is none.
    func header(of context: InstrumentationContext?) -> (parent: String, state: String?)? {
        guard isOn, let context else { return nil }
        var carrier: [String: String] = [:]
        tracer.inject(context, into: &carrier, using: TraceCarrier())
        return carrier[TraceCarrier.parent].map { ($0, carrier[TraceCarrier.state]) }
    }

    /// `traceparent` for an event; nil where nothing is recorded: nobody could follow it.
    func text(of context: InstrumentationContext?) -> String? {
        guard let text = header(of: context)?.parent, let flags = text.utf8.last,
            // The last of two hexadecimal digits: its lowest bit says "sampled".
            let digit = Character(UnicodeScalar(flags)).hexDigitValue, digit & 1 == 1
        else { return nil }
        return text
    }
}

/// The monotonic clock in wall time, without steps inside of a span where the wall clock is merely adjusted.
struct TraceClock: Sendable {
    private var base: (instant: Instant, nanoseconds: UInt64)?
    private static let tolerance: UInt64 = 20_000_000

    /// - Parameter wall: milliseconds since 1970.
    mutating func moment(_ now: Instant, wall: UInt64) -> TraceInstant {
        let wall = wall &* 1_000_000
        if let base {
            let since = (now - base.instant).microseconds
            let moment = base.nanoseconds &+ UInt64(max(0, since)) &* 1000
            let difference = moment > wall ? moment - wall : wall - moment
            if difference <= Self.tolerance { return TraceInstant(nanosecondsSinceEpoch: moment) }
        }
        base = (now, wall)
        return TraceInstant(nanosecondsSinceEpoch: wall)
    }
}

/// What the waiting changes of a roster were caused by, where it was one thing.
struct RosterCause: Sendable {
    private var context: InstrumentationContext?
    private var text: String?
    private var through: UInt64 = 0
    private var isMixed = false

    /// A cause took the room from one revision to another.
    mutating func caused(by context: InstrumentationContext?, _ text: String?, from: UInt64, to: UInt64) {
        guard to > from else { return }
        if from != through || (self.text != nil && self.text != text) || text == nil { isMixed = true }
        self.context = context
        self.text = text
        through = to
    }

    /// The changes up to `revision` are told.
    mutating func take(at revision: UInt64) -> InstrumentationContext? {
        let cause = through == revision && !isMixed ? context : nil
        self = RosterCause()
        through = revision
        return cause
    }
}
