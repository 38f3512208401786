// The numbers inside payload and dependency descriptors: picture ids, TL0PICIDX, KEYIDX, frame numbers and masks go on
// over switches and keep their meaning.
import RTP

/// What is compared of a payload.
enum PayloadParts {
    /// The payload with everything at 0 that may change on the way.
    static func neutral(_ payload: [UInt8], _ codec: CodecName) -> [UInt8] {
        var copy = payload
        let count = copy.count
        copy.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            switch codec {
            case .vp8: VP8Descriptor.patch(base, length: count, pictureID: 0, tl0PicIndex: 0, keyIndex: 0)
            case .vp9: VP9Descriptor.patch(base, length: count, pictureID: 0, tl0PicIndex: 0)
            default: break
            }
        }
        return copy
    }

    static func frame(_ payload: [UInt8], _ codec: CodecName) -> FrameInfo? {
        payload.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.flatMap { FrameInfo.parse(codec: codec, $0, length: buffer.count) }
        }
    }
}

/// Wrapping numbers of one kind: what is added to them holds for a whole stretch.
private struct Offset {
    let name: String
    let modulus: Int
    private(set) var value: Int?
    private(set) var last: Int?

    init(_ name: String, modulus: Int) {
        self.name = name
        self.modulus = modulus
    }

    /// - Parameter steps: by how much a new stretch may be ahead of the last one.
    mutating func follow(
        _ incoming: Int,
        _ outgoing: Int,
        begins: Bool,
        mayBegin: Bool,
        steps: ClosedRange<Int>
    ) -> String? {
        defer { last = outgoing }
        let offset = ((outgoing - incoming) % modulus + modulus) % modulus
        defer { value = offset }
        guard let value, let last else { return nil }
        let step = ((outgoing - last) % modulus + modulus) % modulus
        if begins || mayBegin && offset != value {
            return steps.contains(step) ? nil : "the \(name) steps by \(step)"
        }
        return offset == value ? nil : "the \(name) is off by \(offset - value)"
    }
}

extension StreamChecker {
    mutating func checkDescriptors() {
        switch entries.first?.original.codec {
        case .vp8: checkVP8()
        case .vp9: checkVP9()
        default: break
        }
        // The other codecs say in their payload what a receiver needs: the server only reads theirs.
        if context.hasDescriptors && entries.first?.original.codec == .av1 {
            checkDependencies()
        } else if entries.contains(where: { $0.packet.descriptor != nil }) {
            violate("dependency descriptors come that nobody asked for")
        }
    }

    // MARK: VP8

    private mutating func checkVP8() {
        var tl0 = Offset("TL0PICIDX", modulus: 256)
        var key = Offset("KEYIDX", modulus: 32)
        var lastPicture: Int?
        for i in entries.indices {
            let entry = entries[i]
            guard let out = PayloadParts.frame(entry.packet.payload, .vp8),
                let original = PayloadParts.frame(entry.original.payload, .vp8)
            else {
                violate("\(describe(entry)) has no descriptor")
                continue
            }
            let begins = isBoundary(i)
            if out.pictureID >= 0, out.pictureIDBits == original.pictureIDBits {
                let modulus = out.pictureIDBits == 15 ? 0x8000 : 0x80
                if let lastPicture {
                    let step = (Int(out.pictureID) - lastPicture + modulus) % modulus
                    checkPicture(i, step)
                }
                lastPicture = Int(out.pictureID)
            }
            if out.tl0PicIndex >= 0 {
                let text = tl0.follow(
                    Int(original.tl0PicIndex),
                    Int(out.tl0PicIndex),
                    begins: begins,
                    mayBegin: mayBegin(i),
                    steps: 1...1
                )
                if let text { violate("\(text) at \(describe(entry))") }
            }
            if out.keyIndex >= 0 {
                let text = key.follow(
                    Int(original.keyIndex),
                    Int(out.keyIndex),
                    begins: begins,
                    mayBegin: mayBegin(i),
                    steps: 1...1
                )
                if let text { violate("\(text) at \(describe(entry))") }
            }
        }
    }

    /// One picture id for each frame that goes out; frames that the server never saw may have had theirs.
    private mutating func checkPicture(_ i: Int, _ step: Int) {
        let (a, b) = (entries[i - 1], entries[i])
        if !isBoundary(i) && a.stamp.frame == b.stamp.frame {
            if step != 0 { violate("the picture id steps by \(step) within \(describe(b))") }
            return
        }
        let missing = b.holes + b.unrepaired + b.voids
        if step < 1 || step > 1 + missing { violate("the picture id steps by \(step) at \(describe(b))") }
    }

    // MARK: VP9

    private mutating func checkVP9() {
        var picture = Offset("picture id", modulus: 0x8000)
        var tl0 = Offset("TL0PICIDX", modulus: 256)
        for i in entries.indices {
            let entry = entries[i]
            guard let out = PayloadParts.frame(entry.packet.payload, .vp9),
                let original = PayloadParts.frame(entry.original.payload, .vp9)
            else {
                violate("\(describe(entry)) has no descriptor")
                continue
            }
            let begins = isBoundary(i)
            if out.pictureID >= 0 {
                if i == 0 && out.pictureIDBits == 7 { picture = Offset("picture id", modulus: 0x80) }
                let text = picture.follow(
                    Int(original.pictureID),
                    Int(out.pictureID),
                    begins: begins,
                    mayBegin: mayBegin(i),
                    steps: 1...1
                )
                if let text { violate("\(text) at \(describe(entry))") }
            }
            if out.tl0PicIndex >= 0 {
                let text = tl0.follow(
                    Int(original.tl0PicIndex),
                    Int(out.tl0PicIndex),
                    begins: begins,
                    mayBegin: mayBegin(i),
                    steps: 1...1
                )
                if let text { violate("\(text) at \(describe(entry))") }
            }
        }
    }

