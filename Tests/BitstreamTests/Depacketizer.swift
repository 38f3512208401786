// Puts pictures together again from what a subscriber got on one slot, for a decoder. Written from the payload formats
// alone; knows nothing of the server's parsers.
import RTP
import Simulation

/// A picture as a decoder takes it.
struct ReceivedPicture {
    /// The packets of one timestamp, in order.
    var packets: [ReceivedPacket]
    var timestamp: UInt32
    /// Numbers are missing before the first packet.
    var followsGap: Bool
    /// There is nothing under the numbers before the first packet: a picture was left out that came late.
    var followsVoid: Bool
    /// Of everything that came.
    var isFirst = false
    /// What the decoder gets; nil: it is not whole.
    var bytes: [UInt8]?
    /// A decoder can start with it.
    var isKey = false
    /// Spatial layers that are there; VP9 and AV1.
    var layers: [Int] = []
}

enum Depacketizer {
    /// The pictures of one slot.
    /// - Parameter void: numbers of which the receiver was told that nothing was ever sent under them.
    static func pictures(
        _ received: [ReceivedPacket],
        codec: CodecName,
        void: Set<Int64> = []
    ) -> [ReceivedPicture] {
        let packets = received.sorted { $0.sequence < $1.sequence }
        var pictures: [ReceivedPicture] = []
        for (index, packet) in packets.enumerated() {
            let hasGap = index > 0 && isMissing(between: packets[index - 1], packet, void)
            let isNext = index == 0 || packet.sequence == packets[index - 1].sequence + 1
            if let last = pictures.last, last.timestamp == packet.timestamp {
                pictures[pictures.count - 1].packets.append(packet)
            } else {
                pictures.append(
                    ReceivedPicture(
                        packets: [packet],
                        timestamp: packet.timestamp,
                        followsGap: hasGap,
                        followsVoid: !isNext && !hasGap
                    )
                )
            }
        }
        if !pictures.isEmpty { pictures[0].isFirst = true }
        for index in pictures.indices { assemble(&pictures[index], codec, void) }
        return pictures
    }

    private static func isMissing(
        between a: ReceivedPacket,
        _ b: ReceivedPacket,
        _ void: Set<Int64>
    ) -> Bool {
        b.sequence > a.sequence + 1 && ((a.sequence + 1)..<b.sequence).contains { !void.contains($0) }
    }

    private static func assemble(_ picture: inout ReceivedPicture, _ codec: CodecName, _ void: Set<Int64>) {
        let packets = picture.packets
        for (a, b) in zip(packets, packets.dropFirst()) where isMissing(between: a, b, void) { return }
        // The marker ends a picture and stands nowhere else.
        guard packets.dropLast().allSatisfy({ !$0.marker }), packets.last?.marker == true else { return }
        switch codec {
        case .vp8: assembleVP8(&picture)
        case .vp9: assembleVP9(&picture)
        case .h264: assembleH264(&picture)
        case .av1: assembleAV1(&picture)
        case .opus, .red: break
        }
    }

    private static func assembleVP8(_ picture: inout ReceivedPicture) {
        var bytes: [UInt8] = []
        for (index, packet) in picture.packets.enumerated() {
            guard let descriptor = VP8Fields(packet.payload) else { return }
            // S and partition 0 start a frame, and no other packet of it has both.
            guard descriptor.startsFrame == (index == 0) else { return }
            bytes += packet.payload.dropFirst(descriptor.length)
        }
        picture.isKey = bytes[0] & 1 == 0
        picture.bytes = bytes
    }

    private static func assembleVP9(_ picture: inout ReceivedPicture) {
        var bytes: [UInt8] = []
        var open: Int?
        for packet in picture.packets {
            guard let fields = VP9Fields(packet.payload) else { return }
            // Layer frames come one behind the other, each from B to E, upwards.
            if fields.startsFrame {
                guard open == nil, picture.layers.allSatisfy({ $0 < fields.spatial }) else { return }
                open = fields.spatial
                picture.layers.append(fields.spatial)
                if fields.spatial == 0 && !fields.isInterPicture { picture.isKey = true }
            }
            guard open == fields.spatial else { return }
            if fields.endsFrame { open = nil }
            bytes += packet.payload.dropFirst(fields.length)
        }
        if open == nil { picture.bytes = bytes }
    }

    private static func assembleH264(_ picture: inout ReceivedPicture) {
        var bytes: [UInt8] = []
        var isFragmented = false
        func start(_ header: UInt8) {
            bytes += [0, 0, 0, 1, header]
            if header & 0x1f == 7 { picture.isKey = true }
        }
        for packet in picture.packets {
            let payload = packet.payload
            switch payload[0] & 0x1f {
            case 24:
                var offset = 1
                while offset + 2 < payload.count {
                    let size = Int(payload[offset]) << 8 | Int(payload[offset + 1])
                    guard offset + 2 + size <= payload.count, size > 0 else { return }
                    start(payload[offset + 2])
                    bytes += payload[offset + 3..<offset + 2 + size]
                    offset += 2 + size
                }
            case 28:
                guard payload.count > 2, (payload[1] & 0x80 != 0) != isFragmented else { return }
                if payload[1] & 0x80 != 0 { start(payload[0] & 0xe0 | payload[1] & 0x1f) }
                isFragmented = payload[1] & 0x40 == 0
                bytes += payload.dropFirst(2)
            default:
                guard !isFragmented else { return }
                start(payload[0])
                bytes += payload.dropFirst()
            }
        }
        if !isFragmented { picture.bytes = bytes }
    }

