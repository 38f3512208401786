// Text to SessionDescription: bounds, line ends, the order of lines. Total: every text gives a value or an
// SDPError.
import RTP

extension SessionDescription {
    /// Reads a description. Line ends are CRLF or LF; blank lines may follow the last line. Attributes are
    /// accepted anywhere on the session level, all other lines where RFC 8866 §9 has them.
    public init(parsing text: String) throws(SDPError) {
        let lines = try TextLine.lines(
            of: text,
            bytes: Limits.SDP.textBytes,
            count: Limits.SDP.lines
        )
        var parser = SessionDescriptionParser()
        for line in lines { try parser.read(line) }
        self = try parser.finish(at: lines.count)
    }
}

/// `type=value` with its place.
struct TextLine {
    var type: UInt8
    var bytes: ArraySlice<UInt8>
    var number: Int

    /// Cuts a text into its lines. Works on an array of bytes: many times faster than on the views of a
    /// string.
    static func lines(of text: String, bytes limit: Int, count: Int) throws(SDPError) -> [TextLine] {
        guard text.utf8.count <= limit else { throw SDPError(line: 0, problem: .tooLarge) }
        var bytes = Array(text.utf8)[...]
        while let last = bytes.last, last == newLine || last == carriageReturn { bytes.removeLast() }
        var lines: [TextLine] = []
        while !bytes.isEmpty {
            guard lines.count < count else { throw SDPError(line: 0, problem: .tooMany("lines")) }
            let end = bytes.firstIndex(of: newLine) ?? bytes.endIndex
            lines.append(try TextLine(bytes[bytes.startIndex..<end], number: lines.count + 1))
            bytes = bytes[min(end + 1, bytes.endIndex)...]
        }
        return lines
    }

    private static let newLine = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    private init(_ raw: ArraySlice<UInt8>, number: Int) throws(SDPError) {
        var bytes = raw
        if bytes.last == TextLine.carriageReturn { bytes.removeLast() }
        guard bytes.count <= Limits.SDP.lineBytes else { throw SDPError(line: number, problem: .lineTooLong) }
        for byte in bytes where byte == 0 || byte == TextLine.carriageReturn {
            throw SDPError(line: number, problem: .controlCharacter)
        }
        guard let type = bytes.popFirst(), type >= UInt8(ascii: "a"), type <= UInt8(ascii: "z"),
            bytes.popFirst() == UInt8(ascii: "=")
        else { throw SDPError(line: number, problem: .malformedLine) }
        self.type = type
        self.bytes = bytes
        self.number = number
    }

    var typeName: String { String(UnicodeScalar(type)) }

    var value: String { String(decoding: bytes, as: UTF8.self) }

    /// The line as an attribute; its name is visible ASCII.
    func attribute() throws(SDPError) -> Attribute {
        let colon = bytes.firstIndex(of: Text.colon)
        let name = bytes[bytes.startIndex..<(colon ?? bytes.endIndex)]
        guard !name.isEmpty, name.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw SDPError(line: number, problem: .malformedLine)
        }
        let value = colon.map { String(decoding: bytes[($0 + 1)...], as: UTF8.self) }
        return Attribute(String(decoding: name, as: UTF8.self), value, line: number)
    }
}

private struct SessionDescriptionParser {
    private var hasVersion = false
    private var origin: Origin?
    private var name: String?
    private var fields: [Field] = []
    private var attributes: [Attribute] = []
    private var media: [MediaDescription] = []

    mutating func read(_ line: TextLine) throws(SDPError) {
        guard hasVersion else { return try readVersion(line) }
        switch line.type {
        case UInt8(ascii: "a"): try readAttribute(line)
        case UInt8(ascii: "m"): try readMedia(line)
        default: try media.isEmpty ? readSessionField(line) : readMediaField(line)
        }
    }

    func finish(at line: Int) throws(SDPError) -> SessionDescription {
        guard hasVersion else { throw SDPError(line: 0, problem: .missingLine("v")) }
        try requireSessionLines(before: line)
        guard let origin, let name else { throw SDPError(line: line, problem: .missingLine("o")) }
        return SessionDescription(
            origin: origin,
            name: name,
            fields: fields,
            attributes: attributes,
            media: media
        )
    }

