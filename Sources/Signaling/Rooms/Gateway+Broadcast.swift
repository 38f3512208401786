// What goes out: events to a room's members, rosters, snapshots, and the drain of sessions into their sockets.
// Must not know why something happened.
import NIOCore
import RTP
import Seam
import Tracing

extension Gateway {
    // MARK: To one member

    func markDirty(_ member: Member) {
        guard !member.isDirty else { return }
        member.isDirty = true
        dirty.append(member)
    }

    func queueControl(_ member: Member, _ type: ServerMessage, _ payload: some Encodable) {
        guard let body = EventBody(type, timestamp: wallClock(), payload) else { return }
        member.session.queue(control: body)
        markDirty(member)
    }

    func queueCritical(_ member: Member, _ type: ServerMessage, _ payload: some Encodable, at now: Instant) {
        guard member.isLive,
            let body = EventBody(
                type,
                revision: member.room.state.revision,
                timestamp: wallClock(),
                trace: tracing.text(of: cause),
                payload
            )
        else { return }
        member.session.queue(critical: body, at: now)
        markDirty(member)
    }

    func queueHeartbeat(_ member: Member, at now: Instant) {
        queueControl(
            member,
            .hb,
            Heartbeat(
                seq: member.session.lastSequence,
                rev: member.room.state.revision,
                shed: member.session.shedCount,
                lag: member.session.waitingCount
            )
        )
    }

    /// Empties sessions into sockets that take something.
    func flush(at now: Instant) {
        while let member = dirty.popLast() {
            member.isDirty = false
            guard let connection = member.connection, member.isWelcomed else { continue }
            drain(member, into: connection, at: now)
        }
    }

    private func drain(_ member: Member, into connection: Connection, at now: Instant) {
        var batch: ByteBuffer?
        func sendBatch() {
            guard let text = batch else { return }
            batch = nil
            connection.socket.send(text: text)
        }
        while connection.socket.isWritable {
            switch member.session.drain(at: now) {
            case .send(var text):
                guard connection.caps.contains(.batch) else {
                    connection.socket.send(text: text)
                    continue
                }
                if let waiting = batch,
                    waiting.readableBytes + text.readableBytes >= Limits.Signaling.batchBytes
                {
                    sendBatch()
                }
                if batch != nil {
                    batch?.writeString("\n")
                    batch?.writeBuffer(&text)
                } else {
                    batch = text
                }
                if batch?.readableBytes ?? 0 >= Limits.Signaling.batchBytes { sendBatch() }
            case .snapshot:
                member.timeline.note(.overflow, at: now)
                queueSnapshot(member, at: now)
                repeatKeyed(to: member, at: now)
            case .idle:
                member.session.told(revision: member.room.state.toldRevision)
                return sendBatch()
            }
        }
        sendBatch()
    }

    // MARK: To a room

    /// A state event to every live member, but to `except`.
    func tellState(
        _ room: Room,
        _ type: ServerMessage,
        key: String,
        _ payload: some Encodable,
        except: Member? = nil,
        cause: InstrumentationContext? = nil,
        at now: Instant
    ) {
        let fanOut = startFanOut(type, cause: cause ?? self.cause, at: now)
        let revision = room.state.revision
        var receivers = 0
        defer { endFanOut(fanOut, receivers: receivers, at: now) }
        guard
            let body = EventBody(
                type,
                revision: revision,
                timestamp: wallClock(),
                trace: fanOut?.text,
                payload
            )
        else { return }
        let key = StateKey(type: type, value: key)
        for member in room.members.values where member.hears && member !== except {
            member.session.queue(state: body, key: key, at: now)
            markDirty(member)
            receivers += 1
        }
    }

    func tellLevels(of room: Room, _ levels: AudioLevels, at now: Instant) {
        guard let body = EventBody(.levels, timestamp: wallClock(), levels) else { return }
        for member in room.members.values where member.hears {
            member.session.queue(ephemeral: body, at: now)
            markDirty(member)
        }
    }

    func tellWaitingLevels(of room: Room, at now: Instant) {
        guard let levels = room.waitingLevels,
            room.levelsSentAt.map({ now - $0 >= Limits.Signaling.levelsInterval }) ?? true
        else { return }
        room.waitingLevels = nil
        room.levelsSentAt = now
        tellLevels(of: room, levels, at: now)
    }

