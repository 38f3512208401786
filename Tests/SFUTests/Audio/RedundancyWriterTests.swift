import RTP
import Testing

@testable import SFU

@Suite struct RedundancyTests {
    private func distances(_ reports: [(second: Int64, fraction: UInt8)]) -> [Int] {
        var redundancy = Redundancy()
        return reports.map {
            redundancy.note(fractionLost: $0.fraction, at: .zero + .seconds($0.second))
            return redundancy.distance
        }
    }

    @Test func lossesDecideAtOnce() {
        #expect(Redundancy().distance == 0)
        #expect(distances([(0, 0)]) == [0])
        // 2/256 are 0.8 %, 3/256 1.2 %, 25/256 9.8 %, 26/256 10.2 %.
        #expect(distances([(0, 2), (1, 3), (2, 25), (3, 26), (4, 255)]) == [0, 1, 1, 2, 2])
        #expect(distances([(0, 40)]) == [2])
    }

    @Test func itGoesDownTenSecondsAfterTheLastLoss() {
        let calm = (1...11).map { (second: Int64($0), fraction: UInt8(0)) }
        #expect(distances([(0, 10)] + calm) == [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0])
        #expect(distances([(0, 10), (9, 2), (9, 3), (18, 0), (19, 0)]) == [1, 1, 1, 1, 0])
        // From two to none where all was calm, to one where it was only better.
        #expect(distances([(0, 30)] + calm).suffix(3) == [2, 0, 0])
        #expect(distances([(0, 30), (4, 12), (9, 20), (10, 0), (18, 2), (19, 0)]) == [2, 2, 2, 1, 1, 0])
    }

    @Test func oneBadReportStartsTheHoldAnew() {
        #expect(distances([(0, 26), (9, 26), (10, 0), (18, 0), (19, 0)]) == [2, 2, 2, 2, 0])
    }
}

@Suite struct RedundancyWriterTests {
    private static let opus: UInt8 = 45

    /// Packets 1... of 20 ms and `length` bytes each.
    private func history(_ lengths: [Int], firstTimestamp: UInt32 = 48_000) -> OpusHistory {
        let history = OpusHistory()
        for (index, length) in lengths.enumerated() {
            history.store(
                Int64(index + 1),
                timestamp: firstTimestamp &+ UInt32(index) &* 960,
                OpusFeed.packet(index + 1, length: length)
            )
        }
        return history
    }

    private func choose(
        _ sequence: Int64,
        _ distance: Int,
        in history: OpusHistory,
        notBefore first: Int64 = .min
    ) -> RedundancyWriter.Choice? {
        guard let record = history.packets.record(sequence) else { return nil }
        return RedundancyWriter.choose(for: record, in: history.packets, distance: distance, notBefore: first)
    }

    /// What is written, and nothing beyond its length.
    private func write(_ sequence: Int64, used: UInt8, in history: OpusHistory) -> [UInt8]? {
        guard let record = history.packets.record(sequence) else { return nil }
        let room = 4000
        let p = UnsafeMutablePointer<UInt8>.allocate(capacity: room)
        defer { p.deallocate() }
        p.initialize(repeating: 0xee, count: room)
        let length = RedundancyWriter.length(of: record, used: used, in: history.packets)
        let count = RedundancyWriter.write(
            record,
            used: used,
            in: history.packets,
            opus: RedundancyWriterTests.opus,
            to: p
        )
        #expect(count == length)
        guard let count else {
            #expect(p[0] == 0xee, "nothing is written")
            return nil
        }
        for index in count..<room where p[index] != 0xee {
            Issue.record("wrote behind the end, at \(index)")
            break
        }
        return (0..<count).map { p[$0] }
    }

    @Test func distanceZeroIsOneByteAndThePrimary() {
        let history = history([40, 50, 60])
        #expect(choose(3, 0, in: history) == .init(used: 0, length: 61))
        #expect(write(3, used: 0, in: history) == [45] + OpusFeed.packet(3, length: 60))
    }

