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
            defer {
                account(member)
                if !member.session.isCalm { member.nextLook = .zero }
            }
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
        let news = RosterNews(batch, in: room.state)
        let timestamp = wallClock()
        let fanOut = startFanOut(.roster, cause: room.cause.take(at: batch.revision), at: now)
        var receivers = 0
        defer { endFanOut(fanOut, receivers: receivers, at: now) }
        // Those who joined together know part of it each: what is left for them is put together, not written anew.
        let shared = SharedRoster(
            news.whole,
            revision: batch.revision,
            timestamp: timestamp,
            trace: fanOut?.text
        )
        // The snapshot that is due will contain it.
        for member in room.members.values where member.hears && !member.session.needsSnapshot {
            guard member.snapshotRevision < news.newest else { continue }
            let knowsOwn = batch.updated[member.id]?.byOwner ?? (batch.joined[member.id] != nil)
            let isMeant = batch.updated[member.id]?.byOwner == false
            var bodies = shared.bodies
            if knowsOwn || isMeant || member.snapshotRevision >= news.oldest {
                var rest = news.rest(knownThrough: member.snapshotRevision, own: knowsOwn ? member.id : nil)
                // Of its own it sees more than the others.
                if isMeant, let own = room.state.participants[member.id] {
                    rest.show(own.object(for: member.id))
                }
                bodies = shared.bodies(of: rest, own: isMeant ? member.id : nil)
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
        let qualities = qualities(for: member)
        let revision = room.state.revision
        let lists = member.isWaiting ? [] : room.people.lists(of: room.state, for: member.id)
        if !lists.isEmpty { room.snapshot.begin(room.state, lists: lists.count, at: wallClock()) }
        let pages = Pages.make(
            .snapshot,
            lists: lists.map(\.text),
            in: "participants",
            revision: revision,
            timestamp: wallClock(),
            known: { room.snapshot.body(at: $0, of: lists[$0]) }
        ) { page, of in
            Snapshot(
                page: page,
                of: of,
                rev: revision,
                participants: [],
                slots: page == 1 ? slots : nil,
                speakers: page == 1 ? speakers : nil,
                qualities: page == 1 ? qualities : nil,
                standing: page == 1 ? standing : nil,
                relay: page == 1 ? missed?.report : nil
            )
        }
        if !lists.isEmpty { room.snapshot.keep(pages, of: lists) }
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
        let qualities = qualities(for: member)
        let newest = room.state.revision
        let left = changes.left.map {
            RosterChange.Left(pid: $0.id.rawValue, reason: $0.reason, rev: $0.revision)
        }
        member.snapshotRevision = newest
        let pages = Pages.make(
            .delta,
            lists: room.people.lists(of: changes.changed, for: member.id),
            in: "changed",
            revision: newest,
            timestamp: wallClock()
        ) { page, of in
            Delta(
                page: page,
                of: of,
                fromRev: revision,
                rev: newest,
                changed: [],
                left: page == of ? left : [],
                slots: page == 1 ? slots : nil,
                speakers: page == 1 ? room.speakers : nil,
                qualities: page == 1 ? qualities : nil,
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
