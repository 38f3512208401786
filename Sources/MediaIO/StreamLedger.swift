// How many ICE-TCP connections there are, in all and by source, over all workers.
import PeerTransport
import RTP
import Synchronization

final class StreamLedger: Sendable {
    struct Bounds {
        var connections = Limits.MediaIO.streamConnections
        var perSource = Limits.MediaIO.streamConnectionsPerSource
        var unchecked = Limits.MediaIO.uncheckedStreams
        var uncheckedPerSource = Limits.MediaIO.uncheckedStreamsPerSource
    }

    private struct Source {
        var connections = 0
        var unchecked = 0
    }

    private struct State {
        var sources: [IPAddress: Source] = [:]
        var connections = 0
        var unchecked = 0
    }

    private let state = Lock(State())
    private let bounds: Bounds

    init(bounds: Bounds = Bounds()) { self.bounds = bounds }

    /// A seat for a new connection, or nil when a bound is reached.
    func admit(_ source: IPAddress) -> StreamSeat? {
        let key = source.sourcePrefix
        let isIn = state.withLock { state in
            let one = state.sources[key] ?? Source()
            guard state.connections < bounds.connections, state.unchecked < bounds.unchecked,
                one.connections < bounds.perSource, one.unchecked < bounds.uncheckedPerSource
            else { return false }
            state.connections += 1
            state.unchecked += 1
            state.sources[key] = Source(connections: one.connections + 1, unchecked: one.unchecked + 1)
            return true
        }
        return isIn ? StreamSeat(ledger: self, source: key) : nil
    }

    fileprivate func checked(_ source: IPAddress) {
        state.withLock { state in
            state.unchecked -= 1
            state.sources[source]?.unchecked -= 1
        }
    }

    fileprivate func leave(_ source: IPAddress, wasChecked: Bool) {
        state.withLock { state in
            state.connections -= 1
            guard var one = state.sources[source] else { return }
            one.connections -= 1
            if !wasChecked {
                state.unchecked -= 1
                one.unchecked -= 1
            }
            state.sources[source] = one.connections > 0 ? one : nil
        }
    }

    var connections: Int { state.withLock { $0.connections } }
    var unchecked: Int { state.withLock { $0.unchecked } }
}

/// A place in the ledger; given back when the last reference goes, wherever the connection went in between.
final class StreamSeat: Sendable {
    private let ledger: StreamLedger
    private let source: IPAddress
    private let isChecked = Atomic<Bool>(false)

    fileprivate init(ledger: StreamLedger, source: IPAddress) {
        self.ledger = ledger
        self.source = source
    }

    /// The peer proved that it belongs to a session.
    func markChecked() {
        if !isChecked.exchange(true, ordering: .acquiringAndReleasing) { ledger.checked(source) }
    }

    var wasChecked: Bool { isChecked.load(ordering: .acquiring) }

    deinit { ledger.leave(source, wasChecked: wasChecked) }
}
