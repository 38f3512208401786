// The RTP header (RFC 3550 §5.1) as values and offsets. Must not know what a payload or an extension means.

/// A parsed RTP header. Offsets and lengths are bytes from the packet's first byte.
public struct RTPHeader: Equatable, Sendable {
    public static let fixedLength = 12

    public var marker: Bool
    /// The P bit. Behind SRTP the padding itself can be read only after decryption:
    /// `paddingLength(in:length:)`.
    public var hasPadding: Bool
    public var hasExtension: Bool
    /// 0–127
    public var payloadType: UInt8
    public var csrcCount: UInt8
    public var sequenceNumber: UInt16
    public var timestamp: UInt32
    public var ssrc: UInt32
    /// "Defined by profile" of RFC 3550 §5.3.1; 0 without extension.
    public var extensionProfile: UInt16
    /// First byte of the extension's body, behind profile and length.
    public var extensionOffset: Int
    /// Bytes of the extension's body.
    public var extensionLength: Int
    /// Where the payload starts.
    public var headerLength: Int

    /// nil: not version 2, or the packet is too short for what its header promises.
    @inlinable
    public init?(parsing packet: UnsafePointer<UInt8>, length: Int) {
        guard length >= RTPHeader.fixedLength, length <= Int(UInt16.max) else { return nil }
        let first = packet[0]
        guard first & 0xC0 == 0x80 else { return nil }
        let second = packet[1]
        marker = second & 0x80 != 0
        payloadType = second & 0x7F
        hasPadding = first & 0x20 != 0
        hasExtension = first & 0x10 != 0
        csrcCount = first & 0x0F
        sequenceNumber = ByteOrder.load16(packet, 2)
        timestamp = ByteOrder.load32(packet, 4)
        ssrc = ByteOrder.load32(packet, 8)
        var offset = RTPHeader.fixedLength + Int(first & 0x0F) * 4
        extensionProfile = 0
        extensionOffset = offset
        extensionLength = 0
        if first & 0x10 != 0 {
            guard offset + 4 <= length else { return nil }
            extensionProfile = ByteOrder.load16(packet, offset)
            extensionLength = Int(ByteOrder.load16(packet, offset + 2)) * 4
            extensionOffset = offset + 4
            offset = extensionOffset + extensionLength
        }
        guard offset <= length else { return nil }
        headerLength = offset
    }

    /// Bytes of padding at the packet's end, 0 without the P bit. Call on the decrypted packet.
    /// nil: the count is 0 or reaches into the header (RFC 3550 §5.1).
    @inlinable
    public func paddingLength(in packet: UnsafePointer<UInt8>, length: Int) -> Int? {
        guard hasPadding else { return 0 }
        guard length > headerLength else { return nil }
        let count = Int(packet[length - 1])
        guard count > 0, count <= length - headerLength else { return nil }
        return count
    }

    /// Whether a packet of the shared port is RTCP: packet types 192–223 (RFC 5761 §4).
    @inlinable
    public static func isRTCP(_ packet: UnsafePointer<UInt8>, length: Int) -> Bool {
        length >= 2 && packet[1] & 0xE0 == 0xC0
    }

    /// Whether the body has the one-byte form of RFC 8285 §4.2.
    @inlinable
    public var hasOneByteExtensions: Bool { extensionProfile == ExtensionForm.oneByteProfile }

    /// Whether the body has the two-byte form of RFC 8285 §4.3; the low four bits are "appbits".
    @inlinable
    public var hasTwoByteExtensions: Bool {
        extensionProfile & 0xFFF0 == ExtensionForm.twoByteProfile
    }
}