    // MARK: Dependency descriptor

    private struct Described {
        var entry: Int
        var mask: UInt32
    }

    private mutating func checkDependencies() {
        var structure = DependencyStructure()
        var number = Offset("frame number", modulus: 0x10000)
        var mask: UInt32 = 0
        var former: Described?
        for i in entries.indices {
            let entry = entries[i]
            guard let expected = entry.original.dependencies else { continue }
            guard let bytes = entry.packet.descriptor else {
                violate("\(describe(entry)) has no dependency descriptor")
                continue
            }
            let parsed = bytes.withUnsafeBufferPointer { buffer in
                buffer.baseAddress.flatMap {
                    DependencyDescriptor.parse(
                        $0,
                        length: buffer.count,
                        structure: &structure,
                        isNewest: true
                    )
                }
            }
            guard let it = parsed else {
                // The packet with the structure may have been lost.
                if isStructureKnown(i) { violate("\(describe(entry)) has a descriptor that cannot be read") }
                continue
            }
            let number16 = Int(UInt16(truncatingIfNeeded: expected.number))
            let text = number.follow(
                number16,
                Int(it.frameNumber),
                begins: isBoundary(i),
                mayBegin: mayBegin(i),
                steps: 1...1024
            )
            if let text { violate("\(text) at \(describe(entry))") }
            if it.hasStructure || it.hasActiveDecodeTargets { mask = it.activeDecodeTargets }
            compare(it, expected, entry)
            guard entry.stamp.part == 0 || entry.stamp.part + 1 == entry.stamp.partCount else { continue }
            checkMask(mask, expected, entry)
            if let former, entries[former.entry].segment == entry.segment, !mayBegin(i) {
                checkPromise(from: former, to: Described(entry: i, mask: mask))
            }
            former = Described(entry: i, mask: mask)
        }
    }

    /// The key frame's first packet, which brought the structure, came.
    private func isStructureKnown(_ i: Int) -> Bool {
        var place = i
        while place >= 0 && !entries[place].stamp.startsKeyFrame {
            if entries[place].unrepaired + entries[place].holes > 0 && entries[place].stamp.isKey {
                return false
            }
            place -= 1
        }
        return place >= 0
    }

    private mutating func compare(_ it: DependencyDescriptor, _ expected: FrameDependencies, _ entry: Entry) {
        let stamp = entry.stamp
        let isEnd = stamp.part + 1 == stamp.partCount
        if it.startsFrame != (stamp.part == 0) || it.endsFrame != isEnd {
            violate("\(describe(entry)) has wrong start and end flags")
        }
        if it.spatialLayer != stamp.spatial || it.temporalLayer != stamp.temporal {
            violate("\(describe(entry)) is described as \(it.spatialLayer):\(it.temporalLayer)")
        }
        let differences = (0..<it.differenceCount).map { Int(it.differences[$0]) }
        if differences.sorted() != expected.differences.sorted() {
            violate("\(describe(entry)) is said to refer to \(differences), not \(expected.differences)")
        }
        let chains = (0..<it.chainCount).map { Int(it.chainDifferences[$0]) }
        if chains != expected.chains.map({ min($0, 255) }) {
            violate("\(describe(entry)) has chains \(chains), not \(expected.chains)")
        }
        let indications = expected.indications.indices.map { it.indication(forTarget: $0).rawValue }
        if indications != expected.indications { violate("\(describe(entry)) has other indications") }
    }

    /// The frame belongs to a target that is expected, and none is expected that nobody makes.
    private mutating func checkMask(_ mask: UInt32, _ expected: FrameDependencies, _ entry: Entry) {
        let isIn = expected.indications.indices.contains {
            mask >> UInt32($0) & 1 == 1 && expected.indications[$0] != 0
        }
        if !isIn { violate("\(describe(entry)) belongs to no target of the mask \(String(mask, radix: 2))") }
        if mask & ~expected.activeTargets != 0 && entry.stamp.part == 0 {
            violate("the mask \(String(mask, radix: 2)) at \(describe(entry)) promises what nobody makes")
        }
    }

    /// What lies between two frames that went out was not expected both before and after. Receivers decode the
    /// highest target of the mask.
    private mutating func checkPromise(from a: Described, to b: Described) {
        let target = 31 - a.mask.leadingZeroBitCount
        guard target >= 0, target == 31 - b.mask.leadingZeroBitCount else { return }
        let (first, last) = (entries[a.entry], entries[b.entry])
        guard first.stamp.frameID != last.stamp.frameID, last.holes + last.unrepaired + last.voids == 0,
            last.original.sequence - first.original.sequence < 2000
        else { return }
        for sequence in stride(from: first.original.sequence + 1, to: last.original.sequence, by: 1) {
            guard let original = original(first, sequence: sequence), let its = original.dependencies,
                original.stamp.part == 0, original.stamp.frameID != first.stamp.frameID,
                original.stamp.frameID != last.stamp.frameID, original.arrivedAt != nil,
                !cameAfterTheEnd(original, of: b.entry)
            else { continue }
            if target < its.indications.count && its.indications[target] != 0 {
                return violate(
                    "f\(original.stamp.frame):\(original.stamp.spatial) is promised by the mask before "
                        + "\(describe(last)) and was left out"
                )
            }
        }
    }
}
