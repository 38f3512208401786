// What the log forgets: events that are too old or too many, rooms that nobody used for long, destinations that are
// gone. Must not know when.
import GRDB
import RTP

extension EventStore {
    /// Deletes at most `step` events that are too old or too many. Returns how many.
    func prune(_ bounds: EventLogBounds, now: UInt64, step: Int) async throws -> Int {
        try await pool.write { db in
            guard let oldest = try Int64.fetchOne(db, sql: "SELECT MIN(position) FROM events"),
                let newest = try Int64.fetchOne(db, sql: "SELECT MAX(position) FROM events")
            else { return 0 }
            // Positions are given without holes.
            var first = max(oldest, newest - Int64(bounds.count) + 1)
            let horizon = Int64(clamping: now) - bounds.age.milliseconds
            let young = try Int64.fetchOne(
                db,
                sql: "SELECT position FROM events WHERE time >= ? ORDER BY position LIMIT 1",
                arguments: [horizon]
            )
            first = max(first, young ?? newest + 1)
            if try Self.usedBytes(db) > bounds.bytes {
                first = max(first, oldest + max(1, (newest - oldest + 1) / 10))
            }
            guard first > oldest else { return 0 }
            try db.execute(
                sql: "DELETE FROM events WHERE position < ?",
                arguments: [min(first, oldest + Int64(step))]
            )
            return db.changesCount
        }
    }

    /// Rooms that nobody used for long, and destinations that were taken out of the settings: all that they have
    /// missed is gone.
    func pruneNames(keeping destinations: Set<String>, now: UInt64) async throws {
        try await pool.write { db in
            let horizon = Int64(clamping: now) - Limits.Events.sequenceMemory.milliseconds
            try db.execute(
                sql: """
                    DELETE FROM rooms WHERE room IN (
                        SELECT room FROM rooms WHERE used < ? ORDER BY used LIMIT \(Limits.Events.pruneStep)
                    )
                    """,
                arguments: [horizon]
            )
            let rooms = try Int.fetchOne(db, sql: "SELECT COUNT(*) FROM rooms") ?? 0
            if rooms > Limits.Events.sequences {
                try db.execute(
                    sql: "DELETE FROM rooms WHERE room IN (SELECT room FROM rooms ORDER BY used LIMIT ?)",
                    arguments: [rooms - Limits.Events.sequences]
                )
            }
            let oldest = try Int64.fetchOne(db, sql: "SELECT MIN(position) FROM events") ?? 0
            for name in try String.fetchAll(
                db,
                sql: "SELECT name FROM destinations WHERE floor < ?",
                arguments: [oldest - 1]
            ) where !destinations.contains(name) {
                try db.execute(sql: "DELETE FROM positions WHERE destination = ?", arguments: [name])
                try db.execute(sql: "DELETE FROM destinations WHERE name = ?", arguments: [name])
            }
        }
    }

    private static func usedBytes(_ db: Database) throws -> Int {
        let pages = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
        let free = try Int.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0
        let size = try Int.fetchOne(db, sql: "PRAGMA page_size") ?? 0
        return (pages - free) * size
    }
}
