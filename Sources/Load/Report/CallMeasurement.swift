// What is noted at the edges of the measured time and within it, and the report that comes of it. Must not know how sessions
// are driven.
import CLinux
import Glibc
import RTP

/// CPU of this process, nanoseconds.
func ownCPU() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

struct CallMeasurement {
    /// Sums over all steady sessions so far.
    struct Counts {
        var published: Int64 = 0
        var received: Int64 = 0
        var bytes: Int64 = 0
        var expected: Int64 = 0
        var recovered: Int64 = 0
        var duplicates: Int64 = 0
        var withheld: Int64 = 0
        var nacks = 0
        var authenticated = 0
        var undecryptable = 0
        var keyFrameRequests = 0
    }

    /// Sessions that came and went.
    struct Storm {
        var started = 0
        var joined = 0
        /// Were due when too many were there already.
        var notStarted = 0
        var joins = Samples()
        var failures: [String: Int] = [:]
    }

    private struct Edge {
        var counts: Counts
        var at: Int64
        var server: ProcessUsage?
        var own: Int64
        var machine: MachineUsage?
        var drops: [UInt16: Int64]
        var storm = 0
    }

    /// How long sessions have been joining, nanoseconds.
    private var joinsTook: Int64 = 0
    var storm = Storm()
    private(set) var intervals: [CallReport.Interval] = []
    private let plan: CallPlan
    private var joinsBegan: Int64 = 0
    private var baseline: ProcessUsage?
    private var first: Edge?
    private var last: Edge?
    private var lastInterval: Edge?
    private var intervalLatencies = Samples()
    private var allLatencies = Samples()
    /// Half seconds in which each layer was shown.
    private var layers: [UInt8: Int] = [:]

    init(_ plan: CallPlan) { self.plan = plan }

    private var serverUsage: ProcessUsage? { plan.serverPID.flatMap { ProcessUsage(of: $0) } }

    // MARK: While it runs

    mutating func beforeJoins(at now: Int64) {
        baseline = serverUsage
        joinsBegan = now
    }

    mutating func beginJoins(at now: Int64) { joinsBegan = now }
    mutating func endJoins(at now: Int64) { joinsTook += now - joinsBegan }

    /// What was noted before the measured time does not count.
    mutating func forget(_ crowd: Crowd, _ members: [Member]) {
        crowd.latencies = Samples()
        crowd.lateness = Samples()
        allLatencies = Samples()
        intervals = []
        layers = [:]
        for member in members {
            for place in member.client.streams.indices {
                _ = member.client.streams[place].takeLongestGap()
            }
        }
    }

    mutating func begin(_ crowd: Crowd, _ members: [Member], at now: Int64) {
        first = edge(crowd, members, at: now)
        lastInterval = first
    }

    mutating func end(_ crowd: Crowd, _ members: [Member], at now: Int64) {
        last = edge(crowd, members, at: now)
        allLatencies.merge(crowd.latencies)
    }

    private func edge(_ crowd: Crowd, _ members: [Member], at now: Int64) -> Edge {
        Edge(
            counts: Self.counts(crowd, members),
            at: now,
            server: serverUsage,
            own: ownCPU(),
            machine: MachineUsage.read(),
            drops: SocketDrops.read(),
            storm: storm.joined
        )
    }

    private static func counts(_ crowd: Crowd, _ members: [Member]) -> Counts {
        var counts = Counts()
        counts.published = crowd.published
        for member in members {
            let client = member.client
            counts.received += client.received
            counts.bytes += client.receivedBytes
            counts.expected += client.expected
            counts.recovered += client.recovered
            counts.duplicates += client.duplicates
            counts.withheld += client.withheld
            counts.nacks += client.nacks
            counts.authenticated += client.authenticated
            counts.undecryptable += client.undecryptable
            counts.keyFrameRequests += client.keyFrameRequests
        }
        return counts
    }

