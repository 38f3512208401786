import RTP
import Testing

/// What a message says, in plain values.
private struct Decoded: Equatable {
    var base: UInt16
    var reference: Int32
    var feedbackCount: UInt8
    /// Microseconds, nil: not received.
    var arrivals: [Int64?]
}

private func decode(_ bytes: [UInt8]) -> Decoded? {
    withBlock(bytes) { block -> Decoded? in
        guard var it = TransportFeedbackParser(block) else { return nil }
        var arrivals: [Int64?] = []
        while let status = it.next() {
            #expect(status.sequence == it.baseSequence &+ UInt16(truncatingIfNeeded: arrivals.count))
            arrivals.append(status.isReceived ? status.arrival : nil)
        }
        #expect(arrivals.count == Int(it.statusCount))
        return Decoded(
            base: it.baseSequence,
            reference: it.referenceTime,
            feedbackCount: it.feedbackCount,
            arrivals: arrivals
        )
    }
}

/// Deltas in ticks from the reference time on.
private func deltas(_ decoded: Decoded) -> [Int64?] {
    var last = Int64(decoded.reference) * 64_000
    return decoded.arrivals.map { arrival in
        guard let arrival else { return nil }
        defer { last = arrival }
        return (arrival - last) / 250
    }
}

@Suite struct TransportFeedbackParserTests {
    @Test func vectorWithGap() throws {
        let it = try #require(decode(hex("8fcd0007fa17fa1709faff670027000d5fc2f103bf8e100000000000001c0400")))
        #expect(it.base == 39 && it.reference == 6_275_825 && it.feedbackCount == 3)
        #expect(deltas(it) == [16, 0, 0, 0, 0, 0, 0, nil, nil, nil, 28, 4, 0])
    }

    @Test func vectorWithNegativeReference_janus2841() throws {
        let it = try #require(decode(hex("8fcd0004fa17fa1709faff6700270000fffffe01")))
        #expect(it.base == 39 && it.reference == -2 && it.feedbackCount == 1 && it.arrivals.isEmpty)
        let run = try #require(decode(hex("8fcd0005fa17fa1739e9423800010002bd57aa0020028c44")))
        #expect(run.base == 1 && run.reference == -4_368_470)
        #expect(deltas(run) == [140, 68])
    }

    @Test func vectorWithPadding() throws {
        let it = try #require(decode(hex("afcd0005fa17fa17000004d2000d0001008ab0002001e401")))
        #expect(it.base == 13 && it.reference == 35_504)
        #expect(deltas(it) == [228])
        let four = try #require(decode(hex("afcd0006fa17fa171cb7daf3000e0004008ab0012004e8080cdc0002")))
        #expect(four.base == 14 && four.feedbackCount == 1)
        #expect(deltas(four) == [232, 8, 12, 220])
    }

