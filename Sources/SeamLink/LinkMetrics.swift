// What the gateway's end of the link counts. Must not know how it is shown.
import Metrics

/// Monotonic counts of this end, and whether the other one is there.
public struct LinkStatistics: Sendable, Equatable {
    public var isConnected = false
    /// Connections that came as far as the state, and those that ended.
    public var connects: UInt64 = 0
    public var losses: UInt64 = 0
    public var framesIn: UInt64 = 0
    public var framesOut: UInt64 = 0
    public var bytesIn: UInt64 = 0
    public var bytesOut: UInt64 = 0
    /// Commands that were taken and not sent when the connection ended.
    public var commandsDropped: UInt64 = 0

    public init() {}
}

/// The same by the names that metrics have.
struct LinkMetrics: Sendable {
    private let up: Gauge
    private let connects: Counter
    private let losses: Counter
    private let framesIn: Counter
    private let framesOut: Counter
    private let bytesIn: Counter
    private let bytesOut: Counter
    private let commandsDropped: Counter

    init(factory: any MetricsFactory) {
        func counter(_ name: String, direction: String? = nil) -> Counter {
            Counter(
                label: "sfu_link_\(name)_total",
                dimensions: direction.map { [("direction", $0)] } ?? [],
                factory: factory
            )
        }
        up = Gauge(label: "sfu_link_up", factory: factory)
        connects = counter("connects")
        losses = counter("losses")
        framesIn = counter("frames", direction: "in")
        framesOut = counter("frames", direction: "out")
        bytesIn = counter("bytes", direction: "in")
        bytesOut = counter("bytes", direction: "out")
        commandsDropped = counter("commands_dropped")
        up.record(0)
    }

    /// Brings the metrics from one reading to the next.
    func note(_ old: LinkStatistics, _ new: LinkStatistics) {
        func add(_ counter: Counter, _ count: KeyPath<LinkStatistics, UInt64>) {
            if new[keyPath: count] > old[keyPath: count] {
                counter.increment(by: new[keyPath: count] - old[keyPath: count])
            }
        }
        if old.isConnected != new.isConnected { up.record(new.isConnected ? 1 : 0) }
        add(connects, \.connects)
        add(losses, \.losses)
        add(framesIn, \.framesIn)
        add(framesOut, \.framesOut)
        add(bytesIn, \.bytesIn)
        add(bytesOut, \.bytesOut)
        add(commandsDropped, \.commandsDropped)
    }
}