    @Test func blocksAreThePacketsBefore() {
        let history = history([40, 50, 60])
        #expect(choose(3, 1, in: history) == .init(used: 1, length: 1 + 4 + 50 + 60))
        #expect(choose(3, 2, in: history) == .init(used: 3, length: 1 + 8 + 40 + 50 + 60))
        #expect(choose(3, 9, in: history) == choose(3, 2, in: history))
        #expect(choose(3, -1, in: history) == choose(3, 0, in: history))
        let expected = OpusFeed.red(
            [
                .init(offset: 1920, bytes: OpusFeed.packet(1, length: 40), payloadType: 45),
                .init(offset: 960, bytes: OpusFeed.packet(2, length: 50), payloadType: 45),
            ],
            primary: OpusFeed.packet(3, length: 60),
            payloadType: 45
        )
        #expect(write(3, used: 3, in: history) == expected)
        #expect(Array(expected.prefix(9)) == [0xad, 0x1e, 0, 40, 0xad, 0x0f, 0, 50, 45])
    }

    @Test func theFirstPacketsHaveLessBefore() {
        let history = history([40, 50])
        #expect(choose(1, 2, in: history)?.used == 0)
        #expect(choose(2, 2, in: history)?.used == 1)
    }

    @Test func timestampsWrap() throws {
        let history = history([40, 50, 60], firstTimestamp: UInt32.max - 1000)
        #expect(choose(3, 2, in: history)?.used == 3)
        let bytes = try #require(write(3, used: 3, in: history))
        #expect(Array(bytes.prefix(9)) == [0xad, 0x1e, 0, 40, 0xad, 0x0f, 0, 50, 45])
    }

