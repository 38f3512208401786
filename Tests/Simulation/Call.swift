// A call on virtual time: one shard or several, some peers, their links. Moves from event to event; nothing sleeps.
import Glibc
import PeerTransport
import RTP
import SFU
import Seam

public final class Call {
    /// The first shard; in most calls the only one.
    public var shard: Shard { shards[0] }
    public private(set) var shards: [Shard] = []
    /// Where each peer's session lives.
    private var nextNumber: UInt32 = 1
    private var homes: [SessionID: Int] = [:]
    private let relays = Relays()
    /// Of packets between shards, this share is lost, percent.
    public var relayLoss = 0
    public private(set) var now = Instant(microseconds: 1_000_000)
    public private(set) var peers: [SimulatedPeer] = []
    public private(set) var events: [(at: Instant, event: Event)] = []
    /// Datagrams and messages that left the shard.
    public private(set) var datagramsOut = 0
    public private(set) var messagesOut = 0
    /// Keeps the sizes of each message's segments, for `messages`.
    public var keepsMessages: Bool {
        get { mail.keepsMessages }
        set { mail.keepsMessages = newValue }
    }
    public var messages: [(path: NetworkPath, segmentSize: Int, sizes: [Int])] { mail.kept }
    public let seed: UInt64
    private let outbox: Outbox
    private let mail: Mail
    private let injected = UnsafeMutablePointer<UInt8>.allocate(capacity: 2048)
    private let certificate: DTLSCertificate
    private var random: RandomSource
    private static let clientCertificate = try? DTLSCertificate.generate()

    /// What shards hand each other, until the call carries it on.
    private final class Relays {
        var packets: [(from: Int, to: Int, relayed: RelayedPacket, bytes: [UInt8])] = []
        var carried = 0
    }

    /// Packets that crossed from one shard to another.
    public var relayedPackets: Int { relays.carried }

    /// What the outbox was emptied of, until the call carries it on.
    private final class Mail {
        var datagrams: [(path: NetworkPath, bytes: [UInt8])] = []
        var messages = 0
        var isBroken = false
        var discards = false
        var only: Set<NetworkPath>?
        var keepsMessages = false
        var kept: [(path: NetworkPath, segmentSize: Int, sizes: [Int])] = []
    }

    public struct SetupError: Error {}

    /// `SFU_SHARDS` spreads every call over so many shards: what is true of one must be true of several.
    public static let shardsByDefault: Int = {
        guard let text = getenv("SFU_SHARDS") else { return 1 }
        return max(1, min(8, Int(String(cString: text)) ?? 1))
    }()

    public init(
        seed: UInt64,
        shards count: Int = Call.shardsByDefault,
        audioWindow: Interval = .zero,
        videoWindow: Interval = .milliseconds(1),
        limitsBandwidth: Bool = false
    ) throws {
        self.seed = seed
        guard let certificate = Call.clientCertificate else { throw SetupError() }
        self.certificate = certificate
        let mail = Mail()
        self.mail = mail
        outbox = Outbox { outbox in
            guard !mail.discards else { return }
            for i in 0..<outbox.messageCount {
                let message = outbox.messages[i]
                mail.messages += 1
                if let only = mail.only, !only.contains(message.path) { continue }
                var offset = 0
                var segments = 0
                var sizes: [Int] = []
                while offset < message.length {
                    let size = min(message.segmentSize, message.length - offset)
                    let start = outbox.slab + message.offset + offset
                    mail.datagrams.append(
                        (message.path, Array(UnsafeBufferPointer(start: start, count: size)))
                    )
                    offset += size
                    segments += 1
                    if mail.keepsMessages { sizes.append(size) }
                }
                if mail.keepsMessages { mail.kept.append((message.path, message.segmentSize, sizes)) }
                if segments != message.segments { mail.isBroken = true }
            }
        }
        random = .seeded(seed ^ 0x5eed)
        for worker in 0..<count {
            let configuration = ShardConfiguration(
                worker: worker,
                certificate: certificate,
                candidates: [
                    Candidate(
                        network: .udp,
                        address: "10.255.0.1",
                        port: 7882,
                        priority: 2_130_706_431,
                        foundation: "1"
                    )
                ],
                epoch: "simulated",
                ntpAtZero: 3_900_000_000 << 32,
                audioWindow: audioWindow,
                videoWindow: videoWindow,
                limitsBandwidth: limitsBandwidth
            )
            let relays = relays
            shards.append(
                try Shard(
                    configuration: configuration,
                    random: .seeded(seed &+ UInt64(worker) &* 7919),
                    outbox: outbox,
                    relayPort: RelayPort { bytes, length, relayed, to in
                        let copy = Array(UnsafeBufferPointer(start: bytes, count: length))
                        relays.packets.append((worker, to, relayed, copy))
                        return true
                    }
                )
            )
        }
    }

