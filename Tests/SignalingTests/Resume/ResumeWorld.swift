// A gateway, its media plane and a few clients on virtual time, with a network that loses, delays and repeats.
// One seed makes one story.
import Foundation
import Logging
import NIOCore
import NIOPosix
import RTP
import Seam

@testable import Signaling

final class ResumeWorld {
    struct Outcome: Sendable {
        var cuts = 0
        var gatewayKills = 0
        var mediaKills = 0
        var requests: UInt64 = 0
        var outcomes: [String: Int] = [:]
        var closes: [UInt16: Int] = [:]
        var transitions: [SessionTransition: UInt64] = [:]
        var overflows: UInt64 = 0
        var largest = 0
        var violations: [String] = []
    }

    /// Few, so that many sessions lose what they keep.
    static let criticalEvents = 6

    private let loop: any EventLoop
    private let media = ModelMedia()
    private let seal = ResumeSeal()
    private let isApart: Bool
    private let clock = GatewayHarness.SharedTime()
    private var gateway: Gateway
    private var clients: [ModelClient] = []
    /// Those that clients have given up, but the server has not.
    private var abandoned: [ModelSocket] = []
    /// People who look in and go, so that something happens.
    private var visitors: [ModelSocket] = []
    private var visits = 0
    private var random: SeededRandom
    private(set) var outcome = Outcome()
    private var ticks = 0

    init(seed: UInt64, clients count: Int, isApart: Bool, offer: String, on loop: any EventLoop) {
        self.loop = loop
        self.isApart = isApart
        random = SeededRandom(seed: seed &* 0xd134_2543_de82_ef95 &+ 1)
        gateway = Self.makeGateway(media, seal, isApart, clock, loop)
        for n in 0..<count { clients.append(ModelClient(user: "u\(n)", offer: Self.offer(offer, of: n))) }
        gateway.assumeIsolated { $0.listen() }
    }

    /// Each client has a certificate of its own.
    private static func offer(_ text: String, of n: Int) -> String {
        text.components(separatedBy: "\r\n").map { line in
            guard line.hasPrefix("a=fingerprint:") else { return line }
            let hex = ["0\(n)"] + (1..<32).map { _ in "AA" }
            return "a=fingerprint:sha-256 \(hex.joined(separator: ":"))"
        }.joined(separator: "\r\n")
    }

    private static func makeGateway(
        _ media: ModelMedia,
        _ seal: ResumeSeal,
        _ isApart: Bool,
        _ clock: GatewayHarness.SharedTime,
        _ loop: any EventLoop
    ) -> Gateway {
        Gateway(
            eventLoop: loop,
            media: media,
            verifier: FakeVerifier(),
            configuration: GatewayConfiguration(
                isDevelopment: true,
                criticalEvents: criticalEvents,
                isMediaApart: isApart
            ),
            seal: seal,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            clock: { clock.now },
            wallClock: { UInt64(clock.now.microseconds / 1000) + 1_795_000_000_000 }
        )
    }

    private func chance(_ probability: Double) -> Bool {
        Double.random(in: 0..<1, using: &random) < probability
    }

    // MARK: The story

    func run(steps: Int) {
        for client in clients { connect(client) }
        for _ in 0..<steps { step() }
        quiesce()
        compare()
    }

    private func step() {
        let client = clients[Int.random(in: 0..<clients.count, using: &random)]
        switch Double.random(in: 0..<1, using: &random) {
        case ..<0.30: deliverToServer(anySocket(of: client))
        case ..<0.62: deliverToClient(client)
        case ..<0.70: client.wish(&random)
        case ..<0.76: client.acknowledge()
        case ..<0.78: visit()
        case ..<0.90: tick(.milliseconds(Int64.random(in: 1...60, using: &random)))
        case ..<0.94: cut(client)
        case ..<0.965: if client.socket == nil { connect(client) }
        case ..<0.975: if client.isLive { connect(client) }
        case ..<0.985: noticeAbandoned()
        case ..<0.990: client.socket?.room = Int.random(in: 1...12, using: &random)
        case ..<0.9905: tick(.seconds(Int64.random(in: 5...70, using: &random)))
        case ..<0.9912: killGateway()
        case ..<0.9916: if isApart { killMedia() }
        default: break
        }
        // What the media plane has answered may wait, and all sorts of things happen meanwhile.
        if chance(0.3) { takeMediaEvents() }
        for client in clients { look(at: client) }
    }

