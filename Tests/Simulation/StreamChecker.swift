// What must hold of everything that a subscriber got on one slot, whatever the network and the switches did: numbers,
// timestamps, markers. Frames and descriptors are looked at in files of their own. Knows what was sent, not how.
import RTP

/// Looks at one slot's packets. Each rule that is broken is a line of text; an empty list is a stream in order.
public struct StreamChecker {
    /// A packet that came, and what it was when it left its publisher.
    struct Entry {
        var packet: ReceivedPacket
        var stamp: Stamp
        var original: OriginalPacket
        /// Of the stretch between two switches.
        var segment = 0
        /// Before this packet: numbers that the server never used and did not declare void, and those that it did use
        /// but that never came.
        var holes = 0
        var unrepaired = 0
        var voids = 0
    }

    /// What is known besides the packets themselves.
    public struct Context {
        /// The publishers' packets, and their places by stamp.
        public var publishers: [SimulatedPublisher]
        /// Numbers that the server used; nil: not known.
        public var numbersSent: Set<Int64>?
        /// Numbers of which it said that there is nothing.
        public var void: Set<Int64> = []
        /// The server can say that there is nothing under a number (RFC 4588, a retransmission without payload).
        public var canVoid = true
        /// The subscriber takes dependency descriptors.
        public var hasDescriptors = true

        public init(publishers: [SimulatedPublisher]) { self.publishers = publishers }
    }

    public private(set) var violations: [String] = []
    /// Numbers that nobody sent: at most one where a switch broke a frame off, and those of packets that the server
    /// never got.
    public private(set) var gaps = 0
    /// Numbers that the server used and that never came.
    public private(set) var unrepaired = 0
    public private(set) var voids = 0
    /// Times that another source or layer began.
    public private(set) var switches = 0
    public private(set) var frames = 0
    /// Encodings, spatial layers and temporal layers that came.
    public private(set) var layersSeen: Set<UInt8> = []
    public private(set) var spatialSeen: Set<UInt8> = []
    public private(set) var temporalSeen: Set<UInt8> = []
    /// The largest disagreement between timestamps and capture times over a switch of layers, in microseconds.
    public private(set) var worstAlignment: Int64 = 0

    let kind: MediaKind
    var entries: [Entry] = []
    private var ends: [Instant] = []
    let context: Context

    public init(_ packets: [ReceivedPacket], kind: MediaKind, context: Context) {
        self.kind = kind
        self.context = context
        collect(packets)
        if let first = entries.first {
            // Of what came before the first one nobody knows what is missing.
            let before = context.numbersSent?.filter { $0 < first.packet.sequence }.count ?? 0
            entries[0].unrepaired = before
        }
        for i in entries.indices.dropFirst() { count(before: i) }
        findEnds()
        for i in entries.indices.dropFirst() { follow(i) }
        if kind == .video {
            checkMarkers()
            checkFrames()
            checkDescriptors()
        }
    }

    mutating func violate(_ text: String) {
        if violations.count < 200 { violations.append(text) }
    }

    func describe(_ entry: Entry) -> String {
        let s = entry.stamp
        return "\(entry.packet.sequence) (\(s.layer):\(s.spatial):\(s.temporal) f\(s.frame)"
            + " \(s.part + 1)/\(s.partCount)\(s.isKey ? " key" : ""))"
    }

    private mutating func collect(_ packets: [ReceivedPacket]) {
        var seen: Set<Appearance> = []
        let bySource = Dictionary(
            context.publishers.map { ($0.source.id, $0) },
            uniquingKeysWith: { a, _ in a }
        )
        for packet in packets.sorted(by: { $0.sequence < $1.sequence }) {
            guard let stamp = packet.stamp, let publisher = bySource[stamp.source],
                let place = publisher.sent[stamp]
            else {
                violate("packet \(packet.sequence) carries nothing that was sent")
                continue
            }
            let original = publisher.originals[place]
            let appearance = Appearance(stamp: stamp, clock: packet.timestamp &- original.timestamp)
            if !seen.insert(appearance).inserted { violate("\(stamp) came twice") }
            entries.append(Entry(packet: packet, stamp: stamp, original: original))
            layersSeen.insert(stamp.layer)
            spatialSeen.insert(stamp.spatial)
            temporalSeen.insert(stamp.temporal)
            compare(entries[entries.count - 1])
        }
    }

