// Empties an outbox into the sockets of one worker. It knows paths, not sessions.
import PeerTransport
import RTP

/// Not thread-safe: belongs to one worker.
package final class Sender {
    /// A socket as the road needs it, without reference counts.
    private struct Way {
        var bound: IPAddress
        var isWildcard: Bool
        var batch: UnsafeMutablePointer<SendBatch>
    }

    /// The owners of what `ways` point to.
    private let sockets: [UDPSocket]
    private let ways: UnsafeMutableBufferPointer<Way>
    private let streams: StreamTable
    private let tally: IOTally

    init(sockets: [UDPSocket], streams: StreamTable, tally: IOTally) {
        self.sockets = sockets
        self.streams = streams
        self.tally = tally
        ways = .allocate(capacity: sockets.count)
        for (i, socket) in sockets.enumerated() {
            let way = Way(
                bound: socket.bound.address,
                isWildcard: socket.isWildcard,
                batch: socket.outgoing
            )
            ways.initializeElement(at: i, to: way)
        }
    }

    deinit { ways.deallocate() }

    /// Sends every message of the outbox or counts why not. Never blocks.
    package func send(_ outbox: Outbox) {
        let slab = UnsafePointer(outbox.slab)
        let messages = UnsafePointer(outbox.messages)
        for i in 0..<outbox.messageCount {
            let message = messages + i
            if !message.pointee.path.isUDP {
                streams.enqueue(message.pointee, of: slab)
            } else if let batch = batch(for: message) {
                batch.pointee.add(message, of: slab)
            } else {
                tally.socketError += message.pointee.segments
            }
        }
        for way in ways { way.batch.pointee.flush() }
        streams.flushQueues()
    }

    /// Of the socket bound to the path's local address, else of the one bound to every address of that family.
    @inline(__always)
    private func batch(for message: UnsafePointer<Outbox.Message>) -> UnsafeMutablePointer<SendBatch>? {
        guard ways.count != 1 else { return ways[0].batch }
        let (local, remote) = (message.pointee.path.local, message.pointee.path.remote)
        var wildcard: UnsafeMutablePointer<SendBatch>?
        for way in ways {
            if way.bound == local { return way.batch }
            if way.isWildcard && way.bound.isIPv6 == remote.isIPv6 { wildcard = way.batch }
        }
        return wildcard
    }
}

/// A sender alone, for those who count what sending costs beside the kernel.
package struct LoneSender {
    package let sender: Sender
    /// To the sender's own socket, which nobody reads.
    package let path: NetworkPath
    private let tally = IOTally()

    /// Messages that the kernel took.
    package var sends: Int { Int(tally.counters.sends) }

    package init() throws {
        let loopback = IPAddress(v4: 0x7f00_0001)
        let socket = try UDPSocket(
            binding: SocketAddress(address: loopback, port: 0),
            options: UDPSocket.Options(),
            tally: tally
        )
        let streams = StreamTable(
            poll: try WorkerPoll(),
            ledger: StreamLedger(),
            checkTimeout: .seconds(1),
            tally: tally
        )
        path = NetworkPath(remote: loopback, remotePort: socket.bound.port)
        sender = Sender(sockets: [socket], streams: streams, tally: tally)
    }
}
