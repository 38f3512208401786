// The envelope, inwards: splitting a text message into envelopes and reading them, with hard limits.
// Must not know sessions, rooms, or what the payloads are for.
import Foundation
import NIOCore
import NIOFoundationCompat
import RTP

/// One envelope of a client, with its `data` still unread.
struct InboundEnvelope: Sendable {
    var type: String
    var id: UInt64?
    var ack: UInt64?
    var version: String?
    var trace: String?
    let text: ByteBuffer

    private struct Head: Decodable {
        var type: String
        var id: UInt64?
        var ack: UInt64?
        var v: String?
        var trace: String?
    }
    private struct Content<Payload: Decodable>: Decodable {
        var data: Payload?
    }
    private static let nothing = ByteBuffer(string: "{}")

    /// Throws `.badRequest` where the text is no JSON object with a `type`, or a field of the envelope has another type.
    init(parsing text: ByteBuffer) throws(GatewayError) {
        do {
            let head = try JSONDecoder().decode(Head.self, from: text)
            type = head.type
            id = head.id
            ack = head.ack
            version = head.v
            trace = head.trace
            self.text = text
        } catch {
            throw GatewayError(.badRequest, "not an envelope: \(Self.explain(error))")
        }
    }

    /// A missing `data` counts as `{}`.
    func payload<Payload: Decodable>(as _: Payload.Type = Payload.self) throws(GatewayError) -> Payload {
        do {
            if let payload = try JSONDecoder().decode(Content<Payload>.self, from: text).data {
                return payload
            }
            return try JSONDecoder().decode(Payload.self, from: Self.nothing)
        } catch {
            throw GatewayError(.badRequest, Self.explain(error))
        }
    }

    /// Where the text is wrong, in words, without any value from it.
    static func explain(_ error: any Error) -> String {
        guard let error = error as? DecodingError else { return "not valid JSON" }
        func path(_ keys: [any CodingKey]) -> String {
            let joined = keys.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
            let shown = String(joined.drop { $0 == "." }.prefix(120))
            return shown.isEmpty ? "the envelope" : shown
        }
        return switch error {
        case .keyNotFound(let key, let context): "\(path(context.codingPath + [key])) is missing"
        case .typeMismatch(_, let context): "\(path(context.codingPath)) has the wrong type"
        case .valueNotFound(_, let context): "\(path(context.codingPath)) is null"
        case .dataCorrupted(let context):
            context.codingPath.isEmpty ? "not valid JSON" : "\(path(context.codingPath)) has no valid value"
        @unknown default: "not valid JSON"
        }
    }
}

/// Splits a text message into envelopes, one per line.
enum InboundFraming {
    enum Split: Equatable {
        case envelopes([ByteBuffer])
        /// More bytes or more lines than the limits allow.
        case tooLarge
    }

    static func split(_ message: ByteBuffer, authenticated: Bool) -> Split {
        guard authenticated else {
            let lines = lines(of: message)
            guard message.readableBytes <= Limits.Signaling.greetingBytes, lines.count <= 1 else {
                return .tooLarge
            }
            return .envelopes(lines)
        }
        guard message.readableBytes <= Limits.Signaling.offerMessageBytes else { return .tooLarge }
        let lines = lines(of: message)
        return lines.count <= Limits.Signaling.envelopesPerMessage ? .envelopes(lines) : .tooLarge
    }

    /// Without empty lines; one more than is allowed stands for any number more.
    private static func lines(of message: ByteBuffer) -> [ByteBuffer] {
        var lines: [ByteBuffer] = []
        message.withUnsafeReadableBytes { bytes in
            var start = 0
            while start < bytes.count, lines.count <= Limits.Signaling.envelopesPerMessage {
                let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
                let isBlank = bytes[start..<end].allSatisfy { $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }
                if !isBlank,
                    let line = message.getSlice(at: message.readerIndex + start, length: end - start)
                {
                    lines.append(line)
                }
                start = end + 1
            }
        }
        return lines
    }
}
