import Foundation
import Logging
import RTP
import Synchronization
import Testing

@testable import EventLog

/// A receiver that does what the test says and remembers what reached it.
final class FakeReceiver: WebhookTransport {
    enum Deed: Sendable {
        case answer(Int)
        /// It got the request, but its answer is lost.
        case takeAndBreak
        case refuse
        /// Until the request is cancelled.
        case hang
    }

    struct Received: Sendable {
        var id: String
        var room: String
        var url: String
    }

    struct Lost: Error {}

    let received = Watched<[Received]>([])
    private let decide: @Sendable (WebhookRequest, String) -> Deed

    init(_ decide: @escaping @Sendable (WebhookRequest, String) -> Deed = { _, _ in .answer(200) }) {
        self.decide = decide
    }

    private struct Body: Decodable {
        var id: String
        var text: String
    }

    func post(_ request: WebhookRequest) async throws -> WebhookAnswer {
        let body = try JSONDecoder().decode(Body.self, from: Data(request.body))
        let room = String(body.id.split(separator: "/")[0])
        switch decide(request, room) {
        case .answer(let status):
            if (200..<300).contains(status) { note(body.id, room, request) }
            return WebhookAnswer(status: status)
        case .takeAndBreak:
            note(body.id, room, request)
            throw Lost()
        case .refuse:
            throw Lost()
        case .hang:
            let (never, continuation) = AsyncStream<Void>.makeStream()
            for await _ in never {}
            continuation.finish()
            throw Lost()
        }
    }

    private func note(_ id: String, _ room: String, _ request: WebhookRequest) {
        received.change { $0.append(Received(id: id, room: room, url: request.url)) }
    }
}

@Suite("Webhooks")
struct WebhookSenderTests {
    static let secret: String = "0123456789abcdef0123456789abcdef"

    static func destination(
        _ url: String = "http://127.0.0.1/hook",
        types: Set<String>? = nil,
        timeout: Interval = .seconds(10)
    ) throws -> WebhookDestination {
        try WebhookDestination(name: nil, url: url, secrets: [secret], types: types, timeout: timeout)
    }

    static let quick = DeliveryQueue.Timing(firstRetry: .milliseconds(1), longestRetry: .milliseconds(2))

    static func sender(
        _ destination: WebhookDestination,
        _ log: EventLog,
        _ transport: any WebhookTransport,
        timing: DeliveryQueue.Timing = quick,
        wall: @escaping @Sendable () -> UInt64 = { 5000 },
        report: @escaping @Sendable (WebhookFact) -> Void = { _ in }
    ) -> WebhookSender {
        let start = ContinuousClock.now
        return WebhookSender(
            destination,
            log: log,
            transport: transport,
            timing: timing,
            clock: WebhookClock(
                now: { Instant(start.duration(to: .now)) },
                wall: wall,
                jitter: { 0.5 }
            ),
            userAgent: "sfu/test",
            report: report,
            logger: .silent
        )
    }

    /// An event whose id says its room and number.
    static func append(_ number: Int, room: String, type: String = "note", to log: EventLog) {
        log.append(EventDraft("\(room)/\(number)", room: room, type: type))
    }

    /// First occurrences of each room are all its events in order.
    static func expectComplete(
        _ received: [FakeReceiver.Received],
        _ counts: [String: Int],
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for (room, count) in counts {
            var seen: Set<String> = []
            let firsts = received.filter { $0.room == room && seen.insert($0.id).inserted }.map(\.id)
            #expect(firsts == (1...count).map { "\(room)/\($0)" }, sourceLocation: sourceLocation)
        }
    }

    @Test func eventsArriveOnceAndInOrder() async throws {
        let place = try LogPlace()
        let log = try place.open()
        let receiver = FakeReceiver()
        let sender = Self.sender(try Self.destination(), log, receiver)
        try await sender.register()
        let running = Task { await sender.run() }
        for number in 1...100 { for room in ["a", "b", "c"] { Self.append(number, room: room, to: log) } }
        await receiver.received.wait { $0.count >= 300 }
        Self.expectComplete(receiver.received.value, ["a": 100, "b": 100, "c": 100])
        #expect(receiver.received.value.count == 300)
        running.cancel()
        await running.value
        await log.close()
    }

