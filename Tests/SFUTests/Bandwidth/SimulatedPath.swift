// A bottleneck on virtual time: a rate that changes by a schedule, a queue that drops its tail, delay, jitter and loss
// from one seed. Carries sizes, no bytes.
import RTP

@testable import SFU

/// SplitMix64: the same numbers for the same seed everywhere.
struct Dice: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// 0 ≤ x < 1
    mutating func unit() -> Double { Double(next() >> 11) / 9_007_199_254_740_992 }
}

struct PathConditions {
    enum Loss {
        case none
        case random(Double)
        /// Gilbert–Elliott: probability to enter and to leave the bad state, and of loss within it.
        case bursts(enter: Double, leave: Double, loss: Double)
    }

    /// From when on so many bits per second pass; in order.
    var rates: [(from: Interval, rate: Int)] = [(.zero, 5_000_000)]
    /// Bytes that wait; nil: as many as 300 ms of the present rate carry.
    var queue: Int?
    var delay = Interval.milliseconds(20)
    /// Another delay from some time on.
    var laterDelay: (from: Interval, delay: Interval)?
    /// Added, uniformly from 0; packets do not overtake each other.
    var jitter = Interval.zero
    var loss = Loss.none
}

struct SimulatedPath {
    struct Packet {
        var flow = 0
        var number: Int
        var size: Int
        var kind: SentKind
        var sentAt: Instant
    }

    let conditions: PathConditions
    private var dice: Dice
    private var waiting: [Packet] = []
    private var head = 0
    private(set) var waitingBytes = 0
    private var freeAt = Instant.zero
    private var arrivals: [(at: Instant, packet: Packet)] = []
    private var nextArrival = 0
    private var lastArrival = Instant.zero
    private var isBad = false

    init(_ conditions: PathConditions, seed: UInt64) {
        self.conditions = conditions
        dice = Dice(seed: seed)
    }

    func rate(at now: Instant) -> Int {
        var present = conditions.rates[0].rate
        for change in conditions.rates where Instant.zero + change.from <= now { present = change.rate }
        return present
    }

    private func queueBytes(at now: Instant) -> Int { conditions.queue ?? rate(at: now) * 3 / 80 }

    /// Returns whether the packet was taken; loss on the way does not show.
    mutating func send(_ packet: Packet, at now: Instant) -> Bool {
        serve(until: now)
        guard waitingBytes + packet.size <= max(queueBytes(at: now), packet.size) else { return false }
        waiting.append(packet)
        waitingBytes += packet.size
        serve(until: now)
        return true
    }

    /// How long a packet would wait.
    func queueDelay(at now: Instant) -> Interval {
        .microseconds(Int64(waitingBytes) * 8_000_000 / Int64(rate(at: now)))
    }

    private mutating func serve(until now: Instant) {
        while head < waiting.count {
            let packet = waiting[head]
            let start = max(freeAt, packet.sentAt)
            let end = start + .microseconds(Int64(packet.size) * 8_000_000 / Int64(rate(at: start)))
            guard end <= now else { break }
            freeAt = end
            head += 1
            waitingBytes -= packet.size
            if !isLost() { fly(packet, from: end) }
        }
        if head > 256 {
            waiting.removeFirst(head)
            head = 0
        }
    }

    private mutating func fly(_ packet: Packet, from departure: Instant) {
        var arrival = departure + conditions.delay
        if let later = conditions.laterDelay, departure >= .zero + later.from {
            arrival = departure + later.delay
        }
        if conditions.jitter > .zero {
            arrival =
                arrival + .microseconds(Int64(dice.unit() * Double(conditions.jitter.microseconds)))
        }
        arrival = max(arrival, lastArrival)
        lastArrival = arrival
        arrivals.append((arrival, packet))
    }

    /// The next packet that has come by now.
    mutating func receive(at now: Instant) -> (at: Instant, packet: Packet)? {
        serve(until: now)
        guard nextArrival < arrivals.count, arrivals[nextArrival].at <= now else {
            if nextArrival > 256 {
                arrivals.removeFirst(nextArrival)
                nextArrival = 0
            }
            return nil
        }
        nextArrival += 1
        return arrivals[nextArrival - 1]
    }

    private mutating func isLost() -> Bool {
        switch conditions.loss {
        case .none: return false
        case .random(let probability): return dice.unit() < probability
        case .bursts(let enter, let leave, let loss):
            isBad = isBad ? dice.unit() >= leave : dice.unit() < enter
            return isBad && dice.unit() < loss
        }
    }
}
