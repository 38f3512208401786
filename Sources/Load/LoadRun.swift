// The whole run on one thread: the publisher joins, subscribers join, the measuring interval, goodbye. Owns the
// poll loop and the phases; must not know what a packet or a description looks like.
import CLinux
import PeerTransport
import RTP

struct LoadPlan {
    var url: ServerURL
    var room: String
    var token: String?
    var subscribers: Int
    var seconds: Int
    var warmUp: Int
    /// Joins that run at the same time.
    var joinsAtOnce: Int
    var format: MediaFormat
    var serverPID: Int?
    var allowsRemote: Bool
}

final class LoadRun {
    /// One session with its HTTP side.
    private final class Member {
        let client: Client
        let joining: Joining
        var polledHTTP: (socket: Int32, interest: UInt32)?
        var deadline = Int64.max
        var failure: String?
        var hasLeft = false

        init(_ client: Client, _ joining: Joining) {
            self.client = client
            self.joining = joining
        }
    }

    private enum Phase {
        case publishing, settling(until: Int64), joining, warming(until: Int64), measuring(until: Int64),
            leaving, over
    }

    private static let tick: Int64 = 5_000_000
    private static let joinWithin: Int64 = 15_000_000_000
    private static let leaveWithin: Int64 = 20_000_000_000
    private static let eventSlots = 256
    private static let receiveSlots: UInt32 = 32
    private static let receiveBytes: UInt32 = 2048

    private let plan: LoadPlan
    private let poll: Int32
    private let batch: OpaquePointer
    private let publisher: Member
    private let template: OfferTemplate
    private var subscribers: [Member] = []
    private var members: [Member] = []
    private var phase = Phase.publishing
    private var nextTick: Int64 = 0
    private var nextJoin = 0
    private var pending: [Int] = []
    private var published = 0
    /// Kernel receipts are of the wall clock: what is taken off to get the monotonic one.
    private var clockOffset: Int64 = 0
    private var latencies = Samples()
    private var isMeasuring = false
    private var measurement: Measurement

    /// - Throws: `LoadError`, or what OpenSSL refuses.
    init(_ plan: LoadPlan) throws {
        self.plan = plan
        guard plan.allowsRemote || plan.url.address.isLoopback else {
            throw LoadError("\(plan.url.authority) is not loopback; --allow-remote if that is meant")
        }
        let poll = clinux_poll_new()
        guard poll >= 0, let batch = clinux_receive_batch_new(Self.receiveSlots, Self.receiveBytes) else {
            throw LoadError("no memory for the poll loop")
        }
        self.poll = poll
        self.batch = batch
        measurement = Measurement(serverPID: plan.serverPID)
        let resources = try ClientResources()
        let client = Client(index: 0, resources: resources)
        client.sources.append(MediaSource(audio: plan.format, payloadType: OfferTemplate.audioType))
        if plan.format.videoBitsPerSecond > 0 {
            client.sources.append(MediaSource(video: plan.format, payloadType: OfferTemplate.videoType))
        }
        publisher = Member(client, Joining(plan.url, endpoint: "/whip/\(plan.room)/load", token: plan.token))
        subscribers = (1...plan.subscribers).map { index in
            Member(
                Client(index: index, resources: resources),
                Joining(plan.url, endpoint: "/whep/\(plan.room)/load", token: plan.token)
            )
        }
        members = [publisher] + subscribers
        template = OfferTemplate(
            ice: publisher.client.credentials,
            fingerprint: resources.certificate.fingerprint,
            hasVideo: plan.format.videoBitsPerSecond > 0
        )
    }

    deinit {
        clinux_receive_batch_free(batch)
        clinux_close(poll)
    }

    /// Runs to the end.
    /// - Throws: `LoadError` where the publisher cannot join or ends before the run does.
    func run() throws -> Report {
        var events = [clinux_event](repeating: clinux_event(), count: Self.eventSlots)
        start(0, at: clinux_monotonic_ns())
        while true {
            var now = clinux_monotonic_ns()
            if let due = publisher.client.nextFrame, due <= now {
                published += publisher.client.publish(at: now)
            }
            if now >= nextTick {
                nextTick = now + Self.tick
                advanceClients(at: now)
                try step(at: now)
                if case .over = phase { break }
                now = clinux_monotonic_ns()
            }
            let wake = min(nextTick, publisher.client.nextFrame ?? .max)
            let count = clinux_poll_wait(poll, &events, Int32(events.count), max(0, wake - now))
            guard count >= 0 else {
                throw LoadError("polling: \(String(cString: clinux_error_text(-count)))")
            }
            for event in events.prefix(Int(count)) { handle(event) }
        }
        return report()
    }

