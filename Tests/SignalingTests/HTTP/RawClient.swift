// A client that speaks bytes: tests decide what a frame or a request looks like, legal or not.
import NIOCore
import NIOPosix
import NIOSSL
import Testing

struct RawClientError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// One connection. Used from one task.
final class RawClient {
    struct Response {
        var status: Int
        var headers: [String: String]
        var body: String
    }

    struct Frame: Equatable {
        var first: UInt8
        var payload: [UInt8]

        var opcode: UInt8 { first & 0x0f }
        var text: String { String(decoding: payload, as: UTF8.self) }
        /// Of a Close frame.
        var code: UInt16? { payload.count >= 2 ? UInt16(payload[0]) << 8 | UInt16(payload[1]) : nil }
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let continuation: AsyncStream<ByteBuffer>.Continuation

        init(_ continuation: AsyncStream<ByteBuffer>.Continuation) { self.continuation = continuation }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            continuation.yield(unwrapInboundIn(data))
        }
        func channelInactive(context: ChannelHandlerContext) { continuation.finish() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    let channel: any Channel
    private var incoming: AsyncStream<ByteBuffer>.AsyncIterator
    private var buffer = ByteBuffer()

    private init(channel: any Channel, incoming: AsyncStream<ByteBuffer>.AsyncIterator) {
        self.channel = channel
        self.incoming = incoming
    }

    static func connect(_ address: SocketAddress, tls: NIOSSLContext? = nil) async throws -> RawClient {
        let (stream, continuation) = AsyncStream.makeStream(of: ByteBuffer.self)
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        let handler = try NIOSSLClientHandler(context: tls, serverHostname: "localhost")
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                    try channel.pipeline.syncOperations.addHandler(Collector(continuation))
                }
            }
            .connect(to: address).get()
        return RawClient(channel: channel, incoming: stream.makeAsyncIterator())
    }

    func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)) }

    func close() { channel.close(promise: nil) }

    /// Everything until the server closes.
    func readToEnd() async -> [UInt8] {
        while await fill() {}
        return Array(buffer.readableBytesView)
    }

    /// The first bytes that come; empty at the end of the connection.
    func readSome() async -> [UInt8] {
        if buffer.readableBytes == 0 { _ = await fill() }
        return Array(buffer.readableBytesView)
    }

    func readResponse() async throws -> Response {
        while true {
            let text = String(buffer: buffer)
            if let end = text.firstRange(of: "\r\n\r\n") {
                let head = text[..<end.lowerBound].split(separator: "\r\n")
                var headers: [String: String] = [:]
                for line in head.dropFirst() {
                    let parts = line.split(separator: ":", maxSplits: 1)
                    headers[parts[0].lowercased()] =
                        parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""
                }
                let status = Int(head.first?.split(separator: " ").dropFirst().first ?? "") ?? 0
                buffer.moveReaderIndex(forwardBy: text[..<end.upperBound].utf8.count)
                let length = status == 101 || status == 204 ? 0 : Int(headers["content-length"] ?? "0") ?? 0
                while buffer.readableBytes < length {
                    guard await fill() else { throw RawClientError("connection ended inside a body") }
                }
                let body = buffer.readString(length: length) ?? ""
                return Response(status: status, headers: headers, body: body)
            }
            guard await fill() else { throw RawClientError("connection ended before a response: \(text)") }
        }
    }

    /// A frame from the server, other than a PING; nil at the end of the connection.
    func readFrame() async throws -> Frame? {
        while true {
            if let frame = try parseFrame() {
                guard frame.opcode == 9 else { return frame }
                // On a busy machine a test may be silent for so long that the server asks for a sign of life.
                try? await send([0x8a, 0x80, 0, 0, 0, 0])
                continue
            }
            guard await fill() else {
                guard buffer.readableBytes == 0 else {
                    throw RawClientError("connection ended inside a frame")
                }
                return nil
            }
        }
    }

    func request(
        _ method: String,
        _ path: String,
        _ headers: [String: String] = [:],
        body: String? = nil
    ) async throws -> Response {
        var text = "\(method) \(path) HTTP/1.1\r\n"
        if headers["Host"] == nil { text += "Host: localhost\r\n" }
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        if let body { text += "Content-Length: \(body.utf8.count)\r\n" }
        try await send(text + "\r\n" + (body ?? ""))
        if method == "HEAD" {
            let bytes = await headOnly()
            return bytes
        }
        let response = try await readResponse()
        let fault = HTTPContract.fault(
            method: method,
            target: path,
            status: response.status,
            type: response.headers["content-type"],
            body: nil
        )
        if let fault { Issue.record("the server broke its contract: \(fault)") }
        return response
    }

    /// The answer to HEAD announces a body that does not come.
    private func headOnly() async -> Response {
        while !String(buffer: buffer).contains("\r\n\r\n"), await fill() {}
        let head = String(buffer: buffer).split(separator: "\r\n")
        buffer.clear()
        var headers: [String: String] = [:]
        for line in head.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            headers[parts[0].lowercased()] = parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""
        }
        let status = Int(head.first?.split(separator: " ").dropFirst().first ?? "") ?? 0
        return Response(status: status, headers: headers, body: "")
    }

    private func fill() async -> Bool {
        guard var part = await incoming.next() else { return false }
        buffer.writeBuffer(&part)
        return true
    }

    /// A server masks nothing and writes lengths in as few bytes as they need (RFC 6455 §5.1, §5.2).
    private func parseFrame() throws -> Frame? {
        var copy = buffer
        guard let first = copy.readInteger(as: UInt8.self), let second = copy.readInteger(as: UInt8.self)
        else {
            return nil
        }
        guard second & 0x80 == 0 else { throw RawClientError("the server masked a frame") }
        var length = Int(second)
        if length == 126 {
            guard let word = copy.readInteger(as: UInt16.self) else { return nil }
            guard word > 125 else { throw RawClientError("length \(word) in two bytes") }
            length = Int(word)
        } else if length == 127 {
            guard let word = copy.readInteger(as: UInt64.self) else { return nil }
            guard word > 0xffff else { throw RawClientError("length \(word) in eight bytes") }
            length = Int(word)
        }
        guard let payload = copy.readBytes(length: length) else { return nil }
        buffer = copy
        return Frame(first: first, payload: payload)
    }
}

/// A client frame (RFC 6455 §5.2).
func frame(
    _ opcode: UInt8,
    _ payload: [UInt8] = [],
    fin: Bool = true,
    rsv: UInt8 = 0,
    masked: Bool = true,
    key: [UInt8] = [0x37, 0xfa, 0x21, 0x3d]
) -> [UInt8] {
    var bytes: [UInt8] = [(fin ? 0x80 : 0) | rsv << 4 | opcode]
    let mask: UInt8 = masked ? 0x80 : 0
    switch payload.count {
    case ..<126: bytes.append(mask | UInt8(payload.count))
    case ..<65_536: bytes += [mask | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xff)]
    default:
        bytes.append(mask | 127)
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(payload.count >> shift & 0xff))
        }
    }
    guard masked else { return bytes + payload }
    return bytes + key + payload.enumerated().map { $1 ^ key[$0 % 4] }
}

func textFrame(_ text: String, fin: Bool = true) -> [UInt8] { frame(1, Array(text.utf8), fin: fin) }

func closeFrame(_ code: UInt16, _ reason: String = "") -> [UInt8] {
    frame(8, [UInt8(code >> 8), UInt8(code & 0xff)] + Array(reason.utf8))
}
