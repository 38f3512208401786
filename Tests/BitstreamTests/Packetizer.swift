// Cuts the layer frames of a picture into RTP payloads as senders do. Written from the payload formats alone; knows
// nothing of the server's parsers.
import CBitstreamCodecs

/// A payload before its RTP header.
struct PayloadPacket {
    var payload: [UInt8]
    var spatial = 0
    /// Last of its picture.
    var marker = false
    /// The dependency descriptor extension.
    var descriptor: [UInt8] = []
}

protocol Packetizer {
    /// - Parameter picture: the layer frames that are sent of it, lowest first.
    mutating func packetize(_ picture: [LayerFrame]) -> [PayloadPacket]
}

/// The most bytes of a frame in one packet.
let packetBytes = 500

func pieces(_ bytes: [UInt8], of size: Int = packetBytes) -> [ArraySlice<UInt8>] {
    // Of about equal size, as encoders do.
    let count = max(1, (bytes.count + size - 1) / size)
    return (0..<count).map { bytes[bytes.count * $0 / count..<bytes.count * ($0 + 1) / count] }
}

/// RFC 7741.
struct VP8Packetizer: Packetizer {
    enum Descriptor { case full, sevenBits, bare }

    let form: Descriptor
    /// Near their wraps so that short clips see them.
    private var pictureID: UInt16 = 0x7ff8
    private var tl0: UInt8 = 252
    private var keyIndex: UInt8 = 29
    /// Of the encoder's frames, by number.
    private var layers: [Int: Int] = [:]

    init(_ form: Descriptor, encoding: Int) {
        self.form = form
        pictureID &-= UInt16(encoding) &* 700
        tl0 &-= UInt8(encoding) &* 70
    }

    mutating func packetize(_ picture: [LayerFrame]) -> [PayloadPacket] {
        guard let frame = picture.first else { return [] }
        pictureID = (pictureID + 1) & 0x7fff
        if frame.temporal == 0 { tl0 &+= 1 }
        if frame.isKey { keyIndex = (keyIndex + 1) & 0x1f }
        layers[frame.number] = frame.temporal
        // Y: it depends on the base layer only.
        let isSync = frame.temporal > 0 && frame.references.allSatisfy { layers[$0] == 0 }
        let parts = pieces(frame.bytes)
        return parts.enumerated().map { index, part in
            var payload: [UInt8] = [index == 0 ? 0x10 : 0]
            if frame.isUnreferenced { payload[0] |= 0x20 }
            if form != .bare {
                payload[0] |= 0x80
                payload.append(0xf0)
                if form == .full { payload.append(0x80 | UInt8(pictureID >> 8)) }
                payload.append(UInt8(pictureID & (form == .full ? 0xff : 0x7f)))
                payload.append(tl0)
                payload.append(UInt8(frame.temporal) << 6 | (isSync ? 0x20 : 0) | keyIndex)
            }
            return PayloadPacket(payload: payload + part, marker: index == parts.count - 1)
        }
    }
}

/// RFC 9628.
struct VP9Packetizer: Packetizer {
    /// P_DIFFs; else a picture group in the scalability structure.
    let isFlexible: Bool
    private let settings: encoder_settings
    private var pictureID: UInt16 = 0x7ff0
    private var tl0: UInt8 = 250
    /// Picture and temporal layer of the encoder's frames, by number.
    private var pictures: [Int: (id: Int, temporal: Int)] = [:]
    private var count = 0
    /// For each picture of the group: temporal layer, U, and how many pictures back its references are.
    private var group: [(temporal: Int, isSwitch: Bool, differences: [Int])] = []

    init(_ settings: encoder_settings, isFlexible: Bool, encoding: Int) throws {
        self.settings = settings
        self.isFlexible = isFlexible
        pictureID &-= UInt16(encoding) &* 900
        guard !isFlexible else { return }
        // The second group stands for all: the first one begins with the key picture.
        let length = settings.temporal_layers == 1 ? 1 : settings.temporal_layers == 2 ? 4 : 8
        let plan = try RealEncoder.plan(settings, pictures: 2 * length)
        let layers = Int(settings.spatial_layers)
        for picture in length..<2 * length {
            let frame = plan[picture * layers]
            group.append(
                (
                    frame.temporal, isSwitch(frame, length),
                    frame.earlier.map { picture - plan[$0].position }
                )
            )
        }
    }

    /// U of RFC 9628 §4.2: what comes later in higher temporal layers needs nothing of them from before.
    private func isSwitch(_ frame: LayerFrame, _ length: Int) -> Bool {
        switch frame.temporal {
        case 0: frame.position % length == 0
        case 1 where settings.temporal_layers == 3 && settings.spatial_layers == 1: frame.position % 8 == 2
        default: true
        }
    }

    mutating func packetize(_ picture: [LayerFrame]) -> [PayloadPacket] {
        guard let base = picture.first else { return [] }
        pictureID = (pictureID + 1) & 0x7fff
        count += 1
        if base.temporal == 0 { tl0 &+= 1 }
        var packets: [PayloadPacket] = []
        for frame in picture {
            pictures[frame.number] = (count, frame.temporal)
            let parts = pieces(frame.bytes)
            for (index, part) in parts.enumerated() {
                let head = descriptor(
                    frame,
                    isFirst: index == 0,
                    isLast: index == parts.count - 1,
                    isTop: frame.number == picture.last?.number
                )
                packets.append(PayloadPacket(payload: head + part, spatial: frame.spatial))
            }
        }
        packets[packets.count - 1].marker = true
        return packets
    }

