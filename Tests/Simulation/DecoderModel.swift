// A receiver's decoder as far as a viewer notices it: which picture is on the screen when, and where it stood still.
// Decodes by the references that the frames themselves name.
import RTP

public struct DecoderModel {
    public struct Shown: Sendable {
        public var at: Instant
        /// Of the highest frame of the picture that could be decoded.
        public var stamp: Stamp
    }

    /// In the order in which they came on the screen.
    public private(set) var shown: [Shown] = []

    /// - Parameter packets: of one slot, in any order.
    public init(_ packets: [ReceivedPacket]) {
        struct Frame {
            var stamp: Stamp
            var parts: Set<UInt8> = []
            var completeAt: Instant?
            var isDecoded = false
        }
        var frames: [Stamp.FrameID: Frame] = [:]
        var waiting: [Stamp.FrameID] = []
        for packet in packets.sorted(by: { $0.at < $1.at }) {
            guard let stamp = packet.stamp else { continue }
            let id = stamp.frameID
            frames[id, default: Frame(stamp: stamp)].parts.insert(stamp.part)
            guard let frame = frames[id], frame.completeAt == nil, frame.parts.count == Int(stamp.partCount)
            else { continue }
            frames[id]?.completeAt = packet.at
            waiting.append(id)
            var isProgress = true
            while isProgress {
                isProgress = false
                for id in waiting {
                    guard let frame = frames[id], !frame.isDecoded else { continue }
                    let isReady = frame.stamp.references.allSatisfy { reference in
                        var needed = id
                        needed.frame = reference.frame
                        needed.spatial = reference.spatial
                        return frames[needed]?.isDecoded == true
                    }
                    guard isReady else { continue }
                    frames[id]?.isDecoded = true
                    isProgress = true
                    show(frame.stamp, at: packet.at)
                }
                waiting.removeAll { frames[$0]?.isDecoded == true }
            }
            // What still waits for something from long ago waits for ever.
            if waiting.count > 200 { waiting.removeFirst(100) }
        }
    }

    private mutating func show(_ stamp: Stamp, at now: Instant) {
        if let last = shown.last, last.stamp.source == stamp.source {
            // A picture that is older than what is shown is not shown any more.
            if stamp.time < last.stamp.time { return }
            if stamp.frame == last.stamp.frame && stamp.spatial < last.stamp.spatial { return }
        }
        shown.append(Shown(at: now, stamp: stamp))
    }

    /// Times longer than this without a new picture, up to `end`.
    public func freezes(longerThan limit: Interval, until end: Instant? = nil) -> [(
        from: Instant, length: Interval
    )] {
        var times = shown.map(\.at)
        if let end { times.append(end) }
        return zip(times, times.dropFirst()).filter { $1 - $0 > limit }.map { ($0, $1 - $0) }
    }

    /// What is on the screen at this time.
    public func picture(at time: Instant) -> Stamp? { shown.last { $0.at <= time }?.stamp }

    /// The first picture after this time that is one of these.
    public func first(after time: Instant, where condition: (Stamp) -> Bool = { _ in true }) -> Shown? {
        shown.first { $0.at > time && condition($0.stamp) }
    }

    /// Pictures per second between two times.
    public func rate(from start: Instant, to end: Instant) -> Double {
        var pictures: Set<UInt32> = []
        for it in shown where it.at > start && it.at <= end { pictures.insert(it.stamp.frame) }
        return Double(pictures.count) * 1_000_000 / Double(max((end - start).microseconds, 1))
    }
}
