// The outcome as the text of an answer. Decides nothing.
import RTP

/// What `a=msid` of a section that we send says. Characters that SDP does not allow become "_".
public struct StreamName: Sendable, Hashable {
    public var stream: String
    public var track: String

    public init(stream: String, track: String) {
        self.stream = stream
        self.track = track
    }
}

/// The answer as text; `answer` says what is in it.
public func answerText(
    _ negotiated: NegotiatedSession,
    offer: Offer,
    local: LocalTransport,
    sessionID: UInt64,
    version: UInt64,
    cname: String,
    streamNames: [String: StreamName] = [:]
) -> String {
    answer(
        negotiated,
        offer: offer,
        local: local,
        sessionID: sessionID,
        version: version,
        cname: cname,
        streamNames: streamNames
    ).text
}

/// The answer of an ICE-lite agent on one port (RFC 8829 §5.3).
///
/// - Parameters:
///   - negotiated: what `negotiate` made of `offer`.
///   - local: `actpass` stands for the role that fits the offer.
///   - sessionID: stays the same for all answers of a session; its highest bit is not used.
///   - version: grows by one with every answer.
///   - cname: RTCP's name of the server's streams.
///   - streamNames: by mid; sections that are not named get a name of their own.
public func answer(
    _ negotiated: NegotiatedSession,
    offer: Offer,
    local: LocalTransport,
    sessionID: UInt64,
    version: UInt64,
    cname: String,
    streamNames: [String: StreamName] = [:]
) -> SessionDescription {
    var writer = AnswerWriter(offer: offer, local: local, cname: Text.sanitized(cname), names: streamNames)
    let accepted = negotiated.sections.filter { $0.accepted != nil }.map { $0.mid }
    let bundled = offer.bundle?.filter { accepted.contains($0) }
    writer.mids = bundled ?? accepted
    writer.asksPerLayer = negotiated.media.contains { $0.kind == .video && $0.receive.count > 1 }
    let origin = Origin(
        sessionID: "\(sessionID & UInt64(Int64.max))",
        sessionVersion: "\(version & UInt64(Int64.max))"
    )
    var description = SessionDescription(origin: origin)
    description.attributes = writer.sessionAttributes()
    for (offered, section) in zip(offer.sections, negotiated.sections) {
        description.media.append(writer.media(offered, section))
    }
    return description
}

private struct AnswerWriter {
    let offer: Offer
    let local: LocalTransport
    let cname: String
    let names: [String: StreamName]
    /// Key frames can be asked for layer by layer, since a publication has several.
    var asksPerLayer = false
    /// Accepted mids in the order of the BUNDLE group, so that the offer's transport section stays the
    /// answer's.
    var mids: [String] = []
    /// The section with the candidates: it carries the transport of the others (RFC 8843 §7).
    var transportMid: String? { mids.first }

    func sessionAttributes() -> [Attribute] {
        var attributes = [Attribute("ice-lite"), Attribute("ice-options", "trickle renomination")]
        if offer.bundle != nil, !mids.isEmpty {
            attributes.append(Attribute("group", "BUNDLE " + mids.joined(separator: " ")))
        }
        if offer.allowsMixedExtensions { attributes.append(Attribute("extmap-allow-mixed")) }
        attributes.append(Attribute("msid-semantic", "WMS *"))
        return attributes
    }

    func media(_ offered: OfferedSection, _ section: NegotiatedSection) -> MediaDescription {
        let mid = offered.hasMid ? [Attribute("mid", section.mid)] : []
        guard let accepted = section.accepted else {
            let inactive = offered.kind.media == nil ? [] : [Attribute("inactive")]
            return MediaDescription(
                media: offered.media,
                port: 0,
                transportProtocol: offered.transportProtocol,
                formats: offered.formats,
                attributes: mid + inactive
            )
        }
        var attributes = transportAttributes(withCandidates: section.mid == transportMid)
        attributes += mid
        attributes += extensionAttributes(offered, accepted)
        attributes.append(Attribute(accepted.direction.rawValue))
        if accepted.media.slot != nil {
            let name = self.name(of: section.mid)
            attributes.append(Attribute("msid", "\(name.stream) \(name.track)"))
        }
        attributes.append(Attribute("rtcp-mux"))
        if offered.rtcpReducedSize { attributes.append(Attribute("rtcp-rsize")) }
        for codec in accepted.media.codecs { attributes += codecAttributes(codec) }
        attributes += ridAttributes(accepted.rids)
        attributes += sourceAttributes(accepted.media)
        return MediaDescription(
            media: offered.media,
            port: 9,
            transportProtocol: offered.transportProtocol,
            formats: accepted.media.codecs.flatMap { codec in
                ["\(codec.payloadType)"] + (codec.rtxPayloadType.map { ["\($0)"] } ?? [])
            },
            attributes: attributes
        )
    }

