// Transport-wide feedback to one publisher (draft-holmer-rmcat-transport-wide-cc-extensions-01): remembers
// arrivals, writes messages. Must not know when to send: the interval is the caller's.

/// One per transport; counts media, retransmissions and padding alike.
///
/// Arrivals are kept as absolute 250 µs ticks, so rounding errors cannot add up from one delta to the next.
/// A packet that arrives up to 500 ms late makes the next message start at it again, so that the sender takes
/// back the loss. The memory is taken once.
public struct TransportFeedbackGenerator: ~Copyable {
    /// Arrival by sequence number in ticks, modulo 2^32; 0: not received.
    private let arrivals: UnsafeMutablePointer<UInt32>
    private let capacity: Int
    private let deltas: UnsafeMutablePointer<UInt8>
    private var unwrapper = SequenceUnwrapper()
    /// Late packets below are refused.
    private var oldest: Int64 = 0
    /// First number that the next message covers.
    private var nextBase: Int64 = 0
    private var latestTicks: UInt32 = 0
    private var refusedInARow = 0
    private var feedbackCount: UInt8 = 0

    /// 500 ms
    private static let backWindowTicks: Int32 = 2000
    /// So many refused packets in a row mean that the peer restarted its counter.
    private static let refusedBeforeRestart = 64

    /// `capacity`: the span of sequence numbers that is remembered, a power of two.
    public init(capacity: Int = Limits.Feedback.arrivalsPerTransport) {
        precondition(capacity > 0 && capacity & (capacity - 1) == 0 && capacity <= 0x4000)
        self.capacity = capacity
        arrivals = .allocate(capacity: capacity)
        arrivals.initialize(repeating: 0, count: capacity)
        deltas = .allocate(capacity: Limits.Feedback.messageBytes)
        deltas.initialize(repeating: 0, count: Limits.Feedback.messageBytes)
    }

    deinit {
        arrivals.deallocate()
        deltas.deallocate()
    }

    /// Whether there is something to report.
    public var hasPending: Bool { unwrapper.isStarted && nextBase <= unwrapper.highest }

    /// Sequence numbers that the next messages will cover, received or not.
    public var pendingCount: Int { hasPending ? Int(unwrapper.highest - nextBase) + 1 : 0 }

    @inline(__always)
    private func slot(_ sequence: Int64) -> Int { Int(truncatingIfNeeded: sequence) & (capacity - 1) }

    /// Notes an arrival; `time` should be the kernel's receive time. false: a duplicate, or too old to
    /// report.
    @discardableResult
    public mutating func record(_ number: UInt16, at time: Instant) -> Bool {
        let ticks = TransportFeedbackGenerator.ticks(time)
        guard unwrapper.isStarted else {
            restart(number, ticks)
            return true
        }
        let highest = unwrapper.highest
        let sequence = unwrapper.peek(number)
        if sequence > highest {
            advance(from: highest, to: sequence)
            _ = unwrapper.unwrap(number)
        } else {
            guard sequence >= oldest else {
                refusedInARow += 1
                if refusedInARow >= TransportFeedbackGenerator.refusedBeforeRestart {
                    restart(number, ticks)
                    return true
                }
                return false
            }
            guard arrivals[slot(sequence)] == 0 else { return false }
            if sequence < nextBase { nextBase = sequence }
        }
        refusedInARow = 0
        arrivals[slot(sequence)] = ticks
        if Int32(bitPattern: ticks &- latestTicks) > 0 { latestTicks = ticks }
        return true
    }

    /// Appends one message of at most `Limits.Feedback.messageBytes` bytes. false: nothing is pending, or no
    /// room. Call while `hasPending`.
    public mutating func write(
        to writer: inout RTCPWriter,
        senderSSRC: UInt32,
        mediaSSRC: UInt32
    ) -> Bool {
        guard hasPending else { return false }
        let limit = min(writer.room, Limits.Feedback.messageBytes) & ~3
        guard limit >= 32,
            let fci = writer.openFeedback(
                RTCPType.transportFeedback,
                RTCPFeedbackFormat.transportWideCC,
                sender: senderSSRC,
                media: mediaSSRC,
                fciLength: limit - 12
            )
        else { return false }
        let base = nextBase
        var sequence = base
        while arrivals[slot(sequence)] == 0 && sequence < unwrapper.highest { sequence += 1 }
        let reference = arrivals[slot(sequence)] >> 8
        var previous = reference << 8
        var chunks = StatusChunkWriter(fci + 8)
        var deltaBytes = 0
        sequence = base
        while sequence <= unwrapper.highest {
            let arrival = arrivals[slot(sequence)]
            let delta = arrival == 0 ? 0 : Int32(bitPattern: arrival &- previous)
            guard delta == Int32(Int16(truncatingIfNeeded: delta)) else { break }
            // 20 bytes of header, the chunk that this status may close and the one it opens, its delta,
            // padding.
            guard 20 + chunks.length + 4 + deltaBytes + 2 + 3 <= limit else { break }
            if arrival == 0 {
                chunks.append(0)
            } else if delta >= 0 && delta <= 255 {
                deltas[deltaBytes] = UInt8(truncatingIfNeeded: delta)
                deltaBytes += 1
                chunks.append(1)
                previous = arrival
            } else {
                ByteOrder.store16(UInt16(truncatingIfNeeded: delta), deltas, deltaBytes)
                deltaBytes += 2
                chunks.append(2)
                previous = arrival
            }
            sequence += 1
        }
        chunks.finish()
        ByteOrder.store16(UInt16(truncatingIfNeeded: base), fci, 0)
        ByteOrder.store16(UInt16(truncatingIfNeeded: sequence - base), fci, 2)
        ByteOrder.store24(reference, fci, 4)
        fci[7] = feedbackCount
        feedbackCount &+= 1
        (fci + 8 + chunks.length).update(from: deltas, count: deltaBytes)
        let used = 8 + 8 + chunks.length + deltaBytes
        let padding = -used & 3
        if padding > 0 {
            (fci + used - 8).update(repeating: 0, count: padding)
            fci[used - 8 + padding - 1] = UInt8(truncatingIfNeeded: padding)
        }
        writer.shrinkLast(toBodyLength: used + padding, hasPadding: padding > 0)
        nextBase = sequence
        forgetOld()
        return true
    }

