// What a publisher writes into a payload, so that a subscriber can tell how long it was on its way and whose it is.
import RTP

enum Stamp {
    static let bytes = 12
    /// Of a voiced packet, bytes.
    static let voiceBytes = 18
    private static let magic: UInt32 = 0x5f6c_6f61
    /// The stamp starts at most this far into a payload.
    private static let searchedBytes = 24

    /// Which packet of whom it is.
    struct Voice: Equatable {
        /// Nanoseconds of the monotonic clock.
        var sentAt: Int64
        var speaker: UInt16
        var frame: UInt32
    }

    /// - Parameter sentAt: nanoseconds of the monotonic clock.
    static func write(sentAt: Int64, to payload: UnsafeMutablePointer<UInt8>) {
        ByteOrder.store32(magic, payload, 0)
        ByteOrder.store64(UInt64(bitPattern: sentAt), payload, 4)
    }

    /// `voiceBytes` of it.
    static func write(_ voice: Voice, to payload: UnsafeMutablePointer<UInt8>) {
        write(sentAt: voice.sentAt, to: payload)
        ByteOrder.store16(voice.speaker, payload, bytes)
        ByteOrder.store32(voice.frame, payload, bytes + 2)
    }

    /// nil: the payload carries none.
    static func read(_ payload: UnsafePointer<UInt8>, length: Int) -> Int64? {
        find(payload, length: length, bytes).map {
            Int64(bitPattern: ByteOrder.load64(payload, $0 + 4))
        }
    }

    /// nil: the payload carries none. Only for what `VoiceSource` sends: other stamps are shorter.
    static func readVoice(_ payload: UnsafePointer<UInt8>, length: Int) -> Voice? {
        find(payload, length: length, voiceBytes).map { offset in
            Voice(
                sentAt: Int64(bitPattern: ByteOrder.load64(payload, offset + 4)),
                speaker: ByteOrder.load16(payload, offset + bytes),
                frame: ByteOrder.load32(payload, offset + bytes + 2)
            )
        }
    }

    private static func find(_ payload: UnsafePointer<UInt8>, length: Int, _ size: Int) -> Int? {
        let last = min(length - size, searchedBytes)
        guard last >= 0 else { return nil }
        for offset in 0...last where ByteOrder.load32(payload, offset) == magic { return offset }
        return nil
    }
}
