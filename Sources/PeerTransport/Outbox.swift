// Datagrams on their way out: one slab of bytes and a list of messages, filled by the pure floors, emptied by
// whoever has a socket. A message may carry several equal segments for one destination (UDP_SEGMENT).

/// Not thread-safe: belongs to one shard.
public final class Outbox {
    public struct Message {
        public var path: NetworkPath
        /// Into the slab, bytes.
        public var offset: Int
        public var length: Int
        /// Bytes of each segment but the last; equal to `length` where there is one segment.
        public var segmentSize: Int
        /// Number of packets in the message.
        public var segments: Int
    }

    public let slab: UnsafeMutablePointer<UInt8>
    public let messages: UnsafeMutablePointer<Message>
    public var messageCount: Int { count }
    public var byteCount: Int { used }
    // Stored apart from their public faces: those are checked for exclusive access at each use.
    private var count = 0
    private var used = 0
    private let slabCapacity: Int
    private let messageCapacity: Int
    private let onFull: (Outbox) -> Void

    /// - Parameter onFull: sends what is there; the outbox is cleared after it returns.
    public init(bytes: Int = 1 << 20, messages: Int = 1024, onFull: @escaping (Outbox) -> Void) {
        precondition(bytes >= 1 << 17 && messages >= 1)
        slabCapacity = bytes
        messageCapacity = messages
        slab = .allocate(capacity: bytes)
        self.messages = .allocate(capacity: messages)
        self.onFull = onFull
    }

    deinit {
        slab.deallocate()
        messages.deallocate()
    }

    /// Room for `bytes` (at most 65 536) and one more message; flushes first where there is none.
    /// The pointer is valid until the next call of `reserve` or `flush`.
    @inline(__always)
    public func reserve(_ bytes: Int) -> UnsafeMutablePointer<UInt8> {
        if used + bytes > slabCapacity || count == messageCapacity { flush() }
        return slab + used
    }

    /// Adds what was written at the reserved place.
    @inline(__always)
    public func commit(length: Int, segmentSize: Int, segments: Int, on path: NetworkPath) {
        messages[count] = Message(
            path: path,
            offset: used,
            length: length,
            segmentSize: segmentSize,
            segments: segments
        )
        count += 1
        used += length
    }

    @inline(__always)
    public func commit(length: Int, on path: NetworkPath) {
        commit(length: length, segmentSize: length, segments: 1, on: path)
    }

    public func flush() {
        if count > 0 { onFull(self) }
        count = 0
        used = 0
    }
}
