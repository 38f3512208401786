// One request over one connection, without blocking: whoever polls the socket calls `advance`. Must not know what
// is asked for.
import CLinux
import Glibc

final class HTTPExchange {
    enum Progress {
        case pending
        case done(HTTPResponse)
        case failed(String)
    }

    let socket: Int32
    /// When the first byte of the request went out, nanoseconds of the monotonic clock.
    private(set) var startedAt: Int64?
    private var request: [UInt8]
    private var sent = 0
    private var response: [UInt8] = []

    /// - Throws: `LoadError` where the system gives no socket.
    init(to url: ServerURL, _ method: String, path: String, token: String?, body: String?) throws {
        var head = "\(method) \(path) HTTP/1.1\r\nHost: \(url.authority)\r\nConnection: close\r\n"
        if let token { head += "Authorization: Bearer \(token)\r\n" }
        if let body { head += "Content-Type: application/sdp\r\nContent-Length: \(body.utf8.count)\r\n" }
        request = Array((head + "\r\n" + (body ?? "")).utf8)
        socket = try Self.connect(to: url)
    }

    /// A socket that is connecting, without blocking.
    /// - Throws: `LoadError` where the system gives none.
    static func connect(to url: ServerURL) throws -> Int32 {
        let family = url.address.is_ipv6 == 0 ? AF_INET : AF_INET6
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = Glibc.socket(family, type, 0)
        guard descriptor >= 0 else { throw LoadError("no socket: \(Self.reason(errno))") }
        let connected = url.address.withSocketAddress { Glibc.connect(descriptor, $0, $1) }
        guard connected == 0 || errno == EINPROGRESS else {
            let reason = Self.reason(errno)
            Glibc.close(descriptor)
            throw LoadError("cannot connect to \(url.authority): \(reason)")
        }
        return descriptor
    }

    deinit { close(socket) }

    /// What to poll for.
    var interest: UInt32 {
        UInt32(sent < request.count ? CLINUX_WRITABLE : CLINUX_READABLE)
    }

    func advance() -> Progress {
        while sent < request.count {
            let count = request.withUnsafeBufferPointer { bytes -> Int64 in
                guard let base = bytes.baseAddress else { return 0 }
                return clinux_write(socket, base + sent, bytes.count - sent)
            }
            if count == -Int64(EAGAIN) || count == -Int64(ENOTCONN) { return .pending }
            guard count > 0 else { return .failed("sending the request: \(Self.reason(Int32(-count)))") }
            if startedAt == nil { startedAt = clinux_monotonic_ns() }
            sent += Int(count)
        }
        return receive()
    }

    private func receive() -> Progress {
        while true {
            let (count, bytes) = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16_384) { room in
                let count = clinux_read(socket, room.baseAddress, room.count)
                return (count, count > 0 ? Array(room.prefix(Int(count))) : [])
            }
            if count == -Int64(EAGAIN) { return .pending }
            guard count >= 0 else { return .failed("reading the response: \(Self.reason(Int32(-count)))") }
            response += bytes
            switch HTTPResponse.read(response, isEnd: count == 0) {
            case .complete(let response): return .done(response)
            case .malformed: return .failed("the response is cut off or not HTTP/1.1")
            case .incomplete: continue
            }
        }
    }

    static func reason(_ error: Int32) -> String { String(cString: clinux_error_text(error)) }
}
