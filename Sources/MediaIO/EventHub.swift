// Where the workers' events come together: one receiver, each worker's order kept, state reports merged into one.
import Seam

final class EventHub: Sendable {
    private struct State {
        var receiver: (@Sendable ([Event]) -> Void)?
        /// The parts of a report in progress, by worker.
        var parts: [MediaState?] = []
        /// What workers said after their part; it must not overtake the whole.
        var heldBack: [[Event]] = []
        var isReporting = false
    }

    private let state = Lock(State())
    private let workers: Int
    private let router: SessionRouter
    private let epoch: String

    init(workers: Int, router: SessionRouter, epoch: String) {
        self.workers = workers
        self.router = router
        self.epoch = epoch
    }

    func setReceiver(_ receiver: @escaping @Sendable ([Event]) -> Void) {
        state.withLock { $0.receiver = receiver }
    }

    /// True when all workers are to be asked now; false when a report is under way and will answer this wish too.
    func beginReport() -> Bool {
        state.withLock { state in
            guard !state.isReporting else { return false }
            state.isReporting = true
            state.parts = Array(repeating: nil, count: workers)
            state.heldBack = Array(repeating: [], count: workers)
            return true
        }
    }

    /// Events of one worker, in order. Without a receiver they are gone: whoever comes later asks for the state.
    func deliver(_ events: [Event], from worker: Int) {
        // The receiver is called with the lock held, so that two workers' batches cannot pass each other.
        state.withLock { state in
            var ready: [Event] = []
            ready.reserveCapacity(events.count)
            for event in events {
                router.note(event)
                if state.isReporting, state.parts[worker] != nil {
                    state.heldBack[worker].append(event)
                } else if case .state(let part) = event, state.isReporting {
                    state.parts[worker] = part
                    if state.parts.allSatisfy({ $0 != nil }) { finishReport(&state, into: &ready) }
                } else {
                    ready.append(event)
                }
            }
            if !ready.isEmpty { state.receiver?(ready) }
        }
    }

    private func finishReport(_ state: inout State, into ready: inout [Event]) {
        let sessions = state.parts.flatMap { $0?.sessions ?? [] }
        ready.append(.state(MediaState(epoch: epoch, sessions: sessions)))
        for events in state.heldBack { ready.append(contentsOf: events) }
        state.isReporting = false
        state.parts = []
        state.heldBack = []
    }
}
