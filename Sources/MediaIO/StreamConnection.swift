// One accepted ICE-TCP connection (RFC 6544, framing of RFC 4571): bytes in, frames out, whole frames only. It does
// not know whose session it serves.
import CLinux
import Glibc
import PeerTransport
import RTP

/// Not thread-safe: belongs to one worker; another one gets it as a `MovedStream`.
final class StreamConnection {
    enum Stage: Equatable {
        /// Reads exactly the first frame, so that a connection can move with nothing else taken from the socket.
        case awaitingFirstFrame
        /// A STUN request came; the session has not vouched for it yet.
        case awaitingCheck
        case checked
    }

    enum OnReadable: Equatable {
        case open
        /// The first frame is whole.
        case firstFrame
        /// End of stream, an error, or bytes that are no frames.
        case closed(isAborted: Bool)
    }

    let descriptor: Int32
    let path: NetworkPath
    let remote: SocketAddress
    let deadline: Instant
    let seat: StreamSeat
    var stage = Stage.awaitingFirstFrame
    /// Has frames that were queued since the last flush.
    var isDirty = false
    /// The poll watches for room in the socket.
    var watchesWritable = false

    private(set) var firstFrame: [UInt8] = []
    private let deframer = StreamDeframer()
    // 256 KiB: only for connections that are answered at all.
    private var queue: StreamQueue?
    private var reportedDrops: UInt64 = 0

    init(
        descriptor: Int32,
        path: NetworkPath,
        remote: SocketAddress,
        deadline: Instant,
        seat: StreamSeat
    ) {
        self.descriptor = descriptor
        self.path = path
        self.remote = remote
        self.deadline = deadline
        self.seat = seat
    }

    // MARK: in

    /// Reads on towards the end of the first frame, and no byte more.
    func readFirstFrame() -> OnReadable {
        while true {
            var wanted = 2 - firstFrame.count
            if firstFrame.count >= 2 {
                let length = Int(firstFrame[0]) << 8 | Int(firstFrame[1])
                guard length <= Limits.MediaIO.firstFrameBytes else { return .closed(isAborted: true) }
                if length == 0 {
                    firstFrame.removeAll(keepingCapacity: true)
                    continue
                }
                wanted = 2 + length - firstFrame.count
                if wanted == 0 { return .firstFrame }
            }
            let before = firstFrame.count
            firstFrame.append(contentsOf: repeatElement(0, count: wanted))
            let count = firstFrame.withUnsafeMutableBufferPointer { buffer -> Int64 in
                guard let base = buffer.baseAddress else { return 0 }
                return clinux_read(descriptor, base + before, wanted)
            }
            firstFrame.removeLast(wanted - Int(max(0, count)))
            if count == 0 { return .closed(isAborted: true) }
            if count < 0 { return StreamConnection.isAgain(count) ? .open : .closed(isAborted: true) }
        }
    }

    func resume(withFirstFrame bytes: [UInt8]) { firstFrame = bytes }

    /// Hands the first frame on; a frame that is no STUN request closes.
    func deliverFirstFrame(_ deliver: (UnsafeMutableBufferPointer<UInt8>) -> Void) -> OnReadable {
        let result = firstFrame.withUnsafeMutableBufferPointer { deframer.receive($0, deliver: deliver) }
        return result == .open ? .open : .closed(isAborted: true)
    }

    func forgetFirstFrame() { firstFrame = [] }

    /// Reads once and hands on each whole frame.
    func read(
        into buffer: UnsafeMutableBufferPointer<UInt8>,
        _ deliver: (UnsafeMutableBufferPointer<UInt8>) -> Void
    ) -> OnReadable {
        guard let base = buffer.baseAddress else { return .open }
        let count = clinux_read(descriptor, base, buffer.count)
        if count == 0 { return .closed(isAborted: false) }
        if count < 0 { return StreamConnection.isAgain(count) ? .open : .closed(isAborted: false) }
        let taken = UnsafeMutableBufferPointer(start: base, count: Int(count))
        return deframer.receive(taken, deliver: deliver) == .open ? .open : .closed(isAborted: true)
    }

    // MARK: out

    /// Queues one packet.
    func enqueue(_ packet: UnsafePointer<UInt8>, length: Int) {
        let queue = self.queue ?? StreamQueue()
        self.queue = queue
        _ = queue.enqueue(packet, length: length, kind: StreamQueue.Kind(of: packet, length: length))
    }

    /// Packets that the queue dropped since the last call.
    func takeDrops() -> Int {
        guard let queue, queue.droppedPackets > reportedDrops else { return 0 }
        let drops = queue.droppedPackets - reportedDrops
        reportedDrops = queue.droppedPackets
        return Int(clamping: drops)
    }

    /// Bytes that wait for the peer to make room, here and in the kernel.
    var backlog: Int { (queue?.pendingBytes ?? 0) + Int(clinux_tcp_unsent(descriptor)) }

    enum OnFlush: Equatable {
        case empty
        case waiting
        case failed
    }

    /// Writes what the socket takes.
    func flush() -> OnFlush {
        guard let queue else { return .empty }
        while !queue.isEmpty {
            let bytes = queue.nextBytes
            guard let base = bytes.baseAddress, bytes.count > 0 else { return .empty }
            let count = clinux_write(descriptor, base, bytes.count)
            if count < 0 { return StreamConnection.isAgain(count) ? .waiting : .failed }
            queue.wrote(Int(count))
            if count < bytes.count { return .waiting }
        }
        return .empty
    }

    private static func isAgain(_ result: Int64) -> Bool {
        result == -Int64(EAGAIN) || result == -Int64(EWOULDBLOCK)
    }
}
