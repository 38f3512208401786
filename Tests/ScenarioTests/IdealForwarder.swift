// Forwards synthetic media as it should be done, in a few plain lines: what the checker is tested against.
import RTP
import Seam
import Simulation

/// A publisher's packets without a network.
func originals(
    of format: MediaSource.Format,
    pictures: Int,
    seed: UInt64 = 1,
    prepare: (inout MediaSource, Int) -> Void = { _, _ in }
) -> (publisher: SimulatedPublisher, packets: [SourcePacket]) {
    var source = MediaSource(id: UInt32(truncatingIfNeeded: 7 + seed), format: format)
    source.orientation = 1
    let publisher = SimulatedPublisher(
        source: source,
        mid: "0",
        id: PublicationID("tr_test"),
        seed: seed,
        startsNearWraps: true
    )
    publisher.sendsCaptureTime = true
    var packets: [SourcePacket] = []
    for picture in 0..<pictures {
        prepare(&publisher.source, picture)
        for packet in publisher.source.produce() {
            let composed = publisher.compose(packet, transportSequence: 0, at: .zero)
            publisher.markDelivered(composed)
            if packet.stamp != nil { packets.append(packet) }
        }
    }
    return (publisher, packets)
}

struct IdealForwarder {
    struct Choice: Equatable {
        var layer = 0
        var spatial = 9
        var temporal = 9
    }

    let publisher: SimulatedPublisher
    let structure: VideoFormat.Structure
    private(set) var packets: [ReceivedPacket] = []
    private var current: Choice?
    private var sequence: Int64 = 500
    private var offsets = Offsets()
    private var structures: [Int: DependencyStructure] = [:]
    private var lastFrame: Stamp.FrameID?

    private struct Offsets {
        var picture: Int32 = 0
        var tl0: Int32 = 0
        var key: Int32 = 0
        var number: Int32 = 0
        var lastPicture: Int32 = -1
        var lastTL0: Int32 = -1
        var lastKey: Int32 = -1
        var lastNumber: Int32 = -1
    }

    init(_ publisher: SimulatedPublisher) {
        self.publisher = publisher
        if case .video(let format) = publisher.source.format {
            structure = format.structure
        } else {
            structure = .simulcast
        }
    }

    /// - Parameter wanted: what should be shown of a picture; a switch of encodings waits for a key frame, one of
    ///   layers for a key picture.
    mutating func forward(_ all: [SourcePacket], wanted: (UInt32) -> Choice) {
        let keys = Set(all.compactMap(\.stamp).filter(\.startsKeyFrame).map(\.frameID))
        for (i, packet) in all.enumerated() {
            guard let stamp = packet.stamp, let place = publisher.sent[stamp] else { continue }
            let original = publisher.originals[place]
            let want = wanted(stamp.frame)
            if stamp.startsKeyFrame && packet.layer == want.layer {
                if current?.layer != want.layer { begin(original) }
                current = want
            }
            guard let choice = current, packet.layer == choice.layer else { continue }
            // A picture is not shown twice.
            var other = stamp.frameID
            other.layer = UInt8(want.layer)
            other.spatial = 0
            if packet.layer != want.layer && keys.contains(other) { continue }
            guard isIn(stamp, choice) else { continue }
            send(original, packet, isLast: isLast(i, all, choice), choice)
        }
    }

    private func isIn(_ stamp: Stamp, _ choice: Choice) -> Bool {
        guard stamp.spatial <= choice.spatial, stamp.temporal <= choice.temporal else { return false }
        guard structure == .keySVC, !stamp.isKey else { return true }
        // Between key pictures only the highest spatial layer that is let through.
        var above = stamp.frameID
        above.spatial += 1
        return above.spatial > choice.spatial || !publisher.hasFrame(above)
    }

    private func isLast(_ i: Int, _ all: [SourcePacket], _ choice: Choice) -> Bool {
        guard let stamp = all[i].stamp, stamp.part + 1 == stamp.partCount else { return false }
        var next = i + 1
        while next < all.count, let other = all[next].stamp, other.frame == stamp.frame,
            other.layer == stamp.layer
        {
            if isIn(other, choice) { return false }
            next += 1
        }
        return true
    }

