import RTP
import Testing

@testable import SFU

@Suite struct RedundancyReaderTests {
    struct Read: Equatable {
        var bytes: [UInt8]
        var timestamp: UInt32
        var sequenceNumber: UInt16
        var distance: UInt8
        var isAdjacent: Bool
    }

    struct Split: Equatable {
        var payloadType: UInt8
        var primary: [UInt8]
        var frames: [Read]
    }

    private func split(_ payload: [UInt8], sequenceNumber: UInt16 = 100, timestamp: UInt32 = 96_000) -> Split?
    {
        OpusFeed.exact(payload) { p, count in
            guard
                let reader = RedundancyReader(
                    p,
                    length: count,
                    sequenceNumber: sequenceNumber,
                    timestamp: timestamp
                )
            else { return nil }
            let primary = UnsafeBufferPointer(start: p + reader.primaryOffset, count: reader.primaryLength)
            let frames = (0..<reader.count).map { index -> Read in
                let frame = reader[index]
                return Read(
                    bytes: Array(UnsafeBufferPointer(start: p + frame.offset, count: frame.length)),
                    timestamp: frame.timestamp,
                    sequenceNumber: frame.sequenceNumber,
                    distance: frame.distance,
                    isAdjacent: frame.isAdjacent
                )
            }
            return Split(payloadType: reader.payloadType, primary: Array(primary), frames: frames)
        }
    }

    private func distances(_ blocks: [OpusFeed.Block], primary: [UInt8] = OpusFeed.packet(0)) -> [UInt8]? {
        split(OpusFeed.red(blocks, primary: primary))?.frames.map(\.distance)
    }

