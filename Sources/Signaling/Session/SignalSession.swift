// One client's signaling session: what waits for its socket, what it has not acknowledged, what it asked.
// Time is a parameter, texts go in and out as values. Must not know sockets, rooms or payloads.
import NIOCore
import RTP

struct SignalSession: Sendable {
    /// What to do with the socket now.
    enum OnDrain: Equatable, Sendable {
        /// Send this text, then ask again.
        case send(ByteBuffer)
        /// The client lost events: queue a snapshot, then ask again.
        case snapshot
        case idle
    }

    enum OnTime: Equatable, Sendable {
        case none
        /// Nothing was sent for a while: queue a heartbeat.
        case heartbeat
        case close(CloseCode)
    }

    enum OnAcknowledge: Equatable, Sendable {
        case accepted
        /// The client says that it has what was never sent.
        case ahead
    }

    enum OnAttach: Equatable, Sendable {
        /// What the client misses follows; up to this number gaps are allowed.
        case replay(upTo: UInt64)
        /// The log does not reach back so far: a delta or a snapshot has to follow.
        case behind
    }

    private enum Queued: Sendable {
        case control(EventBody)
        case response(ByteBuffer)
        case critical(EventBody, at: Instant)
        case page(EventBody, at: Instant)
    }
    private struct Ephemeral: Sendable {
        var body: EventBody
        var at: Instant
    }

    /// A state event takes about so many bytes.
    private static let stateBytes = 256
    // One round of a drain: so many of each lane, then again.
    private static let share = (line: 32, state: 16, ephemeral: 8)

    /// Number of the newest event that was sent.
    private(set) var lastSequence: UInt64 = 0
    private(set) var acknowledged: UInt64 = 0
    private(set) var log = SessionLog()
    private(set) var requests = RequestLedger()
    /// Ephemeral events that were dropped, by type.
    private(set) var shed: [ServerMessage: UInt64] = [:]
    private(set) var overflows = 0
    private(set) var badFrames = 0

    /// What was sent on the socket before, under its numbers, and what ends it.
    private var replay = Fifo<(sequence: UInt64, body: EventBody)>()
    private var replayEnd: EventBody?
    /// Room revisions that a client has seen the whole of when it has the event of that number, oldest first.
    private var told: [(sequence: UInt64, revision: UInt64)] = []
    private var line = Fifo<Queued>()
    private var criticalWaiting = 0
    private var criticalWaitingBytes = 0
    private var responsesWaiting = 0
    private var responseBytesWaiting = 0
    private var pagesWaiting = 0
    private var stateOrder = Fifo<StateKey>()
    private var state: [StateKey: EventBody] = [:]
    private var ephemeral = Fifo<Ephemeral>()
    private var ephemeralBytes = 0
    private var turn = SignalSession.share

    private var bucket: TokenBucket
    private var needsSnapshotSince: Instant?
    private var blockedSince: Instant?
    private var lastSent: Instant
    private var mustClose: CloseCode?
    private var attachedAt: Instant

    private let criticalLimit: Int

    /// - Parameter criticalEvents: most critical events that are unsent or not acknowledged.
    init(at now: Instant, criticalEvents: Int = Limits.Signaling.criticalEvents) {
        criticalLimit = criticalEvents
        bucket = TokenBucket(
            perSecond: Limits.Signaling.messagesPerSecond,
            burst: Limits.Signaling.messageBurst,
            at: now
        )
        lastSent = now
        attachedAt = now
    }

