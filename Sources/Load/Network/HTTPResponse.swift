// A response of HTTP/1.1 (RFC 9112), read from the bytes that have come so far. Must not know sockets.
import RTP

struct HTTPResponse: Equatable {
    var status: Int
    /// Names in lower case.
    var headers: [String: String]
    var body: [UInt8]

    enum Reading: Equatable {
        case incomplete
        case complete(HTTPResponse)
        case malformed
    }

    /// - Parameter isEnd: the server has closed the connection.
    static func read(_ bytes: [UInt8], isEnd: Bool) -> Reading {
        guard bytes.count <= Limits.Load.responseBytes else { return .malformed }
        guard let headEnd = find([13, 10, 13, 10], in: bytes, from: 0) else {
            return isEnd ? .malformed : .incomplete
        }
        let lines = String(decoding: bytes[..<headEnd], as: UTF8.self).split(separator: "\r\n")
        let status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
        guard let status, lines.first?.hasPrefix("HTTP/1.") == true else { return .malformed }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { return .malformed }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            headers[line[..<colon].lowercased()] = String(value)
        }
        var response = HTTPResponse(status: status, headers: headers, body: [])
        let start = headEnd + 4
        if status == 204 || status == 304 { return .complete(response) }
        if headers["transfer-encoding"]?.lowercased().contains("chunked") == true {
            return response.readChunks(bytes, from: start, isEnd: isEnd)
        }
        if let text = headers["content-length"] {
            guard let length = Int(text), length >= 0 else { return .malformed }
            guard bytes.count - start >= length else { return isEnd ? .malformed : .incomplete }
            response.body = Array(bytes[start..<start + length])
            return .complete(response)
        }
        guard isEnd else { return .incomplete }
        response.body = Array(bytes[start...])
        return .complete(response)
    }

    /// RFC 9112 §7.1, without trailers.
    private mutating func readChunks(_ bytes: [UInt8], from start: Int, isEnd: Bool) -> Reading {
        var offset = start
        while let lineEnd = Self.find([13, 10], in: bytes, from: offset) {
            let line = String(decoding: bytes[offset..<lineEnd], as: UTF8.self).prefix { $0 != ";" }
            guard let size = Int(line, radix: 16), size >= 0, size <= Limits.Load.responseBytes else {
                return .malformed
            }
            if size == 0 { return .complete(self) }
            let chunk = lineEnd + 2
            guard chunk + size + 2 <= bytes.count else { break }
            body += bytes[chunk..<chunk + size]
            offset = chunk + size + 2
        }
        return isEnd ? .malformed : .incomplete
    }

    private static func find(_ pattern: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
        guard bytes.count - start >= pattern.count else { return nil }
        return (start...bytes.count - pattern.count).first {
            bytes[$0..<$0 + pattern.count].elementsEqual(pattern)
        }
    }
}
