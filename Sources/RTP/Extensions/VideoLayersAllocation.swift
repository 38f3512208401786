// The video-layers-allocation00 header extension: which layers a publisher sends now and how much each takes.
// Must not know what anybody does with it.

/// Layers by simulcast stream and spatial layer. Trivially copied, no heap.
public struct VideoLayersAllocation: Sendable {
    /// Index of the stream that carried this, in the order of the rids.
    public internal(set) var streamIndex = 0
    /// Simulcast streams, 1–4.
    public internal(set) var streamCount = 0
    public internal(set) var hasResolutions = false

    /// Temporal layers, 0: the layer is not sent. Index: stream · 4 + spatial layer.
    private var temporalLayerCounts = InlineArray<16, UInt8>(repeating: 0)
    /// kbit/s up to and with a temporal layer. Index: (stream · 4 + spatial layer) · 4 + temporal layer.
    private var bitrates = InlineArray<64, UInt32>(repeating: 0)
    private var widths = InlineArray<16, UInt16>(repeating: 0)
    private var heights = InlineArray<16, UInt16>(repeating: 0)
    private var frameRates = InlineArray<16, UInt8>(repeating: 0)

    public init() {}

    private func index(_ stream: Int, _ spatialLayer: Int) -> Int? {
        stream >= 0 && stream < 4 && spatialLayer >= 0 && spatialLayer < 4 ? stream * 4 + spatialLayer : nil
    }

    /// 0: the layer is not sent.
    public func temporalLayerCount(stream: Int, spatialLayer: Int) -> Int {
        index(stream, spatialLayer).map { Int(temporalLayerCounts[$0]) } ?? 0
    }

    /// Target in kbit/s of a spatial layer with its temporal layers up to `temporalLayer`; 0: not sent.
    public func bitrate(stream: Int, spatialLayer: Int, temporalLayer: Int) -> UInt32 {
        guard let place = index(stream, spatialLayer), temporalLayer >= 0, temporalLayer < 4 else { return 0 }
        return bitrates[place * 4 + temporalLayer]
    }

    /// Pixels, 0 unknown.
    public func width(stream: Int, spatialLayer: Int) -> UInt16 {
        index(stream, spatialLayer).map { widths[$0] } ?? 0
    }
    public func height(stream: Int, spatialLayer: Int) -> UInt16 {
        index(stream, spatialLayer).map { heights[$0] } ?? 0
    }
    /// Most frames per second, 0 unknown.
    public func frameRate(stream: Int, spatialLayer: Int) -> UInt8 {
        index(stream, spatialLayer).map { frameRates[$0] } ?? 0
    }

    /// nil: cut off, or a number too long. One zero byte means that nothing is sent.
    public static func parse(_ bytes: UnsafePointer<UInt8>, length: Int) -> VideoLayersAllocation? {
        guard length >= 1 else { return nil }
        var it = VideoLayersAllocation()
        let first = bytes[0]
        if first == 0 && length == 1 {
            it.streamCount = 1
            return it
        }
        it.streamIndex = Int(first >> 6)
        it.streamCount = Int(first >> 4 & 3) + 1
        var offset = 1
        var masks = InlineArray<4, UInt8>(repeating: first & 0x0F)
        if first & 0x0F == 0 {
            for stream in 0..<it.streamCount {
                guard offset + stream / 2 < length else { return nil }
                masks[stream] = bytes[offset + stream / 2] >> UInt8(stream & 1 == 0 ? 4 : 0) & 0x0F
            }
            offset += (it.streamCount + 1) / 2
        }
        guard it.readTemporalLayers(bytes, length, &offset, masks),
            it.readBitrates(bytes, length, &offset), it.readResolutions(bytes, length, offset)
        else { return nil }
        return it
    }

    private mutating func readTemporalLayers(
        _ bytes: UnsafePointer<UInt8>,
        _ length: Int,
        _ offset: inout Int,
        _ masks: InlineArray<4, UInt8>
    ) -> Bool {
        var position = 0
        for stream in 0..<streamCount {
            for layer in 0..<4 where masks[stream] >> UInt8(layer) & 1 == 1 {
                guard offset + position / 4 < length else { return false }
                let byte = bytes[offset + position / 4]
                temporalLayerCounts[stream * 4 + layer] = (byte >> UInt8(6 - 2 * (position & 3)) & 3) + 1
                position += 1
            }
        }
        offset += (position + 3) / 4
        return true
    }

    private mutating func readBitrates(
        _ bytes: UnsafePointer<UInt8>,
        _ length: Int,
        _ offset: inout Int
    ) -> Bool {
        for place in 0..<16 {
            for layer in 0..<Int(temporalLayerCounts[place]) {
                // LEB128, at most five bytes for 32 bits.
                var value: UInt64 = 0
                var shift: UInt64 = 0
                while true {
                    guard offset < length, shift < 35 else { return false }
                    let byte = bytes[offset]
                    offset += 1
                    value |= UInt64(byte & 0x7F) << shift
                    shift += 7
                    if byte & 0x80 == 0 { break }
                }
                guard value <= UInt64(UInt32.max) else { return false }
                bitrates[place * 4 + layer] = UInt32(truncatingIfNeeded: value)
            }
        }
        return true
    }

    private mutating func readResolutions(
        _ bytes: UnsafePointer<UInt8>,
        _ length: Int,
        _ start: Int
    ) -> Bool {
        guard start < length else { return true }
        hasResolutions = true
        var offset = start
        for place in 0..<16 where temporalLayerCounts[place] > 0 {
            guard offset + 5 <= length else { return false }
            widths[place] = UInt16(truncatingIfNeeded: min(Int(ByteOrder.load16(bytes, offset)) + 1, 0xFFFF))
            heights[place] = UInt16(
                truncatingIfNeeded: min(Int(ByteOrder.load16(bytes, offset + 2)) + 1, 0xFFFF)
            )
            frameRates[place] = bytes[offset + 4]
            offset += 5
        }
        return true
    }
}
