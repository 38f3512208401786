// One worker's side of the traffic between workers: which datagrams go to which owner, and what owners tell each
// other about paths. It knows paths and rings, not sessions.
import PeerTransport
import RTP
import SFU

/// Not thread-safe: belongs to one worker.
final class HandOver {
    private let index: Int
    private let isAlone: Bool
    private let mailboxes: [Mailbox]
    private let outbound: [HandOverRing?]
    private let inbound: [(from: Int, ring: HandOverRing)]
    private let foreign: ForeignPaths
    /// Paths that this worker's sessions confirmed.
    private var own: Set<NetworkPath> = []
    /// Who asked for which path in this loop.
    private var questions: [(path: NetworkPath, from: Int)] = []
    private let tally: IOTally
    private var turn = 0

    /// Datagrams that one loop takes from one ring.
    private static let perRing = 256
    private static let questionsPerLoop = 256

    init(index: Int, shared: WorkerShared, tally: IOTally, salt: UInt64) {
        self.index = index
        self.tally = tally
        mailboxes = shared.mailboxes
        isAlone = shared.mailboxes.count == 1
        outbound = shared.rings[index]
        inbound = shared.rings.indices.compactMap { from in shared.rings[from][index].map { (from, $0) } }
        foreign = ForeignPaths(salt: salt)
    }

    var foreignPaths: Int { foreign.count }

    // MARK: to other workers

    /// Passes on what is no STUN and comes on a path of another worker. STUN always goes by its username fragment,
    /// since a path may change hands.
    @inline(__always)
    func takesMedia(
        _ bytes: UnsafePointer<UInt8>,
        length: Int,
        on path: NetworkPath,
        at arrival: Instant,
        now: Instant
    ) -> Bool {
        if isAlone || bytes[0] < 4 { return false }
        let owner = foreign.owner(of: path, at: now)
        if owner < 0 { return false }
        guard let ring = outbound[owner] else { return false }
        if ring.push(bytes, length: length, path: path, arrival: arrival) {
            tally.counters.handOversOut += 1
        } else {
            tally.handOverFull += 1
        }
        return true
    }

    /// Passes on a STUN message that names a session of another worker. Anybody can write one: half of the ring
    /// stays free for media.
    func passCheck(
        _ bytes: UnsafePointer<UInt8>,
        length: Int,
        on path: NetworkPath,
        at arrival: Instant,
        now: Instant,
        to owner: Int
    ) {
        guard outbound.indices.contains(owner), let ring = outbound[owner] else {
            tally.handOverUnknown += 1
            return
        }
        let asks = foreign.wantsConfirmation(of: path, from: owner, at: now)
        let isIn = ring.push(
            bytes,
            length: length,
            path: path,
            arrival: arrival,
            wantsConfirmation: asks,
            leaving: ring.capacity / 2
        )
        if isIn { tally.counters.handOversOut += 1 } else { tally.handOverFull += 1 }
    }

    /// Hands a decrypted packet to a worker that shares its room. False: no room in the ring.
    func relay(_ packet: UnsafePointer<UInt8>, length: Int, _ relayed: RelayedPacket, to worker: Int) -> Bool
    {
        guard outbound.indices.contains(worker), let ring = outbound[worker] else { return false }
        return ring.push(
            packet,
            length: length,
            path: HandOver.nowhere,
            arrival: relayed.arrival,
            relayed: relayed
        )
    }

    private static let nowhere = NetworkPath(remote: .unspecified, remotePort: 0)

    /// Shows the others what was passed on; one wake each.
    func publish() {
        if isAlone { return }
        for owner in outbound.indices {
            if let ring = outbound[owner], ring.publish() { mailboxes[owner].wakeup.signal() }
        }
    }

    // MARK: from other workers

    var isEmpty: Bool {
        for (_, ring) in inbound where !ring.isEmpty { return false }
        return true
    }

    /// Gives out what the others passed on; valid until `release`. True when more waits.
    func take(_ body: (HandOverHeader, UnsafeMutablePointer<UInt8>, _ from: Int) -> Void) -> Bool {
        var hasMore = false
        turn += 1
        for i in inbound.indices {
            // Another one first each time, so that none is always last.
            let (from, ring) = inbound[(i + turn) % inbound.count]
            let count = ring.consume(limit: HandOver.perRing) { header, bytes in
                if header.wantsConfirmation && questions.count < HandOver.questionsPerLoop {
                    questions.append((header.path, from))
                }
                body(header, bytes, from)
            }
            tally.counters.handOversIn += UInt64(count)
            if count == HandOver.perRing { hasMore = true }
        }
        return hasMore
    }

    func release() {
        for (_, ring) in inbound { ring.release() }
    }

    /// What a shard says to another. It goes in even where the mailbox is full, since the others would never hear of it, and
    /// it is bounded by the commands that lead to it; requests that are repeated anyway do not.
    func tell(_ message: RelayMessage, to worker: Int) {
        guard mailboxes.indices.contains(worker), worker != index else { return }
        if !mailboxes[worker].post(.relay(message, from: index), isUrgent: !message.isRepeated) {
            tally.counters.mailboxFull += 1
        }
    }

    // MARK: who owns which path

    func ownPathChanged(_ path: NetworkPath, _ change: PathChange) {
        if isAlone { return }
        switch change {
        case .confirmed:
            own.insert(path)
            foreign.forget(path)
        case .forgotten:
            guard own.remove(path) != nil else { return }
            for other in mailboxes.indices where other != index {
                // Best effort: a stale entry leads to the owner, who drops, and ends when it is idle.
                _ = mailboxes[other].post(.path(path, owner: index, .forgotten))
            }
        }
    }

    /// Tells those who asked in this loop, and only about paths that passed an authenticated check here.
    func answerConfirmations() {
        for (path, from) in questions where own.contains(path) {
            if !mailboxes[from].post(.path(path, owner: index, .confirmed)) {
                tally.counters.mailboxFull += 1
            }
        }
        questions.removeAll(keepingCapacity: true)
    }

    func learn(_ path: NetworkPath, owner: Int, at now: Instant) {
        guard owner != index, !own.contains(path) else { return }
        foreign.confirm(path, owner: owner, at: now)
    }

    func forget(_ path: NetworkPath, owner: Int) { foreign.forget(path, owner: owner) }

    func sweep(at now: Instant) { foreign.sweep(at: now) }
}
