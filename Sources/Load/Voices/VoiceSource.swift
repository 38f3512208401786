// Opus packets of one microphone with their audio level (RFC 6464), ready for protection; silence may be left out as
// an encoder with DTX does. Must not know keys, sockets or clocks.
import RTP

struct VoiceSource {
    /// What a silent Opus frame takes, bytes.
    static let silenceBytes = 3
    /// With DTX an encoder sends one packet in so many while nobody speaks: 400 ms (RFC 7587 §3.1.3).
    static let silenceEvery: Int64 = 20
    private static let ticksPerFrame: Int64 = 960

    /// What is in a frame.
    enum Content {
        /// Somebody speaks.
        case voice(level: UInt8, stamp: Stamp.Voice, bytes: Int)
        /// Nobody does, and the packet is sent all the same.
        case noise(level: UInt8, bytes: Int)
        /// Nobody does; the packet tells that it is so.
        case silence(level: UInt8)
    }

    let ssrc: UInt32
    private let mid = Array(OfferTemplate.audioMid.utf8)
    private let payloadType: UInt8
    private let timestampBase = UInt32.random(in: .min ... .max)
    /// Extended sequence number of the next packet.
    private(set) var index = UInt64(UInt16.random(in: 0..<0x8000))
    private(set) var packets: UInt32 = 0
    private(set) var octets: UInt32 = 0
    private var isSpeaking = false

    init(payloadType: UInt8) {
        ssrc = .random(in: 1 ... .max)
        self.payloadType = payloadType
    }

    /// RTP time of a frame of 20 ms.
    func timestamp(of frame: Int64) -> UInt32 {
        timestampBase &+ UInt32(truncatingIfNeeded: frame * Self.ticksPerFrame)
    }

    /// Writes the packet of this frame into `packet` (`MediaSource.packetBytes` of room).
    /// - Returns: header length, whole length and extended sequence number.
    mutating func write(
        _ content: Content,
        frame: Int64,
        into packet: UnsafeMutablePointer<UInt8>
    ) -> (header: Int, length: Int, index: UInt64) {
        let wasSpeaking = isSpeaking
        if case .voice = content { isSpeaking = true } else { isSpeaking = false }
        RTPWriter.writeFixedHeader(
            to: packet,
            marker: isSpeaking && !wasSpeaking,
            payloadType: payloadType,
            sequenceNumber: UInt16(truncatingIfNeeded: index),
            timestamp: timestamp(of: frame),
            ssrc: ssrc
        )
        let level: UInt8 =
            switch content {
            case .voice(let level, _, _): 0x80 | level
            case .noise(let level, _), .silence(let level): level
            }
        RTPWriter.setExtensionBit(packet)
        var writer = ExtensionWriter(at: packet + 12, capacity: 32, form: .oneByte)
        writer.append8(id: OfferTemplate.audioLevelID, level)
        mid.withUnsafeBufferPointer { mid in
            if let base = mid.baseAddress { writer.append(id: OfferTemplate.midID, base, count: mid.count) }
        }
        let header = 12 + writer.finish()
        let size = Self.write(content, to: packet + header)
        defer { index += 1 }
        packets &+= 1
        octets &+= UInt32(truncatingIfNeeded: size)
        return (header, header + size, index)
    }

    private static func write(_ content: Content, to payload: UnsafeMutablePointer<UInt8>) -> Int {
        // TOC: CELT, 20 ms, mono (RFC 6716 §3.1).
        switch content {
        case .voice(_, let stamp, let bytes):
            let size = max(bytes, 1 + Stamp.voiceBytes)
            payload.update(repeating: 0xf8, count: size)
            Stamp.write(stamp, to: payload + 1)
            return size
        case .noise(_, let bytes):
            payload.update(repeating: 0xf8, count: max(bytes, 1))
            return max(bytes, 1)
        case .silence:
            payload.update(repeating: 0xf8, count: silenceBytes)
            return silenceBytes
        }
    }
}
