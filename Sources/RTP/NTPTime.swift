// NTP timestamps (RFC 3550 §4). Must not read a clock: the caller knows how its instants relate to NTP.

/// 32.32 fixed-point seconds since 1900-01-01 UTC.
public struct NTPTime: Equatable, Hashable, Sendable {
    public var rawValue: UInt64

    @inlinable
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Seconds from the NTP epoch to the Unix epoch.
    public static let unixEpochSeconds: Int64 = 2_208_988_800

    /// `epochOffset`: what is added to an instant to get the time since 1900-01-01.
    public init(_ instant: Instant, epochOffset: Interval) {
        let total = instant.microseconds &+ epochOffset.microseconds
        var seconds = total / 1_000_000
        var rest = total % 1_000_000
        if rest < 0 {
            seconds -= 1
            rest += 1_000_000
        }
        // Rounded to nearest, so that the way there and back loses nothing.
        let fraction = (UInt64(rest) << 32 + 500_000) / 1_000_000
        rawValue = UInt64(bitPattern: seconds) << 32 &+ fraction
    }

    /// The instant of this time, in the era that starts 1900 (until February 2036) or the next one.
    public func instant(epochOffset: Interval) -> Instant {
        var seconds = Int64(rawValue >> 32)
        // RFC 4330 §3: times with the highest bit clear belong to the era that starts in 2036.
        if seconds < 0x8000_0000 { seconds += 1 << 32 }
        let microseconds = Int64(((rawValue & 0xFFFF_FFFF) * 1_000_000 + 1 << 31) >> 32)
        return Instant(microseconds: seconds * 1_000_000 + microseconds - epochOffset.microseconds)
    }

    /// 16.16 seconds: LSR and LRR.
    @inlinable
    public var middle32: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 16) }

    /// 6.18 seconds: the abs-send-time header extension.
    @inlinable
    public var absoluteSendTime: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 14) & 0xFF_FFFF }

    /// How far `other` is ahead, exact to a microsecond, wraps of the era included.
    public func interval(to other: NTPTime) -> Interval {
        let difference = Int64(bitPattern: other.rawValue &- rawValue)
        let seconds = difference >> 32
        let fraction = UInt64(truncatingIfNeeded: difference) & 0xFFFF_FFFF
        return Interval(
            microseconds: seconds * 1_000_000 + Int64((fraction * 1_000_000 + 1 << 31) >> 32)
        )
    }

    public func advanced(by interval: Interval) -> NTPTime {
        let step = NTPTime(Instant(microseconds: interval.microseconds), epochOffset: .zero)
        return NTPTime(rawValue: rawValue &+ step.rawValue)
    }

    /// Round trip from a report block or DLRR (RFC 3550 §6.4.1): now - last report - delay.
    /// nil: no report was answered yet, or the sum is absurd. Slightly negative results count as 0.
    public static func roundTrip(now: UInt32, lastReport: UInt32, delay: UInt32) -> Interval? {
        guard lastReport != 0 else { return nil }
        let units = Int64(Int32(bitPattern: now &- lastReport &- delay))
        // A clock step or a lying peer: more than a minute, or more than a second negative.
        guard units <= 60 << 16, units >= -(1 << 16) else { return nil }
        return Interval(microseconds: (max(0, units) * 1_000_000) >> 16)
    }

    /// An interval as DLSR or DLRR in 1/65536 s; negative counts as 0, too long saturates.
    public static func shortUnits(_ interval: Interval) -> UInt32 {
        let clamped = min(max(interval.microseconds, 0), 65_535_999_999)
        return UInt32(truncatingIfNeeded: (clamped << 16) / 1_000_000)
    }
}
