// Opus and RED payloads.
import RTP

/// Input: a payload.
func fuzzOpus(_ input: FuzzInput) throws {
    guard let it = OpusPayload.parse(input.base, length: input.count) else { return }
    try check(it.duration >= 120 && it.duration <= 5760, "duration \(it.duration)")
    try check(it.frameCount >= 1 && it.frameCount <= 48, "frames \(it.frameCount)")
    try check(Int(it.duration) % Int(it.frameCount) == 0, "all frames have one duration")
    let frame = it.duration / UInt16(it.frameCount)
    try check([120, 240, 480, 960, 1920, 2880].contains(frame), "duration of a frame: \(frame)")
    try checkEqual(it.isDTX, input.count <= 2, "DTX")
    try checkEqual(it.isStereo, input.base[0] & 4 != 0, "stereo")
}

private func blocksOf(_ payload: UnsafePointer<UInt8>, _ length: Int) -> [REDBlock]? {
    guard var walk = REDPayload(payload, length: length) else { return nil }
    var blocks: [REDBlock] = []
    while let block = walk.next() { blocks.append(block) }
    return blocks.count == walk.blockCount && blocks.last == walk.primary ? blocks : []
}

/// Input: a payload type, then a payload.
func fuzzRED(_ input: FuzzInput) throws {
    var reader = input.reader
    let payloadType = reader.byte() & 0x7F
    let payload = reader.rest()
    let blocks = withMemory(payload) { blocksOf($0, payload.count) }
    let rewritten = try withMemory(payload) { memory -> [UInt8] in
        let isDone = REDPayload.rewritePayloadTypes(memory, length: payload.count, to: payloadType)
        try checkEqual(isDone, blocks != nil, "rewritten where it can be read")
        return (0..<payload.count).map { memory[$0] }
    }
    guard let blocks else { return try checkEqual(rewritten, payload, "a refusal changes nothing") }

    let headers = 4 * (blocks.count - 1) + 1
    var offset = headers
    for (index, block) in blocks.enumerated() {
        try checkEqual(block.offset, offset, "blocks lie side by side")
        try check(block.length >= 0 && block.timestampOffset <= 0x3FFF && block.length <= 0xFFFF, "widths")
        try checkEqual(block.isPrimary, index == blocks.count - 1, "the last block is the primary")
        offset += block.length
    }
    try checkEqual(offset, payload.count, "blocks fill the payload")
    try check(blocks.last.map { $0.length > 0 && $0.timestampOffset == 0 } ?? false, "primary")

    try checkEqual(Array(rewritten.dropFirst(headers)), Array(payload.dropFirst(headers)), "blocks' bytes")
    var expected = blocks
    for index in expected.indices { expected[index].payloadType = payloadType }
    let found = withMemory(rewritten) { blocksOf($0, rewritten.count) }
    try checkEqual(found, expected, "blocks of the rewritten payload")

    var headerBytes = written(capacity: headers) { out in
        for (index, block) in blocks.dropLast().enumerated() {
            _ = REDPayload.writeHeader(
                out + 4 * index,
                payloadType: block.payloadType,
                timestampOffset: UInt32(block.timestampOffset),
                length: block.length
            )
        }
        return headers
    }
    headerBytes[headers - 1] = payload[headers - 1]
    try checkEqual(headerBytes, Array(payload.prefix(headers)), "headers as written")
}
