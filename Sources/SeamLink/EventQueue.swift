// Events on their way to the gateway's process: the workers put them in and never wait, the link takes them out as the
// socket allows. Must not know the socket.
import RTP
import Seam
import Synchronization

/// Bounded: of what a newer value replaces only the newest waits, and when even so too much waits, everything is given
/// up and the whole state is asked for instead.
final class EventQueue: Sendable {
    enum Batch: Equatable {
        case nothing
        case events([Event])
        case state(MediaState)
        /// Too much was waiting: the state has to be asked for, with `begin()` before.
        case overflowed
    }

    fileprivate enum Phase {
        /// Nobody hears.
        case closed
        /// A state was asked for; what comes before it is part of it.
        case waiting
        case flowing
        case overflowed
    }

    /// What a newer event of the same key says anew.
    fileprivate enum Key: Hashable {
        case publication(PublicationID)
        case slots(SessionID)
        case demand(PublicationID)
        case speakers(RoomID)
        case quality(SessionID)
        case counters(Int)
        case state

        init?(_ event: Event) {
            switch event {
            case .publication(let state): self = .publication(state.publication)
            case .slots(let session, _): self = .slots(session)
            case .demand(let demand): self = .demand(demand.publication)
            case .speakers(let report): self = .speakers(report.room)
            case .quality(let session, _): self = .quality(session)
            case .counters(let counters): self = .counters(counters.worker)
            case .state: self = .state
            case .sessionOpened, .sessionRefused, .configured, .iceRestarted, .transport, .sessionClosed:
                return nil
            }
        }
    }

    fileprivate struct State {
        var phase = Phase.closed
        /// Holes are events that were replaced.
        var events: [Event?] = []
        var head = 0
        var live = 0
        var places: [Key: Int] = [:]
        var isScheduled = false
        var dropped: UInt64 = 0
        var overflows: UInt64 = 0
    }

    private let state = Mutex(State())
    private let limit: Int

    init(limit: Int = Limits.Link.queuedEvents) { self.limit = limit }

    /// Gives up what waits; the next state begins anew.
    func begin() { state.withLock { $0.restart(.waiting) } }

    /// Gives up what waits, and what comes.
    func close() { state.withLock { $0.restart(.closed) } }

    /// True where `take` has to be called.
    func put(_ events: [Event]) -> Bool {
        state.withLock { state in
            for event in events { state.put(event, limit: limit) }
            let hasNews = state.live > 0 || state.phase == .overflowed
            guard hasNews, !state.isScheduled else { return false }
            state.isScheduled = true
            return true
        }
    }

    /// What waited longest: at most so many events, or one state.
    func take(_ count: Int) -> Batch {
        state.withLock { state in
            state.isScheduled = false
            return state.take(count)
        }
    }

    var waiting: Int { state.withLock { $0.live } }
    /// Events that were given up.
    var dropped: UInt64 { state.withLock { $0.dropped } }
    var overflows: UInt64 { state.withLock { $0.overflows } }
}

extension EventQueue.State {
    fileprivate mutating func restart(_ phase: EventQueue.Phase) {
        self.phase = phase
        // Whoever was to take them may be gone.
        isScheduled = false
        events = []
        places = [:]
        head = 0
        live = 0
    }

    fileprivate mutating func put(_ event: Event, limit: Int) {
        switch phase {
        case .closed: return
        case .overflowed:
            dropped += 1
            return
        case .waiting:
            guard case .state = event else { return }
            phase = .flowing
        case .flowing: break
        }
        var event = event
        let key = EventQueue.Key(event)
        if let key, let place = places[key], let old = events[place] {
            event = event.merged(over: old)
            events[place] = nil
            live -= 1
        }
        guard live < limit else {
            dropped += UInt64(live) + 1
            overflows += 1
            let isScheduled = isScheduled
            restart(.overflowed)
            self.isScheduled = isScheduled
            return
        }
        compactIfSparse()
        if let key { places[key] = events.count }
        events.append(event)
        live += 1
    }

    /// A value that is replaced again and again leaves holes behind.
    private mutating func compactIfSparse() {
        guard events.count >= 2 * live + 64 else { return }
        events = events[head...].filter { $0 != nil }
        head = 0
        places = [:]
        for (place, event) in events.enumerated() {
            if let key = event.flatMap({ EventQueue.Key($0) }) { places[key] = place }
        }
    }

    fileprivate mutating func take(_ count: Int) -> EventQueue.Batch {
        if phase == .overflowed { return .overflowed }
        var batch: [Event] = []
        while live > 0, batch.count < count {
            guard let event = events[head] else {
                head += 1
                continue
            }
            if case .state(let whole) = event {
                guard batch.isEmpty else { break }
                drop(event)
                return .state(whole)
            }
            drop(event)
            batch.append(event)
        }
        if live == 0 {
            events.removeAll(keepingCapacity: events.count < 1024)
            places.removeAll(keepingCapacity: true)
            head = 0
        }
        return batch.isEmpty ? .nothing : .events(batch)
    }

    private mutating func drop(_ event: Event) {
        if let key = EventQueue.Key(event), places[key] == head { places[key] = nil }
        events[head] = nil
        head += 1
        live -= 1
    }
}

extension Event {
    /// Slots are told as they change, so that an older event may hold some that the newer one does not.
    fileprivate func merged(over old: Event) -> Event {
        guard case .slots(let session, let newer) = self, case .slots(_, let older) = old else { return self }
        let mids = Set(newer.map(\.mid))
        return .slots(session, older.filter { !mids.contains($0.mid) } + newer)
    }
}
