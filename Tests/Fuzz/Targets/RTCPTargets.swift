// Compound RTCP: the walker, each reader of a block, and the same block written again.
import RTP

/// Input: one datagram.
func fuzzRTCP(_ input: FuzzInput) throws {
    var walker = RTCPWalker(input.base, length: input.count)
    var end = 0
    while let block = walker.next() {
        let offset = block.body - input.base
        try checkEqual(offset, end + 4, "packets lie side by side")
        try checkEqual(block.type, input.base[end + 1], "type")
        let size = 4 * (1 + Int(ByteOrder.load16(input.base, end + 2)))
        try check(block.length >= 0 && block.length <= size - 4, "the body lies in its packet")
        end += size
        try check(end <= input.count, "the packet lies in the datagram")
        try checkReports(block)
        try checkDescriptions(block)
        try checkRequests(block)
        try checkBitrate(block)
        try checkExtended(block)
        try checkTransportFeedback(block)
    }
    try check(walker.isMalformed || end == input.count, "a well-formed datagram is read to its end")
    try check(walker.next() == nil, "the end is the end")
}

/// What one append writes into memory of exactly that size, and its first block read back.
private func rewritten(
    capacity: Int,
    _ write: (inout RTCPWriter) -> Bool,
    _ read: (RTCPBlock) throws -> Void
) throws {
    let bytes = try written(capacity: capacity) { buffer in
        var writer = RTCPWriter(buffer, capacity: capacity)
        try check(write(&writer), "\(capacity) bytes of room are enough")
        return writer.length
    }
    try checkEqual(bytes.count, capacity, "length")
    try withMemory(bytes) { memory in
        var walker = RTCPWalker(memory, length: bytes.count)
        try read(try unwrapped(walker.next(), "our packet is read"))
        try check(walker.next() == nil && !walker.isMalformed, "one packet")
    }
}

private func reportBlocks(_ block: RTCPBlock) -> [ReportBlock]? {
    guard var blocks = ReportBlocks(block) else { return nil }
    var found: [ReportBlock] = []
    while let report = blocks.next() { found.append(report) }
    return found.count == blocks.count ? found : nil
}

private func checkReports(_ block: RTCPBlock) throws {
    let report = SenderReport(block)
    let blocks = reportBlocks(block)
    try checkEqual(report != nil, block.type == 200 && blocks != nil, "an SR and its blocks")
    guard let blocks else { return }
    try checkEqual(blocks.count, Int(block.count), "blocks")
    for it in blocks {
        try check(it.cumulativeLost >= -0x80_0000 && it.cumulativeLost <= 0x7F_FFFF, "24 bits")
        if let trip = NTPTime.roundTrip(
            now: it.jitter,
            lastReport: it.lastSenderReport,
            delay: it.delaySinceLastSenderReport
        ) {
            try check(trip >= .zero && trip <= .seconds(60), "round trip")
        }
    }
    let head = report == nil ? 8 : 28
    try rewritten(capacity: head + 24 * blocks.count) { writer in
        let ssrc = block.senderSSRC ?? 0
        let isOpen = report.map { writer.append($0) } ?? writer.appendReceiverReport(ssrc: ssrc)
        return isOpen && blocks.allSatisfy { writer.append($0) }
    } _: { again in
        try checkEqual(SenderReport(again), report, "SR")
        try checkEqual(again.senderSSRC, block.senderSSRC, "SSRC")
        try checkEqual(reportBlocks(again), blocks, "report blocks")
    }
}

