// What one participant sends, as one shard sees it: its publications, and which SSRC belongs to which. Packets are read in
// Uplink+Receive. Knows no transport, and need not have a session here: a shard that shares a room mirrors the uplinks
// of the others, fed with their packets.
import RTP
import Seam

final class Uplink {
    let id: SessionID
    let participant: ParticipantID
    let user: UserID
    /// The room holds it, or its session does, which the room holds.
    unowned(unsafe) let room: Room
    /// nil: it is the mirror of one whose session lives on another shard. Cleared by nobody: it lives as long as its session.
    unowned(unsafe) var session: Session?
    /// The shard of its session, and what packets are called by on their way from there; 0: none crossed yet.
    let home: Int
    var number: UInt32 = 0
    private(set) var publications: [Publication] = []
    var demultiplexer = Demultiplexer()
    private(set) var payloadTypes = PayloadTypes()
    private(set) var extensions = HeaderExtensionMap()
    var clock = ClockMapping()
    /// SSRC of the peer that no stream has any more, oldest first.
    private var retired: [UInt32] = []
    /// What the SSRCs of former publications stood for, in case their section is used again.
    private var associations: [Association] = []

    private struct Association {
        var ssrc: UInt32
        var mid: String
        var rid: String?
        var isRTX: Bool
    }

    init(open: OpenSession, room: Room) {
        id = open.session
        participant = open.participant
        user = open.user
        self.room = room
        home = room.relay.worker
    }

    init(mirroring told: MirroredUplink, of worker: Int, in room: Room) {
        id = told.session
        participant = told.participant
        user = told.user
        number = told.number
        home = worker
        self.room = room
    }

    /// Takes over what was negotiated; what stays the same keeps running.
    func configure(_ new: SessionMedia) {
        let sections = new.sections.map(\.section)
        payloadTypes = PayloadTypes(sections: sections)
        extensions = HeaderExtensionMap(sections.flatMap(\.extensions))
        configurePublications(new)
    }

    private func configurePublications(_ new: SessionMedia) {
        for publication in publications {
            let kept = new.sections.contains {
                $0.publication == publication.id && publication.matches($0.section)
            }
            if !kept { remove(publication) }
        }
        for section in new.sections {
            guard let id = section.publication, !section.section.receive.isEmpty else { continue }
            if let known = publications.first(where: { $0.id == id }) {
                if known.isMuted != section.muted { room.needsDealing = true }
                known.isMuted = section.muted
                known.limit.maximum = section.maxBitsPerSecond ?? 0
                announce(known, section.section.receive)
                continue
            }
            let publication = room.publish(section, id: id, by: self)
            publications.append(publication)
            announce(publication, section.section.receive)
            restore(publication)
        }
    }

    /// Binds the SSRCs that the offer names.
    private func announce(_ publication: Publication, _ encodings: [EncodingParameters]) {
        for (layer, encoding) in encodings.prefix(publication.layerCount).enumerated() {
            let stream = publication.layers + layer
            if let ssrc = encoding.ssrc, demultiplexer.bind(ssrc, to: stream, isRTX: false) {
                if let old = stream.pointee.announce(ssrc) {
                    retire(old)
                    room.restarted(publication, layer: layer)
                }
            }
            if let rtx = encoding.rtxSSRC, demultiplexer.bind(rtx, to: stream, isRTX: true) {
                if stream.pointee.rtxSSRC != rtx { retire(stream.pointee.rtxSSRC) }
                stream.pointee.rtxSSRC = rtx
            }
        }
    }

    /// RFC 8843 §9.2: what an SSRC belongs to holds until the offer says otherwise. A browser that sends in a section
    /// again does so under its old SSRCs, and does not repeat MID and RID.
    private func restore(_ publication: Publication) {
        for known in associations.reversed() where known.mid == publication.mid {
            for layer in 0..<publication.layerCount where publication.layers[layer].rid == known.rid {
                let stream = publication.layers + layer
                let isTaken = known.isRTX ? stream.pointee.rtxSSRC != 0 : stream.pointee.ssrc != 0
                guard !isTaken, demultiplexer.bind(known.ssrc, to: stream, isRTX: known.isRTX) else {
                    continue
                }
                if known.isRTX {
                    stream.pointee.rtxSSRC = known.ssrc
                } else {
                    _ = stream.pointee.announce(known.ssrc)
                }
            }
        }
        associations.removeAll { $0.mid == publication.mid }
    }

    private func remove(_ publication: Publication) {
        for binding in demultiplexer.bindings(of: publication) {
            associations.append(
                Association(
                    ssrc: binding.ssrc,
                    mid: publication.mid,
                    rid: binding.stream.pointee.rid,
                    isRTX: binding.isRTX
                )
            )
            retire(binding.ssrc)
        }
        associations.removeFirst(max(0, associations.count - Limits.Media.retiredStreams))
        room.unpublish(publication)
        publications.removeAll { $0 === publication }
    }

    /// This SSRC belongs to no stream any more.
    func retire(_ ssrc: UInt32) {
        guard ssrc != 0 else { return }
        demultiplexer.unbind(ssrc)
        remember(retired: ssrc)
    }

    /// Its replay protection is kept for a while: old packets must not be taken for those of a new stream, and a
    /// browser that starts sending again goes on where it stopped.
    private func remember(retired ssrc: UInt32) {
        retired.removeAll { $0 == ssrc }
        retired.append(ssrc)
        guard retired.count > Limits.Media.retiredStreams else { return }
        let oldest = retired.removeFirst()
        if demultiplexer.find(oldest) == nil { session?.forgetRemoteStream(oldest) }
    }

    /// Its publications end; nothing of it is used afterwards.
    func leave() {
        for publication in publications {
            for binding in demultiplexer.bindings(of: publication) { demultiplexer.unbind(binding.ssrc) }
            room.unpublish(publication)
        }
        publications.removeAll()
    }
}

/// Maps a peer's NTP clock to ours by the least delayed of its sender reports, so that audio and video of one
/// participant keep their distance whatever the network does.
struct ClockMapping {
    /// Added to the peer's NTP time, 32.32 seconds; nil before the first report.
    private(set) var offset: Int64?

    mutating func note(_ ntp: UInt64, arrivedAt local: UInt64) {
        let sample = Int64(bitPattern: local &- ntp)
        guard let known = offset, (sample &- known).magnitude < 5 << 32 else {
            offset = sample
            return
        }
        // Less delay is believed at once; more is mostly queueing and moves the offset slowly, for clock drift.
        offset = sample < known ? sample : known &+ (sample &- known) / 256
    }
}
