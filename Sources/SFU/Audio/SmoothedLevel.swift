// The loudness of a speaker as people are shown it: over windows of 400 ms, none where less than 40 % of one was
// speech. Knows levels and times alone.
import RTP

struct SmoothedLevel {
    private var windowStart: Instant
    /// dB below full scale.
    private var loudest: UInt8 = 127
    private var voiced = 0
    private var packets = 0
    /// Linear, 1 is full scale.
    private var amplitude = 0.0

    private static let window = Interval.milliseconds(400)
    /// Percent of a window.
    private static let activeShare = 40
    /// Of an average over two windows.
    private static let weight = 2.0 / 3.0

    init(at now: Instant) { windowStart = now }

    /// - Parameter level: −dBov.
    @inline(__always)
    mutating func note(_ level: UInt8, isVoice: Bool) {
        packets += 1
        guard isVoice else { return }
        voiced += 1
        if level < loudest { loudest = level }
    }

    /// 0 for whoever does not speak, to 127.
    mutating func level(at now: Instant) -> UInt8 {
        let age = now - windowStart
        if age >= SmoothedLevel.window { close(isStale: age >= SmoothedLevel.window * 2, at: now) }
        guard amplitude > 0 else { return 0 }
        let decibels = 2 * Decibels.of(power: amplitude)
        return UInt8(max(0, min(127.5 + decibels, 127)))
    }

    private mutating func close(isStale: Bool, at now: Instant) {
        var heard = 0.0
        if voiced > 0 && voiced * 100 >= packets * SmoothedLevel.activeShare {
            heard = Decibels.amplitude(below: Int(loudest)) * Double(voiced) / Double(packets)
        }
        if isStale && packets == 0 { amplitude = 0 }
        // An average that never ends would show a speaker for seconds after the last word.
        amplitude = heard == 0 ? 0 : amplitude + (heard - amplitude) * SmoothedLevel.weight
        windowStart = now
        loudest = 127
        voiced = 0
        packets = 0
    }
}
