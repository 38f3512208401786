// Media that a participant offers: its encodings, and who it belongs to.
import PeerTransport
import RTP
import Seam

final class Publication {
    let id: PublicationID
    let participant: ParticipantID
    let user: UserID
    let kind: MediaKind
    let source: Source
    let mid: String
    let layerCount: Int
    /// Lowest first; freed with the publication, after every slot has forgotten it.
    private(set) var layers: UnsafeMutablePointer<ReceiveStream>
    unowned let session: Session
    unowned let room: Room
    var isMuted: Bool
    /// The codec of the newest packets, as the publisher numbers it.
    private(set) var codec: CodecParameters?
    /// `codec`'s payload type, for the road.
    private(set) var payloadType: UInt8 = 0xff
    private var codecSince: Instant?
    private(set) var voice = VoiceActivity()
    /// Slots that show it.
    var viewers = 0
    /// What of its state the gateway knows.
    var reported: UInt64?
    /// Which layers were alive at the last look.
    var liveLayers: UInt8 = 0
    /// Order of arrival in the room, for stable slots.
    let ordinal: UInt64
    // Scratch of the dealing.
    var rank: Int64 = 0
    var isSeated = false
    var dealing: UInt64 = 0

    init(
        id: PublicationID,
        media: SectionMedia,
        session: Session,
        room: Room,
        ordinal: UInt64
    ) {
        self.id = id
        participant = session.participant
        user = session.user
        kind = media.section.kind
        source = media.source ?? (media.section.kind == .audio ? .mic : .camera)
        mid = media.section.mid
        isMuted = media.muted
        self.session = session
        self.room = room
        self.ordinal = ordinal
        let encodings = media.section.receive.prefix(Limits.Media.encodingsPerPublication)
        layerCount = encodings.count
        layers = .allocate(capacity: max(encodings.count, 1))
        for (layer, encoding) in encodings.enumerated() {
            (layers + layer).initialize(
                to: ReceiveStream(
                    layer: layer,
                    encoding: encoding,
                    kind: media.section.kind,
                    source: media.source,
                    publication: self
                )
            )
        }
    }

    deinit {
        layers.deinitialize(count: layerCount)
        layers.deallocate()
    }

    /// The publisher sends this codec from now on, if it did not change its mind just before.
    func sends(_ codec: CodecParameters, at now: Instant) {
        if let codecSince, now - codecSince < Limits.Media.streamRestartInterval { return }
        codecSince = now
        self.codec = codec
        payloadType = codec.payloadType
        room.needsDealing = true
    }

    /// A packet says how loud it is (RFC 6464).
    @inline(__always)
    func heard(_ level: UInt8, at now: Instant) { voice.note(level, at: now) }

    /// Packets of this layer come. Returns whether none came lately.
    func cameAlive(_ layer: Int) -> Bool {
        guard !hasLive(layer) else { return false }
        liveLayers |= 1 << UInt8(truncatingIfNeeded: layer)
        return true
    }

    /// Somebody needs a key frame of this layer.
    func requestKeyFrame(layer: Int) {
        guard kind == .video, layer >= 0, layer < layerCount else { return }
        layers[layer].keyFrames.want()
        session.repair(by: layers[layer].keyFrames.nextDeadline)
    }

    /// Changes when there is something to tell the gateway: not with the rates, which change all the time.
    var digest: UInt64 {
        var digest = UInt64(codec?.payloadType ?? 0xff) << 8 | UInt64(liveLayers)
        for i in 0..<layerCount {
            digest =
                digest &* 0x9e37_79b9_7f4a_7c15 &+ UInt64(layers[i].width) << 16 &+ UInt64(layers[i].height)
        }
        return digest
    }

    /// What the gateway is told.
    func state(at now: Instant) -> PublicationState {
        var states: [PublicationState.Layer] = []
        for i in 0..<layerCount {
            states.append(
                PublicationState.Layer(
                    rid: layers[i].rid,
                    live: layers[i].isLive(at: now),
                    width: layers[i].width,
                    height: layers[i].height,
                    bitsPerSecond: layers[i].bitsPerSecond(at: now)
                )
            )
        }
        return PublicationState(publication: id, room: room.id, codec: codec?.name, layers: states)
    }

    /// Whether this section, negotiated anew, is the same media in the same encodings.
    func matches(_ section: MediaSection) -> Bool {
        let encodings = section.receive.prefix(Limits.Media.encodingsPerPublication)
        return section.mid == mid && section.kind == kind && encodings.count == layerCount
            && encodings.enumerated().allSatisfy { layers[$0.offset].rid == $0.element.rid }
    }

    func hasLive(_ layer: Int) -> Bool { liveLayers & (1 << UInt8(layer)) != 0 }
}

/// How much and when somebody spoke, from the levels in the packets (RFC 6464).
struct VoiceActivity {
    /// Smoothed loudness, 0 silent to 127.
    private(set) var level: Int32 = 0
    private(set) var lastVoiceAt: Instant?

    /// - Parameter byte: V bit and −dBov.
    @inline(__always)
    mutating func note(_ byte: UInt8, at now: Instant) {
        let loudness = 127 - Int32(byte & 0x7f)
        level += (loudness - level) / 4
        // Louder than −60 dBov counts, whatever the V bit says: not every sender sets it.
        if byte & 0x80 != 0 || loudness > 67 { lastVoiceAt = now }
    }

    func isSpeaking(at now: Instant) -> Bool {
        guard let lastVoiceAt else { return false }
        return now - lastVoiceAt < .milliseconds(600) && level > 40
    }
}
