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
    var voice = VoiceActivity()
    var reported: PublicationState?
    /// Which layers were alive at the last look.
    var liveLayers: UInt8 = 0
    /// Order of arrival in the room, for stable slots.
    let ordinal: UInt64

    init(
        id: PublicationID, media: SectionMedia, session: Session, room: Room, ordinal: UInt64
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
                    layer: layer, encoding: encoding, kind: media.section.kind, source: media.source,
                    publication: self))
        }
    }

    deinit {
        layers.deinitialize(count: layerCount)
        layers.deallocate()
    }

    /// The publisher sends this codec from now on. Returns whether that is news.
    func sends(_ codec: CodecParameters) -> Bool {
        guard self.codec?.payloadType != codec.payloadType || self.codec?.name != codec.name else { return false }
        self.codec = codec
        return true
    }

    /// A packet that nobody gets and that leaves no gap.
    func skipped(_ sequence: Int64, layer: Int) { room.skipped(sequence, of: self, layer: layer) }

    /// What the gateway is told.
    func state(at now: Instant) -> PublicationState {
        var states: [PublicationState.Layer] = []
        for i in 0..<layerCount {
            states.append(
                PublicationState.Layer(
                    rid: layers[i].rid, live: layers[i].isLive(at: now), width: layers[i].width,
                    height: layers[i].height, bitsPerSecond: layers[i].bitsPerSecond(at: now)))
        }
        return PublicationState(publication: id, room: room.id, codec: codec?.name, layers: states)
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