    private static func assembleAV1(_ picture: inout ReceivedPicture) {
        var units: [[UInt8]] = []
        var isOpen = false
        for packet in picture.packets {
            let header = packet.payload[0]
            // Z continues what Y left open, and nothing else.
            guard (header & 0x80 != 0) == isOpen else { return }
            if header & 0x08 != 0 { picture.isKey = true }
            var offset = 1
            var index = 0
            let count = Int(header >> 4 & 3)
            while offset < packet.payload.count {
                index += 1
                var size = packet.payload.count - offset
                if count == 0 || index < count {
                    (size, offset) = AV1Packetizer.length(packet.payload, offset)
                }
                guard size > 0, offset + size <= packet.payload.count else { return }
                let element = packet.payload[offset..<offset + size]
                if index == 1 && isOpen {
                    units[units.count - 1] += element
                } else {
                    units.append(Array(element))
                }
                offset += size
            }
            guard count == 0 || index == count else { return }
            isOpen = header & 0x40 != 0
        }
        guard !isOpen else { return }
        // A temporal delimiter, then every OBU with its size.
        var bytes: [UInt8] = [0x12, 0]
        for unit in units {
            let headerLength = unit[0] & 0x04 != 0 ? 2 : 1
            guard unit.count >= headerLength else { return }
            bytes.append(unit[0] | 0x02)
            if headerLength == 2 { bytes.append(unit[1]) }
            bytes += AV1Packetizer.leb128(unit.count - headerLength) + unit.dropFirst(headerLength)
            // A layer frame ends with a frame, or with its tile group.
            if [3, 6].contains(unit[0] >> 3 & 0x0f) {
                let spatial = headerLength == 2 ? Int(unit[1] >> 3 & 3) : 0
                if picture.layers.last != spatial { picture.layers.append(spatial) }
            }
        }
        picture.bytes = bytes
    }
}

/// The VP8 payload descriptor (RFC 7741 §4.2).
struct VP8Fields {
    var length = 1
    var startsFrame: Bool
    var pictureID: Int?
    var pictureIDBits = 15
    var tl0: Int?
    var temporal = 0
    var keyIndex: Int?

    init?(_ payload: [UInt8]) {
        guard payload.count > 6 else { return nil }
        startsFrame = payload[0] & 0x17 == 0x10
        guard payload[0] & 0x80 != 0 else { return }
        let flags = payload[1]
        length = 2
        if flags & 0x80 != 0 {
            pictureID = Int(payload[2] & 0x7f)
            length = 3
            if payload[2] & 0x80 != 0 {
                pictureID = Int(payload[2] & 0x7f) << 8 | Int(payload[3])
                length = 4
            } else {
                pictureIDBits = 7
            }
        }
        if flags & 0x40 != 0 {
            tl0 = Int(payload[length])
            length += 1
        }
        if flags & 0x30 != 0 {
            temporal = Int(payload[length] >> 6)
            if flags & 0x10 != 0 { keyIndex = Int(payload[length] & 0x1f) }
            length += 1
        }
    }
}

/// The VP9 payload descriptor (RFC 9628 §4.2).
struct VP9Fields {
    var length: Int
    var isInterPicture: Bool
    var isFlexible: Bool
    var startsFrame: Bool
    var endsFrame: Bool
    var pictureID: Int
    var temporal: Int
    var spatial: Int
    var isInterLayer: Bool
    var tl0: Int?
    /// P_DIFFs.
    var differences: [Int] = []
    /// Of the scalability structure, where there is one: how far back each picture's references are.
    var group: [[Int]]?

    /// nil: not as our senders write it.
    init?(_ payload: [UInt8]) {
        guard payload.count > 5, payload[0] & 0xa0 == 0xa0, payload[1] & 0x80 != 0 else { return nil }
        isInterPicture = payload[0] & 0x40 != 0
        isFlexible = payload[0] & 0x10 != 0
        startsFrame = payload[0] & 0x08 != 0
        endsFrame = payload[0] & 0x04 != 0
        pictureID = Int(payload[1] & 0x7f) << 8 | Int(payload[2])
        temporal = Int(payload[3] >> 5)
        spatial = Int(payload[3] >> 1 & 7)
        isInterLayer = payload[3] & 1 != 0
        var offset = 4
        if !isFlexible {
            tl0 = Int(payload[4])
            offset = 5
        } else if isInterPicture {
            repeat {
                guard offset < payload.count else { return nil }
                differences.append(Int(payload[offset] >> 1))
                offset += 1
            } while payload[offset - 1] & 1 != 0
        }
        length = offset
        if payload[0] & 0x02 != 0, !readStructure(payload) { return nil }
        guard length < payload.count else { return nil }
    }

    private mutating func readStructure(_ payload: [UInt8]) -> Bool {
        let head = payload[length]
        length += 1 + (head & 0x10 != 0 ? 4 * (Int(head >> 5) + 1) : 0)
        var pictures: [[Int]] = []
        if head & 0x08 != 0 {
            guard length < payload.count else { return false }
            let count = Int(payload[length])
            length += 1
            for _ in 0..<count {
                guard length < payload.count else { return false }
                let references = Int(payload[length] >> 2 & 3)
                guard length + references < payload.count else { return false }
                pictures.append(payload[length + 1..<length + 1 + references].map { Int($0) })
                length += 1 + references
            }
        }
        group = pictures
        return true
    }
}
