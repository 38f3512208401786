// What a publisher writes into a payload, so that a subscriber can tell how long it was on its way, whose it is and which
// layer. Must not know packets or clocks.
import RTP

struct Stamp: Equatable {
    /// Nanoseconds of the monotonic clock at the publisher's send.
    var sentAt: Int64
    /// Which publisher it is.
    var source: UInt16
    /// Of a simulcast, from the lowest; 0 for audio.
    var layer: UInt8 = 0
    /// Counts the packets of the stream, or the frames of a voice.
    var number: UInt32

    static let bytes = 19
    private static let magic: UInt32 = 0x5f6c_6f61
    /// The stamp starts at most this far into a payload.
    private static let searchedBytes = 24

    /// `bytes` of it.
    func write(to payload: UnsafeMutablePointer<UInt8>) {
        ByteOrder.store32(Self.magic, payload, 0)
        ByteOrder.store64(UInt64(bitPattern: sentAt), payload, 4)
        ByteOrder.store16(source, payload, 12)
        payload[14] = layer
        ByteOrder.store32(number, payload, 15)
    }

    /// nil: the payload carries none.
    static func read(_ payload: UnsafePointer<UInt8>, length: Int) -> Stamp? {
        let last = min(length - bytes, searchedBytes)
        guard last >= 0 else { return nil }
        for offset in 0...last where ByteOrder.load32(payload, offset) == magic {
            return Stamp(
                sentAt: Int64(bitPattern: ByteOrder.load64(payload, offset + 4)),
                source: ByteOrder.load16(payload, offset + 12),
                layer: payload[offset + 14],
                number: ByteOrder.load32(payload, offset + 15)
            )
        }
        return nil
    }
}
