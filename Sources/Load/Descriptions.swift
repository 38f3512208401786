// The offers of the load client, and what it needs from an answer. Must not know sockets or media.
import CLinux
import RTP
import SDP

/// What both offers say about transport and formats.
struct OfferTemplate {
    static let audioType: UInt8 = 111
    static let videoType: UInt8 = 96
    static let audioLevelID: UInt8 = 1
    static let midID: UInt8 = 4
    static let audioMid = "0"
    static let videoMid = "1"

    var ice: ICECredentials
    var fingerprint: Fingerprint
    var hasVideo: Bool

    /// sendonly with announced SSRCs.
    func publishing(audio: UInt32, video: UInt32) -> String {
        var lines = head
        lines += audioSection + ["a=sendonly", "a=msid:load audio", "a=ssrc:\(audio) cname:load"]
        if hasVideo {
            lines += videoSection + ["a=sendonly", "a=msid:load video", "a=ssrc:\(video) cname:load"]
        }
        return lines.map { $0 + "\r\n" }.joined()
    }

    /// One microphone with an announced SSRC, and so many sections to receive audio on; their mids count on.
    func conference(audio: UInt32, slots: Int) -> String {
        let mids = (0...slots).map { "\($0)" }
        var lines = ["v=0", "o=- 4611686018427387904 1 IN IP4 127.0.0.1", "s=-", "t=0 0"]
        lines.append("a=group:BUNDLE \(mids.joined(separator: " "))")
        for mid in mids {
            lines += audioSection(mid)
            lines +=
                mid == Self.audioMid
                ? ["a=sendonly", "a=msid:load audio", "a=ssrc:\(audio) cname:load"] : ["a=recvonly"]
        }
        return lines.map { $0 + "\r\n" }.joined()
    }

    var receiving: String {
        let lines = head + audioSection + ["a=recvonly"] + (hasVideo ? videoSection + ["a=recvonly"] : [])
        return lines.map { $0 + "\r\n" }.joined()
    }

    private var head: [String] {
        [
            "v=0", "o=- 4611686018427387904 1 IN IP4 127.0.0.1", "s=-", "t=0 0",
            "a=group:BUNDLE \(hasVideo ? "\(Self.audioMid) \(Self.videoMid)" : Self.audioMid)",
        ]
    }

    private var audioSection: [String] { audioSection(Self.audioMid) }

    private func audioSection(_ mid: String) -> [String] {
        let type = Self.audioType
        return ["m=audio 9 UDP/TLS/RTP/SAVPF \(type)"] + transport + [
            "a=mid:\(mid)", "a=rtpmap:\(type) opus/48000/2",
            "a=fmtp:\(type) minptime=10;useinbandfec=1",
            "a=extmap:\(Self.audioLevelID) \(HeaderExtension.audioLevel.uri)",
            "a=extmap:\(Self.midID) \(HeaderExtension.mid.uri)",
        ]
    }

    private var videoSection: [String] {
        let type = Self.videoType
        return ["m=video 9 UDP/TLS/RTP/SAVPF \(type)"] + transport + [
            "a=mid:\(Self.videoMid)", "a=rtpmap:\(type) VP8/90000", "a=rtcp-fb:\(type) nack pli",
            "a=rtcp-fb:\(type) ccm fir", "a=extmap:\(Self.midID) \(HeaderExtension.mid.uri)",
        ]
    }

    private var transport: [String] {
        let digest = fingerprint.digest.map { byte in
            let text = String(byte, radix: 16, uppercase: true)
            return text.count == 1 ? "0" + text : text
        }
        return [
            "c=IN IP4 0.0.0.0", "a=ice-ufrag:\(ice.usernameFragment)", "a=ice-pwd:\(ice.password)",
            "a=fingerprint:\(fingerprint.algorithm) \(digest.joined(separator: ":"))", "a=setup:actpass",
            "a=rtcp-mux", "a=rtcp-rsize",
        ]
    }
}

/// The server's side of a session.
struct Answer {
    var ice: ICECredentials
    var fingerprints: [Fingerprint]
    var candidate: clinux_address
    /// Payload types of accepted video sections, the rest is audio.
    var videoTypes: Set<UInt8> = []
    /// The payload type to send by kind, where the section was accepted.
    var audioType: UInt8?
    var videoType: UInt8?

    /// - Throws: `LoadError` that says what is missing.
    init(_ text: String) throws {
        let description: SessionDescription
        do {
            description = try SessionDescription(parsing: text)
        } catch {
            throw LoadError("the answer cannot be read: \(error)")
        }
        let accepted = description.media.filter { $0.port != 0 }
        func values(_ name: String) -> [String] {
            (accepted.map(\.attributes) + [description.attributes]).joined().filter { $0.name == name }
                .compactMap(\.value)
        }
        guard let fragment = values("ice-ufrag").first, let password = values("ice-pwd").first else {
            throw LoadError("the answer accepts nothing or has no ICE credentials")
        }
        ice = ICECredentials(usernameFragment: fragment, password: password)
        fingerprints = values("fingerprint").compactMap(Self.fingerprint)
        guard let candidate = values("candidate").compactMap(Self.udpCandidate).max(by: { $0.0 < $1.0 })
        else {
            throw LoadError("the answer has no UDP candidate with a numeric address")
        }
        self.candidate = candidate.1
        guard values("setup").first == "passive" else {
            throw LoadError("the answer must say a=setup:passive: this client opens the handshake")
        }
        for section in accepted {
            let types = section.formats.compactMap { UInt8($0) }
            if section.media == "video" {
                videoTypes.formUnion(types)
                videoType = videoType ?? types.first
            } else {
                audioType = audioType ?? types.first
            }
        }
    }

    private static func fingerprint(_ value: String) -> Fingerprint? {
        let fields = value.split(separator: " ")
        guard fields.count == 2 else { return nil }
        let digest = fields[1].split(separator: ":").compactMap { UInt8($0, radix: 16) }
        return digest.isEmpty ? nil : Fingerprint(algorithm: fields[0].lowercased(), digest: digest)
    }

    private static func udpCandidate(_ value: String) -> (UInt32, clinux_address)? {
        let fields = value.split(separator: " ")
        guard fields.count >= 8, fields[2].lowercased() == "udp", let priority = UInt32(fields[3]),
            let port = UInt16(fields[5]), let address = clinux_address(numeric: String(fields[4]), port: port)
        else { return nil }
        return (priority, address)
    }
}
