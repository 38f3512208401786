// RTP headers, header extensions and retransmissions. The walk of the extensions is checked against a second one.
import RTP

/// Both forms' ids: all that the one-byte form can name, and ids that need the two-byte form.
private let maps = [
    HeaderExtensionMap(HeaderExtension.allCases.map { HeaderExtensionID($0, id: $0.rawValue + 1) }),
    HeaderExtensionMap(
        HeaderExtension.allCases.map { kind in
            HeaderExtensionID(kind, id: kind.rawValue < 5 ? kind.rawValue + 1 : 200 + kind.rawValue)
        }
    ),
]

struct ExtensionElement: Equatable {
    var id: UInt8
    var value: [UInt8]
}

/// The elements of a block (RFC 8285 §4.2, §4.3), read from an array whose bounds Swift checks.
func extensionElements(profile: UInt16, body: [UInt8]) -> (elements: [ExtensionElement], isMalformed: Bool) {
    let hasOneByteForm = profile == 0xBEDE
    guard hasOneByteForm || profile >> 4 == 0x100 else { return ([], false) }
    var elements: [ExtensionElement] = []
    var rest = body[...]
    while let first = rest.popFirst() {
        if first == 0 { continue }
        let id = hasOneByteForm ? first >> 4 : first
        if hasOneByteForm && (id == 0 || id == 15) { break }
        let length: Int
        if hasOneByteForm {
            length = Int(first & 15) + 1
        } else {
            guard let second = rest.popFirst() else { return (elements, true) }
            length = Int(second)
        }
        guard rest.count >= length else { return (elements, true) }
        elements.append(ExtensionElement(id: id, value: Array(rest.prefix(length))))
        rest = rest.dropFirst(length)
    }
    return (elements, false)
}

/// Input: one packet.
func fuzzRTP(_ input: FuzzInput) throws {
    let isRTCP = input.count >= 2 && (192...223).contains(input.base[1])
    try checkEqual(RTPHeader.isRTCP(input.base, length: input.count), isRTCP, "isRTCP")
    guard let header = RTPHeader(parsing: input.base, length: input.count) else { return }
    try checkHeader(header, input)
    for map in maps {
        let values = ExtensionValues.parse(input.base, header: header, map: map)
        try checkExtensions(values, header, input.bytes, map)
        try checkRewritten(values, input.base)
    }
}

private func checkHeader(_ header: RTPHeader, _ input: FuzzInput) throws {
    try check(header.headerLength <= input.count, "the header ends in the packet")
    try check(header.headerLength >= 12 + 4 * Int(header.csrcCount), "CSRCs belong to the header")
    if header.hasExtension {
        try checkEqual(
            header.headerLength,
            header.extensionOffset + header.extensionLength,
            "the extension ends the header"
        )
        try checkEqual(header.extensionOffset, 16 + 4 * Int(header.csrcCount), "start of the extension")
    } else {
        try checkEqual(header.headerLength, 12 + 4 * Int(header.csrcCount), "header length")
    }
    if let padding = header.paddingLength(in: input.base, length: input.count) {
        try check(padding <= input.count - header.headerLength, "padding lies behind the header")
        try check((padding > 0) == header.hasPadding, "padding has at least a byte")
    }
    let bytes = written(capacity: 12) { packet in
        RTPWriter.writeFixedHeader(
            to: packet,
            marker: header.marker,
            payloadType: header.payloadType,
            sequenceNumber: header.sequenceNumber,
            timestamp: header.timestamp,
            ssrc: header.ssrc
        )
        if header.hasExtension { RTPWriter.setExtensionBit(packet) }
        if header.hasPadding { RTPWriter.setPaddingBit(packet) }
        packet[0] |= header.csrcCount
        return 12
    }
    try checkEqual(bytes, Array(input.bytes.prefix(12)), "the header written again")
}

private func hasFittingLength(_ kind: HeaderExtension, _ length: Int) -> Bool {
    switch kind {
    case .mid, .rid, .repairedRid, .colorSpace, .videoLayersAllocation: length >= 1
    case .dependencyDescriptor: length >= 3
    case .transportSequence: length == 2
    case .absoluteSendTime, .playoutDelay: length == 3
    case .absoluteCaptureTime: length == 8 || length == 16
    case .audioLevel: length == 1 || length == 2
    case .videoOrientation, .videoContentType: length == 1
    }
}

