// The dependency descriptor and the layers allocation: structures that live longer than a packet.
import RTP

/// All that a structure says, for comparisons.
private func snapshot(_ structure: DependencyStructure) -> [Int] {
    var values = [
        structure.isValid ? 1 : 0, Int(structure.templateIDOffset), structure.templateCount,
        structure.decodeTargetCount, structure.chainCount, Int(structure.maxSpatialLayer),
        Int(structure.maxTemporalLayer), Int(structure.activeDecodeTargets),
        Int(structure.activeSpatialLayers), Int(structure.allTargets),
    ]
    for target in 0..<structure.decodeTargetCount {
        values.append(Int(structure.spatialLayer(ofTarget: target)))
        values.append(Int(structure.temporalLayer(ofTarget: target)))
        values.append(structure.chain(ofTarget: target))
        for other in 0..<structure.decodeTargetCount {
            values.append(structure.contains(target, in: other) ? 1 : 0)
        }
    }
    for layer in 0...structure.maxSpatialLayer {
        values.append(Int(structure.width(ofSpatialLayer: layer)))
        values.append(Int(structure.height(ofSpatialLayer: layer)))
    }
    return values
}

/// All that a descriptor says but its frame number and its mask.
private func meaning(_ it: DependencyDescriptor) -> [Int] {
    var values = [
        it.startsFrame ? 1 : 0, it.endsFrame ? 1 : 0, Int(it.templateID), it.hasStructure ? 1 : 0,
        Int(it.spatialLayer), Int(it.temporalLayer), it.target, Int(it.width), Int(it.height),
    ]
    values += (0..<it.differenceCount).map { Int(it.differences[$0]) } + [-1]
    values += (0..<it.chainCount).map { Int(it.chainDifferences[$0]) } + [-1]
    values += (0..<32).map { Int(it.indication(forTarget: $0).rawValue) }
    return values
}

private func parse(
    _ bytes: [UInt8],
    _ structure: inout DependencyStructure,
    isNewest: Bool
) -> DependencyDescriptor? {
    withMemory(bytes) {
        DependencyDescriptor.parse($0, length: bytes.count, structure: &structure, isNewest: isNewest)
    }
}

/// Input: descriptors of one stream, each behind a byte of choices and its length.
func fuzzDependencyDescriptor(_ input: FuzzInput) throws {
    var reader = input.reader
    var structure = DependencyStructure()
    while !reader.isAtEnd {
        let choices = reader.byte()
        let bytes = reader.take(Int(reader.byte()))
        let before = structure
        let isNewest = choices & 1 == 0
        guard let it = parse(bytes, &structure, isNewest: isNewest) else {
            try checkEqual(snapshot(structure), snapshot(before), "a refused descriptor changes nothing")
            continue
        }
        if !isNewest {
            try checkEqual(snapshot(structure), snapshot(before), "a late descriptor changes nothing")
        }
        var own = before
        _ = parse(bytes, &own, isNewest: true)
        try checkDescriptor(it, against: own)
        try checkRewriting(it, bytes, before: before, choices: choices)
    }
}

private func checkDescriptor(_ it: DependencyDescriptor, against structure: DependencyStructure) throws {
    try check(structure.isValid, "no descriptor without a structure")
    try check((1...32).contains(structure.decodeTargetCount), "targets")
    try check(structure.chainCount <= 16 && (1...64).contains(structure.templateCount), "counts")
    try check(structure.maxSpatialLayer <= 3 && structure.maxTemporalLayer <= 7, "layers")
    try check(it.spatialLayer <= structure.maxSpatialLayer, "spatial layer")
    try check(it.temporalLayer <= structure.maxTemporalLayer, "temporal layer")
    try check(it.differenceCount <= 8 && it.chainCount == structure.chainCount, "differences and chains")
    try check((-1..<structure.decodeTargetCount).contains(it.target), "target")
    if it.target >= 0 {
        try checkEqual(structure.spatialLayer(ofTarget: it.target), it.spatialLayer, "target's layer")
        try checkEqual(structure.temporalLayer(ofTarget: it.target), it.temporalLayer, "target's layer")
    }
    for target in 0..<structure.decodeTargetCount {
        try check(structure.chain(ofTarget: target) < max(1, structure.chainCount), "chain of a target")
        try check(structure.contains(target, in: target), "a target contains itself")
    }
    try check(structure.activeDecodeTargets & ~structure.allTargets == 0, "active targets")
    if it.hasStructure || it.hasActiveDecodeTargets {
        try checkEqual(structure.activeDecodeTargets, it.activeDecodeTargets, "active targets")
    }
    let all = structure.targets(upToSpatialLayer: 3, temporalLayer: 7)
    try checkEqual(all, structure.allTargets, "targets of all layers")
    var frame = FrameInfo()
    frame.apply(it)
    try check(!frame.isKeyFrameStart || it.hasStructure, "a key frame has a structure")
}

