// Which packets of one inbound stream are missing and when to ask for them (RFC 4585 §6.2.1).
// Times are the caller's; nothing is sent here.
import RTP

struct NackGenerator {
    private struct Missing {
        var sequence: Int64
        var firstSeen: Instant
        var askedAt: Instant
        var tries: UInt8
    }

    private var missing: [Missing] = []
    private var highest: Int64 = .min
    private var lowest: Int64 = .min
    /// Requests for audio that may be made at once, hundredths.
    private var allowance = Limits.Media.audioNackBurst * 100
    /// Set when a loss was given up on or too much is missing; the caller asks for a key frame and clears it.
    private(set) var gaveUp = false
    /// How late packets are that come by themselves: so long a hole is not asked for.
    private(set) var reorderGuard = Limits.Media.nackReorderGuard
    /// From the only request for a packet to its arrival, smoothed; nil before the first.
    private(set) var roundTrip: Interval?

    init() { missing.reserveCapacity(Limits.Media.nackListLength) }

    var isEmpty: Bool { missing.isEmpty }

    /// Notes a packet of the stream itself.
    /// - Parameter repairsApart: repairs come by RTX, so that one that was missing and comes here was only late.
    mutating func received(_ sequence: Int64, repairsApart: Bool = false, at now: Instant) {
        guard highest != .min else {
            highest = sequence
            lowest = sequence
            return
        }
        if sequence > highest {
            let gap = sequence - highest - 1
            if gap > 0 { note(gap: gap, at: now) }
            let earned = Int(min(gap + 1, 100)) * Limits.Media.audioNackShare
            allowance = min(allowance + earned, Limits.Media.audioNackBurst * 100)
            highest = sequence
        } else if sequence < lowest {
            beganBefore(sequence, at: now)
        } else if let item = remove(sequence), repairsApart || item.tries == 0 {
            cameLate(item, at: now)
        }
    }

    /// A packet that was thought lost came: the next ones are given as long, within bounds. In quiet times the guard
    /// goes back.
    private mutating func cameLate(_ item: Missing, at now: Instant) {
        let lateness = (now - item.firstSeen).microseconds
        let wish = min(lateness * 5 / 4, Limits.Media.nackReorderGuardLongest.microseconds)
        if wish > reorderGuard.microseconds {
            reorderGuard = .microseconds(wish)
        } else {
            let next = reorderGuard.microseconds - (reorderGuard.microseconds - wish) / 16
            reorderGuard = .microseconds(max(next, Limits.Media.nackReorderGuard.microseconds))
        }
    }

    /// The first packet that came was not the first that was sent: what lies between may be lost as well.
    private mutating func beganBefore(_ sequence: Int64, at now: Instant) {
        if lowest - sequence <= NackGenerator.longestBeginning {
            for number in (sequence + 1)..<lowest {
                missing.append(Missing(sequence: number, firstSeen: now, askedAt: .zero, tries: 0))
            }
        }
        lowest = sequence
    }

    /// Packets of a first key frame that may overtake its first one.
    private static let longestBeginning: Int64 = 100

    /// A packet that came by RTX: no longer missing. It never moves the head of the stream.
    mutating func recovered(_ sequence: Int64, at now: Instant) {
        guard let item = remove(sequence), item.tries > 0 else { return }
        let sample = (now - item.askedAt).microseconds
        guard item.tries > 1 else {
            roundTrip = .microseconds(roundTrip.map { ($0.microseconds * 7 + sample) / 8 } ?? sample)
            return
        }
        // So soon after the last request, it is the answer to one before (Karn): the estimate is too short.
        let present = (roundTrip ?? Limits.Media.nackRetryMinimum).microseconds
        let longest = Limits.Media.nackRetryMaximum.microseconds
        if sample < present / 2 { roundTrip = .microseconds(min(present * 5 / 4, longest)) }
    }

    /// A packet that came otherwise.
    mutating func forget(_ sequence: Int64) { remove(sequence) }

    /// Nobody wants this packet, nor any before it.
    mutating func pass(_ sequence: Int64) {
        missing.removeAll(keepingCapacity: true)
        guard highest != .min else {
            highest = sequence
            lowest = sequence
            return
        }
        highest = max(highest, sequence)
    }

    private mutating func note(gap: Int64, at now: Instant) {
        guard gap <= Int64(Limits.Media.nackMaximumGap) else {
            missing.removeAll(keepingCapacity: true)
            gaveUp = true
            return
        }
        if missing.count + Int(gap) > Limits.Media.nackListLength {
            missing.removeAll(keepingCapacity: true)
            gaveUp = true
            return
        }
        for sequence in (highest + 1)...(highest + gap) {
            missing.append(Missing(sequence: sequence, firstSeen: now, askedAt: .zero, tries: 0))
        }
    }

    @discardableResult
    private mutating func remove(_ sequence: Int64) -> Missing? {
        guard let index = missing.firstIndex(where: { $0.sequence == sequence }) else { return nil }
        return missing.remove(at: index)
    }

    mutating func takeGaveUp() -> Bool {
        defer { gaveUp = false }
        return gaveUp
    }

    /// Appends the numbers to ask for now and counts the try. A number is asked for when reordering no longer explains
    /// that it is missing, then each RTT · 1.25ⁿ, at most 10 times.
    /// - Parameter isBounded: within a share of the packets, since on a path that is too narrow each request makes it
    ///   narrower. What is beyond it counts as a try, too.
    mutating func due(
        at now: Instant,
        roundTrip: Interval,
        isBounded: Bool = false,
        into list: inout [Int64]
    ) {
        guard !missing.isEmpty else { return }
        var kept = 0
        for index in missing.indices {
            var item = missing[index]
            let isDue = deadline(of: item, roundTrip: roundTrip) <= now
            if isDue && item.tries >= Limits.Media.nackTries {
                gaveUp = true
                continue
            }
            if isDue {
                item.tries += 1
                item.askedAt = now
                if !isBounded || allowance >= 100 {
                    list.append(item.sequence)
                    if isBounded { allowance -= 100 }
                }
            }
            missing[kept] = item
            kept += 1
        }
        missing.removeLast(missing.count - kept)
    }

    private func deadline(of item: Missing, roundTrip: Interval) -> Instant {
        guard item.tries > 0 else { return item.firstSeen + reorderGuard }
        var wait = max(roundTrip.microseconds, Limits.Media.nackRetryMinimum.microseconds)
        for _ in 1..<max(item.tries, 1) { wait += wait / 4 }
        return item.askedAt + Interval(microseconds: min(wait, Limits.Media.nackRetryMaximum.microseconds))
    }

    func nextDeadline(roundTrip: Interval) -> Instant {
        var next = Instant.distantFuture
        for item in missing { next = min(next, deadline(of: item, roundTrip: roundTrip)) }
        return next
    }
}
