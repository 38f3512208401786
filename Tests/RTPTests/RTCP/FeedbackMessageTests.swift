import RTP
import Testing

@Suite struct FeedbackMessageTests {
    private func nack(_ sequences: [UInt16], capacity: Int = 1500) -> (bytes: [UInt8], taken: Int) {
        var taken = 0
        let bytes = rtcp(capacity: capacity) { writer in
            let p = UnsafeMutablePointer<UInt16>.allocate(capacity: sequences.count)
            defer { p.deallocate() }
            for (index, value) in sequences.enumerated() { (p + index).initialize(to: value) }
            taken = writer.appendNACK(sender: 1, media: 2, p, count: sequences.count)
        }
        return (bytes, taken)
    }

    private func sequences(_ bytes: [UInt8]) -> [UInt16]? {
        withBlock(bytes) { block -> [UInt16]? in
            guard var it = GenericNACK(block) else { return nil }
            #expect(it.senderSSRC == 1 && it.mediaSSRC == 2)
            var found: [UInt16] = []
            while let next = it.next() { found.append(next) }
            return found
        }
    }

    @Test func nackVector() {
        let result = nack([100, 101, 116, 117])
        #expect(result.bytes == hex("81cd0004 00000001 00000002 00648001 00750000"))
        #expect(result.taken == 4)
        #expect(sequences(result.bytes) == [100, 101, 116, 117])
    }

    @Test func nackRoundTripsOverTheWrap() {
        var random = SeededGenerator(seed: 31)
        for iteration in 0..<2000 {
            var next = UInt16.random(in: 0...65535, using: &random)
            let wanted = (0..<Int.random(in: 1...200, using: &random)).map { _ -> UInt16 in
                next &+= UInt16.random(in: 1...40, using: &random)
                return next
            }
            let result = nack(wanted)
            #expect(result.taken == wanted.count, "seed 31, \(iteration)")
            #expect(sequences(result.bytes) == wanted, "seed 31, \(iteration)")
        }
    }

    @Test func nackTakesWhatFits() {
        let wanted = (0..<10).map { UInt16($0 * 100) }
        let result = nack(wanted, capacity: 12 + 3 * 4)
        #expect(result.taken == 3)
        #expect(sequences(result.bytes) == [0, 100, 200])
        #expect(nack(wanted, capacity: 12).bytes.isEmpty)
        #expect(nack(wanted, capacity: 11).taken == 0)
        #expect(nack([]).bytes.isEmpty)
        #expect(
            nack([5, 5, 6]).bytes == hex("81cd0003 00000001 00000002 00050001"),
            "a repeat costs nothing"
        )
    }

    @Test func nackWithoutItemsIsRefused() {
        #expect(sequences(hex("81cd0002 00000001 00000002")) == nil)
        #expect(sequences(hex("82cd0003 00000001 00000002 00640000")) == nil, "another format")
    }

    @Test func pictureLoss() {
        let bytes = rtcp { $0.appendPLI(sender: 0x11, media: 0x22) }
        #expect(bytes == hex("81ce0002 00000011 00000022"))
        let media = withBlock(bytes) { PictureLossIndication($0)?.mediaSSRC }
        #expect(media == 0x22)
        #expect(withBlock(hex("81ce0001 00000011")) { PictureLossIndication($0) } == nil)
    }

    @Test func fullIntraRequest() {
        let bytes = rtcp { $0.appendFIR(sender: 0x11, media: 0x22, sequence: 7) }
        #expect(bytes == hex("84ce0004 00000011 00000000 00000022 07000000"))
        let item = withBlock(bytes) { block -> FullIntraRequest.Item? in
            guard var it = FullIntraRequest(block) else { return nil }
            let first = it.next()
            #expect(it.next() == nil)
            return first
        }
        #expect(item == FullIntraRequest.Item(ssrc: 0x22, sequence: 7))
        #expect(withBlock(hex("84ce0002 00000011 00000000")) { FullIntraRequest($0)?.senderSSRC } == nil)
    }

    private func remb(_ bitrate: UInt64, _ sources: [UInt32]) -> [UInt8] {
        rtcp { writer in
            let p = UnsafeMutablePointer<UInt32>.allocate(capacity: sources.count)
            defer { p.deallocate() }
            for (index, value) in sources.enumerated() { (p + index).initialize(to: value) }
            writer.appendREMB(sender: 1, bitrate: bitrate, p, count: sources.count)
        }
    }

    @Test func estimateVector() {
        let bytes = remb(2_500_000, [0x1122_3344])
        #expect(bytes == hex("8fce0005 00000001 00000000 52454d42 0112625a 11223344"))
        let read = withBlock(bytes) { block -> UInt64? in
            guard var it = ReceiverEstimatedBitrate(block) else { return nil }
            let source = it.next()
            #expect(source == 0x1122_3344)
            return it.bitrate
        }
        #expect(read == 2_500_000)
    }

    @Test func estimatesKeep18Bits() {
        for bitrate: UInt64 in [0, 1, 262_143, 262_144, 262_145, 1_000_000_007, 1 << 40, .max] {
            let read = withBlock(remb(bitrate, [])) { ReceiverEstimatedBitrate($0)?.bitrate }
            let shift = UInt64(max(0, 64 - bitrate.leadingZeroBitCount - 18))
            #expect(read == (bitrate >> shift) << shift, "\(bitrate)")
        }
        let absurd = withBlock(hex("8fce0004 00000001 00000000 52454d42 00ffffff")) {
            ReceiverEstimatedBitrate($0)?.bitrate
        }
        #expect(absurd == .max)
    }

    @Test func estimateCountsThatLieAreRefused() {
        let lie = hex("8fce0005 00000001 00000000 52454d42 0212625a 11223344")
        #expect(withBlock(lie) { ReceiverEstimatedBitrate($0)?.bitrate } == nil)
        let other = hex("8fce0005 00000001 00000000 52454d43 0112625a 11223344")
        #expect(withBlock(other) { ReceiverEstimatedBitrate($0)?.bitrate } == nil)
    }
}
