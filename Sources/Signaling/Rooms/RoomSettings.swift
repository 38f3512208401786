// What a room is set to, apart from who is in it: by its first token, by REST, by its moderators.
// Must not know members or sessions.
import RTP
import Seam

/// How a room may be set when it is made. Everything may be absent.
public struct RoomConfig: Codable, Sendable, Equatable {
    public var meta: [String: String]?
    public var locked: Bool?
    public var lobby: Bool?
    public var maxParticipants: Int?

    public init(
        meta: [String: String]? = nil,
        locked: Bool? = nil,
        lobby: Bool? = nil,
        maxParticipants: Int? = nil
    ) {
        self.meta = meta
        self.locked = locked
        self.lobby = lobby
        self.maxParticipants = maxParticipants
    }
}

struct RoomSettings: Codable, Sendable, Equatable {
    var meta: [String: String] = [:]
    var locked = false
    var lobby = false
    var maxParticipants: Int?
    var spotlight: ParticipantID?

    init() {}

    /// Throws `.badRequest` and `.tooLarge`.
    init(_ config: RoomConfig) throws(GatewayError) {
        meta = config.meta ?? [:]
        locked = config.locked ?? false
        lobby = config.lobby ?? false
        maxParticipants = config.maxParticipants
        try Checked.attributes(meta, "meta")
        guard (maxParticipants ?? 1) >= 1 else {
            throw GatewayError(.badRequest, "maxParticipants is not positive")
        }
    }
}

extension RoomObject {
    init(_ state: RoomState, revision: UInt64? = nil) {
        let settings = state.settings
        self.init(
            id: state.id.rawValue,
            rev: revision ?? state.revision,
            epoch: state.epoch,
            meta: settings.meta.isEmpty ? nil : settings.meta,
            locked: settings.locked,
            lobby: settings.lobby,
            spotlight: settings.spotlight?.rawValue,
            maxParticipants: settings.maxParticipants
        )
    }
}

/// Which sources of a user a moderator has muted for good. Outlives publications, not the room.
struct MuteLocks: Codable, Sendable, Equatable {
    private(set) var sources: [UserID: Set<Source>] = [:]

    func contains(_ user: UserID, _ source: Source) -> Bool { sources[user]?.contains(source) ?? false }

    /// False where there is no room for another user.
    mutating func lock(_ user: UserID, _ source: Source) -> Bool {
        guard sources[user] != nil || sources.count < Limits.Rooms.muteLocks else { return false }
        sources[user, default: []].insert(source)
        return true
    }

    mutating func halve() {
        for user in sources.keys.sorted(by: { $0.rawValue < $1.rawValue }).suffix((sources.count + 1) / 2) {
            sources[user] = nil
        }
    }

    mutating func unlock(_ user: UserID, _ source: Source) {
        sources[user]?.remove(source)
        if sources[user]?.isEmpty == true { sources[user] = nil }
    }
}

extension Checked {
    /// Attributes and `meta`, as a whole.
    static func attributes(_ attributes: [String: String], _ field: String) throws(GatewayError) {
        guard attributes.count <= Limits.Rooms.attributes else {
            throw GatewayError(.tooLarge, "\(field) has more than \(Limits.Rooms.attributes) keys")
        }
        let bytes = attributes.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        guard bytes <= Limits.Rooms.attributeBytes else {
            throw GatewayError(.tooLarge, "\(field) has more than \(Limits.Rooms.attributeBytes) bytes")
        }
    }

    static func text(_ text: String?, _ field: String) throws(GatewayError) {
        guard let text else { return }
        guard text.utf8.count <= Limits.Rooms.textBytes else {
            throw GatewayError(.tooLarge, "\(field) has more than \(Limits.Rooms.textBytes) bytes")
        }
    }
}

extension [String: String] {
    /// JSON Merge Patch (RFC 7396) of a flat object.
    func merging(_ patch: [String: String?]) -> [String: String] {
        var result = self
        for (key, value) in patch { result[key] = value }
        return result
    }
}
