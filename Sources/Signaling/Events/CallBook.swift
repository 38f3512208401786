// The book of one room: turns who comes, publishes and goes into events, each told once, and sums up the call.
// A value on the time of its caller; must not know sessions, sockets or the log.
import RTP
import Seam

struct CallBook: Sendable {
    /// Somebody as the book writes it down.
    struct Person: Sendable, Equatable {
        var pid: ParticipantID
        var user: UserID
        var device: String?
        var name: String?
        var role: Role
        var kind: String
        var trace: String?
    }

    private struct Entry {
        var person: Person
        var joinedAt: UInt64
        var tracks: [RoomEvent.Track] = []
        /// Was there before a restart and has not come back yet.
        var isAway = false
        /// Has gone, which is told as soon as its successor is in.
        var left: LeaveReason?
    }

    private struct Expected {
        var person: Person
        var replaces: [ParticipantID]
    }

    private struct Stay {
        var name: String?
        var visits = 0
        var total: UInt64 = 0
        /// nil: not here.
        var since: UInt64?
    }

    let room: String
    private let makeID: @Sendable (String) -> String
    /// nil between calls.
    private(set) var call: String?
    private var startedAt: UInt64 = 0
    private var people: [ParticipantID: Entry] = [:]
    private var expected: [ParticipantID: Expected] = [:]
    /// Participants of each user that is here.
    private var devices: [UserID: Int] = [:]
    private var stays: [UserID: Stay] = [:]
    private var unlisted = 0
    /// Some may be away since a restart.
    private var isRecalled = false
    private var joins = 0
    private var peakParticipants = 0
    private var peakUsers = 0
    /// What else is known of the call when it ends.
    var totals: ConversationSummary?

    /// `makeID` makes a new name with the given prefix.
    init(room: String, makeID: @escaping @Sendable (String) -> String) {
        self.room = room
        self.makeID = makeID
    }

    /// Nobody is here, and nobody is expected.
    var isEmpty: Bool { people.isEmpty && expected.isEmpty }
    var hasAbsent: Bool { people.values.contains(where: \.isAway) }

    // MARK: Coming

    /// Somebody is on the way in. Who is known already has come back, and nothing is told.
    mutating func entered(_ person: Person, replacing: [ParticipantID] = []) {
        guard people[person.pid] == nil else {
            people[person.pid]?.isAway = false
            return
        }
        var replaces = (expected[person.pid]?.replaces ?? []) + replacing.filter { people[$0] != nil }
        for other in replacing {
            // A successor that never came in hands on whom it was to replace.
            replaces += expected[other]?.replaces ?? []
            expected[other]?.replaces = []
        }
        expected[person.pid] = Expected(person: person, replaces: replaces)
    }

    /// It is in, with what it publishes. Nothing is told of somebody who is in already.
    mutating func joined(_ pid: ParticipantID, tracks: [RoomEvent.Track] = [], at time: UInt64) -> [RoomEvent]
    {
        guard let arrival = expected.removeValue(forKey: pid) else { return [] }
        let person = arrival.person
        var events: [RoomEvent] = []
        if call == nil { events.append(start(at: time)) }
        let replaced = arrival.replaces.filter { people[$0] != nil } + absent(like: person)
        people[pid] = Entry(person: person, joinedAt: time)
        joins += 1
        devices[person.user, default: 0] += 1
        if devices[person.user] == 1 { events.append(arrive(person, at: time)) }
        var joined = event(.participantJoined, of: person, at: time)
        joined.name = person.name
        joined.role = person.role
        joined.kind = person.kind
        if !replaced.isEmpty { joined.replaces = replaced.map(\.rawValue) }
        events.append(joined)
        events += publish(tracks, by: pid, at: time)
        for other in replaced where people[other]?.isAway == true || people[other]?.left != nil {
            events += leave(other, reason: LeaveReason.replaced.rawValue, at: time)
        }
        peakParticipants = max(peakParticipants, people.count)
        peakUsers = max(peakUsers, devices.count)
        return events
    }

    // MARK: Publishing

    /// What it publishes now.
    mutating func publish(_ tracks: [RoomEvent.Track], by pid: ParticipantID, at time: UInt64) -> [RoomEvent]
    {
        guard let entry = people[pid] else { return [] }
        let gone = entry.tracks.filter { old in !tracks.contains { $0.tid == old.tid } }
        let new = tracks.filter { track in !entry.tracks.contains { $0.tid == track.tid } }
        people[pid]?.tracks = tracks
        return gone.map { self.track(.trackUnpublished, $0, of: entry.person, at: time) }
            + new.map { self.track(.trackPublished, $0, of: entry.person, at: time) }
    }

    // MARK: Going

    mutating func left(_ pid: ParticipantID, reason: LeaveReason, at time: UInt64) -> [RoomEvent] {
        if let arrival = expected.removeValue(forKey: pid) {
            var aborted = event(.participantAborted, of: arrival.person, at: time)
            aborted.reason = reason.rawValue
            var events = [aborted]
            for other in arrival.replaces {
                guard let reason = people[other]?.left else { continue }
                events += leave(other, reason: reason.rawValue, at: time)
            }
            return events
        }
        guard people[pid] != nil else { return [] }
        if expected.values.contains(where: { $0.replaces.contains(pid) }) {
            people[pid]?.left = reason
            return []
        }
        return leave(pid, reason: reason.rawValue, at: time)
    }

    /// Who was there before a restart and has not come back is gone.
    mutating func giveUpAbsent(at time: UInt64) -> [RoomEvent] {
        isRecalled = false
        let absent = people.values.filter(\.isAway).sorted { $0.joinedAt < $1.joinedAt }
        return absent.flatMap { leave($0.person.pid, reason: Self.lost, at: time) }
    }

