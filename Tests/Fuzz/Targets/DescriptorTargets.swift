// Payload descriptors of VP8, VP9 and AV1. Patching is checked by patching back.
import RTP

/// What `patch` did to a copy; nil where it refused, and then nothing has changed.
private func patched(
    _ payload: [UInt8],
    _ patch: (UnsafeMutablePointer<UInt8>) -> Bool
) throws -> [UInt8]? {
    try withMemory(payload) { memory in
        let isDone = patch(memory)
        let after = (0..<payload.count).map { memory[$0] }
        if !isDone { try checkEqual(after, payload, "a refused patch changes nothing") }
        return isDone ? after : nil
    }
}

/// What a field of `bits` bits makes of a number.
private func narrowed(_ number: UInt16, bits: UInt8) -> Int32 {
    bits == 15 ? Int32(number & 0x7FFF) : Int32(number & 0x7F)
}

/// Input: new picture id, TL0PICIDX and KEYIDX, then a payload.
func fuzzVP8(_ input: FuzzInput) throws {
    var reader = input.reader
    let pictureID = reader.word16()
    let tl0 = reader.byte()
    let key = reader.byte()
    let payload = reader.rest()
    func parse(_ bytes: [UInt8]) -> VP8Descriptor? {
        withMemory(bytes) { VP8Descriptor.parse($0, length: bytes.count) }
    }
    func patch(_ bytes: [UInt8], _ pictureID: UInt16, _ tl0: UInt8, _ key: UInt8) throws -> [UInt8]? {
        try patched(bytes) {
            VP8Descriptor.patch(
                $0,
                length: bytes.count,
                pictureID: pictureID,
                tl0PicIndex: tl0,
                keyIndex: key
            )
        }
    }
    let after = try patch(payload, pictureID, tl0, key)
    guard let it = parse(payload) else {
        // Only a payload that ends with its descriptor can be patched and not be parsed.
        return try check(after == nil || parse(payload + [0]) != nil, "patched is a descriptor")
    }
    try check(it.length >= 1 && it.length <= 6 && it.length < payload.count, "length of the descriptor")
    try check(it.temporalLayer <= 3 && it.keyIndex <= 31 && it.partition <= 7, "field widths")
    try check(it.pictureID < (it.pictureIDBits == 15 ? 0x8000 : 0x80), "picture id")
    try check(it.hasTemporalLayer || it.temporalLayer == 0 && !it.isLayerSync, "no layer without T")

    let bytes = try unwrapped(after, "a descriptor can be patched")
    var expected = it
    if it.pictureID >= 0 { expected.pictureID = narrowed(pictureID, bits: it.pictureIDBits) }
    if it.tl0PicIndex >= 0 { expected.tl0PicIndex = Int16(tl0) }
    if it.keyIndex >= 0 { expected.keyIndex = Int8(key & 0x1F) }
    try checkEqual(parse(bytes), expected, "the patched descriptor")
    let back = try patch(
        bytes,
        UInt16(truncatingIfNeeded: it.pictureID),
        UInt8(truncatingIfNeeded: it.tl0PicIndex),
        UInt8(bitPattern: it.keyIndex)
    )
    try checkEqual(back, payload, "patched back")

    let frame = Array(payload.dropFirst(it.length))
    let fresh = written(capacity: 6) { it.write(to: $0) }
    var again = try unwrapped(parse(fresh + frame), "a written descriptor is read")
    try checkEqual(again.length, fresh.count, "length as written")
    again.length = it.length
    try checkEqual(again, it, "the written descriptor")
}

/// Input: new picture id and TL0PICIDX, then a payload.
func fuzzVP9(_ input: FuzzInput) throws {
    var reader = input.reader
    let pictureID = reader.word16()
    let tl0 = reader.byte()
    let payload = reader.rest()
    func parse(_ bytes: [UInt8]) -> VP9Descriptor? {
        withMemory(bytes) { VP9Descriptor.parse($0, length: bytes.count) }
    }
    func patch(_ bytes: [UInt8], _ pictureID: UInt16, _ tl0: UInt8) throws -> [UInt8]? {
        try patched(bytes) {
            VP9Descriptor.patch($0, length: bytes.count, pictureID: pictureID, tl0PicIndex: tl0)
        }
    }
    let after = try patch(payload, pictureID, tl0)
    guard let it = parse(payload) else { return }
    try check(it.length >= 1 && it.length < payload.count, "length of the descriptor")
    try check(it.spatialLayer <= 7 && it.temporalLayer <= 7, "layers")
    try check(it.referenceCount <= 3 && it.spatialLayerCount <= 8, "counts")
    try check(it.isFlexible || it.hasLayerIndices == (it.tl0PicIndex >= 0), "TL0PICIDX")
    try check((it.spatialLayerCount > 0) == it.hasScalabilityStructure, "structure")
    try checkEqual(it.referenceCount > 0, it.isFlexible && it.isInterPredicted, "references")

    let bytes = try unwrapped(after, "a descriptor can be patched")
    let again = try unwrapped(parse(bytes), "a patched descriptor is read")
    if it.pictureID >= 0 {
        try checkEqual(again.pictureID, narrowed(pictureID, bits: it.pictureIDBits), "picture id")
    }
    if it.tl0PicIndex >= 0 { try checkEqual(again.tl0PicIndex, Int16(tl0), "TL0PICIDX") }
    try checkEqual(again.length, it.length, "length")
    try checkEqual(again.pictureIDBits, it.pictureIDBits, "width of the picture id")
    let back = try patch(
        bytes,
        UInt16(truncatingIfNeeded: it.pictureID),
        UInt8(truncatingIfNeeded: it.tl0PicIndex)
    )
    try checkEqual(back, payload, "patched back")
}

/// Input: a payload, read for every codec.
func fuzzFrameInfo(_ input: FuzzInput) throws {
    for codec in CodecName.allCases {
        guard let it = FrameInfo.parse(codec: codec, input.base, length: input.count) else { continue }
        try check(input.count > 0, "no frame in an empty payload")
        try check(Int(it.descriptorLength) < input.count, "\(codec): data behind the descriptor")
        try check(it.spatialLayer <= 7 && it.temporalLayer <= 7, "\(codec): layers")
        try check(it.pictureID <= 0x7FFF && it.keyIndex <= 31 && it.tl0PicIndex <= 255, "\(codec): numbers")
        try check((it.pictureID >= 0) == (it.pictureIDBits > 0), "\(codec): width of the picture id")
        if it.isKeyFrameStart {
            try check(it.startsFrame || codec == .av1, "\(codec): a key frame starts a frame")
            try check(!it.isInterPredicted, "\(codec): a key frame refers to nothing earlier")
        }
        if codec == .av1 {
            let header = try unwrapped(
                AV1AggregationHeader.parse(input.base, length: input.count),
                "there is an aggregation header"
            )
            try checkEqual(it.startsFrame, !header.continuesOBU, "start of a frame")
            try check(!header.continuesOBU || !header.startsCodedVideoSequence, "Z and N")
            try check(header.elementCount <= 3, "W")
        }
    }
}
