// Empties an outbox into the sockets of one worker. It knows paths, not sessions.
import PeerTransport

/// Not thread-safe: belongs to one worker.
final class Sender {
    private let sockets: [UDPSocket]
    private let streams: StreamTable
    private let tally: IOTally

    init(sockets: [UDPSocket], streams: StreamTable, tally: IOTally) {
        self.sockets = sockets
        self.streams = streams
        self.tally = tally
    }

    /// Sends every message of the outbox or counts why not. Never blocks.
    func send(_ outbox: Outbox) {
        let slab = UnsafePointer(outbox.slab)
        for i in 0..<outbox.messageCount {
            let message = outbox.messages[i]
            if message.path.connection >= 0 {
                streams.enqueue(message, of: slab)
            } else if sockets.count == 1 {
                sockets[0].add(message, of: slab)
            } else {
                add(message, of: slab)
            }
        }
        for socket in sockets { socket.flush() }
        streams.flushQueues()
    }

    /// The socket bound to the path's local address, else the one bound to every address of that family.
    private func add(_ message: Outbox.Message, of slab: UnsafePointer<UInt8>) {
        var wildcard = -1
        for i in sockets.indices {
            let bound = sockets[i].bound.address
            if bound == message.path.local {
                sockets[i].add(message, of: slab)
                return
            }
            if sockets[i].isWildcard && bound.isIPv6 == message.path.remote.isIPv6 { wildcard = i }
        }
        if wildcard >= 0 {
            sockets[wildcard].add(message, of: slab)
        } else {
            tally.socketError += message.segments
        }
    }
}
