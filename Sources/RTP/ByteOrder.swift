// Big-endian loads and stores on raw bytes. Knows no packet format; every bound is the caller's to check
// first.

/// Network byte order. Offsets are bytes; nothing here checks a bound.
public enum ByteOrder {
    @inlinable @inline(__always)
    public static func load16(_ p: UnsafePointer<UInt8>, _ offset: Int) -> UInt16 {
        UInt16(bigEndian: UnsafeRawPointer(p).loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    @inlinable @inline(__always)
    public static func load24(_ p: UnsafePointer<UInt8>, _ offset: Int) -> UInt32 {
        UInt32(p[offset]) << 16 | UInt32(load16(p, offset + 1))
    }

    @inlinable @inline(__always)
    public static func load32(_ p: UnsafePointer<UInt8>, _ offset: Int) -> UInt32 {
        UInt32(bigEndian: UnsafeRawPointer(p).loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    @inlinable @inline(__always)
    public static func load64(_ p: UnsafePointer<UInt8>, _ offset: Int) -> UInt64 {
        UInt64(bigEndian: UnsafeRawPointer(p).loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    @inlinable @inline(__always)
    public static func store16(_ value: UInt16, _ p: UnsafeMutablePointer<UInt8>, _ offset: Int) {
        UnsafeMutableRawPointer(p).storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    }

    /// The low 24 bits of `value`.
    @inlinable @inline(__always)
    public static func store24(_ value: UInt32, _ p: UnsafeMutablePointer<UInt8>, _ offset: Int) {
        p[offset] = UInt8(truncatingIfNeeded: value >> 16)
        store16(UInt16(truncatingIfNeeded: value), p, offset + 1)
    }

    @inlinable @inline(__always)
    public static func store32(_ value: UInt32, _ p: UnsafeMutablePointer<UInt8>, _ offset: Int) {
        UnsafeMutableRawPointer(p).storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }

    @inlinable @inline(__always)
    public static func store64(_ value: UInt64, _ p: UnsafeMutablePointer<UInt8>, _ offset: Int) {
        UnsafeMutableRawPointer(p).storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt64.self)
    }
}

/// A run of bytes inside a packet, from the packet's first byte. Length 0 means "not there".
public struct ByteRange: Equatable, Sendable {
    public var offset: UInt16
    public var length: UInt16

    @inlinable
    public init(offset: UInt16, length: UInt16) {
        self.offset = offset
        self.length = length
    }

    public static let none = ByteRange(offset: 0, length: 0)

    @inlinable
    public var isEmpty: Bool { length == 0 }

    /// Where the run starts in `packet`, the packet that it was parsed from.
    @inlinable
    public func start(in packet: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> { packet + Int(offset) }
}