    /// Who was away for a moment is shown the last key frame again, at a later time.
    private struct Appearance: Hashable {
        var stamp: Stamp
        var clock: UInt32
    }

    /// What may not change did not.
    private mutating func compare(_ entry: Entry) {
        let original = entry.original
        if PayloadParts.neutral(entry.packet.payload, original.codec)
            != PayloadParts.neutral(original.payload, original.codec)
        {
            violate("\(describe(entry)) has another payload")
        }
        guard kind == .video else { return }
        if entry.packet.orientation != original.orientation { violate("\(describe(entry)) is turned") }
        if entry.packet.captureTime != original.captureTime {
            violate("\(describe(entry)) was captured at another time")
        }
    }

    /// What lies between a packet and the one before.
    private mutating func count(before i: Int) {
        let (a, b) = (entries[i - 1], entries[i])
        var segment = a.segment
        if StreamChecker.isSwitch(a, b) { segment += 1 }
        entries[i].segment = segment
        guard b.packet.sequence - a.packet.sequence > 1 else { return }
        guard b.packet.sequence - a.packet.sequence < 5000 else {
            return violate("the numbers jump to \(describe(b))")
        }
        for number in (a.packet.sequence + 1)..<b.packet.sequence {
            if context.void.contains(number) {
                entries[i].voids += 1
            } else if context.numbersSent?.contains(number) == true {
                entries[i].unrepaired += 1
            } else {
                entries[i].holes += 1
            }
        }
        voids += entries[i].voids
        unrepaired += entries[i].unrepaired
        gaps += entries[i].holes
    }

    /// Another source or encoding, or the same one begun anew at a key frame.
    private static func isSwitch(_ a: Entry, _ b: Entry) -> Bool {
        if a.stamp.source != b.stamp.source || a.original.ssrc != b.original.ssrc { return true }
        guard b.stamp.startsKeyFrame else { return false }
        return a.packet.timestamp &- a.original.timestamp != b.packet.timestamp &- b.original.timestamp
    }

    func isBoundary(_ i: Int) -> Bool { i == 0 || entries[i].segment != entries[i - 1].segment }

    /// The same encoding may have begun anew here without a change of its clock: something was left out before.
    func mayBegin(_ i: Int) -> Bool {
        guard i > 0, entries[i].stamp.startsKeyFrame else { return false }
        return entries[i].original.sequence > entries[i - 1].original.sequence + 1
    }

    /// When the server got the last packet of each stretch without a pause or switch, by place.
    private mutating func findEnds() {
        ends = Array(repeating: .zero, count: entries.count)
        var end = Instant.zero
        for i in entries.indices.reversed() {
            end = max(end, entries[i].original.arrivedAt ?? .zero)
            ends[i] = end
            // A pause may end without a trace at a key frame, and nobody needs what is older then.
            if isBoundary(i) || entries[i].stamp.startsKeyFrame { end = .zero }
        }
    }

    /// What is filtered only when later packets have gone leaves a number.
    private func cameBehind(_ original: OriginalPacket, _ next: OriginalPacket) -> Bool {
        (original.arrivedAt ?? .zero) >= (next.arrivedAt ?? .zero)
    }

    /// The packet came when what it belongs to was over: its number stays open.
    /// Or so late that nobody could use it.
    func cameAfterTheEnd(_ original: OriginalPacket, of i: Int) -> Bool {
        original.arrivedAt.map { $0 > ends[i] || $0 - original.sentAt > .seconds(1) } ?? false
    }

    /// How many packets of `a`'s stream between these numbers the server never got.
    func neverArrived(_ a: Entry, from first: Int64, to last: Int64) -> Int {
        guard let publisher = context.publishers.first(where: { $0.source.id == a.stamp.source }) else {
            return 0
        }
        var count = 0
        for number in stride(from: first, through: last, by: 1) {
            guard let it = publisher.original(ssrc: a.original.ssrc, sequence: number) else { continue }
            if it.arrivedAt == nil { count += 1 }
        }
        return count
    }

    func original(_ frame: Stamp.FrameID, part: UInt8) -> OriginalPacket? {
        context.publishers.first { $0.source.id == frame.source }?.original(frame, part: part)
    }

    func original(_ a: Entry, sequence: Int64) -> OriginalPacket? {
        context.publishers.first { $0.source.id == a.stamp.source }?
            .original(ssrc: a.original.ssrc, sequence: sequence)
    }

