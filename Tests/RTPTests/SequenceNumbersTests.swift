import RTP
import Testing

@Suite struct SequenceNumbersTests {
    @Test func comparesAcrossTheWrap() {
        #expect(SequenceNumber.isNewer(0, than: 65535))
        #expect(!SequenceNumber.isNewer(65535, than: 0))
        #expect(!SequenceNumber.isNewer(7, than: 7))
        #expect(SequenceNumber.isNewer(32767, than: 0))
        #expect(!SequenceNumber.isNewer(32768, than: 0))
        #expect(SequenceNumber.distance(from: 65530, to: 4) == 10)
        #expect(SequenceNumber.distance(from: 4, to: 65530) == -10)
        #expect(RTPTimestamp.isNewer(5, than: 0xFFFF_FFF0))
        #expect(RTPTimestamp.distance(from: 0xFFFF_FFF0, to: 16) == 32)
    }

    @Test func unwrapsOverManyCycles() {
        var unwrapper = SequenceUnwrapper()
        var truth: Int64 = 65_000
        let value1 = unwrapper.unwrap(UInt16(truth))
        #expect(value1 == truth)
        var random = SeededGenerator(seed: 7)
        for _ in 0..<20_000 {
            truth += Int64.random(in: 1...300, using: &random)
            let value2 = unwrapper.unwrap(UInt16(truncatingIfNeeded: truth))
            #expect(value2 == truth)
            let late = truth - Int64.random(in: 0...3000, using: &random)
            let value3 = unwrapper.unwrap(UInt16(truncatingIfNeeded: late))
            #expect(value3 == late)
            #expect(unwrapper.highest == truth)
        }
    }

    @Test func whatCameBeforeTheFirstIsNegative() {
        var unwrapper = SequenceUnwrapper()
        #expect(unwrapper.peek(5) == 5)
        #expect(!unwrapper.isStarted)
        let value4 = unwrapper.unwrap(1)
        #expect(value4 == 1)
        let value5 = unwrapper.unwrap(65535)
        #expect(value5 == -1)
        #expect(unwrapper.peek(2) == 2)
        #expect(unwrapper.highest == 1)
    }

    @Test func timestampsUnwrapToo() {
        var unwrapper = TimestampUnwrapper()
        let value6 = unwrapper.unwrap(0xFFFF_FFFF)
        #expect(value6 == 0xFFFF_FFFF)
        let value7 = unwrapper.unwrap(1)
        #expect(value7 == 0x1_0000_0001)
        let value8 = unwrapper.unwrap(0xFFFF_FFF0)
        #expect(value8 == 0xFFFF_FFF0)
        #expect(unwrapper.highest == 0x1_0000_0001)
    }
}
