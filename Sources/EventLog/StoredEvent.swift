// Events as the log takes and gives them. What they mean is the writer's business: to the log they are JSON objects,
// each of a room.
import RTP

/// An event on its way into the log.
public struct EventDraft: Sendable {
    /// Whether a stretch of its room that belongs together begins or ends with it; see `EventLog.unfinished`.
    public enum Mark: Int, Sendable {
        case begins = 1
        case ends = 2
    }

    /// An event with an id that is in the log already is not stored again.
    public var id: String
    public var room: String
    public var type: String
    /// Milliseconds since 1970.
    public var time: UInt64
    public var mark: Mark?
    /// Encodes to a JSON object with at least one member and without `roomSeq`, which the log puts in.
    public var content: any Encodable & Sendable

    public init(
        id: String,
        room: String,
        type: String,
        time: UInt64,
        mark: Mark? = nil,
        content: any Encodable & Sendable
    ) {
        self.id = id
        self.room = room
        self.type = type
        self.time = time
        self.mark = mark
        self.content = content
    }
}

public struct StoredEvent: Sendable, Equatable {
    /// Grows from event to event, over all rooms.
    public var position: Int64
    public var id: String
    public var room: String
    public var type: String
    /// Contiguous for each room.
    public var sequence: Int64
    /// Milliseconds since 1970.
    public var time: UInt64
    /// The content, with `roomSeq`.
    public var json: [UInt8]
}

public struct EventPage: Sendable, Equatable {
    public var events: [StoredEvent]
    public var next: EventCursor
    public var hasMore: Bool
    /// Events behind the cursor were deleted before it came, or it is of another log.
    public var hasGap: Bool
}

/// A place in one log, `LOG-POSITION` as text.
public struct EventCursor: Sendable, Equatable, CustomStringConvertible {
    public var log: String
    public var position: Int64

    public init(log: String, position: Int64) {
        self.log = log
        self.position = position
    }

    /// nil where the text is none.
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, parts[0].utf8.count <= 32,
            parts[0].utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x7a).contains($0) }),
            let position = Int64(parts[1]), position >= 0
        else { return nil }
        self.init(log: String(parts[0]), position: position)
    }

    public var description: String { "\(log)-\(position)" }
}

/// How much is kept. The oldest events go first.
public struct EventLogBounds: Sendable, Equatable {
    public var age: Interval
    public var count: Int
    /// Of the database file, nearly.
    public var bytes: Int

    public init(
        age: Interval = Limits.Events.keptFor,
        count: Int = Limits.Events.kept,
        bytes: Int = Limits.Events.keptBytes
    ) {
        self.age = age
        self.count = count
        self.bytes = bytes
    }
}

/// What the log counts.
public struct EventLogStatistics: Sendable, Equatable {
    /// Monotonic from here.
    public var appended: UInt64 = 0
    /// Events that found no place to wait.
    public var lost: UInt64 = 0
    /// Deleted because of age, number or size.
    public var pruned: UInt64 = 0
    /// Writes that failed; each is tried again.
    public var writeFailures: UInt64 = 0
    /// Files that were damaged and put aside.
    public var filesPutAside: UInt64 = 0
    /// Now in the log.
    public var stored: Int64 = 0
    public var waiting = 0

    public init() {}
}

/// Why the log cannot be opened or read.
public struct EventLogError: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String
    init(_ description: String) { self.description = description }
}
