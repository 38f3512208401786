// What an offer would change: the negotiated sections, the publications that come and go. Decides, changes nothing.
// Must not know sessions, sockets or how the answer travels.
import RTP
import SDP
import Seam

struct NegotiationPlan: Sendable {
    var offer: Offer
    var negotiated: NegotiatedSession
    /// New ones and those with another m-section or name, as they will be.
    var publications: [Publication]
    /// Those whose m-section carries nothing any more.
    var ended: [PublicationID]
    /// What was published when the plan was made.
    var before: [PublicationID: Publication]

    /// Mutes what others have muted, whatever the offer says.
    mutating func silence(_ isSilenced: (Publication) -> Bool) {
        for index in publications.indices where isSilenced(publications[index]) {
            publications[index].muted = true
        }
    }

    /// What the media plane is told about every accepted section.
    func sections(
        maximums: SourceBitrates = SourceBitrates(),
        muted: (PublicationID) -> Bool
    ) -> [SectionMedia] {
        NegotiationPlan.sections(
            negotiated.media,
            publications: publications,
            maximums: maximums,
            muted: muted
        )
    }

    static func sections(
        _ media: [MediaSection],
        publications: [Publication],
        maximums: SourceBitrates,
        muted: (PublicationID) -> Bool
    ) -> [SectionMedia] {
        let byMid = Dictionary(
            publications.compactMap { publication in publication.mid.map { ($0, publication) } },
            uniquingKeysWith: { _, newest in newest }
        )
        return media.map { section in
            guard !section.receive.isEmpty, let publication = byMid[section.mid] else {
                var idle = section
                idle.receive = []
                return SectionMedia(section: idle)
            }
            return SectionMedia(
                section: section,
                publication: publication.id,
                source: publication.source,
                muted: muted(publication.id),
                maxBitsPerSecond: maximums.maximum(of: publication.source)
            )
        }
    }
}

/// Makes plans for one participant.
struct NegotiationPlanner {
    var grants: Grants
    /// WHIP and WHEP: an m-section that cannot be accepted refuses the offer (RFC 9725 §4.2).
    var requiresEverySection = false
    var videoCodecs: [CodecName]
    /// A new identifier for a publication.
    var makeID: () -> PublicationID

    private static let sources: [MediaKind: [Source]] = [
        .audio: [.mic, .screenAudio], .video: [.camera, .screen],
    ]

    private func sources(of kind: MediaKind) -> [Source] { Self.sources[kind] ?? [] }

    var policy: AnswerPolicy {
        var policy = AnswerPolicy(videoCodecs: videoCodecs)
        let sources = grants.hidden ? [] : grants.publish
        policy.publish = Set(sources.map(\.kind))
        policy.receive = grants.subscribe ? [.audio, .video] : []
        policy.requiresEverySection = requiresEverySection
        return policy
    }

    /// `previous`: the accepted sections of the same PeerConnection; empty at its first offer.
    /// `current`: what the participant publishes now, announced tracks without an m-section included.
    func plan(
        _ offer: Offer,
        tracks: [OfferedTrack],
        current: [Publication],
        previous: [MediaSection],
        using generator: inout some RandomNumberGenerator
    ) throws(GatewayError) -> NegotiationPlan {
        let offeredTracks = try index(tracks)
        let negotiated: NegotiatedSession
        var policy = policy
        policy.wantedCodecs = wantedCodecs(offeredTracks, current: current, previous: previous)
        do {
            negotiated = try negotiate(offer, policy: policy, previous: previous, using: &generator)
        } catch {
            throw GatewayError(.badRequest, error.description)
        }
        guard !negotiated.media.isEmpty else {
            throw GatewayError(.badRequest, "nothing in the offer can be accepted")
        }
        var publications: [Publication] = []
        var used: Set<PublicationID> = []
        for media in negotiated.media where !media.receive.isEmpty {
            let isKnown = bySection(media, current, previous) != nil
            // Who names tracks names all of them: another section carries nothing yet.
            guard offeredTracks[media.mid] != nil || isKnown || offeredTracks.isEmpty else { continue }
            let publication = try publication(
                of: media,
                track: offeredTracks[media.mid],
                current: current,
                previous: previous
            )
            guard used.insert(publication.id).inserted else {
                throw GatewayError(.badRequest, "track \(publication.cid) is in two m-sections")
            }
            publications.append(publication)
        }
        for (mid, track) in offeredTracks where !publications.contains(where: { $0.mid == mid }) {
            try refuse(track, of: negotiated)
        }
        let ended = current.filter { $0.mid != nil && !used.contains($0.id) }.map(\.id)
        let announced = current.count { $0.mid == nil && !used.contains($0.id) }
        guard publications.count + announced <= Limits.Signaling.publicationsPerParticipant else {
            throw GatewayError(
                .full,
                "a participant may publish \(Limits.Signaling.publicationsPerParticipant) tracks"
            )
        }
        return NegotiationPlan(
            offer: offer,
            negotiated: negotiated,
            publications: publications,
            ended: ended,
            before: Dictionary(uniqueKeysWithValues: current.map { ($0.id, $0) })
        )
    }

