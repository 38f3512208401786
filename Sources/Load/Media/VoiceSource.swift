// Opus packets of one microphone with their audio level (RFC 6464), ready for protection; silence may be left out as
// an encoder with DTX does. Must not know keys, sockets or clocks.
import RTP

struct VoiceSource {
    private static let frameNanoseconds: Int64 = 20_000_000

    /// What is in a frame.
    enum Content {
        /// Somebody speaks.
        case voice(level: UInt8, stamp: Stamp, bytes: Int)
        /// Nobody does, and the packet is sent all the same.
        case noise(level: UInt8, bytes: Int)
        /// Nobody does; the packet tells that it is so.
        case silence(level: UInt8)
    }

    private(set) var stream: OutgoingStream
    private var isSpeaking = false

    init() {
        stream = OutgoingStream(
            payloadType: LocalDescription.audioType,
            clockRate: 48_000,
            mid: LocalDescription.audioMid
        )
    }

    /// RTP time of a frame of 20 ms.
    func timestamp(of frame: Int64) -> UInt32 { stream.timestamp(at: frame * Self.frameNanoseconds) }

    /// Writes the packet of this frame into `packet` (`OutgoingStream.packetBytes` of room).
    mutating func write(
        _ content: Content,
        frame: Int64,
        into packet: UnsafeMutablePointer<UInt8>
    ) -> OutgoingPacket {
        let wasSpeaking = isSpeaking
        if case .voice = content { isSpeaking = true } else { isSpeaking = false }
        let level: UInt8 =
            switch content {
            case .voice(let level, _, _): 0x80 | level
            case .noise(let level, _), .silence(let level): level
            }
        let header = stream.writeHeader(
            packet,
            marker: isSpeaking && !wasSpeaking,
            timestamp: timestamp(of: frame),
            level: level
        )
        return stream.finish(header: header, payload: Self.write(content, to: packet + header))
    }

    private static func write(_ content: Content, to payload: UnsafeMutablePointer<UInt8>) -> Int {
        let size =
            switch content {
            case .voice(_, _, let bytes): max(bytes, 1 + Stamp.bytes)
            case .noise(_, let bytes): max(bytes, 1)
            case .silence: AudioSource.silenceBytes
            }
        payload.update(repeating: AudioSource.tableOfContents, count: size)
        if case .voice(_, let stamp, _) = content { stamp.write(to: payload + 1) }
        return size
    }
}
