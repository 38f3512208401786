// A room of many voices on one thread: everybody joins, a conversation is measured, goodbye. Owns the poll loop and the
// phases; must not know what a packet or a message looks like.
import CLinux
import PeerTransport
import RTP

final class VoicesRun {
    private enum Phase {
        case settling(until: Int64), joining, warming(until: Int64), measuring(until: Int64)
        /// What was said last is still on its way.
        case draining(until: Int64)
        case leaving(until: Int64), over
    }

    private static let tick: Int64 = 5_000_000
    /// Each tick looks at every so many-th person.
    private static let shares = 4
    private static let sendEvery: Int64 = 1_000_000
    private static let scrapeEvery: Int64 = 250_000_000
    private static let drain: Int64 = 1_500_000_000
    private static let leaveWithin: Int64 = 5_000_000_000
    private static let leavesPerTick = 20
    private static let eventSlots = 128
    private static let readBytes = 1 << 16
    private static let scrapeToken = UInt64.max

    private static let progressEvery: Int64 = 250_000_000
    private let plan: VoicesPlan
    private let progress: Progress
    private var nextProgress: Int64 = 0
    private var isStopped = false
    private let poll: Int32
    private let reader: MediaReader
    private let buffer: UnsafeMutableBufferPointer<UInt8>
    private let fingerprint: Fingerprint
    private let people: [Participant]
    private var microphones: Microphones
    private var tally: VoiceTally
    private var measurement: VoicesMeasurement
    private var speakers: [String: Int] = [:]
    private var phase: Phase
    private var nextSend: Int64 = 0
    private var nextTick: Int64 = 0
    private var ticks = 0
    private var nextJoin = 0
    private var pending: [Participant] = []
    private var nextLeave = 0
    private var scrape: HTTPExchange?
    private var nextScrape: Int64 = 0
    private var isMeasuring = false
    private var latencies = Samples()
    private var lastFrame: Int64 = 0
    private var serverPort: UInt16?
    private var ownPorts: Set<UInt16> = []

    /// - Throws: `LoadError`, or what OpenSSL refuses.
    init(_ plan: VoicesPlan, progress: Progress) throws {
        guard plan.allowsRemote || plan.url.address.isLoopback else {
            throw LoadError.remote(plan.url.authority)
        }
        reader = try MediaReader()
        poll = clinux_poll_new()
        guard poll >= 0 else { throw LoadError("no poll: \(String(cString: clinux_error_text(-poll)))") }
        self.plan = plan
        self.progress = progress
        buffer = .allocate(capacity: Self.readBytes)
        let resources = try ClientResources()
        fingerprint = resources.certificate.fingerprint
        let roles = Self.roles(
            people: plan.participants,
            speakers: plan.speakers,
            listeners: plan.listeners
        )
        people = roles.enumerated().map { index, role in
            Participant(index: index, resources: resources, speaker: role.speaker, listener: role.listener)
        }
        let now = clinux_monotonic_ns()
        microphones = Microphones(plan, start: now)
        tally = VoiceTally(listeners: plan.listeners)
        measurement = VoicesMeasurement(plan)
        phase = .settling(until: now + 500_000_000)
    }

    deinit {
        buffer.deallocate()
        clinux_close(poll)
    }

    /// Speakers and listeners, each spread evenly over all participants, and never the same.
    static func roles(people: Int, speakers: Int, listeners: Int) -> [(speaker: Int?, listener: Int?)] {
        var roles: [(speaker: Int?, listener: Int?)] = Array(repeating: (nil, nil), count: people)
        for speaker in 0..<speakers { roles[speaker * people / speakers].speaker = speaker }
        let silent = roles.indices.filter { roles[$0].speaker == nil }
        for listener in 0..<listeners {
            roles[silent[listener * silent.count / listeners]].listener = listener
        }
        return roles
    }