    /// By m-section. A publication keeps the codec that it was offered with until another one is named.
    private func wantedCodecs(
        _ tracks: [String: OfferedTrack],
        current: [Publication],
        previous: [MediaSection]
    ) -> [String: CodecName] {
        var wanted: [String: CodecName] = [:]
        for publication in current {
            guard let mid = publication.mid, previous.contains(where: { $0.mid == mid }) else { continue }
            wanted[mid] = publication.wantedCodec
        }
        for (mid, track) in tracks {
            wanted[mid] = track.wantedCodec ?? current.first { $0.cid == track.cid }?.wantedCodec
        }
        return wanted
    }

    private func index(_ tracks: [OfferedTrack]) throws(GatewayError) -> [String: OfferedTrack] {
        guard tracks.count <= Limits.Media.sectionsPerSession else {
            throw GatewayError(.badRequest, "too many tracks")
        }
        var byMid: [String: OfferedTrack] = [:]
        for track in tracks {
            try Checked.name(track.cid, "tracks.cid")
            try Checked.name(track.name, "tracks.name")
            if let source = track.source { try check(source) }
            guard byMid.updateValue(track, forKey: track.mid) == nil else {
                throw GatewayError(.badRequest, "m-section \(track.mid) carries two tracks")
            }
        }
        return byMid
    }

    /// A named track is not published: its m-section says why, if there is one.
    private func refuse(_ track: OfferedTrack, of negotiated: NegotiatedSession) throws(GatewayError) {
        guard negotiated.sections.contains(where: { $0.mid == track.mid }) else {
            throw GatewayError(.badRequest, "the offer has no m-section \(track.mid)")
        }
    }

    private func check(_ source: Source) throws(GatewayError) {
        guard !grants.hidden, grants.publish.contains(source) else {
            throw GatewayError(.forbidden, "the token does not allow to publish \(source.rawValue)")
        }
    }

    /// What the m-section carried so far. On another PeerConnection the same mid means nothing.
    private func bySection(
        _ media: MediaSection,
        _ current: [Publication],
        _ previous: [MediaSection]
    ) -> Publication? {
        guard previous.contains(where: { $0.mid == media.mid }) else { return nil }
        return current.first { $0.mid == media.mid && $0.kind == media.kind }
    }

    private func publication(
        of media: MediaSection,
        track: OfferedTrack?,
        current: [Publication],
        previous: [MediaSection]
    ) throws(GatewayError) -> Publication {
        let known =
            track.flatMap { track in current.first { $0.cid == track.cid } }
            ?? (track == nil ? bySection(media, current, previous) : nil)
        let permitted = sources(of: media.kind).filter { grants.publish.contains($0) }
        guard let source = track?.source ?? known?.source ?? permitted.first else {
            throw GatewayError(.forbidden, "the token does not allow to publish \(media.kind.rawValue)")
        }
        try check(source)
        guard sources(of: media.kind).contains(source) else {
            throw GatewayError(
                .badRequest,
                "m-section \(media.mid) is \(media.kind.rawValue), not \(source.rawValue)"
            )
        }
        if var known, known.kind == media.kind {
            known.mid = media.mid
            known.source = source
            known.name = track?.name ?? known.name
            known.muted = track?.muted ?? known.muted
            known.wantedCodec = track?.wantedCodec ?? known.wantedCodec
            return known
        }
        guard known == nil else {
            throw GatewayError(.badRequest, "track \(known?.cid ?? "") cannot change between audio and video")
        }
        return Publication(
            id: makeID(),
            cid: track?.cid ?? media.mid,
            mid: media.mid,
            kind: media.kind,
            source: source,
            name: track?.name,
            muted: track?.muted ?? false,
            codec: nil,
            layers: nil,
            revision: 0,
            wantedCodec: track?.wantedCodec
        )
    }
}

extension OfferedTrack {
    fileprivate var wantedCodec: CodecName? { codec.flatMap { CodecName(rawValue: $0.lowercased()) } }
}

/// Lengths of what clients name.
enum Checked {
    static func name(_ text: String?, _ field: String) throws(GatewayError) {
        guard let text else { return }
        guard !text.isEmpty || field.hasSuffix("name") else {
            throw GatewayError(.badRequest, "\(field) is empty")
        }
        guard text.utf8.count <= Limits.Signaling.nameBytes else {
            throw GatewayError(.badRequest, "\(field) is longer than \(Limits.Signaling.nameBytes) bytes")
        }
        guard !text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else {
            throw GatewayError(.badRequest, "\(field) has control characters")
        }
    }
}
