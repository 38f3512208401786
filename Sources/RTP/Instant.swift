// Time as the pure floors know it: a number that somebody passes in. Nothing below MediaIO reads a clock.

/// A point in time, in microseconds since an arbitrary start that all instants of one process share.
public struct Instant: Comparable, Hashable, Sendable {
    public var microseconds: Int64

    @inlinable
    public init(microseconds: Int64) { self.microseconds = microseconds }

    /// - Parameter sinceStart: what a clock of the process has counted, to the microsecond below.
    public init(_ sinceStart: Duration) {
        let (seconds, attoseconds) = sinceStart.components
        self.init(microseconds: seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
    }

    /// Later than every instant that a clock can show: "no deadline".
    public static let distantFuture = Instant(microseconds: .max)
    /// Earlier than every instant that a clock can show, and far enough from the end that intervals to it are right.
    public static let distantPast = Instant(microseconds: .min / 4)
    public static let zero = Instant(microseconds: 0)

    @inlinable
    public static func < (a: Instant, b: Instant) -> Bool { a.microseconds < b.microseconds }
    @inlinable
    public static func - (a: Instant, b: Instant) -> Interval {
        Interval(microseconds: a.microseconds &- b.microseconds)
    }
    @inlinable
    public static func + (a: Instant, b: Interval) -> Instant {
        Instant(microseconds: a.microseconds &+ b.microseconds)
    }
    @inlinable
    public static func - (a: Instant, b: Interval) -> Instant {
        Instant(microseconds: a.microseconds &- b.microseconds)
    }

    /// The nearest beat: what is done now and then for each of a thousand sessions is done for many of them at one waking.
    @inlinable
    public var onBeat: Instant { nearest(Limits.Media.beat) }

    /// The nearest slow beat, for what nobody waits for.
    @inlinable
    public var onSlowBeat: Instant { nearest(Limits.Media.slowBeat) }

    @inlinable
    func nearest(_ step: Interval) -> Instant {
        Instant(microseconds: (microseconds &+ step.microseconds / 2) / step.microseconds * step.microseconds)
    }
}

/// A length of time in microseconds; may be negative.
public struct Interval: Comparable, Hashable, Sendable {
    public var microseconds: Int64

    @inlinable
    public init(microseconds: Int64) { self.microseconds = microseconds }

    public static let zero = Interval(microseconds: 0)

    @inlinable
    public static func microseconds(_ n: Int64) -> Interval { Interval(microseconds: n) }
    @inlinable
    public static func milliseconds(_ n: Int64) -> Interval { Interval(microseconds: n &* 1000) }
    @inlinable
    public static func seconds(_ n: Int64) -> Interval { Interval(microseconds: n &* 1_000_000) }

    /// Whole milliseconds, rounded towards zero.
    @inlinable
    public var milliseconds: Int64 { microseconds / 1000 }

    @inlinable
    public static func < (a: Interval, b: Interval) -> Bool { a.microseconds < b.microseconds }
    @inlinable
    public static func + (a: Interval, b: Interval) -> Interval {
        Interval(microseconds: a.microseconds &+ b.microseconds)
    }
    @inlinable
    public static func - (a: Interval, b: Interval) -> Interval {
        Interval(microseconds: a.microseconds &- b.microseconds)
    }
    @inlinable
    public static func * (a: Interval, factor: Int64) -> Interval {
        Interval(microseconds: a.microseconds &* factor)
    }
}
