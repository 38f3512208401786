// From frames to whole messages: the rules of RFC 6455 §5 that the frame decoder below does not check.
// Must not know channels, timers or what a message means.
import NIOCore
import NIOWebSocket
import RTP

/// Judges each client frame and joins fragments. One per connection.
struct MessageAssembler {
    enum OnFrame: Equatable {
        /// A fragment was kept.
        case nothing
        case text(ByteBuffer)
        case ping(ByteBuffer)
        case pong
        /// The peer's Close frame; nil without a code. The reason may be cut to what UTF-8 allows.
        case close(UInt16?)
        /// The connection must fail with this close code (RFC 6455 §7.4.1).
        case violation(UInt16, String)
    }

    private let limit: Int
    /// Fragments so far; nil between messages.
    private var partial: ByteBuffer?
    /// Bytes of them that are whole characters.
    private var checked = 0

    init(limit: Int = Limits.WebSocket.messageBytes) { self.limit = limit }

    mutating func receive(_ frame: WebSocketFrame) -> OnFrame {
        // §5.2: no extension was negotiated. §5.1: a client masks every frame.
        guard !frame.rsv1, !frame.rsv2, !frame.rsv3 else { return .violation(1002, "reserved bits set") }
        guard frame.maskKey != nil else { return .violation(1002, "frame is not masked") }
        switch frame.opcode {
        case .text: return begin(frame)
        case .continuation: return resume(frame)
        case .binary: return .violation(1003, "binary messages are not accepted")
        case .ping: return control(frame) ?? .ping(frame.unmaskedData)
        case .pong: return control(frame) ?? .pong
        case .connectionClose: return control(frame) ?? Self.close(frame.unmaskedData)
        default: return .violation(1002, "unknown opcode")
        }
    }

    private mutating func begin(_ frame: WebSocketFrame) -> OnFrame {
        guard partial == nil else { return .violation(1002, "message inside a fragmented message") }
        let data = frame.unmaskedData
        guard data.readableBytes <= limit else { return .violation(1009, "message too large") }
        checked = 0
        return take(data, isWhole: frame.fin)
    }

    private mutating func resume(_ frame: WebSocketFrame) -> OnFrame {
        guard var joined = partial else { return .violation(1002, "continuation without a beginning") }
        // Without this the buffer would be copied for each fragment.
        partial = nil
        var data = frame.unmaskedData
        guard joined.readableBytes + data.readableBytes <= limit else {
            return .violation(1009, "message too large")
        }
        joined.writeBuffer(&data)
        return take(joined, isWhole: frame.fin)
    }

    /// §8.1: what can be no UTF-8 any more fails at once, not with the last fragment.
    private mutating func take(_ text: ByteBuffer, isWhole: Bool) -> OnFrame {
        do {
            _ = try UTF8Span(validating: text.readableBytesUInt8Span.extracting(droppingFirst: checked))
            checked = text.readableBytes
        } catch {
            let isCutShort =
                error.kind == .truncatedScalar
                && checked + error.byteOffsets.upperBound == text.readableBytes
            guard isCutShort, !isWhole else { return .violation(1007, "text is not UTF-8") }
            checked += error.byteOffsets.lowerBound
        }
        guard isWhole else {
            partial = text
            return .nothing
        }
        return .text(text)
    }

    /// §5.5: at most 125 bytes and never fragmented. The decoder below refuses both as well, with its own error.
    private func control(_ frame: WebSocketFrame) -> OnFrame? {
        guard frame.fin else { return .violation(1002, "fragmented control frame") }
        guard frame.length <= 125 else { return .violation(1002, "control frame too long") }
        return nil
    }

    private static func close(_ payload: ByteBuffer) -> OnFrame {
        var payload = payload
        guard payload.readableBytes > 0 else { return .close(nil) }
        guard let code = payload.readInteger(as: UInt16.self), isValidCloseCode(code) else {
            return .violation(1002, "invalid close code")
        }
        return isUTF8(payload) ? .close(code) : .violation(1007, "close reason is not UTF-8")
    }

    /// What a peer may send (§7.4.1, §7.4.2 and the IANA registry).
    static func isValidCloseCode(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }

    static func isUTF8(_ data: ByteBuffer) -> Bool {
        (try? UTF8Span(validating: data.readableBytesUInt8Span)) != nil
    }
}
