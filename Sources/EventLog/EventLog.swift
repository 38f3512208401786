// The durable log of events: takes them without waiting, writes them in batches, gives them by position, and outlives
// a kill, a full disk and a damaged file. Must not know what events mean or who reads them.
import GRDB
import Logging
import RTP
import Synchronization

import struct Foundation.Date
import class Foundation.FileManager

public final class EventLog: Sendable {
    /// For tests: how long pauses are, and how large the file may be.
    struct Tuning: Sendable {
        var writeRetry = Limits.Events.writeRetry
        var waiting = Limits.Events.waiting
        var busyTimeout = Limits.Events.busyTimeout
        var pageLimit: Int?
    }

    struct State {
        var store: EventStore?
        var waiting: [EventBatch.Entry] = []
        var waitingEvents = 0
        var positions: [PositionKey: RoomPosition] = [:]
        var floors: [String: Int64] = [:]
        var statistics = EventLogStatistics()
        var isClosing = false
        /// Ends the pause after a failed write.
        var pause: Task<Void, Never>?
        var writer: Task<Void, Never>?
        /// Old events go even where no new ones come.
        var ticker: Task<Void, Never>?
        var listeners: [UInt64: AsyncStream<Void>.Continuation] = [:]
        var lastListener: UInt64 = 0
        /// Waiting for everything before them to be written or given up.
        var flushes: [CheckedContinuation<Void, Never>] = []
        var isWriting = false
        var lastPrune: UInt64 = 0
        var destinations: Set<String> = []
    }

    private let path: String
    private let bounds: EventLogBounds
    private let tuning: Tuning
    private let wallClock: @Sendable () -> UInt64
    private let logger: Logger
    let state = Mutex(State())
    let wake: AsyncStream<Void>.Continuation

    /// Opens or makes the log at `path`. A damaged file is put aside and a new one begun; on a full disk the log is
    /// opened later. `wallClock` counts milliseconds since 1970.
    ///
    /// - Throws: `EventLogError` where the file cannot be used because of its place, its rights or its version.
    public convenience init(
        path: String,
        bounds: EventLogBounds = EventLogBounds(),
        wallClock: @escaping @Sendable () -> UInt64 = { UInt64(Date().timeIntervalSince1970 * 1000) },
        logger: Logger
    ) throws {
        try self.init(path: path, bounds: bounds, tuning: Tuning(), wallClock: wallClock, logger: logger)
    }

