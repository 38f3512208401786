// The list of fuzz targets and what they are made of. Knows no fuzzing engine: the driver and the replaying test
// hand bytes in.

/// A property that did not hold.
public struct Violation: Error, CustomStringConvertible {
    public let description: String
}

/// A function that is fed with any bytes at all: it throws `Violation` where a property of the code does not hold.
public struct FuzzTarget: Sendable {
    /// The folder of its corpus, too.
    public let name: String
    /// Longest input that is worth trying, bytes.
    public let longestInput: Int
    private let body: @Sendable (FuzzInput) throws -> Void

    init(_ name: String, longestInput: Int, _ body: @escaping @Sendable (FuzzInput) throws -> Void) {
        self.name = name
        self.longestInput = longestInput
        self.body = body
    }

    /// - Parameter bytes: `count` bytes, best in memory of exactly that size: then a sanitizer sees each read
    ///   behind them.
    public func run(_ bytes: UnsafePointer<UInt8>, count: Int) throws {
        try body(FuzzInput(base: bytes, count: count))
    }

    /// Runs on a copy of exactly this size.
    public func run(_ bytes: [UInt8]) throws {
        try withMemory(bytes) { try run($0, count: bytes.count) }
    }

    public static let all: [FuzzTarget] = [
        FuzzTarget("rtp", longestInput: 600, fuzzRTP),
        FuzzTarget("rtx", longestInput: 200, fuzzRTX),
        FuzzTarget("extension_writer", longestInput: 600, fuzzExtensionWriter),
        FuzzTarget("vp8", longestInput: 40, fuzzVP8),
        FuzzTarget("vp9", longestInput: 120, fuzzVP9),
        FuzzTarget("h264", longestInput: 300, fuzzH264),
        FuzzTarget("h264_sps", longestInput: 300, fuzzH264Resolution),
        FuzzTarget("frame_info", longestInput: 120, fuzzFrameInfo),
        FuzzTarget("dependency_descriptor", longestInput: 800, fuzzDependencyDescriptor),
        FuzzTarget("video_layers_allocation", longestInput: 400, fuzzVideoLayersAllocation),
        FuzzTarget("red", longestInput: 300, fuzzRED),
        FuzzTarget("opus", longestInput: 8, fuzzOpus),
        FuzzTarget("rtcp", longestInput: 1200, fuzzRTCP),
        FuzzTarget("rtcp_writer", longestInput: 400, fuzzRTCPWriter),
        FuzzTarget("transport_feedback", longestInput: 1000, fuzzTransportFeedback),
        FuzzTarget("stun", longestInput: 600, fuzzSTUN),
        FuzzTarget("stream_deframer", longestInput: 2000, fuzzStreamDeframer),
        FuzzTarget("stream_queue", longestInput: 64, fuzzStreamQueue),
        FuzzTarget("srtp", longestInput: 300, fuzzSRTP),
        FuzzTarget("sdp", longestInput: 12_000, fuzzSDP),
        FuzzTarget("ice_fragment", longestInput: 3000, fuzzICEFragment),
    ]

    public static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }
}

/// The bytes of one run.
struct FuzzInput {
    let base: UnsafePointer<UInt8>
    let count: Int

    var bytes: [UInt8] { Array(UnsafeBufferPointer(start: base, count: count)) }
    var reader: FuzzReader { FuzzReader(bytes: bytes[...]) }
}

/// Takes an input apart into numbers and byte strings; behind its end there are zeros.
struct FuzzReader {
    private(set) var bytes: ArraySlice<UInt8>

    init(bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    var isAtEnd: Bool { bytes.isEmpty }

    mutating func byte() -> UInt8 { bytes.popFirst() ?? 0 }
    mutating func flag() -> Bool { byte() & 1 == 1 }
    mutating func word16() -> UInt16 { UInt16(byte()) << 8 | UInt16(byte()) }
    mutating func word32() -> UInt32 { UInt32(word16()) << 16 | UInt32(word16()) }
    mutating func word64() -> UInt64 { UInt64(word32()) << 32 | UInt64(word32()) }

    /// At most `count` bytes.
    mutating func take(_ count: Int) -> [UInt8] {
        let taken = Array(bytes.prefix(count))
        bytes = bytes.dropFirst(count)
        return taken
    }

    mutating func rest() -> [UInt8] { take(bytes.count) }
}

/// Fails the run where a property does not hold.
func check(
    _ condition: Bool,
    _ property: @autoclosure () -> String,
    file: StaticString = #fileID,
    line: UInt = #line
) throws {
    guard !condition else { return }
    throw Violation(description: "\(file):\(line): \(property())")
}

/// Fails the run where two values differ.
func checkEqual<Value: Equatable>(
    _ a: Value,
    _ b: Value,
    _ what: @autoclosure () -> String,
    file: StaticString = #fileID,
    line: UInt = #line
) throws {
    try check(a == b, "\(what()): \(a) is not \(b)", file: file, line: line)
}

/// The value, or a failed run.
func unwrapped<Value>(
    _ value: Value?,
    _ property: @autoclosure () -> String,
    file: StaticString = #fileID,
    line: UInt = #line
) throws -> Value {
    guard let value else { throw Violation(description: "\(file):\(line): \(property())") }
    return value
}

/// A copy in memory of exactly this size, so that a sanitizer sees each access behind its end.
func withMemory<Result>(
    _ bytes: [UInt8],
    _ body: (UnsafeMutablePointer<UInt8>) throws -> Result
) rethrows -> Result {
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: bytes.count)
    defer { memory.deallocate() }
    _ = UnsafeMutableBufferPointer(start: memory, count: bytes.count).initialize(from: bytes)
    return try body(memory)
}

/// What `body` wrote into memory of exactly `capacity` bytes; it returns how many.
func written(capacity: Int, _ body: (UnsafeMutablePointer<UInt8>) throws -> Int) rethrows -> [UInt8] {
    try withMemory([UInt8](repeating: 0xEE, count: capacity)) { memory in
        let count = try body(memory)
        return Array(UnsafeBufferPointer(start: memory, count: count))
    }
}

/// SplitMix64, for what has to be random and the same for the same input.
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
}
