import Foundation
import RTP
import Seam
import Synchronization
import Testing

@testable import Signaling

@Suite("Book of a call")
struct CallBookTests {
    private static func book() -> CallBook {
        let names = NameCounter()
        return CallBook(room: "standup") { prefix in "\(prefix)\(names.next())" }
    }

    private static func person(_ pid: String, _ user: String, device: String? = nil) -> CallBook.Person {
        CallBook.Person(
            pid: ParticipantID(pid),
            user: UserID(user),
            device: device,
            name: user.capitalized,
            role: .speaker,
            kind: "web"
        )
    }

    /// `type uid-or-pid reason`
    private static func lines(_ events: [RoomEvent]) -> [String] {
        events.map { event in
            ([event.type.rawValue]
                + [event.track?.tid ?? event.pid ?? event.uid, event.reason].compactMap { $0 })
                .joined(separator: " ")
        }
    }

    private static let mic = RoomEvent.Track(tid: "tr_1", kind: .audio, source: .mic)
    private static let cam = RoomEvent.Track(tid: "tr_2", kind: .video, source: .camera)

    private static func join(
        _ book: inout CallBook,
        _ pid: String,
        _ user: String,
        device: String? = nil,
        replacing: [String] = [],
        at time: UInt64
    ) -> [RoomEvent] {
        book.entered(
            person(pid, user, device: device),
            replacing: replacing.map { ParticipantID($0) }
        )
        return book.joined(ParticipantID(pid), at: time)
    }

