// Picture size out of an H.264 sequence parameter set (ITU-T H.264 §7.3.2.1.1). Must not know RTP.

/// Width and height in pixels, after cropping.
public struct H264Resolution: Equatable, Sendable {
    public var width: UInt16
    public var height: UInt16

    /// `body` starts behind the NAL unit's header byte. nil: cut off or out of range.
    public static func parse(_ body: UnsafePointer<UInt8>, length: Int) -> H264Resolution? {
        var bits = RBSPReader(body, length)
        let profile = bits.read(8)
        bits.skip(16)
        _ = bits.readUE()
        var chromaFormat: UInt32 = 1
        if isHigh(profile) {
            chromaFormat = bits.readUE()
            if chromaFormat == 3 { bits.skip(1) }
            _ = bits.readUE()
            _ = bits.readUE()
            bits.skip(1)
            if bits.read(1) == 1 { skipScalingMatrices(&bits, chromaFormat == 3 ? 12 : 8) }
        }
        _ = bits.readUE()
        let orderType = bits.readUE()
        if orderType == 0 {
            _ = bits.readUE()
        } else if orderType == 1 {
            bits.skip(1)
            _ = bits.readUE()
            _ = bits.readUE()
            let cycle = bits.readUE()
            guard cycle <= 255 else { return nil }
            for _ in 0..<cycle { _ = bits.readUE() }
        }
        _ = bits.readUE()
        bits.skip(1)
        let widthInMacroblocks = UInt64(bits.readUE()) + 1
        let heightInMapUnits = UInt64(bits.readUE()) + 1
        let framesOnly = UInt64(bits.read(1))
        if framesOnly == 0 { bits.skip(1) }
        bits.skip(1)
        var cropX: UInt64 = 0
        var cropY: UInt64 = 0
        if bits.read(1) == 1 {
            let unitX: UInt64 = chromaFormat == 1 || chromaFormat == 2 ? 2 : 1
            let unitY: UInt64 = (chromaFormat == 1 ? 2 : 1) * (2 - framesOnly)
            cropX = (UInt64(bits.readUE()) + UInt64(bits.readUE())) * unitX
            cropY = (UInt64(bits.readUE()) + UInt64(bits.readUE())) * unitY
        }
        let width = widthInMacroblocks * 16
        let height = heightInMapUnits * 16 * (2 - framesOnly)
        guard !bits.isExhausted, chromaFormat <= 3, width > cropX, height > cropY, width <= 16384,
            height <= 16384
        else { return nil }
        return H264Resolution(width: UInt16(width - cropX), height: UInt16(height - cropY))
    }

    /// Profiles with chroma format and scaling lists (§7.3.2.1.1).
    private static func isHigh(_ profile: UInt32) -> Bool {
        switch profile {
        case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135: true
        default: false
        }
    }

    private static func skipScalingMatrices(_ bits: inout RBSPReader, _ count: Int) {
        for list in 0..<count where bits.read(1) == 1 {
            var last: Int64 = 8
            var next: Int64 = 8
            for _ in 0..<(list < 6 ? 16 : 64) {
                if next != 0 { next = (last &+ bits.readSE()) & 0xFF }
                if next != 0 { last = next }
                if bits.isExhausted { return }
            }
        }
    }
}

/// Bits of a NAL unit with emulation prevention bytes taken out (§7.4.1). Reads zeros past the end and says
/// so.
struct RBSPReader {
    private let bytes: UnsafePointer<UInt8>
    private let length: Int
    private var offset = 0
    private var zeros = 0
    private var current: UInt8 = 0
    private var bitsLeft = 0
    private(set) var isExhausted = false

    init(_ bytes: UnsafePointer<UInt8>, _ length: Int) {
        self.bytes = bytes
        self.length = length
    }

    private mutating func readBit() -> UInt32 {
        if bitsLeft == 0 {
            if zeros >= 2 && offset < length && bytes[offset] == 3 {
                offset += 1
                zeros = 0
            }
            guard offset < length else {
                isExhausted = true
                return 0
            }
            current = bytes[offset]
            zeros = current == 0 ? zeros + 1 : 0
            offset += 1
            bitsLeft = 8
        }
        bitsLeft -= 1
        return UInt32(current >> UInt8(bitsLeft) & 1)
    }

    mutating func read(_ count: Int) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<count { value = value << 1 | readBit() }
        return value
    }

    mutating func skip(_ count: Int) {
        for _ in 0..<count { _ = readBit() }
    }

    /// Exp-Golomb (§9.1); longer than 31 zeros counts as exhausted.
    mutating func readUE() -> UInt32 {
        var zeros = 0
        while readBit() == 0 {
            zeros += 1
            if zeros > 31 || isExhausted {
                isExhausted = true
                return 0
            }
        }
        return (UInt32(1) << UInt32(zeros)) - 1 + read(zeros)
    }

    mutating func readSE() -> Int64 {
        let code = Int64(readUE())
        return code & 1 == 1 ? (code + 1) / 2 : -(code / 2)
    }
}
