// H.264 payloads in their three packings, and sequence parameter sets written here and read back.
import RTP

private func parse(_ payload: [UInt8]) -> H264Payload? {
    withMemory(payload) { H264Payload.parse($0, length: payload.count) }
}

/// Input: a payload. Where it is one NAL unit, its other packings have to say the same.
func fuzzH264(_ input: FuzzInput) throws {
    let payload = input.bytes
    guard let it = parse(payload) else { return }
    try check(it.hasSPS || it.width == 0 && it.height == 0, "size without a parameter set")
    try check((it.width > 0) == (it.height > 0), "half a size")
    try check(it.width <= 16_384 && it.height <= 16_384, "size")
    try check(!it.hasSPS && !it.hasPPS || it.startsFrame, "parameter sets start a frame")
    guard let header = payload.first, (1...23).contains(header & 0x1F) else { return }

    let size = [UInt8(truncatingIfNeeded: payload.count >> 8), UInt8(truncatingIfNeeded: payload.count)]
    try checkEqual(parse([0x78] + size + payload), it, "the same in a STAP-A")
    try checkEqual(parse([0x79, 1, 2] + size + payload), it, "the same in a STAP-B")
    try checkEqual(parse([0x78] + size + payload + size + payload), it, "the same twice in a STAP-A")
    try check(parse([0x78] + size + payload.dropLast()) == nil, "a STAP-A that is cut off")

    let body = Array(payload.dropFirst())
    guard body.count >= 2 else { return }
    let indicator = header & 0xE0 | 28
    let half = (body.count + 1) / 2
    let start = try unwrapped(
        parse([indicator, 0x80 | header & 0x1F] + body.prefix(half)),
        "a first fragment"
    )
    try checkEqual(start.hasSPS, it.hasSPS, "SPS in a first fragment")
    try checkEqual(start.hasPPS, it.hasPPS, "PPS in a first fragment")
    try checkEqual(start.hasIDR, it.hasIDR, "IDR in a first fragment")
    try checkEqual(start.startsFrame, it.startsFrame, "start of a frame in a first fragment")
    try checkEqual(start.isNonReference, it.isNonReference, "reference in a first fragment")
    let end = try unwrapped(
        parse([indicator, 0x40 | header & 0x1F] + body.dropFirst(half)),
        "a last fragment"
    )
    try check(!end.startsFrame && !end.hasSPS && !end.hasIDR, "a last fragment starts nothing")
}

/// Input: bytes as a parameter set; then the same bytes as the choices for a well-formed one.
func fuzzH264Resolution(_ input: FuzzInput) throws {
    if let size = H264Resolution.parse(input.base, length: input.count) {
        try check(size.width > 0 && size.width <= 16_384, "width")
        try check(size.height > 0 && size.height <= 16_384, "height")
    }
    var reader = input.reader
    var set = ParameterSetWriter()
    let expected = set.write(choosing: &reader)
    let bytes = set.finish()
    let found = withMemory(bytes) { H264Resolution.parse($0, length: bytes.count) }
    try checkEqual(found.map { [$0.width, $0.height] }, expected, "size of \(bytes)")
    for count in 0..<min(bytes.count, 8) {
        let size = withMemory(Array(bytes.prefix(count))) { H264Resolution.parse($0, length: count) }
        try check(size == nil || count == bytes.count - 1, "a set that is cut off after \(count) bytes")
    }
}

/// Writes a sequence parameter set (ITU-T H.264 §7.3.2.1.1) with emulation prevention.
private struct ParameterSetWriter {
    private var bits: [Bool] = []

    private mutating func put(_ value: UInt32, _ count: Int) {
        for bit in (0..<count).reversed() { bits.append(value >> UInt32(bit) & 1 == 1) }
    }

    private mutating func putUE(_ value: UInt32) {
        let width = 32 - (value + 1).leadingZeroBitCount
        put(0, width - 1)
        put(value + 1, width)
    }

    private mutating func putSE(_ value: Int32) {
        putUE(value > 0 ? UInt32(2 * value - 1) : UInt32(-2 * value))
    }

    private static let profiles: [UInt8] = [66, 77, 88, 100, 110, 122, 244, 44, 118, 128, 138, 139, 134, 135]

