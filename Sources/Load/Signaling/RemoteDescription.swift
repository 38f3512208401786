// What a client needs from the server's description, be it an answer or an offer. Must not know sockets or media.
import CLinux
import PeerTransport
import RTP
import SDP

struct RemoteDescription {
    var ice: ICECredentials
    var fingerprints: [Fingerprint]
    var candidate: clinux_address
    /// Who opens the DTLS handshake on this side.
    var role: DTLSRole
    /// Payload types of video; what is neither here nor in `repairs` is audio.
    var videoTypes: Set<UInt8> = []
    /// What each payload type of retransmissions repairs (RFC 4588 §8.1).
    var repairs: [UInt8: UInt8] = [:]
    /// The stream that each stream of retransmissions repairs (`a=ssrc-group:FID`).
    var repairedStreams: [UInt32: UInt32] = [:]
    /// The payload type to send by kind, where the section was accepted.
    var audioType: UInt8?
    var videoType: UInt8?
    /// Id of transport-wide sequence numbers; 0: there are none.
    var transportSequenceID: UInt8 = 0

    /// - Throws: `LoadError` that says what is missing.
    init(_ text: String) throws {
        let description: SessionDescription
        do {
            description = try SessionDescription(parsing: text)
        } catch {
            throw LoadError("the server's description cannot be read: \(error)")
        }
        let accepted = description.media.filter { $0.port != 0 }
        func values(_ name: String) -> [String] {
            (accepted.map(\.attributes) + [description.attributes]).joined().filter { $0.name == name }
                .compactMap(\.value)
        }
        guard let fragment = values("ice-ufrag").first, let password = values("ice-pwd").first else {
            throw LoadError("the server's description accepts nothing or has no ICE credentials")
        }
        ice = ICECredentials(usernameFragment: fragment, password: password)
        fingerprints = values("fingerprint").compactMap(Self.fingerprint)
        guard let candidate = values("candidate").compactMap(Self.udpCandidate).max(by: { $0.0 < $1.0 })
        else {
            throw LoadError("the server's description has no UDP candidate with a numeric address")
        }
        self.candidate = candidate.1
        switch values("setup").first {
        case "passive", "actpass": role = .client
        case "active": role = .server
        default: throw LoadError("the server's description does not say who opens the handshake (a=setup)")
        }
        for section in accepted { read(section) }
    }

    private mutating func read(_ section: MediaDescription) {
        let types = section.formats.compactMap { UInt8($0) }
        for attribute in section.attributes {
            let fields = (attribute.value ?? "").split(separator: " ")
            switch attribute.name {
            case "fmtp":
                guard fields.count > 1, let type = UInt8(fields[0]),
                    let apt = fields[1].split(separator: ";").first(where: { $0.hasPrefix("apt=") }),
                    let repaired = UInt8(apt.dropFirst(4))
                else { continue }
                repairs[type] = repaired
            case "ssrc-group":
                guard fields.count == 3, fields[0] == "FID", let first = UInt32(fields[1]),
                    let second = UInt32(fields[2])
                else { continue }
                repairedStreams[second] = first
            case "extmap":
                guard fields.count > 1, fields[1] == HeaderExtension.transportSequence.uri,
                    let id = fields[0].split(separator: "/").first.flatMap({ UInt8($0) }), id < 15
                else { continue }
                transportSequenceID = id
            default: continue
            }
        }
        let media = types.filter { repairs[$0] == nil }
        if section.media == "video" {
            videoTypes.formUnion(media)
            videoType = videoType ?? media.first
        } else {
            audioType = audioType ?? media.first
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
