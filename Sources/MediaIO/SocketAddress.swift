// Addresses between the kernel's form and ours. Numeric only: nothing here asks a resolver.
import CLinux
import PeerTransport

/// An address with a port.
struct SocketAddress: Hashable, Sendable {
    var address: IPAddress
    var port: UInt16
    var scope: UInt32 = 0

    init(address: IPAddress, port: UInt16, scope: UInt32 = 0) {
        self.address = address
        self.port = port
        self.scope = scope
    }

    init?(parsing text: String, port: UInt16 = 0) {
        var raw = clinux_address()
        guard clinux_address_parse(text, &raw) == 0 else { return nil }
        raw.port = port
        self.init(raw)
    }

    @inline(__always)
    init(_ raw: clinux_address) {
        address = IPAddress(raw)
        port = raw.port
        scope = raw.scope
    }

    var raw: clinux_address {
        clinux_address(
            high: address.high,
            low: address.low,
            scope: scope,
            port: port,
            is_ipv6: address.isIPv6 ? 1 : 0
        )
    }

    /// `1.2.3.4:5` or `[::1]:5`.
    var text: String {
        address.isIPv6 ? "[\(address.text)]:\(port)" : "\(address.text):\(port)"
    }
}

extension IPAddress {
    @inline(__always)
    init(_ raw: clinux_address) {
        if raw.is_ipv6 != 0 {
            self.init(v6High: raw.high, low: raw.low)
        } else {
            self.init(v4: UInt32(truncatingIfNeeded: raw.low))
        }
    }

    /// The numeric text, without zone.
    var text: String {
        var raw = SocketAddress(address: self, port: 0).raw
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            guard let base = buffer.baseAddress, clinux_address_format(&raw, base, 64) == 0 else {
                return "?"
            }
            return String(cString: base)
        }
    }

    var isUnspecified: Bool { high == 0 && low == 0 }

    /// 127.0.0.0/8 and ::1.
    var isLoopback: Bool { isIPv6 ? high == 0 && low == 1 : low >> 24 == 127 }

    /// 169.254.0.0/16 and fe80::/10.
    var isLinkLocal: Bool { isIPv6 ? high >> 54 == 0x3fa : low >> 16 == 0xa9fe }

    /// What one customer usually has: an IPv4 address, an IPv6 /64.
    var sourcePrefix: IPAddress {
        isIPv6 ? IPAddress(v6High: high, low: 0) : self
    }
}

/// The system's words for a negative errno.
func systemReason(_ result: some BinaryInteger) -> String {
    let error = Int32(truncatingIfNeeded: 0 - Int64(result))
    guard let text = clinux_error_text(error) else { return "error \(error)" }
    return String(cString: text)
}
