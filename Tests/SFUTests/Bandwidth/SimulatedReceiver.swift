// A peer that receives: its own clock, and transport-wide feedback as a browser sends it, which may be lost, late,
// doubled or forged on the way back.
import RTP

@testable import SFU

struct FeedbackFaults {
    /// 0–1.
    var loss = 0.0
    /// No feedback comes between these.
    var silence: ClosedRange<Int64>?
    /// Messages come twice.
    var duplication = 0.0
    /// A message is held back by this much.
    var delay = 0.0
    var delayTime = Interval.milliseconds(150)
    /// The receiver's clock jumps by so much at each of these times.
    var jumps: [(at: Instant, by: Interval)] = []
    /// Rewrites what is sent.
    var forge: ((inout [UInt8], inout Dice) -> Void)?
}

struct SimulatedReceiver: ~Copyable {
    var generator = TransportFeedbackGenerator(capacity: 4096)
    var faults = FeedbackFaults()
    let interval: Interval
    let delay: Interval
    private var clock: Interval
    private var nextFeedback: Instant
    private var messages: [(at: Instant, bytes: [UInt8])] = []
    private var dice: Dice

    init(interval: Interval, delay: Interval, seed: UInt64) {
        self.interval = interval
        self.delay = delay
        dice = Dice(seed: seed ^ 0xFEED)
        clock = .microseconds(Int64(dice.next() >> 24))
        nextFeedback = .zero + .microseconds(Int64(dice.unit() * Double(interval.microseconds)))
    }

    mutating func receive(_ number: Int, at now: Instant) {
        var time = now + clock
        for jump in faults.jumps where now >= jump.at { time = time + jump.by }
        generator.record(UInt16(truncatingIfNeeded: number), at: time)
    }

    mutating func advance(to now: Instant) {
        guard now >= nextFeedback else { return }
        nextFeedback = now + interval
        while generator.hasPending {
            var message = [UInt8](repeating: 0, count: 1500)
            let length = message.withUnsafeMutableBufferPointer { buffer -> Int in
                guard let base = buffer.baseAddress else { return 0 }
                var writer = RTCPWriter(base, capacity: 1500)
                return generator.write(to: &writer, senderSSRC: 1, mediaSSRC: 2) ? writer.length : 0
            }
            guard length > 0 else { break }
            message.removeLast(message.count - length)
            post(message, at: now)
        }
    }

    private mutating func post(_ message: [UInt8], at now: Instant) {
        if let silence = faults.silence, silence.contains(now.microseconds) { return }
        guard dice.unit() >= faults.loss else { return }
        var bytes = message
        faults.forge?(&bytes, &dice)
        var arrival = now + delay
        if faults.delay > 0, dice.unit() < faults.delay { arrival = arrival + faults.delayTime }
        insert(bytes, arrival)
        if faults.duplication > 0, dice.unit() < faults.duplication { insert(bytes, arrival) }
    }

    private mutating func insert(_ bytes: [UInt8], _ arrival: Instant) {
        let place = messages.lastIndex { $0.at <= arrival }.map { $0 + 1 } ?? 0
        messages.insert((arrival, bytes), at: place)
    }

    /// The next message that has come back by now.
    mutating func message(at now: Instant) -> [UInt8]? {
        guard let first = messages.first, first.at <= now else { return nil }
        return messages.removeFirst().bytes
    }
}

/// Reads each block of a datagram.
func eachFeedback(_ bytes: [UInt8], _ body: (TransportFeedbackParser) -> Void) {
    var bytes = bytes
    bytes.withUnsafeMutableBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return }
        var walker = RTCPWalker(base, length: buffer.count)
        while let block = walker.next() {
            if let feedback = TransportFeedbackParser(block) { body(feedback) }
        }
    }
}
