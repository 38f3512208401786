import RTP
import Testing

@testable import EventLog

@Suite("Order of deliveries")
struct DeliveryQueueTests {
    private static let second = Instant(microseconds: 1_000_000)

    private static func queue(requests: Int = 4, retries: Int = 2) -> DeliveryQueue {
        DeliveryQueue(
            timing: DeliveryQueue.Timing(
                firstRetry: .seconds(1),
                longestRetry: .seconds(60),
                giveUpAfter: .seconds(3600),
                requests: requests,
                retries: retries,
                lanes: 10
            )
        )
    }

    private static func fail(
        _ queue: inout DeliveryQueue,
        _ room: String,
        position: Int64 = 1,
        time: UInt64 = 0,
        wall: UInt64 = 0,
        jitter: Double = 1,
        retryAfter: Interval? = nil,
        at now: Instant = .zero
    ) -> DeliveryQueue.OnFailure {
        queue.failed(
            room,
            position: position,
            time: time,
            wallTime: wall,
            jitter: jitter,
            retryAfter: retryAfter,
            at: now
        )
    }

    @Test func oneRequestPerRoomAtATime() {
        var queue = Self.queue()
        queue.noticed("a", position: 5)
        queue.noticed("b", position: 6)
        queue.noticed("a", position: 7)
        #expect(queue.next(at: .zero) == [.init(room: "a", after: 4), .init(room: "b", after: 5)])
        #expect(queue.next(at: .zero).isEmpty)
        queue.delivered("a", position: 5)
        #expect(queue.next(at: .zero) == [.init(room: "a", after: 5)])
        #expect(queue.floor(scanned: 7) == 5)
    }

    @Test func aRoomIsForgottenOnceNothingIsLeft() {
        var queue = Self.queue()
        queue.noticed("a", position: 5)
        _ = queue.next(at: .zero)
        queue.delivered("a", position: 5)
        _ = queue.next(at: .zero)
        // Came after the look, before its answer.
        queue.noticed("a", position: 9)
        queue.drained("a")
        #expect(queue.next(at: .zero) == [.init(room: "a", after: 5)])
        queue.drained("a")
        #expect(queue.count == 0 && queue.floor(scanned: 9) == 9)
    }

    @Test func retriesDoubleWithJitterAndEnd() {
        var queue = Self.queue()
        queue.noticed("a", position: 1)
        var pauses: [Int64] = []
        var now = Instant.zero
        for _ in 0..<9 {
            #expect(queue.next(at: now).count == 1)
            guard case .retry(let pause) = Self.fail(&queue, "a", at: now) else { return }
            #expect(queue.next(at: now).isEmpty)
            #expect(queue.deadline == now + pause)
            pauses.append(pause.milliseconds)
            now = now + pause
        }
        #expect(pauses == [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000])
        _ = queue.next(at: now)
        #expect(Self.fail(&queue, "a", jitter: 0, at: now) == .retry(after: .seconds(30)))
    }

    @Test func retryAfterCountsWithinBounds() {
        var queue = Self.queue()
        queue.noticed("a", position: 1)
        _ = queue.next(at: .zero)
        #expect(Self.fail(&queue, "a", retryAfter: .seconds(20)) == .retry(after: .seconds(20)))
        _ = queue.next(at: .zero + .seconds(20))
        #expect(Self.fail(&queue, "a", retryAfter: .seconds(9999)) == .retry(after: .seconds(60)))
    }

    @Test func failingRoomsLeaveTurnsToTheOthers() {
        var queue = Self.queue(requests: 4, retries: 2)
        for room in ["a", "b", "c", "d"] { queue.noticed(room, position: 1) }
        #expect(queue.next(at: .zero).count == 4)
        for room in ["a", "b", "c", "d"] { _ = Self.fail(&queue, room) }
        let later = Instant.zero + .seconds(5)
        #expect(queue.next(at: later).map(\.room) == ["a", "b"])
        for room in ["e", "f", "g"] { queue.noticed(room, position: 2) }
        #expect(queue.next(at: later).map(\.room) == ["e", "f"])
        queue.delivered("e", position: 2)
        #expect(queue.next(at: later).map(\.room) == ["g"])
        #expect(queue.failing == 4)
    }

