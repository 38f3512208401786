// The bytes by which a server knows frames, key frames, layers and sizes: VP8 (RFC 7741) and H.264 (RFC 6184). Nothing behind
// them can be decoded. Must not know RTP headers or bit rates.
import ArgumentParser
import RTP

enum VideoCodec: String, ExpressibleByArgument, CaseIterable, Codable {
    case vp8, h264

    var payloadType: UInt8 { self == .vp8 ? 96 : 102 }
    var repairPayloadType: UInt8 { payloadType + 1 }
}

struct VideoPayload {
    /// Layer of each frame of four, as Chromium sends three temporal layers.
    private static let temporalPattern: [UInt8] = [0, 2, 1, 2]

    private let codec: VideoCodec
    private let width: Int
    private let height: Int
    private let parameterSets: [UInt8]
    private var isKey = true
    private var picture: UInt16 = .random(in: 0..<0x8000)
    private var baseIndex: UInt8 = .random(in: .min ... .max)
    private var sinceKey = -1

    init(_ codec: VideoCodec, width: Int, height: Int) {
        self.codec = codec
        self.width = width
        self.height = height
        parameterSets = codec == .h264 ? H264ParameterSets.packet(width: width, height: height) : []
    }

    /// 0, 1 or 2; 0 where the codec has none.
    var temporalLayer: UInt8 {
        codec == .vp8 ? Self.temporalPattern[sinceKey % Self.temporalPattern.count] : 0
    }
    /// Packets that precede the frame's own: parameter sets.
    var leadPackets: Int { isKey && codec == .h264 ? 1 : 0 }

    /// Goes on to the next frame.
    mutating func begin(isKey: Bool) {
        self.isKey = isKey
        sinceKey = isKey ? 0 : sinceKey + 1
        picture = (picture + 1) & 0x7fff
        if temporalLayer == 0 { baseIndex &+= 1 }
    }

    /// STAP-A with SPS and PPS (RFC 6184 §5.7.1), as libwebrtc sends them; its length.
    func writeLead(to payload: UnsafeMutablePointer<UInt8>) -> Int {
        for (offset, byte) in parameterSets.enumerated() { payload[offset] = byte }
        return parameterSets.count
    }

    /// What comes before the frame's bytes in one of its packets; its length.
    func writeStart(to payload: UnsafeMutablePointer<UInt8>, part: Int, of parts: Int) -> Int {
        switch codec {
        case .vp8: writeVP8(payload, isFirst: part == 0)
        case .h264: writeH264(payload, part: part, of: parts)
        }
    }

    private func writeVP8(_ payload: UnsafeMutablePointer<UInt8>, isFirst: Bool) -> Int {
        var descriptor = VP8Descriptor()
        descriptor.startsPartition = isFirst
        descriptor.pictureID = Int32(picture)
        descriptor.pictureIDBits = 15
        descriptor.tl0PicIndex = Int16(baseIndex)
        descriptor.hasTemporalLayer = true
        descriptor.temporalLayer = temporalLayer
        // The first of layer 1 and of layer 2 in each four refer to layer 0 alone.
        descriptor.isLayerSync = (1...2).contains(sinceKey % Self.temporalPattern.count)
        descriptor.isNonReference = temporalLayer == 2
        let length = descriptor.write(to: payload)
        guard isFirst else { return length }
        let frame = payload + length
        // RFC 6386 §9.1: frame tag; key frames have a start code and their size, too.
        frame[0] = isKey ? 0x10 : 0x11
        frame[1] = 0
        frame[2] = 0
        guard isKey else { return length + 3 }
        frame[3] = 0x9d
        frame[4] = 0x01
        frame[5] = 0x2a
        frame[6] = UInt8(width & 0xff)
        frame[7] = UInt8(width >> 8)
        frame[8] = UInt8(height & 0xff)
        frame[9] = UInt8(height >> 8)
        return length + 10
    }

    /// A NAL unit, or FU-A (RFC 6184 §5.8); the slice begins with macroblock 0.
    private func writeH264(_ payload: UnsafeMutablePointer<UInt8>, part: Int, of parts: Int) -> Int {
        let type: UInt8 = isKey ? 5 : 1
        let importance: UInt8 = 0x60
        if parts == 1 {
            payload[0] = importance | type
            payload[1] = 0x88
            return 2
        }
        payload[0] = importance | 28
        payload[1] = type | (part == 0 ? 0x80 : 0) | (part == parts - 1 ? 0x40 : 0)
        guard part == 0 else { return 2 }
        payload[2] = 0x88
        return 3
    }
}

/// Baseline, level 3.1, frames only, one reference: what says how large the picture is (ITU-T H.264 §7.3.2.1.1).
enum H264ParameterSets {
    static func packet(width: Int, height: Int) -> [UInt8] {
        let sps = sequence(width: width, height: height)
        // PPS 0 of SPS 0, CAVLC, one slice group, defaults (§7.3.2.2).
        let pps: [UInt8] = [0x68, 0xce, 0x3c, 0x80]
        var packet: [UInt8] = [0x78]
        for unit in [sps, pps] { packet += [UInt8(unit.count >> 8), UInt8(unit.count & 0xff)] + unit }
        return packet
    }

    private static func sequence(width: Int, height: Int) -> [UInt8] {
        var bits = BitList()
        let columns = (width + 15) / 16
        let rows = (height + 15) / 16
        // seq_parameter_set_id, log2_max_frame_num − 4, pic_order_cnt_type 2, max_num_ref_frames 1
        for value in [0, 0, 2, 1] { bits.appendUE(value) }
        bits.append(0, 1)
        bits.appendUE(columns - 1)
        bits.appendUE(rows - 1)
        // frame_mbs_only_flag, direct_8x8_inference_flag
        bits.append(0b11, 2)
        let cropX = (columns * 16 - width) / 2
        let cropY = (rows * 16 - height) / 2
        if cropX > 0 || cropY > 0 {
            bits.append(1, 1)
            for value in [0, cropX, 0, cropY] { bits.appendUE(value) }
        } else {
            bits.append(0, 1)
        }
        // No VUI; rbsp_stop_one_bit.
        bits.append(0b01, 2)
        return [0x67, 0x42, 0xc0, 0x1f] + bits.bytes
    }

    private struct BitList {
        private(set) var bytes: [UInt8] = []
        private var used = 0

        mutating func append(_ value: Int, _ count: Int) {
            for shift in stride(from: count - 1, through: 0, by: -1) {
                if used % 8 == 0 { bytes.append(0) }
                bytes[used / 8] |= UInt8(value >> shift & 1) << UInt8(7 - used % 8)
                used += 1
            }
        }

        /// Exp-Golomb (§9.1).
        mutating func appendUE(_ value: Int) {
            let width = Int.bitWidth - (value + 1).leadingZeroBitCount
            append(0, width - 1)
            append(value + 1, width)
        }
    }
}
