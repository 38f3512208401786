// One shard's end of the traffic between shards: what it has to say, and the mirrors of what others publish. Knows no
// thread and no ring: whoever runs the shards carries messages and packets.
import RTP
import Seam

/// What stands beside a decrypted packet that one shard hands to another.
public struct RelayedPacket: Sendable {
    /// Of the uplink, as its own shard numbers them.
    var number: UInt32
    /// An RTCP packet with sender reports; else RTP.
    var isReport: Bool
    /// Where its number stands in the endless sequence, and where that begins: a mirror does not see every packet.
    var place: Int64 = 0
    var origin: Int64 = 0
    /// When it arrived at the server.
    public var arrival: Instant
}

/// How packets leave a shard for another: `push` copies the bytes and returns false where there is no room.
public struct RelayPort {
    let push: (UnsafePointer<UInt8>, _ length: Int, RelayedPacket, _ worker: Int) -> Bool

    public init(
        push: @escaping (UnsafePointer<UInt8>, _ length: Int, RelayedPacket, _ worker: Int) -> Bool
    ) {
        self.push = push
    }
}

/// Belongs to one shard.
final class Relay {
    let worker: Int
    private let port: RelayPort?
    private var messages: [(worker: Int, message: RelayMessage)] = []
    /// Publications of others whose key frames are asked for in this turn.
    private var asked: [Publication] = []
    private var mirrors: [UInt64: Uplink] = [:]
    private var lastNumber: UInt32 = 0
    /// Packets that found no room.
    var lost = 0

    init(worker: Int = 0, port: RelayPort? = nil) {
        self.worker = worker
        self.port = port
    }

    // MARK: Out

    func send(_ content: RelayMessage.Content, of room: RoomID, to worker: Int) {
        messages.append((worker, RelayMessage(room: room, content: content)))
    }

    /// At most one request of a kind for each encoding until the next `drain`.
    func askForKeyFrame(of publication: Publication, layer: Int, isUrgent: Bool) {
        let bit: UInt8 = 1 << UInt8(isUrgent ? layer + 4 : layer)
        guard publication.keyFramesAsked & bit == 0 else { return }
        if publication.keyFramesAsked == 0 { asked.append(publication) }
        publication.keyFramesAsked |= bit
        send(
            .keyFrame(publication.id, layer: layer, isUrgent: isUrgent),
            of: publication.room.id,
            to: publication.uplink.home
        )
    }

    func push(_ packet: UnsafePointer<UInt8>, length: Int, _ relayed: RelayedPacket, to worker: Int) {
        if port?.push(packet, length, relayed, worker) != true { lost += 1 }
    }

    func drain(_ body: (_ worker: Int, RelayMessage) -> Void) {
        guard !messages.isEmpty else { return }
        for publication in asked { publication.keyFramesAsked = 0 }
        asked.removeAll(keepingCapacity: true)
        for (worker, message) in messages { body(worker, message) }
        messages.removeAll(keepingCapacity: true)
    }

    func makeNumber() -> UInt32 {
        lastNumber &+= 1
        return lastNumber
    }

    // MARK: Mirrors

    private func key(_ worker: Int, _ number: UInt32) -> UInt64 { UInt64(worker) << 32 | UInt64(number) }

    func mirror(_ number: UInt32, of worker: Int) -> Uplink? { mirrors[key(worker, number)] }

    func keep(_ mirror: Uplink) { mirrors[key(mirror.home, mirror.number)] = mirror }

    func forget(_ mirror: Uplink) { mirrors[key(mirror.home, mirror.number)] = nil }

    var mirrorCount: Int { mirrors.count }
}
