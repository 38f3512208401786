// Roster changes of one room that are told together: in large rooms joins come in bursts.
// Must not know what a participant is made of.
import RTP
import Seam

struct RosterBatch: Sendable, Equatable {
    struct Left: Sendable, Equatable {
        var reason: LeaveReason
        var revision: UInt64
    }

    struct Update: Sendable, Equatable {
        /// Caused by the participant's own request, whose response told it already.
        var byOwner: Bool
        /// Of the newest of its changes.
        var revision: UInt64
    }

    /// With the revision of each join.
    private(set) var joined: [ParticipantID: UInt64] = [:]
    private(set) var updated: [ParticipantID: Update] = [:]
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
        joined[id] = revision
        deadline = deadline ?? due
    }

    mutating func updated(_ id: ParticipantID, byOwner: Bool, revision: UInt64, until due: Instant) {
        oldest = oldest ?? revision
        deadline = deadline ?? due
        updated[id] = Update(byOwner: byOwner && updated[id]?.byOwner ?? true, revision: revision)
    }

    mutating func left(_ id: ParticipantID, reason: LeaveReason, revision: UInt64, until due: Instant) {
        oldest = oldest ?? revision
        updated[id] = nil
        // Snapshots since then may have shown it, so the leave is told even though the join was not.
        joined[id] = nil
        left[id] = Left(reason: reason, revision: revision)
        deadline = deadline ?? due
    }
}

/// A batch as it is told, with what each part of it is known by.
struct RosterNews {
    let whole: RosterChange
    /// Revisions of the first and the last change.
    let oldest: UInt64
    let newest: UInt64
    private let joined: [UInt64]
    private let updated: [UInt64]

    init(_ batch: RosterBatch, in room: RoomState) {
        func sorted(_ changes: [ParticipantID: UInt64]) -> [(participant: Participant, revision: UInt64)] {
            changes.compactMap { id, revision in room.participants[id].map { ($0, revision) } }
                .filter { !$0.0.isHidden }
                .sorted { $0.participant.place < $1.participant.place }
        }
        let joined = sorted(batch.joined)
        // Who joined as well is told once, and not before its last change.
        let updated = sorted(
            batch.updated.filter { batch.joined[$0.key] == nil }.mapValues(\.revision)
        )
        self.joined = joined.map { max($0.revision, batch.updated[$0.participant.id]?.revision ?? 0) }
        self.updated = updated.map(\.revision)
        whole = RosterChange(
            joined: joined.map { $0.participant.object() },
            updated: updated.map { $0.participant.object() },
            left: batch.left.map {
                .init(pid: $0.key.rawValue, reason: $0.value.reason, rev: $0.value.revision)
            }
            .sorted { $0.rev < $1.rev }
        )
        let revisions = self.joined + self.updated + whole.left.map(\.rev)
        oldest = revisions.min() ?? .max
        newest = revisions.max() ?? 0
    }

    /// What a member does not know yet from its snapshot or from the response to its own request.
    func rest(knownThrough revision: UInt64, own: ParticipantID?) -> RosterChange {
        func unknown(_ objects: [ParticipantObject], _ revisions: [UInt64]) -> [ParticipantObject] {
            objects.indices.filter { revisions[$0] > revision && objects[$0].pid != own?.rawValue }
                .map { objects[$0] }
        }
        return RosterChange(
            joined: unknown(whole.joined, joined),
            updated: unknown(whole.updated, updated),
            left: whole.left.filter { $0.rev > revision }
        )
    }
}

extension RosterChange {
    var isEmpty: Bool { joined.isEmpty && updated.isEmpty && left.isEmpty }

    /// Another object in the place of the same participant's, where it has one.
    mutating func show(_ object: ParticipantObject) {
        if let index = joined.firstIndex(where: { $0.pid == object.pid }) { joined[index] = object }
        if let index = updated.firstIndex(where: { $0.pid == object.pid }) { updated[index] = object }
    }
}
