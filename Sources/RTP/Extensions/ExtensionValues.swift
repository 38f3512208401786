// What the header extensions of one packet say (RFC 8285), read once at ingress into a plain value.
// Must not know what anybody does with it.

/// The known header extensions of one packet. A field means something only where `has` says so.
public struct ExtensionValues: Sendable {
    /// One bit per `HeaderExtension.rawValue`.
    public var present: UInt16 = 0
    /// An element ran over the end of the block; what came before it is here.
    public var isMalformed = false

    public var mid = ByteRange.none
    public var rid = ByteRange.none
    public var repairedRid = ByteRange.none
    public var transportSequence: UInt16 = 0
    /// 24-bit 6.18 fixed-point seconds.
    public var absoluteSendTime: UInt32 = 0
    /// V bit and level as on the wire (RFC 6464 §3).
    public var audioLevelByte: UInt8 = 127
    /// Coordination of video orientation (3GPP TS 26.114 §7.4.5).
    public var videoOrientation: UInt8 = 0
    public var videoContentType: UInt8 = 0
    public var hasCaptureClockOffset = false
    /// Minimum and maximum, 12 bits each, in units of 10 ms.
    public var playoutDelay: UInt32 = 0
    /// 64-bit NTP time of capture at the capturer's clock.
    public var absoluteCaptureTime: UInt64 = 0
    /// Estimated offset of the capturer's clock against the sender's, signed 32.32 seconds.
    public var captureClockOffset: Int64 = 0
    public var colorSpace = ByteRange.none
    public var dependencyDescriptor = ByteRange.none
    public var videoLayersAllocation = ByteRange.none

    @inlinable
    public init() {}

    @inlinable
    public func has(_ kind: HeaderExtension) -> Bool { present & 1 << UInt16(kind.rawValue) != 0 }

    /// The sender thinks that this is speech. RFC 6464 §3.
    @inlinable
    public var hasVoiceActivity: Bool { audioLevelByte & 0x80 != 0 }

    /// -dBov: 0 is loudest, 127 silence; 127 where the extension is missing.
    @inlinable
    public var audioLevel: UInt8 { audioLevelByte & 0x7F }

    /// Reads the extension block of a packet whose header is `header`.
    /// Unknown ids and elements of a wrong length are skipped; of a repeated element the last counts.
    public static func parse(
        _ packet: UnsafePointer<UInt8>,
        header: RTPHeader,
        map: borrowing HeaderExtensionMap
    ) -> ExtensionValues {
        var values = ExtensionValues()
        let end = header.extensionOffset + header.extensionLength
        var offset = header.extensionOffset
        if header.hasOneByteExtensions {
            while offset < end {
                let first = packet[offset]
                if first == 0 {
                    offset += 1
                    continue
                }
                let id = first >> 4
                // RFC 8285 §4.2: id 15, and id 0 with a length, stop the walk; what came before counts.
                if id == 15 || id == 0 { break }
                let length = Int(first & 0x0F) + 1
                guard offset + 1 + length <= end else {
                    values.isMalformed = true
                    break
                }
                values.take(packet, offset + 1, length, map.kind(of: id))
                offset += 1 + length
            }
        } else if header.hasTwoByteExtensions {
            while offset < end {
                let id = packet[offset]
                if id == 0 {
                    offset += 1
                    continue
                }
                guard offset + 2 <= end, offset + 2 + Int(packet[offset + 1]) <= end else {
                    values.isMalformed = true
                    break
                }
                let length = Int(packet[offset + 1])
                values.take(packet, offset + 2, length, map.kind(of: id))
                offset += 2 + length
            }
        }
        return values
    }

    private mutating func take(
        _ packet: UnsafePointer<UInt8>,
        _ offset: Int,
        _ length: Int,
        _ kind: HeaderExtension?
    ) {
        // Only the two-byte form can be empty, and no extension is.
        guard let kind, length > 0 else { return }
        let range = ByteRange(
            offset: UInt16(truncatingIfNeeded: offset),
            length: UInt16(truncatingIfNeeded: length)
        )
        switch kind {
        case .mid: mid = range
        case .rid: rid = range
        case .repairedRid: repairedRid = range
        case .transportSequence:
            guard length == 2 else { return }
            transportSequence = ByteOrder.load16(packet, offset)
        case .absoluteSendTime:
            guard length == 3 else { return }
            absoluteSendTime = ByteOrder.load24(packet, offset)
        case .absoluteCaptureTime:
            guard length == 8 || length == 16 else { return }
            absoluteCaptureTime = ByteOrder.load64(packet, offset)
            hasCaptureClockOffset = length == 16
            captureClockOffset = length == 16 ? Int64(bitPattern: ByteOrder.load64(packet, offset + 8)) : 0
        case .audioLevel:
            // RFC 6464 §3: the two-byte form may carry a second byte of padding.
            guard length == 1 || length == 2 else { return }
            audioLevelByte = packet[offset]
        case .videoOrientation:
            guard length == 1 else { return }
            videoOrientation = packet[offset]
        case .playoutDelay:
            guard length == 3 else { return }
            playoutDelay = ByteOrder.load24(packet, offset)
        case .videoContentType:
            guard length == 1 else { return }
            videoContentType = packet[offset]
        case .colorSpace: colorSpace = range
        case .dependencyDescriptor:
            guard length >= 3 else { return }
            dependencyDescriptor = range
        case .videoLayersAllocation: videoLayersAllocation = range
        }
        present |= 1 << UInt16(kind.rawValue)
    }
}

extension ExtensionValues {
    /// Optional views, for code that is not on the packet's road.
    public var transportSequenceIfPresent: UInt16? { has(.transportSequence) ? transportSequence : nil }
    public var absoluteSendTimeIfPresent: UInt32? { has(.absoluteSendTime) ? absoluteSendTime : nil }
    public var audioLevelIfPresent: UInt8? { has(.audioLevel) ? audioLevel : nil }
    public var absoluteCaptureTimeIfPresent: UInt64? {
        has(.absoluteCaptureTime) ? absoluteCaptureTime : nil
    }

    /// Units of 10 ms, 0–4095.
    @inlinable
    public var playoutDelayMinimum: UInt16 { UInt16(truncatingIfNeeded: playoutDelay >> 12 & 0xFFF) }
    @inlinable
    public var playoutDelayMaximum: UInt16 { UInt16(truncatingIfNeeded: playoutDelay & 0xFFF) }
}
