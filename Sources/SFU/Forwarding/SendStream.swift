// A slot: one outgoing stream of a subscriber, whoever it shows at the moment. What it is bound to and aims at is
// decided here and in the room; SendStream+Road forwards, SendStream+Write writes. Lives in raw memory. What the road calls
// is `mutating` even where it changes nothing: a large struct that is only borrowed is copied to the stack.
import PeerTransport
import RTP
import Seam

struct SendStream: ~Copyable {
    /// Seldom read, but for its last field: what the road needs of each packet begins there, a line into the slot.
    var sources = SourceTable()

    // What the road needs of each packet stands together: a subscriber's memory is cold when its turn comes.
    let kind: MediaKind
    private(set) var numbering = PictureNumbering.none
    /// The publisher's payload type that is forwarded under ours.
    private(set) var sourcePayloadType = SendStream.noPayloadType
    private(set) var payloadType: UInt8 = 0
    private(set) var rtxPayloadType: UInt8 = 0
    /// 0: this peer takes no RED.
    private(set) var redPayloadType: UInt8 = 0
    /// The publication's encodings, for the road.
    var layers: UnsafeMutablePointer<ReceiveStream>?
    /// −1: none yet.
    var currentLayer = -1
    /// What was shown before the last switch: packets of it that were missing then still find their place.
    var formerLayer = -1
    /// The key frame that waits for the end of the frame that is being shown, `Int64.min`: none.
    var heldSwitch = Int64.min
    private(set) var target = LayerTarget.none
    /// Muted, hidden or undecodable: nothing is forwarded, and this says why.
    var pause: SlotState.Reason = .none
    let ssrc: UInt32
    /// The highest number that went out, or of which the peer was told that nothing is under it.
    var highestSent = Int64.min
    var packetCount: UInt32 = 0
    var octetCount: UInt32 = 0
    /// How much of earlier packets is repeated.
    var redundancy = Redundancy()
    private(set) var ring: ResendRing?
    var lastSentAt: Instant?
    var template: HeaderTemplate
    var rewriter: Rewriter
    var filter = LayerFilter()

    // What it shows.
    let mid: String
    /// 0: no retransmission format here.
    private(set) var rtxSSRC: UInt32
    private(set) var section: MediaSection
    private(set) var publication: Publication?
    /// What it shows or showed last, by `Publication.ordinal`; 0: nothing yet.
    private(set) var lastShown: UInt64 = 0
    /// What the tile asks for, whether the publisher sends it or not.
    private(set) var ideal = LayerTarget.none
    /// Why it is no better layer.
    private(set) var limit = SlotState.Reason.none
    var formerFilter = LayerFilter()
    var tile: Wishes.Tile?
    /// What fills the tile, whether there is room for it or not.
    var choice = LayerChoice(target: .none, ideal: .none)
    /// The best encoding that there is room for, or soon may be; −1: the least.
    var reach: Int8 = -1
    /// What the next better layer needs in all and what there is, bits per second; 0: room is not what is missing.
    private(set) var needed = 0
    private(set) var available = 0
    /// Grows where what was numbered before must not be sent any more.
    private(set) var epoch: UInt32 = 0
    /// How often numbers that had not gone out were taken back.
    private(set) var takenBack: UInt32 = 0
    /// What `payloadType` was found for.
    private var usedCodec: CodecParameters?
    private(set) var clockRate: UInt32 = 90_000
    /// How often a switch was put off because its key frame came late.
    var postponements = 0
    var heldSince = Instant.zero

    // What went out.
    var rtxSequence: Int64
    var keyFrameSentAt: Instant?
    /// The timestamps have a new base since the last sender report.
    var wantsReport = false
    var roundTrip: Interval?
    /// The last fraction lost that the subscriber reported, in 1/256.
    var fractionLost: UInt8 = 0
    /// As the subscriber reports it.
    private(set) var jitter = Interval.zero
    /// Since when the subscriber waits for a key frame because it lost the picture.
    var pictureLostAt: Instant?
    /// What was last told to the gateway; nil: it may know something else.
    var reported: SlotDigest? = SlotDigest()