    @Test func vectorOf22() throws {
        let it = try #require(
            decode(
                hex(
                    "8fcd000afa17fa1706f5114c0b6c0016096d91ee20160c141400280000100004000800080008000800040010"
                )
            )
        )
        #expect(it.base == 2924 && it.feedbackCount == 238 && it.arrivals.count == 22)
        #expect(deltas(it) == [12, 20, 20, 0, 40, 0, 0, 16, 0, 4, 0, 8, 0, 8, 0, 8, 0, 8, 0, 4, 0, 16])
    }

    @Test func zeroPaddingWithoutThePBitIsTolerated() throws {
        let it = try #require(decode(hex("8fcd0005fa17fa17000004d2000d0001008ab0002001e400")))
        #expect(deltas(it) == [228])
    }

    @Test func twoBitVectorsAndLargeDeltas() throws {
        // small, large -4, lost, large 300, then three unused symbols.
        let it = try #require(
            decode(hex("8fcd0006 00000001 00000002 ffff0004 00000100 d880 10 fffc 012c 000000"))
        )
        #expect(it.base == 65535)
        #expect(deltas(it) == [16, -4, nil, 300])
        #expect(it.arrivals == [68_000, 67_000, nil, 142_000])
    }

    @Test func everyCutOfTheVectorsIsRefused() {
        for text in [
            "8fcd0007fa17fa1709faff670027000d5fc2f103bf8e100000000000001c0400",
            "8fcd0005fa17fa1739e9423800010002bd57aa0020028c44",
            "8fcd000afa17fa1706f5114c0b6c0016096d91ee20160c141400280000100004000800080008000800040010",
        ] {
            let whole = hex(text)
            #expect(decode(whole) != nil)
            // The last words of the first vector hold deltas and padding; cutting a word breaks each of them.
            for words in 1..<whole.count / 4 {
                var cut = Array(whole.prefix(words * 4))
                cut[3] = UInt8(words - 1)
                cut[2] = 0
                #expect(decode(cut) == nil, "\(text) to \(words)")
            }
        }
    }

    @Test func reservedSymbolsAreRefused() {
        #expect(decode(hex("8fcd0005 00000001 00000002 00010002 00000100 6002 0000")) == nil, "run of 3")
        #expect(decode(hex("8fcd0005 00000001 00000002 00010002 00000100 f000 0000")) == nil, "vector with 3")
        #expect(
            decode(hex("8fcd0005 00000001 00000002 00010001 00000100 c300 0000")) != nil,
            "beyond the count"
        )
    }

    @Test func emptyRunsAreSkipped() throws {
        let it = try #require(decode(hex("8fcd0006 00000001 00000002 00010001 00000100 0000 2001 07000000")))
        #expect(deltas(it) == [7])
    }

    @Test func missedMessagesAreCounted() {
        #expect(TransportFeedbackParser.missedFeedback(previous: 255, current: 0) == 0)
        #expect(TransportFeedbackParser.missedFeedback(previous: 250, current: 3) == 8)
    }
}

@Suite struct TransportFeedbackGeneratorTests {
    /// All messages that are pending.
    private func drain(_ generator: inout TransportFeedbackGenerator) -> [[UInt8]] {
        var messages: [[UInt8]] = []
        while generator.hasPending && messages.count < 1000 {
            messages.append(
                written { p in
                    var writer = RTCPWriter(p, capacity: 1500)
                    let isWritten = generator.write(to: &writer, senderSSRC: 0xA, mediaSSRC: 0xB)
                    #expect(isWritten)
                    return writer.length
                }
            )
        }
        let isDrained = !generator.hasPending
        #expect(isDrained)
        return messages
    }

    private func record(_ generator: inout TransportFeedbackGenerator, _ arrivals: [(UInt16, Int64)]) {
        for (number, time) in arrivals { generator.record(number, at: Instant(microseconds: time)) }
    }

    @Test func messageIsByteForByte() {
        var generator = TransportFeedbackGenerator()
        record(&generator, [(100, 64_000 + 4000), (101, 64_000 + 5000), (103, 64_000 + 4750)])
        let messages = drain(&generator)
        // Base 100, 4 statuses, reference 1; symbols 1 1 0 2; deltas 16, 4, -1.
        #expect(messages == [hex("afcd0006 0000000a 0000000b 00640004 00000100 d480 1004 ffff 0002")])
    }

    @Test func runsOfOneKindAreOneChunk() throws {
        var generator = TransportFeedbackGenerator()
        for number in 0..<500 {
            generator.record(UInt16(number), at: Instant(microseconds: 64_000 + Int64(number) * 250))
        }
        let message = try #require(drain(&generator).first)
        #expect(message[20...21] == hex("21f4")[...], "run-length 500 small")
        #expect(message.count == 4 + (16 + 2 + 500 + 3) / 4 * 4)
    }

