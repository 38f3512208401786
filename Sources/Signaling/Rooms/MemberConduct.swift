// What a member may do, was asked to do and did in its room, beside its session and its media.
// Must not know sockets.
import RTP
import Seam

struct MemberConduct: Sendable {
    enum Waiting: String, Codable, Sendable {
        /// Its token says so.
        case byToken
        /// The room is locked.
        case byLock
    }

    /// It waits in the lobby: in nobody's roster, and it hears nothing.
    var waiting: Waiting?
    /// Milliseconds since 1970.
    var waitingSince: UInt64 = 0
    /// Of the room when it was let in: what its client knew before says nothing.
    var admittedRevision: UInt64 = 0
    /// Asked by moderators, not answered yet.
    var unmuteRequests: [Source: UnmuteRequest] = [:]
    /// It was asked to go to another room, and is put out then.
    var move: (move: RoomMove, until: Instant)?
    /// Newest message of the relay when it came in.
    var relayAtJoin: UInt64 = 0
    /// It was there before, and the relay's memory of that time is gone.
    var mayMissRelay = false
    var relayMeter: RelayMeter?
    var reactions: TokenBucket?
    var reports: UInt64 = 0
}

extension Member {
    var isWaiting: Bool { conduct.waiting != nil }
    /// It is told what happens in the room.
    var hears: Bool { isLive && !isWaiting }

    var permissions: Permissions {
        Permissions(role: claims.role, grants: claims.grants, rev: room.state.revision)
    }

    /// May admit and moderate, and hears of the lobby.
    var moderates: Bool { claims.grants.moderate && !isWaiting }
}

extension Grants {
    /// What a role brings when it is given in the middle of a session, then what the patch says.
    ///
    /// A viewer publishes nothing; a speaker publishes everything; a moderator moderates, too. Recorders and agents
    /// keep what they have.
    func applying(role: Role?, _ patch: GrantsPatch?) -> Grants {
        var grants = self
        switch role {
        case .viewer:
            grants.publish = []
            grants.moderate = false
        case .speaker:
            grants.publish = Set(Source.allCases)
            grants.moderate = false
        case .moderator:
            grants.publish = Set(Source.allCases)
            grants.moderate = true
        case .recorder, .agent, nil: break
        }
        if let publish = patch?.publish { grants.publish = Set(publish) }
        grants.subscribe = patch?.subscribe ?? grants.subscribe
        grants.data = patch?.data ?? grants.data
        grants.moderate = patch?.moderate ?? grants.moderate
        grants.record = patch?.record ?? grants.record
        return grants
    }
}
