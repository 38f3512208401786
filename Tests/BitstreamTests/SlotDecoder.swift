// Decodes what a slot got with a real decoder and holds it against what the publishers' encoders made: no error, no
// picture that is not theirs to the bit, no picture that points at one which is not there.
import CBitstreamCodecs
import RTP
import Simulation

struct SlotDecoder {
    /// Each rule that is broken is a line of text.
    private(set) var violations: [String] = []
    /// What was decoded, in order.
    private(set) var pictures: [(shown: ShownPicture, at: Instant)] = []
    /// Pictures that were not whole, and those behind them up to the next key picture.
    private(set) var skipped = 0
    /// Times that another size or source was shown.
    private(set) var switches = 0
    private var references = ReferenceChecker()
    /// Pictures skipped since one was not whole; nil: the decoder can go on. Nothing can be decoded before a key picture.
    private var lostSince: Int? = 0

    /// Pictures.
    private static let mostBack = 2

    var layersShown: Set<Int> { Set(pictures.map(\.shown.layer)) }

    /// Decodes everything, from the first packet on.
    /// - Parameters:
    ///   - void: numbers of which the receiver was told that there is nothing.
    ///   - mostSkipped: how many pictures in a row may be missed right before a key picture. One is what a
    ///   switch breaks off; more are lost where the links lose, and what they belong to is hidden before the repair.
    init(
        _ packets: [ReceivedPacket],
        void: Set<Int64>,
        format: ClipFormat,
        publishers: [RealPublisher],
        mostSkipped: Int
    ) throws {
        var known: [UInt64: ShownPicture] = [:]
        for publisher in publishers { known.merge(publisher.shown) { a, _ in a } }
        let decoder = try RealDecoder(codec: format.codec)
        for picture in Depacketizer.pictures(packets, codec: format.name, void: void) {
            let place = "number \(picture.packets[0].sequence)"
            if picture.isKey && picture.bytes != nil {
                lostSince = nil
            } else if lostSince == nil && (picture.followsGap || picture.bytes == nil) {
                lostSince = 0
            }
            violations += references.follow(picture, format.name, isLost: lostSince != nil)
            guard let bytes = picture.bytes, lostSince == nil else {
                skipped += 1
                lostSince = (lostSince ?? 0) + 1
                if lostSince == mostSkipped + 1 {
                    violations.append("no key picture follows the loss at \(place)")
                }
                continue
            }
            decode(bytes, picture, place, decoder, known)
        }
    }

    private mutating func decode(
        _ bytes: [UInt8],
        _ picture: ReceivedPicture,
        _ place: String,
        _ decoder: RealDecoder,
        _ known: [UInt64: ShownPicture]
    ) {
        let shown: shown_picture
        do {
            shown = try decoder.decode(bytes)
        } catch {
            return violations.append("the decoder fails at \(place), layers \(picture.layers): \(error)")
        }
        guard let meant = known[shown.hash] else {
            return violations.append(
                "a picture that nobody made at \(place), layers \(picture.layers):"
                    + " bars say \(shown.source)/\(shown.frame), width \(shown.width)"
            )
        }
        if Int(shown.frame) != meant.frame || Int(shown.source) != meant.source {
            violations.append("bars say \(shown.source)/\(shown.frame) at \(place), but it is \(meant)")
        }
        if let last = pictures.last?.shown {
            // Where the layer changes, the same moment may be seen once more, or a little of the past: a key picture
            // that had to be repaired.
            let allowed = last.layer != meant.layer ? SlotDecoder.mostBack : -1
            if last.source == meant.source && last.frame - meant.frame > allowed {
                violations.append("\(meant) comes behind \(last) at \(place)")
            }
            if last.source != meant.source || last.layer != meant.layer { switches += 1 }
        }
        pictures.append((meant, picture.packets.map(\.at).max() ?? .zero))
    }

    /// Whether a decoder waits for a key picture for longer than repairs take.
    static func isStuck(
        _ packets: [ReceivedPacket],
        void: Set<Int64>,
        codec: CodecName,
        at now: Instant
    ) -> Bool {
        var since: Instant?
        for picture in Depacketizer.pictures(packets, codec: codec, void: void) {
            if picture.isKey && picture.bytes != nil {
                since = nil
            } else if since == nil && (picture.followsGap || picture.bytes == nil || picture.isFirst) {
                since = picture.packets[picture.packets.count - 1].at
            }
        }
        return since.map { now - $0 > .milliseconds(200) } ?? false
    }

    /// The longest time, in pictures of 33 ms, for which nothing new was shown.
    func longestPause(from first: Int, to last: Int) -> Int {
        var longest = 0
        var before = first
        for picture in pictures where picture.shown.frame >= first && picture.shown.frame <= last {
            longest = max(longest, picture.shown.frame - before)
            before = picture.shown.frame
        }
        return max(longest, last - before)
    }
}

/// What receivers derive from descriptors: that every picture's references came, and that numbers go on.
struct ReferenceChecker {
    private var vp8: VP8Fields?
    private var wasLost = false
    private var vp9: (pictureID: Int, tl0: Int?)?
    /// VP9: the picture that brought the structure.
    private var groupStart = 0
    private var group: [[Int]] = []
    /// Frames that came since the last key picture: picture id and spatial layer, or frame number.
    private var present: Set<[Int]> = []
    private var structure = DependencyStructure()