    // MARK: Events

    /// The token of a session's media socket; its HTTP connection has the next one.
    private static func token(_ index: Int) -> UInt64 { UInt64(index) * 2 }

    private func handle(_ event: clinux_event) {
        let index = Int(event.token / 2)
        guard members.indices.contains(index) else { return }
        if event.token % 2 == 0 { receive(index) } else { advanceHTTP(index, at: clinux_monotonic_ns()) }
    }

    private func receive(_ index: Int) {
        let client = members[index].client
        guard client.socket >= 0 else { return }
        let count = clinux_receive(client.socket, batch, 0, Self.receiveSlots)
        guard count > 0, let datagrams = clinux_receive_batch_datagrams(batch) else { return }
        let nanoseconds = clinux_monotonic_ns()
        let now = Instant(microseconds: nanoseconds / 1000)
        for i in 0..<Int(count) {
            let datagram = datagrams[i]
            guard let bytes = datagram.bytes, datagram.truncated == 0 else { continue }
            let arrival = datagram.arrival > 0 ? datagram.arrival - clockOffset : nanoseconds
            let sample = client.receive(
                UnsafeMutableBufferPointer(start: bytes, count: Int(datagram.length)),
                arrival: arrival,
                at: now
            )
            if isMeasuring, let sample { latencies.add(sample.latency) }
        }
    }

    private func advanceClients(at now: Int64) {
        clockOffset = clinux_realtime_ns() - clinux_monotonic_ns()
        let instant = Instant(microseconds: now / 1000)
        for member in members { member.client.advance(to: instant) }
    }

    // MARK: Joining and leaving

    private func start(_ index: Int, at now: Int64) {
        let member = members[index]
        if member.deadline == .max { member.deadline = now + Self.joinWithin }
        var template = template
        template.ice = member.client.credentials
        let sources = member.client.sources
        let offer =
            index == 0
            ? template.publishing(audio: sources[0].ssrc, video: sources.last?.ssrc ?? 0) : template.receiving
        do {
            try member.joining.ask(offer: offer)
            watchHTTP(index)
        } catch {
            member.failure = "\(error)"
        }
    }

    private func advanceHTTP(_ index: Int, at now: Int64) {
        let member = members[index]
        let outcome = member.joining.advance(at: now)
        watchHTTP(index)
        switch outcome {
        case nil, .left: break
        case .failed(let reason): member.failure = member.failure ?? reason
        case .answer(let answer): open(index, answer, at: now)
        }
    }

    private func open(_ index: Int, _ answer: Answer, at now: Int64) {
        let member = members[index]
        do {
            guard plan.allowsRemote || answer.candidate.isLoopback else {
                throw LoadError("the server's candidate is not loopback; --allow-remote if that is meant")
            }
            try member.client.open(answer, at: Instant(microseconds: now / 1000))
            clinux_poll_add(poll, member.client.socket, UInt32(CLINUX_READABLE), Self.token(index))
        } catch {
            member.failure = "\(error)"
        }
    }

    /// Keeps the poll in step with what the exchange waits for; a closed socket leaves it by itself.
    private func watchHTTP(_ index: Int) {
        let member = members[index]
        guard let exchange = member.joining.exchange else {
            member.polledHTTP = nil
            return
        }
        let wanted = (socket: exchange.socket, interest: exchange.interest)
        if let polled = member.polledHTTP, polled.socket == wanted.socket {
            if polled.interest != wanted.interest {
                clinux_poll_change(poll, wanted.socket, wanted.interest, Self.token(index) + 1)
            }
        } else {
            clinux_poll_add(poll, wanted.socket, wanted.interest, Self.token(index) + 1)
        }
        member.polledHTTP = wanted
    }

