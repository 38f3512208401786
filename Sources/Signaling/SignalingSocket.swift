// The line between WebSocket plumbing and rooms: what a socket can do, and what its upgrade request said.
// Must not know frames, TLS or HTTP on one side, nor messages and sessions on the other.
import NIOCore

/// One open WebSocket, used on the gateway's event loop only. It pings by itself and reports a silent peer as closed.
public protocol SignalingSocket: AnyObject {
    /// False while more bytes wait below than the high watermark; nothing is sent then.
    var isWritable: Bool { get }
    /// Sends one whole text message. Flushes by itself or at the end of the loop's turn.
    func send(text: ByteBuffer)
    /// Sends a Close frame (RFC 6455 §5.5.1), then closes the connection. Later calls do nothing.
    func close(code: UInt16, reason: String)
    /// Stops or resumes reading, so that TCP holds the client back. Messages already read still arrive.
    func pauseReading(_ paused: Bool)
}

/// A connection's number, unique while the process lives.
public struct ConnectionID: Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public var description: String { "c\(rawValue)" }
}

/// What the upgrade request said.
public struct SignalingRequest: Sendable, Equatable {
    /// The percent-decoded room name of the path.
    public var room: String
    /// Numeric address of the client, after trusted proxies.
    public var remoteAddress: String
    public var origin: String?
    public var userAgent: String?
    /// W3C Trace Context: of the span of this request, or as the client sent it.
    public var traceparent: String?
    public var tracestate: String?

    public init(
        room: String,
        remoteAddress: String,
        origin: String? = nil,
        userAgent: String? = nil,
        traceparent: String? = nil,
        tracestate: String? = nil
    ) {
        self.room = room
        self.remoteAddress = remoteAddress
        self.origin = origin
        self.userAgent = userAgent
        self.traceparent = traceparent
        self.tracestate = tracestate
    }
}
