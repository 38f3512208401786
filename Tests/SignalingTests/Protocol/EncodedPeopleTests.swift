import Foundation
import NIOCore
import RTP
import Seam
import Testing

@testable import Signaling

@Suite("Participants that are written once")
struct EncodedPeopleTests {
    private struct RosterEnvelope: Decodable {
        let data: RosterChange
    }

    private func participant(_ name: String, tracks: Int = 0) -> Participant {
        var participant = Participant(
            id: ParticipantID("pa_\(name)"),
            user: UserID(name),
            device: nil,
            name: "\"participants\":[] \(name) 🎥",
            role: .speaker,
            kind: "web",
            attributes: ["participants": "[]"],
            grants: .development,
            connection: .active,
            joinedAt: 7,
            order: 1,
            revision: 3
        )
        for number in 0..<tracks {
            participant.publications.append(
                Publication(
                    id: PublicationID("tr_\(name)\(number)"),
                    cid: "c\(number)",
                    mid: "\(number)",
                    kind: .audio,
                    source: .mic,
                    muted: false,
                    revision: 2
                )
            )
        }
        return participant
    }

    private func decoded(_ text: ByteBuffer?) throws -> ParticipantObject {
        let text = try #require(text)
        return try JSONDecoder().decode(ParticipantObject.self, from: Data(text.readableBytesView))
    }

    @Test func theTextIsTheObject() throws {
        var people = EncodedPeople()
        for tracks in 0...2 {
            let one = participant("ada", tracks: tracks)
            for _ in 0..<2 { #expect(try decoded(people.text(of: one, for: nil)) == one.object()) }
        }
        #expect(people.count == 1)
    }

    @Test func whatChangesIsWrittenAnew() throws {
        var people = EncodedPeople()
        var one = participant("ada", tracks: 1)
        _ = people.text(of: one, for: nil)
        // No revision grows where the codec becomes known.
        one.publications[0].codec = .opus
        #expect(try decoded(people.text(of: one, for: nil)) == one.object())
        one.connection = .reconnecting
        one.revision = 4
        #expect(try decoded(people.text(of: one, for: nil)) == one.object())
    }

    @Test func ownTracksHaveTheirSection() throws {
        var people = EncodedPeople()
        let one = participant("ada", tracks: 1)
        #expect(try decoded(people.text(of: one, for: one.id)).tracks[0].mid == "0")
        #expect(try decoded(people.text(of: one, for: ParticipantID("pa_other"))).tracks[0].mid == nil)
        #expect(try decoded(people.text(of: one, for: one.id)).tracks[0].mid == "0")
    }

    @Test func whoLeftIsForgotten() {
        var people = EncodedPeople()
        var room = RoomState(id: RoomID("r"), epoch: "e")
        for number in 0..<100 { room.join(participant("p\(number)"), at: .zero) }
        _ = people.lists(of: room, for: ParticipantID("pa_p0"))
        #expect(people.count == 100)
        for number in 0..<50 { room.leave(ParticipantID("pa_p\(number)"), reason: .left, at: .zero) }
        _ = people.lists(of: room, for: ParticipantID("pa_p99"))
        #expect(people.count == 100)
        for number in 50..<97 { room.leave(ParticipantID("pa_p\(number)"), reason: .left, at: .zero) }
        _ = people.lists(of: room, for: ParticipantID("pa_p99"))
        #expect(people.count == 3)
    }

    private func objects(_ lists: [EncodedPeople.List]) throws -> [ParticipantObject] {
        try lists.flatMap {
            try JSONDecoder().decode(
                [ParticipantObject].self,
                from: Data("[\(String(buffer: $0.text))]".utf8)
            )
        }
    }

    /// Whatever happens in a room, its lists are what it is.
    @Test(arguments: 0..<8 as Range<UInt64>) func listsAreTheRoom(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var people = EncodedPeople()
        var room = RoomState(id: RoomID("r"), epoch: "e")
        for step in 0..<600 {
            let id = ParticipantID("pa_\(Int.random(in: 0..<300, using: &random))")
            switch Int.random(in: 0..<10, using: &random) {
            case 0...5 where room.participants[id] == nil:
                var one = participant(String(id.rawValue.dropFirst(3)), tracks: step % 3)
                one.grants.hidden = step % 7 == 0
                // Some come back to where they were.
                one.order = step % 5 == 0 ? UInt64.random(in: 1..<400, using: &random) : 0
                room.join(one, at: .zero)
            case 6: room.leave(id, reason: .left, at: .zero)
            case 7: _ = room.setConnection(step % 2 == 0 ? .active : .reconnecting, of: id)
            case 8: room.update(id, byOwner: false, at: .zero) { $0.grants.hidden.toggle() }
            default: _ = room.setLayers([], codec: .opus, PublicationID("tr_\(id.rawValue.dropFirst(3))0"))
            }
            guard step % 9 == 0 else { continue }
            let viewer = step % 2 == 0 ? id : ParticipantID("pa_nobody")
            let expected = room.participants.values.filter { !$0.isHidden }.sorted { $0.place < $1.place }
            #expect(
                try objects(people.lists(of: room, for: viewer)) == expected.map { $0.object(for: viewer) }
            )
            let since = UInt64.random(in: 0...room.revision, using: &random)
            #expect(room.changes(since: since)?.changed == expected.filter { $0.revision > since })
        }
    }

