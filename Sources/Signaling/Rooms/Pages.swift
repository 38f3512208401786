// Snapshots and deltas as messages, and the pages of a snapshot that are the same for everybody.
// Must not know who gets them.
import NIOCore
import RTP

/// Pages that were made for somebody, while they are true.
struct SharedSnapshot {
    /// Members that come at once are told the same. Milliseconds: so old may the timestamp of a page be.
    private static let age: UInt64 = 1000

    private var revision: UInt64 = 0
    private var begunAt: UInt64 = 0
    private var bodies: [(key: EncodedPeople.Key, body: EventBody)?] = []

    /// `now`: milliseconds since 1970.
    mutating func begin(_ room: RoomState, lists: Int, at now: UInt64) {
        let isYoung = now >= begunAt && now - begunAt < Self.age
        guard revision != room.revision || bodies.count != lists || !isYoung else { return }
        revision = room.revision
        begunAt = now
        bodies = Array(repeating: nil, count: lists)
    }

    /// The page with this number less one and exactly this list.
    func body(at index: Int, of list: EncodedPeople.List) -> EventBody? {
        guard let key = list.key, let known = bodies[index], known.key == key else { return nil }
        return known.body
    }

    mutating func keep(_ pages: [EventBody], of lists: [EncodedPeople.List]) {
        // The first page says what only one member is told.
        guard pages.count == bodies.count, lists.count == bodies.count else { return }
        for index in bodies.indices.dropFirst() {
            if let key = lists[index].key { bodies[index] = (key, pages[index]) }
        }
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
        let bodies = [body(0, of: lists)] + lists.indices.dropFirst().map { known($0) ?? body($0, of: lists) }
        // The first and the last say more than their lists: where both are too much, the list is on a page of its own.
        func isTooLarge(_ index: Int) -> Bool {
            lists[index].readableBytes > 0
                && bodies[index].map { $0.count > Limits.Signaling.serverMessageBytes } ?? false
        }
        let before = isTooLarge(0) ? [ByteBuffer()] : []
        let after = isTooLarge(lists.count - 1) ? [ByteBuffer()] : []
        guard !before.isEmpty || !after.isEmpty else { return bodies.compactMap(\.self) }
        let spread = before + lists + after
        return spread.indices.compactMap { body($0, of: spread) }
    }
}
