import RTP
import Seam
import Testing

@testable import Signaling

@Suite struct RoomStateTests {
    private let now = Instant.zero

    private func participant(_ id: String, user: String? = nil, hidden: Bool = false) -> Participant {
        Participant(
            id: ParticipantID(id),
            user: UserID(user ?? id),
            device: nil,
            name: nil,
            role: .speaker,
            kind: "web",
            attributes: [:],
            grants: Grants(hidden: hidden),
            connection: .active,
            joinedAt: 0,
            order: 0,
            revision: 0
        )
    }
    private func publication(_ id: String, mid: String? = "1", kind: MediaKind = .video) -> Publication {
        Publication(
            id: PublicationID(id),
            cid: id,
            mid: mid,
            kind: kind,
            source: kind == .video ? .camera : .mic,
            name: nil,
            muted: false,
            codec: nil,
            layers: nil,
            revision: 0
        )
    }
    private var room: RoomState { RoomState(id: RoomID("r"), epoch: "e") }

    @Test func revisionsGrowWithEveryChange() {
        var room = room
        room.join(participant("a"), at: now)
        room.join(participant("b"), at: now)
        #expect(room.participants[ParticipantID("a")]?.revision == 1)
        #expect(room.participants[ParticipantID("b")]?.revision == 2)
        let stored = room.put(publication("t"), of: ParticipantID("a"), byOwner: true, at: now)
        #expect(stored?.revision == 3)
        #expect(room.participants[ParticipantID("a")]?.revision == 3)
        #expect(room.setMuted(true, PublicationID("t"))?.revision == 4)
        #expect(room.setMuted(true, PublicationID("t")) == nil)
        #expect(room.setConnection(.active, of: ParticipantID("a")) == false)
        #expect(room.setConnection(.reconnecting, of: ParticipantID("a")) == true)
        #expect(room.revision == 5)
        #expect(room.put(publication("u"), of: ParticipantID("nobody"), byOwner: true, at: now) == nil)
    }

    @Test func usersLiveAsLongAsTheirDevices() {
        var room = room
        room.join(participant("a1", user: "a"), at: now)
        room.join(participant("a2", user: "a"), at: now)
        #expect(room.users[UserID("a")]?.count == 2)
        room.leave(ParticipantID("a1"), reason: .left, at: now)
        #expect(room.users[UserID("a")] == [ParticipantID("a2")])
        room.leave(ParticipantID("a2"), reason: .left, at: now)
        #expect(room.users.isEmpty)
        #expect(room.leave(ParticipantID("a2"), reason: .left, at: now) == nil)
    }

    @Test func rosterIsBatched() {
        var room = room
        room.join(participant("a"), at: now)
        room.join(participant("b"), at: now + .milliseconds(10))
        room.leave(ParticipantID("a"), reason: .timeout, at: now + .milliseconds(20))
        _ = room.put(publication("t"), of: ParticipantID("b"), byOwner: true, at: now)
        #expect(room.rosterDeadline == now + .milliseconds(50))
        let batch = room.takeRoster()
        #expect(batch.joined == [ParticipantID("b"): 2])
        #expect(batch.left[ParticipantID("a")] == RosterBatch.Left(reason: .timeout, revision: 3))
        #expect(batch.updated == [ParticipantID("b"): .init(byOwner: true, revision: 4)])
        #expect(batch.revision == 4)
        #expect(room.rosterDeadline == nil)
        #expect(room.takeRoster().isEmpty)
    }

    @Test func delaysGrowWithTheRoom() {
        #expect(RosterBatch.delay(participants: 50) == .milliseconds(50))
        #expect(RosterBatch.delay(participants: 51) == .milliseconds(250))
        #expect(RosterBatch.delay(participants: 251) == .seconds(1))
    }

    @Test func whatTheServerDidIsToldToTheOwner() {
        var room = room
        room.join(participant("a"), at: now)
        _ = room.put(publication("t"), of: ParticipantID("a"), byOwner: true, at: now)
        _ = room.takeRoster()
        room.remove(PublicationID("t"), byOwner: false, at: now)
        _ = room.put(publication("u"), of: ParticipantID("a"), byOwner: true, at: now)
        #expect(room.takeRoster().updated == [ParticipantID("a"): .init(byOwner: false, revision: 4)])
    }

    @Test func whoIsHiddenHasLeftForTheOthers() {
        var room = room
        let id = ParticipantID("a")
        room.join(participant("a"), at: now)
        room.update(id, byOwner: true, at: now) { $0.grants.hidden = true }
        var news = RosterNews(room.takeRoster(), in: room)
        #expect(news.whole.joined.isEmpty && news.whole.updated.isEmpty)
        #expect(news.whole.left.map(\.pid) == ["a"])
        #expect(room.changes(since: 1)?.changed.isEmpty == true)
        #expect(room.changes(since: 1)?.left.map(\.id) == [id])
        room.update(id, byOwner: true, at: now) { $0.grants.hidden = false }
        news = RosterNews(room.takeRoster(), in: room)
        #expect(news.whole.joined.map(\.pid) == ["a"] && news.whole.left.isEmpty)
        #expect(room.changes(since: 1)?.left.isEmpty == true)
    }

