// Sends the log's events to one destination: at least once, in order in each room, from where it stopped.
// Must not know what events mean, or SQL.
import Logging
import RTP

/// What happened to webhooks, for whoever counts.
public enum WebhookFact: Sendable, Equatable {
    case delivered(destination: String)
    /// A request failed; the event goes again.
    case failed(destination: String)
    /// The event will not be delivered.
    case givenUp(destination: String, count: Int)
    /// Rooms with undelivered events, and of these the ones whose last request failed.
    case pending(destination: String, rooms: Int, failing: Int)
}

/// Time and chance, for tests to hold.
struct WebhookClock: Sendable {
    var now: @Sendable () -> Instant
    /// Milliseconds since 1970.
    var wall: @Sendable () -> UInt64
    /// From 0 to 1.
    var jitter: @Sendable () -> Double
}

actor WebhookSender {
    private let destination: WebhookDestination
    private let log: EventLog
    private let transport: any WebhookTransport
    private let clock: WebhookClock
    private let userAgent: String
    private let report: @Sendable (WebhookFact) -> Void
    private let logger: Logger

    private var queue: DeliveryQueue
    /// The log was looked through up to here.
    private var scanned: Int64 = 0
    private var notedFloor: Int64 = 0
    /// Where rooms stand whose events lie behind the floor, from before the start.
    private var remembered: [String: RoomPosition] = [:]
    private var lastWarning: Instant?
    private var failuresSinceWarning = 0
    private let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    init(
        _ destination: WebhookDestination,
        log: EventLog,
        transport: any WebhookTransport,
        timing: DeliveryQueue.Timing = DeliveryQueue.Timing(),
        clock: WebhookClock,
        userAgent: String,
        report: @escaping @Sendable (WebhookFact) -> Void,
        logger: Logger
    ) {
        self.destination = destination
        self.log = log
        self.transport = transport
        self.clock = clock
        self.userAgent = userAgent
        self.report = report
        var logger = logger
        logger[metadataKey: "destination"] = "\(destination.name)"
        self.logger = logger
        queue = DeliveryQueue(timing: timing)
        (signals, signal) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// A new destination gets the events from here on.
    func register() async throws { _ = try await log.destination(destination.name) }

    /// Until its task is cancelled.
    func run() async {
        guard await restore() else { return }
        await withDiscardingTaskGroup { group in
            group.addTask { [log, signal] in
                for await _ in log.changes() { signal.yield() }
            }
            signal.yield()
            var timer: Task<Void, Never>?
            for await _ in signals {
                guard !Task.isCancelled else { break }
                await scan()
                for turn in queue.next(at: clock.now()) {
                    group.addTask { await self.deliver(turn) }
                }
                report(.pending(destination: destination.name, rooms: queue.count, failing: queue.failing))
                timer?.cancel()
                timer = queue.deadline.map { alarm(at: $0) }
            }
            timer?.cancel()
            group.cancelAll()
        }
    }

    private func alarm(at deadline: Instant) -> Task<Void, Never> {
        let pause = max(.zero, deadline - clock.now())
        return Task { [signal] in
            if (try? await Task.sleep(for: .microseconds(pause.microseconds))) != nil { signal.yield() }
        }
    }

    // MARK: The log

    /// False where the task is cancelled before the log can be read.
    private func restore() async -> Bool {
        while !Task.isCancelled {
            do {
                let (floor, rooms) = try await log.destination(destination.name)
                scanned = floor
                notedFloor = floor
                remembered = rooms
                return true
            } catch {
                logger.error("webhooks wait for the event log", metadata: ["error": "\(error)"])
                let pause = Duration.microseconds(Limits.Events.writeRetryLongest.microseconds)
                guard (try? await Task.sleep(for: pause)) != nil else { return false }
            }
        }
        return false
    }

    /// Finds rooms with new events.
    private func scan() async {
        while !queue.isFull, !Task.isCancelled {
            let found: (heads: [EventHead], oldest: Int64?)
            do { found = try await log.heads(after: scanned) } catch {
                // The log says so itself; its next write wakes this up.
                return
            }
            noteMissed(oldest: found.oldest)
            for head in found.heads where !queue.isFull {
                scanned = head.position
                guard destination.types?.contains(head.type) ?? true else { continue }
                let before = remembered[head.room]
                if let before, head.position <= before.position { continue }
                remembered[head.room] = nil
                queue.noticed(head.room, position: head.position, failingSince: before?.failingSince)
            }
            if found.heads.count < Limits.Events.scan {
                if scanned >= found.heads.last?.position ?? 0 { remembered = [:] }
                break
            }
        }
        noteFloor()
    }

    /// Events that the log deleted before they were looked at.
    private func noteMissed(oldest: Int64?) {
        guard let oldest, scanned + 1 < oldest else { return }
        let missed = Int(oldest - 1 - scanned)
        scanned = oldest - 1
        logger.error("events were deleted before they could be delivered", metadata: ["count": "\(missed)"])
        report(.givenUp(destination: destination.name, count: missed))
    }

    private func noteFloor() {
        let floor = queue.floor(scanned: scanned)
        guard floor > notedFloor else { return }
        notedFloor = floor
        log.note(floor: floor, of: destination.name)
    }

    // MARK: Delivering

    private func deliver(_ turn: DeliveryQueue.Turn) async {
        defer { signal.yield() }
        let event: StoredEvent?
        do {
            // Not what the scan has not seen: it would notice it as new once this room is forgotten.
            event = try await log.next(
                in: turn.room,
                after: turn.after,
                through: scanned,
                types: destination.types
            )
        } catch {
            return queue.postponed(turn.room, until: clock.now() + Limits.Events.writeRetry)
        }
        guard let event else { return queue.drained(turn.room) }
        do {
            let answer = try await transport.post(request(for: event))
            if answer.isSuccess { return delivered(event) }
            failed(event, "status \(answer.status)", retryAfter: answer.retryAfter)
        } catch {
            // Not a failure of the receiver: this process is about to end.
            if Task.isCancelled { return queue.postponed(turn.room, until: clock.now()) }
            failed(event, "\(error)", retryAfter: nil)
        }
    }

    private func request(for event: StoredEvent) -> WebhookRequest {
        let time = clock.wall() / 1000
        let signature = WebhookSignature.header(
            secrets: destination.secrets,
            time: time,
            id: event.id,
            body: event.json
        )
        return WebhookRequest(
            url: destination.url,
            headers: [
                ("Content-Type", "application/json"), ("User-Agent", userAgent), ("Sfu-Event-Id", event.id),
                ("Sfu-Event-Type", event.type), ("Sfu-Signature", signature),
            ],
            body: event.json,
            timeout: destination.timeout
        )
    }

    private func delivered(_ event: StoredEvent) {
        queue.delivered(event.room, position: event.position)
        note(event, failingSince: nil)
        report(.delivered(destination: destination.name))
        if lastWarning != nil, queue.failing == 0 {
            lastWarning = nil
            failuresSinceWarning = 0
            logger.notice("webhooks arrive again")
        }
    }

    private func failed(_ event: StoredEvent, _ reason: String, retryAfter: Interval?) {
        let outcome = queue.failed(
            event.room,
            position: event.position,
            time: event.time,
            wallTime: clock.wall(),
            jitter: clock.jitter(),
            retryAfter: retryAfter,
            at: clock.now()
        )
        switch outcome {
        case .retry:
            report(.failed(destination: destination.name))
            warn(event, reason)
            note(event, isDone: false, failingSince: queue.failingSince(event.room))
        case .giveUp:
            report(.givenUp(destination: destination.name, count: 1))
            logger.error(
                "an event is given up",
                metadata: ["event": "\(event.id)", "room": "\(event.room)", "reason": "\(reason)"]
            )
            note(event, failingSince: queue.failingSince(event.room))
        }
    }

    private func note(_ event: StoredEvent, isDone: Bool = true, failingSince: UInt64?) {
        log.note(
            RoomPosition(
                position: isDone ? event.position : event.position - 1,
                failingSince: failingSince
            ),
            of: PositionKey(destination: destination.name, room: event.room),
            floor: nil
        )
        noteFloor()
    }

    /// Once a minute at most: a receiver that is down fails for every room.
    private func warn(_ event: StoredEvent, _ reason: String) {
        failuresSinceWarning += 1
        let now = clock.now()
        guard lastWarning.map({ now - $0 >= .seconds(60) }) ?? true else { return }
        lastWarning = now
        logger.warning(
            "a webhook failed and will be sent again",
            metadata: [
                "event": "\(event.id)", "room": "\(event.room)", "reason": "\(reason.prefix(200))",
                "failures": "\(failuresSinceWarning)",
            ]
        )
        failuresSinceWarning = 0
    }
}

/// All destinations, each on its own.
public final class WebhookDispatcher: Sendable {
    private let senders: [WebhookSender]

    /// - Parameter report: called from anywhere.
    public convenience init(
        destinations: [WebhookDestination],
        log: EventLog,
        transport: any WebhookTransport,
        wallClock: @escaping @Sendable () -> UInt64,
        userAgent: String,
        report: @escaping @Sendable (WebhookFact) -> Void,
        logger: Logger
    ) {
        let start = ContinuousClock.now
        let clock = WebhookClock(
            now: { Instant(start.duration(to: .now)) },
            wall: wallClock,
            jitter: { Double.random(in: 0...1) }
        )
        self.init(
            senders: destinations.map { destination in
                WebhookSender(
                    destination,
                    log: log,
                    transport: transport,
                    clock: clock,
                    userAgent: userAgent,
                    report: report,
                    logger: logger
                )
            }
        )
    }

    init(senders: [WebhookSender]) { self.senders = senders }

    /// Destinations that are new get the events from here on. Throws `EventLogError` while the log cannot be read.
    public func register() async throws {
        for sender in senders { try await sender.register() }
    }

    /// Until its task is cancelled.
    public func run() async {
        await withDiscardingTaskGroup { group in
            for sender in senders { group.addTask { await sender.run() } }
        }
    }
}
