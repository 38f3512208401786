// Serial-number arithmetic (RFC 1982) for the 16- and 32-bit counters of RTP. Must not know packets.

/// Comparisons on 16-bit sequence numbers that wrap.
public enum SequenceNumber {
    /// How far `b` is ahead of `a`, -32768…32767.
    @inlinable
    public static func distance(from a: UInt16, to b: UInt16) -> Int {
        Int(Int16(bitPattern: b &- a))
    }

    /// Whether `a` comes after `b`; false when equal or exactly half a circle away.
    @inlinable
    public static func isNewer(_ a: UInt16, than b: UInt16) -> Bool { Int16(bitPattern: a &- b) > 0 }
}

/// Comparisons on 32-bit RTP timestamps that wrap.
public enum RTPTimestamp {
    /// How far `b` is ahead of `a`, in clock ticks.
    @inlinable
    public static func distance(from a: UInt32, to b: UInt32) -> Int64 {
        Int64(Int32(bitPattern: b &- a))
    }

    @inlinable
    public static func isNewer(_ a: UInt32, than b: UInt32) -> Bool { Int32(bitPattern: a &- b) > 0 }
}

/// Turns 16-bit sequence numbers into 64-bit ones that never wrap. The first number keeps its value;
/// what came before it may become negative. Old numbers are placed behind the highest and do not move it.
public struct SequenceUnwrapper: Equatable, Sendable {
    /// The highest number so far; meaningless before the first.
    public private(set) var highest: Int64 = 0
    public private(set) var isStarted = false

    public init() {}

    /// The 64-bit place of `number`, moving the highest forward where it is newer.
    public mutating func unwrap(_ number: UInt16) -> Int64 {
        guard isStarted else {
            isStarted = true
            highest = Int64(number)
            return highest
        }
        let value = peek(number)
        if value > highest { highest = value }
        return value
    }

    /// The 64-bit place of `number` next to the highest so far, without moving it.
    public func peek(_ number: UInt16) -> Int64 {
        guard isStarted else { return Int64(number) }
        return highest &+ Int64(Int16(bitPattern: number &- UInt16(truncatingIfNeeded: highest)))
    }

    /// Goes on at this place, whatever came before: for who did not see all numbers.
    public mutating func move(to place: Int64) {
        isStarted = true
        highest = place
    }
}

/// `SequenceUnwrapper` for 32-bit RTP timestamps.
public struct TimestampUnwrapper: Equatable, Sendable {
    public private(set) var highest: Int64 = 0
    public private(set) var isStarted = false

    public init() {}

    public mutating func unwrap(_ timestamp: UInt32) -> Int64 {
        guard isStarted else {
            isStarted = true
            highest = Int64(timestamp)
            return highest
        }
        let value = peek(timestamp)
        if value > highest { highest = value }
        return value
    }

    public func peek(_ timestamp: UInt32) -> Int64 {
        guard isStarted else { return Int64(timestamp) }
        return highest &+ Int64(Int32(bitPattern: timestamp &- UInt32(truncatingIfNeeded: highest)))
    }
}
