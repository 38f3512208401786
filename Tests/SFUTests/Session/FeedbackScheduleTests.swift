import RTP
import Testing

@testable import SFU

/// A publisher of one steady rate, and the messages that it is sent about it.
private struct SteadyPublisher: ~Copyable {
    var schedule = FeedbackSchedule()
    var generator = TransportFeedbackGenerator()
    var number: UInt16 = 0
    var now = Instant.zero
    var due = Instant.distantFuture
    /// With IP and UDP.
    var received = 0
    var sent = 0
    var sentAt: [Instant] = []

    mutating func packet(bytes: Int) {
        generator.record(number, at: now)
        number &+= 1
        received += bytes + Limits.Feedback.datagramOverhead
        due = min(due, schedule.received(bytes, at: now))
    }

    mutating func advance(to time: Instant) {
        while due <= time {
            now = max(now, due)
            due = .distantFuture
            let bytes = write()
            guard bytes > 0 else { continue }
            schedule.sent(bytes, at: now)
            sent += bytes + Limits.Feedback.trailerBytes + Limits.Feedback.datagramOverhead
            sentAt.append(now)
        }
        now = time
    }

    private mutating func write() -> Int {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1200) { buffer in
            guard let base = buffer.baseAddress else { return 0 }
            var writer = RTCPWriter(base, capacity: 1200)
            return generator.write(to: &writer, senderSSRC: 1, mediaSSRC: 2) ? writer.length : 0
        }
    }

    /// Packets of this size at this rate, bits per second with IP and UDP.
    mutating func run(bytes: Int, rate: Int, for interval: Interval) {
        let end = now + interval
        let gap = Interval(
            microseconds: Int64((bytes + Limits.Feedback.datagramOverhead) * 8_000_000 / rate)
        )
        while now + gap <= end {
            advance(to: now + gap)
            packet(bytes: bytes)
            if due <= now { advance(to: now) }
        }
        advance(to: end)
    }

    var intervals: [Interval] { zip(sentAt.dropFirst(), sentAt).map { $0 - $1 } }
}

@Suite struct FeedbackScheduleTests {
    @Test(arguments: [20, 30, 50, 100, 200, 500, 1000, 2500, 10_000], [80, 200, 1100])
    func itTakesAtMostItsShare(kilobits: Int, bytes: Int) {
        var publisher = SteadyPublisher()
        publisher.run(bytes: bytes, rate: kilobits * 1000, for: .seconds(30))
        #expect(publisher.sent * 100 <= publisher.received * Limits.Feedback.share)
        #expect(publisher.intervals.allSatisfy { $0 >= Limits.Feedback.shortestInterval })
        #expect(publisher.intervals.allSatisfy { $0 <= Limits.Feedback.longestInterval })
        // What is allowed is used.
        let mean = 30_000 / publisher.sentAt.count
        if kilobits >= 500 { #expect(mean <= 60) }
        if kilobits == 100 { #expect(mean <= 200) }
        if kilobits == 50 { #expect(mean <= 400) }
    }

    /// Silence with a sign of life now and then: hardly anything comes, and still the sender hears once a second.
    @Test func hardlyAnythingIsToldOfOnceASecond() {
        var publisher = SteadyPublisher()
        for _ in 0..<50 {
            publisher.packet(bytes: 50)
            publisher.advance(to: publisher.now + .milliseconds(400))
        }
        #expect(publisher.sentAt.count >= 18 && publisher.sentAt.count <= 21)
    }

    @Test func theFirstPacketIsToldOfSoon() {
        var publisher = SteadyPublisher()
        publisher.packet(bytes: 100)
        publisher.advance(to: .zero + .seconds(5))
        #expect(publisher.sentAt == [Instant.zero + Limits.Feedback.firstInterval])
    }

    /// What came before a pause pays for no messages after it.
    @Test func aPauseSavesNothingUp() {
        var publisher = SteadyPublisher()
        publisher.run(bytes: 1100, rate: 5_000_000, for: .seconds(5))
        publisher.advance(to: publisher.now + .seconds(20))
        let before = (sent: publisher.sent, received: publisher.received)
        #expect(publisher.generator.pendingCount == 0)
        let resumed = publisher.now
        publisher.run(bytes: 100, rate: 40_000, for: .seconds(5))
        let after = publisher.sentAt.filter { $0 > resumed }
        #expect(after.first.map { $0 - resumed <= .milliseconds(200) } == true)
        #expect((publisher.sent - before.sent) * 100 <= (publisher.received - before.received) * 6)
    }

    /// A large message is paid for like others.
    @Test func whatNumbersThatJumpCostIsPaidFor() {
        var publisher = SteadyPublisher()
        publisher.run(bytes: 1100, rate: 300_000, for: .seconds(1))
        for _ in 0..<20 {
            publisher.number &+= 3000
            publisher.run(bytes: 1100, rate: 300_000, for: .seconds(1))
        }
        #expect(publisher.sent * 100 <= publisher.received * Limits.Feedback.share)
    }
}
