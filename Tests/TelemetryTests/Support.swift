// A sink that keeps spans, a carrier, moments, and a collector that answers as it is told.
import Logging
import RTP
import Synchronization
import Tracing

@testable import Telemetry

final class KeptSpans: SpanSink {
    private let state = Mutex<[SpanRecord]>([])
    func ended(_ span: SpanRecord) { state.withLock { $0.append(span) } }
    var all: [SpanRecord] { state.withLock { $0 } }
}

struct Carrier: Extractor, Injector {
    func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
    func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) {
        carrier[key] = value
    }
}

struct Moment: TracerInstant {
    var nanosecondsSinceEpoch: UInt64
    init(_ nanoseconds: UInt64) { nanosecondsSinceEpoch = nanoseconds }
    static func < (a: Moment, b: Moment) -> Bool { a.nanosecondsSinceEpoch < b.nanosecondsSinceEpoch }
}

/// Counts up, so that identities can be told in advance.
final class Counting: Sendable {
    private let last = Mutex<UInt64>(0)
    var next: @Sendable () -> UInt64 {
        {
            self.last.withLock { last in
                last += 1
                return last
            }
        }
    }
}

let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

/// Answers in the order it was told; the last answer again and again. Can hold requests back.
final class ToldTransport: SpanTransport {
    private struct State {
        var answers: [ExportAnswer]
        var bodies: [[UInt8]] = []
        var isHolding = false
        var held: [CheckedContinuation<Void, Never>] = []
        var observers: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }
    private let state: Mutex<State>

    init(_ answers: ExportAnswer...) { state = Mutex(State(answers: answers)) }

    var bodies: [[UInt8]] { state.withLock { $0.bodies } }
    func hold() { state.withLock { $0.isHolding = true } }

    func release() {
        let held = state.withLock { state in
            state.isHolding = false
            defer { state.held = [] }
            return state.held
        }
        for one in held { one.resume() }
    }

    /// Returns when so many requests have come.
    func requests(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                guard state.bodies.count < count else { return true }
                state.observers.append((count, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }

    func post(_ body: [UInt8]) async -> ExportAnswer {
        let (answer, observers, holds) = state.withLock { state in
            state.bodies.append(body)
            let answer = state.answers.count > 1 ? state.answers.removeFirst() : state.answers[0]
            let ready = state.observers.filter { $0.count <= state.bodies.count }
            state.observers.removeAll { $0.count <= state.bodies.count }
            return (answer, ready, state.isHolding)
        }
        for observer in observers { observer.continuation.resume() }
        guard holds else { return answer }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isHeld = state.withLock { state in
                    guard state.isHolding, !Task.isCancelled else { return false }
                    state.held.append(continuation)
                    return true
                }
                if !isHeld { continuation.resume() }
            }
        } onCancel: {
            release()
        }
        return Task.isCancelled ? .failed("cancelled") : answer
    }
}

/// Pauses that end when a test says so, or with their task; retries pass at once.
final class Pauses: Sendable {
    private struct State {
        var waiting: [UInt64: CheckedContinuation<Void, any Error>] = [:]
        var cancelled: Set<UInt64> = []
        var last: UInt64 = 0
        var retries: [Interval] = []
        var observers: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())
    private let holdsRetries: Bool

    init(holdsRetries: Bool = false) { self.holdsRetries = holdsRetries }

    var retries: [Interval] { state.withLock { $0.retries } }

    var pause: SpanExporter.Pause {
        { [self] interval in
            let isRetry = interval != Limits.Telemetry.exportInterval || holdsRetries
            if isRetry {
                let observers = state.withLock { state in
                    state.retries.append(interval)
                    defer { state.observers = [] }
                    return state.observers
                }
                for observer in observers { observer.resume() }
                if !holdsRetries { return }
            }
            let id = state.withLock { state in
                state.last += 1
                return state.last
            }
            try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in
                    let isCancelled = state.withLock { state in
                        if state.cancelled.remove(id) != nil { return true }
                        state.waiting[id] = continuation
                        return false
                    }
                    if isCancelled { continuation.resume(throwing: CancellationError()) }
                }
            } onCancel: {
                let waiting = state.withLock { state in
                    let waiting = state.waiting.removeValue(forKey: id)
                    if waiting == nil { state.cancelled.insert(id) }
                    return waiting
                }
                waiting?.resume(throwing: CancellationError())
            }
        }
    }

    /// The interval is over.
    func elapse() {
        let waiting = state.withLock { state in
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for one in waiting { one.resume() }
    }
}

final class Reports: Sendable {
    private let state = Mutex<[ExportReport]>([])
    var take: @Sendable (ExportReport) -> Void { { report in self.state.withLock { $0.append(report) } } }

    var exported: Int {
        state.withLock { $0.reduce(0) { if case .exported(let count) = $1 { $0 + count } else { $0 } } }
    }
    func dropped(_ loss: ExportReport.Loss) -> Int {
        state.withLock { $0.reduce(0) { if case .dropped(let count, loss) = $1 { $0 + count } else { $0 } } }
    }
}
