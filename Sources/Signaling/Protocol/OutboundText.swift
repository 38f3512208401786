// The envelope, outwards: an event's shared part is encoded once, and each session splices its own `seq` in front.
// Must not know queues or sockets.
import Foundation
import NIOCore
import NIOFoundationCompat

/// An event without its sequence number, shared by all sessions that get it.
struct EventBody: Sendable, Equatable {
    let type: ServerMessage
    /// Everything after the place of `"seq":N,`, from `"rev"` or `"type"` to the closing brace.
    let tail: ByteBuffer
    /// Of a reliable message of the room's relay.
    var relaySequence: UInt64?

    /// Bytes that the text takes at most.
    var count: Int { tail.readableBytes + 28 }

    init(type: ServerMessage, tail: ByteBuffer) {
        self.type = type
        self.tail = tail
    }

    /// nil where the payload cannot be written as JSON, that is, holds a number that is not finite.
    ///
    /// `trace`: `traceparent` of what caused it. `lists`: what the payload leaves empty.
    init?(
        _ type: ServerMessage,
        revision: UInt64? = nil,
        timestamp: UInt64? = nil,
        trace: String? = nil,
        _ payload: some Encodable,
        filling lists: [Filling] = []
    ) {
        guard let data = OutboundText.json(payload, filling: lists) else { return nil }
        var tail = ByteBufferAllocator().buffer(capacity: data.readableBytes + 144)
        if let revision { tail.writeString("\"rev\":\(revision),") }
        tail.writeString("\"type\":\"\(type.rawValue)\"")
        if type == .welcome { tail.writeString(",\"v\":\"\(ProtocolVersion.text)\"") }
        if let timestamp { tail.writeString(",\"ts\":\(timestamp)") }
        if let trace { tail.writeString(",\"trace\":\"\(trace)\"") }
        tail.writeString(",\"data\":")
        tail.writeImmutableBuffer(data)
        tail.writeString("}")
        self.type = type
        self.tail = tail
    }

    func text(sequence: UInt64?) -> ByteBuffer {
        var text = ByteBufferAllocator().buffer(capacity: count)
        if let sequence {
            text.writeString("{\"seq\":\(sequence),")
        } else {
            text.writeString("{")
        }
        text.writeImmutableBuffer(tail)
        return text
    }
}

enum ProtocolVersion {
    static let text = "1.0"
    static let major = "1"
    static let subprotocol = "sfu.v1+json"

    /// A client of the same major version is served; absent means the first.
    static func accepts(_ version: String?) -> Bool {
        guard let version else { return true }
        return version.split(separator: ".", omittingEmptySubsequences: false).first.map { $0 == major }
            ?? false
    }
}

enum OutboundText {
    static func json(_ value: some Encodable) -> ByteBuffer? {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        return try? encoder.encodeAsByteBuffer(value, allocator: ByteBufferAllocator())
    }

    static func response(to id: UInt64, revision: UInt64?, _ result: some Encodable) -> ByteBuffer {
        guard let data = json(result) else {
            return failure(of: id, GatewayError(.internal, "the result cannot be written"))
        }
        var text = ByteBufferAllocator().buffer(capacity: data.readableBytes + 64)
        text.writeString("{\"re\":\(id),")
        if let revision { text.writeString("\"rev\":\(revision),") }
        text.writeString("\"data\":")
        text.writeImmutableBuffer(data)
        text.writeString("}")
        return text
    }

    static func failure(of id: UInt64, _ error: GatewayError) -> ByteBuffer {
        var text = ByteBuffer(string: "{\"re\":\(id),\"error\":")
        if let data = json(ErrorObject(error)) {
            text.writeImmutableBuffer(data)
        } else {
            text.writeString("{\"code\":\"internal\",\"message\":\"\",\"retryable\":true}")
        }
        text.writeString("}")
        return text
    }
}