    /// Which layer each video stream shows at the moment.
    mutating func noteLayers(_ members: [Member], at now: Int64) {
        for member in members where member.stage == .joined {
            for stream in member.client.streams
            where stream.isVideo && now - stream.lastArrival < 1_000_000_000 {
                if let shown = stream.shown { layers[shown.layer, default: 0] += 1 }
            }
        }
    }

    mutating func noteJoin(of member: Member) {
        storm.joined += 1
        if let time = member.joinTime { storm.joins.add(time) }
    }

    mutating func noteFailure(of member: Member) {
        storm.failures[member.failure ?? "unknown", default: 0] += 1
    }

    mutating func noteInterval(_ crowd: Crowd, _ members: [Member], at now: Int64) {
        guard let begin = first, let before = lastInterval, intervals.count < Limits.Load.intervals else {
            return
        }
        let edge = edge(crowd, members, at: now)
        lastInterval = edge
        let latency = crowd.latencies.percentiles([0.5, 0.99]).map { Double($0) / 1e6 }
        let received = edge.counts.received - before.counts.received
        let seconds = Double(max(1, edge.at - before.at)) / 1e9
        var gap: Int64 = 0
        for member in members {
            for place in member.client.streams.indices {
                gap = max(gap, member.client.streams[place].takeLongestGap())
            }
        }
        let media = before.server.flatMap { edge.server?.since($0, threads: plan.mediaThreads) }
        intervals.append(
            CallReport.Interval(
                at: Double(edge.at - begin.at) / 1e9,
                packetsPerSecond: Double(received) / seconds,
                lost: Int(max(0, edge.counts.expected - before.counts.expected - received)),
                p50: latency[0],
                p99: latency[1],
                maximum: Double(crowd.latencies.maximum) / 1e6,
                longestGap: Double(gap) / 1e6,
                joined: edge.storm - before.storm,
                serverResidentBytes: edge.server.map { Int($0.resident) },
                serverMediaPercent: media.map { Double($0.cpu) / 1e9 / seconds * 100 },
                stolenPercent: MachineUsage.percent(
                    \.stolen,
                    from: before.machine,
                    to: edge.machine,
                    in: edge.at - before.at
                )
            )
        )
        allLatencies.merge(crowd.latencies)
        crowd.latencies = Samples()
    }

    /// The measured time as one step of a growing run.
    func step(_ crowd: Crowd, _ members: [Member]) -> GrowthRecord.Step {
        let delivery = delivery(members, sessions: members.count)
        let wall = Double(max(1, (last?.at ?? 0) - (first?.at ?? 0)))
        let server = first?.server.flatMap { before in last?.server?.since(before).cpu }
        return GrowthRecord.Step(
            rooms: 0,
            packetsPerSecond: delivery.packetsPerSecond,
            lossPercent: delivery.lossPercent,
            latencyP99: Double(crowd.latencies.percentiles([0.99])[0]) / 1e6,
            serverPercent: server.map { Double($0) / wall * 100 },
            clientPercent: Double((last?.own ?? 0) - (first?.own ?? 0)) / wall * 100
        )
    }

    // MARK: Report

    func report(_ crowd: Crowd, _ cast: [CastMember], steady: [Member], growth: GrowthRecord?) -> CallReport {
        let sessions = steady.filter { $0.role != .publisher && $0.joinedAt != nil }.count
        let received = (last?.counts.received ?? 0) - (first?.counts.received ?? 0)
        let delivery = delivery(steady, sessions: sessions)
        let shown = layers.values.reduce(0, +)
        return CallReport(
            load: CallReport.Load(plan, cast, seconds: seconds),
            joins: joins(steady),
            delivery: delivery,
            latency: CallReport.Latency(allLatencies),
            layers: plan.video.layers.count < 2 || shown == 0
                ? nil
                : plan.video.layers.indices.map {
                    Double(layers[UInt8($0)] ?? 0) / Double(shown) * 100
                },
            server: server(received: received, sessions: steady.count { $0.joinedAt != nil }),
            client: client(crowd),
            storm: plan.churn == nil ? nil : CallReport.Storm(storm, seconds: seconds),
            intervals: plan.interval == nil ? nil : intervals,
            growth: growth
        )
    }