    @Test func whatASnapshotHasSaidIsNotNews() {
        var room = room
        room.join(participant("a"), at: now)
        room.join(participant("b"), at: now)
        room.join(participant("c"), at: now)
        _ = room.put(publication("t"), of: ParticipantID("b"), byOwner: true, at: now)
        // Told as a state, to everybody and at once.
        _ = room.setConnection(.reconnecting, of: ParticipantID("a"))
        room.leave(ParticipantID("c"), reason: .left, at: now)
        let news = RosterNews(room.takeRoster(), in: room)
        func rest(_ revision: UInt64, own: String? = nil) -> [String] {
            let rest = news.rest(knownThrough: revision, own: own.map { ParticipantID($0) })
            return rest.joined.map(\.pid) + rest.updated.map(\.pid) + rest.left.map { "-\($0.pid)" }
        }
        #expect(news.oldest == 1)
        #expect(news.newest == 6)
        #expect(rest(0) == ["a", "b", "-c"])
        #expect(rest(0, own: "b") == ["a", "-c"])
        #expect(rest(1) == ["b", "-c"])
        #expect(rest(3) == ["b", "-c"])
        #expect(rest(4) == ["-c"])
        #expect(rest(6).isEmpty)
    }

    @Test func hiddenParticipantsAndTracksWithoutSectionStayUnseen() {
        var room = room
        room.join(participant("h", hidden: true), at: now)
        #expect(room.visible.isEmpty)
        #expect(room.roster.isEmpty)
        room.join(participant("a"), at: now)
        _ = room.takeRoster()
        _ = room.put(publication("t", mid: nil), of: ParticipantID("a"), byOwner: true, at: now)
        #expect(room.roster.isEmpty)
        #expect(room.visible[0].object().tracks.isEmpty)
        #expect(room.visible[0].object(for: ParticipantID("a")).tracks.count == 1)
        #expect(room.videos == 0)
    }

    @Test func onlyTheOwnerSeesMids() {
        var room = room
        room.join(participant("a"), at: now)
        _ = room.put(publication("t", mid: "7"), of: ParticipantID("a"), byOwner: true, at: now)
        #expect(room.visible[0].object().tracks[0].mid == nil)
        #expect(room.visible[0].object(for: ParticipantID("a")).tracks[0].mid == "7")
    }

    @Test func videosAreCounted() {
        var random = SeededRandom(seed: 11)
        var room = room
        for n in 0..<8 { room.join(participant("p\(n)", user: "u\(n % 3)"), at: now) }
        for _ in 0..<2000 {
            let owner = ParticipantID("p\(Int.random(in: 0..<8, using: &random))")
            let id = "t\(owner)\(Int.random(in: 0..<3, using: &random))"
            switch Int.random(in: 0..<10, using: &random) {
            case 0: room.leave(owner, reason: .left, at: now)
            case 1:
                if room.participants[owner] == nil {
                    room.join(
                        participant(owner.rawValue, user: "u\(Int(owner.rawValue.dropFirst()) ?? 0)"),
                        at: now
                    )
                }
            case 2..<5: room.remove(PublicationID(id), byOwner: true, at: now)
            default:
                let kind: MediaKind = Bool.random(using: &random) ? .video : .audio
                _ = room.put(
                    publication(id, mid: Bool.random(using: &random) ? "1" : nil, kind: kind),
                    of: owner,
                    byOwner: true,
                    at: now
                )
            }
            let all = room.participants.values.flatMap(\.publications).count(where: \.isVisibleVideo)
            #expect(room.videos == all)
            for user in room.users.keys {
                let own = room.participants.values.filter { $0.user == user }.flatMap(\.publications)
                    .count(where: \.isVisibleVideo)
                #expect(room.videos(of: user) == own)
            }
        }
    }

    @Test func layersChangeOnlyWithTheirShape() {
        var room = room
        room.join(participant("a"), at: now)
        _ = room.put(publication("t"), of: ParticipantID("a"), byOwner: true, at: now)
        func layer(_ kbps: UInt32, height: UInt16 = 180, fps: UInt8 = 30) -> LayerObject {
            LayerObject(rid: "q", s: 0, live: true, width: 320, height: height, fps: fps, kbps: kbps)
        }
        #expect(room.setLayers([layer(100)], codec: .vp8, PublicationID("t")) != nil)
        #expect(room.setLayers([layer(200)], codec: .vp8, PublicationID("t")) == nil)
        #expect(room.setLayers([layer(200, height: 360)], codec: .vp8, PublicationID("t")) != nil)
        #expect(room.setLayers([layer(200, height: 360)], codec: .vp9, PublicationID("t")) != nil)
        // Frame rates tremble; half of one is news, and so is the first.
        func changes(_ fps: UInt8) -> Bool {
            room.setLayers([layer(200, height: 360, fps: fps)], codec: .vp9, PublicationID("t")) != nil
        }
        #expect(!changes(28))
        #expect(!changes(36))
        #expect(changes(15))
        #expect(!changes(13))
        #expect(changes(0))
        #expect(changes(1))
    }
}
