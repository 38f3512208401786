// Bits of a byte string, most significant first. Knows no syntax; reads past the end yield zeros and are
// remembered.

struct BitReader {
    private let bytes: UnsafePointer<UInt8>
    private let bitCount: Int
    private(set) var position = 0
    private(set) var isExhausted = false

    init(_ bytes: UnsafePointer<UInt8>, length: Int) {
        self.bytes = bytes
        bitCount = length * 8
    }

    /// The next `count` bits, 0–32.
    mutating func read(_ count: Int) -> UInt32 {
        guard position + count <= bitCount else {
            isExhausted = true
            position = bitCount
            return 0
        }
        var value: UInt64 = 0
        var left = count
        while left > 0 {
            let inByte = position & 7
            let take = min(left, 8 - inByte)
            let bits = UInt64(bytes[position >> 3]) >> UInt64(8 - inByte - take) & ((1 << UInt64(take)) - 1)
            value = value << UInt64(take) | bits
            position += take
            left -= take
        }
        return UInt32(truncatingIfNeeded: value)
    }

    /// Goes to a bit that has been read before, or to the end.
    mutating func seek(_ bit: Int) {
        if bit > bitCount { isExhausted = true }
        position = min(bit, bitCount)
    }

    mutating func readFlag() -> Bool { read(1) == 1 }

    /// ns(n) of the AV1 specification §4.10.7: a number below `n` in as few bits as may be.
    mutating func readNonSymmetric(_ n: UInt32) -> UInt32 {
        guard n > 0 else { return 0 }
        let width = 32 - n.leadingZeroBitCount
        let short = UInt32(truncatingIfNeeded: (UInt64(1) << UInt64(width)) - UInt64(n))
        let value = read(width - 1)
        if value < short { return value }
        return (value << 1) - short + read(1)
    }
}

/// Appends bits to memory of the caller; says when it was too small.
struct BitWriter {
    private let out: UnsafeMutablePointer<UInt8>
    private let bitCapacity: Int
    private(set) var position = 0
    private(set) var isFull = false

    init(_ out: UnsafeMutablePointer<UInt8>, capacity: Int) {
        self.out = out
        bitCapacity = capacity * 8
    }

    /// Appends the low `count` bits of `value`, 0–32.
    mutating func write(_ value: UInt32, _ count: Int) {
        guard position + count <= bitCapacity else {
            isFull = true
            return
        }
        var left = count
        while left > 0 {
            let inByte = position & 7
            if inByte == 0 { out[position >> 3] = 0 }
            let take = min(left, 8 - inByte)
            let bits = UInt64(value) >> UInt64(left - take) & ((1 << UInt64(take)) - 1)
            out[position >> 3] |= UInt8(truncatingIfNeeded: bits << UInt64(8 - inByte - take))
            position += take
            left -= take
        }
    }

    /// Whole bytes written, the last one filled up with zeros.
    var length: Int { (position + 7) >> 3 }
}
