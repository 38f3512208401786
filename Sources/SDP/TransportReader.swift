// ICE and DTLS attributes, which may stand on the session level or in an m-section.
import RTP

struct TransportReader {
    private(set) var usernameFragment: String?
    private(set) var password: String?
    private(set) var setup: SetupRole?
    private(set) var fingerprints: [Fingerprint] = []
    private var seenFingerprints = 0

    /// Attributes that are not of the transport are left alone.
    mutating func read(_ attribute: Attribute) throws(SDPError) {
        switch attribute.name {
        case "ice-ufrag":
            let value = try attribute.requiredValue()
            guard Text.isICECredential(value, atLeast: 4) else { throw attribute.malformed }
            usernameFragment = String(value)
        case "ice-pwd":
            let value = try attribute.requiredValue()
            guard Text.isICECredential(value, atLeast: 22) else { throw attribute.malformed }
            password = String(value)
        case "setup":
            guard let role = SetupRole(rawValue: try attribute.requiredValue().lowercased()) else {
                throw attribute.malformed
            }
            setup = role
        case "fingerprint":
            try readFingerprint(attribute)
        default:
            break
        }
    }

    /// `a=fingerprint:<hash> <hex:hex:…>` (RFC 8122 §5). Hashes that are unsafe or unknown are passed over.
    private mutating func readFingerprint(_ attribute: Attribute) throws(SDPError) {
        seenFingerprints += 1
        guard seenFingerprints <= Limits.SDP.fingerprints else {
            throw SDPError(line: attribute.line, problem: .tooMany("fingerprints"))
        }
        let fields = Text.fields(try attribute.requiredValue())
        guard fields.count == 2 else { throw attribute.malformed }
        var digest: [UInt8] = []
        for pair in Text.pieces(fields[1], at: ":") {
            guard pair.utf8.count == 2, pair.utf8.first != UInt8(ascii: "+"),
                pair.utf8.first != UInt8(ascii: "-"),
                let byte = UInt8(pair, radix: 16)
            else { throw attribute.malformed }
            digest.append(byte)
        }
        let algorithm = fields[0].lowercased()
        guard let length = TransportReader.digestBytes[algorithm] else { return }
        guard digest.count == length else { throw attribute.malformed }
        fingerprints.append(Fingerprint(algorithm: algorithm, digest: digest))
    }

    private static let digestBytes = ["sha-256": 32, "sha-384": 48, "sha-512": 64]

    /// `self` is the session level, `section` what overrides it.
    func merged(into section: TransportReader, line: Int) throws(SDPError) -> RemoteTransport {
        guard let usernameFragment = section.usernameFragment ?? usernameFragment,
            let password = section.password ?? password
        else { throw SDPError(line: line, problem: .missingICECredentials) }
        let chosen = section.seenFingerprints > 0 ? section.fingerprints : fingerprints
        guard !chosen.isEmpty else { throw SDPError(line: line, problem: .missingFingerprint) }
        // An offer without a=setup leaves the choice to us (RFC 8842 §5.2 demands actpass).
        return RemoteTransport(
            ice: ICECredentials(usernameFragment: usernameFragment, password: password),
            fingerprints: chosen,
            setup: section.setup ?? setup ?? .actpass
        )
    }
}
