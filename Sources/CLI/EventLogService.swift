// Introduces the gateway to the event log: what it tells is stored, pulled by `GET /v1/events` and sent by webhooks,
// and counted. Must not know rooms, SQL or HTTP.
import EventLog
import Logging
import Metrics
import NIOCore
import RTP
import ServiceLifecycle
import Signaling
import Synchronization

import struct Foundation.Data
import struct Foundation.Date
import class Foundation.JSONDecoder

struct EventSettings: Sendable {
    var bounds: EventLogBounds
    var destinations: [WebhookDestination]

    init(_ settings: Settings) throws {
        bounds = EventLogBounds(
            age: try settings.whole("events.hours", in: 1...24 * 366).map { .seconds(Int64($0) * 3600) }
                ?? Limits.Events.keptFor,
            count: try settings.whole("events.count", in: 1000...100_000_000) ?? Limits.Events.kept,
            bytes: try settings.whole("events.megabytes", in: 16...1_000_000).map { $0 << 20 }
                ?? Limits.Events.keptBytes
        )
        destinations = try WebhookSettings.destinations(settings)
    }
}

/// The log and its webhooks while the server runs.
final class EventLogService: EventSink, EventReader, Service {
    private let log: EventLog
    private let client: WebhookClient
    private let dispatcher: WebhookDispatcher
    private let metrics: EventMetrics
    private let logger: Logger

    static let fileName = "events.db"

    /// Opens `<directory>/events.db`. Throws what is wrong with its place.
    init(
        _ settings: EventSettings,
        directory: String,
        group: any EventLoopGroup,
        registry: any MetricsFactory,
        logger: Logger
    ) throws {
        let metrics = EventMetrics(registry)
        log = try EventLog(path: directory + "/" + Self.fileName, bounds: settings.bounds, logger: logger)
        client = WebhookClient(group: group)
        dispatcher = WebhookDispatcher(
            destinations: settings.destinations,
            log: log,
            transport: client,
            wallClock: { UInt64(Date().timeIntervalSince1970 * 1000) },
            userAgent: "sfu/\(Version.current)",
            report: { metrics.count($0) },
            logger: logger
        )
        self.metrics = metrics
        self.logger = logger
        for destination in settings.destinations { metrics.announce(destination.name) }
    }

    /// What is known of calls that had not ended when the server did, for `Gateway.recall`. New webhooks get the
    /// events from here on.
    func recall() async -> [RoomEvent] {
        do {
            try await dispatcher.register()
            let decoder = JSONDecoder()
            return try await log.unfinished().compactMap { stored in
                try? decoder.decode(RoomEvent.self, from: Data(stored.json))
            }
        } catch {
            logger.error("the event log cannot be read", metadata: ["error": "\(error)"])
            return []
        }
    }

    /// Sends webhooks until shutdown, then writes what waits. What was not delivered goes on with the next start.
    func run() async throws {
        let sending = Task { [dispatcher] in await dispatcher.run() }
        let counting = Task { [log, metrics] in
            repeat { metrics.record(log.statistics) } while (try? await Task.sleep(for: .seconds(1))) != nil
        }
        // Cancellation ends it as well.
        try? await gracefulShutdown()
        for task in [sending, counting] { task.cancel() }
        await sending.value
        await counting.value
        await log.close()
        do { try await client.shutdown() } catch {
            logger.debug("webhook connections did not close", metadata: ["error": "\(error)"])
        }
    }

    // MARK: EventSink

    func append(_ event: RoomEvent) {
        log.append(
            EventDraft(
                id: event.id,
                room: event.room,
                type: event.type.rawValue,
                time: event.time,
                mark: event.type == .roomStarted ? .begins : event.type == .roomEnded ? .ends : nil,
                content: event
            )
        )
    }

    // MARK: EventReader

    func read(_ query: EventQuery) async throws(GatewayError) -> EventList {
        do {
            let cursor: EventCursor?
            switch query.start {
            case .oldest:
                cursor = nil
            case .newest:
                return EventList(events: [], next: "\(try await log.end())", hasMore: false, hasGap: false)
            case .after(let text):
                guard let read = EventCursor(text) else {
                    throw GatewayError(.badRequest, "after is no cursor of this server")
                }
                cursor = read
            }
            // Listens first, so that nothing comes between the look and the wait.
            let changes = log.changes()
            var page = try await log.read(after: cursor, room: query.room, limit: query.limit)
            if page.events.isEmpty, !page.hasMore, query.wait > .zero {
                await Self.wait(for: changes, atMost: query.wait)
                page = try await log.read(after: cursor, room: query.room, limit: query.limit)
            }
            return EventList(
                events: page.events.map(\.json),
                next: page.next.description,
                hasMore: page.hasMore,
                hasGap: page.hasGap
            )
        } catch let error as GatewayError {
            throw error
        } catch {
            throw GatewayError(.overloaded, "\(error)", retryAfterMs: 1000)
        }
    }

    private static func wait(for changes: AsyncStream<Void>, atMost limit: Interval) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in changes { return } }
            group.addTask { _ = try? await Task.sleep(for: .microseconds(limit.microseconds)) }
            await group.next()
            group.cancelAll()
        }
    }
}

/// What the log and its webhooks count, for Prometheus.
final class EventMetrics: Sendable {
    private let factory: any MetricsFactory
    private let last = Mutex(EventLogStatistics())

    init(_ factory: any MetricsFactory) { self.factory = factory }

    func record(_ statistics: EventLogStatistics) {
        let before = last.withLock { last in
            defer { last = statistics }
            return last
        }
        add(MetricCatalog.eventsAppended, statistics.appended - before.appended)
        add(MetricCatalog.eventsLost, statistics.lost - before.lost)
        add(MetricCatalog.eventsPruned, statistics.pruned - before.pruned)
        add(MetricCatalog.eventWriteFailures, statistics.writeFailures - before.writeFailures)
        add(MetricCatalog.eventLogsDamaged, statistics.filesPutAside - before.filesPutAside)
        set(MetricCatalog.eventsStored, [], Double(statistics.stored))
        set(MetricCatalog.eventsWaiting, [], Double(statistics.waiting))
    }

    /// A series that begins with the first failure hides it from rates.
    func announce(_ destination: String) {
        count(.pending(destination: destination, rooms: 0, failing: 0))
        for result in ["delivered", "failed", "given_up"] { add(destination, result, 0) }
    }

    func count(_ fact: WebhookFact) {
        switch fact {
        case .delivered(let destination): add(destination, "delivered", 1)
        case .failed(let destination): add(destination, "failed", 1)
        case .givenUp(let destination, let count): add(destination, "given_up", count)
        case .pending(let destination, let rooms, let failing):
            set(MetricCatalog.webhookRooms, [("destination", destination)], Double(rooms))
            set(MetricCatalog.webhookFailingRooms, [("destination", destination)], Double(failing))
        }
    }

    private func add(_ metric: MetricDescription, _ count: UInt64) {
        Counter(label: metric.name, dimensions: [], factory: factory).increment(by: Int64(clamping: count))
    }

    private func add(_ destination: String, _ result: String, _ count: Int) {
        Counter(
            label: MetricCatalog.webhooks.name,
            dimensions: [("destination", destination), ("result", result)],
            factory: factory
        ).increment(by: count)
    }

    private func set(_ metric: MetricDescription, _ labels: [(String, String)], _ value: Double) {
        Meter(label: metric.name, dimensions: labels, factory: factory).set(value)
    }
}
