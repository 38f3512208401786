// Sockets, waiting with a deadline and STUN for the tests of this target. No test sleeps: all wait on descriptors.
import CLinux
import Glibc
import PeerTransport
import RTP
import Seam
import Synchronization
import Testing

@testable import MediaIO

/// All tests of this target, one after the other: they count descriptors and threads of the process.
@Suite(.serialized)
enum MediaIOTests {}

let loopback = IPAddress(v4: 0x7f00_0001)
let loopback6 = IPAddress(v6High: 0, low: 1)
let hasIPv6 = NetworkInterface.all().contains { $0.address == loopback6 }

/// Waits until the descriptor can be read; false when the deadline passed.
func waitReadable(_ descriptor: Int32, seconds: Double = 20) -> Bool {
    let end = MonotonicClock.now + .milliseconds(Int64(seconds * 1000))
    while true {
        let left = (end - MonotonicClock.now).milliseconds
        if left <= 0 { return false }
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let count = poll(&entry, 1, Int32(min(left, 1000)))
        if count > 0 { return true }
    }
}

func makeSocket(
    _ address: IPAddress = loopback,
    port: UInt16 = 0,
    _ options: UDPSocket.Options = .init(),
    tally: IOTally = IOTally()
) throws -> UDPSocket {
    try UDPSocket(binding: SocketAddress(address: address, port: port), options: options, tally: tally)
}

func makePath(to socket: UDPSocket, from local: IPAddress = .unspecified) -> NetworkPath {
    NetworkPath(remote: socket.bound.address, remotePort: socket.bound.port, local: local)
}

/// One received kernel buffer, copied out.
struct ReceivedBuffer {
    var bytes: [UInt8]
    var segmentSize: Int
    var remote: SocketAddress
    var local: IPAddress
    var stamp: Int64
}

/// Receives until `bytes` have come or nothing comes any more.
func receiveAll(_ socket: UDPSocket, bytes wanted: Int) throws -> [ReceivedBuffer] {
    let batch = try ReceiveBatch(slots: 16, slotBytes: 65_535)
    var result: [ReceivedBuffer] = []
    var total = 0
    while total < wanted, waitReadable(socket.descriptor) {
        for slot in 0..<socket.receiveBatch(into: batch) {
            let raw = batch.datagrams[slot]
            let bytes = Array(UnsafeBufferPointer(start: raw.bytes, count: Int(raw.length)))
            total += bytes.count
            result.append(
                ReceivedBuffer(
                    bytes: bytes,
                    segmentSize: Int(raw.segment_size),
                    remote: SocketAddress(raw.remote),
                    local: IPAddress(raw.local),
                    stamp: raw.arrival
                )
            )
        }
    }
    return result
}

/// Puts the messages through an outbox into a socket, as a worker does.
func send(_ messages: [(bytes: [UInt8], segmentSize: Int, path: NetworkPath)], through socket: UDPSocket) {
    let outbox = Outbox(onFull: { outbox in
        for i in 0..<outbox.messageCount {
            socket.outgoing.pointee.add(outbox.messages + i, of: outbox.slab)
        }
        socket.outgoing.pointee.flush()
    })
    for (bytes, segmentSize, path) in messages {
        let place = outbox.reserve(bytes.count)
        for i in bytes.indices { place[i] = bytes[i] }
        outbox.commit(
            length: bytes.count,
            segmentSize: segmentSize,
            segments: (bytes.count + segmentSize - 1) / segmentSize,
            on: path
        )
    }
    outbox.flush()
}

/// Bytes that differ from place to place, so that a mix-up shows.
func pattern(_ count: Int, seed: Int = 0) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: ($0 &* 31) ^ ($0 >> 8) ^ (seed &* 17)) }
}

/// Collects events from the workers' threads; waiting is on an eventfd.
final class EventLog: Sendable {
    private let events = Mutex<[Event]>([])
    private let wakeup: Int32 = clinux_eventfd()

    deinit { clinux_close(wakeup) }

    func append(_ more: [Event]) {
        events.withLock { $0.append(contentsOf: more) }
        clinux_eventfd_signal(wakeup)
    }

    var all: [Event] { events.withLock { $0 } }

    /// The first answer that the search gives; nil when the deadline passed.
    func wait<Found>(seconds: Double = 20, _ search: ([Event]) -> Found?) -> Found? {
        let end = MonotonicClock.now + .milliseconds(Int64(seconds * 1000))
        while true {
            if let found = search(all) { return found }
            let left = end - MonotonicClock.now
            guard left > .zero, waitReadable(wakeup, seconds: Double(left.microseconds) / 1e6) else {
                return nil
            }
            clinux_eventfd_clear(wakeup)
        }
    }
}

/// A running server on loopback with its events.
final class ServerFixture {
    let server: MediaServer
    let log = EventLog()

    init(workers: Int, _ adjust: (inout MediaConfiguration) -> Void = { _ in }) throws {
        var configuration = MediaConfiguration(
            certificate: try .generate(),
            epoch: "test",
            listen: try ListenAddress.parse("127.0.0.1:0"),
            workers: workers,
            seed: 7
        )
        configuration.counterInterval = .milliseconds(50)
        adjust(&configuration)
        server = try MediaServer(configuration: configuration)
        let log = self.log
        server.deliverEvents { log.append($0) }
        try server.start()
    }

