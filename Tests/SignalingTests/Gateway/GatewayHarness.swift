// A gateway with fakes around it, and clients that speak to it in the words of the protocol.
import Foundation
import Logging
import NIOCore
import NIOPosix
import RTP
import SDP
import Seam
import Synchronization
import Testing
import Tracing

@testable import Signaling

/// One JSON value, for looking into messages.
struct Message: CustomStringConvertible {
    let json: [String: Any]
    let text: String

    init(_ text: String) throws {
        self.text = text
        json = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    var type: String? { json["type"] as? String }
    var seq: Int? { json["seq"] as? Int }
    var re: Int? { json["re"] as? Int }
    var description: String { text }

    /// `message.string("data", "participants", 0, "pid")`
    func string(_ path: any Sendable...) -> String? { walk(path) as? String }
    func int(_ path: any Sendable...) -> Int? { walk(path) as? Int }
    func bool(_ path: any Sendable...) -> Bool? { walk(path) as? Bool }
    func list(_ path: any Sendable...) -> [[String: Any]] { walk(path) as? [[String: Any]] ?? [] }

    private func walk(_ path: [any Sendable]) -> Any? {
        var value: Any? = json
        for step in path {
            if let key = step as? String {
                value = (value as? [String: Any])?[key]
            } else if let index = step as? Int, let list = value as? [Any], list.indices.contains(index) {
                value = list[index]
            } else {
                return nil
            }
        }
        return value
    }
}

final class GatewayHarness: Sendable {
    let media = FakeMediaPlane()
    let gateway: Gateway
    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    init(
        _ configuration: GatewayConfiguration = GatewayConfiguration(),
        seal: ResumeSeal = ResumeSeal(),
        events: (any EventSink)? = nil,
        tracer: any Tracer = NoOpTracer()
    ) async {
        let shared = SharedTime()
        clock = shared
        gateway = Gateway(
            eventLoop: Self.group.next(),
            media: media,
            verifier: FakeVerifier(),
            configuration: configuration,
            seal: seal,
            events: events,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            tracer: tracer,
            clock: { shared.now },
            wallClock: { UInt64(shared.now.microseconds / 1000) + 1_795_000_000_000 }
        )
        await gateway.listen()
    }

    final class SharedTime: Sendable {
        private let instant = Mutex(Instant(microseconds: 1_000_000))
        var now: Instant { instant.withLock { $0 } }
        func advance(_ interval: Interval) { instant.withLock { $0 = $0 + interval } }
    }
    let clock: SharedTime

    /// Lets the loop do everything that is queued.
    func settle() async {
        for _ in 0..<8 { try? await gateway.eventLoop.submit {}.get() }
    }

    /// Time passes in steps, so that every timer of the gateway gets its turn.
    func pass(_ interval: Interval) async {
        var left = interval
        while left > .zero {
            let step = min(left, Interval.milliseconds(50))
            clock.advance(step)
            await gateway.tick(at: clock.now)
            left = Interval(microseconds: left.microseconds - step.microseconds)
        }
        await settle()
    }

    func emit(_ events: Event...) async {
        media.emit(events)
        await settle()
    }

    func connect(room: String = "standup", traceparent: String? = nil) async -> TestClient {
        let socket = FakeSocket()
        let id = await gateway.opened(
            socket,
            request: SignalingRequest(room: room, remoteAddress: "192.0.2.9", traceparent: traceparent)
        )
        return TestClient(harness: self, socket: socket, id: id)
    }

    /// A client that has its welcome and its snapshot.
    func join(_ token: String, room: String = "standup", did: String? = nil) async throws -> TestClient {
        let client = await connect(room: room)
        let device = did.map { ",\"device\":{\"did\":\"\($0)\"}" } ?? ""
        await client.send(#"{"type":"hello","v":"1.0","data":{"token":"\#(token)"\#(device)}}"#)
        try client.readWelcome()
        return client
    }
}

final class TestClient: Sendable {
    let harness: GatewayHarness
    let socket: FakeSocket
    let id: ConnectionID
    private struct State {
        var read = 0
        var lastID = 0
        var pid = ""
        var sid = ""
        var resumeToken = ""
        var epoch = ""
    }
    private let state = Mutex(State())

