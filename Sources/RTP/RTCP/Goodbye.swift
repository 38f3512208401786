// BYE (RFC 3550 §6.6).

/// The sources that a BYE names; its reason is skipped.
public struct Goodbye {
    private let body: UnsafePointer<UInt8>
    public let count: Int
    private var index = 0

    /// nil: another type, or too short for the sources that it counts.
    public init?(_ block: RTCPBlock) {
        guard block.type == RTCPType.bye, block.length >= Int(block.count) * 4 else { return nil }
        body = block.body
        count = Int(block.count)
    }

    public mutating func next() -> UInt32? {
        guard index < count else { return nil }
        defer { index += 1 }
        return ByteOrder.load32(body, index * 4)
    }
}

extension RTCPWriter {
    @discardableResult
    public mutating func appendBye(ssrc: UInt32) -> Bool {
        guard let body = open(RTCPType.bye, count: 1, bodyLength: 4) else { return false }
        ByteOrder.store32(ssrc, body, 0)
        return true
    }
}