    /// The roster changes that have waited, one text for all but those who know part of it already.
    func tellRoster(of room: Room, at now: Instant) {
        let batch = room.state.takeRoster()
        guard !batch.isEmpty else { return }
        let change = RosterChange(batch, in: room.state)
        let timestamp = wallClock()
        let fanOut = startFanOut(.roster, cause: room.cause.take(at: batch.revision), at: now)
        var receivers = 0
        defer { endFanOut(fanOut, receivers: receivers, at: now) }
        let shared = change.bodies(revision: batch.revision, timestamp: timestamp, trace: fanOut?.text)
        for member in room.members.values where member.hears {
            let knowsOwn = batch.updated[member.id] == true || batch.joined.contains(member.id)
            let isMeant = batch.updated[member.id] == false
            var bodies = shared
            if knowsOwn || isMeant || member.snapshotRevision >= change.oldestRevision {
                var rest = change.without(
                    knownThrough: member.snapshotRevision,
                    own: knowsOwn ? member.id : nil
                )
                // Of its own it sees more than the others.
                if isMeant, let own = room.state.participants[member.id],
                    let index = rest.updated.firstIndex(where: { $0.pid == member.id.rawValue })
                {
                    rest.updated[index] = own.object(for: member.id)
                }
                bodies =
                    rest.isEmpty
                    ? [] : rest.bodies(revision: batch.revision, timestamp: timestamp, trace: fanOut?.text)
            }
            for body in bodies { member.session.queue(critical: body, at: now) }
            if !bodies.isEmpty {
                markDirty(member)
                receivers += 1
            }
        }
        refreshWishes(in: room, at: now)
    }

    // MARK: Snapshots

    /// The whole room as `member` may see it.
    func queueSnapshot(_ member: Member, at now: Instant) {
        let room = member.room
        member.snapshotRevision = room.state.revision
        let missed = missedRelay(of: member, at: now)
        let standing = standing(of: member)
        let slots = slots(of: member)
        let speakers = member.isWaiting ? nil : room.speakers
        let revision = room.state.revision
        let pages = Pages.make(
            .snapshot,
            participants: member.isWaiting ? [] : room.state.visible.map { $0.object(for: member.id) },
            revision: revision,
            timestamp: wallClock()
        ) { page, of, participants in
            Snapshot(
                page: page,
                of: of,
                rev: revision,
                participants: participants,
                slots: page == 1 ? slots : nil,
                speakers: page == 1 ? speakers : nil,
                standing: page == 1 ? standing : nil,
                relay: page == 1 ? missed?.report : nil
            )
        }
        queue(pages, missed?.messages ?? [], to: member, at: now)
    }

    /// What has changed since `revision`, as `member` may see it.
    func queueDelta(
        _ member: Member,
        since revision: UInt64,
        _ changes: (changed: [Participant], left: [RoomState.Departure]),
        at now: Instant
    ) {
        let room = member.room
        let slots = slots(of: member)
        let missed = missedRelay(of: member, at: now)
        let standing = standing(of: member)
        let newest = room.state.revision
        let left = changes.left.map {
            RosterChange.Left(pid: $0.id.rawValue, reason: $0.reason, rev: $0.revision)
        }
        member.snapshotRevision = newest
        let pages = Pages.make(
            .delta,
            participants: changes.changed.map { $0.object(for: member.id) },
            revision: newest,
            timestamp: wallClock()
        ) { page, of, participants in
            Delta(
                page: page,
                of: of,
                fromRev: revision,
                rev: newest,
                changed: participants,
                left: page == of ? left : [],
                slots: page == 1 ? slots : nil,
                speakers: page == 1 ? room.speakers : nil,
                standing: page == 1 ? standing : nil,
                relay: page == 1 ? missed?.report : nil
            )
        }
        queue(pages, missed?.messages ?? [], to: member, at: now)
    }

    private func slots(of member: Member) -> [SlotObject] {
        member.link.map { $0.slots.values.sorted { $0.mid < $1.mid } } ?? []
    }

