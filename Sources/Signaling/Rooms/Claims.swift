// What a verified token says about its bearer, and who verifies it. Must not know the token's format.
import RTP
import Seam

public enum Role: String, Codable, Sendable, CaseIterable, OpenEnumeration {
    case viewer, speaker, moderator, recorder, agent
}

/// What a participant may do. Everything is denied unless it is said.
public struct Grants: Codable, Sendable, Equatable {
    /// The sources that may be published; empty: none.
    public var publish: Set<Source>
    public var subscribe: Bool
    public var data: Bool
    /// Not in anybody's roster.
    public var hidden: Bool
    /// Receives what the same user publishes.
    public var receivesOwnUser: Bool
    public var moderate: Bool
    public var record: Bool

    public init(
        publish: Set<Source> = [],
        subscribe: Bool = false,
        data: Bool = false,
        hidden: Bool = false,
        receivesOwnUser: Bool = false,
        moderate: Bool = false,
        record: Bool = false
    ) {
        self.publish = publish
        self.subscribe = subscribe
        self.data = data
        self.hidden = hidden
        self.receivesOwnUser = receivesOwnUser
        self.moderate = moderate
        self.record = record
    }

    enum CodingKeys: String, CodingKey {
        case publish, subscribe, data, hidden, moderate, record
        case receivesOwnUser = "self"
    }

    /// What a development server grants to everybody.
    public static let development = Grants(
        publish: [.camera, .mic, .screen, .screenAudio],
        subscribe: true,
        data: true
    )
}

/// What happens when a user joins a second time.
public enum DuplicatePolicy: String, Codable, Sendable, CaseIterable {
    case coexist, replace, reject
}

public struct Claims: Sendable, Equatable {
    /// The only room that this token opens.
    public var room: String
    /// `sub`
    public var user: UserID
    public var name: String?
    /// `did`: fixes the device instead of the client's own choice.
    public var device: String?
    public var role: Role
    public var grants: Grants
    public var duplicates: DuplicatePolicy
    /// How long the bearer may stay after joining.
    public var maxSession: Interval
    public var attributes: [String: String]
    /// Waits until a moderator lets it in.
    public var waits: Bool
    /// How the room is set if this join makes it.
    public var roomConfig: RoomConfig?

    public init(
        room: String,
        user: UserID,
        name: String? = nil,
        device: String? = nil,
        role: Role = .speaker,
        grants: Grants = Grants(),
        duplicates: DuplicatePolicy = .coexist,
        maxSession: Interval = Limits.Signaling.defaultMaxSession,
        attributes: [String: String] = [:],
        waits: Bool = false,
        roomConfig: RoomConfig? = nil
    ) {
        self.room = room
        self.user = user
        self.name = name
        self.device = device
        self.role = role
        self.grants = grants
        self.duplicates = duplicates
        self.maxSession = maxSession
        self.attributes = attributes
        self.waits = waits
        self.roomConfig = roomConfig
    }
}

/// Turns a token into claims. A witness that needs no suspension may be synchronous.
public protocol TokenVerifier: Sendable {
    /// Throws `GatewayError` with `.unauthenticated` (unreadable, wrong key), `.expired` or `.forbidden` (another room).
    func verify(_ token: String, room: String) async throws -> Claims
}
