// Reads JSON fast enough to look at every message of every test. Refuses what is no JSON.
import Foundation

@testable import Signaling

struct JSONReader {
    struct Malformed: Error { var offset: Int }

    private let bytes: [UInt8]
    private var at = 0

    static func read(_ text: String) throws(Malformed) -> JSONValue {
        var reader = JSONReader(bytes: Array(text.utf8))
        let value = try reader.value()
        reader.skipSpace()
        guard reader.at == reader.bytes.count else { throw Malformed(offset: reader.at) }
        return value
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || (0x09...0x0D).contains(byte) { at += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard next == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private mutating func value() throws(Malformed) -> JSONValue {
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "\""): return .string(try string())
        default: return try literal()
        }
    }

    private mutating func object() throws(Malformed) -> JSONValue {
        at += 1
        var members: [String: JSONValue] = [:]
        if take("}") { return .object(members) }
        repeat {
            skipSpace()
            let key = try string()
            guard take(":") else { throw Malformed(offset: at) }
            members[key] = try value()
        } while take(",")
        guard take("}") else { throw Malformed(offset: at) }
        return .object(members)
    }

    private mutating func array() throws(Malformed) -> JSONValue {
        at += 1
        var elements: [JSONValue] = []
        if take("]") { return .array(elements) }
        repeat { elements.append(try value()) } while take(",")
        guard take("]") else { throw Malformed(offset: at) }
        return .array(elements)
    }

    /// Texts with escapes are left to Foundation.
    private mutating func string() throws(Malformed) -> String {
        guard next == UInt8(ascii: "\"") else { throw Malformed(offset: at) }
        let start = at
        at += 1
        var isPlain = true
        while let byte = next, byte != UInt8(ascii: "\"") {
            if byte == UInt8(ascii: "\\") {
                isPlain = false
                at += 1
            }
            at += 1
        }
        guard next != nil else { throw Malformed(offset: start) }
        at += 1
        if isPlain { return String(decoding: bytes[(start + 1)..<(at - 1)], as: UTF8.self) }
        guard let text = try? JSONDecoder().decode(String.self, from: Data(bytes[start..<at])) else {
            throw Malformed(offset: start)
        }
        return text
    }

    private mutating func literal() throws(Malformed) -> JSONValue {
        let start = at
        while let byte = next, !" \t\r\n,]}:".utf8.contains(byte) { at += 1 }
        let word = String(decoding: bytes[start..<at], as: UTF8.self)
        switch word {
        case "true": return .bool(true)
        case "false": return .bool(false)
        case "null": return .null
        default:
            if let whole = Int64(word) { return .whole(whole) }
            guard let number = Double(word), word.first.map({ $0 == "-" || $0.isNumber }) == true else {
                throw Malformed(offset: start)
            }
            return .number(number)
        }
    }
}