    init(harness: GatewayHarness, socket: FakeSocket, id: ConnectionID) {
        self.harness = harness
        self.socket = socket
        self.id = id
    }

    var pid: String { state.withLock { $0.pid } }
    var sid: String { state.withLock { $0.sid } }
    /// Of its first welcome.
    var resumeToken: String { state.withLock { $0.resumeToken } }
    var epoch: String { state.withLock { $0.epoch } }
    var closed: UInt16? { socket.with { $0.closed } }

    /// What the contract does not know may be refused or passed over, but never answered with a result.
    func send(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) async {
        let before = socket.with { $0.texts.count }
        await harness.gateway.received(ByteBuffer(string: text), on: id)
        await harness.settle()
        guard let fault = WireContract.fault(ofClient: text) else { return }
        let results = socket.with { $0.texts.dropFirst(before).filter { $0.hasPrefix("{\"re\":") } }
        #expect(
            results.allSatisfy { $0.contains("\"error\":") },
            "taken, but not in the contract: \(fault)\n\(text.prefix(2000))",
            sourceLocation: sourceLocation
        )
    }

    /// The messages since the last call.
    func take() throws -> [Message] {
        let texts = socket.with { $0.texts }
        let new = state.withLock { state in
            defer { state.read = texts.count }
            return texts[state.read...]
        }
        return try new.map { try Message($0) }
    }

    func readWelcome(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let messages = try take()
        let welcome = try #require(messages.first { $0.type == "welcome" }, sourceLocation: sourceLocation)
        state.withLock {
            $0.pid = welcome.string("data", "pid") ?? ""
            $0.sid = welcome.string("data", "sid") ?? ""
            $0.resumeToken = welcome.string("data", "resume", "token") ?? ""
            $0.epoch = welcome.string("data", "room", "epoch") ?? ""
        }
    }

    /// Sends the next request; the id can be repeated by `repeating`.
    @discardableResult
    func request(_ type: String, _ data: String = "{}") async throws -> Message {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        await send(#"{"id":\#(id),"type":"\#(type)","data":\#(data)}"#)
        let found = socket.with { $0.texts }.last { $0.hasPrefix("{\"re\":\(id),") }
        let text = try #require(found)
        if !text.contains("\"error\":{\"") {
            let fault = WireContract.fault(ofResult: text, to: type)
            #expect(fault == nil, "\(type) was answered with \(text.prefix(2000))")
        }
        return try Message(text)
    }

    func offer(_ fixture: String, tracks: String = "[]", gen: Int = 1) async throws -> Message {
        let sdp = try SDPFixture.text(fixture)
        return try await offer(sdp: sdp, tracks: tracks, gen: gen)
    }

    func offer(sdp: String, tracks: String = "[]", gen: Int = 1) async throws -> Message {
        let quoted = String(decoding: try JSONEncoder().encode(sdp), as: UTF8.self)
        return try await request("pc.offer", #"{"gen":\#(gen),"sdp":\#(quoted),"tracks":\#(tracks)}"#)
    }

    /// Microphone and camera of a browser's simulcast offer.
    func publishBoth() async throws -> [(tid: String, source: String)] {
        let answer = try await offer(
            "chromium_VP8_sim.offer",
            tracks:
                #"[{"mid":"0","cid":"mic","kind":"audio","source":"mic"},{"mid":"1","cid":"cam","kind":"video","source":"camera"}]"#
        )
        return answer.list("data", "tracks").compactMap { track in
            guard let tid = track["tid"] as? String, let source = track["source"] as? String else {
                return nil
            }
            return (tid, source)
        }
    }

    /// Messages of one type since the last call; the others are passed over.
    func take(_ type: String) throws -> [Message] { try take().filter { $0.type == type } }

    func disconnect() async {
        await harness.gateway.closed(id)
        await harness.settle()
    }
}