private func checkDescriptions(_ block: RTCPBlock) throws {
    if var description = SourceDescription(block) {
        var found = 0
        while let name = description.next() {
            found += 1
            try check(name.text >= block.body + 6, "the text lies behind its header")
            try check(name.text + name.length <= block.body + block.length, "the text lies in the packet")
            let text = (0..<name.length).map { name.text[$0] }
            try rewritten(capacity: (11 + name.length + 3) & ~3) { writer in
                writer.appendCNAME(ssrc: name.ssrc, name.text, count: name.length)
            } _: { again in
                var reader = try unwrapped(SourceDescription(again), "our SDES")
                let it = try unwrapped(reader.next(), "our CNAME")
                try checkEqual(it.ssrc, name.ssrc, "SSRC")
                try checkEqual((0..<it.length).map { it.text[$0] }, text, "CNAME")
                try check(reader.next() == nil && !reader.isMalformed, "one chunk")
            }
        }
        try check(found <= Int(block.count), "no more names than chunks")
    }
    if var goodbye = Goodbye(block) {
        var count = 0
        while let ssrc = goodbye.next() {
            count += 1
            try rewritten(capacity: 8) {
                $0.appendBye(ssrc: ssrc)
            } _: { again in
                var reader = try unwrapped(Goodbye(again), "our BYE")
                try checkEqual(reader.next(), ssrc, "SSRC")
            }
        }
        try checkEqual(count, Int(block.count), "sources of a BYE")
    }
}

private func sequences(_ block: RTCPBlock) -> [UInt16]? {
    guard var nack = GenericNACK(block) else { return nil }
    var found: [UInt16] = []
    while let sequence = nack.next() { found.append(sequence) }
    return found
}

private func checkRequests(_ block: RTCPBlock) throws {
    if let found = sequences(block) {
        let items = (block.length - 8) / 4
        try check(found.count >= items && found.count <= 17 * items, "numbers of a NACK")
        let wanted = Array(Set(found)).sorted()
        try withNumbers(wanted) { numbers in
            let bytes = try written(capacity: 12 + 4 * wanted.count) { buffer in
                var writer = RTCPWriter(buffer, capacity: 12 + 4 * wanted.count)
                let taken = writer.appendNACK(sender: 1, media: 2, numbers, count: wanted.count)
                try checkEqual(taken, wanted.count, "all numbers find room")
                return writer.length
            }
            let again = withMemory(bytes) { memory -> [UInt16]? in
                var walker = RTCPWalker(memory, length: bytes.count)
                return walker.next().flatMap { sequences($0) }
            }
            try checkEqual(again, wanted, "numbers of a NACK")
        }
    }
    if let request = PictureLossIndication(block) {
        try rewritten(capacity: 12) {
            $0.appendPLI(sender: request.senderSSRC, media: request.mediaSSRC)
        } _: {
            try checkEqual(PictureLossIndication($0), request, "PLI")
        }
    }
    if var request = FullIntraRequest(block) {
        var count = 0
        while let item = request.next() {
            count += 1
            try rewritten(capacity: 20) {
                $0.appendFIR(sender: 1, media: item.ssrc, sequence: item.sequence)
            } _: { again in
                var reader = try unwrapped(FullIntraRequest(again), "our FIR")
                try checkEqual(reader.next(), item, "FIR")
            }
        }
        try checkEqual(count, (block.length - 8) / 8, "items of a FIR")
    }
}

private func withNumbers(_ numbers: [UInt16], _ body: (UnsafePointer<UInt16>) throws -> Void) throws {
    let memory = UnsafeMutablePointer<UInt16>.allocate(capacity: numbers.count)
    defer { memory.deallocate() }
    for (index, number) in numbers.enumerated() { (memory + index).initialize(to: number) }
    try body(memory)
}

private func checkBitrate(_ block: RTCPBlock) throws {
    guard var estimate = ReceiverEstimatedBitrate(block) else { return }
    var sources: [UInt32] = []
    while let source = estimate.next() { sources.append(source) }
    try checkEqual(sources.count, estimate.sourceCount, "sources")
    let bitrate = estimate.bitrate
    let isExact = bitrate != .max
    try rewritten(capacity: 20 + 4 * sources.count) { writer in
        let memory = UnsafeMutablePointer<UInt32>.allocate(capacity: sources.count)
        defer { memory.deallocate() }
        for (index, source) in sources.enumerated() { (memory + index).initialize(to: source) }
        return writer.appendREMB(sender: 1, bitrate: bitrate, memory, count: sources.count)
    } _: { again in
        let it = try unwrapped(ReceiverEstimatedBitrate(again), "our REMB")
        if isExact {
            try checkEqual(it.bitrate, bitrate, "bitrate")
        } else {
            try check(it.bitrate >= .max - .max >> 17, "saturated bitrate")
        }
        try checkEqual(it.sourceCount, sources.count, "sources")
    }
}

