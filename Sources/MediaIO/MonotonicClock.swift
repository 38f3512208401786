// The one place that reads a clock for the media plane.
import CLinux
import RTP

enum MonotonicClock {
    /// CLOCK_MONOTONIC in microseconds.
    @inline(__always)
    static var now: Instant { Instant(microseconds: clinux_monotonic_ns() / 1000) }

    /// CLOCK_REALTIME minus CLOCK_MONOTONIC, nanoseconds. Taken anew per batch, since the former may be set.
    @inline(__always)
    static var realtimeOffset: Int64 { clinux_realtime_ns() &- clinux_monotonic_ns() }

    /// The kernel's receive stamp on our time line; `now` where there is none or it makes no sense (the wall clock
    /// was set between stamp and read).
    @inline(__always)
    static func arrival(stamp: Int64, offset: Int64, now: Instant) -> Instant {
        guard stamp > 0 else { return now }
        let arrival = Instant(microseconds: (stamp &- offset) / 1000)
        if arrival > now || now - arrival > .seconds(1) { return now }
        return arrival
    }

    /// NTP time (RFC 5905 64-bit format) at `Instant.zero`.
    static var ntpAtZero: UInt64 {
        let offset = realtimeOffset
        let seconds = offset.quotientAndRemainder(dividingBy: 1_000_000_000)
        let fraction = (UInt64(max(0, seconds.remainder)) << 32) / 1_000_000_000
        return (UInt64(bitPattern: seconds.quotient) &+ 2_208_988_800) << 32 | fraction
    }
}
