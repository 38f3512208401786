// What the shards of one server tell each other about a room that has members on several of them: values only, in order
// from one shard to another. Packets go beside them, as `RelayedPacket`.
import Seam

public struct RelayMessage: Sendable, Equatable {
    enum Content: Sendable, Equatable {
        /// I have members of this room now: tell me what yours publish, from now on.
        case hello
        /// I have none any more; what I published is gone.
        case goodbye
        /// What one of my sessions publishes, whole: newest wins.
        case publish(MirroredUplink)
        case withdraw(number: UInt32)
        case mute(PublicationID, Bool)
        /// My members need a key frame of your publication.
        case keyFrame(PublicationID, layer: Int, isUrgent: Bool)
        /// The encodings of your publication that my members want.
        case demand(PublicationID, [Demand.Wish])
        case audience(Audience)
    }

    /// What of a shard's members decides who is heard in the whole room.
    struct Audience: Sendable, Equatable {
        /// The most audio slots that a member has.
        var audioSlots = 0
        /// Voices that a member named: heard, loud or not.
        var chosen: [PublicationID] = []
    }

    var room: RoomID
    var content: Content

    /// Whether it may be lost where a shard is too slow to read it: then it is said again.
    public var isRepeated: Bool {
        if case .keyFrame = content { return true }
        return false
    }
}

/// The uplink of another shard's session, as far as its mirrors need it.
struct MirroredUplink: Sendable, Equatable {
    /// What its packets say instead of ids; never used again by that shard.
    var number: UInt32
    var session: SessionID
    var participant: ParticipantID
    var user: UserID
    var media: SessionMedia
}