    /// Whether every message had as many segments as it said.
    public var isFraming: Bool { !mail.isBroken }

    deinit { injected.deallocate() }

    // MARK: Signaling

    /// Adds a peer and lets `prepare` say what it publishes and receives; it joins at once.
    /// - Parameter shard: where its session lives; else they take turns.
    @discardableResult
    public func join(
        _ name: String,
        room: String = "room",
        user: String? = nil,
        shard chosen: Int? = nil,
        up: LinkConditions = .perfect,
        down: LinkConditions = .perfect,
        prepare: (SimulatedPeer) -> Void
    ) throws -> SimulatedPeer {
        let peer = try SimulatedPeer(
            name: name,
            certificate: certificate,
            number: nextNumber,
            up: up,
            down: down,
            seed: seed &+ UInt64(nextNumber - 1) &* 977
        )
        prepare(peer)
        nextNumber += 1
        let worker = chosen ?? peers.count % shards.count
        let hosts = Set(peers.filter { $0.room == room }.compactMap { homes[$0.session] })
        peer.room = room
        peers.append(peer)
        homes[peer.session] = worker
        shards[worker].apply(
            .open(
                OpenSession(
                    session: peer.session,
                    room: RoomID(room),
                    participant: peer.participant,
                    user: user.map { UserID($0) } ?? peer.user,
                    remote: peer.remoteTransport
                )
            ),
            sharing: hosts.subtracting([worker]).sorted(),
            at: now
        )
        shards[worker].apply(.configure(peer.session, peer.media()), at: now)
        step()
        return peer
    }

    public func apply(_ command: Command) {
        // Only its shard knows what a command is about.
        for shard in shards { shard.apply(command, at: now) }
        step()
    }

    /// The shard of a peer's session.
    public func home(of peer: SimulatedPeer) -> Shard { shards[homes[peer.session] ?? 0] }

    /// The peer is gone from the room, and from the network.
    public func leave(_ peer: SimulatedPeer) {
        apply(.close(peer.session))
        peers.removeAll { $0 === peer }
    }

    /// Nobody gets what leaves from now on; for runs that count what forwarding itself costs.
    public var discardsOutput: Bool {
        get { mail.discards }
        set { mail.discards = newValue }
    }

    /// Only these paths get what leaves from now on; for rooms with more people than anybody can look at.
    public var carriesOnlyTo: Set<NetworkPath>? {
        get { mail.only }
        set { mail.only = newValue }
    }

    /// Gives the shard datagrams one by one, time standing still, and forwards each at once.
    public func inject(_ datagrams: [[UInt8]], from path: NetworkPath) {
        for datagram in datagrams {
            injected.update(from: datagram, count: datagram.count)
            _ = shard.receive(
                UnsafeMutableBufferPointer(start: injected, count: datagram.count),
                on: path,
                at: now
            )
            shard.advance(to: now)
            outbox.flush()
        }
    }

    /// One of the shard's counts.
    public func counter(_ name: String) -> UInt64 {
        shards.reduce(0) { $0 + ($1.counters.counts[name] ?? 0) }
    }

