// The maximum bitrate of one source: notices a sender that exceeds it, and where asking does not help lets in what fits,
// lowest encodings first. Knows no stream and no packet.
import RTP

struct BitrateLimit {
    /// Payload bits per second of all encodings together, 0: no maximum.
    var maximum: UInt32 = 0
    /// More came at the last look, by more than an encoder may overshoot.
    private(set) var isExceeded = false
    /// What does not fit is dropped.
    private(set) var isShedding = false
    /// While shedding: encodings that are let in whole, the lowest ones. Where none is, pictures of the lowest are chosen.
    private(set) var wholeEncodings = Limits.Media.encodingsPerPublication
    private var lookedAt = Instant.distantPast
    private var farAboveSince = Instant.distantFuture
    private var exceededAt = Instant.distantPast
    // Which pictures of the lowest encoding are let in: a bucket, in bits and microseconds.
    private var credit: Int64 = 0
    private var creditAt = Instant.distantPast
    private var timestamp: UInt32?
    private var admitsPicture = false

    /// Looks at what came since the last look.
    /// - Parameter bytes: payload by encoding, the lowest first.
    mutating func look(_ bytes: [Int], at now: Instant) {
        let elapsed = now - lookedAt
        lookedAt = now
        // After a pause nothing is known of the rate.
        guard maximum > 0, elapsed > .zero, elapsed < Limits.BitrateLimit.oldestLook else {
            return restart()
        }
        let rates = bytes.map { Int64($0) * 8_000_000 / elapsed.microseconds }
        let total = rates.reduce(0, +)
        isExceeded = total * 100 > Int64(maximum) * Int64(100 + Limits.BitrateLimit.tolerance)
        if isExceeded { exceededAt = now }
        if total * 100 > Int64(maximum) * Int64(Limits.BitrateLimit.sheddingFrom) {
            farAboveSince = min(farAboveSince, now - elapsed)
        } else {
            farAboveSince = .distantFuture
        }
        if now - farAboveSince >= Limits.BitrateLimit.patience { isShedding = true }
        if now - exceededAt >= Limits.BitrateLimit.patience { isShedding = false }
        wholeEncodings = isShedding ? fitting(rates) : Limits.Media.encodingsPerPublication
    }

    private func fitting(_ rates: [Int64]) -> Int {
        var sum: Int64 = 0
        for (encoding, rate) in rates.enumerated() {
            sum += rate
            if sum > Int64(maximum) { return encoding }
        }
        return rates.count
    }

    private mutating func restart() {
        isExceeded = false
        isShedding = false
        wholeEncodings = Limits.Media.encodingsPerPublication
        farAboveSince = .distantFuture
    }

    /// Whether a packet of an encoding is let in that is not let in whole. Pictures are, or are not, as a whole; repairs
    /// would only fill the holes again.
    mutating func admits(
        encoding: Int,
        bytes: Int,
        timestamp: UInt32,
        isRepair: Bool,
        at now: Instant
    ) -> Bool {
        guard encoding == 0, wholeEncodings == 0, !isRepair else { return false }
        let most = Limits.BitrateLimit.burst.microseconds
        let elapsed = min((now - creditAt).microseconds, most)
        creditAt = now
        credit = min(credit + elapsed * Int64(maximum), most * Int64(maximum))
        if timestamp != self.timestamp {
            self.timestamp = timestamp
            admitsPicture = credit > 0
        }
        if admitsPicture { credit -= Int64(bytes) * 8_000_000 }
        return admitsPicture
    }
}

/// What a session that exceeds is told: the sum of its sources' maximums, which its sender's own estimate then never
/// exceeds. That holds until it is told another sum, so each new one is told as well.
struct BitrateNotice {
    private var told: UInt64 = 0
    private var repeats = 0

    /// - Parameter sum: bits per second; nil: a source has no maximum.
    /// - Returns: what to tell now, nil: nothing.
    mutating func next(sum: UInt64?, isExceeded: Bool) -> UInt64? {
        // Without a maximum any more, what was told must not go on to count.
        let sum = sum ?? (told == 0 ? 0 : UInt64(Limits.Bandwidth.maximum))
        guard sum > 0 else { return nil }
        if isExceeded || told != 0 && told != sum {
            told = sum
            repeats = Limits.BitrateLimit.noticeRepeats
            return sum
        }
        guard repeats > 0 else { return nil }
        repeats -= 1
        return sum
    }
}
