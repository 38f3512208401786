// Numeric addresses and ranges of them. Must not know requests or headers.
import Glibc

/// An IPv4 or IPv6 address; IPv4-mapped IPv6 addresses count as IPv4.
public struct IPAddress: Hashable, Sendable {
    /// 4 or 16 bytes, network order.
    public let bytes: [UInt8]

    public init?(_ text: String) {
        // A zone ("fe80::1%eth0") says where, not who.
        let text = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false).first.map(
            String.init
        )
        guard let text else { return nil }
        var v4 = in_addr()
        var v6 = in6_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            bytes = withUnsafeBytes(of: &v4) { Array($0) }
        } else if inet_pton(AF_INET6, text, &v6) == 1 {
            let all = withUnsafeBytes(of: &v6) { Array($0) }
            let mapped = all[0..<10].allSatisfy { $0 == 0 } && all[10] == 0xff && all[11] == 0xff
            bytes = mapped ? Array(all[12...]) : all
        } else {
            return nil
        }
    }

    public var isIPv6: Bool { bytes.count == 16 }

    public var isLoopback: Bool {
        isIPv6 ? bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1 : bytes[0] == 127
    }
}

/// A range in CIDR notation, or one address.
public struct AddressRange: Hashable, Sendable {
    private let network: [UInt8]
    private let prefixLength: Int

    /// "10.0.0.0/8", "fd00::/8", "192.0.2.7"; nil where it is none of these.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(String(first)) else { return nil }
        let bits = address.bytes.count * 8
        if parts.count == 2 {
            guard let length = UInt8(parts[1]), length <= bits else { return nil }
            prefixLength = Int(length)
        } else {
            prefixLength = bits
        }
        network = address.bytes
    }

    public func contains(_ address: IPAddress) -> Bool {
        guard address.bytes.count == network.count else { return false }
        let whole = prefixLength / 8
        guard address.bytes[..<whole] == network[..<whole] else { return false }
        let rest = prefixLength % 8
        guard rest > 0 else { return true }
        let mask = UInt8.max << UInt8(8 - rest)
        return address.bytes[whole] & mask == network[whole] & mask
    }
}
