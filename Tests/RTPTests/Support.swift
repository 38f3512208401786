// Bytes and randomness for the tests of this floor.
import RTP

/// "8fcd 0007" → bytes.
func hex(_ text: String) -> [UInt8] {
    let digits = text.compactMap { $0.hexDigitValue }
    precondition(digits.count % 2 == 0)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// Memory of exactly these bytes, so that a sanitizer sees each read behind the end.
func withBytes<R>(_ bytes: [UInt8], _ body: (UnsafeMutablePointer<UInt8>, Int) -> R) -> R {
    let p = UnsafeMutablePointer<UInt8>.allocate(capacity: bytes.count)
    defer { p.deallocate() }
    for (index, byte) in bytes.enumerated() { (p + index).initialize(to: byte) }
    return body(p, bytes.count)
}

/// What `body` wrote into `capacity` bytes; it returns how many.
func written(capacity: Int = 1500, _ body: (UnsafeMutablePointer<UInt8>) -> Int) -> [UInt8] {
    let p = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
    defer { p.deallocate() }
    p.initialize(repeating: 0xEE, count: capacity)
    let count = body(p)
    return (0..<count).map { p[$0] }
}

/// What a writer with `capacity` bytes of room holds afterwards.
func rtcp(capacity: Int = 1500, _ body: (inout RTCPWriter) -> Void) -> [UInt8] {
    written(capacity: capacity) { p in
        var writer = RTCPWriter(p, capacity: capacity)
        body(&writer)
        return writer.length
    }
}

/// Runs `body` on the first block of a datagram.
func withBlock<R>(_ bytes: [UInt8], _ body: (RTCPBlock) -> R?) -> R? {
    withBytes(bytes) { p, count in
        var walker = RTCPWalker(p, length: count)
        guard let block = walker.next() else { return nil }
        return body(block)
    }
}

/// SplitMix64: the same numbers for the same seed everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next() >> 32) }
    }
}

/// Random strings, and mutations of good ones: a byte changed, cut off, or extended.
func fuzz(
    seed: UInt64,
    iterations: Int = 100_000,
    maxLength: Int = 64,
    corpus: [[UInt8]],
    _ body: (UnsafeMutablePointer<UInt8>, Int) -> Void
) {
    var random = SeededGenerator(seed: seed)
    for iteration in 0..<iterations {
        var bytes: [UInt8]
        if corpus.isEmpty || iteration % 3 == 0 {
            bytes = random.bytes(Int.random(in: 0...maxLength, using: &random))
        } else {
            bytes = corpus[Int.random(in: 0..<corpus.count, using: &random)]
            for _ in 0..<Int.random(in: 0...3, using: &random) where !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                bytes[index] = UInt8.random(in: 0...255, using: &random)
            }
            if iteration % 3 == 2 { bytes.removeLast(Int.random(in: 0...bytes.count, using: &random)) }
        }
        withBytes(bytes, body)
    }
}
