// Why a text is not a session description that can be read. Knows no negotiation.

/// A text that cannot be read: where, and what is wrong with it.
public struct SDPError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Problem: Sendable, Hashable {
        /// More than a bound of `Limits.SDP` allows.
        case tooLarge, lineTooLong
        case tooMany(String)
        /// NUL, or a carriage return inside a line.
        case controlCharacter
        /// Not of the form `letter=value`.
        case malformedLine
        /// A line of the wrong type for its place, "m" for `m=`.
        case unexpectedLine(String)
        /// A line that every description has, "o" for `o=`.
        case missingLine(String)
        case unsupportedVersion
        case malformedOrigin, malformedMediaLine
        /// The name of the attribute.
        case malformedAttribute(String)
        case duplicateMid(String)
        case noMediaSections
        case missingICECredentials
        /// None at all, or none with a hash that is safe (SHA-256, -384, -512).
        case missingFingerprint
    }

    /// Counts from 1; 0 where the text as a whole is meant.
    public var line: Int
    public var problem: Problem

    public init(line: Int, problem: Problem) {
        self.line = line
        self.problem = problem
    }

    public var description: String {
        line == 0 ? sentence : "line \(line): \(sentence)"
    }

    private var sentence: String {
        switch problem {
        case .tooLarge: "the text is too large"
        case .lineTooLong: "the line is too long"
        case .tooMany(let what): "too many \(what)"
        case .controlCharacter: "control character in the line"
        case .malformedLine: "the line is not of the form letter=value"
        case .unexpectedLine(let type): "\(type)= is not expected here"
        case .missingLine(let type): "\(type)= is missing"
        case .unsupportedVersion: "the version is not 0"
        case .malformedOrigin: "o= does not have its six fields"
        case .malformedMediaLine: "m= is malformed"
        case .malformedAttribute(let name): "a=\(name) is malformed"
        case .duplicateMid(let mid): "a=mid:\(mid) appears twice"
        case .noMediaSections: "there is no m= section"
        case .missingICECredentials: "a=ice-ufrag and a=ice-pwd are missing"
        case .missingFingerprint: "there is no a=fingerprint with sha-256, sha-384 or sha-512"
        }
    }
}
