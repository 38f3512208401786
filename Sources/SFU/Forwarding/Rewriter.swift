// One continuous outgoing stream made of several incoming ones: numbers, timestamps and VP8 picture ids go on where
// the last source stopped. Knows no layer choice; it is told when a source begins.
import RTP

/// What changes in the header of a packet for one subscriber.
struct Rewritten {
    /// Extended; the low 16 bits go into the header.
    var sequence: Int64
    var timestamp: UInt32
    /// −1: leave the payload as it is.
    var pictureID: Int32 = -1
    var tl0PictureIndex: Int16 = -1
    var keyIndex: Int8 = -1
    var marker = false
    /// Decode targets that the receiver may expect; 0: as the sender says.
    var mask: UInt32 = 0
}

struct Rewriter: ~Copyable {
    /// Highest number handed out; the first is random in [0, 2¹⁵) so that a loss around the first wrap cannot make
    /// a receiver guess the wrong rollover (RFC 3711 §3.3.1).
    private(set) var highestSequence: Int64
    private(set) var lastTimestamp: UInt32
    private(set) var lastTimestampAt: Instant = .zero
    private var hasSource = false
    private var hasHistory = false
    /// The newest packet ended its frame.
    private var isBetweenFrames = true
    /// Frames take several packets, and the marker ends them.
    private let hasFrames: Bool
    private var current = Mapping()
    private var lastPictureID: Int32 = -1
    private var lastTL0: Int16 = -1
    private var lastKeyIndex: Int8 = -1
    /// Of the source before, for its packets that are late.
    private var former = Mapping()
    /// The last packet of the former source that has a number, `Int64.min`: none.
    private var formerEnd = Int64.min
    /// The highest number of the former source: those behind belong to the present one.
    private var formerHighest = Int64.min
    /// Of the last pictures that were filtered.
    private var skippedTimestamps = InlineArray<4, UInt32>(repeating: 0)
    private var skippedCount = 0

    /// How the numbers of one source become ours: out = in + offset.
    fileprivate struct Mapping: ~Copyable {
        var map = SequenceMap(first: 0, as: 0)
        var offsets = Offsets()
    }

    fileprivate struct Offsets {
        var timestampOffset: UInt32 = 0
        var pictureOffset: Int32 = 0
        var tl0Offset: Int16 = 0
        var keyOffset: Int8 = 0
        /// VP8: pictures that are left out leave no hole in the ids.
        var closesPictures = false
    }

    init(firstSequence: UInt16, firstTimestamp: UInt32, hasFrames: Bool = true) {
        highestSequence = Int64(firstSequence & 0x7fff) - 1
        lastTimestamp = firstTimestamp
        self.hasFrames = hasFrames
    }

    /// Goes on where another one of the same SSRC ended.
    init(after highest: Int64, timestamp: UInt32, hasFrames: Bool) {
        highestSequence = highest
        lastTimestamp = timestamp
        self.hasFrames = hasFrames
    }

    /// A source begins with this packet.
    /// - Parameters:
    ///   - alignedTimestamp: the outgoing timestamp that the sender reports of both layers give, nil where
    ///     there is none: then the wall clock decides.
    ///   - backlog: ticks from this packet to the newest that goes out along with it.
    mutating func begin(
        with record: PacketRecord,
        alignedTimestamp: UInt32?,
        backlog: UInt32 = 0,
        clockRate: UInt32,
        closesPictures: Bool = false,
        at now: Instant
    ) {
        formerEnd = hasSource ? current.map.highest : .min
        formerHighest = highestSequence
        swap(&former, &current)
        // A number is left out where the last frame was broken off, or a decoder might take it for whole.
        current.map.restart(first: record.sequence, as: highestSequence + (isBetweenFrames ? 1 : 2))
        var offsets = former.offsets
        var timestamp = alignedTimestamp ?? elapsedTimestamp(clockRate: clockRate, at: now) &- backlog
        // Strictly later than what went out, whatever the reports say.
        if hasHistory && Int32(bitPattern: timestamp &- lastTimestamp) <= 0 { timestamp = lastTimestamp &+ 1 }
        offsets.timestampOffset = timestamp &- record.timestamp
        offsets.closesPictures = closesPictures
        let frame = record.frame
        if lastPictureID >= 0 && frame.pictureID >= 0 {
            offsets.pictureOffset = lastPictureID + 1 - frame.pictureID
        }
        if lastTL0 >= 0 && frame.tl0PicIndex >= 0 { offsets.tl0Offset = lastTL0 + 1 - frame.tl0PicIndex }
        if lastKeyIndex >= 0 && frame.keyIndex >= 0 { offsets.keyOffset = lastKeyIndex + 1 - frame.keyIndex }
        current.offsets = offsets
        hasSource = true
        firstIncoming = record.sequence
        skippedCount = 0
    }

    mutating func end() {
        hasSource = false
        formerEnd = .min
    }

    /// What was numbered above this one has not been sent and never will be: the next source goes on here.
    mutating func rewind(to sequence: Int64) {
        highestSequence = min(highestSequence, sequence)
        isBetweenFrames = true
    }

    /// Outgoing minus incoming timestamps of the present source.
    var timestampOffset: UInt32 { current.offsets.timestampOffset }