    static let lost = "lost"

    // MARK: After a restart

    /// Goes through what was told of a call that has not ended. Everybody is away until `entered` says otherwise.
    mutating func recall(_ events: [RoomEvent]) {
        for event in events {
            let pid = ParticipantID(event.pid ?? "")
            switch event.type {
            case .roomStarted:
                call = event.call
                startedAt = event.time
            case .participantJoined:
                let person = Person(
                    pid: pid,
                    user: UserID(event.uid ?? ""),
                    device: event.did,
                    name: event.name,
                    role: event.role ?? .speaker,
                    kind: event.kind ?? ""
                )
                entered(person)
                _ = joined(pid, at: event.time)
            case .participantLeft:
                _ = leave(pid, reason: event.reason ?? "", at: event.time)
            case .trackPublished:
                if let track = event.track { people[pid]?.tracks.append(track) }
            case .trackUnpublished:
                people[pid]?.tracks.removeAll { $0.tid == event.track?.tid }
            case .roomEnded, .userJoined, .userLeft, .participantAborted, .callSummary:
                break
            }
        }
        for pid in people.keys { people[pid]?.isAway = true }
        isRecalled = !people.isEmpty
    }

    // MARK: Parts

    private mutating func start(at time: UInt64) -> RoomEvent {
        call = makeID("ca_")
        startedAt = time
        return event(.roomStarted, at: time)
    }

    /// The same device of the same user, from before a restart.
    private func absent(like person: Person) -> [ParticipantID] {
        guard isRecalled else { return [] }
        return people.values.filter { other in
            other.isAway && other.person.user == person.user && other.person.device == person.device
        }.map(\.person.pid).sorted { $0.rawValue < $1.rawValue }
    }

    private mutating func arrive(_ person: Person, at time: UInt64) -> RoomEvent {
        if stays[person.user] != nil || stays.count < Limits.Events.usersPerCall {
            var stay = stays[person.user] ?? Stay()
            stay.name = person.name ?? stay.name
            stay.visits += 1
            stay.since = time
            stays[person.user] = stay
        } else {
            unlisted += 1
        }
        var arrived = event(.userJoined, at: time)
        arrived.uid = person.user.rawValue
        arrived.name = person.name
        arrived.trace = person.trace
        return arrived
    }

    private mutating func leave(_ pid: ParticipantID, reason: String, at time: UInt64) -> [RoomEvent] {
        guard let entry = people[pid] else { return [] }
        let person = entry.person
        var events = entry.tracks.map { track(.trackUnpublished, $0, of: person, at: time) }
        people[pid] = nil
        var gone = event(.participantLeft, of: person, at: time)
        gone.reason = reason
        gone.durationMs = time - min(entry.joinedAt, time)
        events.append(gone)
        let others = devices[person.user, default: 1] - 1
        devices[person.user] = others == 0 ? nil : others
        guard others == 0 else { return events }
        var left = event(.userLeft, at: time)
        left.uid = person.user.rawValue
        left.reason = reason
        if let since = stays[person.user]?.since {
            let stayed = time - min(since, time)
            left.durationMs = stayed
            stays[person.user]?.total += stayed
            stays[person.user]?.since = nil
        }
        events.append(left)
        if people.isEmpty { events += end(reason: reason, at: time) }
        return events
    }

    private mutating func end(reason: String, at time: UInt64) -> [RoomEvent] {
        let duration = time - min(startedAt, time)
        var ended = event(.roomEnded, at: time)
        ended.reason = reason
        ended.durationMs = duration
        var summary = event(.callSummary, at: time)
        summary.reason = reason
        let totals = Dictionary((totals?.users ?? []).map { ($0.uid, $0) }) { first, _ in first }
        let users = stays.map { user, stay in
            CallSummary.User(
                uid: user.rawValue,
                name: stay.name,
                visits: stay.visits,
                durationMs: stay.total,
                talkMs: totals[user.rawValue].map { UInt64(max(0, $0.talkMs)) },
                reconnects: totals[user.rawValue]?.resumes,
                up: totals[user.rawValue]?.up,
                down: totals[user.rawValue]?.down
            )
        }.sorted { ($1.durationMs, $0.uid) < ($0.durationMs, $1.uid) }
        summary.summary = CallSummary(
            startedAt: startedAt,
            durationMs: duration,
            participants: joins,
            peakParticipants: peakParticipants,
            peakUsers: peakUsers,
            users: Array(users.prefix(Limits.Events.usersPerSummary)),
            otherUsers: max(0, users.count - Limits.Events.usersPerSummary) + unlisted
        )
        call = nil
        self.totals = nil
        stays = [:]
        (unlisted, joins, peakParticipants, peakUsers) = (0, 0, 0, 0)
        return [ended, summary]
    }

    private func event(_ type: RoomEventType, at time: UInt64) -> RoomEvent {
        RoomEvent(id: makeID("ev_"), type: type, room: room, call: call, time: time)
    }

    private func event(_ type: RoomEventType, of person: Person, at time: UInt64) -> RoomEvent {
        var event = event(type, at: time)
        event.uid = person.user.rawValue
        event.did = person.device
        event.pid = person.pid.rawValue
        event.trace = person.trace
        return event
    }

    private func track(
        _ type: RoomEventType,
        _ track: RoomEvent.Track,
        of person: Person,
        at time: UInt64
    ) -> RoomEvent {
        var event = event(type, of: person, at: time)
        event.track = track
        return event
    }
}
