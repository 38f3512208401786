// What the shards of one server say to each other of the rooms that they share, and the packets that cross between them.
import PeerTransport
import RTP
import Seam

extension Shard {
    /// What another shard of this server says; in the order in which it said it.
    public func apply(_ message: RelayMessage, from worker: Int, at now: Instant) {
        guard let room = roomsByID[message.room] else {
            // It may have been asked by a room that is gone.
            if message.content == .hello { relay.send(.goodbye, of: message.room, to: worker) }
            return
        }
        room.receive(message.content, from: worker)
        nextRoomTimer = now
    }

    /// What is to be said to the others, after each `receive`, `apply` or `advance` of a batch.
    public func drainRelay(_ body: (_ worker: Int, RelayMessage) -> Void) {
        counts.pointee.withhold(.relayFull, relay.lost)
        relay.lost = 0
        relay.drain(body)
    }

    /// A packet that another shard decrypted, of a session there.
    public func receive(
        _ packet: UnsafeMutablePointer<UInt8>,
        length: Int,
        _ relayed: RelayedPacket,
        from worker: Int
    ) {
        let now = relayed.arrival
        guard let mirror = relay.mirror(relayed.number, of: worker) else {
            return counts.pointee.withhold(.relayUnknown)
        }
        counts.pointee.relayed &+= 1
        if relayed.isReport {
            return mirror.receiveReports(packet, length: length, ntp: ntp(at: now), at: now)
        }
        let drop = mirror.receiveRTP(packet, length: length, windows: windows, relayed: relayed, at: now)
        if let drop { counts.pointee.withhold(drop) }
        queue(mirror.room, at: now)
        if mirror.room.needsDealing { nextRoomTimer = now }
    }
}
