// Cuts synthetic frames into RTP payloads with the descriptors of their codec. Knows no header and no sequence.
import RTP

struct Packetizer {
    let format: VideoFormat
    let frame: EncodedFrame

    /// One payload for each packet, all with stamps.
    func payloads() -> [[UInt8]] {
        let slices = max(1, (frame.bytes + format.packetBytes - 1) / format.packetBytes)
        let isKey = frame.stamp.isKey
        var extra = 0
        if format.codec == .h264 && isKey { extra = format.separatesParameterSets ? 2 : slices > 1 ? 1 : 0 }
        let count = min(slices + extra, 255)
        return (0..<count).map { part in
            var stamp = frame.stamp
            stamp.part = UInt8(part)
            stamp.partCount = UInt8(count)
            let isSmall = part < extra
            let wanted = isSmall ? 0 : max(0, frame.bytes / slices - stamp.byteCount - 8)
            var tail = [UInt8](
                repeating: UInt8(truncatingIfNeeded: Int(stamp.frame) &* 31 &+ part),
                count: wanted
            )
            stamp.append(to: &tail)
            switch format.codec {
            case .vp8: return vp8(part, count) + tail
            case .vp9: return vp9(part, count) + tail
            case .h264: return h264(part, count, extra, tail)
            case .av1: return av1(part, count) + tail
            case .opus, .red: return tail
            }
        }
    }

    // MARK: VP8 (RFC 7741 §4.2)

    private func vp8(_ part: Int, _ count: Int) -> [UInt8] {
        let stamp = frame.stamp
        var flags: UInt8 = format.pictureIDBits > 0 ? 0x80 : 0
        if format.hasLayerIndices { flags |= 0x70 }
        var payload: [UInt8] = [
            (flags != 0 ? 0x80 : 0) | (frame.isNonReference ? 0x20 : 0) | (part == 0 ? 0x10 : 0)
        ]
        if flags != 0 { payload.append(flags) }
        appendPictureID(to: &payload)
        if format.hasLayerIndices {
            payload += [frame.tl0, stamp.temporal << 6 | (frame.isSync ? 0x20 : 0) | frame.keyIndex]
        }
        guard part == 0 else { return payload }
        guard stamp.isKey else { return payload + [0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0] }
        return payload + [
            0x10, 0, 0, 0x9d, 0x01, 0x2a, UInt8(frame.size.width & 0xff), UInt8(frame.size.width >> 8),
            UInt8(frame.size.height & 0xff), UInt8(frame.size.height >> 8),
        ]
    }

    private func appendPictureID(to payload: inout [UInt8]) {
        switch format.pictureIDBits {
        case 0: break
        case 7: payload.append(UInt8(frame.pictureID & 0x7f))
        default: payload += [0x80 | UInt8(frame.pictureID >> 8 & 0x7f), UInt8(frame.pictureID & 0xff)]
        }
    }

    // MARK: VP9 (RFC 9628 §4.2)

    private func vp9(_ part: Int, _ count: Int) -> [UInt8] {
        let stamp = frame.stamp
        let hasStructure = stamp.isKey && stamp.spatial == 0 && part == 0
        var first: UInt8 = format.pictureIDBits > 0 ? 0xa0 : 0x20
        if frame.isInterPredicted { first |= 0x40 }
        if format.isFlexible { first |= 0x10 }
        if part == 0 { first |= 0x08 }
        if part == count - 1 { first |= 0x04 }
        if hasStructure { first |= 0x02 }
        if frame.isLeftByUpper { first |= 0x01 }
        var payload = [first]
        appendPictureID(to: &payload)
        payload.append(
            stamp.temporal << 5 | (frame.isSync ? 0x10 : 0) | stamp.spatial << 1
                | (frame.isInterLayerPredicted ? 1 : 0)
        )
        if !format.isFlexible {
            payload.append(frame.tl0)
        } else if frame.isInterPredicted {
            for (i, difference) in frame.pictureDifferences.enumerated() {
                let isLast = i == frame.pictureDifferences.count - 1
                payload.append(UInt8(min(difference, 127)) << 1 | (isLast ? 0 : 1))
            }
        }
        if hasStructure { appendStructure(to: &payload) }
        return payload
    }

