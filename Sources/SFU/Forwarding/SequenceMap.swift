// Which outgoing number an incoming packet has: packets that are filtered out leave no gap, packets that are
// missing do, and a late packet gets the number of its place, not of its time.

/// Extended sequence numbers in, extended sequence numbers out, for one source of one outgoing stream. What is asked for
/// each packet fits into a line of the cache; the rest is elsewhere, and is there once something was filtered.
struct SequenceMap: ~Copyable {
    /// A stretch of incoming numbers between filtered ones. Numbers are cut short: only the newest matter.
    private struct Range {
        var start: UInt32 = 0
        var end: UInt32 = 0
        var dropped: UInt16 = 0
        var pictures: UInt16 = 0

        var isEmpty: Bool { Int32(bitPattern: end &- start) < 0 }
    }

    /// The open range, where nearly every packet falls.
    private var start: Int64
    private var offset: Int64
    /// Packets and pictures that were filtered so far.
    private var dropped: UInt16 = 0
    private var pictures: UInt16 = 0
    private(set) var highest: Int64
    private var newest: UInt8 = 0
    private var used: UInt8 = 0
    /// Ranges that ended, once there were any; the oldest are overwritten.
    private var closed: UnsafeMutablePointer<Range>?
    private static let rangeCount = 64

    /// Begins at this incoming packet, which gets this outgoing number.
    init(first incoming: Int64, as outgoing: Int64) {
        start = incoming
        offset = outgoing - incoming
        highest = incoming - 1
    }

    deinit { closed?.deallocate() }

    /// Begins anew, as `init` does, in the same memory.
    mutating func restart(first incoming: Int64, as outgoing: Int64) {
        start = incoming
        offset = outgoing - incoming
        highest = incoming - 1
        dropped = 0
        pictures = 0
        newest = 0
        used = 0
    }

    /// The outgoing number of this packet, nil if it was filtered or came before all that is remembered.
    @inline(__always)
    mutating func map(_ incoming: Int64) -> Int64? {
        if incoming > highest { highest = incoming }
        return place(incoming)
    }

    /// The same, of a packet that does not move the head.
    @inline(__always)
    mutating func place(_ incoming: Int64) -> Int64? {
        if incoming >= start { return incoming + offset }
        guard let range = find(incoming) else { return nil }
        return incoming + offset + Int64(dropped &- range.dropped)
    }

    /// How many pictures were filtered before this packet.
    @inline(__always)
    mutating func picturesDropped(before incoming: Int64) -> UInt16 {
        if incoming >= start { return pictures }
        return find(incoming)?.pictures ?? pictures
    }

    private mutating func find(_ incoming: Int64) -> Range? {
        guard let closed, let age = age(of: UInt32(truncatingIfNeeded: incoming)) else { return nil }
        return closed[index(age)]
    }

    /// Takes this packet out of the outgoing numbers. A packet that is late leaves its hole: the numbers behind it
    /// are already used.
    /// - Parameter closesPicture: it is the first of its picture to be filtered.
    mutating func drop(_ incoming: Int64, closesPicture: Bool = false) {
        guard incoming > highest else { return }
        highest = incoming
        if incoming > start { pushOpenRange(before: incoming) }
        start = incoming + 1
        shift(closesPicture)
    }

    /// Takes a packet out that came late, but before anything behind it went out: the numbers behind it are free yet.
    mutating func close(_ incoming: Int64, closesPicture: Bool) {
        guard incoming <= highest, incoming < start else {
            if incoming <= highest { closeInOpenRange(incoming, closesPicture: closesPicture) }
            return
        }
        let number = UInt32(truncatingIfNeeded: incoming)
        guard let closed, let age = age(of: number) else { return }
        let pictures: UInt16 = closesPicture ? 1 : 0
        let place = index(age)
        var behind = closed[place]
        // What lies behind it moves down.
        for newer in 0..<age {
            closed[index(newer)].dropped &+= 1
            closed[index(newer)].pictures &+= pictures
        }
        closed[place].end = number &- 1
        behind.start = number &+ 1
        behind.dropped &+= 1
        behind.pictures &+= pictures
        if closed[place].isEmpty {
            if behind.isEmpty { remove(age: age) } else { closed[place] = behind }
        } else if !behind.isEmpty {
            insert(behind, age: age)
        }
        shift(closesPicture)
    }

    private mutating func closeInOpenRange(_ incoming: Int64, closesPicture: Bool) {
        if incoming > start { pushOpenRange(before: incoming) }
        start = incoming + 1
        shift(closesPicture)
    }

    private mutating func shift(_ closesPicture: Bool) {
        offset -= 1
        dropped &+= 1
        if closesPicture { pictures &+= 1 }
    }

    private mutating func index(_ age: Int) -> Int {
        (Int(newest) + SequenceMap.rangeCount - age) % SequenceMap.rangeCount
    }

    private mutating func age(of number: UInt32) -> Int? {
        guard let closed else { return nil }
        for age in 0..<Int(used) {
            let range = closed[index(age)]
            guard Int32(bitPattern: number &- range.start) >= 0 else { continue }
            return Int32(bitPattern: range.end &- number) >= 0 ? age : nil
        }
        return nil
    }

    private mutating func pushOpenRange(before incoming: Int64) {
        push(
            Range(
                start: UInt32(truncatingIfNeeded: start),
                end: UInt32(truncatingIfNeeded: incoming - 1),
                dropped: dropped,
                pictures: pictures
            )
        )
    }

    private mutating func remove(age: Int) {
        guard let closed else { return }
        for newer in (0..<age).reversed() { closed[index(newer + 1)] = closed[index(newer)] }
        newest = UInt8(truncatingIfNeeded: index(1))
        used -= 1
    }

    private mutating func push(_ range: Range) {
        let ranges = closed ?? SequenceMap.makeRanges()
        closed = ranges
        newest = UInt8(truncatingIfNeeded: (Int(newest) + 1) % SequenceMap.rangeCount)
        used = UInt8(truncatingIfNeeded: min(Int(used) + 1, SequenceMap.rangeCount))
        ranges[Int(newest)] = range
    }

    @inline(never)
    private static func makeRanges() -> UnsafeMutablePointer<Range> {
        let ranges = UnsafeMutablePointer<Range>.allocate(capacity: rangeCount)
        ranges.initialize(repeating: Range(), count: rangeCount)
        return ranges
    }

    /// Puts a range right behind the one of this age.
    private mutating func insert(_ range: Range, age: Int) {
        push(range)
        guard let closed else { return }
        for newer in 0..<age { closed[index(newer)] = closed[index(newer + 1)] }
        closed[index(age)] = range
    }
}
