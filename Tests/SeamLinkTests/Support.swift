// A link over a real socket for the tests of this target: a media plane of some lines, a clock that is set by hand, and
// a peer that says whatever a test wants. No test sleeps: all wait for what is said.
import Glibc
import Logging
import Metrics
import NIOCore
import NIOPosix
import RTP
import Seam
import Synchronization
import Testing

@testable import SeamLink

/// What happened, in order; tests wait until it says what they look for.
final class Log<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var waiters: [UInt64: @Sendable ([Element]) -> Bool] = [:]
        var last: UInt64 = 0
    }

    private let state = Mutex(State())

    var all: [Element] { state.withLock { $0.elements } }

    func append(_ more: [Element]) {
        state.withLock { state in
            state.elements += more
            for (id, isDone) in state.waiters where isDone(state.elements) { state.waiters[id] = nil }
        }
    }

    /// What the search finds, now or later; nil only where it is never found: a test that hangs says less.
    func wait<Found: Sendable>(
        seconds: Int64 = 60,
        _ search: @escaping @Sendable ([Element]) -> Found?
    ) async -> Found? {
        let result = Once<Found?>()
        let id = state.withLock { state -> UInt64 in
            state.last += 1
            let look: @Sendable ([Element]) -> Bool = { elements in
                guard let found = search(elements) else { return false }
                result.set(found)
                return true
            }
            if !look(state.elements) { state.waiters[state.last] = look }
            return state.last
        }
        let alarm = MultiThreadedEventLoopGroup.singleton.next().scheduleTask(in: .seconds(seconds)) {
            result.set(nil)
        }
        defer {
            alarm.cancel()
            state.withLock { $0.waiters[id] = nil }
        }
        return await result.value()
    }

    func wait(count: Int) async -> [Element]? {
        await wait { $0.count >= count ? $0 : nil }
    }
}

/// A value that comes once.
final class Once<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var waiter: CheckedContinuation<Value, Never>?
    }

    private let state = Mutex(State())

    func set(_ value: Value) {
        let waiter = state.withLock { state -> CheckedContinuation<Value, Never>? in
            guard state.value == nil else { return nil }
            state.value = value
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: value)
    }

    func value() async -> Value {
        await withCheckedContinuation { continuation in
            let known = state.withLock { state -> Value? in
                if state.value == nil { state.waiter = continuation }
                return state.value
            }
            if let known { continuation.resume(returning: known) }
        }
    }
}

final class ManualClock: Sendable {
    private let time = Mutex(Instant(microseconds: 1_000_000))
    var now: Instant { time.withLock { $0 } }
    func advance(by interval: Interval) { time.withLock { $0 = $0 + interval } }
}

/// Answers `reportState` with what it was given, and remembers every other command.
final class FakePlane: MediaPlane {
    private struct State {
        var receiver: (@Sendable ([Event]) -> Void)?
        var whole: MediaState
        /// Commands that it takes yet; reports need no room.
        var room = Int.max
    }

    let commands = Log<Command>()
    let reports = Log<Int>()
    private let state: Mutex<State>

    init(epoch: String = "e", sessions: Int = 0) {
        state = Mutex(State(whole: Samples.state(sessions: sessions, epoch: epoch)))
    }

    var room: Int {
        get { state.withLock { $0.room } }
        set { state.withLock { $0.room = newValue } }
    }

    func send(_ command: Command) -> Bool {
        if command == .reportState {
            emit([.state(state.withLock { $0.whole })])
            reports.append([1])
            return true
        }
        let isTaken = state.withLock { state in
            guard state.room > 0 else { return false }
            state.room -= 1
            return true
        }
        if isTaken { commands.append([command]) }
        return isTaken
    }

    func deliverEvents(to receiver: @escaping @Sendable ([Event]) -> Void) {
        state.withLock { $0.receiver = receiver }
    }

    func emit(_ events: [Event]) { state.withLock { $0.receiver }?(events) }
}

/// Speaks frames, and whatever else.
final class RawPeer: LinkDelegate {
    let frames = Log<Frame>()
    let ends = Log<LinkFault?>()
    private let opened = Once<any Channel>()

    static func connect(to path: String, reads: Bool = true) async throws -> (RawPeer, any Channel) {
        let peer = RawPeer()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: reads)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        LinkHandler(id: LinkID(rawValue: 1), delegate: peer)
                    )
                }
            }
            .connect(unixDomainSocketPath: path).get()
        return (peer, channel)
    }

    /// The reason that the other side gave before it closed.
    func ending() async throws -> Ending {
        let frame = await frames.wait { $0.first { $0.kind == .end } }
        _ = await ends.wait { $0.first }
        return try LinkCoder().value(Ending.self, of: try #require(frame))
    }

    func linkOpened(_ id: LinkID, _ channel: any Channel) {}
    func linkReceived(_ frame: Frame, bytes: Int, on id: LinkID) { frames.append([frame]) }
    func linkFailed(_ id: LinkID, _ fault: LinkFault) { ends.append([fault]) }
    func linkBecameWritable(_ id: LinkID) {}
    func linkClosed(_ id: LinkID) { ends.append([nil]) }
}