    deinit { server.stop() }

    var address: SocketAddress { SocketAddress(address: loopback, port: server.port) }

    /// Opens a session in a room and returns what it would answer to the peer.
    func open(_ name: String, room: String) throws -> LocalTransport {
        let open = OpenSession(
            session: SessionID(name),
            room: RoomID(room),
            participant: ParticipantID(name),
            user: UserID(name),
            remote: RemoteTransport(
                ice: ICECredentials(usernameFragment: "peer", password: "aaaaaaaaaaaaaaaaaaaaaaaa"),
                fingerprints: [Fingerprint(algorithm: "sha-256", digest: pattern(32))],
                setup: .active
            )
        )
        try #require(server.send(.open(open)))
        let local = log.wait { events in
            events.compactMap { event -> LocalTransport? in
                if case .sessionOpened(SessionID(name), let local) = event { return local }
                return nil
            }.first
        }
        return try #require(local, "session \(name) was not opened")
    }

    /// The newest counters of each worker that were reported after this call, summed.
    func counters() -> (counts: [String: UInt64], drops: [String: UInt64])? {
        let before = log.all.count
        let workers = server.workerCount
        let newest = log.wait { events -> [Int: WorkerCounters]? in
            var newest: [Int: WorkerCounters] = [:]
            for case .counters(let counters) in events.dropFirst(before) {
                newest[counters.worker] = counters
            }
            return newest.count == workers ? newest : nil
        }
        guard let newest else { return nil }
        var counts: [String: UInt64] = [:]
        var drops: [String: UInt64] = [:]
        for one in newest.values {
            counts.merge(one.counts, uniquingKeysWith: +)
            drops.merge(one.drops, uniquingKeysWith: +)
        }
        return (counts, drops)
    }
}

enum Check {
    /// A binding request as a browser sends it; the transaction id is twelve times `mark`.
    static func request(_ ice: ICECredentials, mark: UInt8, password: String? = nil) throws -> [UInt8] {
        let integrity = try #require(STUNIntegrity())
        var bytes = [UInt8](repeating: 0, count: 256)
        let transaction = [UInt8](repeating: mark, count: 12)
        let username = Array("\(ice.usernameFragment):peer".utf8)
        let length = bytes.withUnsafeMutableBufferPointer { buffer -> Int in
            guard let base = buffer.baseAddress else { return 0 }
            var writer = transaction.withUnsafeBufferPointer { transaction -> STUNWriter? in
                guard let transaction = transaction.baseAddress else { return nil }
                return STUNWriter(base, capacity: 256, kind: .bindingRequest, transaction: transaction)
            }
            username.withUnsafeBufferPointer { writer?.add(STUN.Attribute.username, $0) }
            writer?.add(STUN.Attribute.priority, UInt32(1_862_270_975))
            writer?.add(STUN.Attribute.iceControlling, UInt64(0x0102_0304_0506_0708))
            writer?.add(STUN.Attribute.useCandidate)
            writer?.seal(key: Array((password ?? ice.password).utf8), integrity: integrity)
            writer?.addFingerprint()
            return writer?.length ?? 0
        }
        try #require(length > 0)
        return Array(bytes.prefix(length))
    }

    /// Whether this answers the request of that mark with success, and the address that it tells.
    static func mapped(_ response: [UInt8], mark: UInt8) -> SocketAddress? {
        response.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress, let message = STUNMessage(base, length: buffer.count),
                message.kind == .success, response.count >= 20, response[8..<20].allSatisfy({ $0 == mark }),
                let (address, port) = message.xorMappedAddress
            else { return nil }
            return SocketAddress(address: address, port: port)
        }
    }
}

/// A plain blocking TCP client.
final class StreamClient {
    let descriptor: Int32

    init(to server: SocketAddress) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = server.port.bigEndian
        name.sin_addr.s_addr = UInt32(truncatingIfNeeded: server.address.low).bigEndian
        let connected = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(connected == 0)
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { close(descriptor) }

    func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            rest = rest.dropFirst(count)
        }
    }

    static func framed(_ packet: [UInt8]) -> [UInt8] {
        [UInt8(packet.count >> 8), UInt8(packet.count & 255)] + packet
    }

    private func read(exactly count: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        while bytes.count < count {
            guard waitReadable(descriptor) else { return nil }
            var part = [UInt8](repeating: 0, count: count - bytes.count)
            let got = recv(descriptor, &part, part.count, 0)
            if got <= 0 { return nil }
            bytes += part.prefix(got)
        }
        return bytes
    }

    /// The next frame's packet; nil at the end of the stream or when the deadline passed.
    func readFrame() -> [UInt8]? {
        guard let head = read(exactly: 2) else { return nil }
        return read(exactly: Int(head[0]) << 8 | Int(head[1]))
    }

    /// Whether the server ends the connection before the deadline.
    func isClosedByServer() -> Bool {
        var scrap = [UInt8](repeating: 0, count: 4096)
        while waitReadable(descriptor) {
            if recv(descriptor, &scrap, scrap.count, 0) <= 0 { return true }
        }
        return false
    }
}

extension UDPSocket {
    var segmentsNow: Bool { outgoing.pointee.segmentsNow }
}