    private func transportAttributes(withCandidates: Bool) -> [Attribute] {
        var attributes: [Attribute] = []
        if withCandidates {
            attributes += local.candidates.map { Attribute("candidate", $0.sdp) }
            attributes.append(Attribute("end-of-candidates"))
        }
        attributes.append(Attribute("ice-ufrag", local.ice.usernameFragment))
        attributes.append(Attribute("ice-pwd", local.ice.password))
        attributes += local.fingerprints.map { Attribute("fingerprint", $0.sdp) }
        let setup = local.setup == .actpass ? offer.answeringSetup : local.setup
        attributes.append(Attribute("setup", setup.rawValue))
        return attributes
    }

    private func extensionAttributes(_ offered: OfferedSection, _ accepted: AcceptedSection) -> [Attribute] {
        var attributes = accepted.media.extensions.map { header in
            let suffix = accepted.extensionDirections[header.kind].map { "/" + $0.rawValue } ?? ""
            return Attribute("extmap", "\(header.id)\(suffix) \(header.kind.uri)")
        }
        if offered.allowsMixedExtensions, !offer.allowsMixedExtensions {
            attributes.append(Attribute("extmap-allow-mixed"))
        }
        return attributes
    }

    private func codecAttributes(_ codec: CodecParameters) -> [Attribute] {
        let type = codec.payloadType
        let channels = codec.channels > 1 ? "/\(codec.channels)" : ""
        var attributes = [
            Attribute("rtpmap", "\(type) \(codec.name.encodingName)/\(codec.clockRate)\(channels)")
        ]
        attributes += codec.feedback.sdp.map { Attribute("rtcp-fb", "\(type) \($0)") }
        var parameters = codec.formatParameters
        if asksPerLayer, codec.name.kind == .video, codec.formatParameter("x-google-per-layer-pli") == nil {
            parameters += parameters.isEmpty ? "x-google-per-layer-pli=1" : ";x-google-per-layer-pli=1"
        }
        if !parameters.isEmpty { attributes.append(Attribute("fmtp", "\(type) \(parameters)")) }
        if let rtx = codec.rtxPayloadType {
            attributes.append(Attribute("rtpmap", "\(rtx) rtx/\(codec.clockRate)"))
            attributes.append(Attribute("fmtp", "\(rtx) apt=\(type)"))
        }
        return attributes
    }

    /// Keeps "~": Chromium switches a layer on that the answer does not call paused, whatever its sender had
    /// said.
    private func ridAttributes(_ rids: [OfferedRid]) -> [Attribute] {
        guard !rids.isEmpty else { return [] }
        var attributes = rids.map { rid in
            var restrictions: [String] = []
            if !rid.payloadTypes.isEmpty {
                restrictions.append("pt=" + rid.payloadTypes.map { "\($0)" }.joined(separator: ","))
            }
            if !rid.restrictions.isEmpty { restrictions.append(rid.restrictions) }
            let suffix = restrictions.isEmpty ? "" : " " + restrictions.joined(separator: ";")
            return Attribute("rid", "\(rid.id) recv\(suffix)")
        }
        let list = rids.map { ($0.isPaused ? "~" : "") + $0.id }.joined(separator: ";")
        attributes.append(Attribute("simulcast", "recv \(list)"))
        return attributes
    }

    private func sourceAttributes(_ media: MediaSection) -> [Attribute] {
        guard let slot = media.slot else { return [] }
        let source = Attribute("ssrc", "\(slot.ssrc) cname:\(cname)")
        guard let rtx = slot.rtxSSRC else { return [source] }
        return [
            Attribute("ssrc-group", "FID \(slot.ssrc) \(rtx)"), source,
            Attribute("ssrc", "\(rtx) cname:\(cname)"),
        ]
    }

    private func name(of mid: String) -> StreamName {
        let name = names[mid] ?? StreamName(stream: "slot-\(mid)", track: "slot-\(mid)")
        return StreamName(stream: Text.sanitized(name.stream), track: Text.sanitized(name.track))
    }
}

extension CodecName {
    /// As the registrations write it.
    var encodingName: String {
        switch self {
        case .opus: "opus"
        case .red: "red"
        case .vp8: "VP8"
        case .vp9: "VP9"
        case .h264: "H264"
        case .av1: "AV1"
        }
    }
}

extension RTCPFeedback {
    /// The values of `a=rtcp-fb`, in Chromium's order.
    var sdp: [String] {
        let names: [(RTCPFeedback, String)] = [
            (.remb, "goog-remb"), (.transportCC, "transport-cc"), (.fir, "ccm fir"), (.nack, "nack"),
            (.pli, "nack pli"),
        ]
        return names.filter { contains($0.0) }.map { $0.1 }
    }
}

extension Fingerprint {
    /// `sha-256 4A:AD:…` (RFC 8122 §5)
    public var sdp: String {
        let hex = Array("0123456789ABCDEF")
        let pairs = digest.map { String([hex[Int($0 >> 4)], hex[Int($0 & 15)]]) }
        return algorithm + " " + pairs.joined(separator: ":")
    }
}
