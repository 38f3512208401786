// What is due as time goes by: deadlines of sockets, sessions and rooms, and the memory that sessions hold.
// Must not know what a session queues.
import RTP
import Seam

extension Gateway {
    static let tickInterval = Interval.milliseconds(50)
    /// While nobody is there to be told anything, and nothing waits: a wake of an idle processor costs more than all of a tick.
    static let quietTickInterval = Interval.milliseconds(250)
    /// How often every session is looked at that may have something due.
    static let sweepInterval = Interval.milliseconds(500)
    /// Of one that has nothing due; no deadline is shorter than this after what it counts from.
    private static let longestCalm = Interval.seconds(5)
    /// Texts of people that nobody was told for so long are written anew when somebody is.
    private static let textAge = Interval.seconds(5)

    var isQuiet: Bool {
        connections.isEmpty && negotiating.isEmpty && backlog.isEmpty && !configuration.isMediaApart
    }

    /// Whatever is due at `now`. Called every `tickInterval`, while it is quiet every `quietTickInterval`.
    func tick(at now: Instant) {
        sendBacklog()
        for room in Array(rooms.values) {
            if let due = room.state.rosterDeadline, due <= now { tellRoster(of: room, at: now) }
            tellWaitingLevels(of: room, at: now)
            tellWaitingQualities(of: room, at: now)
            noteTracks(in: room)
        }
        noteAbsent(at: now)
        sampleQualities(at: now)
        if !returning.isEmpty, !awaitsMedia(at: now) { greetReturning() }
        for member in Array(negotiating.values) {
            if let deadline = member.link?.deadline, deadline <= now { mediaDidNotAnswer(member, at: now) }
        }
        for id in greeting {
            guard let connection = connections[id], case .greeting(let until) = connection.state, until <= now
            else {
                continue
            }
            close(
                connection,
                .tokenInvalid,
                "no hello within \(Limits.Signaling.greetingTimeout.milliseconds) ms"
            )
        }
        for member in Array(detached.values) { advanceDetached(member, at: now) }
        for connection in Array(paused.values) { resumeReadingIfPossible(connection, at: now) }
        if configuration.isMediaApart { leaveRecords() }
        if lastSweep.map({ now - $0 >= Self.sweepInterval }) ?? true {
            lastSweep = now
            sweep(at: now)
        }
        flush(at: now)
    }

    private func sweep(at now: Instant) {
        limitMemory(at: now)
        for room in rooms.values {
            for member in room.members.values where member.nextLook <= now { look(at: member, at: now) }
            if room.members.isEmpty, let since = room.emptySince, now - since >= Limits.Rooms.emptyRoomAge {
                rooms[room.id] = nil
            }
        }
        guard lastForgetting.map({ now - $0 >= Self.textAge }) ?? true else { return }
        lastForgetting = now
        for room in rooms.values { room.forgetTexts() }
    }

    private func look(at member: Member, at now: Instant) {
        account(member)
        if let connection = member.connection, member.isWelcomed {
            warnOfExpiry(member, at: now)
            guard member.leavesAt > now else {
                close(connection, .tokenExpired, "the time in the room is over")
                return remove(member, reason: .expired, at: now)
            }
            switch member.session.advance(to: now) {
            case .none: if member.session.needsSnapshot { markDirty(member) }
            case .heartbeat: queueHeartbeat(member, at: now)
            case .close(let code):
                close(connection, code, "events cannot be delivered")
                detach(member, at: now)
            }
        } else if member.connection == nil, member.leavesAt <= now {
            return remove(member, reason: .expired, at: now)
        }
        if member.link == nil, let lostAt = member.mediaLostAt {
            let grace = member.isPageClosed ? Limits.Signaling.closedGrace : configuration.detachGrace
            // Its tracks were kept in the roster for as long as it might have come back.
            if now - lostAt >= grace { endPublications(of: member, byOwner: false, at: now) }
        }
        if let move = member.conduct.move, move.until <= now {
            // Who did not follow to another room is put out.
            return expel(member, .roomClosed, "moved to \(move.move.room)", .closed, at: now)
        }
        let isCalm =
            member.isWelcomed && member.session.isCalm && member.mediaLostAt == nil
            && member.conduct.move == nil
            && member.leavesAt - now > Limits.Signaling.expiryNotice + Self.longestCalm
        member.nextLook = isCalm ? min(now + Self.longestCalm, member.session.nextHeartbeat) : .zero
    }

    private func advanceDetached(_ member: Member, at now: Instant) {
        guard let since = member.detachedAt else { return }
        // Whoever is still heard is there.
        let isHeard = member.link?.transport == .connected
        let silentSince = max(since, member.mediaLostAt ?? since)
        let grace =
            member.isPageClosed
            ? min(Limits.Signaling.closedGrace, configuration.detachGrace) : configuration.detachGrace
        if !isHeard, now - silentSince >= grace {
            remove(member, reason: .timeout, at: now)
        } else {
            refreshConnectionState(of: member, at: now)
        }
    }

    // MARK: Memory

    /// What a session holds may have changed.
    func account(_ member: Member) {
        let bytes = member.room.members[member.id] === member ? member.session.heldBytes : 0
        statistics.sessionBytes += bytes - member.heldBytes
        member.heldBytes = bytes
    }

    /// Sessions that read too slowly give way before the process does.
    private func limitMemory(at now: Instant) {
        let limit = configuration.sessionMemory
        isCrowded = false
        guard statistics.sessionBytes > limit / 100 * 80 else { return }
        let everybody = rooms.values.flatMap(\.members.values)
        // What clients have acknowledged since the last look is held no more.
        for member in everybody { account(member) }
        isCrowded = statistics.sessionBytes > limit / 100 * 95
        guard statistics.sessionBytes > limit / 100 * 80 else { return }
        let largest =
            everybody
            .filter { $0.heldBytes > Limits.Signaling.criticalBytes / 8 }
            .sorted { $0.heldBytes > $1.heldBytes }
        for member in largest where statistics.sessionBytes > limit / 100 * 80 {
            if isCrowded, let connection = member.connection {
                close(connection, .slowConsumer, "the server is short of memory")
                detach(member, at: now)
            }
            member.session.shrink(at: now)
            account(member)
            markDirty(member)
        }
    }
}
