// Walks the packets of a compound RTCP datagram (RFC 3550 §6.1, reduced size RFC 5506). Must not know their
// meaning.

/// RTCP packet types that the server reads or writes.
public enum RTCPType {
    public static let senderReport: UInt8 = 200
    public static let receiverReport: UInt8 = 201
    public static let sourceDescription: UInt8 = 202
    public static let bye: UInt8 = 203
    public static let application: UInt8 = 204
    /// Transport-layer feedback (RFC 4585 §6.2).
    public static let transportFeedback: UInt8 = 205
    /// Payload-specific feedback (RFC 4585 §6.3).
    public static let payloadFeedback: UInt8 = 206
    public static let extendedReport: UInt8 = 207
}

/// Feedback message types (FMT).
public enum RTCPFeedbackFormat {
    /// Of `RTCPType.transportFeedback`.
    public static let nack: UInt8 = 1
    public static let transportWideCC: UInt8 = 15
    /// Of `RTCPType.payloadFeedback`.
    public static let pli: UInt8 = 1
    public static let fir: UInt8 = 4
    public static let applicationLayer: UInt8 = 15
}

/// One packet of a compound: the bytes behind its four-byte header, without padding.
/// Points into the walked datagram and must not outlive it.
public struct RTCPBlock {
    public let type: UInt8
    /// RC, SC or FMT: the low five bits of the first byte.
    public let count: UInt8
    public let body: UnsafePointer<UInt8>
    public let length: Int

    /// First word of the body: the sender's SSRC in every type but SDES and BYE.
    @inlinable
    public var senderSSRC: UInt32? { length >= 4 ? ByteOrder.load32(body, 0) : nil }

    /// Second word of feedback messages (RFC 4585 §6.1).
    @inlinable
    public var mediaSSRC: UInt32? { length >= 8 ? ByteOrder.load32(body, 4) : nil }

    @inlinable
    public init(type: UInt8, count: UInt8, body: UnsafePointer<UInt8>, length: Int) {
        self.type = type
        self.count = count
        self.body = body
        self.length = length
    }

    /// Whether this is feedback of `type` with format `format`.
    @inlinable
    public func isFeedback(_ type: UInt8, _ format: UInt8) -> Bool {
        self.type == type && count == format
    }
}

/// Yields the packets of one decrypted RTCP datagram, known and unknown types alike.
public struct RTCPWalker {
    private let base: UnsafePointer<UInt8>
    private let end: Int
    private var offset = 0
    /// The walk ended at a packet that is cut off or wrong; the packets before it were yielded.
    public private(set) var isMalformed = false

    public init(_ datagram: UnsafePointer<UInt8>, length: Int) {
        base = datagram
        end = length
        if length < 4 { isMalformed = true }
    }

    /// nil at the end of the datagram, or where it is malformed.
    public mutating func next() -> RTCPBlock? {
        guard offset < end, !isMalformed else { return nil }
        guard offset + 4 <= end, base[offset] & 0xC0 == 0x80 else { return fail() }
        let size = 4 + Int(ByteOrder.load16(base, offset + 2)) * 4
        guard offset + size <= end else { return fail() }
        var bodyLength = size - 4
        if base[offset] & 0x20 != 0 {
            // RFC 3550 §6.4.1: the last byte counts the padding, itself included, in whole words.
            guard bodyLength > 0 else { return fail() }
            let padding = Int(base[offset + size - 1])
            guard padding > 0, padding <= bodyLength else { return fail() }
            bodyLength -= padding
        }
        let block = RTCPBlock(
            type: base[offset + 1],
            count: base[offset] & 0x1F,
            body: base + offset + 4,
            length: bodyLength
        )
        offset += size
        return block
    }

    private mutating func fail() -> RTCPBlock? {
        isMalformed = true
        return nil
    }
}
