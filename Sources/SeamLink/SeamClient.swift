// The gateway's end of the link: the media plane as if it were in this process. Connects, and connects again; after
// each time the whole state comes first. Must not know rooms, nor what commands and events mean.
import Logging
import Metrics
import NIOCore
import NIOPosix
import RTP
import Seam
import Synchronization

public actor SeamClient: MediaPlane {
    public nonisolated let eventLoop: any EventLoop
    /// Everything but `send` runs on the event loop, so that channel handlers of that loop enter without a hop.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        eventLoop.executor.asUnownedSerialExecutor()
    }

    /// What any thread may touch.
    private struct Shared {
        var receiver: (@Sendable ([Event]) -> Void)?
        /// Not sent yet; empty while nobody is connected.
        var commands: [Command] = []
        var isScheduled = false
        var absence: String? = "not connected yet"
        var statistics = LinkStatistics()
    }

    private enum Step {
        case idle
        case connecting
        /// Hello was sent.
        case greeting
        /// The media plane said hello; its state is coming.
        case greeted
        case connected
        case stopped
    }

    private let path: String
    private let greeting: Greeting
    private let logger: Logger
    private let clock: @Sendable () -> Instant
    private let metrics: LinkMetrics
    private let limit: Int
    private let whenLost: @Sendable () -> Void
    private let coder = LinkCoder()
    private nonisolated let shared = Mutex(Shared())
    private var step = Step.idle
    private var channel: (any Channel)?
    /// The connection that counts; what comes from another one is late.
    private var current = LinkID(rawValue: 0)
    private var lastHeard = Instant.zero
    private var assembler = StateAssembler()
    private var backoff = Backoff()
    /// Why there is no connection, as far as the other side said so.
    private var refusal: String?
    private var lastLogged: String?
    private var timer: RepeatedTask?

    /// - Parameters:
    ///   - path: of the media plane's socket.
    ///   - build: the program's version, for logs.
    ///   - clock: monotonic.
    ///   - whenLost: called on the event loop when a connection has ended.
    public init(
        path: String,
        build: String,
        process: Int32,
        eventLoop: any EventLoop,
        metrics: any MetricsFactory,
        logger: Logger,
        queuedCommands: Int = Limits.Link.queuedCommands,
        clock: @escaping @Sendable () -> Instant,
        whenLost: @escaping @Sendable () -> Void = {}
    ) {
        self.path = path
        self.eventLoop = eventLoop
        self.logger = logger
        self.clock = clock
        self.metrics = LinkMetrics(factory: metrics)
        greeting = Greeting(build: build, process: process)
        limit = queuedCommands
        self.whenLost = whenLost
    }

    // MARK: MediaPlane

    /// False while nobody is connected, too. Commands that were taken and not sent when the connection ends are
    /// dropped: the next `Event.state` says what is missing.
    public nonisolated func send(_ command: Command) -> Bool {
        let (isTaken, wakes) = shared.withLock { shared -> (Bool, Bool) in
            guard shared.absence == nil, shared.commands.count < limit else { return (false, false) }
            shared.commands.append(command)
            defer { shared.isScheduled = true }
            return (true, !shared.isScheduled)
        }
        if wakes { eventLoop.execute { self.assumeIsolated { $0.sendCommands() } } }
        return isTaken
    }

    public nonisolated func deliverEvents(to receiver: @escaping @Sendable ([Event]) -> Void) {
        shared.withLock { $0.receiver = receiver }
    }

    // MARK: What others may ask

    /// True from the state that begins a connection until that connection ends.
    public nonisolated var isConnected: Bool { absence == nil }

    /// Why the media plane is away, for the operator; nil while it is there.
    public nonisolated var absence: String? { shared.withLock { $0.absence } }

    public nonisolated var statistics: LinkStatistics { shared.withLock { $0.statistics } }

    // MARK: Life

    /// Begins to connect, and never stops trying.
    ///
    /// - Throws: `LinkSocketError` for a path that no socket can have.
    public func start() throws {
        try ListeningSocket.check(path)
        guard step == .idle, timer == nil else { return }
        let interval = TimeAmount.microseconds(Limits.Link.tickInterval.microseconds)
        timer = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [weak self] task in
            guard let self else { return task.cancel() }
            self.assumeIsolated { $0.tick(at: $0.clock()) }
        }
        connect()
    }

    /// Sends what waits, at most for `Limits.Link.drainTimeout`, and says goodbye.
    public func stop() async {
        guard step != .stopped else { return }
        let isConnected = step == .connected
        timer?.cancel()
        defer { ended("this gateway stops") }
        guard let channel else { return step = .stopped }
        if isConnected {
            let timeout = TimeAmount.microseconds(Limits.Link.drainTimeout.microseconds)
            let alarm = eventLoop.scheduleTask(in: timeout) { channel.close(promise: nil) }
            sendCommands()
            while !unsent.isEmpty, channel.isActive {
                try? await channel.writeAndFlush(ByteBuffer())
                sendCommands()
            }
            alarm.cancel()
        }
        step = .stopped
        channel.end(Ending(reason: .shutdown, text: "the gateway stops"), coder)
        try? await channel.closeFuture.get()
    }

    private var unsent: [Command] { shared.withLock { $0.commands } }

    /// Whatever is due at `now`. Called every `Limits.Link.tickInterval`.
    func tick(at now: Instant) {
        guard let channel, step != .idle, step != .connecting, step != .stopped,
            now - lastHeard >= Limits.Link.deadAfter
        else { return }
        refusal = "the media plane is silent"
        channel.end(Ending(reason: .silent, text: "nothing was heard from the media plane"), coder)
    }

    private func connect() {
        guard step == .idle else { return }
        step = .connecting
        current = LinkID(rawValue: current.rawValue + 1)
        refusal = nil
        let id = current
        ClientBootstrap(group: eventLoop)
            .channelOption(.writeBufferWaterMark, value: LinkHandler.watermark)
            .channelInitializer { [weak self] channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let self else { throw ChannelError.eof }
                    try channel.pipeline.syncOperations.addHandler(LinkHandler(id: id, delegate: self))
                }
            }
            .connect(unixDomainSocketPath: path)
            .whenFailure { [weak self] error in
                self?.assumeIsolated { client in
                    if client.current == id, client.step == .connecting { client.lost("\(error)") }
                }
            }
    }

    // MARK: The connection

    fileprivate func opened(_ id: LinkID, _ channel: any Channel) {
        guard id == current, step == .connecting else { return channel.close(promise: nil) }
        step = .greeting
        self.channel = channel
        lastHeard = clock()
        assembler = StateAssembler()
        if let bytes = try? coder.bytes(.hello, greeting) { write(bytes, to: channel) }
    }

    fileprivate func received(_ frame: Frame, bytes: Int, on id: LinkID) {
        guard id == current, step != .stopped else { return }
        lastHeard = clock()
        count { statistics in
            statistics.framesIn += 1
            statistics.bytesIn += UInt64(bytes)
        }
        do throws(LinkFault) {
            try receive(frame)
        } catch {
            failed(id, error)
        }
    }

    private func receive(_ frame: Frame) throws(LinkFault) {
        switch (frame.kind, step) {
        case (.end, _):
            let ending = try coder.value(Ending.self, of: frame)
            refusal = ending.text
            channel?.close(promise: nil)
        case (.hello, .greeting):
            let theirs = try coder.value(Greeting.self, of: frame)
            step = .greeted
            logger.debug(
                "the media plane answers",
                metadata: ["process": "\(theirs.process)", "build": "\(theirs.build)"]
            )
        case (.ping, .greeted), (.ping, .connected):
            if let channel { write(coder.bytes(.pong), to: channel) }
        case (.state, .greeted), (.state, .connected):
            let part = try coder.value(StatePart.self, of: frame)
            if let state = try assembler.add(part, limit: Limits.Link.stateSessions) { received(state) }
        case (.events, .connected):
            deliver(try coder.value([Event].self, of: frame))
        default: throw .unexpected(frame.kind)
        }
    }

    private func received(_ state: MediaState) {
        deliver([.state(state)])
        guard step == .greeted else { return }
        step = .connected
        backoff.reset()
        lastLogged = nil
        shared.withLock { $0.absence = nil }
        count { statistics in
            statistics.connects += 1
            statistics.isConnected = true
        }
        logger.info(
            "the media plane is connected",
            metadata: ["epoch": "\(state.epoch)", "sessions": "\(state.sessions.count)"]
        )
    }

    private func deliver(_ events: [Event]) {
        shared.withLock { $0.receiver }?(events)
    }

    fileprivate func failed(_ id: LinkID, _ fault: LinkFault) {
        guard id == current, let channel else { return }
        refusal = "\(fault)"
        channel.end(Ending(reason: .fault, text: "\(fault)"), coder)
    }

    fileprivate func closed(_ id: LinkID) {
        guard id == current, step != .stopped else { return }
        lost(refusal ?? "the connection ended")
    }

    /// There is no connection any more, or none came to be.
    private func lost(_ reason: String) {
        let wasConnected = step == .connected
        channel = nil
        step = .idle
        ended(reason)
        if wasConnected { whenLost() }
        let wait = backoff.next()
        if wasConnected || lastLogged != reason {
            lastLogged = reason
            logger.warning(
                wasConnected ? "the media plane is gone" : "cannot reach the media plane; trying again",
                metadata: ["socket": "\(path)", "reason": "\(reason)"]
            )
        }
        eventLoop.scheduleTask(in: .microseconds(wait.microseconds)) { [weak self] in
            self?.assumeIsolated { $0.connect() }
        }
    }

    private func ended(_ reason: String) {
        let dropped = shared.withLock { shared -> Int in
            defer { shared.commands = [] }
            shared.absence = reason
            return shared.commands.count
        }
        count { statistics in
            statistics.commandsDropped += UInt64(dropped)
            if statistics.isConnected { statistics.losses += 1 }
            statistics.isConnected = false
        }
    }

    // MARK: Commands

    /// As many as the socket takes; the rest waits in the bounded queue.
    fileprivate func sendCommands() {
        shared.withLock { $0.isScheduled = false }
        guard step == .connected, let channel else { return }
        while channel.isWritable {
            let commands = shared.withLock { shared -> [Command] in
                let some = Array(shared.commands.prefix(Limits.Link.commandsPerFrame))
                shared.commands.removeFirst(some.count)
                return some
            }
            guard !commands.isEmpty else { return }
            do throws(LinkFault) {
                write(try coder.bytes(.commands, commands), to: channel)
            } catch {
                logger.error("cannot write to the media plane", metadata: ["reason": "\(error)"])
                return channel.close(promise: nil)
            }
        }
    }

    private func write(_ bytes: ByteBuffer, to channel: any Channel) {
        count { statistics in
            statistics.framesOut += 1
            statistics.bytesOut += UInt64(bytes.readableBytes)
        }
        channel.writeAndFlush(bytes, promise: nil)
    }

    private func count(_ change: (inout LinkStatistics) -> Void) {
        let (old, new) = shared.withLock { shared in
            let old = shared.statistics
            change(&shared.statistics)
            return (old, shared.statistics)
        }
        metrics.note(old, new)
    }
}

extension SeamClient: LinkDelegate {
    nonisolated func linkOpened(_ id: LinkID, _ channel: any Channel) {
        assumeIsolated { $0.opened(id, channel) }
    }

    nonisolated func linkReceived(_ frame: Frame, bytes: Int, on id: LinkID) {
        assumeIsolated { $0.received(frame, bytes: bytes, on: id) }
    }

    nonisolated func linkFailed(_ id: LinkID, _ fault: LinkFault) { assumeIsolated { $0.failed(id, fault) } }

    nonisolated func linkBecameWritable(_ id: LinkID) { assumeIsolated { $0.sendCommands() } }

    nonisolated func linkClosed(_ id: LinkID) { assumeIsolated { $0.closed(id) } }
}
