// Bytes per time over the last 640 ms of any clock, in steps of 20 ms. Must not know whose clock it is.
import RTP

struct RateWindow {
    private static let step: Int64 = 20_000
    private static let count: Int64 = 32
    private var bytes = InlineArray<32, Int32>(repeating: 0)
    /// The newest step.
    private var newest: Int64 = .min
    /// The newest time that was noted, microseconds; meaningless before the first.
    private(set) var end: Int64 = 0
    private var first: Int64 = 0

    /// Notes bytes at a time in microseconds; what is older than the window is left out.
    @inline(__always)
    mutating func add(_ size: Int, at time: Int64) {
        // Rounded down, also before zero.
        let step = time >= 0 ? time / RateWindow.step : (time + 1) / RateWindow.step - 1
        if step > newest { move(to: step, time) }
        guard newest - step < RateWindow.count else { return }
        if time > end { end = time }
        bytes[Int(truncatingIfNeeded: step & 31)] &+= Int32(truncatingIfNeeded: size)
    }

    private mutating func move(to step: Int64, _ time: Int64) {
        if newest == .min || step - newest >= RateWindow.count {
            bytes = InlineArray<32, Int32>(repeating: 0)
            if newest == .min { first = time }
            end = time
        } else {
            for passed in (newest + 1)...step { bytes[Int(truncatingIfNeeded: passed & 31)] = 0 }
        }
        newest = step
    }

    /// Bits per second over the newest `interval`, at most 600 ms; nil before that much was seen.
    func rate(over interval: Interval) -> Int? {
        guard newest != .min else { return nil }
        // The oldest step is whole, the newest is not.
        let steps = min(interval.microseconds / RateWindow.step, RateWindow.count - 2)
        let from = newest - steps
        guard end - first >= interval.microseconds else { return nil }
        var sum: Int64 = 0
        for step in from...newest { sum += Int64(bytes[Int(truncatingIfNeeded: step & 31)]) }
        let time = end - from * RateWindow.step
        return time > 0 ? Int(sum * 8_000_000 / time) : nil
    }

    /// Whether nothing was noted.
    var isEmpty: Bool { newest == .min }

    mutating func reset() { self = RateWindow() }
}
