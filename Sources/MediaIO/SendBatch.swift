// What one UDP socket is about to send: messages become the kernel's structures and leave with few calls, segmented where the
// kernel takes that. Knows paths and bytes, not what the bytes mean.
import CLinux
import Glibc
import PeerTransport
import RTP

/// In raw memory beside its socket: what a class stores is checked for exclusive access at each use.
struct SendBatch: ~Copyable {
    typealias Transmit = (_ descriptor: Int32, _ batch: OpaquePointer?, _ first: UInt32, _ count: UInt32) ->
        Int32

    /// A message or a part of one, in the kernel's structure of the same number.
    private struct Pending {
        var message: UnsafePointer<Outbox.Message>
        var bytes: UnsafePointer<UInt8>
        var length: UInt32
        var segments: UInt32
    }

    private let descriptor: Int32
    /// Bound to every address: messages must name their source.
    private let isWildcard: Bool
    private let kernelSegments: Bool
    private let batch: OpaquePointer
    /// For the segments of one message that the kernel refused as a whole.
    private let single: OpaquePointer
    private let pending: UnsafeMutablePointer<Pending>
    private var pendingCount = 0
    private var refusals = 0
    /// Segmented messages to split ourselves before the kernel is asked again.
    private var pausedMessages = 0
    private var nextPause = Limits.MediaIO.segmentationPause
    /// Changed through a local name only: for ThreadSanitizer, Swift 6.3 cannot find it within a struct that is not copied.
    private let tally: IOTally
    private let transmit: Transmit

    /// - Parameter transmit: `clinux_send`; tests put the kernel's refusals in its place.
    init(
        descriptor: Int32,
        isWildcard: Bool,
        kernelSegments: Bool,
        tally: IOTally,
        transmit: @escaping Transmit
    ) throws(MediaError) {
        guard let batch = clinux_send_batch_new(UInt32(Limits.MediaIO.sendSlots)) else {
            throw MediaError.system("UDP socket", systemReason(-ENOMEM))
        }
        guard let single = clinux_send_batch_new(UInt32(Limits.Media.segmentsPerSend)) else {
            clinux_send_batch_free(batch)
            throw MediaError.system("UDP socket", systemReason(-ENOMEM))
        }
        self.descriptor = descriptor
        self.isWildcard = isWildcard
        self.kernelSegments = kernelSegments
        self.batch = batch
        self.single = single
        self.tally = tally
        self.transmit = transmit
        pending = .allocate(capacity: Limits.MediaIO.sendSlots)
    }

    deinit {
        clinux_send_batch_free(batch)
        clinux_send_batch_free(single)
        pending.deallocate()
    }

    /// Whether the next message with several segments is handed to the kernel as one.
    var segmentsNow: Bool { kernelSegments && pausedMessages == 0 }

    // MARK: filling

    /// Queues a message; sends when the batch is full. The message and its bytes must live until `flush`.
    @inline(__always)
    mutating func add(_ message: UnsafePointer<Outbox.Message>, of slab: UnsafePointer<UInt8>) {
        let bytes = slab + message.pointee.offset
        if message.pointee.segments > 1 {
            addSegments(message, bytes)
        } else {
            append(message, bytes, length: message.pointee.length, segments: 1)
        }
    }

    private mutating func addSegments(
        _ message: UnsafePointer<Outbox.Message>,
        _ bytes: UnsafePointer<UInt8>
    ) {
        let length = message.pointee.length
        let size = message.pointee.segmentSize
        guard size > 0, length > size else { return append(message, bytes, length: length, segments: 1) }
        var chunk = 1
        if segmentsNow {
            chunk = min(Limits.Media.segmentsPerSend, max(1, Limits.MediaIO.segmentedBytes / size))
        } else if kernelSegments {
            pausedMessages -= 1
        }
        var offset = 0
        while offset < length {
            let part = min(chunk * size, length - offset)
            append(message, bytes + offset, length: part, segments: (part + size - 1) / size)
            offset += part
        }
    }