    var needsSnapshot: Bool { needsSnapshotSince != nil }
    /// Critical events that are unsent or unacknowledged.
    var criticalCount: Int { criticalWaiting + log.criticalCount }
    var criticalBytes: Int { criticalWaitingBytes + log.criticalBytes }
    /// Nothing waits, nothing is to be acknowledged, nothing is wrong.
    var isCalm: Bool {
        needsSnapshotSince == nil && blockedSince == nil && mustClose == nil && waitingCount == 0
            && log.oldest == nil
    }
    /// When it has been silent for as long as it may.
    var nextHeartbeat: Instant { lastSent + Limits.Signaling.heartbeatInterval }
    /// Everything that waits for the socket.
    var waitingCount: Int { replay.count + line.count + state.count + ephemeral.count }
    /// What it holds in memory at most, bytes; bodies that sessions share are counted in each.
    var heldBytes: Int {
        criticalBytes + ephemeralBytes + responseBytesWaiting + requests.cachedBytes
            + (state.count + log.stateCount) * Self.stateBytes
    }
    var ephemeralCount: Int { ephemeral.count }
    var stateCount: Int { state.count }
    var shedCount: UInt64 { shed.values.reduce(0, +) }
    /// Requests whose response has not reached the socket.
    var unanswered: Int { requests.executingCount + responsesWaiting }

    // MARK: Sockets

    /// A socket of the same client, which has applied every event up to `client`. Responses that were not sent are
    /// forgotten: the client asks again.
    mutating func attach(lastSequence client: UInt64, at now: Instant) -> OnAttach {
        attachedAt = now
        lastSent = now
        blockedSince = nil
        mustClose = nil
        turn = Self.share
        replay.removeAll()
        replayEnd = nil
        line.removeAll { queued in
            switch queued {
            case .control, .response: true
            case .critical, .page: false
            }
        }
        responsesWaiting = 0
        responseBytesWaiting = 0
        while !ephemeral.isEmpty { dropOldestEphemeral() }
        guard needsSnapshotSince == nil, pagesWaiting == 0, client >= acknowledged, client <= lastSequence
        else {
            return giveUp(at: now)
        }
        _ = received(acknowledge: client)
        guard let entries = log.unacknowledged(isReplaced: { state[$0] != nil }) else {
            return giveUp(at: now)
        }
        for entry in entries { replay.append(entry) }
        return .replay(upTo: lastSequence)
    }

    /// Nothing waits: whoever has the newest event knows every change of the room up to `revision`.
    mutating func told(revision: UInt64) {
        if told.last?.sequence == lastSequence {
            told[told.count - 1].revision = revision
        } else {
            told.append((lastSequence, revision))
            if told.count > Self.toldKept { told.remove(at: 1) }
        }
    }

    /// The newest revision that a client knows the whole of; nil where that was never so.
    func revision(knownWith client: UInt64) -> UInt64? {
        told.last { $0.sequence <= client }?.revision
    }

    /// The client counts on from the newest number, and knows no more than before: the rest is in the pages that follow.
    mutating func countOn(knowing revision: UInt64?) {
        told = revision.map { [(lastSequence, $0)] } ?? []
    }

    private static let toldKept = 32

    /// Said when the replay has been sent.
    mutating func queue(replayEnd body: EventBody) { replayEnd = body }

    private mutating func giveUp(at now: Instant) -> OnAttach {
        clearEvents()
        // Until the pages are queued: another socket may take this one's place before.
        needsSnapshotSince = now
        return .behind
    }

    /// Somebody has to give way: what waits is given up, and a snapshot is due.
    mutating func shrink(at now: Instant) {
        while !ephemeral.isEmpty { dropOldestEphemeral() }
        overflowed(at: now)
    }

    /// Its client knows nothing that this session could go on from: nothing is queued before its snapshot.
    mutating func awaitSnapshot(at now: Instant) { needsSnapshotSince = needsSnapshotSince ?? now }

    // MARK: Outwards

    mutating func queue(control body: EventBody) { line.append(.control(body)) }

    /// Pages of one snapshot: what was to be recovered is recovered.
    mutating func queue(snapshot pages: [EventBody], at now: Instant) {
        needsSnapshotSince = nil
        for page in pages { line.append(.page(page, at: now)) }
        pagesWaiting += pages.count
    }

