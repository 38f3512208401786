// Which outgoing number an incoming packet has: packets that are filtered out leave no gap, packets that are
// missing do, and a late packet gets the number of its place, not of its time.

/// Extended sequence numbers in, extended sequence numbers out, for one source of one outgoing stream.
struct SequenceMap {
    private struct Range {
        /// First incoming number of the range.
        var start: Int64
        /// Last incoming number; `Int64.max` for the range that is still open.
        var end: Int64
        /// out = in + offset
        var offset: Int64
    }

    private static let rangeCount = 32
    private var ranges: InlineArray<32, Range>
    /// Ranges in use end here; older ones are overwritten.
    private var newest = 0
    private var used = 0
    private(set) var highest: Int64

    /// Begins at this incoming packet, which gets this outgoing number.
    init(first incoming: Int64, as outgoing: Int64) {
        ranges = InlineArray(repeating: Range(start: .max, end: .min, offset: 0))
        ranges[0] = Range(start: incoming, end: .max, offset: outgoing - incoming)
        used = 1
        highest = incoming - 1
    }

    /// The outgoing number of this packet, nil if it was filtered or came before all that is remembered.
    @inline(__always)
    mutating func map(_ incoming: Int64) -> Int64? {
        if incoming > highest { highest = incoming }
        return place(incoming)
    }

    /// The same, of a packet that does not move the head.
    @inline(__always)
    func place(_ incoming: Int64) -> Int64? {
        if incoming >= ranges[newest].start { return incoming + ranges[newest].offset }
        return placeLate(incoming)
    }

    private func placeLate(_ incoming: Int64) -> Int64? {
        var index = newest
        for _ in 0..<used {
            let range = ranges[index]
            if incoming >= range.start { return incoming <= range.end ? incoming + range.offset : nil }
            index = (index + SequenceMap.rangeCount - 1) % SequenceMap.rangeCount
        }
        return nil
    }

    /// Takes this packet out of the outgoing numbers. A packet that is late leaves its hole: the numbers behind it
    /// are already used.
    mutating func drop(_ incoming: Int64) {
        guard incoming > highest else { return }
        highest = incoming
        if ranges[newest].start == incoming {
            // Nothing was mapped in the newest range yet: shorten it instead of opening another.
            ranges[newest].start = incoming + 1
            ranges[newest].offset -= 1
            return
        }
        ranges[newest].end = incoming - 1
        let offset = ranges[newest].offset - 1
        newest = (newest + 1) % SequenceMap.rangeCount
        used = min(used + 1, SequenceMap.rangeCount)
        ranges[newest] = Range(start: incoming + 1, end: .max, offset: offset)
    }
}
