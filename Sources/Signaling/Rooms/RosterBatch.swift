// Roster changes of one room that are told together: in large rooms joins come in bursts.
// Must not know what a participant is made of.
import RTP
import Seam

struct RosterBatch: Sendable, Equatable {
    struct Left: Sendable, Equatable {
        var reason: LeaveReason
        var revision: UInt64
    }

    private(set) var joined: Set<ParticipantID> = []
    /// With whether each change was caused by the participant's own request, whose response told it already.
    private(set) var updated: [ParticipantID: Bool] = [:]
    private(set) var left: [ParticipantID: Left] = [:]
    private(set) var deadline: Instant?
    /// Of the first change that waits.
    private(set) var oldest: UInt64?
    /// The room's, when the batch was taken.
    var revision: UInt64 = 0

    var isEmpty: Bool { joined.isEmpty && updated.isEmpty && left.isEmpty }

    static func delay(participants: Int) -> Interval {
        switch participants {
        case ...50: .milliseconds(50)
        case ...250: .milliseconds(250)
        default: .seconds(1)
        }
    }

    mutating func joined(_ id: ParticipantID, revision: UInt64, until due: Instant) {
        oldest = oldest ?? revision
        // One that comes back under its name has not left.
        left[id] = nil
        joined.insert(id)
        deadline = deadline ?? due
    }

    mutating func updated(_ id: ParticipantID, byOwner: Bool, revision: UInt64, until due: Instant) {
        oldest = oldest ?? revision
        deadline = deadline ?? due
        updated[id] = byOwner && updated[id] ?? true
    }

    mutating func left(_ id: ParticipantID, reason: LeaveReason, revision: UInt64, until due: Instant) {
        oldest = oldest ?? revision
        updated[id] = nil
        // Snapshots since then may have shown it, so the leave is told even though the join was not.
        joined.remove(id)
        left[id] = Left(reason: reason, revision: revision)
        deadline = deadline ?? due
    }
}
