// Offer and policy to the outcome. Decides; writes no text and knows no transport of ours.
import RTP

/// Decides every m-section of an offer (RFC 8829 §5.3).
///
/// - Parameters:
///   - previous: the accepted sections of this peer's last negotiation; a mid that still receives keeps its SSRCs.
///   - rng: where new SSRCs come from.
public func negotiate(
    _ offer: Offer,
    policy: AnswerPolicy,
    previous: [MediaSection] = [],
    using rng: inout some RandomNumberGenerator
) throws(NegotiationError) -> NegotiatedSession {
    guard !offer.isICELite else { throw .peerIsICELite }
    var negotiator = Negotiator(offer: offer, policy: policy)
    var sections: [NegotiatedSection] = []
    sections.reserveCapacity(offer.sections.count)
    for section in offer.sections {
        let outcome = negotiator.decide(section)
        if policy.requiresEverySection, case .rejected(let reason) = outcome, reason != .stopped {
            throw .sectionRefused(mid: section.mid, reason)
        }
        sections.append(NegotiatedSection(mid: section.mid, outcome: outcome))
    }
    var session = NegotiatedSession(sections: sections)
    session.conformFormatParameters()
    var allocator = SSRCAllocator(offer: offer, previous: previous)
    for index in session.sections.indices {
        guard var accepted = session.sections[index].accepted, accepted.direction.sends else { continue }
        accepted.media.slot = try allocator.slot(for: accepted.media, using: &rng)
        session.sections[index].outcome = .accepted(accepted)
    }
    return session
}

/// Decides section by section; remembers what the sections of one transport have to agree on.
private struct Negotiator {
    /// What a payload type means on the whole transport (RFC 8843 §9.1).
    private enum Claim {
        case codec(CodecParameters)
        case rtx(of: UInt8)
    }

    private let policy: AnswerPolicy
    private let hasBundle: Bool
    private var claims: [UInt8: Claim] = [:]
    private var extensionKinds: [UInt8: HeaderExtension] = [:]
    private var hasTransport = false

    init(offer: Offer, policy: AnswerPolicy) {
        self.policy = policy
        hasBundle = offer.bundle != nil
    }

    mutating func decide(_ section: OfferedSection) -> NegotiatedSection.Outcome {
        if section.isRejected { return .rejected(.stopped) }
        guard let kind = section.kind.media else { return .rejected(.unsupportedKind) }
        guard Negotiator.protocols.contains(section.transportProtocol.uppercased()) else {
            return .rejected(.unsupportedProtocol)
        }
        guard hasBundle ? section.bundled : !hasTransport else { return .rejected(.notBundled) }
        guard section.rtcpMux else { return .rejected(.noRTCPMux) }
        let direction = MediaDirection(
            sends: section.direction.receives && policy.receive.contains(kind),
            receives: section.direction.sends && policy.publish.contains(kind)
        )
        guard direction != .inactive || section.direction == .inactive else { return .rejected(.notAllowed) }
        let codecs = agreedCodecs(section, kind: kind, receives: direction.receives)
        guard codecs.contains(where: { $0.name != .red }) else { return .rejected(.noCommonCodec) }
        hasTransport = true
        return .accepted(accept(section, kind: kind, direction: direction, codecs: codecs))
    }

    private static let protocols: Set<String> = [
        "UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVPF", "RTP/SAVPF", "UDP/TLS/RTP/SAVP",
        "RTP/SAVP",
    ]

    private mutating func accept(
        _ section: OfferedSection,
        kind: MediaKind,
        direction: MediaDirection,
        codecs: [CodecParameters]
    ) -> AcceptedSection {
        var rids = direction.receives && policy.acceptsSimulcast ? agreedRids(section, codecs: codecs) : []
        var extensions = agreedExtensions(section, kind: kind, direction: direction)
        if !extensions.contains(where: { $0.header.kind == .rid }) {
            // Nothing would tell the layers apart.
            rids = []
            extensions.removeAll { $0.header.kind == .repairedRid }
        }
        var media = MediaSection(
            mid: section.mid,
            kind: kind,
            codecs: codecs,
            extensions: extensions.map { $0.header },
            allowsMixedExtensions: section.allowsMixedExtensions
        )
        if direction.receives {
            let sources = section.sources.isEmpty ? [EncodingParameters()] : section.sources
            let encodings = rids.isEmpty ? sources : rids.map { EncodingParameters(rid: $0.id) }
            media.receive = Array(
                encodings.prefix(policy.acceptsSimulcast ? Limits.Media.encodingsPerPublication : 1)
            )
        }
        media.conformCongestionFeedback()
        var suffixes: [HeaderExtension: MediaDirection] = [:]
        for item in extensions { suffixes[item.header.kind] = item.direction }
        return AcceptedSection(media: media, direction: direction, rids: rids, extensionDirections: suffixes)
    }

