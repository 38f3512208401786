// What a client says of itself: the sections that it sends and receives on, as an offer, or as the answer to one. Must not
// know how descriptions travel, sockets or media.
import RTP
import SDP

struct LocalDescription {
    static let audioType: UInt8 = 111
    static let audioLevelID: UInt8 = 1
    static let transportSequenceID: UInt8 = 3
    static let midID: UInt8 = 4
    static let ridID: UInt8 = 10
    static let audioMid = "0"
    static let videoMid = "1"

    struct Section {
        var mid: String
        /// nil: audio.
        var codec: VideoCodec?
        /// What is sent; nil: it receives.
        var sends: Sending?
    }

    struct Sending {
        /// Of the only stream, where there is no simulcast.
        var ssrc: UInt32
        /// From the lowest layer; empty: no simulcast.
        var rids: [String] = []
    }

    var ice: ICECredentials
    var fingerprint: Fingerprint
    /// NACK, retransmission and transport-wide feedback are offered where media is received.
    var hasFeedback: Bool
    var sections: [Section]

    /// Sections for what this client publishes; nothing: none.
    static func publishing(_ sources: [any MediaSource], codec: VideoCodec) -> [Section] {
        var sections: [Section] = []
        let audio = sources.first { $0 is AudioSource }
        if let audio { sections.append(Section(mid: audioMid, sends: Sending(ssrc: audio.stream.ssrc))) }
        let video = sources.filter { $0 is VideoSource }
        if let first = video.first {
            let rids = video.count > 1 ? VideoFormat.rids(video.count) : []
            sections.append(
                Section(
                    mid: videoMid,
                    codec: codec,
                    sends: Sending(ssrc: first.stream.ssrc, rids: rids)
                )
            )
        }
        return sections
    }

    /// So many sections to receive on; their mids count on from `first`.
    static func receiving(audio: Int, video: Int, codec: VideoCodec, first: Int) -> [Section] {
        (0..<audio + video).map { Section(mid: "\(first + $0)", codec: $0 < audio ? nil : codec) }
    }

    // MARK: Text

    var offer: String {
        var lines = head(sections.map(\.mid))
        for section in sections {
            let types = section.types(hasFeedback: hasFeedback)
            lines.append(
                "m=\(section.kind) 9 UDP/TLS/RTP/SAVPF \(types.map { "\($0)" }.joined(separator: " "))"
            )
            lines += transport(setup: "actpass") + body(section)
        }
        return lines.map { $0 + "\r\n" }.joined()
    }

    /// The answer of one who only receives to a server that offers: every section is taken with its own first codec.
    /// - Throws: `LoadError` where the offer cannot be read.
    func answer(to offer: String) throws -> String {
        let description: SessionDescription
        do {
            description = try SessionDescription(parsing: offer)
        } catch {
            throw LoadError("the offer cannot be read: \(error)")
        }
        let mids = description.media.map { $0.attributes.first { $0.name == "mid" }?.value ?? "" }
        var lines = head(zip(mids, description.media).filter { $0.1.port != 0 }.map { $0.0 })
        for (mid, media) in zip(mids, description.media) {
            guard media.port != 0, media.media == "audio" || media.media == "video" else {
                lines.append("m=\(media.media) 0 \(media.transportProtocol) \(media.formats.first ?? "0")")
                lines.append("c=IN IP4 0.0.0.0")
                lines.append("a=mid:\(mid)")
                continue
            }
            lines.append(
                "m=\(media.media) 9 \(media.transportProtocol) \(media.formats.joined(separator: " "))"
            )
            lines += transport(setup: "active") + ["a=mid:\(mid)", "a=recvonly"]
            let taken: Set<String> =
                hasFeedback ? ["rtpmap", "fmtp", "rtcp-fb", "extmap"] : ["rtpmap", "fmtp"]
            for attribute in media.attributes where taken.contains(attribute.name) {
                lines.append("a=\(attribute.name):\(attribute.value ?? "")")
            }
        }
        return lines.map { $0 + "\r\n" }.joined()
    }

    private func head(_ mids: [String]) -> [String] {
        [
            "v=0", "o=- 4611686018427387904 1 IN IP4 127.0.0.1", "s=-", "t=0 0",
            "a=group:BUNDLE \(mids.joined(separator: " "))",
        ]
    }

    private func transport(setup: String) -> [String] {
        [
            "c=IN IP4 0.0.0.0", "a=ice-ufrag:\(ice.usernameFragment)", "a=ice-pwd:\(ice.password)",
            "a=fingerprint:\(fingerprint.sdp)", "a=setup:\(setup)", "a=rtcp-mux", "a=rtcp-rsize",
        ]
    }

    private func body(_ section: Section) -> [String] {
        var lines = ["a=mid:\(section.mid)"]
        let receives = section.sends == nil && hasFeedback
        if let codec = section.codec {
            lines += videoCodec(codec, receives: receives)
        } else {
            let type = Self.audioType
            lines += ["a=rtpmap:\(type) opus/48000/2", "a=fmtp:\(type) minptime=10;useinbandfec=1"]
            if receives { lines.append("a=rtcp-fb:\(type) transport-cc") }
            lines.append("a=extmap:\(Self.audioLevelID) \(HeaderExtension.audioLevel.uri)")
        }
        lines.append("a=extmap:\(Self.midID) \(HeaderExtension.mid.uri)")
        if receives {
            lines.append("a=extmap:\(Self.transportSequenceID) \(HeaderExtension.transportSequence.uri)")
        }
        guard let sends = section.sends else { return lines + ["a=recvonly"] }
        lines += ["a=sendonly", "a=msid:load \(section.kind)"]
        guard !sends.rids.isEmpty else { return lines + ["a=ssrc:\(sends.ssrc) cname:load"] }
        lines.append("a=extmap:\(Self.ridID) \(HeaderExtension.rid.uri)")
        lines += sends.rids.map { "a=rid:\($0) send" }
        return lines + ["a=simulcast:send \(sends.rids.joined(separator: ";"))"]
    }

    private func videoCodec(_ codec: VideoCodec, receives: Bool) -> [String] {
        let type = codec.payloadType
        var lines = ["a=rtpmap:\(type) \(codec == .vp8 ? "VP8" : "H264")/90000"]
        if codec == .h264 {
            lines.append(
                "a=fmtp:\(type) level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
            )
        }
        lines += ["a=rtcp-fb:\(type) nack pli", "a=rtcp-fb:\(type) ccm fir"]
        guard receives else { return lines }
        let repair = codec.repairPayloadType
        return lines + [
            "a=rtcp-fb:\(type) nack", "a=rtcp-fb:\(type) transport-cc", "a=rtpmap:\(repair) rtx/90000",
            "a=fmtp:\(repair) apt=\(type)",
        ]
    }
}

extension LocalDescription.Section {
    var kind: String { codec == nil ? "audio" : "video" }

    func types(hasFeedback: Bool) -> [UInt8] {
        guard let codec else { return [LocalDescription.audioType] }
        return sends == nil && hasFeedback
            ? [codec.payloadType, codec.repairPayloadType] : [codec.payloadType]
    }
}