    init(
        path: String,
        bounds: EventLogBounds,
        tuning: Tuning,
        wallClock: @escaping @Sendable () -> UInt64,
        logger: Logger
    ) throws {
        self.path = path
        self.bounds = bounds
        self.tuning = tuning
        self.wallClock = wallClock
        self.logger = logger
        let (signals, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.wake = wake
        do {
            try open()
        } catch let error as DatabaseError where Self.mayPass(error) {
            logger.error("the event log cannot be opened yet", metadata: ["error": "\(Self.text(error))"])
        } catch let error as DatabaseError {
            throw EventLogError("cannot open the event log \(path): \(Self.text(error))")
        }
        let writer = Task { [self] in await write(on: signals) }
        let ticker = Task { [wake] in
            let interval = Duration.microseconds(Limits.Events.pruneInterval.microseconds)
            while (try? await Task.sleep(for: interval)) != nil { wake.yield() }
        }
        state.withLock { state in
            state.writer = writer
            state.ticker = ticker
        }
        // What is too old goes now.
        wake.yield()
    }

    // MARK: Appending

    /// Never waits. What finds no place to wait is lost, counted, and leaves a hole in its room's `roomSeq`.
    public func append(_ draft: EventDraft) {
        let wasFull = state.withLock { state in
            guard state.waitingEvents < tuning.waiting, !state.isClosing else {
                state.statistics.lost += 1
                state.noteLost(in: draft.room)
                return true
            }
            state.waiting.append(.event(draft))
            state.waitingEvents += 1
            return false
        }
        if !wasFull { wake.yield() }
    }

    /// Returns when everything that was appended before is on the disk, or the log is closed.
    public func flush() async {
        await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                if state.isIdle || state.writer == nil { return true }
                state.flushes.append(continuation)
                return false
            }
            if isDone { continuation.resume() } else { wake.yield() }
        }
    }

    /// Tries once more to write what waits, then closes the file. What cannot be written is lost, and counted.
    public func close() async {
        let (writer, pause) = state.withLock { state in
            state.isClosing = true
            state.ticker?.cancel()
            return (state.writer, state.pause)
        }
        pause?.cancel()
        wake.yield()
        wake.finish()
        await writer?.value
        let (store, listeners, lost) = state.withLock { state in
            defer {
                state.store = nil
                state.listeners = [:]
                state.writer = nil
            }
            let lost = state.waitingEvents
            state.statistics.lost += UInt64(lost)
            state.waiting = []
            state.waitingEvents = 0
            return (state.store, state.listeners.values.map { $0 }, lost)
        }
        for listener in listeners { listener.finish() }
        finishFlushes()
        if lost > 0 { logger.error("events were lost at the end", metadata: ["count": "\(lost)"]) }
        do { try store?.close() } catch {
            logger.warning("the event log did not close cleanly", metadata: ["error": "\(error)"])
        }
    }

    public var statistics: EventLogStatistics {
        state.withLock { state in
            var statistics = state.statistics
            statistics.waiting = state.waitingEvents
            return statistics
        }
    }

    // MARK: The file

    private func open() throws {
        var generator = SystemRandomNumberGenerator()
        let identity = String(generator.next() & 0xffff_ffff, radix: 32)
        func make() throws -> EventStore {
            try EventStore(
                path: path,
                identity: identity,
                busyTimeout: tuning.busyTimeout,
                pageLimit: tuning.pageLimit
            )
        }
        let store: EventStore
        do {
            store = try make()
        } catch let error as DatabaseError where Self.isDamage(error) {
            try putAside(error)
            store = try make()
        }
        state.withLock { $0.store = store }
    }

    /// A damaged file stays for whoever wants to look into it; the one before it goes.
    private func putAside(_ error: DatabaseError) throws {
        let manager = FileManager.default
        for suffix in ["", "-wal", "-shm"] where manager.fileExists(atPath: path + suffix) {
            let target = "\(path).damaged\(suffix)"
            if manager.fileExists(atPath: target) { try manager.removeItem(atPath: target) }
            try manager.moveItem(atPath: path + suffix, toPath: target)
        }
        state.withLock { $0.statistics.filesPutAside += 1 }
        logger.error(
            "the event log is damaged; it was put aside, and a new one begins",
            metadata: ["error": "\(Self.text(error))", "file": "\(path).damaged"]
        )
    }

    private static func isDamage(_ error: DatabaseError) -> Bool {
        [.SQLITE_CORRUPT, .SQLITE_NOTADB].contains(error.resultCode)
    }

    /// Such an error may go away without anybody touching the settings.
    private static func mayPass(_ error: DatabaseError) -> Bool {
        [.SQLITE_FULL, .SQLITE_IOERR, .SQLITE_BUSY].contains(error.resultCode)
    }

    /// Without the statement's arguments, which are people's names.
    static func text(_ error: any Error) -> String {
        guard let error = error as? DatabaseError else { return "\(error)" }
        return error.message ?? "SQLite error \(error.resultCode.rawValue)"
    }

    // MARK: Writing

    private func write(on signals: AsyncStream<Void>) async {
        var failures = 0
        for await _ in signals {
            while let batch = takeBatch() {
                do {
                    try await write(batch)
                    if failures > 0 { logger.notice("the event log can be written again") }
                    failures = 0
                } catch {
                    putBack(batch)
                    failures += 1
                    failed(error, failures)
                    if state.withLock({ $0.isClosing }) { return }
                    await pause(after: failures)
                }
            }
            await prune()
            finishFlushes()
        }
    }

    private func takeBatch() -> EventBatch? {
        state.withLock { state in
            var batch = EventBatch()
            batch.entries = Array(state.waiting.prefix(Limits.Events.batch))
            batch.positions = state.positions
            batch.floors = state.floors
            guard !batch.isEmpty else {
                state.isWriting = false
                return nil
            }
            state.isWriting = true
            state.waiting.removeFirst(batch.entries.count)
            state.waitingEvents -= batch.eventCount
            state.positions = [:]
            state.floors = [:]
            return batch
        }
    }

    private func putBack(_ batch: EventBatch) {
        state.withLock { state in
            state.waiting.insert(contentsOf: batch.entries, at: 0)
            state.waitingEvents += batch.eventCount
            state.positions.merge(batch.positions) { newer, _ in newer }
            state.floors.merge(batch.floors) { newer, _ in newer }
        }
    }

    private func write(_ batch: EventBatch) async throws {
        if state.withLock({ $0.store == nil }) { try open() }
        guard let store = state.withLock({ $0.store }) else { return }
        let written = try await store.write(batch)
        let listeners = state.withLock { state in
            state.statistics.appended += UInt64(written.new)
            state.statistics.lost += UInt64(written.unreadable)
            state.statistics.stored += Int64(written.new)
            return batch.entries.isEmpty ? [] : Array(state.listeners.values)
        }
        for listener in listeners { listener.yield() }
        if written.unreadable > 0 {
            logger.error("events could not be encoded", metadata: ["count": "\(written.unreadable)"])
        }
    }

    private func failed(_ error: any Error, _ failures: Int) {
        let waiting = state.withLock { state in
            state.statistics.writeFailures += 1
            return state.waitingEvents
        }
        // Not once a second for as long as a disk is full.
        if failures & (failures - 1) == 0 {
            logger.error(
                "the event log cannot be written; events wait in memory",
                metadata: ["error": "\(Self.text(error))", "waiting": "\(waiting)", "tries": "\(failures)"]
            )
        }
        guard let error = error as? DatabaseError, Self.isDamage(error) else { return }
        let store = state.withLock { state in
            defer { state.store = nil }
            return state.store
        }
        do {
            try store?.close()
        } catch {
            logger.debug("closing a damaged log", metadata: ["error": "\(Self.text(error))"])
        }
        do { try putAside(error) } catch {
            logger.error("a damaged log cannot be put aside", metadata: ["error": "\(error)"])
        }
    }

    private func pause(after failures: Int) async {
        let doubled = tuning.writeRetry.microseconds << min(failures - 1, 16)
        let length = min(doubled, Limits.Events.writeRetryLongest.microseconds)
        let pause = Task { _ = try? await Task.sleep(for: .microseconds(length)) }
        let isClosing = state.withLock { state in
            state.pause = pause
            return state.isClosing
        }
        if isClosing { pause.cancel() }
        await pause.value
    }

    private func prune() async {
        let now = wallClock()
        let due = state.withLock { state in
            guard
                now - min(state.lastPrune, now) >= Limits.Events.pruneInterval.milliseconds
                    || state.statistics.stored > bounds.count
            else { return false }
            state.lastPrune = now
            return true
        }
        guard due, let store = state.withLock({ $0.store }) else { return }
        do {
            var deleted = 0
            while true {
                let step = try await store.prune(bounds, now: now, step: Limits.Events.pruneStep)
                deleted += step
                if step == 0 { break }
            }
            try await store.pruneNames(keeping: state.withLock { $0.destinations }, now: now)
            let (oldest, newest) = try await store.bounds()
            state.withLock { state in
                state.statistics.pruned += UInt64(deleted)
                state.statistics.stored = oldest.map { newest - $0 + 1 } ?? 0
            }
        } catch {
            logger.warning("old events cannot be deleted", metadata: ["error": "\(Self.text(error))"])
        }
    }

    private func finishFlushes() {
        let flushes = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            guard state.isIdle || state.writer == nil else { return [] }
            defer { state.flushes = [] }
            return state.flushes
        }
        for flush in flushes { flush.resume() }
    }
}

extension EventLog.State {
    fileprivate var isIdle: Bool { !isWriting && waiting.isEmpty && positions.isEmpty && floors.isEmpty }

    /// The hole stands where the event would have.
    fileprivate mutating func noteLost(in room: String) {
        var rooms: [String: Int64] = [:]
        if case .gap(let known) = waiting.last {
            rooms = known
            waiting.removeLast()
        }
        if rooms[room] != nil || rooms.count < Limits.Events.lostRooms { rooms[room, default: 0] += 1 }
        waiting.append(.gap(rooms))
    }
}
