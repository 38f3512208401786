// What one subscriber was sent, by outgoing number: enough to make the same packet again from the shared history,
// and the proof that no number is used twice.
import PeerTransport
import RTP

struct SentPacket {
    /// Extended outgoing number; `Int64.min`: free.
    var sequence: Int64 = .min
    /// The packet's number in its source.
    var incoming: Int64 = 0
    /// Where its payload was in the history: another packet under the same number is not this one.
    var position: Int = 0
    var timestamp: UInt32 = 0
    var pictureID: Int32 = -1
    var resentAt: Instant = .zero
    /// Kept so that a resend under the same number is the same to the bit (nonce reuse, RFC 7714 §8.4).
    var absoluteSendTime: UInt32 = 0
    var transportSequence: UInt16 = 0
    var tl0PictureIndex: Int16 = -1
    /// The number of its source in `SourceTable`.
    var source: UInt16 = 0
    var keyIndex: Int8 = -1
    var padding: UInt8 = 0
    var resends: UInt8 = 0
    var payloadType: UInt8 = 0
    var flags = Flags(rawValue: 0)
    /// Earlier packets that are repeated in it, one bit each; 0: it is no RED packet.
    var redundancy: UInt8 = 0
    /// Of the dependency descriptor, 0: as the sender says.
    var mask: UInt32 = 0

    struct Flags: OptionSet {
        let rawValue: UInt8
        static let marker = Flags(rawValue: 1)
        /// Never sent: the number of a packet that nobody gets.
        static let void = Flags(rawValue: 2)
    }
}

struct ResendRing: ~Copyable {
    private let entries: UnsafeMutablePointer<SentPacket>
    private let mask: Int

    init(capacity: Int) {
        var size = 16
        while size < capacity { size *= 2 }
        mask = size - 1
        entries = RoadMemory.allocate(SentPacket.self, count: size)
        entries.initialize(repeating: SentPacket(), count: size)
    }

    deinit { RoadMemory.free(entries, count: mask + 1) }

    var byteCount: Int { (mask + 1) * MemoryLayout<SentPacket>.stride }

    /// Whether this number may still be used: it was not, as far as is known, and it is not so old that nobody
    /// knows. An SRTP index must never protect two different packets (RFC 3711 §9.1).
    @inline(__always)
    func isFree(_ sequence: Int64, highest: Int64) -> Bool {
        sequence > highest - Int64(mask + 1)
            && entries[Int(truncatingIfNeeded: sequence) & mask].sequence != sequence
    }

    @inline(__always)
    func prefetch(_ sequence: Int64) {
        Prefetch.memory(
            entries + (Int(truncatingIfNeeded: sequence) & mask),
            bytes: MemoryLayout<SentPacket>.size
        )
    }

    @inline(__always)
    func note(_ packet: SentPacket) {
        entries[Int(truncatingIfNeeded: packet.sequence) & mask] = packet
    }

    /// Numbers in this range are used anew: nothing was ever sent under them.
    mutating func forget(_ range: ClosedRange<Int64>) {
        for sequence in range.suffix(mask + 1) {
            let entry = entries + (Int(truncatingIfNeeded: sequence) & mask)
            if entry.pointee.sequence == sequence { entry.pointee.sequence = .min }
        }
    }

    /// The packet with this 16-bit number that was sent last.
    func find(_ number: UInt16, highest: Int64) -> UnsafeMutablePointer<SentPacket>? {
        let distance = Int64(UInt16(truncatingIfNeeded: highest) &- number)
        let sequence = highest - distance
        let entry = entries + (Int(truncatingIfNeeded: sequence) & mask)
        return entry.pointee.sequence == sequence ? entry : nil
    }
}

/// The sources that a slot was fed from lately, so that what is remembered of a packet needs no pointer that could
/// outlive its encoding.
struct SourceTable {
    private var sources = InlineArray<8, UnsafeMutablePointer<ReceiveStream>?>(repeating: nil)
    private var newest: UInt16 = 0

    /// Numbers another source; the oldest of eight is forgotten.
    mutating func begin(_ source: UnsafeMutablePointer<ReceiveStream>) {
        if sources[Int(newest & 7)] == source { return }
        newest &+= 1
        sources[Int(newest & 7)] = source
    }

    var current: UInt16 { newest }

    /// nil: gone, or too long ago.
    mutating func source(_ number: UInt16) -> UnsafeMutablePointer<ReceiveStream>? {
        newest &- number < 8 ? sources[Int(number & 7)] : nil
    }

    /// The encodings in this range are about to be freed.
    mutating func forget(_ layers: UnsafeMutablePointer<ReceiveStream>, count: Int) {
        for i in 0..<8 {
            guard let source = sources[i], source >= layers, source < layers + count else { continue }
            sources[i] = nil
        }
    }
}
