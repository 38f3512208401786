// The SSRCs that a peer has sent authentic packets of, each with what has come: a bounded table. Knows no keys.
import RTP

/// A remote SSRC. RTP and RTCP of it are keyed apart, so each has its own state.
struct SRTPRemoteStream {
    let ssrc: UInt32
    var reports = SRTCPReplayWindow()
    /// nil: no RTP packet of it was authentic yet.
    var packets: SRTPReplayWindow?

    fileprivate init(ssrc: UInt32) { self.ssrc = ssrc }
}

/// Belongs to one context, which calls `free` at its end.
struct SRTPRemoteStreams {
    /// The first `count` are in use.
    private var memory: UnsafeMutablePointer<SRTPRemoteStream>
    private var capacity = 2
    private(set) var count = 0
    private var last = 0

    init() { memory = .allocate(capacity: capacity) }

    func free() {
        for i in 0..<count { memory[i].packets?.free() }
        memory.deallocate()
    }

    var isFull: Bool { count >= Limits.SRTP.remoteStreams }

    /// Valid until the table changes; nil: unknown. Peers send few SSRCs, and in runs.
    @inline(__always)
    mutating func find(_ ssrc: UInt32) -> UnsafeMutablePointer<SRTPRemoteStream>? {
        if last < count, memory[last].ssrc == ssrc { return memory + last }
        for i in 0..<count where memory[i].ssrc == ssrc {
            last = i
            return memory + i
        }
        return nil
    }

    /// - Parameter ssrc: Not in the table, which is not full.
    mutating func add(_ ssrc: UInt32) -> UnsafeMutablePointer<SRTPRemoteStream> {
        if count == capacity { grow() }
        (memory + count).initialize(to: SRTPRemoteStream(ssrc: ssrc))
        last = count
        count += 1
        return memory + last
    }

    mutating func remove(_ ssrc: UInt32) {
        guard let stream = find(ssrc) else { return }
        stream.pointee.packets?.free()
        count -= 1
        stream.pointee = memory[count]
        last = 0
    }

    private mutating func grow() {
        capacity *= 2
        let larger = UnsafeMutablePointer<SRTPRemoteStream>.allocate(capacity: capacity)
        larger.moveInitialize(from: memory, count: count)
        memory.deallocate()
        memory = larger
    }
}
