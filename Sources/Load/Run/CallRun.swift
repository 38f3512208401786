// The phases of a run: publishers join, the others join, warm-up, the measured time, goodbye. Must not know how sessions are
// driven or what packets look like.
import CLinux
import PeerTransport
import RTP

final class CallRun {
    private enum Phase {
        case publishing, settling(until: Int64), joining, warming(until: Int64), measuring(until: Int64)
        case leaving(until: Int64), over
    }

    private static let settle: Int64 = 500_000_000
    private static let leaveWithin: Int64 = 20_000_000_000
    private static let second: Int64 = 1_000_000_000
    private static let layersEvery: Int64 = 500_000_000
    private static let progressEvery: Int64 = 250_000_000

    private let plan: CallPlan
    private let crowd: Crowd
    private let resources: ClientResources
    private let progress: Progress
    private var cast: [CastMember]
    private var nextCast = 0
    private var sessions = 0
    private var pending: [Member] = []
    private var steady: [Member] = []
    private var passing: [Member] = []
    private var phase = Phase.publishing
    private var measurement: CallMeasurement
    private var nextPassing: Int64 = 0
    private var nextLayers: Int64 = 0
    private var nextInterval: Int64 = 0
    private var nextProgress: Int64 = 0
    private var lastProgress: (at: Int64, received: Int64) = (0, 0)
    private var growing: GrowthRecord?
    private var isStopped = false

    /// - Throws: `LoadError`, or what OpenSSL refuses.
    init(_ plan: CallPlan, progress: Progress) throws {
        if let server = plan.signaling?.server, !plan.allowsRemote, !server.address.isLoopback {
            throw LoadError.remote(server.authority)
        }
        self.plan = plan
        self.progress = progress
        cast = plan.cast
        crowd = try Crowd(allowsRemote: plan.allowsRemote, readsMedia: plan.readsMedia)
        resources = try ClientResources(mergesDatagrams: plan.mergesDatagrams)
        measurement = CallMeasurement(plan)
        growing = plan.growth.map { GrowthRecord($0, rooms: Set(plan.cast.map(\.room)).count) }
    }

    /// Runs to the end.
    /// - Throws: `LoadError` where a publisher cannot join or ends before the run does.
    func run() throws -> CallReport {
        StopSignal.arm()
        defer {
            StopSignal.disarm()
            progress.end()
        }
        measurement.beforeJoins(at: clinux_monotonic_ns())
        if plan.keys != nil { try openKeyed() }
        try crowd.run { now in
            try step(at: now)
            if case .over = phase { return false }
            return true
        }
        return measurement.report(crowd, cast, steady: steady, growth: growing)
    }

    // MARK: Sessions

    private func make(_ member: CastMember, group: Member.Group) throws -> Member {
        let index = crowd.nextIndex
        let client = Client(index: index, resources: resources)
        client.sampling = plan.sampling
        if member.role != .subscriber { client.sources = sources(UInt16(truncatingIfNeeded: sessions)) }
        let sent = LocalDescription.publishing(client.sources, codec: plan.video.codec)
        let received = LocalDescription.receiving(
            audio: member.audioSlots,
            video: member.videoSlots,
            codec: plan.video.codec,
            first: sent.count
        )
        let signaling = try plan.signaling?.make(member.role, room: member.room, number: sessions)
        if plan.hasViews { (signaling as? RoomSignaling)?.isWatching = true }
        sessions += 1
        let made = Member(
            index: index,
            role: member.role,
            group: group,
            client: client,
            signaling: signaling,
            description: LocalDescription(
                ice: client.credentials,
                fingerprint: resources.certificate.fingerprint,
                hasFeedback: plan.hasFeedback,
                sections: sent + received
            )
        )
        crowd.add(made)
        return made
    }

    private func sources(_ number: UInt16) -> [any MediaSource] {
        var sources: [any MediaSource] = []
        if plan.audio.bitsPerSecond > 0 { sources.append(AudioSource(plan.audio, source: number)) }
        for layer in plan.video.layers.indices {
            sources.append(VideoSource(plan.video, layer: layer, source: number))
        }
        return sources
    }

    private func openKeyed() throws {
        guard let keys = plan.keys else { return }
        let now = clinux_monotonic_ns()
        let peers = [keys.publisher] + keys.subscribers
        for (member, peer) in zip(cast, peers) {
            let made = try make(member, group: .steady)
            try made.open(peer, of: keys, at: now)
            steady.append(made)
            crowd.startSources(of: made, at: now)
        }
        nextCast = cast.count
        phase = .warming(until: now + Int64(plan.warmUp) * Self.second)
    }