    /// Runs to the end.
    /// - Throws: `LoadError` where nobody can join.
    func run() throws -> VoicesReport {
        StopSignal.arm()
        defer {
            StopSignal.disarm()
            progress.end()
        }
        var events = [clinux_event](repeating: clinux_event(), count: Self.eventSlots)
        while true {
            var now = clinux_monotonic_ns()
            if now >= nextSend {
                nextSend = now + Self.sendEvery
                microphones.speak(people, tally: &tally, clock: clinux_monotonic_ns)
            }
            readSlices(at: now)
            if now >= nextTick {
                nextTick = now + Self.tick
                advance(to: now)
                try step(at: now)
                if case .over = phase { break }
            }
            now = clinux_monotonic_ns()
            let count = clinux_poll_wait(
                poll,
                &events,
                Int32(events.count),
                max(0, min(nextTick, nextSend, reader.nextDue) - now)
            )
            guard count >= 0 else {
                throw LoadError("polling: \(String(cString: clinux_error_text(-count)))")
            }
            for event in events.prefix(Int(count)) { handle(event) }
        }
        return measurement.report(
            people,
            tally.outcome(through: lastFrame),
            listeners: plan.listeners,
            latencies: latencies,
            microphones: microphones,
            serverPort: serverPort,
            ownPorts: ownPorts
        )
    }

    // MARK: Events

    /// The token of a person's media socket; the WebSocket has the next one.
    private static func token(_ person: Participant) -> UInt64 { UInt64(person.index) * 2 }

    private func handle(_ event: clinux_event) {
        if event.token == Self.scrapeToken { return advanceScrape() }
        let index = Int(event.token / 2)
        guard people.indices.contains(index) else { return }
        if event.token % 2 == 0 { receive(people[index]) } else { advanceSignal(of: people[index]) }
    }

    private func readSlices(at now: Int64) {
        reader.advance(to: now) { slice in
            for index in stride(from: slice, to: people.count, by: MediaReader.slices)
            where people[index].isJoined {
                receive(people[index])
            }
        }
    }

    private func receive(_ person: Participant) {
        reader.read(person.client) { sample in
            guard let listener = person.listener else { return }
            tally.heard(
                Int(sample.stamp.source),
                frame: Int64(sample.stamp.number),
                by: listener,
                at: sample.arrival
            )
            if isMeasuring { latencies.add(sample.latency) }
        }
    }

    private func advanceSignal(of person: Participant) {
        person.signal?.advance(buffer) { message in
            let now = clinux_monotonic_ns()
            switch message {
            case .welcome(let pid, let answer): welcome(person, pid, answer, at: now)
            case .speakers(let dominant, let active):
                guard let listener = person.listener else { return }
                tally.told(
                    listener,
                    active: Set(active.compactMap { speakers[$0] }),
                    dominant: dominant.flatMap { speakers[$0] },
                    at: now
                )
            case .slot(let mid, _, let pid):
                guard let listener = person.listener else { return }
                tally.shown(pid.flatMap { speakers[$0] }, in: mid, to: listener, at: now)
            }
        }
        person.noteSignal()
        watch(person)
    }

    private func welcome(_ person: Participant, _ pid: String, _ answer: String, at now: Int64) {
        person.welcome(pid, answer: answer, allowsRemote: plan.allowsRemote, at: now)
        if let speaker = person.speaker { speakers[pid] = speaker }
        guard person.client.socket >= 0 else { return }
        clinux_poll_add(poll, person.client.socket, UInt32(CLINUX_READABLE), Self.token(person))
        serverPort = serverPort ?? (try? RemoteDescription(answer))?.candidate.port
        var name = clinux_address()
        if clinux_socket_name(person.client.socket, &name) == 0 { ownPorts.insert(name.port) }
    }

    /// Keeps the poll in step with what the WebSocket waits for; a closed one leaves it by itself.
    private func watch(_ person: Participant) {
        guard let signal = person.signal else { return }
        let interest = signal.interest
        guard interest != person.polled else { return }
        if person.polled == 0 {
            clinux_poll_add(poll, signal.socket, interest, Self.token(person) + 1)
        } else {
            clinux_poll_change(poll, signal.socket, interest, Self.token(person) + 1)
        }
        person.polled = interest
    }

    // MARK: Time

    private func advance(to now: Int64) {
        reader.compareClocks()
        ticks += 1
        for index in stride(from: ticks % Self.shares, to: people.count, by: Self.shares) {
            let wasJoined = people[index].isJoined
            people[index].advance(to: now)
            // From here on it is read at its interval.
            if !wasJoined, people[index].isJoined { clinux_poll_remove(poll, people[index].client.socket) }
            watch(people[index])
        }
        if isMeasuring, scrape == nil, now >= nextScrape { beginScrape(at: now) }
    }

    private func beginScrape(at now: Int64) {
        nextScrape = now + Self.scrapeEvery
        guard
            let exchange = try? HTTPExchange(
                to: plan.url,
                "GET",
                path: plan.url.path + "/metrics",
                token: nil,
                body: nil
            )
        else { return }
        scrape = exchange
        clinux_poll_add(poll, exchange.socket, UInt32(CLINUX_READABLE | CLINUX_WRITABLE), Self.scrapeToken)
    }

