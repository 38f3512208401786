// Addresses and base URLs as the load client needs them. Must not know what is spoken over them.
import CLinux
import Glibc

struct LoadError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }

    static func remote(_ authority: String) -> LoadError {
        LoadError("\(authority) is not loopback; --allow-remote if that is meant")
    }
}

/// `http://host:port`, resolved.
struct ServerURL {
    /// As the Host header wants it.
    let authority: String
    let path: String
    let address: clinux_address

    /// - Throws: `LoadError` for anything but plain HTTP, and for names that do not resolve.
    init(_ text: String) throws {
        let scheme = "http://"
        guard text.hasPrefix(scheme) else { throw LoadError("\(text): only http:// URLs are supported") }
        let rest = text.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" }
        let path = rest.dropFirst(authority.count)
        let (host, port) = try Self.split(authority)
        self.authority = String(authority)
        self.path = path.hasSuffix("/") ? String(path.dropLast()) : String(path)
        address = try Self.resolve(host, port: port)
    }

    private init(authority: String, path: String, address: clinux_address) {
        self.authority = authority
        self.path = path
        self.address = address
    }

    /// Another path of the same server, below this one.
    func appending(_ suffix: String) -> ServerURL {
        ServerURL(
            authority: authority,
            path: path + (suffix.hasPrefix("/") ? "" : "/") + suffix,
            address: address
        )
    }

    private static func split(_ authority: Substring) throws -> (String, UInt16) {
        var host = authority
        var port: UInt16 = 80
        if let colon = authority.lastIndex(of: ":"), !authority.hasSuffix("]") {
            guard let number = UInt16(authority[authority.index(after: colon)...]) else {
                throw LoadError("\(authority): the port is not a number")
            }
            port = number
            host = authority[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { throw LoadError("the URL has no host") }
        return (String(host), port)
    }

    private static func resolve(_ host: String, port: UInt16) throws -> clinux_address {
        if let address = clinux_address(numeric: host, port: port) { return address }
        var list: UnsafeMutablePointer<addrinfo>?
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        guard getaddrinfo(host, nil, &hints, &list) == 0 else { throw LoadError("\(host) does not resolve") }
        defer { freeaddrinfo(list) }
        var text = [CChar](repeating: 0, count: 64)
        var next = list
        while let entry = next?.pointee {
            let found = getnameinfo(
                entry.ai_addr,
                entry.ai_addrlen,
                &text,
                socklen_t(text.count),
                nil,
                0,
                NI_NUMERICHOST
            )
            let numeric = String(
                decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)),
                as: UTF8.self
            )
            if found == 0, let address = clinux_address(numeric: numeric, port: port) { return address }
            next = entry.ai_next
        }
        throw LoadError("\(host) does not resolve")
    }
}

extension clinux_address {
    /// nil: not a numeric address.
    init?(numeric text: String, port: UInt16) {
        self.init()
        guard clinux_address_parse(text, &self) == 0 else { return nil }
        self.port = port
    }

    /// `address:port`, IPv6 in brackets. nil: no such thing.
    init?(text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]),
            port > 0
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        self.init(numeric: String(host), port: port)
    }

    var text: String {
        var address = self
        var text = [CChar](repeating: 0, count: 64)
        clinux_address_format(&address, &text, text.count)
        let host = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return is_ipv6 == 0 ? "\(host):\(port)" : "[\(host)]:\(port)"
    }

    var isLoopback: Bool {
        is_ipv6 == 0 ? low >> 24 == 127 : high == 0 && low == 1
    }

    /// Where a socket that talks to this address is bound: any port, loopback for loopback.
    var localCounterpart: clinux_address {
        var local = clinux_address()
        local.is_ipv6 = is_ipv6
        if isLoopback {
            local.high = high
            local.low = low
        }
        return local
    }

    /// The address as the socket calls want it.
    func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        if is_ipv6 == 0 {
            var four = sockaddr_in()
            four.sin_family = sa_family_t(AF_INET)
            four.sin_port = port.bigEndian
            four.sin_addr.s_addr = UInt32(truncatingIfNeeded: low).bigEndian
            return withUnsafeBytes(of: &four) { Self.bind($0, body) }
        }
        var six = sockaddr_in6()
        six.sin6_family = sa_family_t(AF_INET6)
        six.sin6_port = port.bigEndian
        six.sin6_scope_id = scope
        withUnsafeMutableBytes(of: &six.sin6_addr) { bytes in
            bytes.storeBytes(of: high.bigEndian, as: UInt64.self)
            bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        return withUnsafeBytes(of: &six) { Self.bind($0, body) }
    }

    private static func bind<Result>(
        _ bytes: UnsafeRawBufferPointer,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        // The caller's structs are never empty.
        guard let base = bytes.baseAddress else { preconditionFailure("an empty socket address") }
        return body(base.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
    }
}
