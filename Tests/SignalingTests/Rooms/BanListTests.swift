import RTP
import Seam
import Testing

@testable import Signaling

@Suite struct BanListTests {
    private let room = RoomID("standup")
    private let start = Instant(microseconds: 0)

    @Test func bansEnd() {
        var bans = BanList()
        bans.ban(UserID("eve"), from: room, until: start + .seconds(10), at: start)
        #expect(bans.end(of: UserID("eve"), in: room, at: start) == start + .seconds(10))
        #expect(bans.end(of: UserID("eve"), in: RoomID("other"), at: start) == nil)
        #expect(bans.end(of: UserID("eve"), in: room, at: start + .seconds(10)) == nil)
        bans.ban(UserID("eve"), from: room, until: start + .seconds(5), at: start)
        #expect(bans.count == 1)
        #expect(bans.bans(in: room, at: start).map(\.until) == [start + .seconds(5)])
        bans.forgetExpired(at: start + .seconds(6))
        #expect(bans.count == 0)
        let wasLifted = bans.lift(UserID("eve"), from: room)
        #expect(!wasLifted)
    }

    @Test func theListIsBounded() {
        var bans = BanList()
        for n in 0...Limits.Rooms.bans {
            bans.ban(UserID("u\(n)"), from: room, until: start + .seconds(Int64(n) + 1), at: start)
        }
        #expect(bans.count == Limits.Rooms.bans)
        // The one that would have ended first made room.
        #expect(bans.end(of: UserID("u0"), in: room, at: start) == nil)
        #expect(bans.end(of: UserID("u1"), in: room, at: start) != nil)
        // Later, those that have ended do.
        let later = start + .seconds(100)
        bans.ban(UserID("late"), from: room, until: later + .seconds(1), at: later)
        #expect(bans.count < Limits.Rooms.bans)
    }

    @Test func expelledSessionsAreRememberedWithinBounds() {
        var bans = BanList()
        for n in 0...Limits.Rooms.expelledSessions { bans.expel(SessionID("se_\(n)")) }
        #expect(!bans.isExpelled(SessionID("se_0")))
        #expect(bans.isExpelled(SessionID("se_1")))
        #expect(bans.isExpelled(SessionID("se_\(Limits.Rooms.expelledSessions)")))
    }
}
