// All open WebSockets of a server, on one event loop: their numbers, their heartbeat, their flushes and their end.
// Must not know HTTP or what messages mean.
import Metrics
import NIOCore
import NIOWebSocket
import RTP

/// Who answers the sockets. Called on their event loop and only there.
public protocol SignalingSocketDelegate: Sendable {
    func socketOpened(_ socket: any SignalingSocket, request: SignalingRequest) -> ConnectionID
    /// A whole message, valid UTF-8, at most `Limits.WebSocket.messageBytes`.
    func socketReceived(_ text: ByteBuffer, on id: ConnectionID)
    func socketWritabilityChanged(_ id: ConnectionID, isWritable: Bool)
    /// Comes exactly once for each opened socket, whoever closed it.
    func socketClosed(_ id: ConnectionID)
}

/// The gateway as the delegate: its executor is the sockets' event loop, so nothing hops.
struct GatewaySockets: SignalingSocketDelegate {
    let gateway: Gateway

    func socketOpened(_ socket: any SignalingSocket, request: SignalingRequest) -> ConnectionID {
        let bound = NIOLoopBound(socket, eventLoop: gateway.eventLoop)
        return gateway.assumeIsolated { $0.opened(bound.value, request: request) }
    }

    func socketReceived(_ text: ByteBuffer, on id: ConnectionID) {
        gateway.assumeIsolated { $0.received(text, on: id) }
    }

    func socketWritabilityChanged(_ id: ConnectionID, isWritable: Bool) {
        gateway.assumeIsolated { $0.writabilityChanged(id, isWritable: isWritable) }
    }

    func socketClosed(_ id: ConnectionID) {
        gateway.assumeIsolated { $0.closed(id) }
    }
}

/// Used on its event loop only.
final class WebSocketHub {
    let delegate: any SignalingSocketDelegate
    let now: () -> NIODeadline
    private let eventLoop: any EventLoop
    private let metrics: WebSocketMetrics
    private var connections: [ObjectIdentifier: WebSocketConnection] = [:]
    private var unflushed: [WebSocketConnection] = []
    private var sweeper: RepeatedTask?
    private var swept: NIODeadline

    init(
        delegate: any SignalingSocketDelegate,
        eventLoop: any EventLoop,
        metrics: any MetricsFactory,
        now: @escaping () -> NIODeadline = { .now() }
    ) {
        self.delegate = delegate
        self.eventLoop = eventLoop
        self.metrics = WebSocketMetrics(factory: metrics)
        self.now = now
        swept = now()
    }

    var count: Int { connections.count }

    /// Turns an upgraded channel, which already speaks frames, into a socket of the delegate.
    func accept(_ channel: any Channel, _ request: SignalingRequest) throws {
        configure(channel)
        let connection = WebSocketConnection(hub: self, request: request)
        try channel.pipeline.syncOperations.addHandler(connection)
    }

    /// Begins to look at all sockets each second.
    func start() {
        guard sweeper == nil else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        sweeper = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in
            bound.value.sweep()
        }
    }

    func stop() {
        sweeper?.cancel()
        sweeper = nil
    }

    func sweep() {
        let now = now()
        // What came while this process did not run waits to be read: a stalled server is no proof of silent clients.
        let elapsed = min(now - swept, TimeAmount(Limits.WebSocket.tickLongest))
        swept = now
        for connection in Array(connections.values) { connection.tick(elapsed) }
    }

    // MARK: for connections

    func opened(_ connection: WebSocketConnection, _ request: SignalingRequest) -> ConnectionID {
        connections[ObjectIdentifier(connection)] = connection
        metrics.open.record(connections.count)
        return delegate.socketOpened(connection, request: request)
    }

    func closed(_ connection: WebSocketConnection, _ id: ConnectionID?) {
        guard connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        metrics.open.record(connections.count)
        if let id { delegate.socketClosed(id) }
    }

    func counted(close code: UInt16) { metrics.closed(code) }
    func counted(received bytes: Int) { metrics.received.increment(by: bytes) }
    func counted(sent bytes: Int) { metrics.sent.increment(by: bytes) }

    /// One flush per socket and turn of the loop, however many messages it got.
    func flushLater(_ connection: WebSocketConnection) {
        if unflushed.isEmpty {
            let bound = NIOLoopBound(self, eventLoop: eventLoop)
            eventLoop.execute { bound.value.flushNow() }
        }
        unflushed.append(connection)
    }

    func flushNow() {
        let connections = unflushed
        unflushed.removeAll(keepingCapacity: connections.count <= 1024)
        for connection in connections { connection.flush() }
    }

    // MARK: parts

    /// Coalescing works only for what is still in the process, so little may wait below it.
    private func configure(_ channel: any Channel) {
        guard let options = channel.syncOptions else { return }
        let watermark = ChannelOptions.Types.WriteBufferWaterMark(
            low: Limits.WebSocket.writeLowWatermark,
            high: Limits.WebSocket.writeHighWatermark
        )
        try? options.setOption(.writeBufferWaterMark, value: watermark)
        // Whoever sends without end is read a little at a time, between the others.
        try? options.setOption(.maxMessagesPerRead, value: 1)
        try? options.setOption(
            .recvAllocator,
            value: AdaptiveRecvByteBufferAllocator(
                minimum: Limits.HTTP.leastReadBytes,
                initial: Limits.HTTP.leastReadBytes,
                maximum: Limits.WebSocket.readBytes
            )
        )
        // Not every channel is a TCP socket; where one is not, there is nothing to tune.
        try? options.setOption(.tcpOption(.tcp_nodelay), value: 1)
        try? options.setOption(
            .tcpOption(.notSentLowWatermark),
            value: numericCast(Limits.WebSocket.kernelUnsentBytes)
        )
        try? options.setOption(
            .tcpOption(.userTimeout),
            value: numericCast(Limits.WebSocket.userTimeout.milliseconds)
        )
    }
}

extension NIOBSDSocket.Option {
    /// TCP_USER_TIMEOUT (RFC 5482), milliseconds.
    fileprivate static let userTimeout = NIOBSDSocket.Option(rawValue: 18)
    /// TCP_NOTSENT_LOWAT, bytes.
    fileprivate static let notSentLowWatermark = NIOBSDSocket.Option(rawValue: 25)
}

/// The counters of sockets, made once.
struct WebSocketMetrics {
    let open: Gauge
    let received: Counter
    let sent: Counter
    private let factory: any MetricsFactory

    init(factory: any MetricsFactory) {
        self.factory = factory
        open = Gauge(label: MetricCatalog.signalSockets.name, dimensions: [], factory: factory)
        received = Counter(label: MetricCatalog.signalReceivedBytes.name, dimensions: [], factory: factory)
        sent = Counter(label: MetricCatalog.signalSentBytes.name, dimensions: [], factory: factory)
    }

    func closed(_ code: UInt16) {
        Counter(
            label: MetricCatalog.signalSocketsClosed.name,
            dimensions: [("code", "\(code)")],
            factory: factory
        ).increment()
    }
}