    /// - Parameter isLost: the decoder does not get it.
    mutating func follow(_ picture: ReceivedPicture, _ codec: CodecName, isLost: Bool = false) -> [String] {
        switch codec {
        case .vp8: followVP8(picture, isLost)
        case .vp9: isLost ? [] : followVP9(picture)
        case .av1: isLost ? [] : followAV1(picture)
        case .h264, .opus, .red: []
        }
    }

    private mutating func followVP8(_ picture: ReceivedPicture, _ isLost: Bool) -> [String] {
        let all = picture.packets.compactMap { VP8Fields($0.payload) }
        guard let fields = all.first else { return ["no VP8 descriptor"] }
        defer { vp8 = fields }
        var wrong: [String] = []
        if all.contains(where: { $0.pictureID != fields.pictureID || $0.tl0 != fields.tl0 }) {
            wrong.append("one picture with several ids")
        }
        guard let last = vp8, let id = fields.pictureID, let lastID = last.pictureID else { return wrong }
        // Of lost pictures perhaps nothing came that tells of their ids.
        let isFree = isLost || wasLost || picture.followsVoid
        wasLost = isLost
        let step = (id - lastID) & (1 << fields.pictureIDBits - 1)
        if step != 1 && !(isFree && step < 8) { wrong.append("the picture id steps by \(step)") }
        if let tl0 = fields.tl0, let lastTL0 = last.tl0 {
            let tl0Step = (tl0 - lastTL0) & 0xff
            let isRight = fields.temporal > 0 ? tl0Step == 0 : tl0Step == 1
            if !isRight && !(isFree && tl0Step < 8) {
                wrong.append("TL0PICIDX steps by \(tl0Step) at layer \(fields.temporal)")
            }
        }
        if let key = fields.keyIndex, let lastKey = last.keyIndex {
            let keyStep = (key - lastKey) & 0x1f
            let isRight = keyStep == (picture.isKey ? 1 : 0) || isFree && keyStep < 4
            if !isRight { wrong.append("KEYIDX steps by \(keyStep)") }
        }
        return wrong
    }

    private mutating func followVP9(_ picture: ReceivedPicture) -> [String] {
        let all = picture.packets.compactMap { VP9Fields($0.payload) }
        guard let first = all.first else { return ["no VP9 descriptor"] }
        var wrong: [String] = []
        if picture.isKey {
            present = []
            groupStart = first.pictureID
            group = first.group ?? []
            if first.group == nil { wrong.append("a key picture without scalability structure") }
        }
        if all.contains(where: { $0.pictureID != first.pictureID || $0.tl0 != first.tl0 }) {
            wrong.append("one picture with several ids")
        }
        for fields in all where fields.startsFrame {
            var differences = fields.differences
            if !fields.isFlexible && !picture.isKey && !group.isEmpty {
                differences = group[((fields.pictureID - groupStart) & 0x7fff) % group.count]
            }
            for difference in differences {
                let reference = [(fields.pictureID - difference) & 0x7fff, fields.spatial]
                if !present.contains(reference) {
                    wrong.append(
                        "picture \(fields.pictureID) of layer \(fields.spatial), \(fields.temporal) refers"
                            + " to \(reference[0]), which did not come"
                    )
                }
            }
            if fields.isInterLayer && !present.contains([fields.pictureID, fields.spatial - 1]) {
                wrong.append("layer \(fields.spatial) refers to the layer below, which did not come")
            }
            present.insert([fields.pictureID, fields.spatial])
        }
        if let last = vp9 {
            let step = (first.pictureID - last.pictureID) & 0x7fff
            if step == 0 || step > 0x4000 { wrong.append("the picture id steps by \(step)") }
            if let tl0 = first.tl0, let lastTL0 = last.tl0 {
                let tl0Step = (tl0 - lastTL0) & 0xff
                let isRight =
                    first.temporal > 0
                    ? tl0Step == 0 : tl0Step == 1 || picture.isKey && (1...127).contains(tl0Step)
                if !isRight { wrong.append("TL0PICIDX steps by \(tl0Step) at layer \(first.temporal)") }
            }
        }
        vp9 = (first.pictureID, first.tl0)
        return wrong
    }

    private mutating func followAV1(_ picture: ReceivedPicture) -> [String] {
        var wrong: [String] = []
        var frame: Int?
        for packet in picture.packets {
            guard let bytes = packet.descriptor,
                let descriptor = bytes.withUnsafeBufferPointer({ buffer in
                    buffer.baseAddress.flatMap {
                        DependencyDescriptor.parse(
                            $0,
                            length: buffer.count,
                            structure: &structure,
                            isNewest: true
                        )
                    }
                })
            else {
                wrong.append("no dependency descriptor at \(packet.sequence)")
                continue
            }
            if descriptor.hasStructure { present = [] }
            let number = Int(descriptor.frameNumber)
            if descriptor.startsFrame {
                for index in 0..<descriptor.differenceCount {
                    let reference = (number - Int(descriptor.differences[index])) & 0xffff
                    if !present.contains([reference]) {
                        wrong.append(
                            "frame \(number) of layer \(descriptor.spatialLayer), \(descriptor.temporalLayer)"
                                + " refers to \(reference), which did not come"
                        )
                    }
                }
                frame = number
            }
            if frame != number { wrong.append("frame \(number) does not begin") }
            if descriptor.endsFrame {
                present.insert([number])
                frame = nil
            }
        }
        if frame != nil { wrong.append("frame does not end") }
        return wrong
    }
}
