// Small readers over bytes of text. Works on UTF-8 throughout, since "\r\n" is one Character in Swift.

import RTP

/// Cutting and checking of untrusted text.
enum Text {
    static let space = UInt8(ascii: " ")
    static let colon = UInt8(ascii: ":")

    static func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == UInt8(ascii: "\t") }

    /// Splits at runs of blanks.
    static func fields(_ text: Substring) -> [Substring] {
        text.utf8.split(whereSeparator: isBlank).map { Substring($0) }
    }

    /// Splits at every `separator`; empty pieces are kept.
    static func pieces(_ text: Substring, at separator: Character) -> [Substring] {
        guard let byte = separator.asciiValue else { return [text] }
        return text.utf8.split(separator: byte, omittingEmptySubsequences: false).map { Substring($0) }
    }

    /// Splits at the first `separator`; nil tail where there is none.
    static func cut(_ text: Substring, at separator: Character) -> (head: Substring, tail: Substring?) {
        guard let byte = separator.asciiValue, let index = text.utf8.firstIndex(of: byte) else {
            return (text, nil)
        }
        return (text[..<index], text[text.utf8.index(after: index)...])
    }

    /// Splits at the first run of blanks; the tail is trimmed.
    static func head(_ text: Substring) -> (head: Substring, tail: Substring) {
        let body = trim(text)
        guard let index = body.utf8.firstIndex(where: isBlank) else { return (body, "") }
        return (body[..<index], trim(body[index...]))
    }

    static func trim(_ text: Substring) -> Substring {
        var bytes = text.utf8
        while let first = bytes.first, isBlank(first) { bytes.removeFirst() }
        while let last = bytes.last, isBlank(last) { bytes.removeLast() }
        return Substring(bytes)
    }

    /// Decimal digits alone: no sign, no blanks.
    static func number<Number: FixedWidthInteger>(_ text: Substring, as: Number.Type = Number.self) -> Number?
    {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        return Number(text)
    }

    /// Visible ASCII without blanks, at least one character.
    static func isVisible(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
    }

    /// A mid or a rid: an SDP token (RFC 8866 §9) that a one-byte header extension can carry.
    static func isIdentifier(_ text: Substring) -> Bool {
        text.utf8.count <= Limits.SDP.identifierBytes && isVisible(text)
            && !text.utf8.contains { byte in notInTokens.contains(byte) }
    }

    /// ICE user name fragments and passwords; wider than ice-char, since clients are, but safe in USERNAME.
    static func isICECredential(_ text: Substring, atLeast minimum: Int) -> Bool {
        text.utf8.count >= minimum && text.utf8.count <= 256 && isVisible(text)
            && !text.utf8.contains(colon) && !text.utf8.contains(UInt8(ascii: "\""))
    }

    /// What goes into our own text: everything but visible ASCII becomes "_".
    static func sanitized(_ text: String) -> String {
        let bytes = text.utf8.map { $0 > 0x20 && $0 < 0x7f ? $0 : UInt8(ascii: "_") }
        return bytes.isEmpty ? "_" : String(decoding: bytes, as: UTF8.self)
    }

    private static let notInTokens: [UInt8] = Array("\"(),/:;<=>?@[\\]~".utf8)
}
