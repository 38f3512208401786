// The log's tables in SQLite. One instance is one open file. Must not know queues, retries or webhooks' HTTP.
import GRDB
import RTP

import struct Foundation.FileAttributeKey
import struct Foundation.FileAttributeType
import class Foundation.FileManager
import class Foundation.JSONEncoder

/// How far one destination has got in one room.
struct RoomPosition: Sendable, Equatable {
    var position: Int64
    /// Milliseconds since 1970 of the first failure of those that have not ended; nil: the last one went well.
    var failingSince: UInt64?
}

struct PositionKey: Hashable, Sendable {
    var destination: String
    var room: String
}

/// What one transaction writes.
struct EventBatch: Sendable {
    enum Entry: Sendable {
        case event(EventDraft)
        /// As many events of these rooms were lost here; their numbers stay free.
        case gap([String: Int64])
    }

    var entries: [Entry] = []
    var positions: [PositionKey: RoomPosition] = [:]
    var floors: [String: Int64] = [:]

    var isEmpty: Bool { entries.isEmpty && positions.isEmpty && floors.isEmpty }
    var eventCount: Int { entries.count { if case .event = $0 { true } else { false } } }
}

/// An event without its content.
struct EventHead: Sendable, Equatable {
    var position: Int64
    var room: String
    var type: String
}

struct EventStore: Sendable {
    let pool: DatabasePool
    /// Names this file in cursors.
    let identity: String

    private static let version = 1

    /// `busyTimeout`: how long a write waits for other processes. `pageLimit` bounds the file, in pages of 4 KiB, as a
    /// full disk would.
    init(path: String, identity: String, busyTimeout: Interval, pageLimit: Int? = nil) throws {
        try Self.makeFile(path)
        var configuration = Configuration()
        configuration.label = "sfu.events"
        configuration.busyMode = .timeout(Double(busyTimeout.microseconds) / 1_000_000)
        configuration.maximumReaderCount = 4
        configuration.prepareDatabase { db in
            // What a webhook has told must be in the log even after a power cut.
            try db.execute(sql: "PRAGMA synchronous = FULL")
            if let pageLimit { try db.execute(sql: "PRAGMA max_page_count = \(pageLimit)") }
        }
        pool = try DatabasePool(path: path, configuration: configuration)
        self.identity = try pool.write { db in try Self.prepare(db, identity) }
    }

    /// For its user alone; SQLite gives its other files the same rights.
    private static func makeFile(_ path: String) throws {
        let manager = FileManager.default
        let rights: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
        guard manager.fileExists(atPath: path) else {
            guard manager.createFile(atPath: path, contents: nil, attributes: rights) else {
                throw EventLogError("cannot create \(path)")
            }
            return
        }
        let type = try manager.attributesOfItem(atPath: path)[.type] as? FileAttributeType
        guard type == .typeRegular else { throw EventLogError("\(path) is no file") }
        try manager.setAttributes(rights, ofItemAtPath: path)
    }

    /// Returns the file's identity.
    private static func prepare(_ db: Database, _ identity: String) throws -> String {
        let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard version <= Self.version else {
            throw EventLogError("the event log was written by a newer version of this server")
        }
        if version == 0 {
            try db.execute(sql: schema)
            try db.execute(sql: "INSERT INTO meta (key, value) VALUES ('identity', ?)", arguments: [identity])
            try db.execute(sql: "PRAGMA user_version = \(Self.version)")
        }
        return try String.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'identity'") ?? identity
    }

    private static let schema = """
        CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE events (
            position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, room TEXT NOT NULL,
            type TEXT NOT NULL, sequence INTEGER NOT NULL, time INTEGER NOT NULL, mark INTEGER, body TEXT NOT NULL
        );
        CREATE INDEX events_of_rooms ON events (room, position);
        CREATE INDEX marks ON events (room, position, mark) WHERE mark IS NOT NULL;
        CREATE TABLE rooms (room TEXT PRIMARY KEY, sequence INTEGER NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX rooms_by_use ON rooms (used);
        CREATE TABLE destinations (name TEXT PRIMARY KEY, floor INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE positions (
            destination TEXT NOT NULL, room TEXT NOT NULL, position INTEGER NOT NULL, failing INTEGER,
            PRIMARY KEY (destination, room)
        ) WITHOUT ROWID;
        """

