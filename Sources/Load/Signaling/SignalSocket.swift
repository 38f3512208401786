// One WebSocket of `sfu.v1+json`, without blocking: whoever polls the socket calls `advance`. Greets with an offer,
// acknowledges, answers pings. Must not know media, rooms or what others do.
import CLinux
import Foundation
import Glibc
import RTP

final class SignalSocket {
    /// What the server said, as far as it matters here.
    enum Message {
        case welcome(pid: String, answer: String)
        case speakers(dominant: String?, active: [String])
        case slot(mid: String, tid: String?, pid: String?)
    }

    enum State: Equatable {
        case upgrading, open
        case failed(String)
    }

    /// What a section of the offer is to the room.
    struct Track: Encodable {
        var mid: String
        var cid: String
        var kind: String
        var source: String
    }

    private struct Greeting: Encodable {
        struct Content: Encodable {
            struct User: Encodable { var uid: String }
            struct Device: Encodable {
                var did: String
                var kind = "load"
            }
            struct Offer: Encodable {
                var gen = 1
                var offerId = 1
                var sdp: String
                var tracks: [Track]
            }
            var token: String?
            var user: User?
            var device: Device
            var pc: Offer
        }
        var type = "hello"
        var v = "1.0"
        var data: Content
    }
    private struct Envelope<Content: Decodable>: Decodable { var data: Content }
    private struct Welcome: Decodable {
        struct Answering: Decodable {
            var answer: String?
        }
        var pid: String
        var pc: Answering?
    }
    private struct Speakers: Decodable {
        struct Level: Decodable { var pid: String }
        var dominant: String?
        var active: [Level]
    }
    private struct Slot: Decodable {
        var mid: String
        var tid: String?
        var pid: String?
    }

    private static let headBytes = 16_384
    private static let acknowledgeEvery: Int64 = 1_000_000_000

    let socket: Int32
    private(set) var state = State.upgrading
    /// When the first byte of the request went out, nanoseconds of the monotonic clock.
    private(set) var startedAt: Int64?
    private(set) var messages = 0
    /// By type, while watching.
    private(set) var types: [String: Int] = [:]
    /// Reads `speakers` and `slots`; otherwise only what keeps the session alive.
    var isWatching = false
    private var output: [UInt8]
    private var greeting: [UInt8]
    private var input: [UInt8] = []
    private var fragments: [UInt8] = []
    private var isWelcome = false
    private var sequence: UInt64 = 0
    private var acknowledged: UInt64 = 0
    private var nextAcknowledge: Int64 = 0

