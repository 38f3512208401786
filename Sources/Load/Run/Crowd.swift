// All sessions of a run on one thread: the poll loop, frames that are due, sockets that are read. Must not know phases or
// what is reported.
import CLinux
import PeerTransport
import RTP

final class Crowd {
    /// Nanoseconds.
    static let tick: Int64 = 5_000_000
    /// Each tick drives the timers of every so many-th session's signaling.
    private static let shares = 20
    /// What is later than this is left out instead of being sent at once.
    private static let patience: Int64 = 200_000_000
    private static let eventSlots = 256

    let allowsRemote: Bool
    private let readsMedia: Bool
    private let poll: Int32
    private let reader: MediaReader
    private(set) var members: [Member?] = []
    /// Of each member: it has to be read often.
    private var hasVideo: [Bool] = []
    private var free: [Int] = []
    private var schedule = Schedule()
    private var nextTick: Int64 = 0
    private var currentShare = 0

    /// Packets that publishers have sent.
    private(set) var published: Int64 = 0
    /// Frames that were left out because this client was too late for them.
    private(set) var skipped = 0
    /// Of steady sessions, while measuring.
    var latencies = Samples()
    var lateness = Samples()
    var isMeasuring = false

    /// - Throws: `LoadError` where the system refuses.
    init(allowsRemote: Bool, readsMedia: Bool = true) throws {
        reader = try MediaReader()
        poll = clinux_poll_new()
        guard poll >= 0 else { throw LoadError("no poll: \(String(cString: clinux_error_text(-poll)))") }
        self.allowsRemote = allowsRemote
        self.readsMedia = readsMedia
    }

    deinit { clinux_close(poll) }

    /// Where the next session goes.
    var nextIndex: Int { free.last ?? members.count }

    /// A session that was made for `nextIndex`.
    func add(_ member: Member) {
        if member.index == free.last {
            free.removeLast()
            members[member.index] = member
            hasVideo[member.index] = member.hasVideo
        } else {
            precondition(member.index == members.count)
            members.append(member)
            hasVideo.append(member.hasVideo)
        }
    }

    /// Forgets a session that is over, and gives its sockets back.
    func remove(_ member: Member) {
        unwatch(member)
        member.client.close()
        members[member.index] = nil
        free.append(member.index)
    }

    // MARK: Loop

    /// Runs until `step`, which is called every 5 ms, says that it is over (false).
    func run(_ step: (Int64) throws -> Bool) throws {
        var events = [clinux_event](repeating: clinux_event(), count: Self.eventSlots)
        while true {
            var now = clinux_monotonic_ns()
            sendDue(at: now)
            readSlices(at: now)
            if now >= nextTick {
                nextTick = now + Self.tick
                reader.compareClocks()
                advanceShare(at: now)
                guard try step(now) else { return }
            }
            now = clinux_monotonic_ns()
            let wake = min(nextTick, reader.nextDue, schedule.next)
            let count = clinux_poll_wait(poll, &events, Int32(events.count), max(0, wake - now))
            guard count >= 0 else {
                throw LoadError("polling: \(String(cString: clinux_error_text(-count)))")
            }
            for event in events.prefix(Int(count)) { handle(event) }
        }
    }

    /// The token of a session's media socket; its signaling has the next one.
    private static func token(_ member: Member) -> UInt64 { UInt64(member.index) * 2 }

    private func handle(_ event: clinux_event) {
        let index = Int(event.token / 2)
        guard members.indices.contains(index), let member = members[index] else { return }
        let now = clinux_monotonic_ns()
        if event.token % 2 == 0 {
            receive(member)
            settle(member, at: now)
        } else {
            advanceSignaling(of: member, at: now)
        }
    }

    private func advanceShare(at now: Int64) {
        currentShare = (currentShare + 1) % Self.shares
        for (index, member) in members.enumerated() {
            guard let member else { continue }
            if member.stage != .joined {
                if member.stage == .connecting {
                    member.client.advance(to: Instant(microseconds: now / 1000))
                }
                settle(member, at: now)
            }
            guard index % Self.shares == currentShare else { continue }
            if member.polledSignaling != nil { advanceSignaling(of: member, at: now) }
            member.updateView(at: now)
        }
    }

    // MARK: Signaling