    @Test func thePagesOfOthersAreShared() throws {
        var people = EncodedPeople()
        var room = RoomState(id: RoomID("r"), epoch: "e")
        for number in 0..<250 {
            var one = participant("p\(number)", tracks: 1)
            one.order = 0
            room.join(one, at: .zero)
        }
        let first = people.lists(of: room, for: ParticipantID("pa_p0"))
        let second = people.lists(of: room, for: ParticipantID("pa_p120"))
        #expect(first.map { $0.key == nil } == [true, false, false])
        #expect(second.map { $0.key == nil } == [false, true, false])
        #expect(first[2] == second[2])
    }

    /// What is kept is found by what it says: an own page that takes two messages moves the others.
    @Test func aPageIsSharedOnlyWithThoseWhoHaveItInTheSamePlace() throws {
        func list(_ stamp: UInt64?) -> EncodedPeople.List {
            let key = stamp.map { EncodedPeople.Key(stamp: $0, part: 0) }
            return EncodedPeople.List(text: ByteBuffer(string: "{}"), key: key)
        }
        func body(_ number: Int) -> EventBody {
            EventBody(type: .snapshot, tail: ByteBuffer(string: "\(number)"))
        }
        let room = RoomState(id: RoomID("r"), epoch: "e")
        var shared = SharedSnapshot()
        let first = [list(nil), list(nil), list(12), list(13)]
        shared.begin(room, lists: 4, at: 5000)
        shared.keep((0..<4).map(body), of: first)
        #expect(first.indices.map { shared.body(at: $0, of: first[$0]) } == [nil, nil, body(2), body(3)])
        let last = [list(11), list(12), list(13), list(nil)]
        shared.begin(room, lists: 4, at: 5999)
        #expect(last.indices.allSatisfy { shared.body(at: $0, of: last[$0]) == nil })
        #expect(shared.body(at: 3, of: first[3]) == body(3))
        shared.begin(room, lists: 4, at: 6000)
        #expect(shared.body(at: 3, of: first[3]) == nil)
        shared.begin(room, lists: 3, at: 6000)
        #expect(shared.body(at: 2, of: first[2]) == nil)
    }

    @Test(arguments: [(0, 0), (1, 0), (0, 1), (3, 2)])
    func listsAreFilled(_ joined: Int, _ updated: Int) throws {
        let all = (0..<(joined + updated)).map { participant("p\($0)", tracks: 1).object() }
        let texts = all.compactMap { OutboundText.json($0) }
        let whole = RosterChange(
            joined: Array(all.prefix(joined)),
            updated: Array(all.dropFirst(joined)),
            left: [.init(pid: "pa_gone", reason: .left, rev: 1)]
        )
        let text = try #require(
            OutboundText.json(
                RosterChange(joined: [], updated: [], left: whole.left),
                filling: [
                    Filling(field: "updated", elements: Array(texts.dropFirst(joined))),
                    Filling(field: "joined", elements: Array(texts.prefix(joined))),
                ]
            )
        )
        #expect(try JSONDecoder().decode(RosterChange.self, from: Data(text.readableBytesView)) == whole)
    }

    @Test func aListThatIsNotThereIsAnError() {
        let lists = [Filling(field: "people", elements: [ByteBuffer(string: "{}")])]
        #expect(OutboundText.json(Done(), filling: lists) == nil)
    }

    @Test func partsOfARosterAreTheirOwnOnes() throws {
        let all = (0..<4).map { participant("p\($0)", tracks: 1).object() }
        let change = RosterChange(joined: Array(all.prefix(2)), updated: Array(all.dropFirst(2)), left: [])
        let shared = SharedRoster(change, revision: 5, timestamp: 1)
        func decoded(_ body: EventBody) throws -> RosterChange {
            let bytes = Data(body.text(sequence: 1).readableBytesView)
            let envelope = try JSONDecoder().decode(RosterEnvelope.self, from: bytes)
            return envelope.data
        }
        #expect(try shared.bodies.map(decoded) == [change])
        var rest = change
        rest.joined.removeFirst()
        rest.updated[0].name = "as it sees itself"
        let own = ParticipantID(rest.updated[0].pid)
        #expect(try shared.bodies(of: rest, own: own).map(decoded) == [rest])
        #expect(shared.bodies(of: RosterChange(joined: [], updated: [], left: []), own: nil).isEmpty)
    }
}
