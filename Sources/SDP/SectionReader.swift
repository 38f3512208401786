// The attributes of one m-section, gathered line by line and then folded into an OfferedSection.
import RTP

struct SectionReader {
    private let media: MediaDescription
    private(set) var transport = TransportReader()
    private(set) var mid: String?
    var inventedMid = ""
    private(set) var isICELite = false

    private var direction: MediaDirection
    private var isBundleOnly = false
    private var rtcpMux = false
    private var rtcpReducedSize = false
    private var allowsMixedExtensions = false
    private var streamID: String?
    private var trackID: String?
    private var codecs = CodecReader()
    private var simulcast = SimulcastReader()
    private var extensions: [OfferedExtension] = []
    private var extensionIDs: Set<Int> = []

    init(_ media: MediaDescription, direction: MediaDirection) {
        self.media = media
        self.direction = direction
    }

    /// Port 0 means stopped, except where BUNDLE lends its port (RFC 8843 §6).
    var isRejected: Bool { media.port == 0 && !isBundleOnly }

    mutating func read(_ attribute: Attribute) throws(SDPError) {
        switch attribute.name {
        case "mid":
            let value = try attribute.requiredValue()
            guard Text.isIdentifier(value), mid == nil else { throw attribute.malformed }
            mid = String(value)
        case "sendrecv", "sendonly", "recvonly", "inactive":
            direction = MediaDirection(rawValue: attribute.name) ?? direction
        case "bundle-only": isBundleOnly = true
        case "rtcp-mux", "rtcp-mux-only": rtcpMux = true
        case "rtcp-rsize": rtcpReducedSize = true
        case "extmap-allow-mixed": allowsMixedExtensions = true
        case "ice-lite": isICELite = true
        case "msid": try readMsid(attribute)
        case "extmap" where isRTP: try readExtension(attribute)
        case "rtpmap" where isRTP: try codecs.readMap(attribute)
        case "fmtp" where isRTP: try codecs.readFormat(attribute)
        case "rtcp-fb" where isRTP: try codecs.readFeedback(attribute)
        case "rid" where isRTP: try simulcast.readRid(attribute)
        case "simulcast" where isRTP: try simulcast.readSimulcast(attribute)
        case "ssrc" where isRTP: try simulcast.readSource(attribute)
        case "ssrc-group" where isRTP: try simulcast.readGroup(attribute)
        default: try transport.read(attribute)
        }
    }

    private var kind: SectionKind {
        SectionKind(rawValue: media.media.lowercased()) ?? .other
    }

    private var isRTP: Bool { kind.media != nil }

    /// `a=msid:<stream> [<track>]` (RFC 8830 §2); several streams: the first counts.
    private mutating func readMsid(_ attribute: Attribute) throws(SDPError) {
        let fields = Text.fields(try attribute.requiredValue())
        guard let stream = fields.first, fields.allSatisfy({ Text.isVisible($0) }) else {
            throw attribute.malformed
        }
        guard streamID == nil, trackID == nil else { return }
        streamID = stream == "-" ? nil : String(stream)
        trackID = fields.count > 1 ? String(fields[1]) : nil
    }

    /// `a=extmap:<id>[/<direction>] <uri> [<attributes>]` (RFC 8285 §8). Ids from 4096 ask the answerer to
    /// choose; nobody needs that, so they are passed over like unknown extensions.
    private mutating func readExtension(_ attribute: Attribute) throws(SDPError) {
        let fields = Text.fields(try attribute.requiredValue())
        guard fields.count >= 2 else { throw attribute.malformed }
        let (number, suffix) = Text.cut(fields[0], at: "/")
        guard let id = Text.number(number, as: Int.self), id > 0 else { throw attribute.malformed }
        var direction: MediaDirection?
        if let suffix {
            guard let value = MediaDirection(rawValue: String(suffix)) else { throw attribute.malformed }
            direction = value
        }
        guard extensionIDs.insert(id).inserted, let byte = UInt8(exactly: id),
            let kind = SectionReader.extensionKinds[String(fields[1])],
            !extensions.contains(where: { $0.header.kind == kind })
        else { return }
        extensions.append(OfferedExtension(HeaderExtensionID(kind, id: byte), direction: direction))
    }

    private static let extensionKinds: [String: HeaderExtension] = Dictionary(
        HeaderExtension.allCases.map { ($0.uri, $0) },
        uniquingKeysWith: { first, _ in first }
    )

    /// `mixesExtensions`: the session level allows one-byte and two-byte header extensions side by side.
    func section(mixesExtensions: Bool) -> OfferedSection {
        let mixes = mixesExtensions || allowsMixedExtensions
        // Ids above 14 need the two-byte form; 15 is reserved in the one-byte form (RFC 8285 §4.2).
        let usable = extensions.filter { $0.header.id <= 14 || mixes && $0.header.id > 15 }
        let marksRids = usable.contains { $0.header.kind == .rid }
        let names = streamID == nil && trackID == nil ? simulcast.names : (streamID, trackID)
        return OfferedSection(
            mid: mid ?? inventedMid,
            hasMid: mid != nil,
            kind: kind,
            media: media.media,
            transportProtocol: media.transportProtocol,
            formats: media.formats,
            direction: direction,
            isRejected: isRejected,
            bundled: false,
            rtcpMux: rtcpMux,
            rtcpReducedSize: rtcpReducedSize,
            allowsMixedExtensions: mixes,
            codecs: kind.media.map { codecs.codecs(of: $0, formats: media.formats) } ?? [],
            extensions: usable,
            rids: marksRids && kind == .video ? simulcast.sendRids : [],
            sources: simulcast.sources,
            announcedSSRCs: simulcast.announced,
            streamID: names.0,
            trackID: names.1
        )
    }
}