    /// Asks for what the road needs of an audio packet.
    @inline(__always)
    static func prefetch(_ stream: UnsafeMutablePointer<SendStream>) {
        Prefetch.memory(UnsafeRawPointer(stream) + Prefetch.line, bytes: 5 * Prefetch.line)
    }

    private static let noPayloadType: UInt8 = 0xff

    /// - Parameter past: where a former slot with these SSRCs stopped.
    init(section: MediaSection, slot: SlotParameters, past: SentNumbers, random: inout RandomSource) {
        mid = section.mid
        kind = section.kind
        ssrc = slot.ssrc
        rtxSSRC = slot.rtxSSRC ?? 0
        self.section = section
        template = HeaderTemplate(section: section, ssrc: slot.ssrc)
        let number = UInt16.random(in: 0..<0x8000, using: &random)
        let timestamp = UInt32.random(in: 0..<0x7fff_ffff, using: &random)
        let rtxNumber = Int64(UInt16.random(in: 0..<0x8000, using: &random))
        let hasFrames = section.kind == .video
        rewriter = Rewriter(firstSequence: number, firstTimestamp: timestamp, hasFrames: hasFrames)
        if let old = past[slot.ssrc] {
            rewriter = Rewriter(after: old.highest, timestamp: old.timestamp, hasFrames: hasFrames)
        }
        rtxSequence = past[rtxSSRC].map { $0.highest + 1 } ?? rtxNumber
        highestSent = rewriter.highestSequence
    }

    var isBound: Bool { publication != nil }
    var isPaused: Bool { pause != .none }
    /// Nothing but a key frame brings what is wanted.
    var awaitsKeyFrame: Bool {
        guard isBound, pause == .none, target.encoding >= 0 else { return false }
        guard Int(target.encoding) == currentLayer, let layers else { return true }
        return filter.needsKeyFrame(top: layers[currentLayer].layers.top)
    }

    // MARK: Binding (control path)

    /// Takes over what was negotiated anew for the same SSRC: the numbers go on.
    mutating func reconfigure(_ new: MediaSection, slot: SlotParameters, past: SentNumbers) {
        if let rtx = slot.rtxSSRC, rtx != rtxSSRC, let old = past[rtx] { rtxSequence = old.highest + 1 }
        rtxSSRC = slot.rtxSSRC ?? 0
        guard new.codecs != section.codecs || new.extensions != section.extensions else {
            return section = new
        }
        section = new
        template = HeaderTemplate(section: new, ssrc: ssrc)
        // What went out with other ids cannot be made the same again.
        sources = SourceTable()
        usedCodec = nil
        sourcePayloadType = SendStream.noPayloadType
        stop()
    }

    /// Shows this publication from its next switch point on.
    mutating func bind(to publication: Publication) {
        unbind()
        self.publication = publication
        lastShown = publication.ordinal
        publication.viewers += 1
        layers = publication.layers
        if ring == nil { ring = ResendRing(capacity: kind == .audio ? 64 : 512) }
    }

    mutating func unbind() {
        publication?.viewers -= 1
        publication = nil
        layers = nil
        target = .none
        ideal = .none
        limit = .none
        choice = LayerChoice(target: .none, ideal: .none)
        needed = 0
        available = 0
        pause = .none
        usedCodec = nil
        sourcePayloadType = SendStream.noPayloadType
        stop()
    }

    /// The encodings of a publication are about to be freed.
    mutating func forget(_ gone: Publication) {
        sources.forget(gone.layers, count: gone.layerCount)
        if publication === gone { unbind() }
    }

