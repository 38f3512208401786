// AV1 in RTP (AV1 RTP specification 1.0): aggregation of OBUs, and the dependency descriptor that goes with every
// packet. Written from the specification alone; knows nothing of the server's parsers.
import CBitstreamCodecs

struct AV1Packetizer: Packetizer {
    private var writer: DescriptorEncoder

    init(_ settings: encoder_settings, encoding: Int) throws {
        writer = try DescriptorEncoder(settings, firstNumber: 0xfff0 &- UInt16(encoding) &* 500)
    }

    mutating func packetize(_ picture: [LayerFrame]) -> [PayloadPacket] {
        var packets: [PayloadPacket] = []
        for frame in picture {
            var payloads = AV1Packetizer.payloads(AV1Packetizer.units(of: frame.bytes))
            // N: a coded video sequence starts.
            if frame.isKey && frame.spatial == 0 { payloads[0][0] |= 0x08 }
            let active = picture.count
            for (index, payload) in payloads.enumerated() {
                let descriptor = writer.write(
                    frame,
                    isFirst: index == 0,
                    isLast: index == payloads.count - 1,
                    active: active
                )
                packets.append(
                    PayloadPacket(payload: payload, spatial: frame.spatial, descriptor: descriptor)
                )
            }
            writer.finish(frame)
        }
        packets[packets.count - 1].marker = true
        return packets
    }

    /// The OBUs without their size fields; temporal delimiters, padding and tile lists are left out (§5).
    static func units(of bytes: [UInt8]) -> [[UInt8]] {
        var units: [[UInt8]] = []
        var offset = 0
        while offset < bytes.count {
            let header = bytes[offset]
            let headerLength = header & 0x04 != 0 ? 2 : 1
            var start = offset + headerLength
            var size = bytes.count - start
            if header & 0x02 != 0 { (size, start) = length(bytes, start) }
            let type = header >> 3 & 0x0f
            if type != 2 && type != 8 && type != 15 {
                var unit = Array(bytes[offset..<offset + headerLength])
                unit[0] &= ~0x02
                units.append(unit + bytes[start..<start + size])
            }
            offset = start + size
        }
        return units
    }

    /// leb128(), and where it ends.
    static func length(_ bytes: [UInt8], _ start: Int) -> (value: Int, end: Int) {
        var value = 0
        var offset = start
        while offset < bytes.count {
            value |= Int(bytes[offset] & 0x7f) << (7 * (offset - start))
            offset += 1
            if bytes[offset - 1] & 0x80 == 0 { break }
        }
        return (value, offset)
    }

    static func leb128(_ value: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = value
        repeat {
            bytes.append(UInt8(rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
            rest >>= 7
        } while rest > 0
        return bytes
    }

    /// Fills packets one behind the other; OBUs go on from one to the next (Z and Y).
    private static func payloads(_ units: [[UInt8]]) -> [[UInt8]] {
        var packets: [(elements: [[UInt8]], continues: Bool, isContinued: Bool)] = [([], false, false)]
        var room = packetBytes
        for unit in units {
            var rest = unit[...]
            while !rest.isEmpty {
                if room < 8 {
                    let isSplit = rest.count < unit.count
                    packets[packets.count - 1].isContinued = isSplit
                    packets.append(([], isSplit, false))
                    room = packetBytes
                }
                let part = rest.prefix(room - 4)
                packets[packets.count - 1].elements.append(Array(part))
                rest = rest.dropFirst(part.count)
                room -= part.count + 4
            }
        }
        return packets.filter { !$0.elements.isEmpty }.map { packet in
            var header: UInt8 = (packet.continues ? 0x80 : 0) | (packet.isContinued ? 0x40 : 0)
            // W: up to three elements are counted, and the last one needs no length.
            let count = packet.elements.count
            if count <= 3 { header |= UInt8(count) << 4 }
            var payload = [header]
            for (index, element) in packet.elements.enumerated() {
                if count > 3 || index < count - 1 { payload += leb128(element.count) }
                payload += element
            }
            return payload
        }
    }
}