    // MARK: Codecs

    /// Codecs of the policy in its order, those of one name in the peer's.
    private mutating func agreedCodecs(
        _ section: OfferedSection,
        kind: MediaKind,
        receives: Bool
    ) -> [CodecParameters] {
        var agreed: [CodecParameters] = []
        for name in order(of: section, kind: kind, receives: receives) {
            for codec in section.codecs where codec.name == name && Negotiator.isForwardable(codec) {
                guard var codec = claim(codec) else { continue }
                if let rtx = codec.rtxPayloadType, !claimRTX(rtx, of: codec.payloadType) {
                    codec.rtxPayloadType = nil
                }
                agreed.append(codec)
            }
        }
        return agreed.filter { $0.name != .red || Negotiator.isUsable(red: $0, among: agreed) }
    }

    /// What a peer sends is its choice where it made one: of voice by the order of its offer, of video by name.
    private func order(of section: OfferedSection, kind: MediaKind, receives: Bool) -> [CodecName] {
        let accepted = policy.codecs(of: kind)
        guard receives else { return accepted }
        var first: [CodecName] = []
        if kind == .audio { first = section.codecs.map { $0.name } }
        if let wanted = policy.wantedCodecs[section.mid] { first = [wanted] }
        var order: [CodecName] = []
        for name in first + accepted where accepted.contains(name) && !order.contains(name) {
            order.append(name)
        }
        return order
    }

    private static func isForwardable(_ codec: CodecParameters) -> Bool {
        switch codec.name {
        case .h264: codec.h264Profile != nil
        case .av1: codec.profile == "0"
        case .opus, .red, .vp8, .vp9: true
        }
    }

    /// RED is of use where all its blocks are Opus that was agreed on (RFC 2198 §5).
    private static func isUsable(red: CodecParameters, among codecs: [CodecParameters]) -> Bool {
        let blocks = Text.pieces(Text.trim(Substring(red.formatParameters)), at: "/")
        let opus = codecs.filter { $0.name == .opus }.map { $0.payloadType }
        return blocks.allSatisfy { block in
            Text.number(block, as: UInt8.self).map { opus.contains($0) } ?? false
        }
    }

    /// A payload type that means something else in an earlier section is not used here.
    private mutating func claim(_ codec: CodecParameters) -> CodecParameters? {
        switch claims[codec.payloadType] {
        case nil:
            claims[codec.payloadType] = .codec(codec)
            return codec
        case .codec(let other):
            return isCompatible(other, codec) ? codec : nil
        case .rtx:
            return nil
        }
    }

    private mutating func claimRTX(_ type: UInt8, of original: UInt8) -> Bool {
        switch claims[type] {
        case nil:
            claims[type] = .rtx(of: original)
            return true
        case .rtx(let other):
            return other == original
        case .codec:
            return false
        }
    }

    // MARK: Rids

    /// Rids that may carry an agreed codec, at most as many as a publication has encodings.
    private func agreedRids(_ section: OfferedSection, codecs: [CodecParameters]) -> [OfferedRid] {
        var rids: [OfferedRid] = []
        for var rid in section.rids where rids.count < Limits.Media.encodingsPerPublication {
            if !rid.payloadTypes.isEmpty {
                rid.payloadTypes = rid.payloadTypes.filter { type in
                    codecs.contains { $0.payloadType == type }
                }
                if rid.payloadTypes.isEmpty { continue }
            }
            rids.append(rid)
        }
        return rids
    }

    // MARK: Header extensions

    /// Known extensions that are of use in the direction, under the peer's ids.
    private mutating func agreedExtensions(
        _ section: OfferedSection,
        kind: MediaKind,
        direction: MediaDirection
    ) -> [OfferedExtension] {
        var agreed: [OfferedExtension] = []
        let isIdle = !direction.receives && !direction.sends
        for item in section.extensions where policy.extensions.contains(item.header.kind) {
            let peer = item.direction ?? section.direction
            // What both the section and the suffix leave over.
            // A section that is idle keeps what it may need again.
            let weReceive = isIdle || direction.receives && peer.sends
            let weSend = isIdle || direction.sends && peer.receives
            guard item.header.kind.isUseful(for: kind), weReceive || weSend else { continue }
            // One id means one extension on the whole transport (RFC 8843).
            let owner = extensionKinds[item.header.id] ?? item.header.kind
            guard owner == item.header.kind else { continue }
            extensionKinds[item.header.id] = owner
            let use = MediaDirection(sends: weSend && item.header.kind.isForReceivers, receives: weReceive)
            var answered = item
            if isIdle || use == .inactive {
                answered.direction = item.direction?.reversed
            } else if item.direction == nil, use == direction {
                answered.direction = nil
            } else {
                answered.direction = use
            }
            agreed.append(answered)
        }
        return agreed
    }
}

