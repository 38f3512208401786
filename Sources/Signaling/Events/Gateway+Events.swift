// The gateway's events: what it tells the books of its rooms, and what these tell the log.
// Must not know how a room's events follow from each other, or who keeps them.
import RTP
import Seam

extension Gateway {
    /// Goes through what the log remembers of calls that had not ended when the server did. Whoever does not come back
    /// in time is told as gone. Before `start`.
    public func recall(_ remembered: [RoomEvent]) {
        for (room, events) in Dictionary(grouping: remembered, by: \.room) {
            withBook(of: RoomID(room)) { book, _ in
                book.recall(events)
                return []
            }
        }
        if books.values.contains(where: \.hasAbsent) {
            absentUntil = clock() + configuration.returnWithin
        }
    }

    // MARK: What happens to members

    /// It is on the way in, in the place of others. Also of members who were restored after a restart: those that the
    /// log knows are not told again.
    func noteEntered(_ member: Member, replacing others: [Member] = []) {
        guard member.isTold else { return }
        let person = CallBook.Person(
            pid: member.id,
            user: member.claims.user,
            device: member.device,
            name: member.claims.name,
            role: member.claims.role,
            kind: member.room.state.participants[member.id]?.kind ?? "",
            trace: member.connection?.traceparent
        )
        withBook(of: member.room.id) { book, _ in
            book.entered(person, replacing: others.map(\.id))
            return []
        }
    }

    /// It has its welcome. May be called again: only the first time is told.
    func noteJoined(_ member: Member) {
        guard member.isTold else { return }
        let tracks = told(member.room.state.participants[member.id])
        withBook(of: member.room.id) { $0.joined(member.id, tracks: tracks, at: $1) }
    }

    /// It has been taken out of its room. A shutdown is not told: most come back, and the next start tells the rest.
    func noteLeft(_ member: Member, reason: LeaveReason) {
        guard member.isTold, !isDraining else { return }
        let room = member.room
        let isLast = !room.members.values.contains(where: \.isTold)
        withBook(of: room.id) { book, time in
            if isLast { book.totals = room.conversation?.summary(at: clock()) }
            return book.left(member.id, reason: reason, at: time)
        }
        if isLast { room.conversation = nil }
    }

    /// Publications that came and went since the last time.
    func noteTracks(in room: Room) {
        guard events != nil else { return }
        for id in room.state.takeTouched() {
            guard let participant = room.state.participants[id] else { continue }
            withBook(of: room.id) { $0.publish(told(participant), by: id, at: $1) }
        }
    }

    /// Those that were there before a restart had time enough to come back.
    func noteAbsent(at now: Instant) {
        guard let due = absentUntil, due <= now else { return }
        absentUntil = nil
        for id in Array(books.keys) { withBook(of: id) { $0.giveUpAbsent(at: $1) } }
    }

    // MARK: Books

    private func told(_ participant: Participant?) -> [RoomEvent.Track] {
        (participant?.publications ?? []).filter { $0.mid != nil }.map {
            RoomEvent.Track(tid: $0.id.rawValue, kind: $0.kind, source: $0.source, name: $0.name)
        }
    }

    private func withBook(of id: RoomID, _ write: (inout CallBook, UInt64) -> [RoomEvent]) {
        guard let events else { return }
        var book = books[id] ?? CallBook(room: id.rawValue) { Self.makeName($0) }
        let told = write(&book, wallClock())
        books[id] = book.isEmpty ? nil : book
        for event in told { events.append(event) }
    }
}

extension Member {
    /// Viewers and the hidden are nobody's business.
    fileprivate var isTold: Bool { !isViewer && !claims.grants.hidden }
}
