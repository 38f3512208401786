// What the publisher writes into a payload, so that a subscriber can tell how long it was on its way.
import RTP

enum Stamp {
    static let bytes = 12
    private static let magic: UInt32 = 0x5f6c_6f61
    /// The stamp starts at most this far into a payload.
    private static let searchedBytes = 24

    /// - Parameter sentAt: nanoseconds of the monotonic clock.
    static func write(sentAt: Int64, to payload: UnsafeMutablePointer<UInt8>) {
        ByteOrder.store32(magic, payload, 0)
        ByteOrder.store64(UInt64(bitPattern: sentAt), payload, 4)
    }

    /// nil: the payload carries none.
    static func read(_ payload: UnsafePointer<UInt8>, length: Int) -> Int64? {
        let last = min(length - bytes, searchedBytes)
        guard last >= 0 else { return nil }
        for offset in 0...last where ByteOrder.load32(payload, offset) == magic {
            return Int64(bitPattern: ByteOrder.load64(payload, offset + 4))
        }
        return nil
    }
}