    private mutating func follow(_ i: Int) {
        let (a, b) = (entries[i - 1], entries[i])
        let ticks = Int32(bitPattern: b.packet.timestamp &- a.packet.timestamp)
        if isBoundary(i) {
            switches += 1
            frames += 1
            begin(a, b, ticks)
            return
        }
        let (x, y) = (a.original.sequence, b.original.sequence)
        guard y > x else { return violate("\(describe(b)) comes after \(describe(a))") }
        if b.holes > 0 {
            // What the server never got may have been anything; each may have its number.
            let between = stride(from: x + 1, to: y, by: 1).compactMap { original(a, sequence: $0) }
            let lost = between.filter {
                $0.arrivedAt == nil || cameAfterTheEnd($0, of: i)
                    || !context.canVoid && cameBehind($0, b.original)
            }.count
            if b.holes > lost && !isBrokenOff(a, b) {
                violate("\(b.holes) numbers are missing before \(describe(b)), \(lost) packets were lost")
            }
        }
        let expected = Int32(bitPattern: b.original.timestamp &- a.original.timestamp)
        let isSamePicture = a.stamp.frame == b.stamp.frame
        if kind == .audio || isSamePicture {
            if ticks != expected { violate("\(ticks) instead of \(expected) ticks before \(describe(b))") }
        } else {
            // The clock may be drawn to where it belongs, 1 ms a frame.
            if abs(ticks - expected) > 90 {
                violate("\(ticks) instead of \(expected) ticks before \(describe(b))")
            }
            if ticks <= 0 { violate("the timestamp goes back at \(describe(b))") }
        }
        if !isSamePicture { frames += 1 }
    }

    /// A pause that ended at a key frame of the same encoding: like a switch, it may have cut a frame.
    func isBrokenOff(_ a: Entry, _ b: Entry) -> Bool {
        b.stamp.startsKeyFrame && b.holes == 1 && !endsPicture(a)
    }

    /// The last packet of its frame, and no more of the picture is known to follow.
    func endsPicture(_ a: Entry) -> Bool { a.stamp.part + 1 == a.stamp.partCount && a.packet.marker }

    /// Another source goes on where the last one stopped.
    private mutating func begin(_ a: Entry, _ b: Entry, _ ticks: Int32) {
        let isRepaired = b.unrepaired == 0
        if kind == .video && !b.stamp.startsKeyFrame && isRepaired {
            violate("layer \(b.stamp.layer) begins without a key frame at \(describe(b))")
        }
        if ticks <= 0 { violate("the timestamp goes back at \(describe(b))") }
        let isWhole = kind == .audio || endsPicture(a)
        // Packets of the old layer that were expected and never came to the server, and one for a broken frame.
        var excused = neverArrived(a, from: a.original.sequence + 1, to: a.original.sequence + 64) + 1
        // Where the last of what was sent never came, nobody knows which of the old layer's packets stood before it.
        if b.unrepaired > 0 { excused += 8 }
        if b.holes > (isWhole ? excused - 1 : excused) {
            violate("\(b.holes) numbers are missing where \(describe(b)) begins")
        }
        if !isWhole && isRepaired && b.holes + b.voids == 0 {
            violate("\(describe(a)) was broken off and no number tells")
        }
        guard a.stamp.source == b.stamp.source, kind == .video else { return }
        let captured = (b.stamp.time - a.stamp.time).microseconds
        let error = Int64(ticks) * 100 / 9 - captured
        worstAlignment = max(worstAlignment, abs(error))
    }
}

extension SimulatedPeer {
    /// The packets of one slot.
    public func packets(on slot: Int) -> [ReceivedPacket] { received.filter { $0.ssrc == slots[slot].ssrc } }

    /// What is known of one slot besides its packets.
    public func context(of slot: Int, from publishers: [SimulatedPublisher]) -> StreamChecker.Context {
        var context = StreamChecker.Context(publishers: publishers)
        let ssrc = slots[slot].ssrc
        context.numbersSent = numbersSent[ssrc]?.numbers
        context.void = receivers[ssrc]?.void ?? []
        context.canVoid = slots[slot].rtx != nil
        context.hasDescriptors =
            allowsMixedExtensions && negotiatedExtensions.contains { $0.kind == .dependencyDescriptor }
        return context
    }
}
