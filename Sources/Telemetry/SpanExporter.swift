// Spans from the threads that end them to the collector: a bounded queue, batches, one export at a time.
// Must not know HTTP; never blocks who ends a span.
import Logging
import RTP
import Synchronization

/// Carries one request to the collector. Ends early where its task is cancelled.
public protocol SpanTransport: Sendable {
    func post(_ body: [UInt8]) async -> ExportAnswer
}

/// What became of spans.
public enum ExportReport: Sendable, Equatable {
    public enum Loss: String, Sendable, CaseIterable {
        /// The queue was full.
        case queue
        /// The collector refused them, or could not be reached for too long.
        case collector
        /// The server ended before they were taken.
        case shutdown
    }
    case exported(Int)
    case dropped(Int, Loss)
    /// An attempt failed and will be repeated.
    case retried
}

public final class SpanExporter: SpanSink {
    /// Waits, or throws where its task is cancelled.
    public typealias Pause = @Sendable (Interval) async throws -> Void

    private struct State {
        var queue: [SpanRecord] = []
        var isClosing = false
        var hasEnded = false
        var waiting: CheckedContinuation<Void, Never>?

        mutating func takeWaiting() -> CheckedContinuation<Void, Never>? {
            defer { waiting = nil }
            return waiting
        }
    }

    private let resource: TelemetryResource
    private let transport: any SpanTransport
    private let pause: Pause
    private let random: @Sendable () -> Double
    private let report: @Sendable (ExportReport) -> Void
    private let logger: Logger
    private let state = Mutex(State())
    /// The last export failed: said once.
    private let isFailing = Atomic<Bool>(false)

    /// - Parameters:
    ///   - random: 0 to 1, for the jitter of retries.
    ///   - report: called on the thread that ends a span, or on the exporter's task.
    public init(
        resource: TelemetryResource,
        transport: any SpanTransport,
        pause: @escaping Pause = { try await Task.sleep(for: .microseconds($0.microseconds)) },
        random: @escaping @Sendable () -> Double = {
            var generator = SystemRandomNumberGenerator()
            return Double(generator.next() >> 11) / Double(1 << 53)
        },
        report: @escaping @Sendable (ExportReport) -> Void = { _ in },
        logger: Logger
    ) {
        self.resource = resource
        self.transport = transport
        self.pause = pause
        self.random = random
        self.report = report
        self.logger = logger
    }

    // MARK: In

    public func ended(_ span: SpanRecord) {
        let (isKept, waiting) = state.withLock { state in
            guard !state.hasEnded, state.queue.count < Limits.Telemetry.queuedSpans else {
                return (false, CheckedContinuation<Void, Never>?.none)
            }
            state.queue.append(span)
            guard state.queue.count >= Limits.Telemetry.batchSpans else { return (true, nil) }
            return (true, state.takeWaiting())
        }
        waiting?.resume()
        if !isKept { report(.dropped(1, .queue)) }
    }

    var waitingCount: Int { state.withLock { $0.queue.count } }

    // MARK: Out

    /// Exports until `close`, then what is left. Where its task is cancelled the rest is dropped, and counted.
    public func run() async {
        while !Task.isCancelled {
            let isClosing = await waitForSpans()
            while let batch = takeBatch() {
                guard !Task.isCancelled else {
                    report(.dropped(batch.count, .shutdown))
                    break
                }
                await export(batch)
            }
            if isClosing { break }
        }
        let rest = state.withLock { state in
            state.hasEnded = true
            defer { state.queue = [] }
            return state.queue.count
        }
        if rest > 0 { report(.dropped(rest, .shutdown)) }
    }

    /// `run` goes on to export what waits, and returns.
    public func close() {
        let waiting = state.withLock { state in
            state.isClosing = true
            return state.takeWaiting()
        }
        waiting?.resume()
    }

    /// Until a batch is full, the interval is over or the exporter closes; true for the latter.
    private func waitForSpans() async -> Bool {
        let alarm = Task { [pause] in
            guard (try? await pause(Limits.Telemetry.exportInterval)) != nil else { return }
            state.withLock { $0.takeWaiting() }?.resume()
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDue = state.withLock { state in
                    if state.isClosing || state.queue.count >= Limits.Telemetry.batchSpans { return true }
                    state.waiting = continuation
                    return false
                }
                // A cancellation that came before found nobody waiting.
                if isDue {
                    continuation.resume()
                } else if Task.isCancelled {
                    state.withLock { $0.takeWaiting() }?.resume()
                }
            }
        } onCancel: {
            state.withLock { $0.takeWaiting() }?.resume()
        }
        alarm.cancel()
        return state.withLock { $0.isClosing }
    }

    private func takeBatch() -> [SpanRecord]? {
        state.withLock { state in
            guard !state.queue.isEmpty else { return nil }
            let batch = Array(state.queue.prefix(Limits.Telemetry.batchSpans))
            state.queue.removeFirst(batch.count)
            return batch
        }
    }

    private func export(_ batch: [SpanRecord]) async {
        let body: [UInt8]
        do {
            body = try OTLPText.body(batch, of: resource)
        } catch {
            logger.error("spans cannot be written", metadata: ["error": "\(error)"])
            return report(.dropped(batch.count, .collector))
        }
        var retry = ExportRetry()
        while true {
            switch retry.received(await transport.post(body), random: random()) {
            case .delivered(let rejected):
                let rejected = min(rejected, batch.count)
                report(.exported(batch.count - rejected))
                if rejected > 0 { report(.dropped(rejected, .collector)) }
                if isFailing.exchange(false, ordering: .relaxed) { logger.info("spans are exported again") }
                return
            case .dropped(let reason):
                complain(reason)
                return report(.dropped(batch.count, Task.isCancelled ? .shutdown : .collector))
            case .wait(let interval):
                guard !Task.isCancelled, (try? await pause(interval)) != nil else {
                    return report(.dropped(batch.count, .shutdown))
                }
                report(.retried)
            }
        }
    }

    private func complain(_ reason: String) {
        guard !Task.isCancelled, !isFailing.exchange(true, ordering: .relaxed) else { return }
        logger.warning("spans cannot be exported", metadata: ["reason": "\(reason)"])
    }
}
