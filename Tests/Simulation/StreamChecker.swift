// What must hold of everything that a subscriber got on one slot, whatever the network and the switches did.
import RTP

/// Looks at one slot's packets. Each rule that is broken is a line of text; an empty list is a stream in order.
public struct StreamChecker {
    public private(set) var violations: [String] = []
    /// Numbers that nobody sent: at most one where a switch broke a frame off.
    public private(set) var gaps = 0
    /// Times that another source or layer began.
    public private(set) var switches = 0
    public private(set) var frames = 0
    public private(set) var layersSeen: Set<UInt8> = []

    /// - Parameter sent: the publishers' payloads by stamp.
    public init(_ packets: [ReceivedPacket], kind: MediaKind, sent: [Stamp: [UInt8]]) {
        let sorted = packets.sorted { $0.sequence < $1.sequence }
        var stamps: Set<Stamp> = []
        for packet in sorted {
            guard let stamp = packet.stamp else {
                violations.append("packet \(packet.sequence) carries nothing that was sent")
                continue
            }
            if !stamps.insert(stamp).inserted { violations.append("\(stamp) came twice") }
            compare(packet, with: sent[stamp], kind)
        }
        for (a, b) in zip(sorted, sorted.dropFirst()) {
            guard let x = a.stamp, let y = b.stamp else { continue }
            follow(a, x, b, y, kind)
        }
    }

    private mutating func compare(_ packet: ReceivedPacket, with original: [UInt8]?, _ kind: MediaKind) {
        guard var original else { return violations.append("packet \(packet.sequence) was never sent") }
        var payload = packet.payload
        if kind == .video && payload.count >= 6 && original.count >= 6 {
            // Picture id, TL0PICIDX and KEYIDX are ours; the temporal layer's bits are not.
            payload.replaceSubrange(2..<6, with: [0, 0, 0, payload[5] & 0xe0])
            original.replaceSubrange(2..<6, with: [0, 0, 0, original[5] & 0xe0])
        }
        if payload != original { violations.append("packet \(packet.sequence) has another payload") }
    }

    private mutating func follow(
        _ a: ReceivedPacket,
        _ x: Stamp,
        _ b: ReceivedPacket,
        _ y: Stamp,
        _ kind: MediaKind
    ) {
        let isSwitch = x.source != y.source || x.layer != y.layer
        let gap = b.sequence - a.sequence - 1
        if gap > 0 {
            gaps += Int(gap)
            if !(isSwitch && gap == 1 && !a.marker) && !(isSwitch && gap > 1) {
                violations.append("\(gap) numbers are missing before \(b.sequence)")
            }
        }
        let ticks = Int32(bitPattern: b.timestamp &- a.timestamp)
        if kind == .audio {
            if ticks <= 0 { violations.append("the timestamp goes back at \(b.sequence)") }
            if !isSwitch && y.frame == x.frame + 1 && ticks != 960 {
                violations.append("\(ticks) ticks between packets at \(b.sequence)")
            }
            return
        }
        layersSeen.formUnion([x.layer, y.layer])
        let isSameFrame = !isSwitch && x.frame == y.frame
        if isSameFrame != (ticks == 0) {
            violations.append("timestamps and frames disagree at \(b.sequence)")
        }
        if ticks < 0 { violations.append("the timestamp goes back at \(b.sequence)") }
        if isSameFrame && a.marker { violations.append("the marker is inside a frame at \(a.sequence)") }
        if !isSwitch && !isSameFrame && gap == 0 && !a.marker {
            violations.append("the marker is missing at \(a.sequence)")
        }
        if isSwitch { switches += 1 }
        if isSwitch && !(y.isKey && y.part == 0) {
            violations.append("layer \(y.layer) begins without a key frame at \(b.sequence)")
        }
        if !isSameFrame { frames += 1 }
        followDescriptor(
            a.payload,
            b.payload,
            y,
            at: b.sequence,
            isSameFrame: isSameFrame,
            isSwitch: isSwitch
        )
    }

    private mutating func followDescriptor(
        _ a: [UInt8],
        _ b: [UInt8],
        _ stamp: Stamp,
        at sequence: Int64,
        isSameFrame: Bool,
        isSwitch: Bool
    ) {
        guard a.count >= 6, b.count >= 6 else { return violations.append("no descriptor at \(sequence)") }
        let step = isSameFrame ? 0 : 1
        let picture = (Int(b[2] & 0x7f) << 8 | Int(b[3])) - (Int(a[2] & 0x7f) << 8 | Int(a[3]))
        if picture & 0x7fff != step { violations.append("the picture id steps by \(picture) at \(sequence)") }
        if (Int(b[4]) - Int(a[4])) & 0xff != step { violations.append("TL0PICIDX is wrong at \(sequence)") }
        let keyStep = stamp.isKey && !isSameFrame ? 1 : 0
        if (Int(b[5]) - Int(a[5])) & 0x1f != keyStep { violations.append("KEYIDX is wrong at \(sequence)") }
    }
}

extension SimulatedPeer {
    /// The packets of one slot.
    public func packets(on slot: Int) -> [ReceivedPacket] { received.filter { $0.ssrc == slots[slot].ssrc } }
}
