// Where a datagram comes from and goes to, small enough to be a table key on the packet's road.

/// An IPv4 or IPv6 address as two words. IPv4-mapped IPv6 addresses are stored as IPv4.
public struct IPAddress: Hashable, Sendable {
    /// Network order as a number: for IPv6 the upper 8 bytes; 0 for IPv4.
    public var high: UInt64
    /// For IPv4 the address in the low 32 bits.
    public var low: UInt64
    public var isIPv6: Bool

    public init(v4 address: UInt32) {
        high = 0
        low = UInt64(address)
        isIPv6 = false
    }

    public init(v6High high: UInt64, low: UInt64) {
        let isMappedIPv4 = high == 0 && low >> 32 == 0xffff
        self.high = high
        self.low = isMappedIPv4 ? low & 0xffff_ffff : low
        isIPv6 = !isMappedIPv4
    }

    public static let unspecified = IPAddress(v4: 0)
}

/// The way between one remote transport address and us; what ICE calls a pair, seen from the server.
public struct NetworkPath: Hashable, Sendable {
    public var remote: IPAddress
    /// The address of ours that the datagram was sent to; answers leave from it.
    public var local: IPAddress
    public var remotePort: UInt16
    /// IPv6 zone of a link-local remote, else 0.
    public var scope: UInt16
    /// −1 for UDP, else the number of an ICE-TCP connection (RFC 6544) of this worker.
    public var connection: Int32

    public init(
        remote: IPAddress,
        remotePort: UInt16,
        local: IPAddress = .unspecified,
        scope: UInt16 = 0,
        connection: Int32 = -1
    ) {
        self.remote = remote
        self.local = local
        self.remotePort = remotePort
        self.scope = scope
        self.connection = connection
    }

    public var isUDP: Bool { connection < 0 }
}