    /// Takes the payload types for the codec that the publication sends. False: this peer cannot decode it.
    mutating func use(_ codec: CodecParameters) -> Bool {
        if usedCodec == codec { return sourcePayloadType != SendStream.noPayloadType }
        if usedCodec != nil { stop() }
        usedCodec = codec
        sourcePayloadType = SendStream.noPayloadType
        guard let match = section.codecs.first(where: { isDecodable(codec, by: $0) }) else { return false }
        sourcePayloadType = codec.payloadType
        payloadType = match.payloadType
        rtxPayloadType = rtxSSRC == 0 ? 0 : match.rtxPayloadType ?? 0
        let red = section.codecs.first { $0.redundantPayloadType == match.payloadType }
        redPayloadType = red?.payloadType ?? 0
        clockRate = match.clockRate
        numbering = PictureNumbering(codec.name)
        return true
    }

    /// What there is room for.
    mutating func aim(at choice: LayerChoice, needed: Int, available: Int) {
        self.needed = needed
        self.available = available
        aim(at: choice)
    }

    /// Not even the lowest layer has room.
    mutating func starve(needed: Int, available: Int) {
        self.needed = needed
        self.available = available
        ideal = choice.ideal
        guard pause != .bandwidth else { return }
        pause = .bandwidth
        stop()
    }

    mutating func aim(at choice: LayerChoice) {
        if choice.target.encoding != target.encoding {
            postponements = 0
            heldSwitch = .min
        }
        target = choice.target
        ideal = choice.ideal
        limit = choice.reason
        if Int(target.encoding) == currentLayer {
            filter.want(spatial: target.spatial, temporal: target.temporal)
        }
    }

    /// Ticks of the clock, as in a report block.
    mutating func note(jitter ticks: UInt32) {
        jitter = .microseconds(Int64(min(ticks, clockRate)) * 1_000_000 / Int64(max(1, clockRate)))
    }

    /// The subscriber asks for a key frame.
    mutating func lostPicture(at now: Instant) {
        if currentLayer >= 0 && pictureLostAt == nil { pictureLostAt = now }
    }

    /// Leaves out upper temporal layers of what is shown, whatever is aimed at.
    mutating func thin() { filter.want(spatial: filter.choice.spatial, temporal: 0) }

    /// The opposite.
    mutating func thicken() {
        guard Int(target.encoding) == currentLayer else { return }
        filter.want(spatial: target.spatial, temporal: target.temporal)
    }

    /// What waits in the pacer is of no use any more.
    mutating func abandon() { epoch &+= 1 }

    /// The same, and its numbers go to what comes next, so that nobody misses them. Never between the numbering of a
    /// packet and its departure: a number that goes out twice would undo the encryption (RFC 7714 §8.4).
    private mutating func takeBackNumbers() {
        abandon()
        guard rewriter.highestSequence > highestSent else { return }
        takenBack &+= 1
        ring?.forget((highestSent + 1)...rewriter.highestSequence)
        rewriter.rewind(to: highestSent)
    }

    /// Stops what is shown; the next packet that goes out is a switch point. Not to be called while packets depart.
    mutating func stop() {
        currentLayer = -1
        formerLayer = -1
        postponements = 0
        heldSwitch = .min
        pictureLostAt = nil
        takeBackNumbers()
        rewriter.end()
    }

    /// A number that was reserved for a packet which nobody gets: who asks for it is told that it is empty.
    mutating func void(_ sequence: Int64, of record: UnsafeMutablePointer<PacketRecord>) {
        void(sequence, timestamp: record.pointee.timestamp)
    }

    mutating func void(_ sequence: Int64, timestamp: UInt32) {
        guard sequence <= rewriter.highestSequence,
            ring?.isFree(sequence, highest: rewriter.highestSequence) == true
        else { return }
        ring?.note(
            SentPacket(sequence: sequence, timestamp: timestamp, payloadType: payloadType, flags: .void)
        )
    }
}

/// What numbers pictures in packets of a codec, and goes on over switches.
enum PictureNumbering: UInt8 {
    case none, vp8, vp9, descriptor

    init(_ codec: CodecName) {
        switch codec {
        case .vp8: self = .vp8
        case .vp9: self = .vp9
        case .av1: self = .descriptor
        default: self = .none
        }
    }
}
