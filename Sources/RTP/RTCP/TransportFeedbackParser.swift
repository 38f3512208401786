// Reads transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1), what a subscriber
// received. Must not know what was sent: unwrapping and matching are the bandwidth estimator's.

/// Walks the statuses of one feedback message. Everything is validated up front, so a walk never fails
/// half-way.
public struct TransportFeedbackParser {
    public struct Status: Equatable, Sendable {
        public var sequence: UInt16
        public var isReceived: Bool
        /// Arrival at the peer in microseconds on its own clock, which wraps with the reference time (24 bits
        /// of 64 ms); meaningless where not received.
        public var arrival: Int64
    }

    public let senderSSRC: UInt32
    public let mediaSSRC: UInt32
    public let baseSequence: UInt16
    public let statusCount: UInt16
    /// Signed 24 bits, in units of 64 ms.
    public let referenceTime: Int32
    /// Counts the peer's feedback messages, modulo 256.
    public let feedbackCount: UInt8

    private let chunks: UnsafePointer<UInt8>
    private var chunkOffset = 0
    private let deltas: UnsafePointer<UInt8>
    private var deltaOffset = 0
    private var index = 0
    private var chunk = Chunk()
    /// 250 µs ticks.
    private var ticks: Int64

    /// One period of the reference time, for unwrapping, in microseconds.
    public static let referencePeriod: Int64 = (1 << 24) * 64_000

    /// nil: other feedback, cut off, or with reserved symbols.
    public init?(_ block: RTCPBlock) {
        guard block.isFeedback(RTCPType.transportFeedback, RTCPFeedbackFormat.transportWideCC),
            block.length >= 16
        else { return nil }
        let body = block.body
        senderSSRC = ByteOrder.load32(body, 0)
        mediaSSRC = ByteOrder.load32(body, 4)
        baseSequence = ByteOrder.load16(body, 8)
        statusCount = ByteOrder.load16(body, 10)
        referenceTime = Int32(bitPattern: ByteOrder.load24(body, 12) << 8) >> 8
        feedbackCount = body[15]
        ticks = Int64(referenceTime) * 256
        chunks = body + 16
        var offset = 16
        var left = Int(statusCount)
        var deltaBytes = 0
        while left > 0 {
            guard offset + 2 <= block.length else { return nil }
            guard let bytes = Chunk.deltaBytes(ByteOrder.load16(body, offset), &left) else { return nil }
            deltaBytes += bytes
            offset += 2
        }
        guard offset + deltaBytes <= block.length else { return nil }
        deltas = body + offset
    }

    /// Statuses in the order of their sequence numbers.
    public mutating func next() -> Status? {
        guard index < Int(statusCount) else { return nil }
        // A run of length 0 carries nothing; `init` has seen that a chunk with symbols follows.
        while chunk.symbolsLeft == 0 {
            chunk = Chunk(ByteOrder.load16(chunks, chunkOffset))
            chunkOffset += 2
        }
        let sequence = baseSequence &+ UInt16(truncatingIfNeeded: index)
        index += 1
        switch chunk.nextSymbol() {
        case 1:
            ticks += Int64(deltas[deltaOffset])
            deltaOffset += 1
        case 2:
            ticks += Int64(Int16(bitPattern: ByteOrder.load16(deltas, deltaOffset)))
            deltaOffset += 2
        default:
            return Status(sequence: sequence, isReceived: false, arrival: 0)
        }
        return Status(sequence: sequence, isReceived: true, arrival: ticks * 250)
    }

    /// The number of feedback messages missing between two counts, 0–255.
    public static func missedFeedback(previous: UInt8, current: UInt8) -> UInt8 { current &- previous &- 1 }
}

extension TransportFeedbackParser {
    /// A packet status chunk (§3.1.3, §3.1.4) on its way through.
    private struct Chunk {
        private(set) var symbolsLeft = 0
        private var word: UInt16 = 0

        init() {}

        init(_ word: UInt16) {
            self.word = word
            if word & 0x8000 == 0 {
                symbolsLeft = Int(word & 0x1FFF)
            } else {
                symbolsLeft = word & 0x4000 == 0 ? 14 : 7
            }
        }

        mutating func nextSymbol() -> UInt16 {
            symbolsLeft -= 1
            if word & 0x8000 == 0 { return word >> 13 & 3 }
            if word & 0x4000 == 0 { return word >> UInt16(symbolsLeft) & 1 }
            return word >> UInt16(2 * symbolsLeft) & 3
        }

        /// Bytes of deltas for the statuses of this chunk that count; takes them off `left`. nil: reserved
        /// symbol.
        static func deltaBytes(_ word: UInt16, _ left: inout Int) -> Int? {
            if word & 0x8000 == 0 {
                let run = min(left, Int(word & 0x1FFF))
                let symbol = Int(word >> 13 & 3)
                left -= run
                return symbol == 3 ? nil : run * symbol
            }
            var chunk = Chunk(word)
            var bytes = 0
            while chunk.symbolsLeft > 0 && left > 0 {
                let symbol = chunk.nextSymbol()
                if symbol == 3 { return nil }
                bytes += Int(symbol)
                left -= 1
            }
            return bytes
        }
    }
}