    // MARK: Writing

    struct Written: Sendable, Equatable {
        /// Events that were not in the log before.
        var new = 0
        /// Events whose content cannot be encoded; their numbers stay free.
        var unreadable = 0
    }

    /// All or nothing.
    func write(_ batch: EventBatch) async throws -> Written {
        let bodies = batch.entries.map(Self.body)
        return try await pool.write { db in
            var written = Written()
            for (entry, body) in zip(batch.entries, bodies) {
                switch entry {
                case .event(let draft):
                    guard let body else {
                        written.unreadable += 1
                        let last = try Self.lastSequence(of: draft.room, db)
                        try Self.setSequence(of: draft.room, to: last.sequence + 1, used: last.used, db)
                        continue
                    }
                    if try Self.insert(draft, body, db) { written.new += 1 }
                case .gap(let rooms):
                    for (room, count) in rooms.sorted(by: { $0.key < $1.key }) {
                        let last = try Self.lastSequence(of: room, db)
                        try Self.setSequence(of: room, to: last.sequence + count, used: last.used, db)
                    }
                }
            }
            for (key, value) in batch.positions {
                try db.execute(
                    sql:
                        "INSERT OR REPLACE INTO positions (destination, room, position, failing) VALUES (?, ?, ?, ?)",
                    arguments: [
                        key.destination, key.room, value.position, value.failingSince.map(Int64.init),
                    ]
                )
            }
            for (name, floor) in batch.floors {
                try db.execute(
                    sql: "INSERT OR REPLACE INTO destinations (name, floor) VALUES (?, ?)",
                    arguments: [name, floor]
                )
                try db.execute(
                    sql: """
                        DELETE FROM positions
                        WHERE destination = ? AND (position < ? OR (position = ? AND failing IS NULL))
                        """,
                    arguments: [name, floor, floor]
                )
            }
            return written
        }
    }

    private static func insert(_ draft: EventDraft, _ body: String, _ db: Database) throws -> Bool {
        let sequence = try lastSequence(of: draft.room, db).sequence + 1
        try db.cachedStatement(
            sql: """
                INSERT INTO events (id, room, type, sequence, time, mark, body) VALUES (?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (id) DO NOTHING
                """
        ).execute(
            arguments: [
                draft.id, draft.room, draft.type, sequence, Int64(clamping: draft.time), draft.mark?.rawValue,
                body,
            ]
        )
        guard db.changesCount > 0 else { return false }
        try setSequence(of: draft.room, to: sequence, used: Int64(clamping: draft.time), db)
        return true
    }

    /// nil for what is no event, or cannot be encoded.
    private static func body(_ entry: EventBatch.Entry) -> String? {
        guard case .event(let draft) = entry else { return nil }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(draft.content), data.count > 2 else { return nil }
        return String(decoding: data, as: UTF8.self)
    }

    private static func lastSequence(of room: String, _ db: Database) throws -> (sequence: Int64, used: Int64)
    {
        let statement = try db.cachedStatement(sql: "SELECT sequence, used FROM rooms WHERE room = ?")
        guard let row = try Row.fetchOne(statement, arguments: [room]) else { return (0, 0) }
        return (row[0], row[1])
    }

    private static func setSequence(of room: String, to sequence: Int64, used: Int64, _ db: Database) throws {
        try db.cachedStatement(sql: "INSERT OR REPLACE INTO rooms (room, sequence, used) VALUES (?, ?, ?)")
            .execute(arguments: [room, sequence, used])
    }

    // MARK: Reading

    /// Oldest and newest position; nil where the log is empty. The newest is known even when all events are deleted.
    func bounds() async throws -> (oldest: Int64?, newest: Int64) {
        try await pool.read { db in
            let oldest = try Int64.fetchOne(db, sql: "SELECT MIN(position) FROM events")
            let newest = try Int64.fetchOne(db, sql: "SELECT seq FROM sqlite_sequence WHERE name = 'events'")
            return (oldest, newest ?? 0)
        }
    }

