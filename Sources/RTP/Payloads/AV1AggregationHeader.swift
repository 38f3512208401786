// The AV1 aggregation header (AV1 RTP specification §4.4). Must not know the dependency descriptor.

/// First byte of an AV1 payload.
public struct AV1AggregationHeader: Equatable, Sendable {
    /// Z: the first OBU element continues one of the packet before.
    public var continuesOBU: Bool
    /// Y: the last OBU element goes on in the next packet.
    public var isContinued: Bool
    /// W: number of OBU elements, 0: each one has a length.
    public var elementCount: UInt8
    /// N: first packet of a coded video sequence, i.e. of a key frame.
    public var startsCodedVideoSequence: Bool

    /// nil: no OBU element follows, or both Z and N are set, which §4.4 forbids.
    public static func parse(_ payload: UnsafePointer<UInt8>, length: Int) -> AV1AggregationHeader? {
        guard length >= 2 else { return nil }
        let byte = payload[0]
        guard byte & 0x88 != 0x88 else { return nil }
        return AV1AggregationHeader(
            continuesOBU: byte & 0x80 != 0,
            isContinued: byte & 0x40 != 0,
            elementCount: byte >> 4 & 0x03,
            startsCodedVideoSequence: byte & 0x08 != 0
        )
    }
}