    /// And the messages of the relay that the client may have missed.
    private func queue(_ pages: [EventBody], _ messages: [EventBody], to member: Member, at now: Instant) {
        member.session.queue(snapshot: pages, at: now)
        for message in messages { member.session.queue(critical: message, at: now) }
        member.askedSlots = 0
        askForSlots(member, at: now)
        repeatDemands(to: member, at: now)
        markDirty(member)
    }
}

/// Participants in messages that are not too large.
enum Pages {
    /// A track or participant takes well below a kilobyte unless its names are as long as they may be.
    static let participantsPerPage = 100

    /// - Parameter page: makes one of the pages from its number, how many there are, and its participants.
    static func make(
        _ type: ServerMessage,
        participants: [ParticipantObject],
        revision: UInt64,
        timestamp: UInt64,
        perPage: Int = participantsPerPage,
        page: (Int, Int, [ParticipantObject]) -> some Encodable
    ) -> [EventBody] {
        let count = max(1, (participants.count + perPage - 1) / perPage)
        var pages: [EventBody] = []
        for index in 0..<count {
            let part = Array(participants.dropFirst(index * perPage).prefix(perPage))
            let content = page(index + 1, count, part)
            guard let body = EventBody(type, revision: revision, timestamp: timestamp, content) else {
                continue
            }
            guard body.count <= Limits.Signaling.serverMessageBytes || perPage == 1 else {
                return make(
                    type,
                    participants: participants,
                    revision: revision,
                    timestamp: timestamp,
                    perPage: max(1, perPage / 4),
                    page: page
                )
            }
            pages.append(body)
        }
        return pages
    }
}

extension RosterChange {
    init(_ batch: RosterBatch, in room: RoomState) {
        func objects(_ ids: some Sequence<ParticipantID>) -> [ParticipantObject] {
            ids.compactMap { room.participants[$0] }.sorted { $0.order < $1.order }.map { $0.object() }
        }
        joined = objects(batch.joined)
        updated = objects(batch.updated.keys.filter { !batch.joined.contains($0) })
        left = batch.left.map { Left(pid: $0.key.rawValue, reason: $0.value.reason, rev: $0.value.revision) }
            .sorted { $0.rev < $1.rev }
    }

    var isEmpty: Bool { joined.isEmpty && updated.isEmpty && left.isEmpty }
    var oldestRevision: UInt64 { (joined.map(\.rev) + updated.map(\.rev) + left.map(\.rev)).min() ?? .max }

    /// One event, or several where one would be too large.
    func bodies(revision: UInt64, timestamp: UInt64, trace: String? = nil) -> [EventBody] {
        guard
            let whole = EventBody(.roster, revision: revision, timestamp: timestamp, trace: trace, self)
        else {
            return []
        }
        let count = joined.count + updated.count + left.count
        guard whole.count > Limits.Signaling.serverMessageBytes, count > 1 else { return [whole] }
        func half<Element>(_ list: [Element], _ isFirst: Bool) -> [Element] {
            isFirst ? Array(list.prefix((list.count + 1) / 2)) : Array(list.dropFirst((list.count + 1) / 2))
        }
        let halves = [true, false].map { isFirst in
            RosterChange(
                joined: half(joined, isFirst),
                updated: half(updated, isFirst),
                left: half(left, isFirst)
            )
        }
        // Three lists of one element each have an empty second half.
        guard halves.allSatisfy({ !$0.isEmpty }) else {
            return [
                RosterChange(joined: joined, updated: [], left: []),
                RosterChange(joined: [], updated: updated, left: []),
                RosterChange(joined: [], updated: [], left: left),
            ].filter { !$0.isEmpty }
                .flatMap { $0.bodies(revision: revision, timestamp: timestamp, trace: trace) }
        }
        return halves.flatMap { $0.bodies(revision: revision, timestamp: timestamp, trace: trace) }
    }

    /// What a member does not know yet from its snapshot or from the response to its own request.
    func without(knownThrough revision: UInt64, own: ParticipantID?) -> RosterChange {
        RosterChange(
            joined: joined.filter { $0.rev > revision && $0.pid != own?.rawValue },
            updated: updated.filter { $0.rev > revision && $0.pid != own?.rawValue },
            left: left.filter { $0.rev > revision }
        )
    }
}
