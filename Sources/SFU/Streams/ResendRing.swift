// What one subscriber was sent, by outgoing number: enough to make the same packet again from the shared history.
import RTP

struct SentPacket {
    /// Extended outgoing number; `Int64.min`: free.
    var sequence: Int64 = .min
    /// The packet's number in its source.
    var incoming: Int64 = 0
    /// The source it was made from, cleared when that source goes.
    var source: UnsafeMutablePointer<ReceiveStream>?
    var timestamp: UInt32 = 0
    var pictureID: Int32 = -1
    var resentAt: Instant = .zero
    /// Kept so that a resend under the same number is the same to the bit (nonce reuse, RFC 7714 §8.4).
    var absoluteSendTime: UInt32 = 0
    var transportSequence: UInt16 = 0
    var tl0PictureIndex: Int16 = -1
    var keyIndex: Int8 = -1
    var padding: UInt8 = 0
    var resends: UInt8 = 0
}

struct ResendRing: ~Copyable {
    private let entries: UnsafeMutablePointer<SentPacket>
    private let mask: Int

    init(capacity: Int) {
        var size = 16
        while size < capacity { size *= 2 }
        mask = size - 1
        entries = .allocate(capacity: size)
        entries.initialize(repeating: SentPacket(), count: size)
    }

    deinit { entries.deallocate() }

    var byteCount: Int { (mask + 1) * MemoryLayout<SentPacket>.stride }

    @inline(__always)
    func note(_ packet: SentPacket) {
        entries[Int(truncatingIfNeeded: packet.sequence) & mask] = packet
    }

    /// The packet with this 16-bit number that was sent last.
    func find(_ number: UInt16, highest: Int64) -> UnsafeMutablePointer<SentPacket>? {
        let distance = Int64(UInt16(truncatingIfNeeded: highest) &- number)
        let sequence = highest - distance
        let entry = entries + (Int(truncatingIfNeeded: sequence) & mask)
        return entry.pointee.sequence == sequence ? entry : nil
    }

    /// A source goes: nothing of it can be sent again.
    func forget(_ source: UnsafeMutablePointer<ReceiveStream>) {
        for i in 0...mask where entries[i].source == source { entries[i].sequence = .min }
    }
}
