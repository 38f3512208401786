// What is noted at the edges of the measuring interval, and the report that comes of it. Must not know how packets go.
import CLinux

struct VoicesMeasurement {
    /// Sums over all participants so far.
    struct Counts {
        var sent: Int64 = 0
        var received: Int64 = 0
        var expected: Int64 = 0
        var duplicates: Int64 = 0
        var messages = 0
        /// By type, of the listeners alone.
        var types: [String: Int] = [:]
        var undecryptable = 0
    }

    private struct Edge {
        var counts: Counts
        var at: Int64
        var server: ProcessUsage?
        /// CPU of this process, nanoseconds.
        var own: Int64
        var machine: MachineUsage?
        var drops: [UInt16: Int64]
    }

    /// Nanoseconds of the monotonic clock.
    var joinsBegan: Int64 = 0
    var joinsEnded: Int64 = 0
    var window = CounterWindow()
    private let plan: VoicesPlan
    private var baseline: ProcessUsage?
    private var first: Edge?
    private var last: Edge?

    init(_ plan: VoicesPlan) { self.plan = plan }

    mutating func beforeJoins(at now: Int64) {
        baseline = serverUsage
        joinsBegan = now
    }
    mutating func begin(_ counts: Counts, at now: Int64) { first = edge(counts, at: now) }
    mutating func end(_ counts: Counts, at now: Int64) { last = edge(counts, at: now) }

    private var serverUsage: ProcessUsage? { plan.serverPID.flatMap { ProcessUsage(of: $0) } }

    private func edge(_ counts: Counts, at now: Int64) -> Edge {
        Edge(
            counts: counts,
            at: now,
            server: serverUsage,
            own: ownCPU(),
            machine: MachineUsage.read(),
            drops: SocketDrops.read()
        )
    }

    /// - Parameters:
    ///   - serverPort: where the server takes media; on this machine its sockets' drops are known.
    ///   - ownPorts: of the participants' sockets.
    func report(
        _ people: [Participant],
        _ outcome: VoiceTally.Outcome,
        listeners: Int,
        latencies: Samples,
        microphones: Microphones,
        serverPort: UInt16?,
        ownPorts: Set<UInt16>
    ) -> VoicesReport {
        let start = first?.counts ?? Counts()
        let end = last?.counts ?? Counts()
        let wall = max(1, (last?.at ?? 0) - (first?.at ?? 0))
        let seconds = Double(wall) / 1e9
        let received = end.received - start.received
        let lost = max(0, end.expected - start.expected - received)
        return VoicesReport(
            load: load(seconds),
            joins: joins(people),
            inbound: inbound(Double(end.sent - start.sent) / seconds, drops { $0 == serverPort }),
            forwarded: VoicesReport.Forwarded(
                packetsPerSecond: Double(received) / seconds,
                serverPerSecond: window.rates?.forwarded,
                received: Int(received),
                lost: Int(lost),
                lossPercent: received + lost > 0 ? Double(lost) / Double(received + lost) * 100 : 0,
                duplicates: Int(end.duplicates - start.duplicates),
                socketDrops: drops { ownPorts.contains($0) },
                undecryptable: end.undecryptable,
                disconnected: people.count { $0.connectedAt != nil && $0.isOver }
            ),
            onsets: onsets(outcome, listeners, latencies),
            changes: VoicesReport.SpeakerChanges(
                active: .init(outcome.active),
                neverActive: outcome.neverActive,
                dominant: .init(outcome.dominant),
                slot: .init(outcome.slot)
            ),
            server: server(received, wall, people.count { $0.connectedAt != nil }),
            client: VoicesReport.OwnUse(
                percent: Double((last?.own ?? 0) - (first?.own ?? 0)) / Double(wall) * 100,
                lateness: .init(microphones.lateness),
                skipped: microphones.skipped,
                messagesPerSecond: Double(end.messages - start.messages) / seconds,
                messagesPerListener: end.types.reduce(into: [:]) { rates, entry in
                    let count = entry.value - (start.types[entry.key] ?? 0)
                    if count > 0 { rates[entry.key] = Double(count) / seconds / Double(listeners) }
                },
                machineStolenPercent: MachineUsage.percent(
                    \.stolen,
                    from: first?.machine,
                    to: last?.machine,
                    in: wall
                )
            )
        )
    }

    private func load(_ seconds: Double) -> VoicesReport.Load {
        VoicesReport.Load(
            url: "http://\(plan.url.authority)\(plan.url.path)",
            participants: plan.participants,
            speakers: plan.speakers,
            overlap: plan.overlap,
            slots: plan.slots,
            silence: plan.silence,
            silentLevel: Int(plan.silentLevel),
            payloadBytes: plan.payloadBytes,
            seed: plan.seed,
            seconds: seconds
        )
    }

    private func joins(_ people: [Participant]) -> Report.Joins {
        var joins = Samples()
        var failures: [String: Int] = [:]
        for person in people {
            if let asked = person.askedAt, let connected = person.connectedAt {
                joins.add(connected - asked)
            } else {
                failures[person.failure ?? "unknown", default: 0] += 1
            }
        }
        return Report.Joins(joins, failures: failures, took: joinsEnded - joinsBegan)
    }

    private func inbound(_ sentPerSecond: Double, _ drops: Int) -> VoicesReport.Inbound {
        let undecrypted = window.undecrypted
        return VoicesReport.Inbound(
            sentPerSecond: sentPerSecond,
            receivedPerSecond: window.rates?.received,
            neverDecryptedPercent: undecrypted.of > 0
                ? Double(undecrypted.packets) / Double(undecrypted.of) * 100 : nil,
            socketDrops: drops
        )
    }

    private func onsets(_ outcome: VoiceTally.Outcome, _ listeners: Int, _ latencies: Samples)
        -> VoicesReport.Onsets
    {
        let owed = Double(outcome.voicedSent) * Double(listeners)
        return VoicesReport.Onsets(
            turns: outcome.turns,
            listeners: listeners,
            onset: .init(outcome.onset),
            unheard: outcome.unheard,
            clipped: outcome.clipped,
            clip: .init(outcome.clip),
            clipMean: outcome.clip.count > 0 ? Double(outcome.clipSum) / Double(outcome.clip.count) / 1e6 : 0,
            heardPercent: owed > 0 ? Double(outcome.voicedHeard) / owed * 100 : 0,
            latency: .init(latencies)
        )
    }

    private func server(_ received: Int64, _ wall: Int64, _ sessions: Int) -> Report.Server? {
        guard let before = first?.server, let after = last?.server else { return nil }
        return Report.Server(
            from: before,
            to: after,
            baseline: baseline,
            packets: received,
            wall: wall,
            sessions: sessions,
            mediaThreads: ProcessUsage.mediaThreads
        )
    }

    private func drops(_ isCounted: (UInt16) -> Bool) -> Int {
        guard let before = first?.drops, let after = last?.drops else { return 0 }
        return after.reduce(0) { sum, entry in
            isCounted(entry.key) ? sum + Int(max(0, entry.value - (before[entry.key] ?? 0))) : sum
        }
    }
}
