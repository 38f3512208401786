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

        @inlinable
        init(path: NetworkPath, offset: Int, length: Int, segmentSize: Int, segments: Int) {
            self.path = path
            self.offset = offset
            self.length = length
            self.segmentSize = segmentSize
            self.segments = segments
        }
    }

    public let slab: UnsafeMutablePointer<UInt8>
    public let messages: UnsafeMutablePointer<Message>
    public var messageCount: Int { fill.pointee.messages }
    public var byteCount: Int { fill.pointee.bytes }
    /// How full it is; behind a pointer, because what is stored in a class is checked for exclusive access at each use.
    @usableFromInline
    struct Fill {
        @usableFromInline var bytes = 0
        @usableFromInline var messages = 0
    }
    @usableFromInline let fill: UnsafeMutablePointer<Fill>
    @usableFromInline let slabCapacity: Int
    @usableFromInline let messageCapacity: Int
    private let onFull: (Outbox) -> Void

    /// - Parameter onFull: sends what is there; the outbox is cleared after it returns.
    public init(bytes: Int = 1 << 20, messages: Int = 1024, onFull: @escaping (Outbox) -> Void) {
        precondition(bytes >= 1 << 17 && messages >= 1)
        slabCapacity = bytes
        messageCapacity = messages
        slab = RoadMemory.allocate(UInt8.self, count: bytes)
        self.messages = RoadMemory.allocate(Message.self, count: messages)
        fill = .allocate(capacity: 1)
        fill.initialize(to: Fill())
        self.onFull = onFull
    }

    deinit {
        RoadMemory.free(slab, count: slabCapacity)
        RoadMemory.free(messages, count: messageCapacity)
        fill.deallocate()
    }

    /// Room for `bytes` (at most 65 536) and one more message; flushes first where there is none.
    /// The pointer is valid until the next call of `reserve` or `flush`.
    @inlinable @inline(__always)
    public func reserve(_ bytes: Int) -> UnsafeMutablePointer<UInt8> {
        if fill.pointee.bytes &+ bytes > slabCapacity || fill.pointee.messages == messageCapacity { flush() }
        return slab + fill.pointee.bytes
    }

    /// Adds what was written at the reserved place.
    @inlinable @inline(__always)
    public func commit(length: Int, segmentSize: Int, segments: Int, on path: NetworkPath) {
        messages[fill.pointee.messages] = Message(
            path: path,
            offset: fill.pointee.bytes,
            length: length,
            segmentSize: segmentSize,
            segments: segments
        )
        fill.pointee.messages &+= 1
        fill.pointee.bytes &+= length
    }

    @inlinable @inline(__always)
    public func commit(length: Int, on path: NetworkPath) {
        commit(length: length, segmentSize: length, segments: 1, on: path)
    }

    public func flush() {
        if fill.pointee.messages > 0 { onFull(self) }
        fill.pointee = Fill()
    }
}