    mutating func queue(critical body: EventBody, at now: Instant) {
        // The snapshot that is due will contain it.
        guard needsSnapshotSince == nil else { return }
        line.append(.critical(body, at: now))
        criticalWaiting += 1
        criticalWaitingBytes += body.count
        if criticalCount > criticalLimit || criticalBytes > Limits.Signaling.criticalBytes {
            overflowed(at: now)
        }
    }

    mutating func queue(state body: EventBody, key: StateKey, at now: Instant) {
        guard needsSnapshotSince == nil else { return }
        if state.updateValue(body, forKey: key) == nil { stateOrder.append(key) }
        if state.count > Limits.Signaling.stateKeys { overflowed(at: now) }
    }

    mutating func queue(ephemeral body: EventBody, at now: Instant) {
        ephemeral.append(Ephemeral(body: body, at: now))
        ephemeralBytes += body.count
        while ephemeral.count > Limits.Signaling.ephemeralEvents
            || ephemeralBytes > Limits.Signaling.ephemeralBytes
        {
            dropOldestEphemeral()
        }
    }

    /// Does nothing where `id` was answered before.
    mutating func respond(to id: UInt64, with text: ByteBuffer, at now: Instant) {
        guard requests.answered(id, with: text, at: now) else { return }
        queue(response: text)
    }

    /// A response that is not remembered: the request was executed before and its response is forgotten.
    mutating func respondAgain(with text: ByteBuffer) { queue(response: text) }

    private mutating func queue(response text: ByteBuffer) {
        line.append(.response(text))
        responsesWaiting += 1
        responseBytesWaiting += text.readableBytes
        if responsesWaiting > 2 * Limits.Signaling.requestsInFlight
            || responseBytesWaiting > Limits.Signaling.unsentResponseBytes
        {
            mustClose = .slowConsumer
        }
    }

    /// The next text for a socket that is writable.
    mutating func drain(at now: Instant) -> OnDrain {
        for _ in 0..<3 {
            if turn.line > 0, let text = nextOfReplay() ?? nextOfLine(at: now) {
                turn.line -= 1
                return sent(text, at: now)
            }
            if needsSnapshotSince != nil, line.isEmpty { return .snapshot }
            if turn.state > 0, pagesWaiting == 0, replayEnd == nil, let text = nextState() {
                turn.state -= 1
                return sent(text, at: now)
            }
            if turn.ephemeral > 0, let text = nextEphemeral(at: now) {
                turn.ephemeral -= 1
                return sent(text, at: now)
            }
            turn = Self.share
        }
        return .idle
    }

    private mutating func sent(_ text: ByteBuffer, at now: Instant) -> OnDrain {
        lastSent = now
        return .send(text)
    }

    private mutating func nextOfReplay() -> ByteBuffer? {
        if let entry = replay.popFirst() { return entry.body.text(sequence: entry.sequence) }
        defer { replayEnd = nil }
        return replayEnd?.text(sequence: nil)
    }

    private mutating func nextOfLine(at now: Instant) -> ByteBuffer? {
        switch line.popFirst() {
        case nil:
            return nil
        case .control(let body):
            return body.text(sequence: nil)
        case .response(let text):
            responsesWaiting -= 1
            responseBytesWaiting -= text.readableBytes
            return text
        case .critical(let body, let queuedAt):
            criticalWaiting -= 1
            criticalWaitingBytes -= body.count
            lastSequence += 1
            log.sent(critical: body, sequence: lastSequence, queuedAt: queuedAt, isPage: false)
            return body.text(sequence: lastSequence)
        case .page(let body, let queuedAt):
            pagesWaiting -= 1
            lastSequence += 1
            log.sent(critical: body, sequence: lastSequence, queuedAt: queuedAt, isPage: true)
            return body.text(sequence: lastSequence)
        }
    }