    /// Width and height; nil where the choices make a size that has no meaning.
    mutating func write(choosing reader: inout FuzzReader) -> [UInt16]? {
        let profile = Self.profiles[Int(reader.byte()) % Self.profiles.count]
        put(UInt32(profile), 8)
        put(UInt32(reader.word16()), 16)
        putUE(UInt32(reader.byte() & 31))
        let isHigh = ![66, 77, 88].contains(profile)
        let chroma = isHigh ? UInt32(reader.byte() & 3) : 1
        if isHigh { writeHighProfile(chroma, &reader) }
        putUE(UInt32(reader.byte() % 13))
        writeOrder(&reader)
        putUE(UInt32(reader.byte() & 15))
        put(UInt32(reader.byte() & 1), 1)

        let width = UInt32(reader.word16() & 0x7FF)
        let height = UInt32(reader.word16() & 0x7FF)
        let framesOnly = UInt32(reader.byte() & 1)
        putUE(width)
        putUE(height)
        put(framesOnly, 1)
        if framesOnly == 0 { put(UInt32(reader.byte() & 1), 1) }
        put(UInt32(reader.byte() & 1), 1)
        let fields = 2 - framesOnly
        var size = (width: Int((width + 1) * 16), height: Int((height + 1) * 16 * fields))
        let isTooLarge = size.width > 16_384 || size.height > 16_384
        let crops = reader.flag()
        put(crops ? 1 : 0, 1)
        if crops {
            let edges = (0..<4).map { _ in UInt32(reader.byte()) }
            for edge in edges { putUE(edge) }
            let unitX = chroma == 1 || chroma == 2 ? 2 : 1
            let unitY = (chroma == 1 ? 2 : 1) * Int(fields)
            size.width -= Int(edges[0] + edges[1]) * unitX
            size.height -= Int(edges[2] + edges[3]) * unitY
        }
        put(0, 1)
        put(1, 1)
        guard !isTooLarge, size.width > 0, size.height > 0 else { return nil }
        return [UInt16(size.width), UInt16(size.height)]
    }

    private mutating func writeHighProfile(_ chroma: UInt32, _ reader: inout FuzzReader) {
        putUE(chroma)
        if chroma == 3 { put(UInt32(reader.byte() & 1), 1) }
        putUE(UInt32(reader.byte() & 7))
        putUE(UInt32(reader.byte() & 7))
        put(UInt32(reader.byte() & 1), 1)
        let hasMatrices = reader.flag()
        put(hasMatrices ? 1 : 0, 1)
        guard hasMatrices else { return }
        for list in 0..<(chroma == 3 ? 12 : 8) {
            let isPresent = reader.flag()
            put(isPresent ? 1 : 0, 1)
            guard isPresent else { continue }
            // §7.3.2.1.1.1: a scale of 0 ends the list.
            var last: Int32 = 8
            for _ in 0..<(list < 6 ? 16 : 64) {
                let next = Int32(reader.byte())
                var delta = next - last
                if delta > 127 { delta -= 256 }
                if delta < -128 { delta += 256 }
                putSE(delta)
                if next == 0 { break }
                last = next
            }
        }
    }

    private mutating func writeOrder(_ reader: inout FuzzReader) {
        let type = UInt32(reader.byte() % 3)
        putUE(type)
        if type == 0 { putUE(UInt32(reader.byte() % 13)) }
        guard type == 1 else { return }
        put(UInt32(reader.byte() & 1), 1)
        putSE(Int32(Int8(bitPattern: reader.byte())))
        putSE(Int32(Int8(bitPattern: reader.byte())))
        let cycle = UInt32(reader.byte() & 15)
        putUE(cycle)
        for _ in 0..<cycle { putSE(Int32(Int16(bitPattern: reader.word16()))) }
    }

    /// The bytes, 0x03 put between 0x0000 and what must not follow it (§7.4.1).
    func finish() -> [UInt8] {
        var bytes: [UInt8] = []
        var zeros = 0
        for start in stride(from: 0, to: bits.count, by: 8) {
            var byte: UInt8 = 0
            for place in start..<start + 8 { byte = byte << 1 | (place < bits.count && bits[place] ? 1 : 0) }
            if zeros >= 2 && byte <= 3 {
                bytes.append(3)
                zeros = 0
            }
            bytes.append(byte)
            zeros = byte == 0 ? zeros + 1 : 0
        }
        return bytes
    }
}
