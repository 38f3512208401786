import RTP
import Seam
import Testing

@testable import SeamLink

@Suite struct EventQueueTests {
    private let state = MediaState(epoch: "e", sessions: [])

    /// A queue whose state has come and was taken.
    private func flowing(limit: Int = 100) -> EventQueue {
        let queue = EventQueue(limit: limit)
        queue.begin()
        #expect(queue.put([.state(state)]))
        #expect(queue.take(10) == .state(state))
        return queue
    }

    private func all(_ queue: EventQueue, by count: Int = 10) -> [Event] {
        var events: [Event] = []
        while case .events(let some) = queue.take(count) { events += some }
        return events
    }

    @Test func withoutAGatewayNothingIsKept() {
        let queue = EventQueue(limit: 10)
        #expect(!queue.put(Samples.events))
        #expect(queue.take(10) == .nothing)
        #expect(queue.waiting == 0 && queue.dropped == 0)
    }

    @Test func whatComesBeforeTheStateIsPartOfIt() {
        let queue = EventQueue(limit: 10)
        queue.begin()
        #expect(!queue.put([Samples.closed(1)]))
        #expect(queue.put([Samples.closed(2), .state(state), Samples.closed(3)]))
        #expect(queue.take(10) == .state(state))
        #expect(queue.take(10) == .events([Samples.closed(3)]))
        #expect(queue.take(10) == .nothing)
    }

    @Test func orderIsKeptAndBatchesAreBounded() {
        let queue = flowing()
        let events = (0..<25).map { Samples.closed($0) }
        #expect(queue.put(events))
        #expect(queue.take(10) == .events(Array(events[..<10])))
        #expect(all(queue) == Array(events[10...]))
    }

    @Test func oneWakeUntilSomethingIsTaken() {
        let queue = flowing()
        #expect(queue.put([Samples.closed(1)]))
        #expect(!queue.put([Samples.closed(2)]))
        _ = queue.take(1)
        #expect(queue.put([Samples.closed(3)]))
    }

    @Test func aStateInTheMiddleComesAlone() {
        let queue = flowing()
        _ = queue.put([Samples.closed(1), .state(state), Samples.closed(2)])
        #expect(queue.take(10) == .events([Samples.closed(1)]))
        #expect(queue.take(10) == .state(state))
        #expect(queue.take(10) == .events([Samples.closed(2)]))
    }

    /// However often it is asked for, one state waits: it is the largest of all events.
    @Test func oneStateWaits() {
        let queue = flowing()
        let newest = MediaState(epoch: "newest", sessions: [])
        _ = queue.put([.state(state), Samples.closed(1), .state(state), .state(newest), Samples.closed(2)])
        #expect(queue.waiting == 3)
        #expect(queue.take(10) == .events([Samples.closed(1)]))
        #expect(queue.take(10) == .state(newest))
        #expect(queue.take(10) == .events([Samples.closed(2)]))
    }

    @Test func theNewestOfEachKindWaits() {
        let queue = flowing(limit: 5)
        for round in UInt32(0)..<1000 {
            _ = queue.put([
                Samples.publication("a", kilobits: round), Samples.publication("b", kilobits: round),
            ])
            _ = queue.put([.counters(WorkerCounters(worker: 0, counts: ["n": UInt64(round)]))])
            _ = queue.put([.speakers(Samples.speakers)])
        }
        #expect(queue.waiting == 4)
        #expect(queue.dropped == 0)
        #expect(
            all(queue) == [
                Samples.publication("a", kilobits: 999), Samples.publication("b", kilobits: 999),
                .counters(WorkerCounters(worker: 0, counts: ["n": 999])), .speakers(Samples.speakers),
            ]
        )
    }

    @Test func slotsOfOneSessionAreJoined() {
        func slot(_ mid: String, width: UInt16) -> SlotState {
            SlotState(mid: mid, kind: .video, width: width)
        }
        let queue = flowing()
        _ = queue.put([.slots(Samples.session, [slot("1", width: 1), slot("2", width: 1)])])
        _ = queue.put([.slots(SessionID("other"), [slot("1", width: 5)])])
        _ = queue.put([.slots(Samples.session, [slot("2", width: 2), slot("3", width: 2)])])
        #expect(
            all(queue) == [
                .slots(SessionID("other"), [slot("1", width: 5)]),
                .slots(Samples.session, [slot("1", width: 1), slot("2", width: 2), slot("3", width: 2)]),
            ]
        )
    }

    @Test func aNewerValueDoesNotOvertakeWhatWasSaidBefore() {
        let queue = flowing()
        _ = queue.put([Samples.publication("a", kilobits: 1), Samples.closed(1)])
        _ = queue.put([Samples.publication("a", kilobits: 2)])
        #expect(all(queue) == [Samples.closed(1), Samples.publication("a", kilobits: 2)])
    }

    @Test func tooMuchBecomesANewState() {
        let queue = flowing(limit: 50)
        #expect(queue.put((0..<50).map { Samples.closed($0) }))
        #expect(!queue.put([Samples.closed(50)]), "the wake is under way")
        #expect(queue.waiting == 0)
        #expect(queue.dropped == 51 && queue.overflows == 1)
        _ = queue.put([Samples.closed(51), .state(state)])
        #expect(queue.dropped == 53, "not even a state that was asked for before counts")
        #expect(queue.take(10) == .overflowed)
        queue.begin()
        #expect(!queue.put([Samples.closed(52)]))
        #expect(queue.put([.state(state), Samples.closed(53)]))
        #expect(queue.take(10) == .state(state))
        #expect(all(queue) == [Samples.closed(53)])
    }

    @Test func anOverflowWakesWhereNobodyIsOnTheWay() {
        let queue = flowing(limit: 2)
        #expect(queue.put([Samples.closed(1)]))
        #expect(queue.take(1) == .events([Samples.closed(1)]))
        #expect(queue.put([Samples.closed(2), Samples.closed(3), Samples.closed(4)]))
        #expect(queue.take(1) == .overflowed)
    }

    /// Against a plain list of the newest values, in any mix of puts and takes.
    @Test(arguments: UInt64(0)..<30) func behavesLikeAList(seed: UInt64) {
        var random = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1
        func next(_ bound: UInt64) -> UInt64 {
            random ^= random << 13
            random ^= random >> 7
            random ^= random << 17
            return random % bound
        }
        let queue = flowing(limit: 1000)
        var model: [Event] = []
        for step in 0..<3000 {
            switch next(4) {
            case 0:
                let count = Int(next(4) + 1)
                let expected = Array(model.prefix(count))
                model.removeFirst(expected.count)
                #expect(
                    queue.take(count) == (expected.isEmpty ? .nothing : .events(expected)),
                    "seed \(seed)"
                )
            case 1 where model.count < 900:
                model.append(Samples.closed(step))
                _ = queue.put([Samples.closed(step)])
            default:
                let id = "p\(next(5))"
                let event = Samples.publication(id, kilobits: UInt32(step))
                model.removeAll {
                    if case .publication(let old) = $0 { return old.publication.rawValue == id }
                    return false
                }
                model.append(event)
                _ = queue.put([event])
            }
            #expect(queue.waiting == model.count, "seed \(seed), step \(step)")
        }
    }
}