    @Test func whatIsMissingIsLeftOutAndWhatIsBehindIsNot() {
        let history = OpusHistory()
        history.store(1, timestamp: 960, OpusFeed.packet(1))
        history.store(3, timestamp: 2880, OpusFeed.packet(3))
        #expect(choose(3, 1, in: history)?.used == 0)
        #expect(choose(3, 2, in: history) == .init(used: 2, length: 1 + 4 + 40 + 40))
        #expect(
            write(3, used: 2, in: history)
                == OpusFeed.red(
                    [.init(offset: 1920, bytes: OpusFeed.packet(1), payloadType: 45)],
                    primary: OpusFeed.packet(3),
                    payloadType: 45
                )
        )
    }

    @Test func whatTheSubscriberDoesNotHearIsNotRepeated() {
        let history = history([40, 50, 60])
        #expect(choose(3, 2, in: history, notBefore: 3)?.used == 0)
        #expect(choose(3, 2, in: history, notBefore: 2)?.used == 1)
        #expect(choose(3, 2, in: history, notBefore: 1)?.used == 3)
    }

    @Test func aLengthOfMoreThanTenBitsIsLeftOut() {
        let longest = history([20, 1023, 60])
        #expect(choose(3, 1, in: longest) == .init(used: 1, length: 1 + 4 + 1023 + 60))
        let tooLong = history([20, 1024, 60])
        #expect(choose(3, 1, in: tooLong)?.used == 0)
        #expect(choose(3, 2, in: tooLong) == .init(used: 2, length: 1 + 4 + 20 + 60))
        #expect(write(3, used: 1, in: tooLong) == nil)
        #expect(write(3, used: 3, in: tooLong) == nil)
    }

    @Test func thePayloadIsAtMost1200Bytes() {
        // 1 + 4 + 595 + 600 = 1200.
        #expect(choose(2, 1, in: history([595, 600])) == .init(used: 1, length: 1200))
        #expect(choose(2, 1, in: history([596, 600])) == .init(used: 0, length: 601))
        // The nearer one does not fit, the farther one does.
        #expect(choose(3, 2, in: history([100, 700, 600])) == .init(used: 2, length: 705))
        // The nearer one comes first.
        #expect(choose(3, 2, in: history([500, 500, 600])) == .init(used: 1, length: 1105))
        // A primary alone may be longer.
        #expect(choose(2, 2, in: history([40, 1300])) == .init(used: 0, length: 1301))
        #expect(Limits.Audio.redundantPayloadBytes == 1200)
    }

    @Test func paddingUnreadAndForeignPacketsAreLeftOut() {
        for flags in [PacketRecord.Flags.padding, .unread, []] {
            let history = OpusHistory()
            history.store(1, timestamp: 960, OpusFeed.packet(1))
            history.store(
                2,
                timestamp: 1920,
                OpusFeed.packet(2),
                flags: flags,
                payloadType: flags.isEmpty ? 9 : 111
            )
            history.store(3, timestamp: 2880, OpusFeed.packet(3))
            #expect(choose(3, 2, in: history)?.used == 2, "\(flags)")
            #expect(write(3, used: 1, in: history) == nil, "\(flags)")
        }
    }

    @Test func silenceIsNotBridged() {
        func used(_ timestamps: [UInt32], tocs: [UInt8]) -> UInt8? {
            let history = OpusHistory()
            for (index, timestamp) in timestamps.enumerated() {
                let packet = OpusFeed.packet(index, toc: tocs[index])
                history.store(Int64(index), timestamp: timestamp, packet)
            }
            return choose(Int64(timestamps.count - 1), 2, in: history)?.used
        }
        let usual = Array(repeating: OpusFeed.usual, count: 3)
        #expect(used([0, 960, 1920], tocs: usual) == 3)
        #expect(used([0, 960, 960 + 2880], tocs: usual) == 3, "two frames of silence")
        #expect(used([0, 960, 960 + 2881], tocs: usual) == 0, "more")
        #expect(used([0, 960 + 1921, 960 + 2881], tocs: usual) == 1, "more, before the last")
        #expect(used([0, 960, 960 + 19_200], tocs: usual) == 0, "400 ms are no 14 bits")
        // Neither a change of the frame's length is silence …
        #expect(used([0, 2880, 5760], tocs: [OpusFeed.long, OpusFeed.long, OpusFeed.short]) == 3)
        #expect(used([0, 960, 1920], tocs: [OpusFeed.usual, OpusFeed.usual, OpusFeed.long]) == 3)
        // … nor hides it.
        let short = Array(repeating: OpusFeed.short, count: 3)
        #expect(used([0, 480, 1920], tocs: short) == 3)
        #expect(used([0, 480, 1921], tocs: short) == 0)
    }

    @Test func timestampsThatGoBackAreLeftOut() {
        let history = OpusHistory()
        history.store(1, timestamp: 5000, OpusFeed.packet(1))
        history.store(2, timestamp: 5000, OpusFeed.packet(2))
        history.store(3, timestamp: 4000, OpusFeed.packet(3))
        #expect(choose(2, 1, in: history)?.used == 0)
        #expect(choose(3, 2, in: history)?.used == 0)
        #expect(write(2, used: 1, in: history) == nil)
        #expect(write(3, used: 1, in: history) == nil)
    }

    @Test func bitsThatNobodyGaveAreRefused() {
        let history = history([40, 50, 60, 70])
        #expect(write(4, used: 4, in: history) == nil)
        #expect(write(4, used: 0xff, in: history) == nil)
        let empty = OpusHistory()
        empty.store(1, timestamp: 1, [], flags: .padding)
        #expect(write(1, used: 0, in: empty) == nil)
    }

    /// What was sent is made again to the bit, whatever came since, or not at all.
    @Test(arguments: UInt64(1)...6)
    func resendsAreTheSameOrNone(seed: UInt64) throws {
        var random = RandomSource.seeded(seed)
        let history = OpusHistory()
        var sent: [Int64: (used: UInt8, bytes: [UInt8])] = [:]
        var absent: [Int64] = []
        var same = 0
        var different = 0
        var gone = 0
        for sequence in Int64(1)...600 {
            let length = Int.random(in: 1...1300, using: &random)
            let packet = OpusFeed.packet(Int(sequence), length: length)
            if Int.random(in: 0..<8, using: &random) == 0 {
                absent.append(sequence)
                continue
            }
            // A late one fills a hole: what was sent without it stays without it.
            if let late = absent.last, Int.random(in: 0..<2, using: &random) == 0 {
                absent.removeLast()
                history.store(
                    late,
                    timestamp: UInt32(late) * 960,
                    OpusFeed.packet(Int(late)),
                    flags: .recovered
                )
            }
            history.store(sequence, timestamp: UInt32(sequence) * 960, packet)
            let distance = Int.random(in: 0...2, using: &random)
            let choice = try #require(choose(sequence, distance, in: history))
            let bytes = try #require(write(sequence, used: choice.used, in: history))
            #expect(bytes.count == choice.length)
            sent[sequence] = (choice.used, bytes)
            for back in [
                Int64(0), 1, 2, .random(in: 3..<40, using: &random), .random(in: 40..<110, using: &random),
            ] {
                guard let old = sent[sequence - back] else { continue }
                guard let again = write(sequence - back, used: old.used, in: history) else {
                    gone += 1
                    continue
                }
                if again == old.bytes { same += 1 } else { different += 1 }
            }
        }
        #expect(different == 0, "seed \(seed)")
        #expect(same > 1500 && gone > 0, "seed \(seed): \(same), \(gone)")
    }

    /// A number whose payload was overwritten can come again with other bytes; it is another packet then.
    @Test func anotherPacketUnderTheSameNumberIsNotTakenForTheFirst() throws {
        let history = OpusHistory()
        history.store(1, timestamp: 960, OpusFeed.packet(1, length: 60))
        history.store(2, timestamp: 1920, OpusFeed.packet(2))
        #expect(write(2, used: 1, in: history) != nil)
        // The ring is full to its last byte, and its next packet lies over number 1 alone.
        let lengths = Array(repeating: 1024, count: 63) + [924, 30]
        for (index, length) in lengths.enumerated() {
            let sequence = Int64(index + 3)
            let packet = OpusFeed.packet(index, length: length)
            history.store(sequence, timestamp: UInt32(sequence) * 960, packet)
        }
        try #require(!history.has(1) && history.has(2))
        #expect(write(2, used: 1, in: history) == nil)
        history.store(1, timestamp: 960, OpusFeed.packet(99, length: 20))
        try #require(history.has(1) && history.has(2))
        #expect(write(2, used: 1, in: history) == nil)
        #expect(choose(2, 1, in: history)?.used == 0)
    }

    // MARK: Round trip

    @Test(arguments: UInt64(1)...6)
    func theReaderReadsWhatTheWriterWrote(seed: UInt64) throws {
        var random = RandomSource.seeded(seed)
        let history = OpusHistory()
        let tocs = [OpusFeed.short, OpusFeed.usual, OpusFeed.long]
        var packets: [[UInt8]] = []
        var timestamps: [UInt32] = []
        var timestamp = UInt32.max - 40_000
        for number in 0..<120 {
            let toc = number / 40 < tocs.count ? tocs[number / 40] : OpusFeed.usual
            let packet = OpusFeed.packet(number, length: Int.random(in: 3...300, using: &random), toc: toc)
            packets.append(packet)
            timestamps.append(timestamp)
            history.store(65_500 + Int64(number), timestamp: timestamp, packet)
            timestamp &+= [480, 960, 2880][number / 40]
        }
        for number in 0..<120 {
            let sequence = 65_500 + Int64(number)
            let distance = Int.random(in: 0...2, using: &random)
            let choice = try #require(choose(sequence, distance, in: history))
            let payload = try #require(write(sequence, used: choice.used, in: history))
            let expected = (0..<min(distance, number)).map { number - 1 - $0 }.reversed()
            OpusFeed.exact(payload) { p, count in
                let reader = RedundancyReader(
                    p,
                    length: count,
                    sequenceNumber: UInt16(truncatingIfNeeded: sequence),
                    timestamp: timestamps[number]
                )
                guard let reader else {
                    Issue.record("seed \(seed): unreadable")
                    return
                }
                #expect(reader.payloadType == RedundancyWriterTests.opus)
                func bytes(_ offset: Int, _ length: Int) -> [UInt8] {
                    Array(UnsafeBufferPointer(start: p + offset, count: length))
                }
                #expect(bytes(reader.primaryOffset, reader.primaryLength) == packets[number])
                #expect(reader.count == expected.count, "seed \(seed), \(number)")
                for (index, earlier) in expected.enumerated() where index < reader.count {
                    let frame = reader[index]
                    #expect(bytes(frame.offset, frame.length) == packets[earlier])
                    #expect(frame.timestamp == timestamps[earlier])
                    #expect(frame.sequenceNumber == UInt16(truncatingIfNeeded: 65_500 + earlier))
                    #expect(frame.isAdjacent)
                }
            }
        }
    }
}
