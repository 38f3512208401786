// Candidates as text (RFC 8839 §5.1): ours are written, the peer's are only looked at, since an ICE-lite
// agent answers where checks come from.
import RTP

extension Candidate {
    /// The value of `a=candidate`: a host candidate, for TCP a passive one (RFC 6544 §4.5).
    public var sdp: String {
        let suffix = network == .tcp ? " tcptype passive" : ""
        return
            "\(Text.sanitized(foundation)) 1 \(network.rawValue) \(priority) \(Text.sanitized(address)) \(port)"
            + " typ host\(suffix)"
    }

    /// Whether `text` has the form of a candidate: with or without "a=" and "candidate:" in front, of any
    /// type, transport and kind of address. An empty text means the end of candidates and is not one.
    public static func isWellFormed(_ text: some StringProtocol) -> Bool {
        var body = Substring(text)
        for prefix in ["a=", "candidate:"] where body.utf8.starts(with: prefix.utf8) {
            body = Substring(body.utf8.dropFirst(prefix.utf8.count))
        }
        let fields = Text.fields(body)
        return fields.count >= 8 && fields[0].utf8.count <= 64 && fields.allSatisfy { Text.isVisible($0) }
            && Text.number(fields[1], as: UInt16.self) != nil
            && Text.number(fields[3], as: UInt32.self) != nil
            && Text.number(fields[5], as: UInt16.self) != nil && fields[6] == "typ"
    }
}
