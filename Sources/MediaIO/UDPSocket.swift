// One bound UDP socket: batches in, batches out, segmentation where the kernel takes it. It knows paths and bytes,
// not what the bytes mean.
import CLinux
import Glibc
import PeerTransport
import RTP

/// What a worker's sockets count while the shard is busy; handed to the shard after each loop.
final class IOTally {
    var counters = IOCounters()
    var socketFull = 0
    var socketError = 0
    var tcpBacklog = 0
    var handOverFull = 0
    var handOverUnknown = 0
    var malformed = 0
}

/// Not thread-safe: belongs to one worker.
final class UDPSocket {
    struct Options {
        var sharesPort = false
        var usesSegmentation = true
        var mergesReceives = true
        var receiveBufferBytes = Limits.MediaIO.receiveBufferBytes
        var sendBufferBytes = Limits.MediaIO.sendBufferBytes
    }

    let descriptor: Int32
    let bound: SocketAddress
    /// Bound to every address: answers must name their source.
    let isWildcard: Bool
    /// What the kernel granted, as it counts (twice the bytes asked for).
    let grantedReceiveBuffer: Int
    let grantedSendBuffer: Int

    typealias Transmit = (_ descriptor: Int32, _ batch: OpaquePointer?, _ first: UInt32, _ count: UInt32) ->
        Int32

    private struct Pending {
        var bytes: UnsafePointer<UInt8>
        var length: Int
        var segmentSize: Int
        var segments: Int
        var path: NetworkPath
    }

    private let batch: OpaquePointer
    /// For the segments of one message that the kernel refused as a whole.
    private let single: OpaquePointer
    private let pending: UnsafeMutablePointer<Pending>
    private var pendingCount = 0
    private let tally: IOTally
    /// `clinux_send`; tests put the kernel's refusals in its place.
    private let transmit: Transmit
    private let kernelSegments: Bool
    private var refusals = 0
    /// Segmented messages to split ourselves before the kernel is asked again.
    private var pausedMessages = 0
    private var nextPause = Limits.MediaIO.segmentationPause

    init(
        binding address: SocketAddress,
        options: Options,
        tally: IOTally,
        transmit: @escaping Transmit = clinux_send
    ) throws(MediaError) {
        isWildcard = address.address.isUnspecified
        var flags = Int32(CLINUX_UDP_TIMESTAMP)
        if options.sharesPort { flags |= Int32(CLINUX_UDP_REUSEPORT) }
        if options.mergesReceives { flags |= Int32(CLINUX_UDP_GRO) }
        if isWildcard { flags |= Int32(CLINUX_UDP_PKTINFO) }
        var raw = address.raw
        descriptor = clinux_udp_open(&raw, flags)
        guard descriptor >= 0 else {
            throw MediaError.bind(network: "UDP", address: address.text, reason: systemReason(descriptor))
        }
        let named = clinux_socket_name(descriptor, &raw)
        bound = SocketAddress(raw)
        grantedReceiveBuffer = Int(
            clinux_receive_buffer(descriptor, Int32(clamping: options.receiveBufferBytes))
        )
        grantedSendBuffer = Int(clinux_send_buffer(descriptor, Int32(clamping: options.sendBufferBytes)))
        kernelSegments = options.usesSegmentation && clinux_udp_segment_supported(descriptor) == 1
        guard named == 0, let batch = clinux_send_batch_new(UInt32(Limits.MediaIO.sendSlots)) else {
            clinux_close(descriptor)
            throw MediaError.system("UDP socket", systemReason(named < 0 ? named : -ENOMEM))
        }
        guard let single = clinux_send_batch_new(UInt32(Limits.Media.segmentsPerSend)) else {
            clinux_send_batch_free(batch)
            clinux_close(descriptor)
            throw MediaError.system("UDP socket", systemReason(-ENOMEM))
        }
        self.batch = batch
        self.single = single
        pending = .allocate(capacity: Limits.MediaIO.sendSlots)
        self.tally = tally
        self.transmit = transmit
    }

    deinit {
        clinux_close(descriptor)
        clinux_send_batch_free(batch)
        clinux_send_batch_free(single)
        pending.deallocate()
    }

    /// Whether the next message with several segments is handed to the kernel as one.
    var segmentsNow: Bool { kernelSegments && pausedMessages == 0 }

    // MARK: sending

    /// Queues a message; sends when the batch is full. The bytes must live until `flush`.
    func add(_ message: Outbox.Message, of slab: UnsafePointer<UInt8>) {
        let bytes = slab + message.offset
        let size = message.segmentSize
        guard message.segments > 1, size > 0, message.length > size else {
            append(
                bytes,
                length: message.length,
                segmentSize: message.length,
                segments: 1,
                path: message.path
            )
            return
        }
        var chunk = min(Limits.Media.segmentsPerSend, max(1, Limits.MediaIO.segmentedBytes / size))
        if !kernelSegments {
            chunk = 1
        } else if pausedMessages > 0 {
            pausedMessages -= 1
            chunk = 1
        }
        var offset = 0
        while offset < message.length {
            let length = min(chunk * size, message.length - offset)
            append(
                bytes + offset,
                length: length,
                segmentSize: size,
                segments: (length + size - 1) / size,
                path: message.path
            )
            offset += length
        }
    }

