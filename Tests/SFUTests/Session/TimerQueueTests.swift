import RTP
import Testing

@testable import SFU

@Suite struct TimerQueueTests {
    @Test(arguments: 0..<20) func comesUpInOrderOfTime(seed: UInt64) {
        var random = RandomSource.seeded(seed)
        let queue = TimerQueue()
        var waiting: [Instant] = []
        var wrong = 0
        for step in Int64(0)..<500 {
            if UInt8.random(in: 0..<3, using: &random) > 0 {
                let deadline = Instant(microseconds: step * 10 + Int64.random(in: 0..<2000, using: &random))
                queue.add(Int32.random(in: 0..<100, using: &random), at: deadline)
                waiting.append(deadline)
            }
            waiting.sort()
            if queue.next != waiting.first ?? .distantFuture { wrong += 1 }
            while let (_, at) = queue.pop(dueAt: Instant(microseconds: step * 10)) {
                if waiting.isEmpty || waiting.removeFirst() != at { wrong += 1 }
            }
            if let first = waiting.first, first <= Instant(microseconds: step * 10) { wrong += 1 }
        }
        #expect(wrong == 0 && queue.count == waiting.count, "seed \(seed)")
    }
}
