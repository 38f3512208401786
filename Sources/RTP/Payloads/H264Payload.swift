// H.264 in RTP (RFC 6184 §5): which NAL units a packet carries or starts. Must not know layers' policies.

/// What one H.264 payload shows of its access unit.
public struct H264Payload: Equatable, Sendable {
    /// A sequence parameter set is here, or starts here: the place to switch encodings. An IDR alone is not,
    /// since the parameter sets may have gone by in packets before it.
    public var hasSPS = false
    public var hasPPS = false
    /// A slice of an IDR picture is here.
    public var hasIDR = false
    /// It may be the first packet of an access unit: a delimiter, SEI or parameter set, or the slice of
    /// macroblock 0. A stream may send several such packets in one unit; the first one of a timestamp starts
    /// it.
    public var startsFrame = false
    /// The slices here are not references (nal_ref_idc 0).
    public var isNonReference = false
    /// Pixels of the SPS, 0 unknown.
    public var width: UInt16 = 0
    public var height: UInt16 = 0

    private static let slice: UInt8 = 1
    private static let idr: UInt8 = 5
    private static let sei: UInt8 = 6
    private static let sps: UInt8 = 7
    private static let pps: UInt8 = 8
    private static let delimiter: UInt8 = 9
    private static let stapA: UInt8 = 24
    private static let stapB: UInt8 = 25
    private static let fuA: UInt8 = 28
    private static let fuB: UInt8 = 29

    public init() {}

    /// nil: empty, or an aggregate or fragment that is cut off.
    public static func parse(_ payload: UnsafePointer<UInt8>, length: Int) -> H264Payload? {
        guard length >= 1 else { return nil }
        var it = H264Payload()
        switch payload[0] & 0x1F {
        case stapA, stapB:
            var offset = payload[0] & 0x1F == stapA ? 1 : 3
            guard offset < length else { return nil }
            while offset < length {
                guard offset + 2 <= length else { return nil }
                let size = Int(ByteOrder.load16(payload, offset))
                offset += 2
                guard size > 0, offset + size <= length else { return nil }
                it.take(header: payload[offset], payload + offset + 1, size - 1)
                offset += size
            }
        case fuA, fuB:
            let headerLength = payload[0] & 0x1F == fuA ? 2 : 4
            guard length > headerLength else { return nil }
            let fragment = payload[1]
            let header = payload[0] & 0xE0 | fragment & 0x1F
            if fragment & 0x80 != 0 {
                it.take(header: header, payload + headerLength, length - headerLength)
            } else {
                it.isNonReference = header & 0x60 == 0 && isSlice(header & 0x1F)
            }
        default:
            it.take(header: payload[0], payload + 1, length - 1)
        }
        return it
    }

    private static func isSlice(_ type: UInt8) -> Bool { type >= slice && type <= idr }

    /// `body` is the NAL unit behind its header byte, perhaps its first fragment only.
    private mutating func take(header: UInt8, _ body: UnsafePointer<UInt8>, _ length: Int) {
        let type = header & 0x1F
        switch type {
        case H264Payload.sps:
            hasSPS = true
            startsFrame = true
            if let size = H264Resolution.parse(body, length: length) {
                width = size.width
                height = size.height
            }
        case H264Payload.pps:
            hasPPS = true
            startsFrame = true
        case H264Payload.sei, H264Payload.delimiter:
            startsFrame = true
        case H264Payload.slice...H264Payload.idr:
            if type == H264Payload.idr { hasIDR = true }
            isNonReference = header & 0x60 == 0
            // first_mb_in_slice is ue(v): a leading 1 bit is 0. Data partitions B and C have none.
            if type != 3 && type != 4 && length > 0 && body[0] & 0x80 != 0 { startsFrame = true }
        default:
            break
        }
    }
}