    // MARK: Joining and leaving

    private var hasPublishersFirst: Bool { cast.first?.role == .publisher }

    /// Keeps `joinsAtOnce` joins going. True: all are in, or have failed.
    private func joinMore(at now: Int64) throws -> Bool {
        pending.removeAll { $0.stage == .joined || $0.isOver }
        for member in pending where member.stage == .waiting { crowd.join(member, at: now) }
        while pending.count < plan.joinsAtOnce, nextCast < cast.count {
            let member = try make(cast[nextCast], group: .steady)
            nextCast += 1
            steady.append(member)
            pending.append(member)
            crowd.join(member, at: now)
        }
        return pending.isEmpty && nextCast == cast.count
    }

    private func publish(at now: Int64) throws {
        guard hasPublishersFirst else {
            phase = .settling(until: now + Self.settle)
            return
        }
        if steady.isEmpty {
            let publisher = try make(cast[0], group: .steady)
            nextCast = 1
            steady.append(publisher)
        }
        if steady[0].stage == .waiting { crowd.join(steady[0], at: now) }
        if steady[0].stage == .joined { phase = .settling(until: now + Self.settle) }
    }

    /// Sessions that come and go.
    private func churn(at now: Int64) throws {
        guard let churn = plan.churn, let template = cast.first(where: { $0.role == .subscriber }) else {
            return
        }
        if nextPassing == 0 { nextPassing = now }
        let step = Int64(Double(Self.second) / churn.perSecond)
        while nextPassing <= now {
            nextPassing += step
            guard passing.count < Limits.Load.passingSessions else {
                measurement.storm.notStarted += 1
                continue
            }
            let member = try make(template, group: .passing)
            measurement.storm.started += 1
            passing.append(member)
            crowd.join(member, at: now)
        }
        tendPassing(at: now, stay: Int64(churn.stay * Double(Self.second)))
    }

    private func tendPassing(at now: Int64, stay: Int64) {
        passing.removeAll { member in
            switch member.stage {
            case .waiting where member.failure == nil: crowd.join(member, at: now)
            case .joined where member.leavesAt == .max:
                member.leavesAt = now + stay
                measurement.noteJoin(of: member)
            case .joined where now >= member.leavesAt: crowd.leave(member)
            default: break
            }
            guard member.isOver else { return false }
            if member.failure != nil { measurement.noteFailure(of: member) }
            crowd.remove(member)
            return true
        }
    }

    /// True: all have left.
    private func leaveMore(at now: Int64) -> Bool {
        var open = 0
        for member in steady + passing {
            guard open < plan.joinsAtOnce * 2 else { return false }
            if member.stage != .leaving, member.stage != .gone { crowd.leave(member) }
            if member.stage == .leaving { open += 1 }
        }
        return open == 0
    }

    // MARK: Phases

    private func step(at now: Int64) throws {
        if now >= nextProgress { say(at: now) }
        if hasPublishersFirst, let reason = steady.first?.failure {
            throw LoadError("the publisher: \(reason)")
        }
        if StopSignal.isRaised, !isStopped { try stopEarly(at: now) }
        switch phase {
        case .publishing: try publish(at: now)
        case .settling(let until) where now >= until:
            measurement.beforeJoins(at: now)
            phase = .joining
        case .joining:
            guard try joinMore(at: now) else { return }
            measurement.endJoins(at: now)
            phase = .warming(until: now + Int64(plan.warmUp) * Self.second)
        case .warming(let until) where now >= until:
            try begin(at: now)
        case .measuring(let until):
            try measure(at: now, until: until)
        case .leaving(let until):
            guard leaveMore(at: now) || now >= until else { return }
            for member in steady + passing { member.client.close() }
            phase = .over
        case .settling, .warming, .over: break
        }
    }

    private func begin(at now: Int64) throws {
        guard steady.contains(where: { $0.role != .publisher && $0.stage == .joined }) else {
            throw LoadError("nobody could join: \(steady.last?.failure ?? "unknown")")
        }
        measurement.forget(crowd, steady)
        crowd.isMeasuring = true
        measurement.begin(crowd, steady, at: now)
        nextLayers = now
        nextInterval = plan.interval.map { now + Int64($0) * Self.second } ?? .max
        let seconds = plan.growth == nil ? plan.seconds : GrowthRecord.stepSeconds
        phase = .measuring(until: now + Int64(seconds) * Self.second)
    }