    /// Failures of every kind and restarts in the middle: complete and in order, whatever the seed.
    @Test(arguments: 0..<12) func nothingIsLostOverFailuresAndRestarts(seed: UInt64) async throws {
        let place = try LogPlace()
        let random = Mutex(SeededRandom(seed: seed))
        let receiver = FakeReceiver { _, _ in
            switch random.withLock({ $0.below(10) }) {
            case 0: .answer(500)
            case 1: .takeAndBreak
            case 2: .refuse
            case 3: .answer(302)
            default: .answer(204)
            }
        }
        let destination = try Self.destination()
        var counts: [String: Int] = [:]
        for round in 1...4 {
            let log = try place.open()
            let sender = Self.sender(destination, log, receiver)
            try await sender.register()
            let running = Task { await sender.run() }
            for _ in 0..<40 {
                let room = "room\(random.withLock { $0.below(5) })"
                counts[room, default: 0] += 1
                Self.append(counts[room] ?? 0, room: room, to: log)
            }
            await log.flush()
            let total = counts.values.reduce(0, +)
            // Ends in the middle of things, the last time when all is done.
            let enough = round == 4 ? total : total - 20
            await receiver.received.wait { Set($0.map(\.id)).count >= enough }
            running.cancel()
            await running.value
            await log.close()
        }
        Self.expectComplete(receiver.received.value, counts)
    }

    @Test func aRestartGoesOnWhereItStopped() async throws {
        let place = try LogPlace()
        let receiver = FakeReceiver()
        for round in 0..<3 {
            let log = try place.open()
            let sender = Self.sender(try Self.destination(), log, receiver)
            try await sender.register()
            let running = Task { await sender.run() }
            for number in 1...10 { Self.append(round * 10 + number, room: "a", to: log) }
            await receiver.received.wait { $0.count >= (round + 1) * 10 }
            running.cancel()
            await running.value
            await log.close()
        }
        // Nothing came twice, since every end was clean.
        #expect(receiver.received.value.map(\.id) == (1...30).map { "a/\($0)" })
    }

    @Test func aBadRoomHoldsUpItselfAlone() async throws {
        let place = try LogPlace()
        let log = try place.open()
        let isBroken = Mutex(true)
        let receiver = FakeReceiver { _, room in
            room == "bad" && isBroken.withLock { $0 } ? .answer(500) : .answer(200)
        }
        let sender = Self.sender(try Self.destination(), log, receiver)
        try await sender.register()
        let running = Task { await sender.run() }
        for number in 1...50 { for room in ["bad", "good"] { Self.append(number, room: room, to: log) } }
        await receiver.received.wait { $0.count >= 50 }
        #expect(receiver.received.value.allSatisfy { $0.room == "good" })
        isBroken.withLock { $0 = false }
        await receiver.received.wait { $0.count >= 100 }
        Self.expectComplete(receiver.received.value, ["bad": 50, "good": 50])
        running.cancel()
        await running.value
        await log.close()
    }

    @Test func aHangingDestinationDelaysNoOther() async throws {
        let place = try LogPlace()
        let log = try place.open()
        let receiver = FakeReceiver { request, _ in request.url.hasSuffix("slow") ? .hang : .answer(200) }
        let dispatcher = WebhookDispatcher(senders: [
            Self.sender(try Self.destination("http://127.0.0.1/slow"), log, receiver),
            Self.sender(try Self.destination("http://127.0.0.1/fast"), log, receiver),
        ])
        try await dispatcher.register()
        let running = Task { await dispatcher.run() }
        for number in 1...100 { Self.append(number, room: "room\(number % 20)", to: log) }
        await receiver.received.wait { $0.count >= 100 }
        #expect(receiver.received.value.allSatisfy { $0.url.hasSuffix("fast") })
        running.cancel()
        await running.value
        await log.close()
    }

    @Test func onlyWantedTypesAreSentAndNewDestinationsBeginNow() async throws {
        let place = try LogPlace()
        let log = try place.open()
        Self.append(1, room: "before", type: "wanted", to: log)
        await log.flush()
        let receiver = FakeReceiver()
        let sender = Self.sender(try Self.destination(types: ["wanted"]), log, receiver)
        try await sender.register()
        let running = Task { await sender.run() }
        for number in 1...20 {
            Self.append(number, room: "a", type: number % 2 == 0 ? "wanted" : "other", to: log)
        }
        await receiver.received.wait { $0.count >= 10 }
        #expect(receiver.received.value.map(\.id) == (1...10).map { "a/\($0 * 2)" })
        running.cancel()
        await running.value
        // All is dealt with, what was not wanted included.
        await log.flush()
        #expect(try await log.destination("http://127.0.0.1/hook").floor == 21)
        await log.close()
    }

