// Percentiles, and what is read from proc(5).
import Testing

@testable import Load

@Suite struct SamplesTests {
    @Test func percentilesAreNearestRank() {
        var samples = Samples()
        #expect(samples.percentiles([0.5]) == [0])
        for value in (1...100).reversed() { samples.add(Int64(value)) }
        #expect(samples.percentiles([0, 0.5, 0.95, 0.99, 1]) == [1, 50, 95, 99, 100])
        #expect(samples.maximum == 100 && samples.count == 100)
    }

    @Test func keepsItsShapeWhenItDropsSamples() {
        var samples = Samples()
        let count = 3 << 20
        for value in 0..<count { samples.add(Int64(value)) }
        #expect(samples.count == count && samples.maximum == Int64(count - 1))
        let median = samples.percentiles([0.5])[0]
        #expect(abs(median - Int64(count / 2)) < Int64(count / 1000))
    }

    @Test func readsThreadsWithOddNames() throws {
        let stat = "77 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0 1 2 3"
        let thread = try #require(ProcessUsage.Thread(stat: stat, schedule: "123456789 5 6\n"))
        #expect(thread.name == "a) b (c")
        #expect(thread.cpu == 123_456_789)
        #expect(thread.user == 3 * thread.system && thread.system > 0)
        let coarse = try #require(ProcessUsage.Thread(stat: stat, schedule: nil))
        #expect(coarse.cpu == coarse.user + coarse.system)
        #expect(ProcessUsage.Thread(stat: "77 broken", schedule: nil) == nil)
    }

    @Test func mergesOthers() {
        var all = Samples()
        for part in 0..<4 {
            var samples = Samples()
            for value in 1...25 { samples.add(Int64(part * 25 + value)) }
            all.merge(samples)
        }
        #expect(all.count == 100 && all.maximum == 100 && all.percentiles([0.5, 0.99]) == [50, 99])
    }

    @Test func readsSoftInterruptsAndWhatIsStolen() throws {
        let stat = "cpu  1 2 3 4 5 6 700 8 9 10\ncpu0 1 2 3 4 5 6 350 8\nintr 1"
        let usage = try #require(MachineUsage(stat: stat))
        #expect(usage.softirq == 7_000_000_000 && usage.stolen == 80_000_000)
        #expect(MachineUsage(stat: "cpu 1 2") == nil && MachineUsage(stat: "") == nil)
    }
}
