// What others read from the log and note in it: pages by cursor, stretches without an end, heads and positions for
// webhooks. Must not know how events are written.
import GRDB
import RTP
import Synchronization

extension EventLog {
    /// At most `limit` events behind a cursor, of one room if it is named. nil: from the oldest on. Throws
    /// `EventLogError` while the log cannot be read.
    public func read(after cursor: EventCursor?, room: String? = nil, limit: Int) async throws -> EventPage {
        try await reading { store in
            let (oldest, newest) = try await store.bounds()
            let isOther = cursor.map { $0.log != store.identity || $0.position > newest } ?? false
            let start = isOther ? 0 : cursor?.position ?? 0
            let events = try await store.events(
                after: start,
                room: room,
                limit: limit,
                bytes: Limits.Events.pageBytes
            )
            // With fewer events than there may be, everything up to `newest` was looked at.
            let isAll =
                events.count < limit && events.reduce(0) { $0 + $1.json.count } < Limits.Events.pageBytes
            let next = isAll ? max(newest, events.last?.position ?? 0) : events.last?.position ?? start
            let firstKept = oldest ?? newest + 1
            return EventPage(
                events: events,
                next: EventCursor(log: store.identity, position: next),
                hasMore: next < newest,
                hasGap: isOther || cursor.map { $0.position + 1 < firstKept } ?? false
            )
        }
    }

    /// The cursor behind the newest event.
    public func end() async throws -> EventCursor {
        try await reading { store in
            EventCursor(log: store.identity, position: try await store.bounds().newest)
        }
    }

    /// What was told of stretches that have begun and not ended, room by room.
    public func unfinished() async throws -> [StoredEvent] {
        try await reading { try await $0.unfinished(limit: Limits.Events.kept) }
    }

    /// A value after each write from now on, or several; ends when the log is closed.
    public func changes() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let id: UInt64? = state.withLock { state in
            guard !state.isClosing else { return nil }
            state.lastListener += 1
            state.listeners[state.lastListener] = continuation
            return state.lastListener
        }
        guard let id else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { $0.listeners[id] = nil }
        }
        return stream
    }

    // MARK: For webhooks

    func heads(after position: Int64) async throws -> (heads: [EventHead], oldest: Int64?) {
        try await reading { store in
            (
                try await store.heads(after: position, limit: Limits.Events.scan),
                try await store.bounds().oldest
            )
        }
    }

    func next(
        in room: String,
        after position: Int64,
        through last: Int64,
        types: Set<String>?
    ) async throws -> StoredEvent? {
        try await reading { try await $0.next(in: room, after: position, through: last, types: types) }
    }

    /// Registers a destination.
    func destination(_ name: String) async throws -> (floor: Int64, rooms: [String: RoomPosition]) {
        _ = state.withLock { $0.destinations.insert(name) }
        return try await reading { try await $0.destination(name) }
    }

    /// Written with the next batch; the newest of each room counts. After a crash the one before may come back.
    func note(_ position: RoomPosition, of key: PositionKey, floor: Int64?) {
        state.withLock { state in
            state.positions[key] = position
            if let floor { state.floors[key.destination] = floor }
        }
        wake.yield()
    }

    func note(floor: Int64, of destination: String) {
        state.withLock { $0.floors[destination] = floor }
        wake.yield()
    }

    private func reading<Value: Sendable>(
        _ work: (EventStore) async throws -> Value
    ) async throws -> Value {
        guard let store = state.withLock({ $0.store }) else {
            throw EventLogError("the event log cannot be read now")
        }
        do {
            return try await work(store)
        } catch let error as DatabaseError {
            throw EventLogError("the event log cannot be read now: \(Self.text(error))")
        }
    }
}