    @Test func whatNobodyTakesForADayIsGivenUpAndCounted() async throws {
        let place = try LogPlace()
        let log = try place.open()
        let facts = Watched<[WebhookFact]>([])
        let wall = Mutex<UInt64>(5000)
        let receiver = FakeReceiver { request, _ in
            String(decoding: request.body, as: UTF8.self).contains("a/1\"") ? .answer(500) : .answer(200)
        }
        let sender = Self.sender(
            try Self.destination(),
            log,
            receiver,
            wall: { wall.withLock { $0 } },
            report: { fact in facts.change { $0.append(fact) } }
        )
        try await sender.register()
        let running = Task { await sender.run() }
        for number in 1...3 { Self.append(number, room: "a", to: log) }
        let name = "http://127.0.0.1/hook"
        await facts.wait { $0.contains(.failed(destination: name)) }
        wall.withLock { $0 += 24 * 3_600_000 + 1 }
        await receiver.received.wait { $0.count >= 2 }
        #expect(receiver.received.value.map(\.id) == ["a/2", "a/3"])
        #expect(facts.value.contains(.givenUp(destination: name, count: 1)))
        running.cancel()
        await running.value
        await log.close()
    }

    @Test func whatTheLogDeletedIsCounted() async throws {
        let place = try LogPlace()
        let bounds = EventLogBounds(age: .seconds(1_000_000), count: 10)
        let first = try place.open(bounds: bounds)
        let receiver = FakeReceiver()
        let facts = Watched<[WebhookFact]>([])
        try await Self.sender(try Self.destination(), first, receiver).register()
        for number in 1...30 { Self.append(number, room: "a", to: first) }
        await first.flush()
        await first.close()
        let second = try place.open(bounds: bounds)
        Self.append(31, room: "a", to: second)
        await second.flush()
        let sender = Self.sender(
            try Self.destination(),
            second,
            receiver,
            report: { fact in facts.change { $0.append(fact) } }
        )
        let running = Task { await sender.run() }
        await receiver.received.wait { $0.last?.id == "a/31" }
        let lost = facts.value.compactMap { if case .givenUp(_, let count) = $0 { count } else { nil } }
        #expect(lost.reduce(0, +) + receiver.received.value.count == 31)
        running.cancel()
        await running.value
        await second.close()
    }

    // MARK: What is sent

    @Test func theSignatureIsTheOneOfTheDocumentation() {
        // printf '1795212000.ev_1.{"a":1}' | openssl dgst -sha256 -hmac SECRET
        let header = WebhookSignature.header(
            secrets: ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"],
            time: 1_795_212_000,
            id: "ev_1",
            body: Array(#"{"a":1}"#.utf8)
        )
        #expect(
            header
                == "t=1795212000,v1=5df5b0567dea48b3b5a5f3a54fcab29e8d63a04bc4166755f1955df5eaf48fe0,v1=b8b1361b0e9d93ecbadcfca4c2b8277530f861c81996e330813e0e58b2e3b4cf"
        )
    }

    @Test(arguments: [
        ("", "not a URL"), ("chat.example", "not a URL"), ("ftp://chat.example/", "https://"),
        ("http://chat.example/hook", "http:// is for loopback"),
        ("http://8.8.8.8/", "http:// is for loopback"),
        ("http://172.32.0.1/", "http:// is for loopback"),
        ("http://[2001:db8::1]/", "http:// is for loopback"),
        ("https://user:pass@chat.example/", "user or a password"),
    ])
    func badDestinationsSayWhatIsWrong(url: String, expected: String) {
        do throws(WebhookDestinationError) {
            _ = try WebhookDestination(name: nil, url: url, secrets: [Self.secret])
            Issue.record("accepted \(url)")
        } catch {
            #expect(error.description.contains(expected), "\(error)")
        }
    }

    @Test(arguments: [
        "https://chat.example/hook", "http://localhost:9000/", "http://127.0.0.1/", "http://10.1.2.3/",
        "http://172.16.0.1/", "http://192.168.1.1:80/", "http://[::1]:9000/", "http://[fd00::1]/",
        "http://chat:9000/x",
        "http://chat.internal/",
    ])
    func goodDestinations(url: String) throws {
        let destination = try WebhookDestination(name: nil, url: url + "?key=secret", secrets: [Self.secret])
        #expect(destination.name == url)
        #expect(destination.url == url + "?key=secret")
    }

    @Test func secretsAreOneOrTwoAndLong() throws {
        let url = "https://chat.example/"
        for secrets in [[], ["short"], [Self.secret, "short"], [Self.secret, Self.secret, Self.secret]] {
            #expect(throws: WebhookDestinationError.self) {
                _ = try WebhookDestination(name: nil, url: url, secrets: secrets)
            }
        }
        _ = try WebhookDestination(name: "chat", url: url, secrets: [Self.secret, Self.secret])
        _ = try WebhookDestination(
            name: nil,
            url: "http://a.example/",
            secrets: [Self.secret],
            allowsPlaintext: true
        )
        #expect(throws: WebhookDestinationError.self) {
            _ = try WebhookDestination(name: nil, url: url, secrets: [Self.secret], timeout: .seconds(61))
        }
    }
}
