// What was sent with a sequence number and is not acknowledged yet: critical events in order, state by key.
// A resumed session is replayed from here. Must not know sockets.
import RTP

/// What tells the values of one state event apart.
struct StateKey: Hashable, Sendable {
    var type: ServerMessage
    var value: String
}

struct SessionLog: Sendable {
    private struct Critical: Sendable {
        var sequence: UInt64
        /// nil for a page of a snapshot: it is never replayed, a newer snapshot takes its place.
        var body: EventBody?
        var queuedAt: Instant
    }
    private struct State: Sendable {
        var sequence: UInt64
        var body: EventBody
    }

    private var critical = Fifo<Critical>()
    private(set) var criticalBytes = 0
    private var state: [StateKey: State] = [:]
    /// Includes entries that a newer value of their key has replaced.
    private var stateOrder = Fifo<(sequence: UInt64, key: StateKey)>()

    /// Newest message of the room's relay that the client has.
    private(set) var acknowledgedRelay: UInt64 = 0

    var criticalCount: Int { critical.count }
    var stateCount: Int { state.count }
    /// When the oldest critical event was queued.
    var oldest: Instant? { critical.first?.queuedAt }

    mutating func sent(critical body: EventBody, sequence: UInt64, queuedAt: Instant, isPage: Bool) {
        critical.append(Critical(sequence: sequence, body: isPage ? nil : body, queuedAt: queuedAt))
        if !isPage { criticalBytes += body.count }
    }

    mutating func sent(state body: EventBody, key: StateKey, sequence: UInt64) {
        state[key] = State(sequence: sequence, body: body)
        stateOrder.append((sequence, key))
        guard stateOrder.count > 2 * state.count + 64 else { return }
        let current = state
        stateOrder.removeAll { current[$0.key]?.sequence != $0.sequence }
    }

    mutating func acknowledged(through sequence: UInt64) {
        while let first = critical.first, first.sequence <= sequence {
            _ = critical.popFirst()
            guard let body = first.body else { continue }
            criticalBytes -= body.count
            acknowledgedRelay = max(acknowledgedRelay, body.relaySequence ?? 0)
        }
        while let first = stateOrder.first, first.sequence <= sequence {
            _ = stateOrder.popFirst()
            if state[first.key]?.sequence == first.sequence { state[first.key] = nil }
        }
        // Its storage as well.
        if state.isEmpty { state = [:] }
    }

    /// Everything that is not acknowledged, in the order in which it was sent; nil where a page of a snapshot is among
    /// it. A state value is passed over where a newer one of its key waits.
    func unacknowledged(isReplaced: (StateKey) -> Bool) -> [(sequence: UInt64, body: EventBody)]? {
        var entries: [(sequence: UInt64, body: EventBody)] = []
        for entry in critical.all {
            guard let body = entry.body else { return nil }
            entries.append((entry.sequence, body))
        }
        for (key, entry) in state where !isReplaced(key) { entries.append((entry.sequence, entry.body)) }
        return entries.sorted { $0.sequence < $1.sequence }
    }

    mutating func removeAll() {
        critical.removeAll()
        criticalBytes = 0
        state.removeAll()
        stateOrder.removeAll()
    }
}