/// A folder of its own for each test, and ends of the link in it.
final class LinkFixture: Sendable {
    let folder: String
    let path: String
    let clock = ManualClock()
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    private let servers = Mutex<[SeamServer]>([])
    private let clients = Mutex<[SeamClient]>([])
    let metrics = TestMetrics()

    private init() throws {
        var template = Array("/tmp/sfu-link-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw LinkSocketError("no folder: \(errno)") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        path = folder + "/media.sock"
    }

    /// Ends everything, however the body ended.
    static func run(_ body: (LinkFixture) async throws -> Void) async throws {
        let fixture = try LinkFixture()
        let result: Result<Void, any Error>
        do {
            try await body(fixture)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        for client in fixture.clients.withLock({ $0 }) { await client.stop() }
        for server in fixture.servers.withLock({ $0 }) { await server.stop() }
        for name in ["media.sock", "media.sock.lock"] { unlink(fixture.folder + "/" + name) }
        rmdir(fixture.folder)
        try await fixture.group.shutdownGracefully()
        try result.get()
    }

    @discardableResult
    func server(_ plane: FakePlane, queuedEvents: Int = 1000) async throws -> SeamServer {
        let server = SeamServer(
            plane: plane,
            path: path,
            build: "test",
            process: 1,
            eventLoop: group.next(),
            logger: Logger(label: "server") { _ in SwiftLogNoOpLogHandler() },
            queuedEvents: queuedEvents,
            clock: { [clock] in clock.now }
        )
        try await server.listen()
        servers.withLock { $0.append(server) }
        return server
    }

    /// With what it delivers.
    func client(queuedCommands: Int = 1000) async throws -> (SeamClient, Log<Event>) {
        let client = SeamClient(
            path: path,
            build: "test",
            process: 2,
            eventLoop: group.next(),
            metrics: metrics,
            logger: Logger(label: "client") { _ in SwiftLogNoOpLogHandler() },
            queuedCommands: queuedCommands,
            clock: { [clock] in clock.now }
        )
        let events = Log<Event>()
        client.deliverEvents { events.append($0) }
        clients.withLock { $0.append(client) }
        try await client.start()
        return (client, events)
    }

    /// A peer that was let in as the gateway.
    func rawGateway(reads: Bool = true) async throws -> (RawPeer, any Channel) {
        let (peer, channel) = try await RawPeer.connect(to: path, reads: reads)
        try await channel.writeAndFlush(hello)
        return (peer, channel)
    }

    var hello: ByteBuffer {
        get throws { try LinkCoder().bytes(.hello, Greeting(build: "test", process: 3)) }
    }
}

extension Log where Element == Event {
    /// The epochs of all states, in order.
    static func epochs(_ events: [Event]) -> [String] {
        events.compactMap { if case .state(let state) = $0 { state.epoch } else { nil } }
    }

    func states(_ count: Int) async -> [String]? {
        await wait { events in
            let epochs = Log<Event>.epochs(events)
            return epochs.count >= count ? epochs : nil
        }
    }
}

extension SeamServer {
    /// The gateway's socket takes more.
    var isWritable: Bool { gateway?.channel.isWritable == true }
}

/// Says one thing to whoever connects.
final class Sayer: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    private let bytes: ByteBuffer

    init(_ bytes: ByteBuffer) { self.bytes = bytes }

    func channelActive(context: ChannelHandlerContext) {
        context.channel.writeAndFlush(bytes, promise: nil)
    }
}

extension SeamClient {
    /// Sends as soon as it is connected.
    func sendSoon(_ command: Command) async {
        while !send(command) { await Task.yield() }
    }
}

/// Sums counters by label and dimensions.
final class TestMetrics: MetricsFactory {
    private let values = Mutex<[String: Int64]>([:])

    subscript(_ name: String) -> Int64? { values.withLock { $0[name] } }

    private final class Handler: CounterHandler, RecorderHandler {
        let add: @Sendable (Int64) -> Void
        let set: @Sendable (Int64) -> Void

        init(add: @escaping @Sendable (Int64) -> Void, set: @escaping @Sendable (Int64) -> Void) {
            self.add = add
            self.set = set
        }

        func increment(by amount: Int64) { add(amount) }
        func reset() {}
        func record(_ value: Int64) { set(value) }
        func record(_ value: Double) { set(Int64(value)) }
    }

    private func handler(_ label: String, _ dimensions: [(String, String)]) -> Handler {
        let name = ([label] + dimensions.map { "\($0)=\($1)" }).joined(separator: " ")
        return Handler(
            add: { [weak self] amount in self?.values.withLock { $0[name, default: 0] += amount } },
            set: { [weak self] value in self?.values.withLock { $0[name] = value } }
        )
    }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        handler(label, dimensions)
    }

    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        handler(label, dimensions)
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        NOOPMetricsHandler.instance
    }

    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}
}