    /// Fails what is late, asks again where the server said so, keeps `joinsAtOnce` joins going. True: all are in.
    private func joinMore(at now: Int64) -> Bool {
        pending.removeAll { index in
            let member = members[index]
            if case .failed(let reason) = member.client.state { member.failure = member.failure ?? reason }
            if member.failure == nil, now > member.deadline { member.failure = lateness(of: member) }
            return member.failure != nil || member.client.firstPacketAt != nil
        }
        for index in pending {
            if case .waiting = members[index].joining.state, members[index].joining.notBefore <= now {
                start(index, at: now)
            }
        }
        while pending.count < plan.joinsAtOnce, nextJoin < subscribers.count {
            nextJoin += 1
            pending.append(nextJoin)
            start(nextJoin, at: now)
        }
        return pending.isEmpty && nextJoin == subscribers.count
    }

    private func lateness(of member: Member) -> String {
        switch member.client.state {
        case .idle: "no answer to the offer in time"
        case .checking: "no answer to connectivity checks"
        case .securing: "the DTLS handshake did not end in time"
        case .connected: "connected, but no packet was forwarded in time"
        case .failed(let reason): reason
        }
    }

    /// True: all have left.
    private func leaveMore(at now: Int64) -> Bool {
        var open = 0
        for (index, member) in members.enumerated() {
            guard open < plan.joinsAtOnce * 2 else { return false }
            if !member.hasLeft {
                member.hasLeft = true
                do {
                    if try member.joining.leave() { watchHTTP(index) }
                } catch {
                    member.joining.abandon()
                }
            }
            if member.joining.exchange != nil { open += 1 }
        }
        return open == 0
    }

    // MARK: Phases

    private func step(at now: Int64) throws {
        if let reason = publisherFailure, !isLeaving { throw LoadError("the publisher: \(reason)") }
        switch phase {
        case .publishing:
            if case .waiting = publisher.joining.state, publisher.joining.notBefore <= now {
                start(0, at: now)
            }
            if now > publisher.deadline { throw LoadError("the publisher: \(lateness(of: publisher))") }
            if publisher.client.state == .connected { phase = .settling(until: now + 500_000_000) }
        case .settling(let until) where now >= until:
            measurement.beforeJoins()
            measurement.joinsBegan = now
            phase = .joining
        case .joining:
            guard joinMore(at: now) else { return }
            measurement.joinsEnded = now
            phase = .warming(until: now + Int64(plan.warmUp) * 1_000_000_000)
        case .warming(let until) where now >= until:
            guard subscribers.contains(where: { $0.client.firstPacketAt != nil }) else {
                return leave(at: now)
            }
            isMeasuring = true
            measurement.begin(counts, at: now)
            phase = .measuring(until: now + Int64(plan.seconds) * 1_000_000_000)
        case .measuring(let until) where now >= until:
            isMeasuring = false
            measurement.end(counts, at: now)
            leave(at: now)
        case .leaving:
            if leaveMore(at: now) || now > publisher.deadline {
                for member in members { member.client.close() }
                phase = .over
            }
        case .settling, .warming, .measuring, .over: break
        }
    }

    private var isLeaving: Bool {
        switch phase {
        case .leaving, .over: true
        default: false
        }
    }

    private func leave(at now: Int64) {
        publisher.deadline = now + Self.leaveWithin
        phase = .leaving
    }

    private var publisherFailure: String? {
        if let failure = publisher.failure { return failure }
        if case .failed(let reason) = publisher.client.state { return reason }
        return nil
    }

    private var counts: Measurement.Counts {
        var counts = Measurement.Counts()
        counts.published = published
        for member in subscribers where member.client.firstPacketAt != nil {
            let client = member.client
            counts.sessions += 1
            counts.received += client.received
            counts.expected += client.expected
            counts.duplicates += client.duplicates
            counts.authenticated += client.authenticated
            counts.undecryptable += client.undecryptable
            if case .failed = client.state { counts.ended += 1 }
        }
        return counts
    }

    // MARK: Outcome

    private func report() -> Report {
        var joins = Samples()
        var failures: [String: Int] = [:]
        for member in subscribers {
            if let first = member.client.firstPacketAt, let asked = member.joining.askedAt {
                joins.add(first - asked)
            } else {
                failures[member.failure ?? "unknown", default: 0] += 1
            }
        }
        return measurement.report(
            plan,
            joins: joins,
            failures: failures,
            latencies: latencies,
            keyFrameRequests: publisher.client.keyFrameRequests
        )
    }
}
