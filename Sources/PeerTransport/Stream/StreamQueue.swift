// Packets that wait for a TCP connection, framed (RFC 4571 §2). Drops whole packets when the peer reads too
// slowly, never a part of one; must not know sockets, keys or bandwidth estimation.
import RTP

/// One connection's outbound half.
public final class StreamQueue {
    /// What a packet is worth when the budget is short, dearest first.
    public enum Kind: UInt8, Comparable, Sendable {
        /// STUN and DTLS: without them the connection dies.
        case control
        case rtcp
        case audio
        case video

        public static func < (a: Kind, b: Kind) -> Bool { a.rawValue < b.rawValue }

        /// By the first bytes (RFC 7983 §7); RTP by its size, since the payload types are not known here.
        public init(of packet: UnsafePointer<UInt8>, length: Int) {
            if length < 2 || packet[0] & 0xc0 != 0x80 {
                self = .control
            } else if packet[1] >= 192, packet[1] <= 223 {
                self = .rtcp
            } else {
                self = length <= Limits.Stream.audioPacketBytes ? .audio : .video
            }
        }
    }

    public enum OnEnqueue: Equatable, Sendable {
        case queued
        /// This packet was dropped; older ones may have been too (see the counts).
        case dropped
    }

    private struct Frame {
        var length: Int32
        var kind: Kind
        var isDropped: Bool
    }

    private let bytes: UnsafeMutablePointer<UInt8>
    private let frames: UnsafeMutablePointer<Frame>
    /// [head, tail) of the bytes holds the frames [firstFrame, endFrame), one after the other.
    private var head = 0
    private var tail = 0
    private var firstFrame = 0
    private var endFrame = 0
    /// Those of them that were not dropped.
    private var liveFrames = 0
    /// Bytes of the first frame that the socket took.
    private var written = 0

    /// Above this many waiting bytes, video is dropped, oldest first. The caller sets it from the estimate
    /// (250 ms worth); at least `Limits.Stream.minimumBudgetBytes`, at most `Limits.Stream.queueBytes`.
    public var budget = Limits.Stream.budgetBytes {
        didSet {
            budget = min(max(budget, Limits.Stream.minimumBudgetBytes), Limits.Stream.queueBytes)
            dropVideo(downTo: budget)
        }
    }
    /// Bytes that wait, framing included.
    public private(set) var pendingBytes = 0
    public private(set) var droppedPackets: UInt64 = 0
    public private(set) var droppedBytes: UInt64 = 0

    public init() {
        bytes = .allocate(capacity: Limits.Stream.queueBytes)
        frames = .allocate(capacity: Limits.Stream.queueFrames)
    }

    deinit {
        bytes.deallocate()
        frames.deallocate()
    }

    public var isEmpty: Bool { pendingBytes == 0 }

    // MARK: In

    /// Copies the packet behind its length.
    public func enqueue(_ packet: UnsafePointer<UInt8>, length: Int, kind: Kind) -> OnEnqueue {
        guard length > 0, length <= 0xffff else { return .dropped }
        let need = 2 + length
        if pendingBytes + need > budget {
            dropVideo(downTo: budget - need)
            if kind == .video, pendingBytes + need > budget { return refuse(length) }
        }
        guard makeRoom(for: need, kind: kind) else { return refuse(length) }
        bytes[tail] = UInt8(truncatingIfNeeded: length >> 8)
        bytes[tail + 1] = UInt8(truncatingIfNeeded: length)
        (bytes + tail + 2).update(from: packet, count: length)
        frames[endFrame] = Frame(length: Int32(need), kind: kind, isDropped: false)
        tail += need
        endFrame += 1
        liveFrames += 1
        pendingBytes += need
        return .queued
    }

    private func refuse(_ length: Int) -> OnEnqueue {
        droppedPackets += 1
        droppedBytes += UInt64(length)
        return .dropped
    }

    // MARK: Out

    /// Bytes to write next, in one piece; empty where nothing waits. Valid until the next call.
    public var nextBytes: UnsafeBufferPointer<UInt8> {
        var end = head
        var i = firstFrame
        while i < endFrame, !frames[i].isDropped {
            end += Int(frames[i].length) - (i == firstFrame ? written : 0)
            i += 1
        }
        return UnsafeBufferPointer(start: bytes + head, count: end - head)
    }

    /// The socket took this many of `nextBytes`.
    public func wrote(_ count: Int) {
        var rest = min(max(count, 0), nextBytes.count)
        head += rest
        pendingBytes -= rest
        while rest > 0, firstFrame < endFrame {
            let left = Int(frames[firstFrame].length) - written
            guard rest >= left else {
                written += rest
                return
            }
            rest -= left
            written = 0
            firstFrame += 1
            liveFrames -= 1
        }
        skipDropped()
    }

    private func skipDropped() {
        while written == 0, firstFrame < endFrame, frames[firstFrame].isDropped {
            head += Int(frames[firstFrame].length)
            firstFrame += 1
        }
        if firstFrame == endFrame {
            (head, tail, firstFrame, endFrame) = (0, 0, 0, 0)
        }
    }

    // MARK: Room

    private func dropVideo(downTo bound: Int) { drop(.video, until: { pendingBytes <= bound }) }

    /// Oldest first; a frame of which the socket took a part is finished, never dropped.
    private func drop(_ kind: Kind, until isEnough: () -> Bool) {
        var i = written > 0 ? firstFrame + 1 : firstFrame
        while i < endFrame, !isEnough() {
            if frames[i].kind == kind, !frames[i].isDropped {
                frames[i].isDropped = true
                liveFrames -= 1
                pendingBytes -= Int(frames[i].length)
                droppedPackets += 1
                droppedBytes += UInt64(frames[i].length - 2)
            }
            i += 1
        }
        skipDropped()
    }

    /// Room for one more frame: by closing the gaps, then at the cost of what is worth less than `kind`.
    private func makeRoom(for need: Int, kind: Kind) -> Bool {
        if hasRoom(for: need) { return true }
        for cheaper in [Kind.video, .audio, .rtcp] where cheaper > kind && !fits(need) {
            drop(cheaper, until: { fits(need) })
        }
        guard fits(need) else { return false }
        compact()
        return true
    }

    private func hasRoom(for need: Int) -> Bool {
        tail + need <= Limits.Stream.queueBytes && endFrame < Limits.Stream.queueFrames
    }

    /// Whether the frame would fit once the gaps were closed.
    private func fits(_ need: Int) -> Bool {
        pendingBytes + need <= Limits.Stream.queueBytes && liveFrames < Limits.Stream.queueFrames
    }

    private func compact() {
        var from = head
        var to = 0
        var kept = 0
        for i in firstFrame..<endFrame {
            let size = Int(frames[i].length) - (i == firstFrame ? written : 0)
            if !frames[i].isDropped {
                // Forward over itself: the target is never behind the source.
                for k in 0..<size { bytes[to + k] = bytes[from + k] }
                frames[kept] = frames[i]
                kept += 1
                to += size
            }
            from += size
        }
        (head, tail, firstFrame, endFrame) = (0, to, 0, kept)
    }
}