private func checkExtended(_ block: RTCPBlock) throws {
    guard var report = ExtendedReport(block) else { return }
    var count = 0
    while let item = report.next() {
        count += 1
        try check(12 * count <= block.length, "each item takes twelve bytes")
        let capacity: Int
        switch item {
        case .receiverReferenceTime: capacity = 20
        case .delaySinceLastRR: capacity = 24
        }
        try rewritten(capacity: capacity) { writer in
            switch item {
            case .receiverReferenceTime(let time):
                writer.appendReceiverReferenceTime(sender: report.senderSSRC, time)
            case .delaySinceLastRR(let delay): writer.append(delay, sender: report.senderSSRC)
            }
        } _: { again in
            var reader = try unwrapped(ExtendedReport(again), "our XR")
            try checkEqual(reader.senderSSRC, report.senderSSRC, "SSRC")
            try checkEqual(reader.next(), item, "item")
            try check(reader.next() == nil && !reader.isMalformed, "one item")
        }
    }
}

/// Checked against the whole message spread out into arrays (draft-holmer-rmcat-transport-wide-cc §3.1).
private func checkTransportFeedback(_ block: RTCPBlock) throws {
    let isFeedback = block.isFeedback(205, 15) && block.length >= 16
    guard isFeedback else { return try check(TransportFeedbackParser(block) == nil, "other feedback") }
    let body = (0..<block.length).map { block.body[$0] }
    let expected = arrivals(body)
    guard var parser = TransportFeedbackParser(block) else {
        return try check(expected == nil, "well-formed feedback is read")
    }
    let wanted = try unwrapped(expected, "malformed feedback is refused")
    try checkEqual(Int(parser.statusCount), wanted.count, "count")
    for (index, arrival) in wanted.enumerated() {
        let found = try unwrapped(parser.next(), "as many statuses as it counts")
        try checkEqual(found.sequence, parser.baseSequence &+ UInt16(truncatingIfNeeded: index), "number")
        try checkEqual(found.isReceived ? found.arrival : nil, arrival, "arrival")
    }
    try check(parser.next() == nil, "no more statuses than it counts")
}

/// When each packet came, in microseconds of the peer's clock; nil: not at all.
private func arrivals(_ body: [UInt8]) -> [Int64?]? {
    func word(_ offset: Int) -> Int { Int(body[offset]) << 8 | Int(body[offset + 1]) }
    let count = word(10)
    var symbols: [Int] = []
    var offset = 16
    while symbols.count < count {
        guard offset + 2 <= body.count else { return nil }
        let chunk = word(offset)
        offset += 2
        if chunk & 0x8000 == 0 {
            symbols += [Int](repeating: chunk >> 13, count: min(chunk & 0x1FFF, count - symbols.count))
            if chunk >> 13 == 3 { return nil }
        } else if chunk & 0x4000 == 0 {
            symbols += (0..<14).map { chunk >> (13 - $0) & 1 }
        } else {
            symbols += (0..<7).map { chunk >> (12 - 2 * $0) & 3 }
        }
    }
    symbols = Array(symbols.prefix(count))
    guard !symbols.contains(3) else { return nil }
    var reference = Int64(body[12]) << 16 | Int64(word(13))
    if reference >= 0x80_0000 { reference -= 0x100_0000 }
    var ticks = reference * 256
    var found: [Int64?] = []
    for symbol in symbols {
        guard offset + symbol <= body.count else { return nil }
        if symbol == 1 { ticks += Int64(body[offset]) }
        if symbol == 2 { ticks += Int64(Int16(truncatingIfNeeded: word(offset))) }
        offset += symbol
        found.append(symbol > 0 ? ticks * 250 : nil)
    }
    return found
}