    @inline(__always)
    private mutating func append(
        _ message: UnsafePointer<Outbox.Message>,
        _ bytes: UnsafePointer<UInt8>,
        length: Int,
        segments: Int
    ) {
        if pendingCount == Limits.MediaIO.sendSlots { flush() }
        fill(
            batch,
            slot: pendingCount,
            bytes,
            length: length,
            segmentSize: segments > 1 ? message.pointee.segmentSize : 0,
            message
        )
        pending[pendingCount] = Pending(
            message: message,
            bytes: bytes,
            length: UInt32(truncatingIfNeeded: length),
            segments: UInt32(truncatingIfNeeded: segments)
        )
        pendingCount += 1
    }

    @inline(__always)
    private mutating func fill(
        _ batch: OpaquePointer,
        slot: Int,
        _ bytes: UnsafePointer<UInt8>,
        length: Int,
        segmentSize: Int,
        _ message: UnsafePointer<Outbox.Message>
    ) {
        let (remoteAddress, localAddress) = (message.pointee.path.remote, message.pointee.path.local)
        var remote = clinux_address(
            high: remoteAddress.high,
            low: remoteAddress.low,
            scope: UInt32(message.pointee.path.scope),
            port: message.pointee.path.remotePort,
            is_ipv6: remoteAddress.isIPv6 ? 1 : 0
        )
        let (slot, length) = (UInt32(truncatingIfNeeded: slot), UInt32(truncatingIfNeeded: length))
        let segmentSize = UInt32(truncatingIfNeeded: segmentSize)
        guard isWildcard, !localAddress.isUnspecified, localAddress.isIPv6 == remoteAddress.isIPv6 else {
            return clinux_send_batch_set(batch, slot, bytes, length, segmentSize, &remote, nil)
        }
        var local = clinux_address(
            high: localAddress.high,
            low: localAddress.low,
            scope: 0,
            port: 0,
            is_ipv6: localAddress.isIPv6 ? 1 : 0
        )
        clinux_send_batch_set(batch, slot, bytes, length, segmentSize, &remote, &local)
    }

    // MARK: sending

    /// Sends what was added. A full socket drops the rest; nothing waits.
    mutating func flush() {
        let tally = tally
        var first = 0
        while first < pendingCount {
            tally.counters.sendCalls += 1
            let sent = Int(transmit(descriptor, batch, UInt32(first), UInt32(pendingCount - first)))
            if sent > 0 {
                countSent(first..<first + sent)
                first += sent
            } else if SendBatch.isFull(-sent) {
                dropRest(from: first)
                break
            } else if pending[first].segments > 1 && SendBatch.refusesSegments(-sent) {
                countRefusal()
                guard sendSingly(pending[first]) else {
                    dropRest(from: first + 1)
                    break
                }
                first += 1
            } else {
                tally.socketError += Int(pending[first].segments)
                first += 1
            }
        }
        pendingCount = 0
    }

    private mutating func dropRest(from first: Int) {
        let tally = tally
        for slot in first..<max(first, pendingCount) { tally.socketFull += Int(pending[slot].segments) }
    }

    private mutating func countSent(_ slots: Range<Int>) {
        var bytes: UInt64 = 0
        var segments: UInt64 = 0
        var shared: UInt64 = 0
        for slot in slots {
            let count = UInt64(pending[slot].segments)
            bytes &+= UInt64(pending[slot].length)
            segments &+= count
            shared &+= count > 1 ? count : 0
        }
        let tally = tally
        tally.counters.sends += UInt64(slots.count)
        tally.counters.bytesSent += bytes
        tally.counters.datagramsSent += segments
        tally.counters.segmentsSent += shared
        guard shared > 0 else { return }
        refusals = 0
        nextPause = Limits.MediaIO.segmentationPause
    }

    private mutating func countRefusal() {
        let tally = tally
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
    private mutating func sendSingly(_ part: Pending) -> Bool {
        let tally = tally
        let size = part.message.pointee.segmentSize
        var slots = 0
        var offset = 0
        while offset < part.length && slots < Limits.Media.segmentsPerSend {
            let length = min(size, Int(part.length) - offset)
            fill(single, slot: slots, part.bytes + offset, length: length, segmentSize: 0, part.message)
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
                    tally.counters.bytesSent += UInt64(min(size, Int(part.length) - slot * size))
                }
                first += sent
            } else if SendBatch.isFull(-sent) {
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
