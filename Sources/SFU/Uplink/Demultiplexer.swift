// Which encoding a packet of a bundled transport belongs to (RFC 8843 §9.2): by SSRC once bound, before that by MID
// and RID, by what the SDP announced, or by a payload type that only one m-section has.
import RTP

/// What an SSRC of this peer stands for.
struct StreamBinding {
    var ssrc: UInt32
    var isRTX: Bool
    var stream: UnsafeMutablePointer<ReceiveStream>
}

struct Demultiplexer: ~Copyable {
    /// None before the first one: who only receives needs no room.
    private var bindings: UnsafeMutablePointer<StreamBinding>?
    private(set) var count = 0

    init() {}

    deinit { bindings?.deallocate() }

    /// The binding of an SSRC; a peer has a few.
    @inline(__always)
    func find(_ ssrc: UInt32) -> UnsafeMutablePointer<StreamBinding>? {
        guard let bindings else { return nil }
        for i in 0..<count where bindings[i].ssrc == ssrc { return bindings + i }
        return nil
    }

    /// False: as many streams as a session may have.
    mutating func bind(_ ssrc: UInt32, to stream: UnsafeMutablePointer<ReceiveStream>, isRTX: Bool) -> Bool {
        if let known = find(ssrc) {
            known.pointee = StreamBinding(ssrc: ssrc, isRTX: isRTX, stream: stream)
            return true
        }
        guard count < Limits.Media.receiveStreamsPerSession else { return false }
        let bindings = bindings ?? .allocate(capacity: Limits.Media.receiveStreamsPerSession)
        self.bindings = bindings
        (bindings + count).initialize(to: StreamBinding(ssrc: ssrc, isRTX: isRTX, stream: stream))
        count += 1
        return true
    }

    mutating func unbind(_ ssrc: UInt32) {
        guard let bindings, let known = find(ssrc) else { return }
        count -= 1
        known.pointee = bindings[count]
    }

    /// Everything that is bound to the encodings of a publication.
    func bindings(of publication: Publication) -> [StreamBinding] {
        guard let bindings else { return [] }
        return (0..<count).map { bindings[$0] }.filter { $0.stream.pointee.publication === publication }
    }
}

/// What the payload types of a peer mean; the same in all its bundled m-sections.
struct PayloadTypes {
    struct Entry {
        /// Place in `codecs`, −1: unknown.
        var codec: Int8 = -1
        var isRTX = false
        /// Opus packets with others in front of them; `codec` is Opus.
        var isRED = false
    }

    private var entries = InlineArray<128, Entry>(repeating: Entry())
    private(set) var codecs: [CodecParameters] = []
    private var road: ContiguousArray<StreamCodec> = []

    init() {}

    init(sections: [MediaSection]) {
        let received = sections.filter { !$0.receive.isEmpty }.flatMap(\.codecs)
        for codec in received where codec.name != .red {
            guard codec.payloadType < 128, entries[Int(codec.payloadType)].codec < 0, codecs.count < 127
            else { continue }
            entries[Int(codec.payloadType)] = Entry(codec: Int8(codecs.count))
            if let rtx = codec.rtxPayloadType, rtx < 128 {
                entries[Int(rtx)] = Entry(codec: Int8(codecs.count), isRTX: true)
            }
            codecs.append(codec)
            road.append(
                StreamCodec(name: codec.name, payloadType: codec.payloadType, clockRate: codec.clockRate)
            )
        }
        for red in received where red.name == .red && red.payloadType < 128 {
            guard entries[Int(red.payloadType)].codec < 0, let opus = red.redundantPayloadType,
                opus < 128, entries[Int(opus)].codec >= 0
            else { continue }
            entries[Int(red.payloadType)] = Entry(codec: entries[Int(opus)].codec, isRED: true)
        }
    }

    @inline(__always)
    subscript(_ payloadType: UInt8) -> Entry { entries[Int(payloadType & 0x7f)] }

    @inline(__always)
    func codec(_ entry: Entry) -> StreamCodec { road[Int(entry.codec)] }
}
