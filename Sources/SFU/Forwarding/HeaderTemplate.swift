// The RTP header of one outgoing stream, written once: per packet a copy and a few patched bytes.
// Knows the subscriber's extension ids, not what the extensions are for.
import RTP

struct HeaderTemplate {
    /// 48 bytes in three words that are copied as such.
    private var words = (SIMD16<UInt8>(), SIMD16<UInt8>(), SIMD16<UInt8>())
    /// Fixed header, extension header and the elements that every packet has.
    private var baseLength = RTPHeader.fixedLength
    /// Elements that every packet has.
    private var baseElements = 0
    private var hasExtensions = false
    /// Offsets of the values to patch, 0: not negotiated.
    private var transportSequenceOffset = 0
    private var sendTimeOffset = 0
    private var audioLevelID: UInt8 = 0
    private var orientationID: UInt8 = 0
    private var captureTimeID: UInt8 = 0
    private var playoutDelayID: UInt8 = 0
    private var contentTypeID: UInt8 = 0
    private var colorSpaceID: UInt8 = 0
    /// Of the dependency descriptor; over 14 it needs the two-byte form.
    private var descriptorID: UInt8 = 0
    private var allowsTwoBytes = false
    private var optional: PacketRecord.Flags = []

    init(section: MediaSection, ssrc: UInt32) {
        // Ids over 14 would need the two-byte form of RFC 8285 §4.3; such elements are left out.
        func id(_ kind: HeaderExtension) -> UInt8 {
            let id = section.extensions.first { $0.kind == kind }?.id ?? 0
            return id <= 14 ? id : 0
        }
        var base: [UInt8] = [0x80, 0, 0, 0, 0, 0, 0, 0]
        base += [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: ssrc >> $0) }
        base += [0xbe, 0xde, 0, 0]
        let start = base.count
        if id(.transportSequence) != 0 {
            transportSequenceOffset = base.count + 1
            base += [id(.transportSequence) << 4 | 1, 0, 0]
            baseElements += 1
        }
        if id(.absoluteSendTime) != 0 {
            sendTimeOffset = base.count + 1
            base += [id(.absoluteSendTime) << 4 | 2, 0, 0, 0]
            baseElements += 1
        }
        let mid = Array(section.mid.utf8.prefix(16))
        if id(.mid) != 0 && !mid.isEmpty {
            base += [id(.mid) << 4 | UInt8(mid.count - 1)] + mid
            baseElements += 1
        }
        audioLevelID = id(.audioLevel)
        orientationID = id(.videoOrientation)
        captureTimeID = id(.absoluteCaptureTime)
        playoutDelayID = id(.playoutDelay)
        contentTypeID = id(.videoContentType)
        colorSpaceID = id(.colorSpace)
        descriptorID = id(.dependencyDescriptor)
        allowsTwoBytes = section.allowsMixedExtensions
        if audioLevelID != 0 { optional.insert(.audioLevel) }
        if orientationID != 0 { optional.insert(.orientation) }
        if captureTimeID != 0 { optional.insert(.captureTime) }
        if playoutDelayID != 0 { optional.insert(.playoutDelay) }
        if contentTypeID != 0 { optional.insert(.contentType) }
        if colorSpaceID != 0 { optional.insert(.colorSpace) }
        hasExtensions = base.count > start
        baseLength = hasExtensions ? base.count : RTPHeader.fixedLength
        for (i, byte) in base.prefix(48).enumerated() {
            switch i / 16 {
            case 0: words.0[i % 16] = byte
            case 1: words.1[i % 16] = byte
            default: words.2[i % 16] = byte
            }
        }
    }

    /// Whether packets bear transport-wide numbers.
    var hasTransportSequence: Bool { transportSequenceOffset != 0 }

    /// Whether the subscriber is told the layers of each packet by dependency descriptors.
    var hasDescriptor: Bool { descriptorID != 0 }

    /// The longest value of a one-byte element (RFC 8285 §4.2).
    private static let longestOneByteValue = 16

    /// Header bytes of a packet whose record has these flags.
    /// - Parameter descriptor: bytes of the dependency descriptor as it goes out, 0: none.
    @inline(__always)
    mutating func length(with flags: PacketRecord.Flags, descriptor: Int = 0) -> Int {
        let wanted = flags.intersection(optional)
        let descriptor = descriptorID == 0 ? 0 : descriptor
        if descriptor > 0 || wanted.contains(.colorSpace) { return length(wanted, flags, descriptor) }
        guard hasExtensions || !wanted.isEmpty else { return RTPHeader.fixedLength }
        return (oneByteLength(wanted, flags) + 3) & ~3
    }

    @inline(__always)
    private mutating func oneByteLength(_ wanted: PacketRecord.Flags, _ flags: PacketRecord.Flags) -> Int {
        var length = hasExtensions ? baseLength : RTPHeader.fixedLength + 4
        if wanted.contains(.audioLevel) { length += 2 }
        if !wanted.subtracting(.audioLevel).isEmpty {
            if wanted.contains(.orientation) { length += 2 }
            if wanted.contains(.captureTime) { length += flags.contains(.captureOffset) ? 17 : 9 }
            if wanted.contains(.playoutDelay) { length += 4 }
            if wanted.contains(.contentType) { length += 2 }
        }
        return length
    }

    private mutating func length(_ wanted: PacketRecord.Flags, _ flags: PacketRecord.Flags, _ descriptor: Int)
        -> Int
    {
        var elements = baseElements + wanted.subtracting(.colorSpace).rawValue.nonzeroBitCount
        var length = oneByteLength(wanted, flags)
        var isWide = false
        func add(_ value: Int) {
            guard value > 0, value <= HeaderTemplate.longestOneByteValue || allowsTwoBytes else { return }
            if value > HeaderTemplate.longestOneByteValue { isWide = true }
            elements += 1
            length += 1 + value
        }
        add(descriptor)
        if wanted.contains(.colorSpace) { add(flags.colorSpaceLength) }
        if elements == 0 { return RTPHeader.fixedLength }
        return (length + (isWide ? elements : 0) + 3) & ~3
    }

    /// Writes the header; returns its length, the same as `length(with:descriptor:)`.
    @inline(__always)
    mutating func write(
        to packet: UnsafeMutablePointer<UInt8>,
        payloadType: UInt8,
        marker: Bool,
        sequence: UInt16,
        timestamp: UInt32,
        transportSequence: UInt16,
        absoluteSendTime: UInt32,
        record: UnsafeMutablePointer<PacketRecord>,
        descriptor: OutgoingDescriptor = OutgoingDescriptor(),
        colorSpace: UnsafePointer<UInt8>? = nil
    ) -> Int {
        let flags = record.pointee.flags
        let place = UnsafeMutableRawPointer(packet)
        place.storeBytes(of: words.0, toByteOffset: 0, as: SIMD16<UInt8>.self)
        place.storeBytes(of: words.1, toByteOffset: 16, as: SIMD16<UInt8>.self)
        place.storeBytes(of: words.2, toByteOffset: 32, as: SIMD16<UInt8>.self)
        packet[1] = payloadType | (marker ? 0x80 : 0)
        ByteOrder.store16(sequence, packet, 2)
        ByteOrder.store32(timestamp, packet, 4)
        let wanted = flags.intersection(optional)
        let hasDescriptor = descriptor.length > 0 && descriptorID != 0
        guard hasExtensions || !wanted.isEmpty || hasDescriptor else { return RTPHeader.fixedLength }
        packet[0] = 0x90
        if transportSequenceOffset != 0 {
            ByteOrder.store16(transportSequence, packet, transportSequenceOffset)
        }
        if sendTimeOffset != 0 { ByteOrder.store24(absoluteSendTime, packet, sendTimeOffset) }
        var end = hasExtensions ? baseLength : RTPHeader.fixedLength + 4
        if wanted.contains(.audioLevel) {
            packet[end] = audioLevelID << 4
            packet[end + 1] = record.pointee.audioLevel
            end += 2
        }
        if !wanted.subtracting(.audioLevel).isEmpty { end = writeRare(wanted, record, packet, end) }
        if hasDescriptor || wanted.contains(.colorSpace) {
            end = writeLong(
                hasDescriptor ? descriptor : OutgoingDescriptor(),
                colorSpace,
                wanted,
                record,
                packet,
                end
            )
        }
        guard end > RTPHeader.fixedLength + 4 else {
            packet[0] = 0x80
            return RTPHeader.fixedLength
        }
        // The payload comes over what is too much of it.
        ByteOrder.store32(0, packet, end)
        end = (end + 3) & ~3
        let words = (end - RTPHeader.fixedLength - 4) >> 2
        ByteOrder.store16(UInt16(truncatingIfNeeded: words), packet, RTPHeader.fixedLength + 2)
        return end
    }

    /// Appends the dependency descriptor and the color space; a long one turns the whole block to the two-byte form.
    @inline(never)
    private mutating func writeLong(
        _ descriptor: OutgoingDescriptor,
        _ colorSpace: UnsafePointer<UInt8>?,
        _ wanted: PacketRecord.Flags,
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ packet: UnsafeMutablePointer<UInt8>,
        _ start: Int
    ) -> Int {
        let longest = allowsTwoBytes ? Int(UInt8.max) : HeaderTemplate.longestOneByteValue
        let space =
            wanted.contains(.colorSpace) && colorSpace != nil ? record.pointee.flags.colorSpaceLength : 0
        let hasDescriptor = descriptor.length > 0 && descriptor.length <= longest
        let hasSpace = space > 0 && space <= longest
        let isWide =
            max(hasDescriptor ? descriptor.length : 0, hasSpace ? space : 0)
            > HeaderTemplate.longestOneByteValue
        var end = isWide ? widen(packet, start) : start
        func begin(_ id: UInt8, _ length: Int) {
            if isWide {
                packet[end] = id
                packet[end + 1] = UInt8(truncatingIfNeeded: length)
                end += 2
            } else {
                packet[end] = id << 4 | UInt8(truncatingIfNeeded: length - 1)
                end += 1
            }
        }
        if hasDescriptor {
            begin(descriptorID, descriptor.length)
            descriptor.write(record, to: packet + end)
            end += descriptor.length
        }
        if hasSpace, let colorSpace {
            begin(colorSpaceID, space)
            (packet + end).update(from: colorSpace, count: space)
            end += space
        }
        return end
    }

    /// Turns one-byte elements to two-byte ones (RFC 8285 §4.3). Returns their new end.
    private mutating func widen(_ packet: UnsafeMutablePointer<UInt8>, _ end: Int) -> Int {
        let first = RTPHeader.fixedLength + 4
        ByteOrder.store16(0x1000, packet, RTPHeader.fixedLength)
        let count = end - first
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(count, 1)) { copy in
            guard let from = copy.baseAddress else { return end }
            from.update(from: packet + first, count: count)
            var read = 0
            var written = first
            while read < count {
                let length = Int(from[read] & 0x0f) + 1
                packet[written] = from[read] >> 4
                packet[written + 1] = UInt8(truncatingIfNeeded: length)
                (packet + written + 2).update(from: from + read + 1, count: length)
                read += 1 + length
                written += 2 + length
            }
            return written
        }
    }

    private mutating func writeRare(
        _ wanted: PacketRecord.Flags,
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ packet: UnsafeMutablePointer<UInt8>,
        _ start: Int
    ) -> Int {
        var end = start
        if wanted.contains(.orientation) {
            packet[end] = orientationID << 4
            packet[end + 1] = record.pointee.orientation
            end += 2
        }
        if wanted.contains(.captureTime) {
            let hasOffset = record.pointee.flags.contains(.captureOffset)
            packet[end] = captureTimeID << 4 | (hasOffset ? 15 : 7)
            ByteOrder.store64(record.pointee.captureTime, packet, end + 1)
            if hasOffset {
                ByteOrder.store64(UInt64(bitPattern: record.pointee.captureOffset), packet, end + 9)
            }
            end += hasOffset ? 17 : 9
        }
        if wanted.contains(.playoutDelay) {
            packet[end] = playoutDelayID << 4 | 2
            ByteOrder.store24(record.pointee.playoutDelay, packet, end + 1)
            end += 4
        }
        if wanted.contains(.contentType) {
            packet[end] = contentTypeID << 4
            packet[end + 1] = record.pointee.contentType
            end += 2
        }
        return end
    }
}

/// A dependency descriptor as one subscriber gets it.
struct OutgoingDescriptor {
    /// Bytes, 0: none.
    var length = 0
    var bytes: UnsafePointer<UInt8>?
    var frameNumber: UInt16 = 0
    /// 0: as the sender says.
    var mask: UInt32 = 0

    fileprivate func write(
        _ record: UnsafeMutablePointer<PacketRecord>,
        to out: UnsafeMutablePointer<UInt8>
    ) {
        guard let bytes else { return }
        if mask == 0 {
            out.update(from: bytes, count: length)
            DependencyDescriptor.patchFrameNumber(out, frameNumber)
        } else {
            _ = record.pointee.descriptor.rewrite(
                bytes,
                frameNumber: frameNumber,
                mask: mask,
                to: out,
                capacity: length
            )
        }
    }
}