private func checkExtensions(
    _ values: ExtensionValues,
    _ header: RTPHeader,
    _ packet: [UInt8],
    _ map: HeaderExtensionMap
) throws {
    let body = Array(packet[header.extensionOffset..<header.extensionOffset + header.extensionLength])
    let (elements, isMalformed) = extensionElements(profile: header.extensionProfile, body: body)
    try checkEqual(values.isMalformed, isMalformed, "isMalformed")
    var expected: [HeaderExtension: [UInt8]] = [:]
    for element in elements {
        guard let kind = map.kind(of: element.id), hasFittingLength(kind, element.value.count) else {
            continue
        }
        // RFC 6464 §3: a second byte of the level is padding.
        expected[kind] = kind == .audioLevel ? [element.value[0]] : element.value
    }
    for kind in HeaderExtension.allCases {
        try checkEqual(values.has(kind), expected[kind] != nil, "presence of \(kind)")
        guard let value = expected[kind] else { continue }
        try checkEqual(valueBytes(values, kind, packet), value, "value of \(kind)")
    }
}

/// What the parsed values say, as bytes.
private func valueBytes(_ values: ExtensionValues, _ kind: HeaderExtension, _ packet: [UInt8]) -> [UInt8] {
    func range(_ range: ByteRange) -> [UInt8] {
        Array(packet[Int(range.offset)..<Int(range.offset) + Int(range.length)])
    }
    func number(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - $0))) }
    }
    switch kind {
    case .mid: return range(values.mid)
    case .rid: return range(values.rid)
    case .repairedRid: return range(values.repairedRid)
    case .transportSequence: return number(UInt64(values.transportSequence), 2)
    case .absoluteSendTime: return number(UInt64(values.absoluteSendTime), 3)
    case .absoluteCaptureTime:
        let offset = number(UInt64(bitPattern: values.captureClockOffset), 8)
        return number(values.absoluteCaptureTime, 8) + (values.hasCaptureClockOffset ? offset : [])
    case .audioLevel: return [values.audioLevelByte]
    case .videoOrientation: return [values.videoOrientation]
    case .playoutDelay: return number(UInt64(values.playoutDelay), 3)
    case .videoContentType: return [values.videoContentType]
    case .colorSpace: return range(values.colorSpace)
    case .dependencyDescriptor: return range(values.dependencyDescriptor)
    case .videoLayersAllocation: return range(values.videoLayersAllocation)
    }
}

/// What was read, written in the two-byte form, reads the same.
private func checkRewritten(_ values: ExtensionValues, _ packet: UnsafePointer<UInt8>) throws {
    let map = maps[1]
    let ranges: [(HeaderExtension, ByteRange)] = [
        (.mid, values.mid), (.rid, values.rid), (.dependencyDescriptor, values.dependencyDescriptor),
        (.videoLayersAllocation, values.videoLayersAllocation),
    ]
    let bytes = written(capacity: 12 + 1100) { out in
        RTPWriter.writeFixedHeader(
            to: out,
            marker: false,
            payloadType: 96,
            sequenceNumber: 1,
            timestamp: 2,
            ssrc: 3
        )
        RTPWriter.setExtensionBit(out)
        var writer = ExtensionWriter(at: out + 12, capacity: 1100, form: .twoByte)
        for (kind, range) in ranges where values.has(kind) {
            writer.append(id: map.id(of: kind), range.start(in: packet), count: Int(range.length))
        }
        if values.has(.transportSequence) {
            writer.append16(id: map.id(of: .transportSequence), values.transportSequence)
        }
        if values.has(.absoluteSendTime) {
            writer.append24(id: map.id(of: .absoluteSendTime), values.absoluteSendTime)
        }
        if values.has(.audioLevel) { writer.append8(id: map.id(of: .audioLevel), values.audioLevelByte) }
        return 12 + writer.finish()
    }
    guard bytes.count > 12 else { return }
    try withMemory(bytes) { copy in
        let header = try unwrapped(RTPHeader(parsing: copy, length: bytes.count), "our header is read")
        let again = ExtensionValues.parse(copy, header: header, map: map)
        try check(!again.isMalformed, "our block is well formed")
        for (kind, range) in ranges {
            try checkEqual(again.has(kind), values.has(kind), "presence of \(kind)")
            guard again.has(kind) else { continue }
            let theirs = UnsafeBufferPointer(start: range.start(in: packet), count: Int(range.length))
            try checkEqual(valueBytes(again, kind, bytes), Array(theirs), "value of \(kind)")
        }
        try checkEqual(again.transportSequenceIfPresent, values.transportSequenceIfPresent, "sequence")
        try checkEqual(again.absoluteSendTimeIfPresent, values.absoluteSendTimeIfPresent, "send time")
        try checkEqual(again.audioLevelIfPresent, values.audioLevelIfPresent, "level")
    }
}

