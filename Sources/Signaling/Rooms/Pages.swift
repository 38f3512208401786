// Snapshots and deltas as messages, and the pages of a snapshot that are the same for everybody.
// Must not know who gets them.
import NIOCore
import RTP

/// Pages that were made for somebody, while they are true.
struct SharedSnapshot {
    /// Members that come at once are told the same, with one timestamp.
    private static let age: UInt64 = 1000

    private var revision: UInt64 = 0
    private var stamp: UInt64 = 0
    private var timestamp: UInt64 = 0
    private(set) var bodies: [EventBody?] = []

    /// The timestamp of the pages, milliseconds since 1970.
    mutating func begin(_ room: RoomState, lists: Int, at now: UInt64) -> UInt64 {
        let isTrue =
            revision == room.revision && stamp == room.pages.stamp && bodies.count == lists
            && now >= timestamp && now - timestamp < Self.age
        if !isTrue {
            revision = room.revision
            stamp = room.pages.stamp
            timestamp = now
            bodies = Array(repeating: nil, count: lists)
        }
        return timestamp
    }

    mutating func keep(_ pages: [EventBody], where isShared: (Int) -> Bool) {
        // The first page says what only one member is told.
        guard pages.count == bodies.count else { return }
        for index in bodies.indices.dropFirst() where isShared(index) { bodies[index] = pages[index] }
    }
}

enum Pages {
    /// - Parameters:
    ///   - lists: elements of a list, as JSON with commas between.
    ///   - field: where they go.
    ///   - known: a page that was made before, by its index.
    ///   - page: makes one of the pages, with that list empty, from its number and how many there are.
    static func make(
        _ type: ServerMessage,
        lists: [ByteBuffer],
        in field: String,
        revision: UInt64,
        timestamp: UInt64,
        known: (Int) -> EventBody? = { _ in nil },
        page: (Int, Int) -> some Encodable
    ) -> [EventBody] {
        let lists = lists.isEmpty ? [ByteBuffer()] : lists
        func body(_ index: Int, of lists: [ByteBuffer]) -> EventBody? {
            let elements = lists[index].readableBytes > 0 ? [lists[index]] : []
            return EventBody(
                type,
                revision: revision,
                timestamp: timestamp,
                page(index + 1, lists.count),
                filling: [Filling(field: field, elements: elements)]
            )
        }
        let first = body(0, of: lists)
        // The first says more than its list: where both are too much, the list is on the next.
        let fits = first.map { $0.count <= Limits.Signaling.serverMessageBytes } ?? true
        guard !fits, lists[0].readableBytes > 0 else {
            return [first].compactMap(\.self)
                + lists.indices.dropFirst().compactMap { known($0) ?? body($0, of: lists) }
        }
        let spread = [ByteBuffer()] + lists
        return spread.indices.compactMap { body($0, of: spread) }
    }
}
