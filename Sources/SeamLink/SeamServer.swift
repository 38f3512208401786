// The media plane's end of the link: lets one gateway in, tells it the whole state, then events, and hands its commands
// down. Without a gateway media goes on for a while. Must not know rooms, nor what commands do.
import Logging
import NIOCore
import NIOPosix
import RTP
import Seam

public actor SeamServer {
    public nonisolated let eventLoop: any EventLoop
    /// Everything runs on the event loop, so that channel handlers of that loop enter without a hop.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        eventLoop.executor.asUnownedSerialExecutor()
    }

    /// A connection that has not said hello.
    private struct Stranger {
        var channel: any Channel
        var deadline: Instant
    }

    let plane: any MediaPlane
    let logger: Logger
    let coder = LinkCoder()
    nonisolated let queue: EventQueue
    var gateway: ConnectedGateway?
    var counts = LinkCounts()
    private let path: String
    private let greeting: Greeting
    private let clock: @Sendable () -> Instant
    private var socket: ListeningSocket?
    private var listener: (any Channel)?
    private var timer: RepeatedTask?
    private var strangers: [LinkID: Stranger] = [:]
    /// Since when no gateway is here; nil: one is.
    private var absentSince: Instant?
    private var asksForOrphans = false
    /// Sessions without a gateway that the plane had no room to close yet.
    private var orphans: [SessionID] = []
    private var isStopping = false

    /// - Parameters:
    ///   - plane: its events are heard from `start` on.
    ///   - path: of the socket; its folder must exist.
    ///   - build: the program's version, for logs.
    ///   - clock: monotonic.
    public init(
        plane: any MediaPlane,
        path: String,
        build: String,
        process: Int32,
        eventLoop: any EventLoop,
        logger: Logger,
        queuedEvents: Int = Limits.Link.queuedEvents,
        clock: @escaping @Sendable () -> Instant
    ) {
        self.plane = plane
        self.path = path
        self.eventLoop = eventLoop
        self.logger = logger
        self.clock = clock
        greeting = Greeting(build: build, process: process)
        queue = EventQueue(limit: queuedEvents)
    }

    // MARK: Life

    /// Listens.
    ///
    /// - Throws: `LinkSocketError` where the path cannot be had, with a text for the operator.
    public func start() async throws {
        try await listen()
        let interval = TimeAmount.microseconds(Limits.Link.tickInterval.microseconds)
        timer = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [weak self] task in
            guard let self else { return task.cancel() }
            self.assumeIsolated { $0.tick(at: $0.clock()) }
        }
    }

    /// Only listens: the owner of time calls `tick(at:)` itself.
    func listen() async throws {
        let socket = try ListeningSocket(path: path)
        self.socket = socket
        absentSince = clock()
        plane.deliverEvents(to: { [queue, eventLoop, weak self] events in
            guard queue.put(events), let self else { return }
            eventLoop.execute { self.assumeIsolated { $0.sendEvents() } }
        })
        let numbers = NIOLoopBoundBox(UInt64(0), eventLoop: eventLoop)
        listener = try await ServerBootstrap(group: eventLoop)
            .childChannelOption(.writeBufferWaterMark, value: LinkHandler.watermark)
            .childChannelInitializer { [weak self] channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let self else { throw ChannelError.eof }
                    numbers.value += 1
                    let handler = LinkHandler(id: LinkID(rawValue: numbers.value), delegate: self)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .withBoundSocket(socket.descriptor)
            .get()
        logger.info("waiting for a gateway", metadata: ["socket": "\(path)"])
    }

    /// Lets the gateway go and takes no other. What the media plane does afterwards nobody is told.
    public func stop() async {
        guard !isStopping else { return }
        isStopping = true
        timer?.cancel()
        queue.close()
        let ending = Ending(reason: .shutdown, text: "the media plane stops")
        for stranger in strangers.values { stranger.channel.end(ending, coder) }
        let last = gateway?.channel
        gateway = nil
        last?.end(ending, coder)
        try? await listener?.close()
        socket?.release()
    }

    /// Whatever is due at `now`. Called every `Limits.Link.tickInterval`.
    func tick(at now: Instant) {
        for (id, stranger) in strangers where stranger.deadline <= now {
            strangers[id] = nil
            stranger.channel.end(Ending(reason: .silent, text: "no hello came"), coder)
        }
        watchGateway(at: now)
        guard let absentSince, now - absentSince >= Limits.Media.gatewayAbsence else { return }
        if asksForOrphans { return closeOrphans() }
        asksForOrphans = true
        queue.begin()
        _ = plane.send(.reportState)
    }

    private func watchGateway(at now: Instant) {
        guard let gateway else { return }
        if gateway.isStalled {
            // Nothing is read while the media plane is full, so silence says nothing.
            self.gateway?.lastHeard = now
        } else if now - gateway.lastHeard >= Limits.Link.deadAfter {
            logger.warning("the gateway is silent; letting it go")
            gateway.channel.end(Ending(reason: .silent, text: "nothing was heard from this gateway"), coder)
            return lost(gateway.id)
        }
        if now - gateway.lastPing >= Limits.Link.pingInterval {
            self.gateway?.lastPing = now
            write(coder.bytes(.ping), to: gateway.channel)
        }
    }

    // MARK: Connections

    fileprivate func opened(_ id: LinkID, _ channel: any Channel) {
        guard !isStopping, strangers.count < Limits.Link.greetings else {
            counts.refused += 1
            return channel.close(promise: nil)
        }
        strangers[id] = Stranger(channel: channel, deadline: clock() + Limits.Link.greetingTimeout)
    }

    fileprivate func received(_ frame: Frame, on id: LinkID) {
        if let stranger = strangers[id] { return greeted(frame, id, stranger.channel) }
        guard gateway?.id == id else { return }
        gateway?.lastHeard = clock()
        do throws(LinkFault) {
            switch frame.kind {
            case .commands: take(try coder.value([Command].self, of: frame))
            case .pong: break
            case .end: logger.info("the gateway says goodbye", metadata: ["reason": "\(endingText(frame))"])
            case .hello, .events, .state, .ping: throw .unexpected(frame.kind)
            }
        } catch {
            failed(id, error)
        }
    }

    private func greeted(_ frame: Frame, _ id: LinkID, _ channel: any Channel) {
        guard frame.kind == .hello, let theirs = try? coder.value(Greeting.self, of: frame) else {
            return failed(id, .unexpected(frame.kind))
        }
        strangers[id] = nil
        if let gateway {
            counts.refused += 1
            let text = "another gateway (process \(gateway.process)) is connected to this media plane"
            logger.warning("a second gateway is refused", metadata: ["process": "\(theirs.process)"])
            return channel.end(Ending(reason: .occupied, text: text), coder)
        }
        let now = clock()
        absentSince = nil
        asksForOrphans = false
        orphans = []
        gateway = ConnectedGateway(
            id: id,
            channel: channel,
            process: theirs.process,
            lastHeard: now,
            lastPing: now
        )
        counts.connects += 1
        logger.info(
            "a gateway is connected",
            metadata: ["process": "\(theirs.process)", "build": "\(theirs.build)"]
        )
        if let bytes = try? coder.bytes(.hello, greeting) { write(bytes, to: channel) }
        queue.begin()
        _ = plane.send(.reportState)
    }

    fileprivate func failed(_ id: LinkID, _ fault: LinkFault) {
        counts.refused += 1
        logger.warning("a connection to the media plane is refused", metadata: ["reason": "\(fault)"])
        let ending = Ending(reason: .fault, text: "\(fault)")
        if let stranger = strangers.removeValue(forKey: id) { stranger.channel.end(ending, coder) }
        guard let gateway, gateway.id == id else { return }
        gateway.channel.end(ending, coder)
        lost(id)
    }

    fileprivate func closed(_ id: LinkID) {
        strangers[id] = nil
        lost(id)
    }

    private func lost(_ id: LinkID) {
        guard gateway?.id == id else { return }
        gateway = nil
        queue.close()
        guard !isStopping else { return }
        absentSince = clock()
        logger.warning(
            "the gateway is gone; media goes on",
            metadata: ["seconds": "\(Limits.Media.gatewayAbsence.milliseconds / 1000)"]
        )
    }

    private func endingText(_ frame: Frame) -> String {
        (try? coder.value(Ending.self, of: frame).text) ?? "unknown"
    }

    // MARK: Sessions without a gateway

    /// The state that was asked for when nobody came.
    func foundOrphans(_ state: MediaState) {
        guard asksForOrphans, !state.sessions.isEmpty else { return }
        orphans = state.sessions.map(\.open.session)
        counts.orphansClosed += UInt64(orphans.count)
        logger.warning("no gateway came: sessions are closed", metadata: ["sessions": "\(orphans.count)"])
        closeOrphans()
    }

    private func closeOrphans() {
        while let session = orphans.last, plane.send(.close(session)) { orphans.removeLast() }
    }
}