    @inline(__always)
    private func append(
        _ bytes: UnsafePointer<UInt8>,
        length: Int,
        segmentSize: Int,
        segments: Int,
        path: NetworkPath
    ) {
        if pendingCount == Limits.MediaIO.sendSlots { flush() }
        fill(
            batch,
            slot: pendingCount,
            bytes: bytes,
            length: length,
            segmentSize: segments > 1 ? segmentSize : 0,
            path: path
        )
        pending[pendingCount] = Pending(
            bytes: bytes,
            length: length,
            segmentSize: segmentSize,
            segments: segments,
            path: path
        )
        pendingCount += 1
    }

    @inline(__always)
    private func fill(
        _ batch: OpaquePointer,
        slot: Int,
        bytes: UnsafePointer<UInt8>,
        length: Int,
        segmentSize: Int,
        path: NetworkPath
    ) {
        var remote = clinux_address(
            high: path.remote.high,
            low: path.remote.low,
            scope: UInt32(path.scope),
            port: path.remotePort,
            is_ipv6: path.remote.isIPv6 ? 1 : 0
        )
        if isWildcard && !path.local.isUnspecified && path.local.isIPv6 == path.remote.isIPv6 {
            var local = clinux_address(
                high: path.local.high,
                low: path.local.low,
                scope: 0,
                port: 0,
                is_ipv6: path.local.isIPv6 ? 1 : 0
            )
            clinux_send_batch_set(
                batch,
                UInt32(slot),
                bytes,
                UInt32(length),
                UInt32(segmentSize),
                &remote,
                &local
            )
        } else {
            clinux_send_batch_set(
                batch,
                UInt32(slot),
                bytes,
                UInt32(length),
                UInt32(segmentSize),
                &remote,
                nil
            )
        }
    }

    /// Sends what was added. A full socket drops the rest; nothing waits.
    func flush() {
        var first = 0
        while first < pendingCount {
            tally.counters.sendCalls += 1
            let sent = Int(transmit(descriptor, batch, UInt32(first), UInt32(pendingCount - first)))
            if sent > 0 {
                for slot in first..<first + sent { countSent(pending[slot]) }
                first += sent
            } else if UDPSocket.isFull(-sent) {
                dropRest(from: first)
                break
            } else if pending[first].segments > 1 && UDPSocket.refusesSegments(-sent) {
                countRefusal()
                guard sendSingly(pending[first]) else {
                    dropRest(from: first + 1)
                    break
                }
                first += 1
            } else {
                tally.socketError += pending[first].segments
                first += 1
            }
        }
        pendingCount = 0
    }

    private func dropRest(from first: Int) {
        for slot in first..<max(first, pendingCount) { tally.socketFull += pending[slot].segments }
    }

    @inline(__always)
    private func countSent(_ message: Pending) {
        tally.counters.sends += 1
        tally.counters.bytesSent += UInt64(message.length)
        tally.counters.datagramsSent += UInt64(message.segments)
        if message.segments > 1 {
            tally.counters.segmentsSent += UInt64(message.segments)
            refusals = 0
            nextPause = Limits.MediaIO.segmentationPause
        }
    }

    private func countRefusal() {
        tally.counters.segmentationRefused += 1
        refusals += 1
        // One narrow path must not cost the others their batching; a device that always refuses must not cost a
        // wasted call each time.
        guard refusals >= Limits.MediaIO.segmentationRefusals else { return }
        refusals = 0
        pausedMessages = nextPause
        nextPause = min(nextPause * 2, Limits.MediaIO.segmentationPauseMaximum)
    }

    /// The segments of a refused message, one datagram each. False when the socket is full.
    private func sendSingly(_ message: Pending) -> Bool {
        var slots = 0
        var offset = 0
        while offset < message.length && slots < Limits.Media.segmentsPerSend {
            let length = min(message.segmentSize, message.length - offset)
            fill(
                single,
                slot: slots,
                bytes: message.bytes + offset,
                length: length,
                segmentSize: 0,
                path: message.path
            )
            offset += length
            slots += 1
        }
        var first = 0
        while first < slots {
            tally.counters.sendCalls += 1
            let sent = Int(transmit(descriptor, single, UInt32(first), UInt32(slots - first)))
            if sent > 0 {
                for slot in first..<first + sent {
                    tally.counters.sends += 1
                    tally.counters.datagramsSent += 1
                    let begin = slot * message.segmentSize
                    tally.counters.bytesSent += UInt64(min(message.segmentSize, message.length - begin))
                }
                first += sent
            } else if UDPSocket.isFull(-sent) {
                tally.socketFull += slots - first
                return false
            } else {
                tally.socketError += 1
                first += 1
            }
        }
        return true
    }

    private static func isFull(_ error: Int) -> Bool {
        let error = Int32(truncatingIfNeeded: error)
        return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM
    }

    /// EIO: the device computes no checksums. EINVAL, EMSGSIZE: the route's MTU is below the segment.
    private static func refusesSegments(_ error: Int) -> Bool {
        let error = Int32(truncatingIfNeeded: error)
        return error == EIO || error == EINVAL || error == EMSGSIZE || error == EOPNOTSUPP
            || error == ENOPROTOOPT
    }
}
