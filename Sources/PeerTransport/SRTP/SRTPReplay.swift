// Which indices of one remote SSRC have come: for RTP with the guess of the rollover counter, for RTCP as they stand in
// the packets. Knows no keys; whoever asks adds an index only once its packet was authentic.
import RTP

/// RTP (RFC 3711 §3.3.1 and §3.3.2): the highest index, and a bit for each of the newest `Limits.SRTP.replayWindow`. One block of
/// memory; whoever makes it frees it.
struct SRTPReplayWindow {
    private static let bits = UInt64(Limits.SRTP.replayWindow)
    private static let words = Limits.SRTP.replayWindow / 64
    /// The last index of a key (RFC 3711 §9.2).
    static let lastIndex: UInt64 = 1 << 48 - 1

    /// The highest index; then the bits, each at its index modulo their number.
    private let memory: UnsafeMutablePointer<UInt64>

    /// - Parameter index: Of the first authentic packet.
    init(first index: UInt64) {
        memory = .allocate(capacity: 1 + Self.words)
        memory.initialize(repeating: 0, count: 1 + Self.words)
        memory[0] = index
        set(index)
    }

    func free() { memory.deallocate() }

    /// The index that a packet most likely has: the one with its sequence number that is nearest to the highest (RFC 3711 §3.3.1
    /// and appendix A), but none before the first.
    @inline(__always)
    func index(of sequence: UInt16) -> UInt64 {
        let highest = memory[0]
        let ahead = Int64(sequence) - Int64(highest & 0xffff)
        let same = highest & ~0xffff | UInt64(sequence)
        if ahead > 0x8000 { return same >= 1 << 16 ? same - 1 << 16 : same }
        return ahead < -0x8000 ? same + 1 << 16 : same
    }

    /// Neither seen, nor older than the window, nor more than a key may do.
    @inline(__always)
    func accepts(_ index: UInt64) -> Bool {
        let highest = memory[0]
        if index > highest { return index <= Self.lastIndex }
        return highest - index < Self.bits && memory[word(index)] & bit(index) == 0
    }

    /// - Parameter index: Accepted.
    @inline(__always)
    func add(_ index: UInt64) {
        if index > memory[0] { advance(to: index) }
        set(index)
    }

    @inline(__always)
    private func word(_ index: UInt64) -> Int { 1 + Int(index / 64 % UInt64(Self.words)) }

    @inline(__always)
    private func bit(_ index: UInt64) -> UInt64 { 1 << (index % 64) }

    @inline(__always)
    private func set(_ index: UInt64) { memory[word(index)] |= bit(index) }

    /// Forgets what falls out of the window.
    private func advance(to index: UInt64) {
        var next = memory[0] + 1
        memory[0] = index
        if index == next { return memory[word(index)] &= ~bit(index) }
        guard index - next < Self.bits else {
            return (memory + 1).update(repeating: 0, count: Self.words)
        }
        while next <= index {
            let count = min(64 - next % 64, index - next + 1)
            let run = (UInt64.max >> (64 - count)) << (next % 64)
            memory[word(next)] &= ~run
            next += count
        }
    }
}

/// RTCP (RFC 3711 §3.4 and §3.3.2): the highest index, and the newest `Limits.SRTP.reportReplayWindow`.
struct SRTCPReplayWindow {
    private var highest: UInt32 = 0
    /// Bit n is for the highest less n; without any bit nothing has come.
    private var seen: UInt128 = 0

    func accepts(_ index: UInt32) -> Bool {
        if index > highest || seen == 0 { return true }
        let back = highest - index
        return back < Limits.SRTP.reportReplayWindow && seen >> back & 1 == 0
    }

    /// - Parameter index: Accepted.
    mutating func add(_ index: UInt32) {
        if index > highest || seen == 0 {
            seen = seen << (index - highest) | 1
            highest = index
        } else {
            seen |= 1 << (highest - index)
        }
    }
}
