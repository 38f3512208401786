// Transport-wide feedback: any arrivals go in, and the messages are read back against what went in.
import RTP

/// Input: the buffer's size, then steps: a packet that comes with a number and time next to the last one, or far
/// from it, or the writing of messages.
func fuzzTransportFeedback(_ input: FuzzInput) throws {
    var reader = input.reader
    let capacity = reader.flag() ? 1200 : 32 + Int(reader.byte())
    var model = FeedbackModel(start: reader.flag() ? 0 : Int64(reader.word32()) * 1_000_000)
    var generator = TransportFeedbackGenerator(capacity: Int(FeedbackModel.window))
    while !reader.isAtEnd {
        let choice = reader.byte()
        switch choice & 7 {
        case 0...3:
            try model.arrive(UInt16(choice >> 6), Int64(choice >> 3 & 7) * 1000 - 1000, &generator)
        case 4:
            let step = Int16(Int8(bitPattern: reader.byte()))
            try model.arrive(UInt16(bitPattern: step), 100, &generator)
        case 5:
            let step = reader.word16()
            try model.arrive(step, Int64(Int16(bitPattern: reader.word16())) * 1000, &generator)
        case 6:
            try model.arrive(1, Int64(Int32(bitPattern: reader.word32())) * 1_000_000, &generator)
        default: try model.write(&generator, capacity: capacity)
        }
    }
    try model.write(&generator, capacity: capacity)
}

private struct FeedbackModel {
    private var time: Int64
    private var number: UInt16 = 0xFFF0
    private var highest = SequenceUnwrapper()
    /// When each number last came.
    private var times: [UInt16: Int64] = [:]
    /// Numbers that the next messages have to report as received.
    private var pending: Set<Int64> = []
    private var feedbackCount: UInt8 = 0

    /// Span of numbers that the generator remembers.
    static let window: Int64 = 256

    init(start: Int64) { time = start }

    mutating func arrive(_ step: UInt16, _ delay: Int64, _ generator: inout TransportFeedbackGenerator) throws
    {
        number &+= step
        time += delay
        let isLate = highest.isStarted && highest.peek(number) < highest.highest
        guard generator.record(number, at: Instant(microseconds: time)) else { return }
        if isLate {
            // It may have been taken for a counter that starts anew: what came before is not promised then.
            pending = []
            highest = SequenceUnwrapper()
        }
        times[number] = time
        pending.insert(highest.unwrap(number))
        pending = pending.filter { highest.highest - $0 < FeedbackModel.window }
        try check(generator.hasPending, "an arrival has to be reported")
    }

    mutating func write(_ generator: inout TransportFeedbackGenerator, capacity: Int) throws {
        var reported: Set<UInt16> = []
        let expected = Set(pending.map { UInt16(truncatingIfNeeded: $0) })
        while generator.hasPending {
            let before = generator.pendingCount
            let bytes = try written(capacity: capacity) { buffer in
                var writer = RTCPWriter(buffer, capacity: capacity)
                try check(
                    generator.write(to: &writer, senderSSRC: 1, mediaSSRC: 2),
                    "\(capacity) bytes are room for a message"
                )
                return writer.length
            }
            try check(bytes.count <= Limits.Feedback.messageBytes, "length of a message")
            try withMemory(bytes) { memory in
                var walker = RTCPWalker(memory, length: bytes.count)
                let block = try unwrapped(walker.next(), "our message is a packet")
                var parser = try unwrapped(TransportFeedbackParser(block), "our message is read")
                try check(walker.next() == nil && !walker.isMalformed, "one packet")
                try check(parser.statusCount > 0, "a message reports something")
                try checkEqual(before - generator.pendingCount, Int(parser.statusCount), "what is done")
                try checkEqual(parser.feedbackCount, feedbackCount, "messages are counted")
                feedbackCount &+= 1
                while let status = parser.next() {
                    guard status.isReceived else {
                        try check(!expected.contains(status.sequence), "\(status.sequence) has come")
                        continue
                    }
                    try checkArrival(status)
                    reported.insert(status.sequence)
                }
            }
        }
        try check(expected.isSubset(of: reported), "not reported: \(expected.subtracting(reported))")
        pending = []
    }

    private func checkArrival(_ status: TransportFeedbackParser.Status) throws {
        let came = try unwrapped(times[status.sequence], "\(status.sequence) has never come")
        let period = TransportFeedbackParser.referencePeriod
        var difference = (status.arrival - came) % period
        if difference > period / 2 { difference -= period }
        if difference < -period / 2 { difference += period }
        // Rounded to 250 µs, and tick 0 means "not received" inside.
        try check(abs(difference) <= 375, "\(status.sequence) came at \(came), not \(status.arrival)")
    }
}
