// The media plane as a whole: opens ports, makes the workers, routes commands to them and their events back. Who
// uses it sees values only.
import CLinux
import PeerTransport
import RTP
import SFU
import Seam

/// Made, started and stopped once.
public final class MediaServer: MediaPlane {
    private struct Life {
        enum Phase { case made, running, stopped }
        var phase = Phase.made
        var threads: [WorkerThread] = []
    }

    private let life = Lock(Life())
    private let workers: [Worker]
    private let mailboxes: [Mailbox]
    private let hub: EventHub
    private let router: SessionRouter
    private let pinsWorkers: Bool
    private let workersGoFirst: Bool

    /// What is bound, as `1.2.3.4:7882`.
    public let listening: [String]
    /// The port of the first listen address.
    public let port: UInt16
    /// What peers are offered.
    public let candidates: [Candidate]
    /// The smallest receive buffer that the kernel granted, bytes as asked for; less than configured means that
    /// `net.core.rmem_max` is lower.
    public let grantedReceiveBufferBytes: Int

    public var workerCount: Int { workers.count }

    /// Opens the ports; nothing is read before `start`.
    ///
    /// - Throws: `MediaError` with a text for the operator, or what the certificate's library says.
    public init(configuration: MediaConfiguration) throws {
        let count = MediaServer.workerCount(configuration)
        let ledger = StreamLedger()
        let (plan, parts) = try MediaServer.open(configuration, workers: count, ledger: ledger)
        candidates = HostCandidates.candidates(
            at: HostCandidates.endpoints(
                listen: plan.addresses,
                announced: configuration.announced,
                interfaces: NetworkInterface.all()
            ),
            withTCP: configuration.acceptsTCP
        )
        guard !candidates.isEmpty else { throw MediaError.noCandidate }
        listening = plan.addresses.map(\.text)
        port = plan.addresses.first?.port ?? 0
        pinsWorkers = configuration.pinsWorkers
        workersGoFirst = configuration.workersGoFirst
        // The kernel counts its own overhead: it grants twice what was asked for.
        grantedReceiveBufferBytes = parts.flatMap(\.sockets).map { $0.grantedReceiveBuffer / 2 }.min() ?? 0

        router = SessionRouter(workers: count, roomSeatsPerWorker: configuration.roomSeatsPerWorker)
        hub = EventHub(workers: count, router: router, epoch: configuration.epoch)
        var mailboxes: [Mailbox] = []
        for _ in 0..<count { mailboxes.append(try Mailbox()) }
        self.mailboxes = mailboxes
        let shared = WorkerShared(
            mailboxes: mailboxes,
            rings: MediaServer.makeRings(workers: count),
            hub: hub,
            ledger: ledger
        )
        let ntpAtZero = MonotonicClock.ntpAtZero
        var workers: [Worker] = []
        for (index, part) in parts.enumerated() {
            var shardConfiguration = ShardConfiguration(
                worker: index,
                certificate: configuration.certificate,
                candidates: candidates,
                epoch: configuration.epoch,
                ntpAtZero: ntpAtZero
            )
            shardConfiguration.audioWindow = configuration.audioWindow
            shardConfiguration.limitsBandwidth = configuration.limitsBandwidth
            let random = configuration.seed.map { RandomSource.seeded($0 &+ UInt64(index)) } ?? .system
            workers.append(
                try Worker(parts: part, shared: shared) { outbox, port in
                    try Shard(
                        configuration: shardConfiguration,
                        random: random,
                        outbox: outbox,
                        relayPort: count > 1 ? port : nil
                    )
                }
            )
        }
        self.workers = workers
    }

    deinit { stop() }

    // MARK: opening

    private static func workerCount(_ configuration: MediaConfiguration) -> Int {
        if configuration.workers > 0 { return min(configuration.workers, Limits.MediaIO.workers) }
        let quota = Int(clinux_cpu_quota())
        let cpus = Int(clinux_cpu_count())
        return min(quota > 0 ? min(quota, cpus) : cpus, Limits.MediaIO.workers)
    }

