// One layer of a camera: frames in bursts of packets, key frames when they are asked for. Must not know codecs' bytes, keys,
// sockets or clocks.
import RTP

struct VideoFormat: Equatable {
    var codec: VideoCodec
    /// Bits per second of each simulcast layer, the lowest first; empty: no video.
    var layers: [Int]
    var framesPerSecond: Int
    /// Seconds from one key frame to the next where nobody asks; 0: never.
    var keyFrameSeconds: Int

    /// Names of the layers as in `a=rid`; one layer has none.
    static func rids(_ layers: Int) -> [String] { layers < 2 ? [""] : Array(["l", "m", "h"].prefix(layers)) }

    /// Pixels of a layer: the highest has 1280 × 720.
    static func size(layer: Int, of layers: Int) -> (width: Int, height: Int) {
        let shift = layers - 1 - layer
        return (1280 >> shift, 720 >> shift)
    }
}

final class VideoSource: MediaSource {
    private static let payloadBytes = 1100
    private static let smallestFrame = 64
    /// A key frame is so many times as large as another.
    private static let keyFrameFactor = 4

    private(set) var stream: OutgoingStream
    let interval: Int64
    private(set) var frame: Int64 = 0
    private let format: VideoFormat
    private let layer: Int
    private let source: UInt16
    private let keyFrameEvery: Int64
    private var payload: VideoPayload
    private var random: SeededGenerator
    private var wantsKeyFrame = true
    private(set) var keyFrames = 0

    /// - Parameter source: which publisher it is; the sizes of frames follow from it.
    init(_ format: VideoFormat, layer: Int, source: UInt16) {
        stream = OutgoingStream(
            payloadType: format.codec.payloadType,
            clockRate: 90_000,
            mid: LocalDescription.videoMid,
            rid: VideoFormat.rids(format.layers.count)[layer]
        )
        interval = 1_000_000_000 / Int64(format.framesPerSecond)
        keyFrameEvery = Int64(format.keyFrameSeconds * format.framesPerSecond)
        let size = VideoFormat.size(layer: layer, of: format.layers.count)
        payload = VideoPayload(format.codec, width: size.width, height: size.height)
        random = SeededGenerator(seed: UInt64(source) &* 4 &+ UInt64(layer) &+ 1)
        self.format = format
        self.layer = layer
        self.source = source
    }

    func requestKeyFrame() { wantsKeyFrame = true }
    func skip() { frame += 1 }

    func produce(
        sentAt: Int64,
        into packet: UnsafeMutablePointer<UInt8>,
        send: (OutgoingPacket) -> Void
    ) {
        defer { frame += 1 }
        let timestamp = stream.timestamp(at: frame * interval)
        let isKey = wantsKeyFrame || (keyFrameEvery > 0 && frame % keyFrameEvery == 0)
        if isKey { keyFrames += 1 }
        wantsKeyFrame = false
        payload.begin(isKey: isKey)
        let mean = format.layers[layer] / 8 / format.framesPerSecond
        let varied = Int.random(in: mean * 3 / 4...mean * 5 / 4, using: &random)
        let size = max(isKey ? mean * Self.keyFrameFactor : varied, Self.smallestFrame)
        let parts = (size + Self.payloadBytes - 1) / Self.payloadBytes
        let lead = payload.leadPackets
        for part in 0..<lead + parts {
            let header = stream.writeHeader(
                packet,
                marker: part == lead + parts - 1,
                timestamp: timestamp,
                level: nil
            )
            let body = packet + header
            guard part >= lead else {
                send(stream.finish(header: header, payload: payload.writeLead(to: body)))
                continue
            }
            // Sizes differ by one byte at most, as libwebrtc splits frames.
            let place = part - lead
            let bytes = size * (place + 1) / parts - size * place / parts
            let used = payload.writeStart(to: body, part: place, of: parts)
            (body + used).update(repeating: UInt8(truncatingIfNeeded: place), count: max(bytes, Stamp.bytes))
            Stamp(sentAt: sentAt, source: source, layer: UInt8(layer), number: stream.packets)
                .write(to: body + used)
            send(stream.finish(header: header, payload: used + max(bytes, Stamp.bytes)))
        }
    }
}
