// When transport-wide feedback goes to one publisher: as often as is of use, and never so often that it takes more than its
// share of what the publisher sends. Knows no packet and no clock.
import RTP

/// Bytes are counted as on the wire, with IP and UDP. What a message cost must come in again, many times over, before
/// the next one leaves; what comes in beyond that is not saved up.
struct FeedbackSchedule {
    private var lastSent = Instant.distantPast
    /// Bytes since then, and how many of them the next message needs.
    private var received = 0
    private var needed = 0

    /// A packet of so many bytes of UDP payload came. Returns when the next message is due, where no earlier one was.
    @inline(__always)
    mutating func received(_ bytes: Int, at now: Instant) -> Instant {
        received &+= bytes &+ Limits.Feedback.datagramOverhead
        if received >= needed && lastSent > .distantPast {
            return max(now, lastSent + Limits.Feedback.shortestInterval)
        }
        let latest = lastSent + Limits.Feedback.longestInterval
        // The first packet, or the first after a pause: nothing is known of its rate.
        return latest > now ? latest : now + Limits.Feedback.firstInterval
    }

    /// A message of so many bytes, before SRTCP, left.
    mutating func sent(_ bytes: Int, at now: Instant) {
        let cost = bytes + Limits.Feedback.trailerBytes + Limits.Feedback.datagramOverhead
        let debt = max(needed - received, 0) + cost * 100 / Limits.Feedback.share
        needed = min(debt, Limits.Feedback.messageBytes * 100 / Limits.Feedback.share)
        received = 0
        lastSent = now
    }
}
