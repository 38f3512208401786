// A log in a directory of its own, events that say little, and chance that repeats.
import Foundation
import GRDB
import Logging
import RTP
import Synchronization
import Testing

@testable import EventLog

struct Note: Codable, Sendable {
    var id: String
    var text: String
}

extension EventDraft {
    init(
        _ id: String,
        room: String = "standup",
        type: String = "note",
        time: UInt64 = 1000,
        mark: Mark? = nil
    ) {
        self.init(
            id: id,
            room: room,
            type: type,
            time: time,
            mark: mark,
            content: Note(id: id, text: "\"{}\\/é")
        )
    }
}

/// A file that goes with the test.
final class LogPlace: Sendable {
    let directory: String
    var path: String { directory + "/events.db" }

    init() throws {
        directory = NSTemporaryDirectory() + "sfu-events-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func open(
        bounds: EventLogBounds = EventLogBounds(age: .seconds(1_000_000)),
        tuning: EventLog.Tuning = EventLog.Tuning(),
        now: @escaping @Sendable () -> UInt64 = { 2000 },
        logger: Logger = .silent
    ) throws -> EventLog {
        try EventLog(path: path, bounds: bounds, tuning: tuning, wallClock: now, logger: logger)
    }
}

extension Logger {
    static let silent = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
}

extension EventLog {
    /// All ids behind a cursor, page by page.
    func ids(after cursor: EventCursor? = nil, room: String? = nil, limit: Int = 1000) async throws
        -> [String]
    {
        try await events(after: cursor, room: room, limit: limit).map(\.id)
    }

    func events(after cursor: EventCursor? = nil, room: String? = nil, limit: Int = 1000) async throws
        -> [StoredEvent]
    {
        var all: [StoredEvent] = []
        var cursor = cursor
        while true {
            let page = try await read(after: cursor, room: room, limit: limit)
            all += page.events
            cursor = page.next
            if !page.hasMore { return all }
        }
    }
}

/// SplitMix64
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1 }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func below(_ bound: UInt64) -> UInt64 { next() % bound }
}

/// Waits for what others make true; polls nothing.
final class Watched<Value: Sendable>: Sendable {
    private struct State {
        var value: Value
        var waiting: [(@Sendable (Value) -> Bool, CheckedContinuation<Void, Never>)] = []
    }
    private let state: Mutex<State>

    init(_ value: Value) { state = Mutex(State(value: value)) }

    var value: Value { state.withLock { $0.value } }

    func change<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
        let (result, ready) = state.withLock { state in
            let result = body(&state.value)
            let ready = state.waiting.filter { $0.0(state.value) }.map(\.1)
            let value = state.value
            state.waiting.removeAll { $0.0(value) }
            return (result, ready)
        }
        for continuation in ready { continuation.resume() }
        return result
    }

    func wait(until condition: @escaping @Sendable (Value) -> Bool) async {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if condition(state.value) { return true }
                state.waiting.append((condition, continuation))
                return false
            }
            if isReady { continuation.resume() }
        }
    }
}

/// Another process, as far as SQLite knows, that does not let anybody write.
final class Blocker: Sendable {
    private let queue: DatabaseQueue

    init(path: String) throws {
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        configuration.busyMode = .timeout(10)
        queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.inDatabase { try $0.execute(sql: "BEGIN IMMEDIATE") }
    }

    func release() {
        try? queue.inDatabase { try $0.execute(sql: "ROLLBACK") }
        try? queue.close()
    }
}
