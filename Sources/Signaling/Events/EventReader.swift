// The log of events as `GET /v1/events` reads it. Must not know HTTP or where events are stored.
import RTP

public struct EventQuery: Sendable, Equatable {
    public enum Start: Sendable, Equatable {
        /// From the oldest event that is kept.
        case oldest
        /// Behind the newest: only its cursor is of interest.
        case newest
        case after(String)
    }

    public var start: Start
    public var limit: Int
    /// Only events of this room.
    public var room: String?
    /// How long an answer may wait for the first event.
    public var wait: Interval

    public init(start: Start, limit: Int, room: String?, wait: Interval) {
        self.start = start
        self.limit = limit
        self.room = room
        self.wait = wait
    }
}

public struct EventList: Sendable, Equatable {
    /// JSON objects, oldest first.
    public var events: [[UInt8]]
    /// Goes on behind what was looked at. Opaque.
    public var next: String
    /// There is more behind `next` already.
    public var hasMore: Bool
    /// Events between the cursor and the first one are gone: too old, or in a log that was lost.
    public var hasGap: Bool

    public init(events: [[UInt8]], next: String, hasMore: Bool, hasGap: Bool) {
        self.events = events
        self.next = next
        self.hasMore = hasMore
        self.hasGap = hasGap
    }
}

public protocol EventReader: Sendable {
    /// Throws `.badRequest` for a cursor that cannot be read, `.notReady` while the log cannot be read.
    func read(_ query: EventQuery) async throws(GatewayError) -> EventList
}