    /// What waits is not reported any more: its sender takes it neither for received nor for lost.
    public mutating func skipPending() {
        guard hasPending else { return }
        nextBase = unwrapper.highest + 1
        oldest = nextBase
    }

    private mutating func restart(_ number: UInt16, _ ticks: UInt32) {
        unwrapper = SequenceUnwrapper()
        let sequence = unwrapper.unwrap(number)
        arrivals.update(repeating: 0, count: capacity)
        nextBase = sequence
        oldest = sequence - Int64(capacity) + 1
        arrivals[slot(sequence)] = ticks
        latestTicks = ticks
        refusedInARow = 0
    }

    /// Frees the slots of the numbers that come into reach. What was not reported and falls out is lost.
    private mutating func advance(from highest: Int64, to sequence: Int64) {
        if sequence - highest >= Int64(capacity) {
            arrivals.update(repeating: 0, count: capacity)
        } else {
            var number = highest + 1
            while number <= sequence {
                arrivals[slot(number)] = 0
                number += 1
            }
        }
        let floor = sequence - Int64(capacity) + 1
        if oldest < floor { oldest = floor }
        if nextBase < floor { nextBase = floor }
    }

    /// Moves `oldest` behind the reported arrivals that are older than the back window.
    private mutating func forgetOld() {
        var sequence = oldest
        while sequence < nextBase {
            let arrival = arrivals[slot(sequence)]
            if arrival != 0 {
                let age = Int32(bitPattern: latestTicks &- arrival)
                guard age > TransportFeedbackGenerator.backWindowTicks else { break }
                oldest = sequence + 1
            }
            sequence += 1
        }
    }

    /// 250 µs ticks, rounded to nearest, never 0.
    private static func ticks(_ time: Instant) -> UInt32 {
        let shifted = time.microseconds &+ 125
        var quotient = shifted / 250
        if shifted < 0 && quotient * 250 != shifted { quotient -= 1 }
        let ticks = UInt32(truncatingIfNeeded: quotient)
        return ticks == 0 ? 1 : ticks
    }
}

/// Packs status symbols into run-length, one-bit and two-bit chunks, whichever holds the most of what comes.
struct StatusChunkWriter {
    private let out: UnsafeMutablePointer<UInt8>
    /// Bytes of finished chunks.
    private(set) var length = 0
    /// The first 14 waiting symbols, two bits each, the first one lowest.
    private var symbols: UInt32 = 0
    private var count = 0
    private var isRun = true
    private var hasLarge = false

    private static let longestRun = 0x1FFF

    init(_ out: UnsafeMutablePointer<UInt8>) { self.out = out }

    mutating func append(_ symbol: UInt32) {
        let continuesRun = isRun && (count == 0 || symbol == symbols & 3)
        let fits =
            count < 7 || (count < 14 && !hasLarge && symbol != 2)
            || (continuesRun && count < StatusChunkWriter.longestRun)
        if !fits { emit() }
        isRun = isRun && (count == 0 || symbol == symbols & 3)
        hasLarge = hasLarge || symbol == 2
        if count < 14 { symbols |= symbol << UInt32(2 * count) }
        count += 1
    }

    /// Writes what waits; afterwards the writer is empty.
    mutating func finish() {
        guard count > 0 else { return }
        if isRun {
            put(UInt16(symbols & 3) << 13 | UInt16(truncatingIfNeeded: count))
        } else if count <= 7 {
            put(0xC000 | twoBits(count))
        } else {
            put(oneBit())
        }
        clear()
    }

    private mutating func emit() {
        if isRun {
            put(UInt16(symbols & 3) << 13 | UInt16(truncatingIfNeeded: count))
            clear()
        } else if count == 14 {
            put(oneBit())
            clear()
        } else {
            put(0xC000 | twoBits(7))
            symbols >>= 14
            count -= 7
            isRun = true
            hasLarge = false
            for index in 0..<count {
                let symbol = symbols >> UInt32(2 * index) & 3
                if symbol != symbols & 3 { isRun = false }
                if symbol == 2 { hasLarge = true }
            }
        }
    }

    private mutating func clear() {
        symbols = 0
        count = 0
        isRun = true
        hasLarge = false
    }

    private func twoBits(_ number: Int) -> UInt16 {
        var word: UInt32 = 0
        for index in 0..<number { word |= (symbols >> UInt32(2 * index) & 3) << UInt32(12 - 2 * index) }
        return UInt16(truncatingIfNeeded: word)
    }

    private func oneBit() -> UInt16 {
        var word: UInt32 = 0x8000
        for index in 0..<count { word |= (symbols >> UInt32(2 * index) & 1) << UInt32(13 - index) }
        return UInt16(truncatingIfNeeded: word)
    }

    private mutating func put(_ word: UInt16) {
        ByteOrder.store16(word, out, length)
        length += 2
    }
}
