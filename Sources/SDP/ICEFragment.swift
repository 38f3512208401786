// application/trickle-ice-sdpfrag (RFC 8840 §9): what a WHIP or WHEP client sends by PATCH, and our answer to
// a restart.
import RTP

/// Trickled candidates, or new credentials for an ICE restart.
public struct ICEFragment: Sendable, Hashable {
    public struct Section: Sendable, Hashable {
        public var mid: String
        /// Values of `a=candidate`; checked for their form, not used.
        public var candidates: [String]
        public var isComplete: Bool

        public init(mid: String, candidates: [String] = [], isComplete: Bool = false) {
            self.mid = mid
            self.candidates = candidates
            self.isComplete = isComplete
        }
    }

    public var usernameFragment: String?
    public var password: String?
    /// `a=end-of-candidates` outside of a section.
    public var isComplete = false
    public var sections: [Section] = []

    public init() {}

    /// Both halves; nil where one is missing.
    public var credentials: ICECredentials? {
        guard let usernameFragment, let password else { return nil }
        return ICECredentials(usernameFragment: usernameFragment, password: password)
    }

    /// Whether it asks for a restart: credentials that are not the ones in use (RFC 8838).
    public func restarts(_ current: ICECredentials) -> Bool {
        guard let credentials else { return false }
        return credentials != current
    }

    /// Reads a fragment. Lines may only be `a=` and the pseudo `m=` (RFC 8840); attributes that are not about
    /// ICE are passed over. All credentials in it have to be the same.
    public init(parsing text: String) throws(SDPError) {
        let lines = try TextLine.lines(of: text, bytes: Limits.SDP.fragmentBytes, count: Limits.SDP.lines)
        var candidates = 0
        for line in lines {
            switch line.type {
            case UInt8(ascii: "m"):
                _ = try MediaDescription(line)
                guard sections.count < Limits.Media.sectionsPerSession else {
                    throw SDPError(line: line.number, problem: .tooMany("m-sections"))
                }
                sections.append(Section(mid: ""))
            case UInt8(ascii: "a"):
                let attribute = try line.attribute()
                candidates += attribute.name == "candidate" ? 1 : 0
                guard candidates <= Limits.SDP.candidatesPerFragment else {
                    throw SDPError(line: line.number, problem: .tooMany("candidates"))
                }
                try read(attribute)
            default:
                throw SDPError(line: line.number, problem: .unexpectedLine(line.typeName))
            }
        }
    }

    private mutating func read(_ attribute: Attribute) throws(SDPError) {
        switch attribute.name {
        case "ice-ufrag", "ice-pwd":
            var reader = TransportReader()
            try reader.read(attribute)
            guard usernameFragment ?? reader.usernameFragment == reader.usernameFragment ?? usernameFragment,
                password ?? reader.password == reader.password ?? password
            else { throw attribute.malformed }
            usernameFragment = usernameFragment ?? reader.usernameFragment
            password = password ?? reader.password
        case "mid":
            // Some clients leave out the m-line in front of it.
            let value = try attribute.requiredValue()
            guard Text.isIdentifier(value) else { throw attribute.malformed }
            if sections.last?.mid == "" {
                sections[sections.count - 1].mid = String(value)
            } else {
                sections.append(Section(mid: String(value)))
            }
        case "candidate":
            let value = try attribute.requiredValue()
            guard Candidate.isWellFormed(value) else { throw attribute.malformed }
            if sections.isEmpty { sections.append(Section(mid: "")) }
            sections[sections.count - 1].candidates.append(String(value))
        case "end-of-candidates":
            if sections.isEmpty {
                isComplete = true
            } else {
                sections[sections.count - 1].isComplete = true
            }
        default:
            break
        }
    }

    /// The answer to a restart (RFC 9725 §4.3.3): our new credentials and candidates, under the transport's
    /// section.
    ///
    /// - Parameters:
    ///   - session: the negotiation in force; its first accepted section carries the transport.
    public static func restartText(local: LocalTransport, session: NegotiatedSession) -> String {
        let accepted = session.sections.filter { $0.accepted != nil }
        var attributes = [Attribute("ice-lite"), Attribute("ice-options", "trickle renomination")]
        if accepted.count > 1 {
            attributes.append(Attribute("group", "BUNDLE " + accepted.map { $0.mid }.joined(separator: " ")))
        }
        var text = ""
        for attribute in attributes { attribute.write(to: &text) }
        let kind = accepted.first?.media?.kind ?? .audio
        text += "m=\(kind.rawValue) 9 UDP/TLS/RTP/SAVPF 0\r\n"
        var section: [Attribute] = accepted.first.map { [Attribute("mid", $0.mid)] } ?? []
        section.append(Attribute("ice-ufrag", local.ice.usernameFragment))
        section.append(Attribute("ice-pwd", local.ice.password))
        section += local.candidates.map { Attribute("candidate", $0.sdp) }
        section.append(Attribute("end-of-candidates"))
        for attribute in section { attribute.write(to: &text) }
        return text
    }
}