    private mutating func readVersion(_ line: TextLine) throws(SDPError) {
        guard line.type == UInt8(ascii: "v") else {
            throw SDPError(line: line.number, problem: .missingLine("v"))
        }
        guard Text.trim(Substring(line.value)) == "0" else {
            throw SDPError(line: line.number, problem: .unsupportedVersion)
        }
        hasVersion = true
    }

    private mutating func readSessionField(_ line: TextLine) throws(SDPError) {
        switch line.type {
        case UInt8(ascii: "o") where origin == nil:
            origin = try readOrigin(line)
        case UInt8(ascii: "s") where name == nil && origin != nil:
            name = line.value
        case UInt8(ascii: "i"), UInt8(ascii: "u"), UInt8(ascii: "e"), UInt8(ascii: "p"), UInt8(ascii: "c"),
            UInt8(ascii: "b"), UInt8(ascii: "t"), UInt8(ascii: "r"), UInt8(ascii: "z"), UInt8(ascii: "k"):
            guard name != nil else { throw SDPError(line: line.number, problem: .missingLine("s")) }
            try append(line, to: &fields)
        default:
            throw SDPError(line: line.number, problem: .unexpectedLine(line.typeName))
        }
    }

    private func readOrigin(_ line: TextLine) throws(SDPError) -> Origin {
        let fields = Text.fields(Substring(line.value))
        guard fields.count == 6, fields.allSatisfy({ Text.isVisible($0) }) else {
            throw SDPError(line: line.number, problem: .malformedOrigin)
        }
        return Origin(
            username: String(fields[0]),
            sessionID: String(fields[1]),
            sessionVersion: String(fields[2]),
            address: fields[3...].joined(separator: " ")
        )
    }

    private mutating func readMediaField(_ line: TextLine) throws(SDPError) {
        switch line.type {
        case UInt8(ascii: "i"), UInt8(ascii: "c"), UInt8(ascii: "b"), UInt8(ascii: "k"):
            try append(line, to: &media[media.count - 1].fields)
        default:
            throw SDPError(line: line.number, problem: .unexpectedLine(line.typeName))
        }
    }

    private func append(_ line: TextLine, to fields: inout [Field]) throws(SDPError) {
        guard fields.count < Limits.SDP.attributesPerSection else {
            throw SDPError(line: line.number, problem: .tooMany("lines"))
        }
        fields.append(Field(Character(UnicodeScalar(line.type)), line.value))
    }

    private mutating func readAttribute(_ line: TextLine) throws(SDPError) {
        let attribute = try line.attribute()
        let count = media.last?.attributes.count ?? attributes.count
        guard count < Limits.SDP.attributesPerSection else {
            throw SDPError(line: line.number, problem: .tooMany("attributes"))
        }
        if media.isEmpty {
            attributes.append(attribute)
        } else {
            media[media.count - 1].attributes.append(attribute)
        }
    }

    private mutating func readMedia(_ line: TextLine) throws(SDPError) {
        try requireSessionLines(before: line.number)
        guard media.count < Limits.Media.sectionsPerSession else {
            throw SDPError(line: line.number, problem: .tooMany("m-sections"))
        }
        media.append(try MediaDescription(line))
    }

    private func requireSessionLines(before line: Int) throws(SDPError) {
        guard origin != nil else { throw SDPError(line: line, problem: .missingLine("o")) }
        guard name != nil else { throw SDPError(line: line, problem: .missingLine("s")) }
        guard fields.contains(where: { $0.type == "t" }) else {
            throw SDPError(line: line, problem: .missingLine("t"))
        }
    }
}

extension MediaDescription {
    /// `m=<media> <port>[/<count>] <proto> <fmt> …` (RFC 8866 §5.14). The count is of no use to RTP over one
    /// port.
    init(_ line: TextLine) throws(SDPError) {
        let fields = Text.fields(Substring(line.value))
        guard fields.count >= 4, fields.allSatisfy({ Text.isVisible($0) }),
            let port = Text.number(Text.cut(fields[1], at: "/").head, as: UInt16.self)
        else { throw SDPError(line: line.number, problem: .malformedMediaLine) }
        guard fields.count - 3 <= Limits.SDP.payloadTypesPerSection else {
            throw SDPError(line: line.number, problem: .tooMany("payload types"))
        }
        self.init(
            media: String(fields[0]),
            port: port,
            transportProtocol: String(fields[2]),
            formats: fields[3...].map { String($0) },
            fields: [],
            line: line.number
        )
    }
}
