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
    unowned let uplink: Uplink
    unowned let room: Room
    var isMuted: Bool
    /// The codec of the newest packets, as the publisher numbers it.
    private(set) var codec: CodecParameters?
    /// `codec`'s payload type, for the road.
    private(set) var payloadType: UInt8 = 0xff
    private var codecSince: Instant?
    var voice = VoiceActivity()
    /// Somebody asked for it and for little else: it is heard, loud or not.
    var isChosen = false
    /// Made where the sender does not say how loud its packets are.
    var meter: OpusLevelMeter?
    /// Slots that show it.
    var viewers = 0
    /// What of its state the gateway knows.
    var reported: UInt64?
    /// Which layers were alive at the last look: four bits for each encoding, one for each of its spatial layers.
    private(set) var liveLayers: UInt32 = 0
    /// Which of its encodings anybody wants.
    var demand: Demand
    var limit = BitrateLimit()
    /// The same of members on other shards; and where it is a mirror, what its shard was told.
    var distantWishes: [Int: [Demand.Wish]] = [:]
    var toldWishes: [Demand.Wish]?
    /// Layers of a mirror for which a key frame was asked in this turn, those that are urgent in the upper four bits.
    var keyFramesAsked: UInt8 = 0
    /// Order of arrival in the room, for stable slots.
    let ordinal: UInt64
    // Scratch of the dealing.
    var rank: Int64 = 0
    /// Place among those who had the floor, the present one 0.
    var recency = 0
    var isSeated = false
    var dealing: UInt64 = 0

    init(
        id: PublicationID,
        media: SectionMedia,
        uplink: Uplink,
        room: Room,
        ordinal: UInt64
    ) {
        self.id = id
        participant = uplink.participant
        user = uplink.user
        kind = media.section.kind
        source = media.source ?? (media.section.kind == .audio ? .mic : .camera)
        mid = media.section.mid
        isMuted = media.muted
        self.uplink = uplink
        self.room = room
        self.ordinal = ordinal
        let encodings = media.section.receive.prefix(Limits.Media.encodingsPerPublication)
        layerCount = encodings.count
        demand = Demand(encodings: encodings.count)
        limit.maximum = media.maxBitsPerSecond ?? 0
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

    /// Its session is on this shard.
    var isLocal: Bool { uplink.session != nil }

    /// The publisher sends this codec from now on, if it did not change its mind just before.
    func sends(_ codec: CodecParameters, at now: Instant) {
        if let codecSince, now - codecSince < Limits.Media.streamRestartInterval { return }
        codecSince = now
        self.codec = codec
        payloadType = codec.payloadType
        room.needsDealing = true
    }

    // MARK: Layers

    /// Looks which layers are alive. Returns whether that changed.
    func look(at now: Instant) -> Bool {
        var newest = Instant.distantPast
        for i in 0..<layerCount { newest = max(newest, layers[i].lastPacketAt ?? .distantPast) }
        // Where the network stands still, no layer is gone; but not for ever.
        let reference = max(newest, now - Limits.Media.layerTimeoutLongest)
        var live: UInt32 = 0
        for i in 0..<layerCount {
            layers[i].layers.settle(header: Publication.headerBytes, at: now)
            live |= UInt32(layers[i].aliveLayers(reference: reference)) << UInt32(4 * i)
        }
        defer { liveLayers = live }
        return live != liveLayers
    }

    /// Looks how much came of it, and what of its encodings is let in.
    func lookAtBitrate(at now: Instant) {
        limit.look((0..<layerCount).map { layers[$0].arrivedBytes }, at: now)
        for i in 0..<layerCount {
            layers[i].arrivedBytes = 0
            layers[i].isShed = i >= limit.wholeEncodings
        }
    }

    func hasLive(_ encoding: Int, spatial: Int) -> Bool {
        liveLayers >> UInt32(4 * encoding + spatial) & 1 != 0
    }

    /// The publisher says which layers of all its encodings it sends (video-layers-allocation). Returns whether that
    /// is news.
    func announce(_ allocation: VideoLayersAllocation, at now: Instant) -> Bool {
        var isNews = false
        for i in 0..<layerCount {
            var sent: UInt8 = 0
            for spatial in 0..<LayerActivity.spatialLayers
            where allocation.temporalLayerCount(stream: i, spatialLayer: spatial) > 0 {
                sent |= 1 << UInt8(spatial)
                guard allocation.hasResolutions else { continue }
                layers[i].layers.resize(
                    spatial,
                    width: allocation.width(stream: i, spatialLayer: spatial),
                    height: allocation.height(stream: i, spatialLayer: spatial)
                )
            }
            if layers[i].layers.announce(sent, at: now) { isNews = true }
        }
        return isNews
    }

    /// Whether an encoding is this one or a smaller one.
    func isUp(to most: Int, _ encoding: Int) -> Bool {
        guard most >= 0, most < layerCount else { return false }
        let (a, b) = (layers[encoding].layers.area, layers[most].layers.area)
        return a > 0 && b > 0 ? (a, encoding) <= (b, most) : encoding <= most
    }

    /// The smallest of its encodings.
    var leastEncoding: Int { (0..<layerCount).first { isLeast($0) } ?? 0 }

    private func isLeast(_ encoding: Int) -> Bool { (0..<layerCount).allSatisfy { isUp(to: $0, encoding) } }

    /// The layer for a tile; nil: no wish.
    func layer(for tile: Wishes.Tile?, present: LayerTarget, at now: Instant) -> LayerChoice {
        guard kind == .video else {
            let only = LayerTarget(encoding: 0)
            return LayerChoice(target: only, ideal: only)
        }
        var candidates: [LayerSelector.Candidate] = []
        for i in 0..<layerCount {
            for spatial in 0...Int(layers[i].layers.top) {
                candidates.append(
                    LayerSelector.Candidate(
                        encoding: Int8(i),
                        spatial: UInt8(spatial),
                        width: layers[i].layers.widths[spatial],
                        height: layers[i].layers.heights[spatial],
                        isLive: hasLive(i, spatial: spatial)
                    )
                )
            }
        }
        return LayerSelector(candidates, isScreen: source == .screen).choose(
            for: tile,
            present: present,
            picturesPerSecond: { layers[$0].layers.picturesPerSecond(upTo: $1, at: now) }
        )
    }

    /// Somebody needs a key frame of this layer.
    func requestKeyFrame(layer: Int, isUrgent: Bool = true) {
        guard kind == .video, layer >= 0, layer < layerCount else { return }
        guard let session = uplink.session else {
            return room.relay.askForKeyFrame(of: self, layer: layer, isUrgent: isUrgent)
        }
        layers[layer].keyFrames.want(isUrgent: isUrgent)
        session.repair(by: layers[layer].keyFrames.nextDeadline)
    }

    /// Changes when there is something to tell the gateway: not with the rates, which change all the time.
    var digest: UInt64 {
        var digest = UInt64(codec?.payloadType ?? 0xff) << 32 | UInt64(liveLayers)
        for i in 0..<layerCount {
            for spatial in 0...Int(layers[i].layers.top) {
                let size =
                    UInt64(layers[i].layers.widths[spatial]) << 16 | UInt64(layers[i].layers.heights[spatial])
                digest = digest &* 0x9e37_79b9_7f4a_7c15 &+ size
            }
        }
        return digest
    }

    /// What the gateway is told, and need not be told again.
    func report(at now: Instant) -> PublicationState {
        reported = digest
        return state(at: now)
    }

    /// The same, to look at.
    func state(at now: Instant) -> PublicationState {
        var states: [PublicationState.Layer] = []
        for i in 0..<layerCount {
            let rate = layers[i].layers.picturesPerSecond(upTo: LayerActivity.temporalLayers - 1, at: now)
            for spatial in 0...Int(layers[i].layers.top) {
                states.append(
                    PublicationState.Layer(
                        rid: layers[i].rid,
                        spatialLayer: UInt8(spatial),
                        live: hasLive(i, spatial: spatial),
                        width: layers[i].layers.widths[spatial],
                        height: layers[i].layers.heights[spatial],
                        bitsPerSecond: layers[i].layers.bitsPerSecond(upTo: spatial, at: now),
                        framesPerSecond: kind == .video ? UInt8(clamping: rate) : 0
                    )
                )
            }
        }
        return PublicationState(publication: id, room: room.id, codec: codec?.name, layers: states)
    }

    /// Whether this section, negotiated anew, is the same media in the same encodings.
    func matches(_ section: MediaSection) -> Bool {
        let encodings = section.receive.prefix(Limits.Media.encodingsPerPublication)
        return section.mid == mid && section.kind == kind && encodings.count == layerCount
            && encodings.enumerated().allSatisfy { layers[$0.offset].rid == $0.element.rid }
    }
}