    @Test func fourteenMixedAreOneBitVector() throws {
        var generator = TransportFeedbackGenerator()
        for number in stride(from: 0, through: 12, by: 2) {
            generator.record(UInt16(number), at: Instant(microseconds: 64_000))
        }
        generator.record(13, at: Instant(microseconds: 64_000))
        let message = try #require(drain(&generator).first)
        #expect(message[20...21] == hex("aaab")[...])
        #expect(deltas(try #require(decode(message))).compactMap { $0 } == [0, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test func onlyTheFirstArrivalCounts() throws {
        var generator = TransportFeedbackGenerator()
        let results = [
            generator.record(7, at: Instant(microseconds: 1_000_000)),
            generator.record(7, at: Instant(microseconds: 1_040_000)),
        ]
        #expect(results == [true, false])
        let it = try #require(decode(drain(&generator)[0]))
        #expect(it.arrivals == [1_000_000])
        let again = generator.record(7, at: Instant(microseconds: 1_050_000))
        let isPending = generator.hasPending
        #expect(!again && !isPending)
    }

    @Test func latePacketsAreReportedAgainFromThereOn() throws {
        var generator = TransportFeedbackGenerator()
        record(&generator, [(10, 1_000_000), (12, 1_010_000)])
        let first = try #require(decode(drain(&generator)[0]))
        #expect(first.arrivals == [1_000_000, nil, 1_010_000])
        record(&generator, [(13, 1_020_000), (11, 1_030_000)])
        let pending = generator.pendingCount
        #expect(pending == 3)
        let second = try #require(decode(drain(&generator)[0]))
        #expect(second.base == 11 && second.feedbackCount == 1)
        #expect(second.arrivals == [1_030_000, 1_010_000, 1_020_000])
    }

    @Test func theBackWindowIs500Milliseconds() throws {
        var generator = TransportFeedbackGenerator()
        record(&generator, [(10, 1_000_000), (12, 1_010_000), (14, 1_600_000)])
        _ = drain(&generator)
        let tooLate = generator.record(11, at: Instant(microseconds: 1_610_000))
        let isPending = generator.hasPending
        #expect(!tooLate && !isPending)
        let lateEnough = generator.record(13, at: Instant(microseconds: 1_610_000))
        #expect(lateEnough)
        #expect(try #require(decode(drain(&generator)[0])).base == 13)
    }

    @Test func packetsBeforeTheFirstAreTaken() throws {
        var generator = TransportFeedbackGenerator()
        record(&generator, [(0, 1_000_000), (65_535, 1_001_000)])
        let it = try #require(decode(drain(&generator)[0]))
        #expect(it.base == 65_535 && it.arrivals == [1_001_000, 1_000_000])
    }

    @Test func roundingErrorsDoNotAddUp() throws {
        var generator = TransportFeedbackGenerator()
        // 333.3 µs apart: each delta alone is rounded, the sum must not drift.
        for number in 0..<900 {
            generator.record(
                UInt16(number),
                at: Instant(microseconds: 5_000_000 + Int64(number) * 1000 / 3)
            )
        }
        let it = try #require(decode(drain(&generator)[0]))
        for (number, arrival) in it.arrivals.enumerated() {
            let truth = 5_000_000 + Int64(number) * 1000 / 3
            #expect(abs((arrival ?? 0) - truth) <= 125, "\(number)")
        }
    }

    @Test func aRestartedCounterIsFollowed() throws {
        var generator = TransportFeedbackGenerator()
        for number in 30_000..<30_010 {
            generator.record(UInt16(number), at: Instant(microseconds: 1_000_000))
        }
        _ = drain(&generator)
        for number in 0..<80 {
            generator.record(UInt16(number), at: Instant(microseconds: 2_000_000 + Int64(number) * 1000))
        }
        let it = try #require(decode(drain(&generator)[0]))
        #expect(it.base == 63 && it.arrivals.count == 17)
    }

    @Test func aGapBeyondTheMemoryKeepsOnlyItsEnd() throws {
        var generator = TransportFeedbackGenerator(capacity: 256)
        record(&generator, [(0, 1_000_000), (10_000, 1_001_000)])
        let it = try #require(decode(drain(&generator)[0]))
        #expect(it.base == 10_000 - 255 && it.arrivals.count == 256)
        #expect(it.arrivals.compactMap { $0 } == [1_001_000])
    }