    /// At most `limit` events and nearly `bytes` bytes behind `position`.
    func events(after position: Int64, room: String?, limit: Int, bytes: Int) async throws -> [StoredEvent] {
        try await pool.read { db in
            let filter = room == nil ? "" : "AND room = ?"
            let sql = "SELECT * FROM events WHERE position > ? \(filter) ORDER BY position LIMIT ?"
            let arguments: StatementArguments =
                if let room { [position, room, limit] } else { [position, limit] }
            var events: [StoredEvent] = []
            var size = 0
            let rows = try Row.fetchCursor(db, sql: sql, arguments: arguments)
            while size < bytes, let row = try rows.next() {
                let event = Self.event(row)
                size += event.json.count
                events.append(event)
            }
            return events
        }
    }

    func heads(after position: Int64, limit: Int) async throws -> [EventHead] {
        try await pool.read { db in
            try Row.fetchAll(
                db,
                sql: "SELECT position, room, type FROM events WHERE position > ? ORDER BY position LIMIT ?",
                arguments: [position, limit]
            ).map { EventHead(position: $0[0], room: $0[1], type: $0[2]) }
        }
    }

    /// The first event of a room behind `position` and not behind `last`, of one of the types if some are named.
    func next(
        in room: String,
        after position: Int64,
        through last: Int64,
        types: Set<String>?
    ) async throws -> StoredEvent? {
        try await pool.read { db in
            let rows = try Row.fetchCursor(
                db,
                sql:
                    "SELECT * FROM events WHERE room = ? AND position > ? AND position <= ? ORDER BY position",
                arguments: [room, position, last]
            )
            while let row = try rows.next() {
                let type: String = row["type"]
                if types?.contains(type) ?? true { return Self.event(row) }
            }
            return nil
        }
    }

    /// Of each room whose newest mark begins something: the events from there on, at most `limit` in all.
    func unfinished(limit: Int) async throws -> [StoredEvent] {
        try await pool.read { db in
            let starts = try Row.fetchAll(
                db,
                sql:
                    "SELECT room, MAX(position) AS start, mark FROM events WHERE mark IS NOT NULL GROUP BY room"
            )
            var events: [StoredEvent] = []
            for row in starts where row["mark"] == EventDraft.Mark.begins.rawValue {
                let room: String = row["room"]
                let start: Int64 = row["start"]
                events += try Row.fetchAll(
                    db,
                    sql: "SELECT * FROM events WHERE room = ? AND position >= ? ORDER BY position LIMIT ?",
                    arguments: [room, start, max(0, limit - events.count)]
                ).map(Self.event)
            }
            return events
        }
    }

    private static func event(_ row: Row) -> StoredEvent {
        let sequence: Int64 = row["sequence"]
        let body: String = row["body"]
        let time: Int64 = row["time"]
        return StoredEvent(
            position: row["position"],
            id: row["id"],
            room: row["room"],
            type: row["type"],
            sequence: sequence,
            time: UInt64(clamping: time),
            // The stored object never is empty.
            json: Array("{\"roomSeq\":\(sequence),".utf8) + body.utf8.dropFirst()
        )
    }

    // MARK: Destinations

    /// Where a destination stands; a new one begins behind the newest event.
    func destination(_ name: String) async throws -> (floor: Int64, rooms: [String: RoomPosition]) {
        try await pool.write { db in
            let known = try Int64.fetchOne(
                db,
                sql: "SELECT floor FROM destinations WHERE name = ?",
                arguments: [name]
            )
            guard let known else {
                let newest =
                    try Int64.fetchOne(db, sql: "SELECT seq FROM sqlite_sequence WHERE name = 'events'") ?? 0
                try db.execute(
                    sql: "INSERT INTO destinations (name, floor) VALUES (?, ?)",
                    arguments: [name, newest]
                )
                return (newest, [:])
            }
            var rooms: [String: RoomPosition] = [:]
            let rows = try Row.fetchCursor(
                db,
                sql: "SELECT room, position, failing FROM positions WHERE destination = ?",
                arguments: [name]
            )
            while let row = try rows.next() {
                let failing: Int64? = row["failing"]
                rooms[row["room"]] = RoomPosition(
                    position: row["position"],
                    failingSince: failing.map { UInt64(clamping: $0) }
                )
            }
            return (known, rooms)
        }
    }

    func close() throws { try pool.close() }
}