/// Input: the form, half the capacity, then elements: id, how it is written, length, bytes.
func fuzzExtensionWriter(_ input: FuzzInput) throws {
    var reader = input.reader
    let form: ExtensionForm = reader.flag() ? .twoByte : .oneByte
    let capacity = 2 * Int(reader.byte())
    var accepted: [ExtensionElement] = []
    let bytes = try written(capacity: capacity) { block in
        var writer = ExtensionWriter(at: block, capacity: capacity, form: form)
        while !reader.isAtEnd {
            let id = reader.byte()
            let way = reader.byte() & 3
            let value = reader.take(way == 0 ? Int(reader.byte()) : Int(way))
            guard way == 0 || value.count == Int(way) else { break }
            let before = writer.length
            let element = (form == .oneByte ? 1 : 2) + value.count
            let fits = form.fits(id: id, length: value.count) && (before + element + 3) & ~3 <= capacity
            try checkEqual(append(value, id: id, way: way, to: &writer), fits, "appended where there is room")
            try checkEqual(writer.length, fits ? before + element : before, "length")
            if fits { accepted.append(ExtensionElement(id: id, value: value)) }
        }
        return writer.finish()
    }
    try check(bytes.count & 3 == 0, "whole words")
    guard !bytes.isEmpty else { return try check(accepted.isEmpty, "all that was accepted is written") }
    let profile = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
    try checkEqual(profile, form == .oneByte ? 0xBEDE : 0x1000, "profile")
    try checkEqual(4 * (Int(bytes[2]) << 8 | Int(bytes[3])), bytes.count - 4, "length of the block")
    let (elements, isMalformed) = extensionElements(profile: profile, body: Array(bytes.dropFirst(4)))
    try check(!isMalformed, "our block is well formed")
    try checkEqual(elements, accepted, "elements")
}

private func append(_ value: [UInt8], id: UInt8, way: UInt8, to writer: inout ExtensionWriter) -> Bool {
    var number: UInt32 = 0
    for byte in value.prefix(4) { number = number << 8 | UInt32(byte) }
    switch way {
    case 1: return writer.append8(id: id, UInt8(truncatingIfNeeded: number))
    case 2: return writer.append16(id: id, UInt16(truncatingIfNeeded: number))
    case 3: return writer.append24(id: id, number)
    default: return withMemory(value) { writer.append(id: id, $0, count: value.count) }
    }
}

/// Input: payload type, then a packet; as a retransmission, and as the original of one.
func fuzzRTX(_ input: FuzzInput) throws {
    var reader = input.reader
    let payloadType = reader.byte() & 0x7F
    let packet = reader.rest()
    let header = withMemory(packet) { RTPHeader(parsing: $0, length: packet.count) }
    guard let header else { return }
    let payload = Array(packet.dropFirst(header.headerLength))
    let restored = withMemory(packet) { memory -> [UInt8]? in
        RTXPayload.restore(
            memory,
            length: packet.count,
            headerLength: header.headerLength,
            payloadType: payloadType,
            ssrc: 0x0102_0304
        ).map { count in (0..<count).map { memory[$0] } }
    }
    try checkEqual(restored != nil, payload.count > 2, "restored where there is a payload")
    if let restored {
        try checkEqual(Array(restored.dropFirst(header.headerLength)), Array(payload.dropFirst(2)), "payload")
    }
    let sequence = withMemory(payload) { RTXPayload.originalSequence($0, length: payload.count) }
    try checkEqual(sequence != nil, payload.count >= 2, "original sequence where there is room for it")

    // The other way round: wrapped and unwrapped, it is the packet that it was.
    guard !payload.isEmpty else { return }
    let wrapped = Array(packet.prefix(header.headerLength)) + [packet[2], packet[3]] + payload
    try withMemory(wrapped) { memory in
        RTXPayload.writeOriginalSequence(header.sequenceNumber, to: memory + header.headerLength)
        RTPWriter.writeFixedHeader(
            to: memory,
            marker: header.marker,
            payloadType: payloadType,
            sequenceNumber: 7,
            timestamp: header.timestamp,
            ssrc: 9
        )
        memory[0] = packet[0]
        let length = RTXPayload.restore(
            memory,
            length: wrapped.count,
            headerLength: header.headerLength,
            payloadType: header.payloadType,
            ssrc: header.ssrc
        )
        try checkEqual(length, packet.count, "length of the original")
        var original = packet
        original[0] &= ~0x20
        try checkEqual((0..<packet.count).map { memory[$0] }, original, "the original")
    }
}