    private mutating func begin(_ original: OriginalPacket) {
        let frame = info(original)
        if offsets.lastPicture >= 0 { offsets.picture = offsets.lastPicture + 1 - frame.pictureID }
        if offsets.lastTL0 >= 0 { offsets.tl0 = offsets.lastTL0 + 1 - Int32(frame.tl0PicIndex) }
        if offsets.lastKey >= 0 { offsets.key = offsets.lastKey + 1 - Int32(frame.keyIndex) }
        if offsets.lastNumber >= 0, let its = original.dependencies {
            offsets.number = offsets.lastNumber + 1 - Int32(truncatingIfNeeded: its.number)
        }
    }

    private func info(_ original: OriginalPacket) -> FrameInfo {
        original.payload.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.flatMap {
                FrameInfo.parse(codec: original.codec, $0, length: buffer.count)
            } ?? FrameInfo()
        }
    }

    private mutating func send(
        _ original: OriginalPacket,
        _ packet: SourcePacket,
        isLast: Bool,
        _ choice: Choice
    ) {
        let frame = info(original)
        var payload = original.payload
        if frame.pictureID >= 0 {
            let mask: Int32 = frame.pictureIDBits == 15 ? 0x7fff : 0x7f
            if original.codec == .vp8, lastFrame != original.stamp.frameID, offsets.lastPicture >= 0 {
                offsets.picture = offsets.lastPicture + 1 - frame.pictureID
            }
            offsets.lastPicture = (frame.pictureID + offsets.picture) & mask
        }
        if frame.tl0PicIndex >= 0 { offsets.lastTL0 = (Int32(frame.tl0PicIndex) + offsets.tl0) & 0xff }
        if frame.keyIndex >= 0 { offsets.lastKey = (Int32(frame.keyIndex) + offsets.key) & 0x1f }
        lastFrame = original.stamp.frameID
        patch(&payload, original.codec)
        var out = ReceivedPacket(
            ssrc: 1,
            sequence: sequence,
            timestamp: UInt32(truncatingIfNeeded: 0xffff_0000 + original.stamp.time.microseconds * 9 / 100),
            marker: isLast,
            payloadType: 96,
            payload: payload,
            at: .zero + original.stamp.time
        )
        out.orientation = original.orientation
        out.captureTime = original.captureTime
        // Of the other codecs the payload says enough.
        out.descriptor =
            original.codec == .av1 ? packet.descriptor.map { descriptor($0, original, choice) } : nil
        sequence += 1
        packets.append(out)
    }

    private func patch(_ payload: inout [UInt8], _ codec: CodecName) {
        let count = payload.count
        let picture = UInt16(truncatingIfNeeded: max(offsets.lastPicture, 0))
        let tl0 = UInt8(truncatingIfNeeded: max(offsets.lastTL0, 0))
        let key = UInt8(truncatingIfNeeded: max(offsets.lastKey, 0))
        payload.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            switch codec {
            case .vp8:
                VP8Descriptor.patch(base, length: count, pictureID: picture, tl0PicIndex: tl0, keyIndex: key)
            case .vp9: VP9Descriptor.patch(base, length: count, pictureID: picture, tl0PicIndex: tl0)
            default: break
            }
        }
    }

    private mutating func descriptor(_ bytes: [UInt8], _ original: OriginalPacket, _ choice: Choice)
        -> [UInt8]
    {
        var structure = structures[choice.layer] ?? DependencyStructure()
        defer { structures[choice.layer] = structure }
        let parsed = bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.flatMap {
                DependencyDescriptor.parse($0, length: buffer.count, structure: &structure, isNewest: true)
            }
        }
        guard let it = parsed else { return [] }
        let number = UInt16(truncatingIfNeeded: Int32(it.frameNumber) + offsets.number)
        offsets.lastNumber = Int32(number)
        let mask =
            structure.targets(
                upToSpatialLayer: UInt8(min(choice.spatial, 9)),
                temporalLayer: UInt8(min(choice.temporal, 9))
            ) & (original.dependencies?.activeTargets ?? 0)
        var out = [UInt8](repeating: 0, count: 256)
        let length = bytes.withUnsafeBufferPointer { old in
            out.withUnsafeMutableBufferPointer { new in
                guard let a = old.baseAddress, let b = new.baseAddress else { return 0 }
                return it.rewrite(a, length: old.count, frameNumber: number, mask: mask, to: b, capacity: 256)
            }
        }
        return Array(out.prefix(length))
    }
}
