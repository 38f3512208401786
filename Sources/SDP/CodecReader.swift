// rtpmap, fmtp and rtcp-fb lines of one m-section, folded into CodecParameters.
import RTP

struct CodecReader {
    private struct Map {
        var name: String
        var clockRate: UInt32
        var channels: UInt8
    }

    private var maps: [UInt8: Map] = [:]
    private var formats: [UInt8: String] = [:]
    private var feedback: [UInt8: RTCPFeedback] = [:]
    private var feedbackForAll: RTCPFeedback = []

    /// `a=rtpmap:<pt> <name>/<clock>[/<channels>]`
    mutating func readMap(_ attribute: Attribute) throws(SDPError) {
        let (type, rest) = try CodecReader.payloadType(of: attribute)
        let parts = Text.pieces(rest, at: "/")
        guard parts.count == 2 || parts.count == 3, Text.isVisible(parts[0]),
            let clockRate = Text.number(parts[1], as: UInt32.self), clockRate > 0
        else { throw attribute.malformed }
        var channels: UInt8 = 1
        if parts.count == 3 {
            guard let number = Text.number(parts[2], as: UInt8.self), number > 0 else {
                throw attribute.malformed
            }
            channels = number
        }
        guard maps[type] == nil else { return }
        maps[type] = Map(name: parts[0].lowercased(), clockRate: clockRate, channels: channels)
    }

    /// `a=fmtp:<pt> <parameters>`
    mutating func readFormat(_ attribute: Attribute) throws(SDPError) {
        let (type, rest) = try CodecReader.payloadType(of: attribute)
        if formats[type] == nil { formats[type] = String(rest) }
    }

    /// `a=rtcp-fb:<pt or *> <value> [<parameter>]` (RFC 4585 §4.2); values that we do not speak are passed
    /// over.
    mutating func readFeedback(_ attribute: Attribute) throws(SDPError) {
        let (target, rest) = Text.head(try attribute.requiredValue())
        let fields = Text.fields(rest)
        guard let value = fields.first else { throw attribute.malformed }
        let parameter = fields.count > 1 ? fields[1] : ""
        let item: RTCPFeedback =
            switch (value.lowercased(), parameter.lowercased()) {
            case ("nack", ""): .nack
            case ("nack", "pli"): .pli
            case ("ccm", "fir"): .fir
            case ("transport-cc", _): .transportCC
            case ("goog-remb", _): .remb
            default: []
            }
        if target == "*" {
            feedbackForAll.formUnion(item)
        } else {
            guard let type = Text.number(target, as: UInt8.self), type < 128 else {
                throw attribute.malformed
            }
            feedback[type, default: []].formUnion(item)
        }
    }

    private static func payloadType(of attribute: Attribute) throws(SDPError) -> (UInt8, Substring) {
        let (head, rest) = Text.head(try attribute.requiredValue())
        guard let type = Text.number(head, as: UInt8.self), type < 128 else { throw attribute.malformed }
        return (type, rest)
    }

    /// The known codecs of the m-line in its order. Payload types 64–95 cannot be told from RTCP (RFC 5761
    /// §4).
    func codecs(of kind: MediaKind, formats list: [String]) -> [CodecParameters] {
        var listed: [UInt8] = []
        for format in list {
            guard let type = Text.number(Substring(format), as: UInt8.self), type < 128,
                !(64...95).contains(type),
                !listed.contains(type)
            else { continue }
            listed.append(type)
        }
        var rtx: [UInt8: UInt8] = [:]
        for type in listed where maps[type]?.name == "rtx" {
            if let original = repaired(by: type), rtx[original] == nil { rtx[original] = type }
        }
        return listed.compactMap { type in
            guard let map = maps[type], let name = CodecName(rawValue: map.name), name.kind == kind,
                map.clockRate == (kind == .audio ? 48_000 : 90_000)
            else { return nil }
            return CodecParameters(
                payloadType: type,
                name: name,
                clockRate: map.clockRate,
                channels: map.channels,
                formatParameters: formats[type] ?? "",
                rtxPayloadType: rtx[type].flatMap { maps[$0]?.clockRate == map.clockRate ? $0 : nil },
                feedback: feedback[type, default: []].union(feedbackForAll)
            )
        }
    }

    /// The `apt` of a retransmission format (RFC 4588 §8.1).
    private func repaired(by type: UInt8) -> UInt8? {
        for parameter in Text.pieces(Substring(formats[type] ?? ""), at: ";") {
            let (name, value) = Text.cut(parameter, at: "=")
            if Text.trim(name).lowercased() == "apt", let value {
                return Text.number(Text.trim(value), as: UInt8.self)
            }
        }
        return nil
    }
}
