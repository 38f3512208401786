// CRC-32 of IEEE 802.3 (reflected, 0xEDB88320), for the FINGERPRINT attribute. Knows nothing of STUN.

enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { index in
        var value = UInt32(index)
        for _ in 0..<8 { value = value & 1 == 1 ? (value >> 1) ^ 0xedb8_8320 : value >> 1 }
        return value
    }

    static func checksum(_ bytes: UnsafePointer<UInt8>, count: Int) -> UInt32 {
        table.withUnsafeBufferPointer { table in
            var value: UInt32 = 0xffff_ffff
            for i in 0..<count {
                value = table[Int((value ^ UInt32(bytes[i])) & 0xff)] ^ (value >> 8)
            }
            return ~value
        }
    }
}
