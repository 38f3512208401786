import NIOCore
import RTP
import Testing

@testable import Signaling

@Suite struct SignalSessionTests {
    private let start = Instant(microseconds: 0)

    private func body(_ type: ServerMessage, _ text: String = "x", size: Int = 0) -> EventBody {
        EventBody(
            type: type,
            tail: ByteBuffer(string: "\"t\":\"\(text)\(String(repeating: "y", count: size))\"}")
        )
    }

    private func drainAll(_ session: inout SignalSession, at now: Instant) -> [String] {
        var texts: [String] = []
        while case .send(let text) = session.drain(at: now) { texts.append(String(buffer: text)) }
        return texts
    }

    @Test func numbersAreBoundWhenEventsAreSent() {
        var session = SignalSession(at: start)
        session.queue(state: body(.conn, "old"), key: StateKey(type: .conn, value: "a"), at: start)
        session.queue(control: body(.hb))
        session.queue(critical: body(.roster, "r1"), at: start)
        session.queue(ephemeral: body(.levels, "l"), at: start)
        session.queue(state: body(.conn, "new"), key: StateKey(type: .conn, value: "a"), at: start)
        session.queue(critical: body(.roster, "r2"), at: start)
        #expect(
            drainAll(&session, at: start) == [
                #"{"t":"x"}"#, #"{"seq":1,"t":"r1"}"#, #"{"seq":2,"t":"r2"}"#, #"{"seq":3,"t":"new"}"#,
                #"{"t":"l"}"#,
            ]
        )
        #expect(session.lastSequence == 3)
    }

    @Test func lanesShareTheSocket() {
        var session = SignalSession(at: start)
        for n in 0..<40 { session.queue(critical: body(.roster, "c\(n)"), at: start) }
        for n in 0..<20 {
            session.queue(state: body(.conn, "s\(n)"), key: StateKey(type: .conn, value: "\(n)"), at: start)
        }
        for n in 0..<10 { session.queue(ephemeral: body(.levels, "e\(n)"), at: start) }
        let texts = drainAll(&session, at: start)
        #expect(texts.count == 70)
        func lane(_ range: Range<Int>) -> String {
            String(texts[range].map { $0.split(separator: "\"").dropLast().last?.first ?? "?" })
        }
        #expect(lane(0..<32) == String(repeating: "c", count: 32))
        #expect(lane(32..<48) == String(repeating: "s", count: 16))
        #expect(lane(48..<56) == String(repeating: "e", count: 8))
        #expect(lane(56..<64) == String(repeating: "c", count: 8))
    }

    @Test func criticalOverflowAsksForASnapshotAndKeepsResponses() {
        var session = SignalSession(at: start)
        #expect(session.received(request: 1, at: start) == .execute)
        session.respond(to: 1, with: ByteBuffer(string: "response"), at: start)
        for n in 0...Limits.Signaling.criticalEvents {
            session.queue(critical: body(.roster, "\(n)"), at: start)
        }
        #expect(session.needsSnapshot)
        #expect(session.overflows == 1)
        #expect(session.criticalCount == 0)
        session.queue(critical: body(.roster, "late"), at: start)
        #expect(session.drain(at: start) == .send(ByteBuffer(string: "response")))
        #expect(session.drain(at: start) == .snapshot)
        session.queue(snapshot: [body(.snapshot, "p1"), body(.snapshot, "p2")], at: start)
        session.queue(critical: body(.roster, "after"), at: start)
        #expect(
            drainAll(&session, at: start) == [
                #"{"seq":1,"t":"p1"}"#, #"{"seq":2,"t":"p2"}"#, #"{"seq":3,"t":"after"}"#,
            ]
        )
    }

    @Test func bytesOverflowToo() {
        var session = SignalSession(at: start)
        for _ in 0..<9 { session.queue(critical: body(.roster, size: 64 * 1024), at: start) }
        #expect(session.needsSnapshot)
    }

    @Test func acknowledgementsEmptyTheLog() {
        var session = SignalSession(at: start)
        for n in 0..<400 { session.queue(critical: body(.roster, "\(n)"), at: start) }
        _ = drainAll(&session, at: start)
        #expect(session.criticalCount == 400)
        #expect(session.received(acknowledge: 401) == .ahead)
        #expect(session.received(acknowledge: 300) == .accepted)
        #expect(session.criticalCount == 100)
        #expect(session.received(acknowledge: 10) == .accepted)
        #expect(session.acknowledged == 300)
        for n in 0..<400 { session.queue(critical: body(.roster, "\(n)"), at: start) }
        #expect(!session.needsSnapshot)
        #expect(session.received(acknowledge: 400) == .accepted)
        #expect(session.criticalBytes == 400 * body(.roster, "100").count - 10 * 2 - 90)
    }

    @Test func whoNeverAcknowledgesGetsASnapshotAndStays() {
        var session = SignalSession(at: start)
        session.queue(critical: body(.roster), at: start)
        _ = drainAll(&session, at: start)
        #expect(session.advance(to: start + .seconds(60)) == .heartbeat)
        #expect(!session.needsSnapshot)
        _ = session.advance(to: start + .seconds(61))
        #expect(session.needsSnapshot)
        #expect(session.drain(at: start + .seconds(61)) == .snapshot)
    }

    @Test func slowConsumersAreClosed() {
        var blocked = SignalSession(at: start)
        blocked.writabilityChanged(isWritable: false, at: start)
        #expect(blocked.advance(to: start + .milliseconds(9999)) == .none)
        blocked.writabilityChanged(isWritable: true, at: start + .milliseconds(9999))
        blocked.writabilityChanged(isWritable: false, at: start + .seconds(10))
        #expect(blocked.advance(to: start + .seconds(19)) == .none)
        #expect(blocked.advance(to: start + .seconds(20)) == .close(.slowConsumer))

        var cleared = SignalSession(at: start)
        for _ in 0...Limits.Signaling.criticalEvents { cleared.queue(critical: body(.roster), at: start) }
        #expect(cleared.advance(to: start + .seconds(9)) == .none)
        #expect(cleared.advance(to: start + .seconds(10)) == .close(.slowConsumer))
    }

    @Test func heartbeatsFillSilence() {
        var session = SignalSession(at: start)
        #expect(session.advance(to: start + .seconds(9)) == .none)
        session.queue(ephemeral: body(.levels), at: start + .seconds(9))
        _ = drainAll(&session, at: start + .seconds(9))
        #expect(session.advance(to: start + .seconds(18)) == .none)
        #expect(session.advance(to: start + .seconds(19)) == .heartbeat)
    }

    @Test func ephemeralEventsAreShedAndCounted() {
        var session = SignalSession(at: start)
        for n in 0..<70 { session.queue(ephemeral: body(.levels, "\(n)"), at: start) }
        #expect(session.ephemeralCount == 64)
        #expect(session.shed == [.levels: 6])
        session.queue(ephemeral: body(.levels, "young"), at: start + .seconds(2))
        #expect(drainAll(&session, at: start + .seconds(2)) == [#"{"t":"young"}"#])
        #expect(session.shed == [.levels: 70])
        for _ in 0..<4 { session.queue(ephemeral: body(.levels, size: 20_000), at: start) }
        #expect(session.ephemeralCount == 3)
    }

    @Test func tooManyStateKeysBecomeASnapshot() {
        var session = SignalSession(at: start)
        for n in 0...Limits.Signaling.stateKeys {
            session.queue(state: body(.conn), key: StateKey(type: .conn, value: "\(n)"), at: start)
        }
        #expect(session.needsSnapshot)
        #expect(session.stateCount == 0)
    }

    @Test func stateLogIsBoundedByKeys() {
        var session = SignalSession(at: start)
        for n in 0..<5000 {
            session.queue(
                state: body(.conn, "\(n)"),
                key: StateKey(type: .conn, value: "\(n % 7)"),
                at: start
            )
            _ = drainAll(&session, at: start)
        }
        #expect(session.log.stateCount == 7)
        #expect(session.received(acknowledge: 4996) == .accepted)
        #expect(session.log.stateCount == 4)
        #expect(session.received(acknowledge: 5000) == .accepted)
        #expect(session.log.stateCount == 0)
    }

    @Test func requestsAreExecutedOnce() {
        var session = SignalSession(at: start)
        #expect(session.received(request: 0, at: start) == .gap)
        #expect(session.received(request: 2, at: start) == .gap)
        #expect(session.received(request: 1, at: start) == .execute)
        #expect(session.received(request: 1, at: start) == .inProgress)
        #expect(session.received(request: 2, at: start) == .execute)
        session.respond(to: 2, with: ByteBuffer(string: "two"), at: start)
        session.respond(to: 2, with: ByteBuffer(string: "again"), at: start)
        session.respond(to: 1, with: ByteBuffer(string: "one"), at: start)
        #expect(drainAll(&session, at: start) == ["two", "one"])
        #expect(session.received(request: 2, at: start) == .answer(ByteBuffer(string: "two")))
        #expect(session.received(request: 2, at: start + .seconds(121)) == .forgotten)
        #expect(session.received(request: .max, at: start) == .gap)
    }

    @Test func responseCacheIsBounded() {
        var session = SignalSession(at: start)
        for id in 1...200 as ClosedRange<UInt64> {
            #expect(session.received(request: id, at: start) == .execute)
            session.respond(to: id, with: ByteBuffer(string: String(repeating: "z", count: 1000)), at: start)
            _ = drainAll(&session, at: start)
        }
        #expect(session.requests.cachedCount == Limits.Signaling.cachedResponses)
        #expect(session.received(request: 72, at: start) == .forgotten)
        #expect(session.received(request: 73, at: start) != .forgotten)
        #expect(session.received(request: 201, at: start) == .execute)
        session.respond(to: 201, with: ByteBuffer(string: String(repeating: "z", count: 300_000)), at: start)
        #expect(session.requests.cachedCount == 0)
        #expect(session.requests.cachedBytes == 0)
    }

    @Test func unansweredRequestsHoldTheClientBack() {
        var session = SignalSession(at: start)
        for id in 1...64 as ClosedRange<UInt64> {
            #expect(session.received(request: id, at: start) == .execute)
        }
        #expect(!session.mayReadOn)
        #expect(session.received(request: 65, at: start) == .refuse)
        for id in 1...40 as ClosedRange<UInt64> {
            session.respond(to: id, with: ByteBuffer(string: "r"), at: start)
        }
        #expect(session.mayReadAgain(at: start) == false)
        _ = drainAll(&session, at: start)
        #expect(session.mayReadAgain(at: start) == true)
    }

    @Test func whoNeverReadsResponsesIsClosed() {
        var session = SignalSession(at: start)
        for id in 1...129 as ClosedRange<UInt64> {
            _ = session.received(request: id, at: start)
            session.respond(to: id, with: ByteBuffer(string: "r"), at: start)
        }
        #expect(session.advance(to: start) == .close(.slowConsumer))
    }

    @Test func ratesAreHeldBackThenRefused() {
        var session = SignalSession(at: start)
        var accepted = 0
        while session.receivedMessage(at: start) == .accept, accepted < 10_000 { accepted += 1 }
        #expect(accepted == 2 * Limits.Signaling.messageBurst)
        #expect(!session.mayReadOn)
        #expect(session.mayReadAgain(at: start + .seconds(4)) == false)
        #expect(session.mayReadAgain(at: start + .seconds(6)) == true)
        #expect(session.receivedMessage(at: start + .seconds(6)) == .accept)
    }

    @Test func secondBadFrameIsAProtocolError() {
        var session = SignalSession(at: start)
        #expect(session.receivedBadFrame() == .badFrame)
        #expect(session.receivedBadFrame() == .protocolError)
    }
}