    private func appendStructure(to payload: inout [UInt8]) {
        let sizes = format.isSVC ? Array(format.layers.prefix(frame.spatialCount)) : [frame.size]
        payload.append(UInt8(sizes.count - 1) << 5 | 0x10 | (format.isFlexible ? 0 : 0x08))
        for size in sizes {
            for value in [size.width, size.height] { payload += [UInt8(value >> 8), UInt8(value & 0xff)] }
        }
        guard !format.isFlexible else { return }
        let steps = format.pattern.steps
        payload.append(UInt8(steps.count))
        var last = 0
        var golden = 0
        for i in 0..<(2 * steps.count) {
            let step = steps[i % steps.count]
            var differences = i == 0 ? [] : (step.readsLast ? [i - last] : [])
            if i > 0 && step.readsGolden && golden != last { differences.append(i - golden) }
            if step.updatesLast { last = i }
            if step.updatesGolden { golden = i }
            guard i >= steps.count else { continue }
            payload.append(step.temporal << 5 | 0x10 | UInt8(differences.count) << 2)
            payload += differences.map { UInt8($0) }
        }
    }

    // MARK: H.264 (RFC 6184 §5)

    private func h264(_ part: Int, _ count: Int, _ extra: Int, _ tail: [UInt8]) -> [UInt8] {
        let isKey = frame.stamp.isKey
        let sps = H264ParameterSets.sps(width: frame.size.width, height: frame.size.height)
        let pps: [UInt8] = [0x68, 0xce, 0x3c, 0x80]
        if isKey && format.separatesParameterSets && part == 0 { return sps + tail }
        if isKey && format.separatesParameterSets && part == 1 { return pps + tail }
        func unit(_ bytes: [UInt8]) -> [UInt8] {
            [UInt8(bytes.count >> 8), UInt8(bytes.count & 0xff)] + bytes
        }
        if isKey && part < extra { return [0x78] + unit(sps) + unit(pps + tail) }
        let header: UInt8 = isKey ? 0x65 : frame.isNonReference ? 0x01 : 0x41
        // first_mb_in_slice 0, then what nobody reads.
        let slice: [UInt8] = [0x9a, 0x26, 0x6c]
        let isWhole = count - extra == 1
        if isKey && extra == 0 { return [0x78] + unit(sps) + unit(pps) + unit([header] + slice + tail) }
        if isWhole { return [header] + slice + tail }
        let isFirst = part == extra
        let isLast = part == count - 1
        let fragment = (isFirst ? 0x80 : 0) | (isLast ? 0x40 : 0) | header & 0x1f
        return [header & 0xe0 | 28, fragment] + (isFirst ? slice : []) + tail
    }

    // MARK: AV1 (AV1 RTP specification §4.4)

    private func av1(_ part: Int, _ count: Int) -> [UInt8] {
        let startsSequence = frame.stamp.isKey && frame.stamp.spatial == 0 && part == 0
        let header: UInt8 =
            (part > 0 ? 0x80 : 0) | (part < count - 1 ? 0x40 : 0) | 0x10 | (startsSequence ? 0x08 : 0)
        return [header] + (part == 0 ? [0x30, 0x10] : [])
    }
}

/// Writes a sequence parameter set of the constrained baseline profile (H.264 §7.3.2.1.1).
enum H264ParameterSets {
    static func sps(width: UInt16, height: UInt16) -> [UInt8] {
        var bits = BitString()
        for byte in [0x42, 0xe0, 0x1f] as [UInt32] { bits.append(byte, 8) }
        func golomb(_ value: Int) {
            var length = 0
            while (value + 1) >> (length + 1) > 0 { length += 1 }
            bits.append(0, length)
            bits.append(UInt32(value + 1), length + 1)
        }
        // id 0, frame_num of 4 bits, picture order type 2, one reference, no gaps
        golomb(0)
        golomb(0)
        golomb(2)
        golomb(1)
        bits.append(0, 1)
        let columns = (Int(width) + 15) / 16
        let rows = (Int(height) + 15) / 16
        golomb(columns - 1)
        golomb(rows - 1)
        // frames only, direct_8x8
        bits.append(3, 2)
        let right = columns * 16 - Int(width)
        let bottom = rows * 16 - Int(height)
        bits.append(right + bottom > 0 ? 1 : 0, 1)
        if right + bottom > 0 { for edge in [0, right / 2, 0, bottom / 2] { golomb(edge) } }
        bits.append(0, 1)
        bits.append(1, 1)
        var sps: [UInt8] = [0x67]
        var zeros = 0
        for byte in bits.bytes {
            if zeros >= 2 && byte <= 3 {
                sps.append(3)
                zeros = 0
            }
            sps.append(byte)
            zeros = byte == 0 ? zeros + 1 : 0
        }
        return sps
    }
}
