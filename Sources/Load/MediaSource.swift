// Packets of a publisher, one stream each, ready for protection: Opus frames at a fixed rate, or frames shaped like
// VP8's (RFC 7741). Must not know keys, sockets or clocks.
import RTP

struct MediaFormat {
    /// Opus packets per second.
    var packetsPerSecond: Int
    /// Payload of one Opus packet, bytes.
    var payloadBytes: Int
    /// 0: no video.
    var videoBitsPerSecond: Int
    var framesPerSecond: Int
}

/// One outgoing SSRC.
struct MediaSource {
    static let packetBytes = 1500
    private static let videoPayloadBytes = 1100
    private static let keyFrameEvery: Int64 = 300

    let ssrc: UInt32
    let isVideo: Bool
    /// Nanoseconds from one frame to the next.
    let interval: Int64
    let clockRate: Int64
    private let mid: [UInt8]
    private let payloadType: UInt8
    private let frameBytes: Int
    /// Extended sequence number of the next packet.
    private(set) var index: UInt64
    private(set) var packets: UInt32 = 0
    private(set) var octets: UInt32 = 0
    private let timestampBase = UInt32.random(in: .min ... .max)
    private(set) var frame: Int64 = 0
    private var wantsKeyFrame = true

    init(audio format: MediaFormat, payloadType: UInt8) {
        ssrc = .random(in: 1 ... .max)
        isVideo = false
        interval = 1_000_000_000 / Int64(format.packetsPerSecond)
        clockRate = 48_000
        mid = Array(OfferTemplate.audioMid.utf8)
        self.payloadType = payloadType
        frameBytes = format.payloadBytes
        index = UInt64(UInt16.random(in: 0..<0x8000))
    }

    init(video format: MediaFormat, payloadType: UInt8) {
        ssrc = .random(in: 1 ... .max)
        isVideo = true
        interval = 1_000_000_000 / Int64(format.framesPerSecond)
        clockRate = 90_000
        mid = Array(OfferTemplate.videoMid.utf8)
        self.payloadType = payloadType
        frameBytes = format.videoBitsPerSecond / 8 / format.framesPerSecond
        index = UInt64(UInt16.random(in: 0..<0x8000))
    }

    mutating func requestKeyFrame() { wantsKeyFrame = true }

    /// RTP time at `elapsed` nanoseconds after the first frame.
    func timestamp(at elapsed: Int64) -> UInt32 {
        timestampBase &+ UInt32(truncatingIfNeeded: elapsed / 1000 * clockRate / 1_000_000)
    }

    /// Writes the packets of the next frame one by one into `packet` (`packetBytes` of room).
    /// - Parameter send: called for each with header length, whole length and extended sequence number.
    mutating func produce(
        sentAt: Int64,
        into packet: UnsafeMutablePointer<UInt8>,
        send: (Int, Int, UInt64) -> Void
    ) {
        defer { frame += 1 }
        let timestamp = timestamp(at: frame * interval)
        guard isVideo else {
            let header = writeHeader(packet, marker: frame == 0, timestamp: timestamp)
            let payload = packet + header
            // TOC: CELT, 20 ms, mono (RFC 6716 §3.1).
            payload.update(repeating: 0xf8, count: frameBytes)
            Stamp.write(sentAt: sentAt, to: payload + 1)
            return finish(header, frameBytes, send)
        }
        let isKey = wantsKeyFrame || frame % Self.keyFrameEvery == 0
        wantsKeyFrame = false
        let size = max(frameBytes * (isKey ? 4 : 1), 64)
        let count = (size + Self.videoPayloadBytes - 1) / Self.videoPayloadBytes
        for part in 0..<count {
            let header = writeHeader(packet, marker: part == count - 1, timestamp: timestamp)
            let bytes = size / count
            let used = writeVP8(packet + header, isFirst: part == 0, isKey: isKey)
            (packet + header + used).update(repeating: UInt8(truncatingIfNeeded: part), count: bytes)
            Stamp.write(sentAt: sentAt, to: packet + header + used)
            finish(header, used + bytes, send)
        }
    }

    private mutating func finish(_ header: Int, _ payload: Int, _ send: (Int, Int, UInt64) -> Void) {
        packets &+= 1
        octets &+= UInt32(truncatingIfNeeded: payload)
        send(header, header + payload, index)
        index += 1
    }

    private func writeHeader(_ packet: UnsafeMutablePointer<UInt8>, marker: Bool, timestamp: UInt32) -> Int {
        RTPWriter.writeFixedHeader(
            to: packet,
            marker: marker,
            payloadType: payloadType,
            sequenceNumber: UInt16(truncatingIfNeeded: index),
            timestamp: timestamp,
            ssrc: ssrc
        )
        RTPWriter.setExtensionBit(packet)
        var writer = ExtensionWriter(at: packet + 12, capacity: 32, form: .oneByte)
        if !isVideo { writer.append8(id: OfferTemplate.audioLevelID, 0x80 | 20) }
        mid.withUnsafeBufferPointer { mid in
            if let base = mid.baseAddress { writer.append(id: OfferTemplate.midID, base, count: mid.count) }
        }
        return 12 + writer.finish()
    }

    /// Descriptor with picture id, TL0PICIDX and TID 0, and the first bytes of a frame; its length.
    private func writeVP8(_ payload: UnsafeMutablePointer<UInt8>, isFirst: Bool, isKey: Bool) -> Int {
        let picture = UInt16(truncatingIfNeeded: frame) & 0x7fff
        let descriptor: [UInt8] = [
            isFirst ? 0x90 : 0x80, 0xf0, 0x80 | UInt8(picture >> 8), UInt8(picture & 0xff),
            UInt8(truncatingIfNeeded: frame), UInt8(truncatingIfNeeded: frame) & 0x1f,
        ]
        // RFC 6386 §9.1: key frames say 1280 × 720.
        let start: [UInt8] =
            !isFirst ? [] : isKey ? [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x00, 0x05, 0xd0, 0x02] : [0x11, 0, 0]
        for (offset, byte) in (descriptor + start).enumerated() { payload[offset] = byte }
        return descriptor.count + start.count
    }
}