    @Test func aCallFromItsFirstToItsLast() throws {
        var book = Self.book()
        let first = Self.join(&book, "pa_1", "alice", at: 1000)
        #expect(Self.lines(first) == ["room.started", "user.joined alice", "participant.joined pa_1"])
        let call = try #require(first[0].call)
        #expect(first.allSatisfy { $0.call == call && $0.room == "standup" && $0.time == 1000 })
        #expect(Set(first.map(\.id)).count == 3)
        let second = Self.join(&book, "pa_2", "bob", at: 2000)
        #expect(Self.lines(second) == ["user.joined bob", "participant.joined pa_2"])
        let third = Self.join(&book, "pa_3", "bob", device: "phone", at: 3000)
        #expect(Self.lines(third) == ["participant.joined pa_3"])
        #expect(third[0].did == "phone")
        #expect(
            Self.lines(book.left(ParticipantID("pa_2"), reason: .left, at: 5000)) == [
                "participant.left pa_2 left"
            ]
        )
        let gone = book.left(ParticipantID("pa_1"), reason: .timeout, at: 6000)
        #expect(Self.lines(gone) == ["participant.left pa_1 timeout", "user.left alice timeout"])
        #expect(gone[1].durationMs == 5000)
        let last = book.left(ParticipantID("pa_3"), reason: .kicked, at: 9000)
        #expect(
            Self.lines(last) == [
                "participant.left pa_3 kicked", "user.left bob kicked", "room.ended kicked",
                "call.summary kicked",
            ]
        )
        #expect(last.allSatisfy { $0.call == call })
        let summary = try #require(last[3].summary)
        #expect(summary.startedAt == 1000 && summary.durationMs == 8000)
        #expect(summary.participants == 3 && summary.peakParticipants == 3 && summary.peakUsers == 2)
        #expect(
            summary.users == [
                CallSummary.User(uid: "bob", name: "Bob", visits: 1, durationMs: 7000),
                CallSummary.User(uid: "alice", name: "Alice", visits: 1, durationMs: 5000),
            ]
        )
        #expect(book.isEmpty)
        let next = Self.join(&book, "pa_4", "alice", at: 10_000)
        #expect(next[0].type == .roomStarted && next[0].call != call)
    }

    @Test func leftIsToldOnlyAfterJoined() {
        var book = Self.book()
        book.entered(Self.person("pa_1", "alice"))
        let aborted = book.left(ParticipantID("pa_1"), reason: .protocol, at: 1)
        #expect(Self.lines(aborted) == ["participant.aborted pa_1 protocol"])
        #expect(aborted[0].call == nil && book.isEmpty)
        #expect(book.left(ParticipantID("pa_1"), reason: .left, at: 2).isEmpty)
        #expect(book.joined(ParticipantID("pa_1"), at: 3).isEmpty)
    }

    @Test func joiningTwiceIsToldOnce() {
        var book = Self.book()
        #expect(Self.join(&book, "pa_1", "alice", at: 1).count == 3)
        #expect(Self.join(&book, "pa_1", "alice", at: 2).isEmpty)
        #expect(book.left(ParticipantID("pa_1"), reason: .left, at: 3).count == 4)
    }

    @Test func tracksAreToldAsTheyChange() {
        var book = Self.book()
        let pid = ParticipantID("pa_1")
        #expect(book.publish([Self.mic], by: pid, at: 1).isEmpty)
        book.entered(Self.person("pa_1", "alice"))
        let joined = book.joined(pid, tracks: [Self.mic], at: 1)
        #expect(Self.lines(joined).last == "track.published tr_1")
        #expect(book.publish([Self.mic], by: pid, at: 2).isEmpty)
        #expect(
            Self.lines(book.publish([Self.cam], by: pid, at: 3)) == [
                "track.unpublished tr_1", "track.published tr_2",
            ]
        )
        #expect(
            Self.lines(book.left(pid, reason: .left, at: 4)).prefix(2) == [
                "track.unpublished tr_2", "participant.left pa_1 left",
            ]
        )
    }

    @Test func aReplacedDeviceDoesNotTakeItsUserAway() {
        var book = Self.book()
        _ = Self.join(&book, "pa_1", "alice", device: "d", at: 1)
        book.entered(Self.person("pa_2", "alice", device: "d"), replacing: [ParticipantID("pa_1")])
        // As the gateway does it: the old one goes before the new one is in.
        #expect(book.left(ParticipantID("pa_1"), reason: .replaced, at: 2).isEmpty)
        let events = book.joined(ParticipantID("pa_2"), at: 3)
        #expect(Self.lines(events) == ["participant.joined pa_2", "participant.left pa_1 replaced"])
        #expect(events[0].replaces == ["pa_1"])
    }

    @Test func aReplacementThatNeverComesInIsNoExcuse() {
        var book = Self.book()
        _ = Self.join(&book, "pa_1", "alice", at: 1)
        book.entered(Self.person("pa_2", "alice"), replacing: [ParticipantID("pa_1")])
        #expect(book.left(ParticipantID("pa_1"), reason: .replaced, at: 2).isEmpty)
        // A third one replaces the second, and hands on what that one was to replace.
        book.entered(Self.person("pa_3", "alice"), replacing: [ParticipantID("pa_2")])
        #expect(
            Self.lines(book.left(ParticipantID("pa_2"), reason: .replaced, at: 3)) == [
                "participant.aborted pa_2 replaced"
            ]
        )
        #expect(
            Self.lines(book.left(ParticipantID("pa_3"), reason: .media, at: 4)) == [
                "participant.aborted pa_3 media", "participant.left pa_1 replaced",
                "user.left alice replaced",
                "room.ended replaced", "call.summary replaced",
            ]
        )
        #expect(book.isEmpty)
    }

    // MARK: After a restart

    private static func recalled() -> (CallBook, [RoomEvent]) {
        var before = book()
        var events = join(&before, "pa_1", "alice", device: "d1", at: 1000)
        events += before.publish([mic], by: ParticipantID("pa_1"), at: 1100)
        events += join(&before, "pa_2", "bob", at: 2000)
        events += join(&before, "pa_3", "carol", at: 2500)
        events += before.left(ParticipantID("pa_3"), reason: .left, at: 3000)
        var after = book()
        after.recall(events)
        return (after, events)
    }

    @Test func whoComesBackUnderTheSameNameHasNotLeft() {
        var (book, events) = Self.recalled()
        #expect(book.hasAbsent)
        book.entered(Self.person("pa_1", "alice", device: "d1"))
        #expect(book.joined(ParticipantID("pa_1"), tracks: [Self.mic], at: 9000).isEmpty)
        #expect(
            Self.lines(book.giveUpAbsent(at: 10_000)) == ["participant.left pa_2 lost", "user.left bob lost"]
        )
        #expect(book.publish([Self.mic], by: ParticipantID("pa_1"), at: 10_001).isEmpty)
        let end = book.left(ParticipantID("pa_1"), reason: .left, at: 11_000)
        #expect(end.last?.call == events[0].call)
        #expect(end.last?.summary?.durationMs == 10_000)
        #expect(end.last?.summary?.users.map(\.uid) == ["alice", "bob", "carol"])
        #expect(end.last?.summary?.participants == 3)
    }

    @Test func theSameDeviceUnderANewNameReplacesTheOldOne() {
        var (book, _) = Self.recalled()
        let events = Self.join(&book, "pa_9", "alice", device: "d1", at: 9000)
        #expect(
            Self.lines(events) == [
                "participant.joined pa_9", "track.unpublished tr_1", "participant.left pa_1 replaced",
            ]
        )
        #expect(events[0].replaces == ["pa_1"])
        // Another device of hers would not have.
        #expect(
            Self.lines(Self.join(&book, "pa_10", "bob", device: "new", at: 9100)) == [
                "participant.joined pa_10"
            ]
        )
    }

    @Test func nobodyComesBack() {
        var (book, _) = Self.recalled()
        let events = book.giveUpAbsent(at: 9000)
        #expect(Self.lines(events).suffix(2) == ["room.ended lost", "call.summary lost"])
        #expect(book.isEmpty && !book.hasAbsent)
        #expect(book.giveUpAbsent(at: 9001).isEmpty)
    }

    // MARK: Properties

    /// Whatever happens in whatever order: joined and left match, users are here while a device is, rooms begin and end.
    @Test(arguments: 0..<200) func everythingToldBalances(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var book = Self.book()
        var told: [RoomEvent] = []
        var entered: Set<String> = []
        for step in 0..<300 {
            let pid = "pa_\(random.next() % 12)"
            let user = "user\(pid.utf8.count % 3 + Int(pid.utf8.last ?? 0) % 3)"
            let time = UInt64(step)
            switch random.next() % 6 {
            case 0, 1:
                let others = random.next() % 3 == 0 ? entered.filter { $0 != pid }.sorted().prefix(1) : []
                book.entered(Self.person(pid, user), replacing: others.map { ParticipantID($0) })
                entered.insert(pid)
            case 2, 3: told += book.joined(ParticipantID(pid), at: time)
            case 4:
                let tracks = [Self.mic, Self.cam].filter { _ in random.next() % 2 == 0 }
                told += book.publish(tracks, by: ParticipantID(pid), at: time)
            default:
                told += book.left(ParticipantID(pid), reason: .left, at: time)
                entered.remove(pid)
            }
        }
        for pid in entered.sorted() { told += book.left(ParticipantID(pid), reason: .left, at: 1000) }
        #expect(book.isEmpty, "seed \(seed)")
        Self.checkBalance(told, seed: seed)
    }

    private static func checkBalance(_ told: [RoomEvent], seed: UInt64) {
        var people: [String: String] = [:]
        var users: Set<String> = []
        var tracks: Set<String> = []
        var call: String?
        for event in told {
            let uid = event.uid ?? ""
            let pid = event.pid ?? ""
            switch event.type {
            case .roomStarted:
                #expect(call == nil, "seed \(seed)")
                call = event.call
            case .userJoined:
                let isNew = users.insert(uid).inserted
                #expect(isNew, "seed \(seed)")
            case .userLeft:
                #expect(users.remove(uid) != nil && !people.values.contains(uid), "seed \(seed)")
            case .participantJoined:
                #expect(users.contains(uid) && people.updateValue(uid, forKey: pid) == nil, "seed \(seed)")
            case .participantLeft: #expect(people.removeValue(forKey: pid) != nil, "seed \(seed)")
            case .participantAborted: #expect(people[pid] == nil, "seed \(seed)")
            case .trackPublished:
                let isNew = tracks.insert(pid + (event.track?.tid ?? "")).inserted
                #expect(isNew, "seed \(seed)")
            case .trackUnpublished:
                #expect(tracks.remove(pid + (event.track?.tid ?? "")) != nil, "seed \(seed)")
            case .roomEnded: #expect(people.isEmpty && users.isEmpty && call == event.call, "seed \(seed)")
            case .callSummary: call = nil
            }
        }
        #expect(people.isEmpty && users.isEmpty && tracks.isEmpty && call == nil, "seed \(seed)")
    }
}

private final class NameCounter: Sendable {
    private let count = Mutex(0)

    func next() -> Int {
        count.withLock { count in
            count += 1
            return count
        }
    }
}
