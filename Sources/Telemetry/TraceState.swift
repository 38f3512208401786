// `tracestate` (W3C Trace Context §3.3): what other vendors want to be handed on. Nothing in it is understood here.
import RTP

public struct TraceState: Sendable, Equatable {
    struct Member: Sendable, Equatable {
        var key: String
        var value: String
        var text: String { "\(key)=\(value)" }
    }

    private(set) var members: [Member] = []

    public init() {}

    /// nil where a member breaks the grammar, a key comes twice, or there are more than 32.
    public init?(_ header: String) {
        var keys: Set<String> = []
        for part in header.split(separator: ",", omittingEmptySubsequences: true) {
            let text = part.drop { $0 == " " || $0 == "\t" }
            // Trailing blanks are no part of a value (§3.3.1.3.2).
            let end = text.lastIndex { $0 != " " && $0 != "\t" }
            guard let end else { continue }
            let member = text[...end]
            guard let equals = member.firstIndex(of: "=") else { return nil }
            let key = member[..<equals]
            let value = member[member.index(after: equals)...]
            guard Self.isKey(Array(key.utf8)), Self.isValue(Array(value.utf8)),
                keys.insert(String(key)).inserted
            else { return nil }
            members.append(Member(key: String(key), value: String(value)))
            guard members.count <= Limits.Telemetry.traceStateMembers else { return nil }
        }
    }

    public var isEmpty: Bool { members.isEmpty }

    /// The header, cut to what everybody has to hand on: long members go first, then the oldest (§3.3.1.5).
    public var text: String {
        func length(_ members: [Member]) -> Int { members.reduce(-1) { $0 + $1.text.utf8.count + 1 } }
        var kept = members
        while length(kept) > Limits.Telemetry.traceStateBytes {
            let long = kept.lastIndex { $0.text.utf8.count > Limits.Telemetry.traceStateMemberBytes }
            kept.remove(at: long ?? kept.count - 1)
        }
        return kept.map(\.text).joined(separator: ",")
    }

    private static func isLower(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
    }
    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isKeyPart(_ bytes: some Collection<UInt8>, startsWithDigit: Bool, atMost: Int) -> Bool
    {
        guard let first = bytes.first, bytes.count <= atMost,
            isLower(first) || (startsWithDigit && isDigit(first))
        else { return false }
        return bytes.allSatisfy { isLower($0) || isDigit($0) || "_-*/".utf8.contains($0) }
    }

    /// A name, or `tenant@system`.
    private static func isKey(_ bytes: [UInt8]) -> Bool {
        guard let at = bytes.firstIndex(of: UInt8(ascii: "@")) else {
            return isKeyPart(bytes, startsWithDigit: false, atMost: 256)
        }
        return isKeyPart(bytes[..<at], startsWithDigit: true, atMost: 241)
            && isKeyPart(bytes[(at + 1)...], startsWithDigit: false, atMost: 14)
    }

    private static func isValue(_ bytes: [UInt8]) -> Bool {
        guard let last = bytes.last, bytes.count <= 256, last != 0x20 else { return false }
        return bytes.allSatisfy {
            (0x20...0x7e).contains($0) && $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "=")
        }
    }
}
