// A network on virtual time: links with rate, queue, delay, jitter, loss in bursts, reordering and duplication, all
// from one seed. Carries bytes; knows nothing of what they mean.
import RTP

/// What one direction of a link does to datagrams.
public struct LinkConditions: Sendable {
    public enum Loss: Sendable {
        case none
        /// Each datagram on its own, 0–1.
        case random(Double)
        /// Gilbert–Elliott: probability to enter and to leave the bad state, and of loss within it.
        case bursts(enter: Double, leave: Double, loss: Double)
    }

    /// Bits per second, nil: as fast as wanted.
    public var rate: Int?
    /// Bytes that wait for the link before the tail is dropped.
    public var queue = 64_000
    public var delay = Interval.milliseconds(10)
    /// Added to each delay, uniformly from 0; datagrams overtake each other only where `reorders` says so.
    public var jitter = Interval.zero
    public var reorders = false
    public var loss = Loss.none
    /// 0–1.
    public var duplication = 0.0
    public var isDown = false

    public init() {}

    public static let perfect = LinkConditions()
}

/// A queue that several links share.
public final class Bottleneck {
    var busyUntil = Instant.zero
    public init() {}
}

/// One direction between two ends.
public struct SimulatedLink {
    private struct Flight {
        var arrival: Instant
        var order: UInt64
        var bytes: [UInt8]
        var tag: Int
    }

    public var conditions: LinkConditions
    public private(set) var sent = 0
    public private(set) var lost = 0
    /// Where other links wait in the same queue.
    public var bottleneck: Bottleneck?
    private var generator: SimulatedICEClient.Generator
    private var flights: [Flight] = []
    private var order: UInt64 = 0
    private var ownBusyUntil = Instant.zero
    private var lastArrival = Instant.zero
    private var isBad = false

    public init(_ conditions: LinkConditions, seed: UInt64) {
        self.conditions = conditions
        generator = SimulatedICEClient.Generator(seed: seed)
    }

    public var nextArrival: Instant { flights.first?.arrival ?? .distantFuture }

    private var busyUntil: Instant {
        get { bottleneck?.busyUntil ?? ownBusyUntil }
        set { if let bottleneck { bottleneck.busyUntil = newValue } else { ownBusyUntil = newValue } }
    }

    /// How long a datagram would wait.
    public func queueDelay(at now: Instant) -> Interval { max(.zero, busyUntil - now) }

    /// Returns whether the queue took it; loss on the way does not show.
    ///
    /// - Parameters:
    ///   - tag: comes out with the datagram.
    ///   - extra: delay on top of what the link has; such a datagram is overtaken by others.
    @discardableResult
    public mutating func send(_ bytes: [UInt8], tag: Int = -1, extra: Interval = .zero, at now: Instant)
        -> Bool
    {
        sent += 1
        guard !conditions.isDown, !isLost() else {
            lost += 1
            return !conditions.isDown
        }
        var departure = now
        if let rate = conditions.rate {
            let start = max(now, busyUntil)
            let waiting = (start - now).microseconds * Int64(rate) / 8_000_000
            guard waiting <= Int64(conditions.queue) else {
                lost += 1
                return false
            }
            departure = start + .microseconds(Int64(bytes.count + 28) * 8_000_000 / Int64(rate))
            busyUntil = departure
        }
        fly(bytes, tag, extra, from: departure)
        if chance(conditions.duplication) { fly(bytes, tag, extra, from: departure) }
        return true
    }

    private mutating func fly(_ bytes: [UInt8], _ tag: Int, _ extra: Interval, from departure: Instant) {
        var arrival = departure + conditions.delay
        if conditions.jitter > .zero {
            arrival =
                arrival
                + .microseconds(Int64.random(in: 0...conditions.jitter.microseconds, using: &generator))
        }
        if !conditions.reorders { arrival = max(arrival, lastArrival) }
        if extra == .zero { lastArrival = max(arrival, lastArrival) }
        arrival = arrival + extra
        order += 1
        let flight = Flight(arrival: arrival, order: order, bytes: bytes, tag: tag)
        let place = flights.lastIndex { ($0.arrival, $0.order) <= (arrival, order) }.map { $0 + 1 } ?? 0
        flights.insert(flight, at: place)
    }

    /// The next datagram that has arrived by now.
    public mutating func receive(at now: Instant) -> (bytes: [UInt8], tag: Int)? {
        guard let first = flights.first, first.arrival <= now else { return nil }
        flights.removeFirst()
        return (first.bytes, first.tag)
    }

    private mutating func isLost() -> Bool {
        switch conditions.loss {
        case .none: return false
        case .random(let probability): return chance(probability)
        case .bursts(let enter, let leave, let loss):
            isBad = isBad ? !chance(leave) : chance(enter)
            return isBad && chance(loss)
        }
    }

    private mutating func chance(_ probability: Double) -> Bool {
        probability > 0 && Double.random(in: 0..<1, using: &generator) < probability
    }
}
