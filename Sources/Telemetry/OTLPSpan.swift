// One span while it runs, and what is left of it when it has ended. Bounded: what a span has too much of is counted.
// Must not know JSON.
import RTP
import Synchronization
import Tracing

/// A span that has ended.
public struct SpanRecord: Sendable {
    public struct Event: Sendable {
        public var name: String
        /// Nanoseconds since 1970.
        public var time: UInt64
        public var attributes: SpanAttributes
    }
    public struct Link: Sendable {
        public var identity: TraceContext
        public var attributes: SpanAttributes
    }

    public var name: String
    public var kind: SpanKind
    public var identity: TraceContext
    public var parent: TraceContext?
    /// Nanoseconds since 1970.
    public var start: UInt64
    public var end: UInt64
    public var attributes = SpanAttributes([:])
    public var events: [Event] = []
    public var links: [Link] = []
    public var status: SpanStatus?
    public var droppedEvents = 0
    public var droppedLinks = 0

    init(name: String, kind: SpanKind, identity: TraceContext, parent: TraceContext?, start: UInt64) {
        self.name = name
        self.kind = kind
        self.identity = identity
        self.parent = parent
        self.start = start
        end = start
    }

    mutating func add(_ event: Event) {
        guard events.count < Limits.Telemetry.eventsPerSpan else { return droppedEvents += 1 }
        events.append(event)
    }

    mutating func add(_ link: Link) {
        guard links.count < Limits.Telemetry.linksPerSpan else { return droppedLinks += 1 }
        links.append(link)
    }
}

public final class OTLPSpan: Tracing.Span {
    public let context: InstrumentationContext
    private let sink: any SpanSink
    /// nil: not sampled, or ended.
    private let recording: Mutex<SpanRecord?>

    init(context: InstrumentationContext, recording: SpanRecord?, sink: any SpanSink) {
        self.context = context
        self.sink = sink
        self.recording = Mutex(recording)
    }

    public var isRecording: Bool { recording.withLock { $0 != nil } }

    public var operationName: String {
        get { recording.withLock { $0?.name ?? "" } }
        set { recording.withLock { $0?.name = newValue } }
    }

    public var attributes: SpanAttributes {
        get { recording.withLock { $0?.attributes ?? [:] } }
        set { recording.withLock { $0?.attributes = newValue } }
    }

    public func setStatus(_ status: SpanStatus) { recording.withLock { $0?.status = status } }

    public func addEvent(_ event: SpanEvent) {
        recording.withLock {
            $0?.add(
                SpanRecord.Event(
                    name: event.name,
                    time: event.nanosecondsSinceEpoch,
                    attributes: event.attributes
                )
            )
        }
    }

    /// As the semantic conventions want it: an event of the name `exception`.
    public func recordError<Moment: TracerInstant>(
        _ error: any Error,
        attributes: SpanAttributes,
        at instant: @autoclosure () -> Moment
    ) {
        guard isRecording else { return }
        var attributes = attributes
        attributes["exception.type"] = "\(type(of: error))"
        attributes["exception.message"] = "\(error)"
        let event = SpanRecord.Event(
            name: "exception",
            time: instant().nanosecondsSinceEpoch,
            attributes: attributes
        )
        recording.withLock { $0?.add(event) }
    }

    /// A context without a span of ours is passed over.
    public func addLink(_ link: SpanLink) {
        guard let identity = link.context.traceContext else { return }
        recording.withLock { $0?.add(SpanRecord.Link(identity: identity, attributes: link.attributes)) }
    }

    /// The first end counts.
    public func end<Moment: TracerInstant>(at instant: @autoclosure () -> Moment) {
        let ended = recording.withLock { recording in
            defer { recording = nil }
            return recording
        }
        guard var ended else { return }
        // Clocks are set back now and then.
        ended.end = max(instant().nanosecondsSinceEpoch, ended.start)
        sink.ended(ended)
    }
}
