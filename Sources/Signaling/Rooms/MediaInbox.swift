// Media events on their way to the gateway's loop: many threads put them in, the loop takes them out.
// Must not know what they mean beyond which of them a newer one replaces.
import RTP
import Seam
import Synchronization

final class MediaInbox: Sendable {
    private struct State {
        var events: [Event] = []
        var isScheduled = false
        var dropped: UInt64 = 0
    }

    private let state = Mutex(State())

    init() {}

    /// True where the loop has to be woken.
    func put(_ events: [Event]) -> Bool {
        state.withLock { state in
            for event in events {
                let room = Limits.Signaling.mediaEvents - state.events.count
                // The last quarter is kept for what is said only once.
                if room > (event.isRepeated ? Limits.Signaling.mediaEvents / 4 : 0) {
                    state.events.append(event)
                } else {
                    state.dropped += 1
                }
            }
            let wakes = !state.isScheduled && !state.events.isEmpty
            if wakes { state.isScheduled = true }
            return wakes
        }
    }

    func takeAll() -> [Event] {
        state.withLock { state in
            state.isScheduled = false
            var events: [Event] = []
            swap(&events, &state.events)
            return events
        }
    }

    var dropped: UInt64 { state.withLock { $0.dropped } }
}

extension Event {
    /// A newer one of its kind says it again.
    fileprivate var isRepeated: Bool {
        switch self {
        case .publication, .slots, .speakers, .quality, .counters: true
        // Who misses a demand sends nothing, or too much, until the next.
        case .sessionOpened, .sessionRefused, .configured, .iceRestarted, .transport, .sessionClosed, .demand,
            .state:
            false
        }
    }
}