    private var wall: Int64 { max(1, (last?.at ?? 0) - (first?.at ?? 0)) }
    private var seconds: Double { Double(wall) / 1e9 }

    private func joins(_ members: [Member]) -> Report.Joins {
        var times = Samples()
        var failures: [String: Int] = [:]
        // The publisher of a broadcast is not among those who are counted.
        for member in members where member.role != .publisher {
            if member.joinedAt != nil {
                if let time = member.joinTime { times.add(time) }
            } else {
                failures[member.failure ?? "unknown", default: 0] += 1
            }
        }
        return Report.Joins(times, failures: failures, took: joinsTook)
    }

    private func delivery(_ members: [Member], sessions: Int) -> CallReport.Delivery {
        let start = first?.counts ?? Counts()
        let end = last?.counts ?? Counts()
        let received = end.received - start.received
        let bytes = end.bytes - start.bytes
        let lost = max(0, end.expected - start.expected - received)
        let published = end.published - start.published
        let owed = plan.audience.map { Double(published) * Double($0) }
        let ports = Set(members.compactMap(\.client.localPort))
        let ownDrops = (last?.drops ?? [:]).reduce(0) { sum, entry in
            ports.contains(entry.key) ? sum + Int(max(0, entry.value - (first?.drops[entry.key] ?? 0))) : sum
        }
        return CallReport.Delivery(
            published: Int(published),
            received: Int(received),
            packetsPerSecond: Double(received) / seconds,
            megabitsPerSecond: Double(bytes) * 8 / 1e6 / seconds,
            bytesPerPacket: received > 0 ? Double(bytes) / Double(received) : 0,
            deliveredPercent: owed.map { $0 > 0 ? Double(received) / $0 * 100 : 0 },
            lost: Int(lost),
            lossPercent: received + lost > 0 ? Double(lost) / Double(received + lost) * 100 : 0,
            recovered: Int(end.recovered - start.recovered),
            nacks: end.nacks - start.nacks,
            withheld: Int(end.withheld - start.withheld),
            duplicates: Int(end.duplicates - start.duplicates),
            authenticated: end.authenticated - start.authenticated,
            undecryptable: end.undecryptable,
            disconnected: members.count { $0.joinedAt != nil && $0.failure != nil },
            socketDrops: ownDrops,
            keyFrameRequests: end.keyFrameRequests
        )
    }

    private func server(received: Int64, sessions: Int) -> Report.Server? {
        guard let before = first?.server, let after = last?.server else { return nil }
        return Report.Server(
            from: before,
            to: after,
            baseline: baseline,
            packets: received,
            wall: wall,
            sessions: sessions,
            mediaThreads: plan.mediaThreads
        )
    }

    private func client(_ crowd: Crowd) -> CallReport.OwnUse {
        let start = first?.counts ?? Counts()
        let end = last?.counts ?? Counts()
        let packets = Double(end.received - start.received + end.published - start.published)
        let own = Double((last?.own ?? 0) - (first?.own ?? 0))
        return CallReport.OwnUse(
            percent: own / Double(wall) * 100,
            perPacket: packets > 0 ? own / 1000 / packets : 0,
            lateP99: Double(crowd.lateness.percentiles([0.99])[0]) / 1e6,
            lateMaximum: Double(crowd.lateness.maximum) / 1e6,
            skipped: crowd.skipped,
            machineSoftirqPercent: machinePercent(\.softirq),
            machineStolenPercent: machinePercent(\.stolen)
        )
    }

    private func machinePercent(_ what: KeyPath<MachineUsage, Int64>) -> Double? {
        MachineUsage.percent(what, from: first?.machine, to: last?.machine, in: wall)
    }
}
