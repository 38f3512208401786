// What a simulated peer receives on one stream: which numbers came, which are missing and due to be asked for.
import RTP

/// Tells which packets of a stream are missing.
public final class SimulatedReceiver {
    private var unwrapper = SequenceUnwrapper()
    private var seen: Set<Int64> = []
    private var missing: [Int64: (since: Instant, askedAt: Instant?, tries: Int)] = [:]
    public private(set) var duplicates = 0
    /// Numbers of which the server says that there is nothing.
    public private(set) var void: Set<Int64> = []
    private var lowest: Int64?
    var statistics: ReceiveStatistics

    init(clockRate: UInt32) { statistics = ReceiveStatistics(clockRate: clockRate) }

    /// nil: had it already.
    func receive(_ number: UInt16, isRecovered: Bool, at now: Instant) -> Int64? {
        let before = unwrapper.isStarted ? unwrapper.highest : nil
        let sequence = isRecovered ? unwrapper.peek(number) : unwrapper.unwrap(number)
        guard seen.insert(sequence).inserted else {
            duplicates += 1
            return nil
        }
        missing[sequence] = nil
        // The first packet to come need not have been the first to be sent.
        if let lowest, sequence < lowest, lowest - sequence < 1000 {
            for gap in (sequence + 1)..<lowest { missing[gap] = (now, nil, 0) }
        }
        lowest = min(lowest ?? sequence, sequence)
        if let before, sequence > before + 1, sequence - before < 1000 {
            for gap in (before + 1)..<sequence where !seen.contains(gap) { missing[gap] = (now, nil, 0) }
        }
        return sequence
    }

    /// A retransmission without payload: nothing ever was under this number.
    func receiveVoid(_ number: UInt16) {
        guard unwrapper.isStarted else { return }
        let sequence = unwrapper.peek(number)
        guard !seen.contains(sequence) else { return }
        void.insert(sequence)
        missing[sequence] = nil
    }

    /// The extended number that a packet with this one would have.
    func place(_ number: UInt16) -> Int64 { unwrapper.peek(number) }

    func due(at now: Instant, reorderGuard: Interval, again: Bool) -> [UInt16] {
        var numbers: [UInt16] = []
        if again && unwrapper.isStarted && unwrapper.highest % 9 == 0 {
            numbers.append(UInt16(truncatingIfNeeded: unwrapper.highest - 3))
        }
        for sequence in missing.keys.sorted() {
            guard let item = missing[sequence], item.tries < 20 else { continue }
            let deadline = item.askedAt.map { $0 + .milliseconds(60) } ?? item.since + reorderGuard
            guard deadline <= now else { continue }
            missing[sequence] = (item.since, now, item.tries + 1)
            numbers.append(UInt16(truncatingIfNeeded: sequence))
        }
        return numbers
    }

    public var missingCount: Int { missing.count }
    public var highest: Int64 { unwrapper.highest }
}