    /// Opens everything, or nothing. Where the port is free to choose, another one is tried when somebody takes it
    /// between the look and the bind.
    private static func open(
        _ configuration: MediaConfiguration,
        workers: Int,
        ledger: StreamLedger
    ) throws(MediaError) -> (PortPlan, [WorkerParts]) {
        var attempts = configuration.listen.contains { $0.port == 0 } ? 16 : 1
        while true {
            attempts -= 1
            do throws(MediaError) {
                let plan = try PortPlan(configuration: configuration)
                var parts: [WorkerParts] = []
                for index in 0..<workers {
                    parts.append(
                        try makeParts(
                            index,
                            of: workers,
                            plan: plan,
                            configuration: configuration,
                            ledger: ledger
                        )
                    )
                }
                return (plan, parts)
            } catch {
                guard attempts > 0, case .bind = error else { throw error }
            }
        }
    }

    private static func makeParts(
        _ index: Int,
        of workers: Int,
        plan: PortPlan,
        configuration: MediaConfiguration,
        ledger: StreamLedger
    ) throws(MediaError) -> WorkerParts {
        let tally = IOTally()
        let options = UDPSocket.Options(
            sharesPort: workers > 1,
            usesSegmentation: configuration.usesSegmentation,
            receiveBufferBytes: configuration.receiveBufferBytes,
            sendBufferBytes: configuration.sendBufferBytes
        )
        let poll = try WorkerPoll()
        return WorkerParts(
            index: index,
            poll: poll,
            sockets: try plan.openSockets(options, tally: tally),
            listeners: configuration.acceptsTCP ? try plan.openListeners(sharesPort: workers > 1) : [],
            streams: StreamTable(
                poll: poll,
                ledger: ledger,
                checkTimeout: configuration.streamCheckTimeout,
                tally: tally
            ),
            tally: tally,
            salt: clinux_random(),
            counterInterval: configuration.counterInterval
        )
    }

    private static func makeRings(workers: Int) -> [[HandOverRing?]] {
        let slots = min(
            max(Limits.MediaIO.handOverSlots / workers, Limits.MediaIO.handOverSlotsPerPairMinimum),
            Limits.MediaIO.handOverSlotsPerPairMaximum
        )
        return (0..<workers).map { from in
            (0..<workers).map { to in from == to ? nil : HandOverRing(capacity: slots) }
        }
    }

    // MARK: life

    /// Starts the workers' threads.
    ///
    /// - Throws: `MediaError.notStartable` on a second call or after `stop`.
    public func start() throws {
        try life.withLock { life in
            guard life.phase == .made else { throw MediaError.notStartable }
            life.phase = .running
            let priority = workersGoFirst ? WorkerPriority.take() : nil
            defer { priority?.giveBack() }
            for worker in workers {
                let cpu = pinsWorkers ? clinux_cpu_at(Int32(worker.index)) : -1
                do throws(MediaError) {
                    life.threads.append(
                        try WorkerThread(name: "sfu-media-\(worker.index)", cpu: cpu) { worker.run() }
                    )
                } catch {
                    end(&life)
                    throw error
                }
            }
        }
    }

    /// Closes every session, waits until the peers were told and the threads ended. Idempotent. Must not be called
    /// by the receiver of events.
    public func stop() {
        life.withLock { end(&$0) }
    }

    private func end(_ life: inout Life) {
        life.phase = .stopped
        for index in life.threads.indices {
            _ = mailboxes[index].post(.stop(closing: router.sessions(on: index)), isUrgent: true)
        }
        for thread in life.threads { thread.join() }
        life.threads = []
    }

    // MARK: MediaPlane

    public func deliverEvents(to receiver: @escaping @Sendable ([Event]) -> Void) {
        hub.setReceiver(receiver)
    }

    /// Commands for sessions that are gone have no effect; the news of their end is under way.
    public func send(_ command: Command) -> Bool {
        switch command {
        case .open(let open):
            let isIn = router.place(open) { worker, sharing in
                mailboxes[worker].post(.open(open, sharing: sharing))
            }
            if !isIn { router.takeBack(open.session) }
            return isIn
        case .configure(let session, let media): return post(command, to: router.configure(session, media))
        case .restartICE(let session, _), .subscribe(let session, _), .close(let session),
            .attach(let session, _, _, _):
            return post(command, to: router.worker(of: session))
        case .mute(let publication, _): return post(command, to: router.worker(of: publication))
        case .reportState:
            if hub.beginReport() {
                for mailbox in mailboxes { _ = mailbox.post(.command(command), isUrgent: true) }
            }
            return true
        }
    }

    private func post(_ command: Command, to worker: Int?) -> Bool {
        guard let worker else { return true }
        return mailboxes[worker].post(.command(command))
    }
}