    /// Sends bytes from an address that no peer has.
    public func receive(_ bytes: [UInt8], from path: NetworkPath) -> ShardReceive {
        var copy = bytes
        return copy.withUnsafeMutableBufferPointer { shard.receive($0, on: path, at: now) }
    }

    /// The peer's new credentials go to the server, the server's to the peer.
    public func restartICE(of peer: SimulatedPeer) {
        apply(.restartICE(peer.session, peer.restartICE()))
    }

    // MARK: Time

    /// Runs everything that happens within the interval.
    public func run(for interval: Interval) {
        let end = now + interval
        while true {
            var next = shards.map(\.nextDeadline).min() ?? .distantFuture
            for peer in peers {
                next = min(next, min(peer.nextDeadline, min(peer.up.nextArrival, peer.down.nextArrival)))
            }
            guard next <= end else { break }
            now = max(now, next)
            step()
        }
        now = end
        step()
    }

    /// Runs until the condition holds; false when it did not within the interval.
    public func run(atMost interval: Interval, until condition: () -> Bool) -> Bool {
        let end = now + interval
        while now < end {
            if condition() { return true }
            run(for: .milliseconds(5))
        }
        return condition()
    }

    private func step() {
        for peer in peers {
            peer.advance(to: now)
            while let arrived = peer.up.receive(at: now) {
                peer.delivered(arrived.tag, at: now)
                var datagram = arrived.bytes
                let shard = home(of: peer)
                datagram.withUnsafeMutableBufferPointer { _ = shard.receive($0, on: peer.path, at: now) }
            }
        }
        if shards.count > 1 { relay() }
        for shard in shards { shard.advance(to: now) }
        outbox.flush()
        // One step of a handshake in each loop, as a worker whose time is up after it.
        for shard in shards where shard.advanceHandshake(at: now) { outbox.flush() }
        carry()
        for shard in shards {
            shard.drainEvents { batch in
                for event in batch {
                    events.append((now, event))
                    handle(event)
                }
            }
            shard.drainPathChanges { _, _ in }
        }
        if shards.count > 1 { relay() }
    }

    /// Carries what the shards say to each other, in order, until they have nothing more to say.
    private func relay() {
        var isQuiet = false
        while !isQuiet {
            isQuiet = true
            for (from, shard) in shards.enumerated() {
                var said: [(Int, RelayMessage)] = []
                shard.drainRelay { worker, message in said.append((worker, message)) }
                for (worker, message) in said {
                    shards[worker].apply(message, from: from, at: now)
                    isQuiet = false
                }
            }
        }
        let packets = relays.packets
        relays.packets.removeAll(keepingCapacity: true)
        for (from, to, relayed, bytes) in packets {
            if relayLoss > 0 && UInt8.random(in: 0..<100, using: &random) < UInt8(relayLoss) { continue }
            relays.carried += 1
            var copy = bytes
            copy.withUnsafeMutableBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                shards[to].receive(base, length: buffer.count, relayed, from: from)
            }
        }
    }

    private func carry() {
        for (path, bytes) in mail.datagrams {
            datagramsOut += 1
            guard let peer = peers.first(where: { $0.path == path || $0.formerPath == path }) else {
                continue
            }
            peer.noteSent(bytes)
            peer.down.send(bytes, at: now)
        }
        messagesOut += mail.messages
        mail.messages = 0
        mail.datagrams.removeAll(keepingCapacity: true)
        for peer in peers {
            while let (datagram, _) = peer.down.receive(at: now) { peer.receive(datagram, at: now) }
        }
    }

    private func handle(_ event: Event) {
        switch event {
        case .sessionOpened(let id, let local), .iceRestarted(let id, let local):
            peers.first { $0.session == id }?.opened(local)
        default: break
        }
    }

    /// The newest state of a peer's slots, by mid.
    public func slots(of peer: SimulatedPeer) -> [String: SlotState] {
        var states: [String: SlotState] = [:]
        for (_, event) in events {
            if case .slots(let id, let changed) = event, id == peer.session {
                for state in changed { states[state.mid] = state }
            }
        }
        return states
    }
}