    @Test func primaryAlone() {
        let primary = OpusFeed.packet(1)
        #expect(
            split(OpusFeed.red([], primary: primary, payloadType: 63))
                == Split(payloadType: 63, primary: primary, frames: [])
        )
    }

    @Test func framesAreThePacketsBefore() {
        let frames = (0..<3).map { OpusFeed.packet($0, length: 30 + $0) }
        let payload = OpusFeed.red(
            [.init(offset: 1920, bytes: frames[2]), .init(offset: 960, bytes: frames[1])],
            primary: frames[0]
        )
        #expect(
            split(payload)
                == Split(
                    payloadType: 111,
                    primary: frames[0],
                    frames: [
                        Read(
                            bytes: frames[2],
                            timestamp: 94_080,
                            sequenceNumber: 98,
                            distance: 2,
                            isAdjacent: true
                        ),
                        Read(
                            bytes: frames[1],
                            timestamp: 95_040,
                            sequenceNumber: 99,
                            distance: 1,
                            isAdjacent: true
                        ),
                    ]
                )
        )
    }

    @Test func numbersAndTimestampsWrap() throws {
        let payload = OpusFeed.red(
            [
                .init(offset: 1920, bytes: OpusFeed.packet(2)), .init(offset: 960, bytes: OpusFeed.packet(1)),
            ],
            primary: OpusFeed.packet(0)
        )
        let frames = try #require(split(payload, sequenceNumber: 1, timestamp: 1000)).frames
        #expect(frames.map(\.sequenceNumber) == [65535, 0])
        #expect(frames.map(\.timestamp) == [UInt32.max - 919, 40])
    }

    @Test func framesOfAnotherLengthFollowEachOther() throws {
        // 60 ms now, 20 ms before, 10 ms before that: nothing divides, but each ends where the next begins.
        let payload = OpusFeed.red(
            [
                .init(offset: 1440, bytes: OpusFeed.packet(2, toc: OpusFeed.short)),
                .init(offset: 960, bytes: OpusFeed.packet(1)),
            ],
            primary: OpusFeed.packet(0, toc: OpusFeed.long)
        )
        let frames = try #require(split(payload)).frames
        #expect(frames.map(\.distance) == [2, 1])
        #expect(frames.map(\.isAdjacent) == [true, true])
    }

    @Test func aFrameBehindAGapIsNotSure() throws {
        let payload = OpusFeed.red(
            [
                .init(offset: 3840, bytes: OpusFeed.packet(4)), .init(offset: 960, bytes: OpusFeed.packet(1)),
            ],
            primary: OpusFeed.packet(0)
        )
        let frames = try #require(split(payload)).frames
        #expect(frames.map(\.distance) == [4, 1])
        #expect(frames.map(\.isAdjacent) == [false, true])
        // What follows an unsure one is as unsure.
        let apart = OpusFeed.red(
            [
                .init(offset: 3840, bytes: OpusFeed.packet(4)),
                .init(offset: 2880, bytes: OpusFeed.packet(3)),
            ],
            primary: OpusFeed.packet(0)
        )
        let both = try #require(split(apart)).frames
        #expect(both.map(\.distance) == [4, 3])
        #expect(both.map(\.isAdjacent) == [false, false])
    }

    @Test func blocksOfNoUseAreLeftOut() {
        let one = OpusFeed.Block(offset: 960, bytes: OpusFeed.packet(1))
        #expect(distances([.init(offset: 1900, bytes: OpusFeed.packet(2)), one]) == [1], "no multiple")
        #expect(distances([.init(offset: 8640, bytes: OpusFeed.packet(9)), one]) == [1], "nine frames back")
        #expect(distances([.init(offset: 7680, bytes: OpusFeed.packet(8)), one]) == [8, 1])
        #expect(distances([.init(offset: 0, bytes: OpusFeed.packet(0))]) == [], "the primary itself")
        #expect(distances([.init(offset: 1920, bytes: []), one]) == [1], "empty")
        #expect(distances([.init(offset: 1920, bytes: [0xfb, 0]), one]) == [1], "no Opus")
        let other = OpusFeed.Block(offset: 1920, bytes: OpusFeed.packet(2), payloadType: 110)
        #expect(distances([other, one]) == [1], "another payload type")
        #expect(distances([one, one]) == [1], "twice the same")
        #expect(distances([one, .init(offset: 1920, bytes: OpusFeed.packet(2))]) == [2], "out of order")
    }

    /// What a primary of unknown duration repeats can be told only from its own durations.
    @Test func aPrimaryThatIsNoOpusDividesNothing() {
        let blocks: [OpusFeed.Block] = [
            .init(offset: 2880, bytes: OpusFeed.packet(3)), .init(offset: 960, bytes: OpusFeed.packet(1)),
        ]
        #expect(distances(blocks, primary: [0xfb, 0]) == [1])
    }

    @Test func ofManyBlocksTheNewestAreRead() throws {
        let blocks = (1...12).reversed().map {
            OpusFeed.Block(offset: UInt32($0) * 960, bytes: OpusFeed.packet($0))
        }
        let it = try #require(split(OpusFeed.red(blocks, primary: OpusFeed.packet(0))))
        #expect(it.frames.map(\.distance) == [4, 3, 2, 1])
        #expect(it.frames.map(\.bytes) == (1...4).reversed().map { OpusFeed.packet($0) })
        #expect(it.frames.count == Limits.Audio.redundantBlocks)
    }

    @Test func emptyPrimaryIsRefused() {
        #expect(split(OpusFeed.red([], primary: [])) == nil)
        #expect(split(OpusFeed.red([.init(offset: 960, bytes: OpusFeed.packet(1))], primary: [])) == nil)
        #expect(split([]) == nil)
    }

    @Test func everyCutIsRefused() {
        let payload = OpusFeed.red(
            [
                .init(offset: 1920, bytes: OpusFeed.packet(2)), .init(offset: 960, bytes: OpusFeed.packet(1)),
            ],
            primary: OpusFeed.packet(0)
        )
        for length in 0..<payload.count {
            let isWhole = split(Array(payload.prefix(length))) != nil
            #expect(isWhole == (length > 89), "\(length)")
        }
    }

    @Test(arguments: UInt64(1)...8)
    func nothingLeavesThePayload(seed: UInt64) {
        var random = RandomSource.seeded(seed)
        let good = OpusFeed.red(
            [
                .init(offset: 1920, bytes: OpusFeed.packet(2)), .init(offset: 960, bytes: OpusFeed.packet(1)),
            ],
            primary: OpusFeed.packet(0)
        )
        var wrong = 0
        for round in 0..<4000 {
            var payload = good
            if round & 1 == 0 {
                let count = Int.random(in: 0...160, using: &random)
                payload = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            } else {
                for _ in 0..<4 {
                    payload[Int.random(in: 0..<payload.count, using: &random)] = .random(
                        in: 0...255,
                        using: &random
                    )
                }
                payload.removeLast(Int.random(in: 0...payload.count, using: &random))
            }
            OpusFeed.exact(payload) { p, count in
                guard let reader = RedundancyReader(p, length: count, sequenceNumber: 3, timestamp: 5)
                else { return }
                if reader.primaryLength < 1 || reader.primaryOffset + reader.primaryLength != count {
                    wrong += 1
                }
                var last = UInt8.max
                for index in 0..<reader.count {
                    let frame = reader[index]
                    let isInside = frame.offset > 0 && frame.offset + frame.length <= reader.primaryOffset
                    if !isInside || frame.length == 0 || frame.distance == 0 || frame.distance >= last {
                        wrong += 1
                    }
                    if frame.distance > Limits.Audio.redundancyReach { wrong += 1 }
                    last = frame.distance
                }
            }
        }
        #expect(wrong == 0, "seed \(seed)")
    }

    // MARK: Filling losses

    /// The numbers under which frames of this packet are missing.
    private func missing(_ payload: [UInt8], sequence: Int64, in history: OpusHistory) -> [Int64?] {
        let p = UnsafeMutablePointer<UInt8>.allocate(capacity: payload.count)
        defer { p.deallocate() }
        for (index, byte) in payload.enumerated() { (p + index).initialize(to: byte) }
        guard
            let reader = RedundancyReader(
                p,
                length: payload.count,
                sequenceNumber: UInt16(truncatingIfNeeded: sequence),
                timestamp: UInt32(truncatingIfNeeded: sequence * 960)
            )
        else { return [] }
        var found: [Int64?] = []
        for index in 0..<reader.count {
            found.append(reader.missing(reader[index], before: sequence, in: history.packets))
        }
        return found
    }

    @Test func onlyWhatIsMissingIsFilled() {
        let history = OpusHistory()
        let base: Int64 = 1 << 16
        history.store(base, timestamp: 0, OpusFeed.packet(0))
        let payload = OpusFeed.red(
            [
                .init(offset: 1920, bytes: OpusFeed.packet(1)), .init(offset: 960, bytes: OpusFeed.packet(2)),
            ],
            primary: OpusFeed.packet(3)
        )
        #expect(missing(payload, sequence: base + 3, in: history) == [base + 1, base + 2])
        #expect(missing(payload, sequence: base + 2, in: history) == [nil, base + 1])
        #expect(missing(payload, sequence: base + 1, in: history) == [base - 1, nil])
    }

    /// A sender that repeats only the packet before the last.
    @Test func behindAGapTheTimestampsOfTheHistoryDecide() {
        let payload = OpusFeed.red(
            [.init(offset: 1920, bytes: OpusFeed.packet(3))],
            primary: OpusFeed.packet(5)
        )
        // Steady: number 3 is two frames before number 5.
        let steady = OpusHistory()
        steady.store(2, timestamp: 2 * 960, OpusFeed.packet(2))
        #expect(missing(payload, sequence: 5, in: steady) == [3])
        // The last packet before it is older.
        let older = OpusHistory()
        older.store(0, timestamp: 0, OpusFeed.packet(0))
        #expect(missing(payload, sequence: 5, in: older) == [3])
        // Silence somewhere: the block may be number 4 with a pause behind it.
        let paused = OpusHistory()
        paused.store(2, timestamp: 960, OpusFeed.packet(2))
        #expect(missing(payload, sequence: 5, in: paused) == [nil])
        // Nothing to tell it by.
        let empty = OpusHistory()
        #expect(missing(payload, sequence: 5, in: empty) == [nil])
    }

    /// Packets are lost at random, and each RED packet that comes fills what it can: in the end the history holds the
    /// right bytes under the right numbers.
    @Test(arguments: UInt64(1)...6)
    func lossesAreFilled(seed: UInt64) {
        var random = RandomSource.seeded(seed)
        let history = OpusHistory()
        history.packets = PacketHistory(records: 1024, bytes: 1 << 18)
        let start: Int64 = 65_500
        let sent = (0..<400).map { OpusFeed.packet($0, length: Int.random(in: 20...200, using: &random)) }
        var came = Array(repeating: false, count: 400)
        var wrong = 0
        for number in 0..<400 {
            guard number < 3 || number > 396 || Int.random(in: 0..<10, using: &random) > 2 else { continue }
            came[number] = true
            let sequence = start + Int64(number)
            let timestamp = UInt32.max - 100_000 &+ UInt32(number) &* 960
            let blocks = (1...2).reversed().filter { $0 <= number }.map {
                OpusFeed.Block(offset: UInt32($0) * 960, bytes: sent[number - $0])
            }
            history.store(sequence, timestamp: timestamp, sent[number])
            let payload = OpusFeed.red(blocks, primary: sent[number])
            let it = split(
                payload,
                sequenceNumber: UInt16(truncatingIfNeeded: sequence),
                timestamp: timestamp
            )
            if it?.primary != sent[number] { wrong += 1 }
            payload.withUnsafeBufferPointer { bytes in
                guard let p = bytes.baseAddress,
                    let reader = RedundancyReader(
                        p,
                        length: bytes.count,
                        sequenceNumber: UInt16(truncatingIfNeeded: sequence),
                        timestamp: timestamp
                    )
                else { return }
                for index in 0..<reader.count {
                    let frame = reader[index]
                    guard let place = reader.missing(frame, before: sequence, in: history.packets) else {
                        continue
                    }
                    if UInt16(truncatingIfNeeded: place) != frame.sequenceNumber { wrong += 1 }
                    let content = Array(bytes[frame.offset..<(frame.offset + frame.length)])
                    history.store(
                        place,
                        timestamp: frame.timestamp,
                        content,
                        flags: .recovered
                    )
                }
            }
        }
        var filled = 0
        for number in 0..<400 {
            let isWithin =
                came[number] || number < 399 && came[number + 1] || number < 398 && came[number + 2]
            guard let record = history.packets.record(start + Int64(number)) else {
                if isWithin { wrong += 1 }
                continue
            }
            let found = UnsafeBufferPointer(
                start: history.packets.payload(record),
                count: Int(record.pointee.length)
            )
            if Array(found) != sent[number] || !isWithin { wrong += 1 }
            if record.pointee.timestamp != UInt32.max - 100_000 &+ UInt32(number) &* 960 { wrong += 1 }
            if !came[number] { filled += 1 }
        }
        #expect(wrong == 0, "seed \(seed)")
        #expect(filled > 50, "seed \(seed): \(filled)")
    }
}