    private func visit() {
        if visitors.count > 2 || (!visitors.isEmpty && chance(0.4)) {
            let socket = visitors.removeFirst()
            if let id = socket.id { say(#"{"id":1,"type":"leave"}"#, on: id) }
            return end(socket)
        }
        visits += 1
        let socket = ModelSocket()
        socket.room = .max
        let id = gateway.assumeIsolated {
            $0.opened(socket, request: SignalingRequest(room: "room", remoteAddress: "192.0.2.1"))
        }
        socket.id = id
        visitors.append(socket)
        // Some bring media, and may be gone before they are welcome.
        let offering = chance(0.5) ? clients.first?.offering(as: visits) : nil
        say(
            #"{"type":"hello","data":{"user":{"uid":"visitor\#(visits)"}\#(offering.map { #","pc":\#($0)"# } ?? "")}}"#,
            on: id
        )
    }

    private func say(_ text: String, on id: ConnectionID) {
        gateway.assumeIsolated { $0.received(ByteBuffer(string: text), on: id) }
    }

    private func anySocket(of client: ModelClient) -> ModelSocket? {
        let late = abandoned.filter { !$0.toServer.isEmpty }
        if !late.isEmpty, chance(0.3) { return late[Int.random(in: 0..<late.count, using: &random)] }
        return client.socket
    }

    private func connect(_ client: ModelClient) {
        if let old = client.socket { abandoned.append(old) }
        let socket = ModelSocket()
        client.socket = socket
        socket.id = gateway.assumeIsolated {
            $0.opened(socket, request: SignalingRequest(room: "room", remoteAddress: "192.0.2.1"))
        }
        socket.toServer.append(client.hello(restartsICE: chance(0.3)))
    }

    private func deliverToServer(_ socket: ModelSocket?) {
        guard let socket, let id = socket.id, !socket.toServer.isEmpty else { return }
        let text = socket.toServer.removeFirst()
        guard socket.closed == nil else { return }
        gateway.assumeIsolated { $0.received(ByteBuffer(string: text), on: id) }
    }

    private func deliverToClient(_ client: ModelClient) {
        guard let socket = client.socket else { return }
        for _ in 0..<Int.random(in: 1...6, using: &random) where !socket.toClient.isEmpty {
            let wasFull = socket.toClient.count >= socket.room
            client.receive(socket.toClient.removeFirst())
            if wasFull, let id = socket.id, socket.closed == nil {
                gateway.assumeIsolated { $0.writabilityChanged(id, isWritable: true) }
            }
        }
    }

    /// A socket that the server has closed reaches its end at the client, too.
    private func look(at client: ModelClient) {
        guard let socket = client.socket else { return }
        if socket.toClient.count >= socket.room, let id = socket.id, socket.closed == nil {
            gateway.assumeIsolated { $0.writabilityChanged(id, isWritable: false) }
        }
        guard socket.closed != nil, socket.toClient.isEmpty || socket.isCut else { return }
        end(socket)
        client.socket = nil
        client.isLive = false
    }

    private func end(_ socket: ModelSocket) {
        guard let id = socket.id else { return }
        if let code = socket.closed { outcome.closes[code, default: 0] += 1 }
        socket.id = nil
        gateway.assumeIsolated { $0.closed(id) }
    }

    /// What is on the way is lost; the server notices at once, later, or by the next hello.
    private func cut(_ client: ModelClient) {
        guard let socket = client.socket else { return }
        outcome.cuts += 1
        socket.isCut = true
        socket.toClient = []
        if chance(0.5) { socket.toServer = [] }
        client.socket = nil
        client.isLive = false
        if chance(0.6) { end(socket) } else { abandoned.append(socket) }
        if chance(0.8) { connect(client) }
    }

    private func noticeAbandoned() {
        guard !abandoned.isEmpty else { return }
        end(abandoned.remove(at: Int.random(in: 0..<abandoned.count, using: &random)))
    }

    private func tick(_ interval: Interval) {
        clock.advance(interval)
        ticks += 1
        let now = clock.now
        gateway.assumeIsolated { $0.tick(at: now) }
        takeMediaEvents()
        measure()
    }

    private func takeMediaEvents() { gateway.assumeIsolated { $0.takeMediaEvents() } }

    /// As with kill -9: sockets die, and nothing is said to anybody.
    private func killGateway() {
        outcome.gatewayKills += 1
        count()
        for client in clients {
            client.socket?.id = nil
            client.socket = nil
            client.isLive = false
        }
        abandoned = []
        visitors = []
        gateway = Self.makeGateway(media, seal, isApart, clock, loop)
        if !isApart { media.restart() }
        let report = media.report
        let now = clock.now
        let isApart = isApart
        gateway.assumeIsolated {
            $0.listen()
            if isApart { $0.reconcile(with: report, at: now) }
        }
    }

    private func killMedia() {
        outcome.mediaKills += 1
        media.restart()
        let report = media.report
        let now = clock.now
        gateway.assumeIsolated {
            $0.reconcile(with: report, at: now)
            $0.flush(at: now)
        }
    }

    /// Gateways that are killed take their counts with them.
    private func count() {
        let statistics = gateway.assumeIsolated { $0.readStatistics() }
        outcome.requests += statistics.requests
        outcome.overflows += statistics.overflows
        outcome.transitions.merge(statistics.transitions, uniquingKeysWith: +)
        if statistics.impossibleTransitions > 0 {
            outcome.violations.append("\(statistics.impossibleTransitions) impossible steps of sessions")
        }
    }

    private func measure() {
        outcome.largest = max(
            outcome.largest,
            gateway.assumeIsolated { $0.sessions.values.map(\.session.criticalCount).max() ?? 0 }
        )
    }

    // MARK: The end

    /// Everything arrives, and nobody wants anything more.
    private func quiesce() {
        while !visitors.isEmpty { end(visitors.removeFirst()) }
        tick(Limits.Signaling.detachGrace)
        for _ in 0..<600 {
            for client in clients {
                client.socket?.room = 64
                if client.socket == nil { connect(client) }
                for _ in 0..<20 { deliverToServer(client.socket) }
                for _ in 0..<20 { deliverToClient(client) }
                client.acknowledge()
                look(at: client)
            }
            while !abandoned.isEmpty { noticeAbandoned() }
            tick(.milliseconds(50))
        }
        count()
    }

    private func compare() {
        for client in clients {
            outcome.violations += client.violations
            outcome.outcomes.merge(client.outcomes, uniquingKeysWith: +)
            if !client.isLive { outcome.violations.append("\(client.user) is not live") }
            if !client.pending.isEmpty {
                outcome.violations.append("\(client.user) waits for \(client.pending.map(\.type))")
            }
            let truth = truth(for: client)
            let seen = client.people.mapValues(Self.shown)
            for pid in Set(truth.keys).union(seen.keys).sorted() where truth[pid] != seen[pid] {
                let whose = pid == client.pid ? "itself" : pid
                outcome.violations.append(
                    "\(client.user) sees \(whose) as \(seen[pid]?.description ?? "nobody"), "
                        + "the truth is \(truth[pid]?.description ?? "nobody")"
                )
            }
        }
        // The media plane has the sessions that the gateway knows, and no others.
        let known = gateway.assumeIsolated { Set($0.links.keys) }
        if known != media.sessions { outcome.violations.append("media has \(media.sessions), not \(known)") }
    }

    private struct Shown: Equatable, CustomStringConvertible {
        var conn: String
        var tracks: [String: Bool]
        var description: String { "\(conn) \(tracks.sorted { $0.key < $1.key }.map { "\($0)=\($1)" })" }
    }

    private static func shown(_ person: ModelClient.Person) -> Shown {
        Shown(conn: person.conn, tracks: person.tracks.mapValues(\.muted))
    }

    private func truth(for client: ModelClient) -> [String: Shown] {
        let pid = client.pid
        let objects = gateway.assumeIsolated { gateway in
            (gateway.rooms[RoomID("room")]?.state.visible ?? []).map { $0.object(for: ParticipantID(pid)) }
        }
        return Dictionary(
            uniqueKeysWithValues: objects.map { object in
                (
                    object.pid,
                    Shown(
                        conn: object.conn.rawValue,
                        tracks: Dictionary(uniqueKeysWithValues: object.tracks.map { ($0.tid, $0.muted) })
                    )
                )
            }
        )
    }
}