/// Input: the buffer's size in words, then appends: which one, and its numbers.
func fuzzRTCPWriter(_ input: FuzzInput) throws {
    var reader = input.reader
    let capacity = Int(reader.byte())
    try withMemory([UInt8](repeating: 0xEE, count: capacity)) { buffer in
        var writer = RTCPWriter(buffer, capacity: capacity)
        var packets = 0
        while !reader.isAtEnd {
            let choice = reader.byte() % 11
            let before = (0..<writer.length).map { buffer[$0] }
            let isDone = append(choice, &reader, to: &writer)
            let isPacket = choice != 10
            try check(writer.length <= capacity && writer.length & 3 == 0, "length")
            let isLonger = writer.length > before.count
            try checkEqual(isLonger, isDone, "an append makes it longer, a refusal does not")
            if isDone && isPacket { packets += 1 }
            // A report block is counted in the header of its packet, which stands before.
            if isPacket || !isDone {
                try checkEqual((0..<before.count).map { buffer[$0] }, before, "what was written stays")
            }
        }
        var walker = RTCPWalker(buffer, length: writer.length)
        var found = 0
        while let block = walker.next() {
            found += 1
            try check(
                block.type != 200 || SenderReport(block) != nil && ReportBlocks(block) != nil,
                "our SR is read"
            )
            try check(block.type != 201 || ReportBlocks(block) != nil, "our RR is read")
        }
        try checkEqual(found, packets, "packets")
        try check(writer.isEmpty || !walker.isMalformed, "our datagram is well formed")
    }
}

private func append(_ choice: UInt8, _ reader: inout FuzzReader, to writer: inout RTCPWriter) -> Bool {
    let ssrc = UInt32(reader.byte())
    switch choice {
    case 0:
        return writer.append(
            SenderReport(
                ssrc: ssrc,
                ntpTime: NTPTime(rawValue: 1),
                rtpTimestamp: 2,
                packetCount: 3,
                octetCount: 4
            )
        )
    case 1: return writer.appendReceiverReport(ssrc: ssrc)
    case 2:
        let text = reader.take(Int(reader.byte()))
        return withMemory(text) { writer.appendCNAME(ssrc: ssrc, $0, count: text.count) }
    case 3: return writer.appendBye(ssrc: ssrc)
    case 4: return writer.appendPLI(sender: ssrc, media: 7)
    case 5: return writer.appendFIR(sender: ssrc, media: 7, sequence: reader.byte())
    case 6:
        var sequences: [UInt16] = []
        var next = reader.word16()
        for _ in 0..<Int(reader.byte() & 31) {
            sequences.append(next)
            next &+= UInt16(reader.byte() & 31) + 1
        }
        return sequences.withUnsafeBufferPointer { numbers in
            guard let base = numbers.baseAddress else { return false }
            return writer.appendNACK(sender: ssrc, media: 7, base, count: numbers.count) > 0
        }
    case 7:
        return [ssrc, 2].withUnsafeBufferPointer { sources in
            guard let base = sources.baseAddress else { return false }
            return writer.appendREMB(sender: ssrc, bitrate: reader.word64(), base, count: sources.count)
        }
    case 8: return writer.appendReceiverReferenceTime(sender: ssrc, NTPTime(rawValue: 5))
    case 9:
        return writer.append(
            ExtendedReport.DelaySinceLastRR(ssrc: ssrc, lastReceiverReport: 1, delay: 2),
            sender: 3
        )
    default:
        return writer.append(ReportBlock(ssrc: ssrc, cumulativeLost: Int32(bitPattern: reader.word32())))
    }
}