    /// - Throws: `LoadError` where the system gives no socket.
    init(
        to url: ServerURL,
        room: String,
        user: String,
        token: String?,
        offer: String,
        tracks: [Track]
    ) throws {
        let key = Data((0..<16).map { _ in UInt8.random(in: .min ... .max) }).base64EncodedString()
        output = Array(
            """
            GET \(url.path)/v1/rooms/\(room)/signal HTTP/1.1\r
            Host: \(url.authority)\r
            Connection: Upgrade\r
            Upgrade: websocket\r
            Sec-WebSocket-Version: 13\r
            Sec-WebSocket-Protocol: sfu.v1+json\r
            Sec-WebSocket-Key: \(key)\r
            \r

            """.utf8
        )
        let content = Greeting.Content(
            token: token,
            user: token == nil ? Greeting.Content.User(uid: user) : nil,
            device: Greeting.Content.Device(did: user),
            pc: Greeting.Content.Offer(sdp: offer, tracks: tracks)
        )
        greeting = Self.frame(.text, Array(try JSONEncoder().encode(Greeting(data: content))))
        socket = try HTTPExchange.connect(to: url)
        var one: Int32 = 1
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { close(socket) }

    /// What to poll for.
    var interest: UInt32 {
        UInt32(CLINUX_READABLE) | (output.isEmpty ? 0 : UInt32(CLINUX_WRITABLE))
    }

    // MARK: Life

    /// The socket is ready: writes what waits, reads what came.
    /// - Parameter buffer: where bytes are read to.
    func advance(_ buffer: UnsafeMutableBufferPointer<UInt8>, _ take: (Message) -> Void) {
        write()
        while true {
            if case .failed = state { return }
            let count = clinux_read(socket, buffer.baseAddress, buffer.count)
            if count == -Int64(EAGAIN) || count == -Int64(ENOTCONN) { return }
            guard count > 0 else {
                return fail(count == 0 ? "the server has closed the WebSocket" : Self.reason(count))
            }
            input.append(contentsOf: buffer.prefix(Int(count)))
            read(take)
            write()
            if count < buffer.count { return }
        }
    }

    /// Acknowledges, if it is time.
    func advance(to now: Int64) {
        guard state == .open, sequence > acknowledged, now >= nextAcknowledge else { return }
        nextAcknowledge = now + Self.acknowledgeEvery
        acknowledged = sequence
        say(#"{"type":"ack","ack":\#(sequence)}"#)
    }

    /// One message, if the session is open.
    func send(_ text: String) {
        if state == .open { say(text) }
    }

    /// Tells the server; it closes.
    func leave() {
        guard state == .open else { return }
        say(#"{"type":"leave"}"#)
    }

    private func fail(_ reason: String) {
        if case .failed = state { return }
        state = .failed(reason)
    }

    // MARK: Bytes

    private func say(_ text: String) {
        output += Self.frame(.text, Array(text.utf8))
        write()
    }

    private func write() {
        var sent = 0
        while sent < output.count {
            let count = output.withUnsafeBufferPointer { bytes -> Int64 in
                guard let base = bytes.baseAddress else { return 0 }
                return clinux_write(socket, base + sent, bytes.count - sent)
            }
            if count == -Int64(EAGAIN) || count == -Int64(ENOTCONN) { break }
            guard count > 0 else {
                output.removeAll()
                return fail(Self.reason(count))
            }
            if startedAt == nil { startedAt = clinux_monotonic_ns() }
            sent += Int(count)
        }
        output.removeFirst(sent)
    }

    private func read(_ take: (Message) -> Void) {
        if state == .upgrading, !readHead() { return }
        let end = readFrames(input, take)
        if end == input.count {
            input.removeAll(keepingCapacity: input.capacity <= Self.headBytes)
        } else if end > 0 {
            input.removeFirst(end)
        }
    }

    /// Where the first incomplete frame begins.
    private func readFrames(_ bytes: [UInt8], _ take: (Message) -> Void) -> Int {
        var start = 0
        bytes.withUnsafeBufferPointer { bytes in
            while state == .open {
                switch WebSocketFrames.read(bytes, from: start) {
                case .incomplete: return
                case .malformed: fail("the server sent a malformed WebSocket frame")
                case .frame(let frame):
                    receive(frame, UnsafeBufferPointer(rebasing: bytes[frame.payload]), take)
                    start = frame.end
                }
            }
        }
        return start
    }

    /// True: the server speaks WebSocket now, the greeting is on its way.
    private func readHead() -> Bool {
        let end: [UInt8] = [13, 10, 13, 10]
        guard
            let found = (0..<max(0, input.count - 3)).first(where: {
                input[$0..<$0 + 4].elementsEqual(end)
            })
        else {
            if input.count > Self.headBytes { fail("the server does not speak HTTP") }
            return false
        }
        let head = String(decoding: input[..<found], as: UTF8.self)
        guard head.hasPrefix("HTTP/1.1 101 ") else {
            fail("the WebSocket was refused: \(head.prefix { $0 != "\r\n" && $0 != "\r" })")
            return false
        }
        input.removeFirst(found + 4)
        state = .open
        output += greeting
        greeting = []
        return true
    }

    private func receive(
        _ frame: WebSocketFrames.Frame,
        _ payload: UnsafeBufferPointer<UInt8>,
        _ take: (Message) -> Void
    ) {
        switch frame.opcode {
        case .text where frame.isFinal: receive(payload, take)
        case .text, .continuation:
            fragments.append(contentsOf: payload)
            guard fragments.count <= Limits.Load.messageBytes else {
                return fail("a WebSocket message has no end")
            }
            guard frame.isFinal else { return }
            let whole = fragments
            fragments = []
            whole.withUnsafeBufferPointer { receive($0, take) }
        case .ping: output += Self.frame(.pong, Array(payload))
        case .pong, .binary: break
        case .close:
            let code = payload.count >= 2 ? "\(Int(payload[0]) << 8 | Int(payload[1]))" : "no code"
            fail("the server has closed the WebSocket: \(code)")
        }
    }

    // MARK: Messages

    private func receive(_ text: UnsafeBufferPointer<UInt8>, _ take: (Message) -> Void) {
        messages += 1
        if let number = Self.sequence(of: text) { sequence = max(sequence, number) }
        guard isWatching || !isWelcome else { return }
        let type = Self.type(of: text) ?? "response"
        if isWatching { types[type, default: 0] += 1 }
        switch type {
        case "welcome":
            isWelcome = true
            guard let welcome: Welcome = decode(text) else { return fail("a welcome that cannot be read") }
            guard let answer = welcome.pc?.answer else { return fail("a welcome without an answer") }
            take(.welcome(pid: welcome.pid, answer: answer))
        case "speakers":
            guard let speakers: Speakers = decode(text) else { return }
            take(.speakers(dominant: speakers.dominant, active: speakers.active.map(\.pid)))
        case "slots":
            guard let slot: Slot = decode(text) else { return }
            take(.slot(mid: slot.mid, tid: slot.tid, pid: slot.pid))
        case "error" where !isWelcome:
            fail("the greeting was refused: \(String(decoding: text.prefix(200), as: UTF8.self))")
        default: break
        }
    }

    private func decode<Content: Decodable>(_ text: UnsafeBufferPointer<UInt8>) -> Content? {
        try? JSONDecoder().decode(Envelope<Content>.self, from: Data(text)).data
    }

    /// `{"seq":N,` is how every event that has a number begins.
    static func sequence(of text: UnsafeBufferPointer<UInt8>) -> UInt64? {
        let start: StaticString = "{\"seq\":"
        guard let base = text.baseAddress, text.count > start.utf8CodeUnitCount,
            memcmp(base, start.utf8Start, start.utf8CodeUnitCount) == 0
        else { return nil }
        var number: UInt64?
        for byte in text[start.utf8CodeUnitCount...] {
            guard 48...57 ~= byte else { break }
            number = (number ?? 0) &* 10 &+ UInt64(byte - 48)
        }
        return number
    }

    /// The envelope's type stands before its data.
    static func type(of text: UnsafeBufferPointer<UInt8>) -> String? {
        let head = String(decoding: text.prefix(120), as: UTF8.self)
        guard let name = head.range(of: "\"type\":\"") else { return nil }
        return String(head[name.upperBound...].prefix { $0 != "\"" })
    }

    private static func frame(_ opcode: WebSocketFrames.Opcode, _ payload: [UInt8]) -> [UInt8] {
        WebSocketFrames.write(opcode, payload, mask: .random(in: .min ... .max))
    }

    private static func reason(_ error: Int64) -> String {
        "the WebSocket: \(HTTPExchange.reason(Int32(-error)))"
    }
}
