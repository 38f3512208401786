// Who may not come back: users by room until a time, and sessions whose resume tokens were taken away by a kick.
// Outlives rooms, not the process. Must not know members.
import RTP
import Seam

struct BanList: Sendable {
    struct Ban: Sendable, Equatable {
        var room: RoomID
        var user: UserID
        var until: Instant
    }

    private var bans: [RoomID: [UserID: Instant]] = [:]
    private(set) var count = 0
    private var expelled: Set<SessionID> = []
    private var expelledOrder = Fifo<SessionID>()

    /// A longer ban replaces a shorter one and the other way round. Where there is no room, the one that would end
    /// first ends now.
    mutating func ban(_ user: UserID, from room: RoomID, until: Instant, at now: Instant) {
        if bans[room]?[user] == nil {
            if count >= Limits.Rooms.bans { forgetExpired(at: now) }
            if count >= Limits.Rooms.bans { forgetNearest() }
            count += 1
        }
        bans[room, default: [:]][user] = until
    }

    /// Whether there was one.
    mutating func lift(_ user: UserID, from room: RoomID) -> Bool {
        guard bans[room]?.removeValue(forKey: user) != nil else { return false }
        count -= 1
        if bans[room]?.isEmpty == true { bans[room] = nil }
        return true
    }

    func end(of user: UserID, in room: RoomID, at now: Instant) -> Instant? {
        guard let until = bans[room]?[user], until > now else { return nil }
        return until
    }

    func bans(in room: RoomID, at now: Instant) -> [Ban] {
        (bans[room] ?? [:]).filter { $0.value > now }
            .map { Ban(room: room, user: $0.key, until: $0.value) }
            .sorted { $0.user.rawValue < $1.user.rawValue }
    }

    mutating func forgetExpired(at now: Instant) {
        for (room, users) in bans {
            let kept = users.filter { $0.value > now }
            count -= users.count - kept.count
            bans[room] = kept.isEmpty ? nil : kept
        }
    }

    private mutating func forgetNearest() {
        var nearest: Ban?
        for (room, users) in bans {
            for (user, until) in users where until < nearest?.until ?? until + .microseconds(1) {
                nearest = Ban(room: room, user: user, until: until)
            }
        }
        if let nearest { _ = lift(nearest.user, from: nearest.room) }
    }

    // MARK: Sessions

    /// The session was kicked out: it must not come back by its resume token, only by a new join.
    mutating func expel(_ session: SessionID) {
        guard expelled.insert(session).inserted else { return }
        expelledOrder.append(session)
        if expelledOrder.count > Limits.Rooms.expelledSessions, let oldest = expelledOrder.popFirst() {
            expelled.remove(oldest)
        }
    }

    func isExpelled(_ session: SessionID) -> Bool { expelled.contains(session) }
}
