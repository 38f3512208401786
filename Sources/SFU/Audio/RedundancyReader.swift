// What one RED packet of a publisher (RFC 2198) is as plain Opus packets: the one that it is, and those before it
// that it repeats, with the numbers that they had. Knows no stream and stores nothing.
import RTP

/// The frames of one payload. Bounds are checked here: every offset and length lies in the payload.
struct RedundancyReader {
    /// An earlier packet that this one repeats.
    struct Frame {
        /// From the first byte of the RED payload.
        var offset = 0
        var length = 0
        var timestamp: UInt32 = 0
        /// The number that it was sent with, low 16 bits.
        var sequenceNumber: UInt16 = 0
        /// Packets before the primary.
        var distance: UInt8 = 0
        /// It ends where the next frame of this packet begins, so that nothing was sent between: its number is sure.
        var isAdjacent = false
    }

    /// The publisher's payload type of all frames. Whether it is Opus is the caller's to check.
    let payloadType: UInt8
    /// Where the primary begins, from the first byte of the payload.
    let primaryOffset: Int
    /// Never 0.
    let primaryLength: Int
    /// Redundant frames.
    private(set) var count = 0
    private var frames = InlineArray<4, Frame>(repeating: Frame())
    /// Of the primary, in ticks of 48 kHz; 0: it is no Opus packet.
    private let duration: UInt32

    /// - Parameters:
    ///   - sequenceNumber: of the packet's header, which is that of its primary block.
    ///   - timestamp: the same.
    /// - Returns: nil where headers or blocks are cut off or the primary is empty. A redundant block that is of no use
    ///   is left out: of another payload type, empty, no Opus, or with a timestamp that no packet before had.
    init?(_ payload: UnsafePointer<UInt8>, length: Int, sequenceNumber: UInt16, timestamp: UInt32) {
        guard var walk = REDPayload(payload, length: length) else { return nil }
        let primary = walk.primary
        payloadType = primary.payloadType
        primaryOffset = primary.offset
        primaryLength = primary.length
        duration = UInt32(
            OpusPayload.parse(payload + primary.offset, length: primary.length)?.duration ?? 0
        )
        // The newest of them: what is repeated late is repeated for nobody.
        var blocks = InlineArray<4, REDBlock>(repeating: primary)
        var found = 0
        while let block = walk.next() {
            guard !block.isPrimary, block.payloadType == primary.payloadType, block.length > 0 else {
                continue
            }
            blocks[found & 3] = block
            found += 1
        }
        let kept = min(found, Limits.Audio.redundantBlocks)
        var newest = InlineArray<4, Frame>(repeating: Frame())
        // The frame behind the one that is looked at: how long before the primary it begins, and its place.
        var next: UInt32 = 0
        var place: UInt32 = 0
        var isChained = true
        for i in 0..<kept {
            let block = blocks[(found - 1 - i) & 3]
            let offset = UInt32(block.timestampOffset)
            guard offset > next,
                let opus = OpusPayload.parse(payload + block.offset, length: block.length)
            else {
                isChained = false
                continue
            }
            isChained = isChained && offset - next == UInt32(opus.duration)
            let distance: UInt32
            if isChained {
                distance = place + 1
            } else {
                guard duration > 0, offset % duration == 0 else { continue }
                distance = offset / duration
            }
            guard distance > place, distance <= Limits.Audio.redundancyReach else {
                isChained = false
                continue
            }
            newest[count] = Frame(
                offset: block.offset,
                length: block.length,
                timestamp: timestamp &- offset,
                sequenceNumber: sequenceNumber &- UInt16(truncatingIfNeeded: distance),
                distance: UInt8(truncatingIfNeeded: distance),
                isAdjacent: isChained
            )
            count += 1
            next = offset
            place = distance
        }
        for i in 0..<count { frames[i] = newest[count - 1 - i] }
    }

    /// Redundant frames, the oldest first; `index` below `count`.
    subscript(index: Int) -> Frame { frames[index] }

    /// The extended number under which the history lacks this frame.
    /// - Parameter sequence: the extended number of the primary.
    /// - Returns: nil where the packet is there, or where it is not certain that this is its number: silence (DTX)
    ///   makes timestamps jump and numbers not.
    func missing(_ frame: Frame, before sequence: Int64, in history: borrowing PacketHistory) -> Int64? {
        let place = sequence &- Int64(frame.distance)
        guard !history.contains(place) else { return nil }
        if frame.isAdjacent { return place }
        // Frames follow each other without a gap from a packet before to the primary: one number each.
        var back: UInt32 = 1
        while back <= Limits.Audio.redundancyReach {
            if let earlier = history.record(place &- Int64(back)) {
                return frame.timestamp &- earlier.pointee.timestamp == back * duration ? place : nil
            }
            back += 1
        }
        return nil
    }
}