    /// Asks to join.
    func join(_ member: Member, at now: Int64) {
        member.begin(at: now)
        watchSignaling(of: member)
    }

    func leave(_ member: Member) {
        member.leave()
        watchSignaling(of: member)
    }

    private func advanceSignaling(of member: Member, at now: Int64) {
        member.advanceSignaling(allowsRemote: allowsRemote, at: now)
        watchSignaling(of: member)
        settle(member, at: now)
    }

    /// Keeps the poll in step with what the signaling waits for; a closed socket leaves it by itself.
    private func watchSignaling(of member: Member) {
        guard let signaling = member.signaling, signaling.socket >= 0 else {
            member.polledSignaling = nil
            return
        }
        let wanted = (socket: signaling.socket, interest: signaling.interest)
        if let polled = member.polledSignaling, polled.socket == wanted.socket {
            guard polled.interest != wanted.interest else { return }
            // Another exchange may have got the number of the one before.
            if clinux_poll_change(poll, wanted.socket, wanted.interest, Self.token(member) + 1) < 0 {
                clinux_poll_add(poll, wanted.socket, wanted.interest, Self.token(member) + 1)
            }
        } else {
            clinux_poll_add(poll, wanted.socket, wanted.interest, Self.token(member) + 1)
        }
        member.polledSignaling = wanted
    }

    private func unwatch(_ member: Member) {
        if let polled = member.polledSignaling { clinux_poll_remove(poll, polled.socket) }
        member.polledSignaling = nil
        setPolled(member, false)
    }

    /// Until it has joined, a session's media socket is polled, so that checks and handshakes are answered at once; and that
    /// of the only publisher, whom everybody asks for key frames.
    private func settle(_ member: Member, at now: Int64) {
        let before = member.stage
        member.note(at: now)
        setPolled(member, isUrgent(member) && member.failure == nil)
        if before == .connecting, member.stage == .joined { startSources(of: member, at: now) }
    }

    private func isUrgent(_ member: Member) -> Bool {
        member.stage == .connecting || (member.role == .publisher && member.stage == .joined)
    }

    private func setPolled(_ member: Member, _ isWanted: Bool) {
        guard member.isPolledForMedia != isWanted, member.client.socket >= 0 else { return }
        member.isPolledForMedia = isWanted
        if isWanted {
            clinux_poll_add(poll, member.client.socket, UInt32(CLINUX_READABLE), Self.token(member))
        } else {
            clinux_poll_remove(poll, member.client.socket)
        }
    }

    // MARK: Sending

    /// Publishers begin at different phases of a frame.
    func startSources(of member: Member, at now: Int64) {
        guard !member.client.sources.isEmpty else { return }
        let phase = Int64(member.index &* 7919 % 997)
        let start = now + member.client.sources[0].interval * phase / 997
        member.client.sourceStartedAt = start
        for place in member.client.sources.indices {
            schedule.add(Schedule.Entry(at: start, member: member.index, place: place))
        }
    }

    private func sendDue(at now: Int64) {
        while let entry = schedule.take(until: now) {
            guard let member = members[entry.member], let start = member.client.sourceStartedAt,
                member.client.state == .connected, member.client.sources.indices.contains(entry.place)
            else { continue }
            let source = member.client.sources[entry.place]
            let late = now - entry.at
            if late < Self.patience {
                if isMeasuring { lateness.add(late) }
                published += Int64(member.client.publish(source))
            } else {
                source.skip()
                skipped += 1
            }
            let next = start + source.frame * source.interval
            schedule.add(Schedule.Entry(at: next, member: entry.member, place: entry.place))
        }
    }

    // MARK: Receiving

    private func readSlices(at now: Int64) {
        let instant = Instant(microseconds: now / 1000)
        reader.advance(to: now) { slice in
            guard readsMedia else { return }
            let first = slice % MediaReader.slicesOfVideo
            for index in stride(from: first, to: members.count, by: MediaReader.slicesOfVideo) {
                guard hasVideo[index] || index % MediaReader.slices == slice, let member = members[index],
                    member.stage == .joined
                else { continue }
                receive(member)
                member.client.advance(to: instant)
                if case .failed = member.client.state { member.note(at: now) }
            }
        }
    }

    private func receive(_ member: Member) {
        reader.read(member.client) { sample in
            if isMeasuring, member.group == .steady { latencies.add(sample.latency) }
        }
    }
}