/// Written anew it says the same, with the new number and mask.
private func checkRewriting(
    _ it: DependencyDescriptor,
    _ bytes: [UInt8],
    before: DependencyStructure,
    choices: UInt8
) throws {
    let number = UInt16(choices) &* 257 &+ 77
    let wanted = UInt32(choices) &* 0x0101_0101 ^ 0x5A00_FF3C
    let layout = DescriptorLayout(it, length: bytes.count)
    try checkEqual(layout.frameNumber, it.frameNumber, "frame number")
    let capacity = layout.lengthWithMask
    try check(capacity <= bytes.count + DependencyDescriptor.maskBytes, "room for the mask")
    func rewrite(_ bytes: [UInt8], _ it: DependencyDescriptor, capacity: Int) -> [UInt8] {
        withMemory(bytes) { source in
            written(capacity: capacity) { out in
                it.rewrite(
                    source,
                    length: bytes.count,
                    frameNumber: number,
                    mask: wanted,
                    to: out,
                    capacity: capacity
                )
            }
        }
    }
    try check(rewrite(bytes, it, capacity: capacity - 1).isEmpty, "no room")
    let out = rewrite(bytes, it, capacity: capacity)
    try checkEqual(out.count, capacity, "length as promised")

    var structure = before
    let parsed = parse(out, &structure, isNewest: true)
    let again = try unwrapped(parsed, "what was written is read")
    try checkEqual(meaning(again), meaning(it), "meaning")
    try checkEqual(again.frameNumber, number, "the new number")
    try check(again.hasActiveDecodeTargets, "the new mask is there")
    try checkEqual(again.activeDecodeTargets, wanted & structure.allTargets, "the new mask")
    try checkEqual(structure.activeDecodeTargets, wanted & structure.allTargets, "the mask counts")
    try checkEqual(rewrite(out, again, capacity: capacity), out, "rewriting twice")

    let patched = withMemory(bytes) { memory in
        DependencyDescriptor.patchFrameNumber(memory, number)
        return (0..<bytes.count).map { memory[$0] }
    }
    structure = before
    let moved = parse(patched, &structure, isNewest: true)
    try checkEqual(moved?.frameNumber, number, "the patched number")
    try checkEqual(moved.map { meaning($0) }, meaning(it), "meaning of the patched descriptor")
}

/// Input: an allocation.
func fuzzVideoLayersAllocation(_ input: FuzzInput) throws {
    guard let it = VideoLayersAllocation.parse(input.base, length: input.count) else { return }
    try check((1...4).contains(it.streamCount) && (0...3).contains(it.streamIndex), "streams")
    for stream in 0..<4 {
        for layer in 0..<4 {
            let count = it.temporalLayerCount(stream: stream, spatialLayer: layer)
            try check(count <= 4 && (count == 0 || stream < it.streamCount), "temporal layers")
            for temporal in count..<4 {
                let rate = it.bitrate(stream: stream, spatialLayer: layer, temporalLayer: temporal)
                try checkEqual(rate, 0, "bitrate of a layer that is not sent")
            }
            let width = it.width(stream: stream, spatialLayer: layer)
            try checkEqual(width > 0, count > 0 && it.hasResolutions, "width")
        }
    }
    let bytes = encoded(it)
    let parsed = withMemory(bytes) { VideoLayersAllocation.parse($0, length: bytes.count) }
    let again = try unwrapped(parsed, "what was written is read")
    try checkEqual(encoded(again), bytes, "written twice")
    for stream in 0..<4 {
        for layer in 0..<4 {
            try checkEqual(
                again.temporalLayerCount(stream: stream, spatialLayer: layer),
                it.temporalLayerCount(stream: stream, spatialLayer: layer),
                "temporal layers"
            )
        }
    }
}

private func encoded(_ it: VideoLayersAllocation) -> [UInt8] {
    var masks: [UInt8] = []
    var counts: [UInt8] = []
    var rates: [UInt8] = []
    var sizes: [UInt8] = []
    for stream in 0..<it.streamCount {
        var mask: UInt8 = 0
        for layer in 0..<4 {
            let count = it.temporalLayerCount(stream: stream, spatialLayer: layer)
            guard count > 0 else { continue }
            mask |= 1 << UInt8(layer)
            counts.append(UInt8(count - 1))
            for temporal in 0..<count {
                var rate = it.bitrate(stream: stream, spatialLayer: layer, temporalLayer: temporal)
                while rate >= 0x80 {
                    rates.append(UInt8(rate & 0x7F) | 0x80)
                    rate >>= 7
                }
                rates.append(UInt8(rate))
            }
            guard it.hasResolutions else { continue }
            for side in [
                it.width(stream: stream, spatialLayer: layer), it.height(stream: stream, spatialLayer: layer),
            ] {
                sizes += [UInt8((side - 1) >> 8), UInt8(truncatingIfNeeded: side - 1)]
            }
            sizes.append(it.frameRate(stream: stream, spatialLayer: layer))
        }
        masks.append(mask)
    }
    let isShared = masks[0] != 0 && masks.allSatisfy { $0 == masks[0] }
    var bytes = [UInt8(it.streamIndex << 6 | (it.streamCount - 1) << 4) | (isShared ? masks[0] : 0)]
    if !isShared {
        for pair in stride(from: 0, to: masks.count, by: 2) {
            bytes.append(masks[pair] << 4 | (pair + 1 < masks.count ? masks[pair + 1] : 0))
        }
    }
    for start in stride(from: 0, to: counts.count, by: 4) {
        var byte: UInt8 = 0
        for place in start..<start + 4 { byte = byte << 2 | (place < counts.count ? counts[place] : 0) }
        bytes.append(byte)
    }
    return bytes + rates + sizes
}