    /// What has been measured is reported; before that there is nothing to say.
    private func stopEarly(at now: Int64) throws {
        isStopped = true
        switch phase {
        case .measuring: phase = .measuring(until: now)
        case .leaving, .over: break
        case .publishing, .settling, .joining, .warming:
            for member in steady + passing { crowd.leave(member) }
            throw LoadError("stopped before anything was measured")
        }
    }

    private func measure(at now: Int64, until end: Int64) throws {
        if now >= nextLayers {
            nextLayers = now + Self.layersEvery
            measurement.noteLayers(steady, at: now)
        }
        try churn(at: now)
        if now >= nextInterval {
            nextInterval += Int64(plan.interval ?? 1) * Self.second
            measurement.noteInterval(crowd, steady, at: now)
        }
        guard now >= end else { return }
        crowd.isMeasuring = false
        measurement.end(crowd, steady, at: now)
        if try grow(at: now) { return }
        phase = .leaving(until: now + Self.leaveWithin)
    }

    /// More rooms, if these were good. True: they join.
    private func grow(at now: Int64) throws -> Bool {
        guard let growth = plan.growth, !isStopped, var record = growing else { return false }
        let goesOn = record.note(measurement.step(crowd, steady))
        defer { growing = record }
        guard goesOn, let first = cast.first else { return false }
        let more = record.nextRooms
        let prefix = String(first.room.prefix { $0 != "-" })
        cast += CallPlan.rooms(
            more,
            people: growth.people,
            prefix: prefix,
            hasAudio: first.audioSlots > 0,
            hasVideo: first.videoSlots > 0
        )
        measurement.beginJoins(at: now)
        phase = .joining
        return true
    }

    // MARK: Progress

    private func say(at now: Int64) {
        nextProgress = now + Self.progressEvery
        guard progress.isShown else { return }
        let received = steady.reduce(Int64(0)) { $0 + $1.client.received }
        let seconds = Double(now - lastProgress.at) / 1e9
        let rate = lastProgress.at > 0 ? Double(received - lastProgress.received) / seconds : 0
        lastProgress = (now, received)
        let joined = steady.count { $0.stage == .joined }
        func left(_ until: Int64) -> String {
            "\(max(0, (until - now + Self.second - 1) / Self.second)) s left"
        }
        let what =
            switch phase {
            case .publishing, .settling: "waiting for the publisher"
            case .joining: "joining, \(joined) of \(cast.count)"
            case .warming(let until): "warming up, \(left(until))"
            case .measuring(let until): "measuring, \(left(until))"
            case .leaving, .over: "leaving"
            }
        let failed = steady.count { $0.failure != nil }
        var parts = [what, "\(joined) sessions", "\(number(rate, 0)) packets/s"]
        if measurement.storm.started > 0 { parts.append("\(measurement.storm.joined) came and went") }
        if failed > 0 { parts.append("\(failed) failed") }
        if crowd.latencies.count > 0 {
            parts.append("longest \(number(Double(crowd.latencies.maximum) / 1e6)) ms")
        }
        progress.show(parts.joined(separator: " · "))
    }
}

/// What the steps of a growing run have shown.
struct GrowthRecord: Codable {
    struct Step: Codable {
        var rooms: Int
        var packetsPerSecond: Double
        var lossPercent: Double
        /// Milliseconds.
        var latencyP99: Double
        /// Of one core.
        var serverPercent: Double?
        var clientPercent: Double
        var isGood = false
    }

    static let stepSeconds = 5
    /// Above this it is the client that is measured.
    private static let clientPercentAtMost = 90.0

    private(set) var steps: [Step] = []
    /// The largest count that was good; 0: none.
    private(set) var rooms = 0
    private var current: Int
    private var added = 0
    private let growth: Growth

    private enum CodingKeys: CodingKey { case steps, rooms }

    init(_ growth: Growth, rooms: Int) {
        self.growth = growth
        current = rooms
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        steps = try container.decode([Step].self, forKey: .steps)
        rooms = try container.decode(Int.self, forKey: .rooms)
        current = rooms
        growth = Growth(roomsAtMost: rooms, people: 0)
    }

    /// The rooms of the next step; after `note` said so.
    var nextRooms: Range<Int> { current - added..<current }

    /// Whether more rooms are to come: a quarter of what is there, so that large counts are reached in time.
    mutating func note(_ step: Step) -> Bool {
        var step = step
        step.rooms = current
        step.isGood = step.lossPercent <= growth.lossPercent && step.latencyP99 <= growth.latencyP99
        steps.append(step)
        guard step.isGood else { return false }
        rooms = current
        added = min(max(1, current / 4), growth.roomsAtMost - current)
        guard step.clientPercent < Self.clientPercentAtMost, added > 0 else { return false }
        current += added
        return true
    }
}
