// What one session was sent, by transport-wide sequence number: when, how much, and what became of it. Must not know
// what feedback looks like, nor what anybody concludes from it.
import PeerTransport
import RTP

/// What a packet carries, as far as bandwidth is concerned.
enum SentKind: UInt8 {
    case audio, video, rtx, padding
}

/// A ring of 8-byte entries in raw memory, at first 256 of them (2 KB); see `advance(to:)` for how it grows.
struct SentHistory: ~Copyable {
    enum State: UInt8 {
        /// No packet bore this number.
        case absent
        /// On its way.
        case sent
        case received
        /// Reported as missing; may still come.
        case lost
        /// The report about it was lost.
        case unknown
    }

    struct Packet {
        fileprivate var time: UInt32 = 0
        /// Bytes on the wire.
        fileprivate var bytes: UInt16 = 0
        /// The probe that it belongs to, 0: none.
        fileprivate(set) var cluster: UInt8 = 0
        /// State in the low 4 bits, kind above.
        fileprivate var bits: UInt8 = 0

        @inline(__always)
        var size: Int { Int(bytes) }
        @inline(__always)
        var state: State { State(rawValue: bits & 15) ?? .absent }
        @inline(__always)
        var kind: SentKind { SentKind(rawValue: bits >> 4) ?? .video }
    }

    /// The highest number so far, extended; −1 before the first.
    private(set) var highest: Int64 = -1
    private(set) var lastSentAt = Instant.distantPast
    /// Bytes whose fate is not known.
    private(set) var inFlight = 0
    private var packets: UnsafeMutablePointer<Packet>
    private var mask: Int
    /// Packets were overwritten that were younger than they should become.
    private var isShort = false

    init(capacity: Int = Limits.Bandwidth.historyPackets) {
        var size = 16
        while size < min(capacity, Limits.Bandwidth.historyPacketsMost) { size *= 2 }
        mask = size - 1
        packets = RoadMemory.allocate(Packet.self, count: size)
        packets.initialize(repeating: Packet(), count: size)
    }

    deinit { RoadMemory.free(packets, count: capacity) }

    var capacity: Int { mask + 1 }
    var byteCount: Int { capacity * MemoryLayout<Packet>.stride }

    /// Notes a packet that goes out now. Numbers follow each other; those left out count as never sent, and a number
    /// that is not new is ignored.
    /// - Parameters:
    ///   - size: bytes on the wire, with IP and UDP; above 65535 it is cut.
    ///   - cluster: the probe that it belongs to, 0: none.
    @inline(__always)
    mutating func sent(_ number: UInt16, size: Int, kind: SentKind, cluster: UInt8 = 0, at now: Instant) {
        let ahead = Int16(bitPattern: number &- UInt16(truncatingIfNeeded: highest))
        if ahead != 1 {
            guard prepare(number, ahead) else { return }
        }
        highest += 1
        let place = packets + (Int(truncatingIfNeeded: highest) & mask)
        // `lastSentAt` is earlier than now: what is overwritten is older than it seems, so the ring is large enough.
        leave(place)
        place.pointee.time = UInt32(truncatingIfNeeded: now.microseconds)
        place.pointee.bytes = UInt16(clamping: size)
        place.pointee.cluster = cluster
        place.pointee.bits = State.sent.rawValue | kind.rawValue << 4
        inFlight += Int(place.pointee.bytes)
        lastSentAt = now
    }

    /// Asks for the place of the next packet.
    @inline(__always)
    func prefetch() {
        Prefetch.memory(packets + (Int(truncatingIfNeeded: highest + 1) & mask), bytes: 1)
    }

    /// The first packet, or one after a hole.
    @inline(never)
    private mutating func prepare(_ number: UInt16, _ ahead: Int16) -> Bool {
        guard highest >= 0 else {
            highest = Int64(number) - 1
            return true
        }
        guard ahead > 1 else { return false }
        for _ in 1..<min(Int(ahead), capacity + 1) {
            highest += 1
            let place = packets + (Int(truncatingIfNeeded: highest) & mask)
            leave(place)
            place.pointee = Packet()
        }
        highest = highest + Int64(ahead) - 1 - min(Int64(ahead) - 1, Int64(capacity))
        return true
    }

    @inline(__always)
    private mutating func leave(_ place: UnsafeMutablePointer<Packet>) {
        guard place.pointee.state != .absent else { return }
        if place.pointee.state == .sent { inFlight -= place.pointee.size }
        let age = UInt32(truncatingIfNeeded: lastSentAt.microseconds) &- place.pointee.time
        if Int64(age) < Limits.Bandwidth.historyTime.microseconds { isShort = true }
    }

    /// The extended form of a 16-bit number; nil where no packet that is remembered bore it.
    @inline(__always)
    func find(_ number: UInt16) -> Int64? {
        let behind = UInt16(truncatingIfNeeded: highest) &- number
        let sequence = highest - Int64(behind)
        guard Int(behind) <= mask, sequence >= 0,
            packets[Int(truncatingIfNeeded: sequence) & mask].state != .absent
        else { return nil }
        return sequence
    }

    /// A packet that `find` found, or one between such.
    @inline(__always)
    subscript(sequence: Int64) -> Packet { packets[Int(truncatingIfNeeded: sequence) & mask] }

    /// When it was sent. Right for 71 minutes, which is why `advance(to:)` forgets what is older.
    @inline(__always)
    func time(of packet: Packet) -> Instant {
        let age = UInt32(truncatingIfNeeded: lastSentAt.microseconds) &- packet.time
        return lastSentAt - .microseconds(Int64(age))
    }

    /// Sets what became of a packet; returns what was known before.
    @inline(__always)
    mutating func settle(_ sequence: Int64, _ state: State) -> State {
        let place = packets + (Int(truncatingIfNeeded: sequence) & mask)
        let before = place.pointee.state
        if before == .sent { inFlight -= place.pointee.size }
        place.pointee.bits = place.pointee.bits & 0xF0 | state.rawValue
        return before
    }

    /// To be called now and then, off the road: the ring grows here where it spans too little time, and what is too
    /// old for its clock is forgotten.
    mutating func advance(to now: Instant) {
        if highest >= 0, now - lastSentAt > SentHistory.memory, self[highest].state != .absent { clear() }
        guard isShort else { return }
        isShort = false
        guard capacity < Limits.Bandwidth.historyPacketsMost else { return }
        let larger = RoadMemory.allocate(Packet.self, count: capacity * 2)
        larger.initialize(repeating: Packet(), count: capacity * 2)
        let largerMask = capacity * 2 - 1
        for sequence in max(0, highest - Int64(mask))...max(highest, 0) where highest >= 0 {
            larger[Int(truncatingIfNeeded: sequence) & largerMask] = self[sequence]
        }
        RoadMemory.free(packets, count: capacity)
        packets = larger
        mask = largerMask
    }

    private static let memory = Interval.seconds(60)

    private mutating func clear() {
        packets.update(repeating: Packet(), count: capacity)
        inFlight = 0
    }
}
