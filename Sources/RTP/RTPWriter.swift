// Writes RTP headers (RFC 3550 §5.1) into memory of the caller. Must not know streams or codecs.

/// Stateless writers; the caller guarantees the room that each one names.
public enum RTPWriter {
    /// Writes 12 bytes, without CSRCs. The X and P bits are set by `setExtensionBit` and `setPaddingBit`.
    @inlinable
    public static func writeFixedHeader(
        to packet: UnsafeMutablePointer<UInt8>,
        marker: Bool,
        payloadType: UInt8,
        sequenceNumber: UInt16,
        timestamp: UInt32,
        ssrc: UInt32
    ) {
        packet[0] = 0x80
        packet[1] = (marker ? 0x80 : 0) | payloadType & 0x7F
        ByteOrder.store16(sequenceNumber, packet, 2)
        ByteOrder.store32(timestamp, packet, 4)
        ByteOrder.store32(ssrc, packet, 8)
    }

    @inlinable
    public static func setExtensionBit(_ packet: UnsafeMutablePointer<UInt8>) { packet[0] |= 0x10 }

    @inlinable
    public static func setPaddingBit(_ packet: UnsafeMutablePointer<UInt8>) { packet[0] |= 0x20 }

    /// Appends `count` bytes of padding (1–255, RFC 3550 §5.1) behind `length` bytes and sets the P bit.
    /// Returns the new length. Needs `length + count` bytes of room.
    @inlinable
    public static func appendPadding(
        _ packet: UnsafeMutablePointer<UInt8>,
        length: Int,
        count: UInt8
    ) -> Int {
        guard count > 0 else { return length }
        let end = length + Int(count)
        (packet + length).update(repeating: 0, count: Int(count))
        packet[end - 1] = count
        setPaddingBit(packet)
        return end
    }
}