/// The gateway that is let in.
struct ConnectedGateway {
    let id: LinkID
    let channel: any Channel
    let process: Int32
    var lastHeard: Instant
    var lastPing: Instant
    /// A state that is being sent.
    var cutter: StateCutter?
    /// Commands that the media plane had no room for; while there are some, nothing is read.
    var waiting: [Command] = []
    var isStalled: Bool { !waiting.isEmpty }
}

/// What the media plane's end counts; the gateway shows it with the first worker's counters.
struct LinkCounts: Equatable {
    var connects: UInt64 = 0
    var refused: UInt64 = 0
    var orphansClosed: UInt64 = 0
}

extension SeamServer: LinkDelegate {
    nonisolated func linkOpened(_ id: LinkID, _ channel: any Channel) {
        assumeIsolated { $0.opened(id, channel) }
    }

    nonisolated func linkReceived(_ frame: Frame, bytes: Int, on id: LinkID) {
        assumeIsolated { $0.received(frame, on: id) }
    }

    nonisolated func linkFailed(_ id: LinkID, _ fault: LinkFault) { assumeIsolated { $0.failed(id, fault) } }

    nonisolated func linkBecameWritable(_ id: LinkID) { assumeIsolated { $0.sendEvents() } }

    nonisolated func linkClosed(_ id: LinkID) { assumeIsolated { $0.closed(id) } }
}
