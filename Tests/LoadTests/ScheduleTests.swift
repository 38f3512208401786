// Entries come out in the order of their times, and never too early.
import Testing

@testable import Load

@Suite struct ScheduleTests {
    @Test(arguments: [UInt64(1), 2, 3])
    func earliestFirst(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var schedule = Schedule()
        var times: [Int64] = []
        for place in 0..<500 {
            let at = Int64.random(in: 0..<1000, using: &random)
            times.append(at)
            schedule.add(Schedule.Entry(at: at, member: place, place: 0))
        }
        times.sort()
        #expect(schedule.next == times[0] && schedule.count == 500)
        var taken: [Int64] = []
        while let entry = schedule.take(until: 600) { taken.append(entry.at) }
        #expect(taken == times.filter { $0 <= 600 })
        #expect(schedule.next > 600 && schedule.take(until: 600) == nil)
        while let entry = schedule.take(until: .max) { taken.append(entry.at) }
        #expect(taken == times && schedule.isEmpty && schedule.next == .max)
    }
}