    @Test func anEventIsGivenUpWhenItAndItsRoomHaveFailedLongEnough() {
        let hour: UInt64 = 3_600_000
        var queue = Self.queue()
        queue.noticed("a", position: 1)
        // Two hours old after a time without a server: it has its tries all the same.
        _ = queue.next(at: .zero)
        #expect(Self.fail(&queue, "a", time: 0, wall: 2 * hour) == .retry(after: .seconds(1)))
        _ = queue.next(at: Self.second)
        #expect(Self.fail(&queue, "a", time: 0, wall: 3 * hour) == .giveUp)
        // The next one is young and goes on until it is an hour old, too.
        #expect(queue.next(at: Self.second) == [.init(room: "a", after: 1)])
        #expect(Self.fail(&queue, "a", position: 2, time: 3 * hour - 1000, wall: 3 * hour) != .giveUp)
        #expect(queue.failingSince("a") == 2 * hour)
        _ = queue.next(at: .distantFuture)
        #expect(Self.fail(&queue, "a", position: 2, time: 3 * hour - 1000, wall: 4 * hour) == .giveUp)
        _ = queue.next(at: .distantFuture)
        queue.delivered("a", position: 3)
        #expect(queue.failingSince("a") == nil)
    }

    @Test func theTimeOfFailingOutlivesARestart() {
        let hour: UInt64 = 3_600_000
        var queue = Self.queue()
        queue.noticed("a", position: 1, failingSince: 5)
        _ = queue.next(at: .zero)
        #expect(Self.fail(&queue, "a", time: 0, wall: hour + 5) == .giveUp)
    }

    @Test func aFullQueueSaysSo() {
        var queue = Self.queue()
        for number in 0..<10 { queue.noticed("room\(number)", position: 1) }
        #expect(queue.isFull)
    }

    /// Random events, outcomes and times: order in each room, nothing skipped but what is given up, nothing stuck.
    @Test(arguments: 0..<100) func nothingIsLostOrOutOfOrder(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var queue = Self.queue(requests: 3, retries: 1)
        var log: [(position: Int64, room: String)] = []
        var done: [String: [Int64]] = [:]
        var now = Instant.zero
        var steps = 0
        while steps < 400 || queue.count > 0 {
            steps += 1
            if steps < 400, random.below(2) == 0 {
                let room = "room\(random.below(8))"
                log.append((Int64(log.count + 1), room))
                queue.noticed(room, position: Int64(log.count))
            }
            now = now + .milliseconds(Int64(random.below(3000)))
            for turn in queue.next(at: now) {
                guard let event = log.first(where: { $0.room == turn.room && $0.position > turn.after })
                else {
                    queue.drained(turn.room)
                    continue
                }
                if random.below(3) == 0 {
                    let outcome = Self.fail(
                        &queue,
                        turn.room,
                        position: event.position,
                        jitter: Double(random.below(100)) / 100,
                        at: now
                    )
                    #expect(outcome != .giveUp)
                } else {
                    done[turn.room, default: []].append(event.position)
                    queue.delivered(turn.room, position: event.position)
                }
            }
            let floor = queue.floor(scanned: Int64(log.count))
            let undone = log.first { !(done[$0.room]?.contains($0.position) ?? false) }
            #expect(floor < undone?.position ?? .max, "seed \(seed)")
            guard steps < 20_000 else {
                Issue.record("stuck, seed \(seed)")
                return
            }
        }
        for (room, positions) in done {
            #expect(positions == log.filter { $0.room == room }.map(\.position), "seed \(seed)")
        }
        #expect(done.values.reduce(0) { $0 + $1.count } == log.count, "seed \(seed)")
    }
}
