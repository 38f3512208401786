// What is noted at the edges of the measuring interval, and the report that comes of it. Must not know sessions.
import CLinux
import Glibc

struct Measurement {
    /// Sums over all subscribers so far.
    struct Counts {
        var published = 0
        var sessions = 0
        var received: Int64 = 0
        var expected: Int64 = 0
        var duplicates: Int64 = 0
        var authenticated = 0
        var undecryptable = 0
        var ended = 0
    }

    private struct Edge {
        var counts: Counts
        var at: Int64
        var server: ProcessUsage?
        /// CPU of this process, nanoseconds.
        var own: Int64
    }

    /// Nanoseconds of the monotonic clock.
    var joinsBegan: Int64 = 0
    var joinsEnded: Int64 = 0
    private let serverPID: Int?
    private var baseline: ProcessUsage?
    private var first: Edge?
    private var last: Edge?

    init(serverPID: Int?) { self.serverPID = serverPID }

    mutating func beforeJoins() { baseline = serverUsage }
    mutating func begin(_ counts: Counts, at now: Int64) { first = edge(counts, at: now) }
    mutating func end(_ counts: Counts, at now: Int64) { last = edge(counts, at: now) }

    private func edge(_ counts: Counts, at now: Int64) -> Edge {
        Edge(counts: counts, at: now, server: serverUsage, own: Self.ownCPU)
    }

    private var serverUsage: ProcessUsage? { serverPID.flatMap { ProcessUsage(of: $0) } }

    static var ownCPU: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    func report(
        _ plan: LoadPlan,
        joins: Samples,
        failures: [String: Int],
        latencies: Samples,
        keyFrameRequests: Int
    ) -> Report {
        let start = first?.counts ?? Counts()
        let end = last?.counts ?? Counts()
        let wall = max(1, (last?.at ?? 0) - (first?.at ?? 0))
        let seconds = Double(wall) / 1e9
        let received = end.received - start.received
        let lost = max(0, end.expected - start.expected - received)
        let owed = Double((end.published - start.published) * end.sessions)
        let joinTimes = joins.percentiles([0.5, 0.95]).map { Double($0) / 1e6 }
        let latency = latencies.percentiles([0.5, 0.95, 0.99]).map { Double($0) / 1000 }
        return Report(
            load: Report.Load(
                url: "http://\(plan.url.authority)\(plan.url.path)",
                subscribers: plan.subscribers,
                packetsPerSecond: plan.format.packetsPerSecond,
                payloadBytes: plan.format.payloadBytes,
                videoKilobitsPerSecond: plan.format.videoBitsPerSecond / 1000,
                seconds: seconds
            ),
            joins: Report.Joins(
                succeeded: joins.count,
                failed: failures.values.reduce(0, +),
                p50: joinTimes[0],
                p95: joinTimes[1],
                maximum: Double(joins.maximum) / 1e6,
                perSecond: Double(joins.count) / max(1e-3, Double(joinsEnded - joinsBegan) / 1e9),
                failures: failures
            ),
            delivery: Report.Delivery(
                published: end.published - start.published,
                received: Int(received),
                packetsPerSecond: Double(received) / seconds,
                deliveredPercent: owed > 0 ? Double(received) / owed * 100 : 0,
                lost: Int(lost),
                lossPercent: received + lost > 0 ? Double(lost) / Double(received + lost) * 100 : 0,
                duplicates: Int(end.duplicates - start.duplicates),
                authenticated: end.authenticated - start.authenticated,
                undecryptable: end.undecryptable,
                disconnected: end.ended
            ),
            latency: Report.Latency(
                samples: latencies.count,
                p50: latency[0],
                p95: latency[1],
                p99: latency[2],
                maximum: Double(latencies.maximum) / 1000
            ),
            server: server(received: received, wall: wall, sessions: end.sessions),
            clientPercent: Double((last?.own ?? 0) - (first?.own ?? 0)) / Double(wall) * 100,
            keyFrameRequests: keyFrameRequests
        )
    }

    private func server(received: Int64, wall: Int64, sessions: Int) -> Report.Server? {
        guard let before = first?.server, let after = last?.server else { return nil }
        return Report.Server(
            from: before,
            to: after,
            baseline: baseline,
            packets: received,
            wall: wall,
            sessions: sessions
        )
    }
}

extension Report.Server {
    /// nil: no packet came, to which anything could be attributed.
    /// - Parameters:
    ///   - baseline: before the first join.
    ///   - packets: those that subscribers got.
    ///   - wall: nanoseconds between the two.
    init?(
        from before: ProcessUsage,
        to after: ProcessUsage,
        baseline: ProcessUsage?,
        packets: Int64,
        wall: Int64,
        sessions: Int
    ) {
        guard packets > 0, wall > 0 else { return nil }
        let media = after.since(before, threads: ProcessUsage.mediaThreads)
        let whole = after.since(before)
        let growth = before.resident - (baseline?.resident ?? before.resident)
        mediaThreadsPerPacket = Double(media.cpu) / 1000 / Double(packets)
        processPerPacket = Double(whole.cpu) / 1000 / Double(packets)
        mediaThreadsPercent = Double(media.cpu) / Double(wall) * 100
        processPercent = Double(whole.cpu) / Double(wall) * 100
        residentBytes = Int(after.resident)
        residentBytesPerSubscriber = Int(growth) / max(1, sessions)
    }
}
