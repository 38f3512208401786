// Source descriptions (RFC 3550 §6.5): CNAME only, all else is skipped.

/// The CNAMEs of one SDES packet.
public struct SourceDescription {
    /// One chunk's CNAME; points into the walked datagram.
    public struct CNAME {
        public let ssrc: UInt32
        public let text: UnsafePointer<UInt8>
        public let length: Int
    }

    private let body: UnsafePointer<UInt8>
    private let length: Int
    private var offset = 0
    private var chunksLeft: Int
    /// An item ran over the end.
    public private(set) var isMalformed = false

    public init?(_ block: RTCPBlock) {
        guard block.type == RTCPType.sourceDescription else { return nil }
        body = block.body
        length = block.length
        chunksLeft = Int(block.count)
    }

    /// The next chunk that has a CNAME.
    public mutating func next() -> CNAME? {
        while chunksLeft > 0 {
            chunksLeft -= 1
            guard offset + 4 <= length else { return fail() }
            let ssrc = ByteOrder.load32(body, offset)
            offset += 4
            var found: CNAME?
            // Some senders leave the closing zero out where the last item fills its word: the end closes it
            // too.
            while offset < length {
                let type = body[offset]
                if type == 0 {
                    // The list ends with at least one zero and fills up to the next word.
                    offset = (offset + 4) & ~3
                    break
                }
                guard offset + 2 <= length else { return fail() }
                let size = Int(body[offset + 1])
                guard offset + 2 + size <= length else { return fail() }
                if type == 1 { found = CNAME(ssrc: ssrc, text: body + offset + 2, length: size) }
                offset += 2 + size
            }
            if let found { return found }
        }
        return nil
    }

    private mutating func fail() -> CNAME? {
        isMalformed = true
        chunksLeft = 0
        return nil
    }
}

extension RTCPWriter {
    /// An SDES packet with one chunk and one CNAME of at most 255 bytes.
    @discardableResult
    public mutating func appendCNAME(ssrc: UInt32, _ text: UnsafePointer<UInt8>, count: Int) -> Bool {
        guard count >= 0, count <= 255 else { return false }
        let padded = (4 + 2 + count + 1 + 3) & ~3
        guard let body = open(RTCPType.sourceDescription, count: 1, bodyLength: padded) else { return false }
        ByteOrder.store32(ssrc, body, 0)
        body[4] = 1
        body[5] = UInt8(truncatingIfNeeded: count)
        (body + 6).update(from: text, count: count)
        (body + 6 + count).update(repeating: 0, count: padded - 6 - count)
        return true
    }
}
