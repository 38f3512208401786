// The retransmission payload format (RFC 4588 §4): two bytes of original sequence number, then the original
// payload.

public enum RTXPayload {
    /// Bytes in front of the original payload.
    public static let headerLength = 2

    /// The original sequence number. nil: an empty payload, which is padding for bandwidth probes.
    @inlinable
    public static func originalSequence(_ payload: UnsafePointer<UInt8>, length: Int) -> UInt16? {
        length >= headerLength ? ByteOrder.load16(payload, 0) : nil
    }

    /// Writes the header; needs 2 bytes of room.
    @inlinable
    public static func writeOriginalSequence(_ sequence: UInt16, to payload: UnsafeMutablePointer<UInt8>) {
        ByteOrder.store16(sequence, payload, 0)
    }

    /// Turns a received RTX packet back into the original in place: the payload moves two bytes forward to
    /// the header's end, sequence number, payload type and SSRC are the original's. `length` excludes
    /// padding. Returns the new length; nil: nothing is retransmitted here.
    public static func restore(
        _ packet: UnsafeMutablePointer<UInt8>,
        length: Int,
        headerLength: Int,
        payloadType: UInt8,
        ssrc: UInt32
    ) -> Int? {
        let size = length - headerLength - RTXPayload.headerLength
        guard headerLength >= RTPHeader.fixedLength, size > 0 else { return nil }
        let original = ByteOrder.load16(packet, headerLength)
        let payload = packet + headerLength
        payload.update(from: payload + RTXPayload.headerLength, count: size)
        packet[0] &= ~0x20
        packet[1] = packet[1] & 0x80 | payloadType & 0x7F
        ByteOrder.store16(original, packet, 2)
        ByteOrder.store32(ssrc, packet, 8)
        return headerLength + size
    }
}
