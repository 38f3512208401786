// Datagrams on their way from the worker that the kernel gave them to, to the worker that owns the session; and decrypted
// packets on their way to workers that share a room. One producer, one consumer, preallocated slots, no lock. It knows
// bytes and headers only.
import PeerTransport
import RTP
import SFU
import Synchronization

/// What stands in front of a handed-over datagram's bytes.
struct HandOverHeader {
    var path: NetworkPath
    var arrival: Instant
    var length: Int
    /// The sender does not know the path yet and asks the owner to confirm it.
    var wantsConfirmation: Bool
    /// Set where it is no datagram, but a packet for a room that both have.
    var relayed: RelayedPacket?
}

// @unchecked Sendable: `produced` and the slots behind it belong to the one producing thread, `consumed` and the
// slots before it to the one consuming thread; ownership of a slot passes by the release/acquire pair of the two
// shared indices.
final class HandOverRing: @unchecked Sendable {
    private static var bytesOffset: Int { (MemoryLayout<HandOverHeader>.size + 15) & ~15 }

    let capacity: Int
    private let slotBytes: Int
    private let mask: Int
    private let stride: Int
    private let memory: UnsafeMutableRawPointer

    private let tail = Atomic<Int>(0)
    // Keeps the two sides' indices off one cache line.
    private let padding1 = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    private let head = Atomic<Int>(0)
    private let padding2 = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    // the producer's own
    private var produced = 0
    private var published = 0
    private var seenHead = 0
    private let padding3 = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    // the consumer's own
    private var consumed = 0
    private var seenTail = 0

    /// - Parameters:
    ///   - capacity: slots, rounded up to a power of two.
    ///   - slotBytes: longest datagram.
    init(capacity: Int, slotBytes: Int = Limits.Media.datagramBytes) {
        var size = 2
        while size < capacity { size *= 2 }
        self.capacity = size
        self.slotBytes = slotBytes
        mask = size - 1
        stride = (HandOverRing.bytesOffset + slotBytes + 63) & ~63
        memory = .allocate(byteCount: size * stride, alignment: 64)
    }

    deinit { memory.deallocate() }

    // MARK: the producer

    /// Slots that the producer may still fill.
    private var free: Int { capacity - (produced - seenHead) }

    /// Copies a datagram into the next slot; the consumer sees it after `publish`. False when the ring is full or
    /// the datagram too long.
    ///
    /// - Parameter leaving: slots that must stay free, so that one kind of traffic cannot starve another.
    func push(
        _ bytes: UnsafePointer<UInt8>,
        length: Int,
        path: NetworkPath,
        arrival: Instant,
        wantsConfirmation: Bool = false,
        relayed: RelayedPacket? = nil,
        leaving reserve: Int = 0
    ) -> Bool {
        guard length >= 0, length <= slotBytes else { return false }
        if free <= reserve {
            seenHead = head.load(ordering: .acquiring)
            if free <= reserve { return false }
        }
        let slot = memory + (produced & mask) * stride
        slot.storeBytes(
            of: HandOverHeader(
                path: path,
                arrival: arrival,
                length: length,
                wantsConfirmation: wantsConfirmation,
                relayed: relayed
            ),
            as: HandOverHeader.self
        )
        (slot + HandOverRing.bytesOffset).copyMemory(from: bytes, byteCount: length)
        produced += 1
        return true
    }

    /// Shows what was pushed to the consumer. True when there was something: then the consumer may need a wake.
    func publish() -> Bool {
        guard produced != published else { return false }
        published = produced
        // Sequentially consistent, since the consumer's "I sleep" is read next: one of the two sides must see the
        // other's store.
        tail.store(produced, ordering: .sequentiallyConsistent)
        return true
    }

    // MARK: the consumer

    /// Whether something is published; for the check before sleeping.
    var isEmpty: Bool { tail.load(ordering: .sequentiallyConsistent) == consumed }

    /// Gives out published datagrams in order. Their bytes stay valid until `release`.
    ///
    /// - Returns: how many.
    func consume(
        limit: Int,
        _ body: (HandOverHeader, UnsafeMutablePointer<UInt8>) -> Void
    ) -> Int {
        if seenTail - consumed < limit { seenTail = tail.load(ordering: .acquiring) }
        let count = min(limit, seenTail - consumed)
        for i in 0..<max(0, count) {
            let slot = memory + ((consumed + i) & mask) * stride
            body(
                slot.load(as: HandOverHeader.self),
                (slot + HandOverRing.bytesOffset).assumingMemoryBound(to: UInt8.self)
            )
        }
        consumed += max(0, count)
        return max(0, count)
    }

    /// Gives the consumed slots back to the producer.
    func release() {
        if head.load(ordering: .relaxed) != consumed { head.store(consumed, ordering: .releasing) }
    }
}