    private func advanceScrape() {
        guard let exchange = scrape else { return }
        switch exchange.advance() {
        case .pending: clinux_poll_change(poll, exchange.socket, exchange.interest, Self.scrapeToken)
        case .failed: scrape = nil
        case .done(let response):
            scrape = nil
            guard response.status == 200, isMeasuring else { return }
            measurement.window.add(
                ServerCounters.parse(String(decoding: response.body, as: UTF8.self)),
                at: clinux_monotonic_ns()
            )
        }
    }

    // MARK: Phases

    private func say(at now: Int64) {
        nextProgress = now + Self.progressEvery
        guard progress.isShown else { return }
        let joined = people.count { $0.isJoined }
        let failed = people.count { $0.isOver }
        func left(_ until: Int64) -> String {
            "\(max(0, (until - now + 999_999_999) / 1_000_000_000)) s left"
        }
        let what =
            switch phase {
            case .settling: "waiting"
            case .joining: "joining, \(joined) of \(people.count)"
            case .warming(let until): "warming up, \(left(until))"
            case .measuring(let until): "measuring, \(left(until))"
            case .draining, .leaving, .over: "leaving"
            }
        let parts = ["\(what) · \(joined) people"] + (failed > 0 ? ["\(failed) failed"] : [])
        progress.show(parts.joined(separator: " · "))
    }

    private func step(at now: Int64) throws {
        if now >= nextProgress { say(at: now) }
        if StopSignal.isRaised, !isStopped {
            isStopped = true
            switch phase {
            case .measuring: phase = .measuring(until: now)
            case .draining, .leaving, .over: break
            case .settling, .joining, .warming: throw LoadError("stopped before anything was measured")
            }
        }
        switch phase {
        case .settling(let until) where now >= until:
            measurement.beforeJoins(at: now)
            phase = .joining
        case .joining:
            guard joinMore(at: now) else { return }
            measurement.joinsEnded = now
            phase = .warming(until: now + Int64(plan.warmUp) * 1_000_000_000)
        case .warming(let until) where now >= until:
            guard people.contains(where: \.isJoined) else {
                throw LoadError("nobody could join: \(people.first?.failure ?? "unknown")")
            }
            microphones.beginConversation()
            microphones.forgetLateness()
            isMeasuring = true
            measurement.begin(counts, at: now)
            phase = .measuring(until: now + Int64(plan.seconds) * 1_000_000_000)
        case .measuring(let until) where now >= until:
            isMeasuring = false
            measurement.end(counts, at: now)
            lastFrame = microphones.frame
            microphones.endConversation()
            phase = .draining(until: now + Self.drain)
        case .draining(let until) where now >= until:
            phase = .leaving(until: now + Self.leaveWithin)
        case .leaving(let until):
            guard leaveMore() || now >= until else { return }
            for person in people { person.client.close() }
            phase = .over
        case .settling, .warming, .measuring, .draining, .over: break
        }
    }

    /// Keeps `joinsAtOnce` joins going. True: all are in, or have failed.
    private func joinMore(at now: Int64) -> Bool {
        pending.removeAll { $0.isJoined || $0.isOver }
        while pending.count < plan.joinsAtOnce, nextJoin < people.count {
            let person = people[nextJoin]
            nextJoin += 1
            person.start(plan, fingerprint: fingerprint, at: now)
            watch(person)
            pending.append(person)
        }
        return pending.isEmpty && nextJoin == people.count
    }

    /// True: all have left.
    private func leaveMore() -> Bool {
        if nextLeave < people.count {
            for person in people[nextLeave...].prefix(Self.leavesPerTick) { person.leave() }
            nextLeave = min(people.count, nextLeave + Self.leavesPerTick)
            return false
        }
        return people.allSatisfy { $0.signal == nil }
    }

    private var counts: VoicesMeasurement.Counts {
        var counts = VoicesMeasurement.Counts()
        counts.sent = microphones.sent
        for person in people {
            counts.received += person.client.received
            counts.expected += person.client.expected
            counts.duplicates += person.client.duplicates
            counts.undecryptable += person.client.undecryptable
            counts.messages += person.messages
            if person.listener != nil { counts.types.merge(person.types, uniquingKeysWith: +) }
        }
        return counts
    }
}