    @Test func tooLittleRoomChangesNothing() {
        var generator = TransportFeedbackGenerator()
        record(&generator, [(1, 1_000_000)])
        let bytes = rtcp(capacity: 31) { writer in
            let isWritten = generator.write(to: &writer, senderSSRC: 1, mediaSSRC: 2)
            #expect(!isWritten)
        }
        let isPending = generator.hasPending
        #expect(bytes.isEmpty && isPending)
        let small = rtcp(capacity: 32) { writer in
            let isWritten = generator.write(to: &writer, senderSSRC: 1, mediaSSRC: 2)
            #expect(isWritten)
        }
        #expect(decode(small)?.arrivals == [1_000_000])
    }

    /// Any pattern of loss, reordering, jitter and wraps comes out as it went in.
    @Test(arguments: 0..<60) func everyArrivalIsReported(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var generator = TransportFeedbackGenerator()
        var truth: [UInt16: Int64] = [:]
        var reported: [UInt16: Int64] = [:]
        var lost: Set<UInt16> = []
        var expectedCount: UInt8 = 0
        // The reference time wraps after 2^24 · 64 ms: some runs start right before that.
        var time: Int64 =
            seed % 3 == 0
            ? TransportFeedbackParser.referencePeriod - 300_000
            : Int64.random(in: 0...1 << 40, using: &random)
        let start = UInt16.random(in: 0...65535, using: &random)
        let loss = Double.random(in: 0...0.6, using: &random)
        let jitter = Int64.random(in: 0...40_000, using: &random)
        let step = Int64.random(in: 50...20_000, using: &random)
        var arrivals: [(UInt16, Int64)] = []
        for index in 0..<1500 {
            time += Int64.random(in: 0...step, using: &random)
            if index % 400 == 399 { time += Int64.random(in: 0...9_000_000, using: &random) }
            if Double.random(in: 0..<1, using: &random) < loss { continue }
            arrivals.append((start &+ UInt16(index), time + Int64.random(in: 0...jitter, using: &random)))
        }
        arrivals.sort { $0.1 < $1.1 }
        for (index, (number, arrival)) in arrivals.enumerated() {
            let isTaken = generator.record(number, at: Instant(microseconds: arrival))
            if isTaken { truth[number] = arrival }
            guard index % 97 == 96 || index == arrivals.count - 1 else { continue }
            for message in drain(&generator) {
                #expect(message.count <= 1200)
                let it = try #require(decode(message), "seed \(seed)")
                #expect(it.feedbackCount == expectedCount, "seed \(seed)")
                expectedCount &+= 1
                for (offset, arrival) in it.arrivals.enumerated() {
                    let number = it.base &+ UInt16(offset)
                    guard let arrival else {
                        #expect(truth[number] == nil, "seed \(seed): \(number) was there")
                        lost.insert(number)
                        continue
                    }
                    reported[number] = arrival
                }
            }
        }
        #expect(Set(reported.keys) == Set(truth.keys), "seed \(seed)")
        let period = TransportFeedbackParser.referencePeriod
        for (number, arrival) in truth {
            // Modulo the period, within half a tick.
            var error = ((reported[number] ?? 0) - arrival) % period
            if error > period / 2 { error -= period }
            if error < -period / 2 { error += period }
            // Tick 0 of the period stands for "not received", so an arrival there is told one tick later.
            let isTickZero = abs(arrival % period) <= 125 || abs(arrival % period) >= period - 125
            #expect(abs(error) <= (isTickZero ? 375 : 125), "seed \(seed): \(number)")
        }
        let last = try #require(arrivals.last).0
        #expect(lost.allSatisfy { SequenceNumber.distance(from: $0, to: last) > -1500 })
    }
}
