// A bulk transfer that shares a path: CUBIC (RFC 9438) with everything acknowledged a delay after it comes. No handshake,
// no timeouts, nothing is sent twice. Says when a segment goes and hears when it came; knows no network.
import RTP

public struct BulkTransfer {
    /// Bytes on the wire, with all headers.
    public static let segment = 1500
    private let start: Instant
    private let delay: Interval
    private var next = 0
    private var inFlight = 0
    private var window = 10.0
    private var threshold = Double.infinity
    private var peak = 0.0
    private var epoch: Instant?
    private var recoverUntil = -1
    private var acks: [(at: Instant, number: Int)] = []
    private var expected = 0

    /// - Parameter delay: from the arrival of a segment until its sender knows.
    public init(start: Instant, delay: Interval = .milliseconds(20)) {
        self.start = start
        self.delay = delay
    }

    /// Sends what the window allows, segments by their number.
    public mutating func step(at now: Instant, send: (_ number: Int) -> Void) {
        while let first = acks.first, first.at <= now {
            acks.removeFirst()
            acknowledge(first.number, at: now)
        }
        guard now >= start else { return }
        while Double(inFlight) < window {
            let number = next
            next += 1
            inFlight += 1
            send(number)
        }
    }

    public mutating func arrived(_ number: Int, at now: Instant) { acks.append((now + delay, number)) }

    private mutating func acknowledge(_ number: Int, at now: Instant) {
        // Those before it that did not come are lost: nothing is reordered here.
        let lost = number - expected
        expected = number + 1
        inFlight = max(0, inFlight - 1 - lost)
        if lost > 0 && number > recoverUntil {
            recoverUntil = next
            peak = window
            window = max(2, window * 0.7)
            threshold = window
            epoch = nil
            return
        }
        if window < threshold {
            window += 1
            return
        }
        let begin = epoch ?? now
        epoch = begin
        let t = Double((now - begin).microseconds) / 1_000_000 + 0.04
        let k = BulkTransfer.cubeRoot(peak * 0.3 / 0.4)
        let target = 0.4 * (t - k) * (t - k) * (t - k) + peak
        window += max(0.01, min(target - window, window / 2)) / window
    }

    private static func cubeRoot(_ x: Double) -> Double {
        guard x > 0 else { return 0 }
        var y = max(1, x / 3)
        for _ in 0..<40 { y -= (y * y * y - x) / (3 * y * y) }
        return y
    }
}
