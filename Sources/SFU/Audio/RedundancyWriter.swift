// RED for one subscriber (RFC 2198): how many earlier packets its packets repeat, and a payload made of the shared
// history. Knows no RTP header and remembers no packet.
import RTP

/// How many earlier packets each packet repeats, from the losses that the subscriber reports: at once up, slowly down.
struct Redundancy {
    /// 0: none.
    private(set) var distance = 0
    private var lossAt = Instant.distantPast
    private var heavyLossAt = Instant.distantPast

    /// - Parameter fractionLost: of a report block, in 1/256 (RFC 3550 §6.4.1).
    mutating func note(fractionLost: UInt8, at now: Instant) {
        if fractionLost >= Limits.Audio.redundancyLoss { lossAt = now }
        if fractionLost >= Limits.Audio.redundancyHeavyLoss { heavyLossAt = now }
        if now - heavyLossAt < Limits.Audio.redundancyHold {
            distance = 2
        } else {
            distance = now - lossAt < Limits.Audio.redundancyHold ? 1 : 0
        }
    }
}

/// Makes RED payloads. The subscriber's timestamps differ from the source's by a constant, so offsets are the same.
enum RedundancyWriter {
    /// What one payload holds besides its primary block.
    struct Choice: Equatable {
        /// Bit 0: the packet before the primary, bit 1: the one before that. To be kept for a resend.
        var used: UInt8
        /// Bytes of the RED payload.
        var length: Int
    }

    /// Chooses what is repeated along with a packet.
    /// - Parameters:
    ///   - record: in `history`, with a payload.
    ///   - distance: 0...2; more is taken for 2.
    ///   - first: no packet before this one is repeated: it is not of what the subscriber hears.
    static func choose(
        for record: UnsafeMutablePointer<PacketRecord>,
        in history: borrowing PacketHistory,
        distance: Int,
        notBefore first: Int64 = .min
    ) -> Choice {
        var choice = Choice(used: 0, length: 1 + Int(record.pointee.length))
        guard distance > 0 else { return choice }
        let frame = duration(of: record, in: history) ?? RedundancyWriter.usualDuration
        let longestGap = frame * RedundancyWriter.silentFrames
        /// What is spoken from the earlier packet to the primary.
        var spoken: Int64 = 0
        var step = 0
        while step < min(distance, RedundancyWriter.farthest) {
            step += 1
            let sequence = record.pointee.sequence &- Int64(step)
            guard sequence >= first else { break }
            guard let earlier = history.record(sequence) else {
                spoken += frame
                continue
            }
            guard !earlier.pointee.flags.contains(.padding) else { continue }
            spoken += duration(of: earlier, in: history) ?? frame
            // Behind a silence nobody misses anything, and what is older is behind it, too.
            let offset = Int64(record.pointee.timestamp &- earlier.pointee.timestamp)
            guard offset - spoken <= longestGap else { break }
            let length = 4 + Int(earlier.pointee.length)
            guard isCarried(earlier, by: record),
                choice.length + length <= Limits.Audio.redundantPayloadBytes
            else { continue }
            choice.used |= 1 << UInt8(step - 1)
            choice.length += length
        }
        return choice
    }

    /// Bytes of the payload that `write` makes.
    /// - Parameter used: as `choose` gave it.
    /// - Returns: nil where a packet that it repeats is gone from the history.
    @inline(__always)
    static func length(
        of record: UnsafeMutablePointer<PacketRecord>,
        used: UInt8,
        in history: borrowing PacketHistory
    ) -> Int? {
        guard used >> RedundancyWriter.farthest == 0, record.pointee.length > 0 else { return nil }
        var length = 1 + Int(record.pointee.length)
        for step in 1...RedundancyWriter.farthest where used & 1 << UInt8(step - 1) != 0 {
            guard let earlier = find(step, before: record, in: history) else { return nil }
            length += 4 + Int(earlier.pointee.length)
        }
        return length
    }

    /// Writes a payload, oldest block first. From the same history the same bits give the same bytes, as long as it
    /// gives any: an SRTP index must never protect two different packets (RFC 3711 §9.1).
    /// - Parameters:
    ///   - used: as `choose` gave it.
    ///   - opus: the subscriber's payload type of Opus, for all blocks.
    ///   - out: has room for what `length` says.
    /// - Returns: bytes; nil where a packet that it repeats is gone from the history, and nothing is written.
    @inline(__always)
    static func write(
        _ record: UnsafeMutablePointer<PacketRecord>,
        used: UInt8,
        in history: borrowing PacketHistory,
        opus: UInt8,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int? {
        guard let length = length(of: record, used: used, in: history) else { return nil }
        var header = 0
        var data = 1 + 4 * used.nonzeroBitCount
        var step = RedundancyWriter.farthest
        while step > 0 {
            if used & 1 << UInt8(step - 1) != 0, let earlier = find(step, before: record, in: history) {
                let count = Int(earlier.pointee.length)
                _ = REDPayload.writeHeader(
                    out + header,
                    payloadType: opus,
                    timestampOffset: record.pointee.timestamp &- earlier.pointee.timestamp,
                    length: count
                )
                (out + data).update(from: history.payload(earlier), count: count)
                header += 4
                data += count
            }
            step -= 1
        }
        out[header] = opus & 0x7f
        (out + data).update(from: history.payload(record), count: Int(record.pointee.length))
        return length
    }

    // MARK: Earlier packets

    /// Packets before the primary that `used` has bits for.
    private static let farthest = 2
    /// Of Opus where a payload does not say, ticks of 48 kHz.
    private static let usualDuration: Int64 = 960
    private static let silentFrames: Int64 = 2
    /// Bytes of the history between a packet and one that it repeats, at most: half of the least that a history
    /// holds. A number can be stored anew only where its first payload was overwritten, a whole history later: that
    /// one is farther away and never taken for the first.
    private static let reach = PacketHistory.audioBytes / 2

    @inline(__always)
    private static func find(
        _ step: Int,
        before record: UnsafeMutablePointer<PacketRecord>,
        in history: borrowing PacketHistory
    ) -> UnsafeMutablePointer<PacketRecord>? {
        guard let earlier = history.record(record.pointee.sequence &- Int64(step)),
            isCarried(earlier, by: record)
        else { return nil }
        return earlier
    }

    /// Whether a block of `record`'s payload can hold this packet: 14 bits for how much earlier it is, 10 for its
    /// length.
    @inline(__always)
    private static func isCarried(
        _ earlier: UnsafeMutablePointer<PacketRecord>,
        by record: UnsafeMutablePointer<PacketRecord>
    ) -> Bool {
        let offset = record.pointee.timestamp &- earlier.pointee.timestamp
        let distance = earlier.pointee.position - record.pointee.position
        return offset > 0 && offset <= 0x3fff
            && earlier.pointee.length > 0 && earlier.pointee.length <= 0x3ff
            && earlier.pointee.flags.isDisjoint(with: .unsendable)
            && earlier.pointee.payloadType == record.pointee.payloadType
            && distance > -reach && distance < reach
    }

    /// In ticks of 48 kHz.
    private static func duration(
        of record: UnsafeMutablePointer<PacketRecord>,
        in history: borrowing PacketHistory
    ) -> Int64? {
        OpusPayload.parse(history.payload(record), length: Int(record.pointee.length)).map {
            Int64($0.duration)
        }
    }
}