    private mutating func nextState() -> ByteBuffer? {
        guard let key = stateOrder.popFirst(), let body = state.removeValue(forKey: key) else { return nil }
        if state.isEmpty { state = [:] }
        lastSequence += 1
        log.sent(state: body, key: key, sequence: lastSequence)
        return body.text(sequence: lastSequence)
    }

    private mutating func nextEphemeral(at now: Instant) -> ByteBuffer? {
        while let first = ephemeral.first {
            if now - first.at > Limits.Signaling.ephemeralAge {
                dropOldestEphemeral()
                continue
            }
            _ = ephemeral.popFirst()
            ephemeralBytes -= first.body.count
            return first.body.text(sequence: nil)
        }
        return nil
    }

    private mutating func dropOldestEphemeral() {
        guard let dropped = ephemeral.popFirst() else { return }
        ephemeralBytes -= dropped.body.count
        shed[dropped.body.type, default: 0] += 1
    }

    /// The client cannot keep up: what waits is given up, a snapshot will say it in fewer words.
    private mutating func overflowed(at now: Instant) {
        overflows += 1
        needsSnapshotSince = now
        clearEvents()
    }

    private mutating func clearEvents() {
        replay.removeAll()
        line.removeAll { queued in
            switch queued {
            case .critical, .page: true
            case .control, .response: false
            }
        }
        criticalWaiting = 0
        criticalWaitingBytes = 0
        pagesWaiting = 0
        state.removeAll()
        stateOrder.removeAll()
        log.removeAll()
    }

    // MARK: Inwards

    /// Whether one more message of the client is read, by its rate.
    mutating func receivedMessage(at now: Instant) -> TokenBucket.OnMessage { bucket.take(at: now) }

    /// False where rate or unanswered requests ask to hold the client back.
    var mayReadOn: Bool { unanswered < Limits.Signaling.requestsInFlight && !bucket.isEmpty }

    /// Whether a client that was held back may speak again.
    mutating func mayReadAgain(at now: Instant) -> Bool {
        unanswered < Limits.Signaling.requestsInFlight / 2 && bucket.isReady(at: now)
    }

    mutating func received(request id: UInt64, at now: Instant) -> RequestLedger.OnRequest {
        requests.received(id, unsent: responsesWaiting, at: now)
    }

    mutating func received(acknowledge sequence: UInt64) -> OnAcknowledge {
        guard sequence <= lastSequence else { return .ahead }
        if sequence > acknowledged {
            acknowledged = sequence
            while told.count > 1, told[1].sequence <= sequence { told.removeFirst() }
            log.acknowledged(through: sequence)
        }
        return .accepted
    }

    /// The first frame that cannot be read may be a fault of transmission, the second is one of the client.
    mutating func receivedBadFrame() -> CloseCode {
        badFrames += 1
        return badFrames == 1 ? .badFrame : .protocolError
    }

    // MARK: Time

    mutating func writabilityChanged(isWritable: Bool, at now: Instant) {
        blockedSince = isWritable ? nil : (blockedSince ?? now)
    }

    mutating func advance(to now: Instant) -> OnTime {
        if let mustClose { return .close(mustClose) }
        let patience = Limits.Signaling.slowConsumerTimeout
        if let blockedSince, now - blockedSince >= patience { return .close(.slowConsumer) }
        if let needsSnapshotSince, now - needsSnapshotSince >= patience { return .close(.slowConsumer) }
        if needsSnapshotSince == nil, let oldest = oldestCritical, now - oldest > Limits.Signaling.criticalAge
        {
            overflowed(at: now)
        }
        if blockedSince == nil, now - lastSent >= Limits.Signaling.heartbeatInterval { return .heartbeat }
        return .none
    }

    private var oldestCritical: Instant? {
        if let logged = log.oldest { return max(logged, attachedAt) }
        guard criticalWaiting + pagesWaiting > 0, case .critical(_, let at)? = line.first else { return nil }
        return max(at, attachedAt)
    }
}