extension HeaderExtension {
    /// In both directions: what one section declines, Chromium leaves out of all later sections of its kind, and
    /// could then not publish with simulcast any more.
    fileprivate func isUseful(for kind: MediaKind) -> Bool {
        switch self {
        case .mid, .transportSequence, .absoluteSendTime, .absoluteCaptureTime: true
        case .audioLevel: kind == .audio
        case .rid, .repairedRid, .videoOrientation, .playoutDelay, .videoContentType, .colorSpace,
            .dependencyDescriptor, .videoLayersAllocation:
            kind == .video
        }
    }

    /// Whether what we send may carry it; the others tell us of a publisher's layers.
    fileprivate var isForReceivers: Bool {
        switch self {
        case .rid, .repairedRid, .videoLayersAllocation: false
        default: true
        }
    }
}

extension MediaSection {
    /// Transport-wide feedback needs both the extension and the feedback message; REMB is the fallback, and only
    /// who answers with it reads the time of sending.
    fileprivate mutating func conformCongestionFeedback() {
        let hasExtension = extensions.contains { $0.kind == .transportSequence }
        let hasFeedback = codecs.contains { $0.feedback.contains(.transportCC) }
        if !hasFeedback { extensions.removeAll { $0.kind == .transportSequence } }
        for index in codecs.indices {
            if !hasExtension { codecs[index].feedback.remove(.transportCC) }
            if codecs[index].feedback.contains(.transportCC) { codecs[index].feedback.remove(.remb) }
        }
        if !codecs.contains(where: { $0.feedback.contains(.remb) }) {
            extensions.removeAll { $0.kind == .absoluteSendTime }
        }
    }
}

extension NegotiatedSession {
    /// Gives a payload type the same format parameters in every section: libwebrtc refuses a transport where
    /// they differ. Publications come first, since what the answer says there steers the peer's encoder.
    fileprivate mutating func conformFormatParameters() {
        var merged: [UInt8: String] = [:]
        let accepted = sections.compactMap { $0.accepted }
        for section in accepted.filter({ $0.direction.receives })
            + accepted.filter({ !$0.direction.receives })
        {
            for codec in section.media.codecs {
                let known = merged[codec.payloadType]
                merged[codec.payloadType] =
                    known.map { codec.name == .red ? $0 : union($0, codec.formatParameters) }
                    ?? codec.formatParameters
            }
        }
        for index in sections.indices {
            guard var section = sections[index].accepted else { continue }
            for codec in section.media.codecs.indices {
                let type = section.media.codecs[codec].payloadType
                section.media.codecs[codec].formatParameters = merged[type] ?? ""
            }
            sections[index].outcome = .accepted(section)
        }
    }

    /// The parameters of `first`, then those of `second` that it does not have.
    private func union(_ first: String, _ second: String) -> String {
        guard first != second else { return first }
        var names: Set<String> = []
        var parameters: [String] = []
        for item in Text.pieces(Substring(first), at: ";") + Text.pieces(Substring(second), at: ";") {
            let parameter = Text.trim(item)
            let name = Text.trim(Text.cut(parameter, at: "=").head).lowercased()
            if !name.isEmpty, names.insert(name).inserted { parameters.append(String(parameter)) }
        }
        return parameters.joined(separator: ";")
    }
}

/// SSRCs of ours: kept by mid, new ones unlike every other of the session.
private struct SSRCAllocator {
    private var taken: Set<UInt32> = [0]
    private var slots: [String: (kind: MediaKind, slot: SlotParameters)] = [:]

    init(offer: Offer, previous: [MediaSection]) {
        for section in offer.sections { taken.formUnion(section.announcedSSRCs) }
        for section in previous {
            guard let slot = section.slot else { continue }
            slots[section.mid] = (section.kind, slot)
            taken.insert(slot.ssrc)
            if let rtx = slot.rtxSSRC { taken.insert(rtx) }
        }
    }

    mutating func slot(
        for section: MediaSection,
        using rng: inout some RandomNumberGenerator
    ) throws(NegotiationError) -> SlotParameters {
        let needsRTX = section.codecs.contains { $0.rtxPayloadType != nil }
        var slot: SlotParameters
        if let kept = slots[section.mid], kept.kind == section.kind {
            slot = kept.slot
        } else {
            slot = SlotParameters(ssrc: try unused(&rng))
        }
        if !needsRTX {
            slot.rtxSSRC = nil
        } else if slot.rtxSSRC == nil {
            slot.rtxSSRC = try unused(&rng)
        }
        return slot
    }

    private mutating func unused(_ rng: inout some RandomNumberGenerator) throws(NegotiationError) -> UInt32 {
        for _ in 0..<64 {
            let ssrc = UInt32.random(in: 1...UInt32.max, using: &rng)
            if taken.insert(ssrc).inserted { return ssrc }
        }
        throw .noUniqueSSRC
    }
}