    private func descriptor(_ frame: LayerFrame, isFirst: Bool, isLast: Bool, isTop: Bool) -> [UInt8] {
        let earlier = frame.earlier
        let isAlone = settings.is_key_mode != 0 && !frame.isKey
        let hasStructure = frame.isKey && frame.spatial == 0 && isFirst
        // I, L
        var first: UInt8 = 0xa0
        if !earlier.isEmpty { first |= 0x40 }
        if isFlexible { first |= 0x10 }
        if isFirst { first |= 0x08 }
        if isLast { first |= 0x04 }
        if hasStructure { first |= 0x02 }
        if isAlone || isTop { first |= 0x01 }
        var bytes = [first, 0x80 | UInt8(pictureID >> 8), UInt8(pictureID & 0xff)]
        // Flexible streams set U as browsers do: where the references are of lower temporal layers.
        let highest = earlier.compactMap { pictures[$0]?.temporal }.max() ?? -1
        let isSwitch =
            isFlexible
            ? highest < frame.temporal && !frame.isKey : group[frame.position % group.count].isSwitch
        bytes.append(
            UInt8(frame.temporal) << 5 | (isSwitch ? 0x10 : 0) | UInt8(frame.spatial) << 1
                | (frame.isInterLayer ? 1 : 0)
        )
        if isFlexible {
            let differences = earlier.compactMap { pictures[$0].map { count - $0.id } }
            for (index, difference) in differences.enumerated() {
                bytes.append(UInt8(difference) << 1 | (index < differences.count - 1 ? 1 : 0))
            }
        } else {
            bytes.append(tl0)
        }
        if hasStructure { bytes += structure }
        return bytes
    }

    private var structure: [UInt8] {
        let layers = Int(settings.spatial_layers)
        // Y, and G where there is a group.
        var bytes = [UInt8(layers - 1) << 5 | 0x10 | (isFlexible ? 0 : 0x08)]
        for layer in 0..<layers {
            let shift = Int32(layers - 1 - layer)
            for size in [settings.width >> shift, settings.height >> shift] {
                bytes += [UInt8(size >> 8), UInt8(size & 0xff)]
            }
        }
        guard !isFlexible else { return bytes }
        bytes.append(UInt8(group.count))
        for picture in group {
            bytes.append(
                UInt8(picture.temporal) << 5 | (picture.isSwitch ? 0x10 : 0)
                    | UInt8(picture.differences.count) << 2
            )
            bytes += picture.differences.map { UInt8($0) }
        }
        return bytes
    }
}

/// RFC 6184, packetization mode 1.
struct H264Packetizer: Packetizer {
    /// Parameter sets in one aggregate; else in packets of their own.
    let aggregates: Bool

    mutating func packetize(_ picture: [LayerFrame]) -> [PayloadPacket] {
        guard let frame = picture.first else { return [] }
        var packets: [PayloadPacket] = []
        var small: [[UInt8]] = []
        func flush() {
            if small.count == 1 { packets.append(PayloadPacket(payload: small[0])) }
            if small.count > 1 {
                let reference = small.map { $0[0] & 0x60 }.max() ?? 0
                packets.append(
                    PayloadPacket(
                        payload: small.reduce([reference | 24]) {
                            $0 + [UInt8($1.count >> 8), UInt8($1.count & 0xff)] + $1
                        }
                    )
                )
            }
            small = []
        }
        for unit in H264Packetizer.units(of: frame.bytes) {
            if unit.count <= 300 && aggregates {
                small.append(unit)
                continue
            }
            flush()
            if unit.count <= packetBytes {
                packets.append(PayloadPacket(payload: unit))
                continue
            }
            let parts = pieces(Array(unit.dropFirst()))
            for (index, part) in parts.enumerated() {
                let edges: UInt8 = (index == 0 ? 0x80 : 0) | (index == parts.count - 1 ? 0x40 : 0)
                packets.append(
                    PayloadPacket(payload: [unit[0] & 0x60 | 28, edges | unit[0] & 0x1f] + part)
                )
            }
        }
        flush()
        packets[packets.count - 1].marker = true
        return packets
    }

    /// The NAL units of an Annex B stream.
    static func units(of bytes: [UInt8]) -> [[UInt8]] {
        var starts: [(code: Int, unit: Int)] = []
        var i = 0
        while i + 2 < bytes.count {
            if bytes[i] == 0 && bytes[i + 1] == 0 && bytes[i + 2] == 1 {
                starts.append((i > 0 && bytes[i - 1] == 0 ? i - 1 : i, i + 3))
                i += 3
            } else {
                i += 1
            }
        }
        return starts.indices.map { index in
            let end = index + 1 < starts.count ? starts[index + 1].code : bytes.count
            return Array(bytes[starts[index].unit..<end])
        }
    }
}
