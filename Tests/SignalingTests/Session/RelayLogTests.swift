import NIOCore
import RTP
import Seam
import Testing

@testable import Signaling

@Suite struct RelayLogTests {
    private static let alice = ParticipantID("pa_a")
    private static let bob = ParticipantID("pa_b")

    private static func message(
        _ sequence: UInt64,
        _ size: Int = 10,
        to audience: RelayLog.Audience = .everybody,
        at now: Instant = Instant(microseconds: 0)
    ) -> RelayLog.Message {
        func body(_ letter: String) -> EventBody {
            let text = ByteBuffer(string: String(repeating: letter, count: size))
            return EventBody(type: .data, tail: text)
        }
        return RelayLog.Message(
            sequence: sequence,
            sender: alice,
            user: UserID("alice"),
            audience: audience,
            body: body("b"),
            copy: body("c"),
            at: now
        )
    }

    private static func fill(_ log: inout RelayLog, _ count: Int, size: Int = 10) {
        for _ in 0..<count { log.append(message(log.nextSequence, size)) }
    }

    @Test func everybodyGetsWhatIsForThem() {
        var log = RelayLog()
        log.append(Self.message(1))
        log.append(Self.message(2, to: .some([Self.bob], [])))
        log.append(Self.message(3, to: .some([], [UserID("carol")])))
        let now = Instant(microseconds: 0)
        func count(_ id: String, _ user: String, since: UInt64 = 0) -> Int {
            log.since(since, for: ParticipantID(id), of: UserID(user), at: now).messages.count
        }
        #expect(count("pa_a", "alice") == 0)
        #expect(count("pa_b", "bob") == 2)
        #expect(count("pa_b", "bob", since: 1) == 1)
        #expect(count("pa_c", "carol") == 2)
        #expect(count("pa_d", "dave") == 1)
        #expect(count("pa_d", "dave", since: 3) == 0)
        // Another device of the sender gets copies of all, marked as such.
        let own = log.since(0, for: ParticipantID("pa_a2"), of: UserID("alice"), at: now)
        #expect(own.messages.count == 3)
        #expect(own.messages.allSatisfy { String(buffer: $0.tail).hasPrefix("c") })
    }

    @Test func whatIsGoneIsReported() {
        var log = RelayLog()
        Self.fill(&log, Limits.Relay.messages + 44)
        #expect(log.count == Limits.Relay.messages)
        let now = Instant(microseconds: 0)
        let late = log.since(14, for: Self.bob, of: UserID("bob"), at: now)
        #expect(late.lost >= 30)
        #expect(late.lost + late.messages.count == Limits.Relay.messages + 44 - 14)
        let recent = log.since(UInt64(Limits.Relay.messages), for: Self.bob, of: UserID("bob"), at: now)
        #expect(recent.lost == 0)
        #expect(recent.messages.count == 44)
    }

    @Test func bytesAndAgeAreBounded() {
        var log = RelayLog()
        Self.fill(&log, 200, size: 15_000)
        #expect(log.bytes <= Limits.Relay.bytes)
        let now = Instant(microseconds: 0)
        let missed = log.since(0, for: Self.bob, of: UserID("bob"), at: now)
        #expect(missed.messages.reduce(0) { $0 + $1.count } <= Limits.Relay.replayBytes)
        #expect(missed.lost + missed.messages.count == 200)
        let later = now + Limits.Relay.age + .seconds(1)
        let old = log.since(0, for: Self.bob, of: UserID("bob"), at: later)
        #expect(old.messages.isEmpty)
        #expect(old.lost == 200)
        #expect(log.bytes == 0)
    }

    @Test func receiptsAreKnownAgainWithinBounds() {
        var log = RelayLog()
        var now = Instant(microseconds: 0)
        func receipt(_ mid: String) -> DataReceipt {
            DataReceipt(mid: mid, accepted: true, deliveredTo: 3, relaySeq: 1)
        }
        log.remember(receipt("m1"), sender: "alice", at: now)
        let known = log.receipt(of: "m1", sender: "alice", at: now)
        #expect(known?.deliveredTo == 3)
        let foreign = log.receipt(of: "m1", sender: "bob", at: now)
        #expect(foreign == nil)
        for n in 0..<Limits.Relay.receipts { log.remember(receipt("n\(n)"), sender: "alice", at: now) }
        #expect(log.receiptCount == Limits.Relay.receipts)
        let pushedOut = log.receipt(of: "m1", sender: "alice", at: now)
        #expect(pushedOut == nil)
        now = now + Limits.Relay.age + .seconds(1)
        let expired = log.receipt(of: "n5", sender: "alice", at: now)
        #expect(expired == nil)
        #expect(log.receiptCount == 0)
    }

    @Test func theMeterCountsMessagesAndBytes() {
        var now = Instant(microseconds: 0)
        var meter = RelayMeter(at: now)
        var allowed = 0
        while meter.allows(bytes: 10, at: now) { allowed += 1 }
        #expect(allowed == Limits.Relay.burst)
        now = now + .seconds(1)
        allowed = 0
        while meter.allows(bytes: 10, at: now) { allowed += 1 }
        #expect(allowed == Limits.Relay.messagesPerSecond)
        var bytes = RelayMeter(at: now)
        allowed = 0
        while bytes.allows(bytes: 15 * 1024, at: now) { allowed += 1 }
        #expect(allowed == Limits.Relay.burstBytes / (15 * 1024))
    }
}