    private func elapsedTimestamp(clockRate: UInt32, at now: Instant) -> UInt32 {
        guard hasHistory else { return lastTimestamp }
        let elapsed = max(now.microseconds - lastTimestampAt.microseconds, 1000)
        let ticks = min(elapsed, 3_600_000_000) * Int64(clockRate) / 1_000_000
        return lastTimestamp &+ UInt32(truncatingIfNeeded: max(ticks, 1))
    }

    /// The outgoing header of a packet of the present source; nil where it came before the source began, or where
    /// its number may be used already.
    @inline(__always)
    mutating func rewrite(
        _ record: UnsafeMutablePointer<PacketRecord>,
        endsPicture: Bool,
        unless ring: borrowing ResendRing?,
        at now: Instant
    ) -> Rewritten? {
        guard hasSource, let sequence = current.map.map(record.pointee.sequence) else { return nil }
        guard sequence > highestSequence || ring?.isFree(sequence, highest: highestSequence) ?? false else {
            return nil
        }
        var out = Rewritten(
            sequence: sequence,
            timestamp: record.pointee.timestamp &+ current.offsets.timestampOffset
        )
        out.marker = endsPicture
        if record.pointee.frame.pictureID >= 0 { current.rewritePicture(record, into: &out) }
        if sequence > highestSequence {
            highestSequence = sequence
            lastTimestamp = out.timestamp
            lastTimestampAt = now
            hasHistory = true
            isBetweenFrames = !hasFrames || endsPicture
            if out.pictureID >= 0 { lastPictureID = out.pictureID }
            if out.tl0PictureIndex >= 0 { lastTL0 = out.tl0PictureIndex }
            if out.keyIndex >= 0 { lastKeyIndex = out.keyIndex }
        }
        return out
    }

    /// The outgoing header of a late packet of the source before; nil where it was not missing.
    mutating func rewriteFormer(
        _ record: UnsafeMutablePointer<PacketRecord>,
        endsPicture: Bool,
        unless ring: borrowing ResendRing?
    ) -> Rewritten? {
        guard hasSource, record.pointee.sequence <= formerEnd,
            let sequence = former.map.place(record.pointee.sequence), sequence <= formerHighest,
            ring?.isFree(sequence, highest: highestSequence) ?? false
        else { return nil }
        var out = Rewritten(
            sequence: sequence,
            timestamp: record.pointee.timestamp &+ former.offsets.timestampOffset
        )
        out.marker = endsPicture
        if record.pointee.frame.pictureID >= 0 { former.rewritePicture(record, into: &out) }
        return out
    }

    /// The packet that the present source began with.
    private(set) var firstIncoming = Int64.min
    /// More of the frame that went out last is to come.
    var isInFrame: Bool { !isBetweenFrames }

    /// The packet is filtered out: it leaves no gap. Where it comes too late for that, returns its number, which
    /// nobody will use.
    /// - Parameter isPicture: it belongs to a picture of which nothing goes out.
    mutating func skip(_ record: UnsafeMutablePointer<PacketRecord>, isPicture: Bool) -> Int64? {
        guard hasSource else { return nil }
        let sequence = record.pointee.sequence
        let isHead = sequence > current.map.highest
        if !isHead {
            guard let place = current.map.place(sequence) else { return nil }
            guard place > highestSequence else { return place }
        }
        let closesPicture = isPicture && isNewPicture(record.pointee.timestamp)
        if isHead {
            current.map.drop(sequence, closesPicture: closesPicture)
        } else {
            current.map.close(sequence, closesPicture: closesPicture)
        }
        return nil
    }

    private mutating func isNewPicture(_ timestamp: UInt32) -> Bool {
        for i in 0..<min(skippedCount, 4) where skippedTimestamps[i] == timestamp { return false }
        skippedTimestamps[skippedCount & 3] = timestamp
        skippedCount &+= 1
        if skippedCount == 8 { skippedCount = 4 }
        return true
    }

    /// The number that a packet of the former source would have had, of which nothing goes out.
    mutating func formerVoid(_ record: UnsafeMutablePointer<PacketRecord>) -> Int64? {
        guard hasSource, record.pointee.sequence <= formerEnd,
            let sequence = former.map.place(record.pointee.sequence), sequence <= formerHighest
        else { return nil }
        return sequence
    }
}

extension Rewriter.Mapping {
    /// Picture ids keep the distances that the sender gave them: VP9 and the dependency descriptor count references
    /// in them. VP8 has none, and its receivers take a missing id for a missing picture: there they close ranks.
    @inline(__always)
    fileprivate mutating func rewritePicture(
        _ record: UnsafeMutablePointer<PacketRecord>,
        into out: inout Rewritten
    ) {
        let frame = record.pointee.frame
        let mask: Int32 = frame.pictureIDBits == 7 ? 0x7f : frame.pictureIDBits == 15 ? 0x7fff : 0xffff
        var pictureID = frame.pictureID &+ offsets.pictureOffset
        if offsets.closesPictures {
            pictureID &-= Int32(map.picturesDropped(before: record.pointee.sequence))
        }
        out.pictureID = pictureID & mask
        if frame.tl0PicIndex >= 0 { out.tl0PictureIndex = (frame.tl0PicIndex &+ offsets.tl0Offset) & 0xff }
        if frame.keyIndex >= 0 { out.keyIndex = (frame.keyIndex &+ offsets.keyOffset) & 0x1f }
    }
}
