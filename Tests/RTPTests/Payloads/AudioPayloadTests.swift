import RTP
import Testing

@Suite struct OpusPayloadTests {
    private func parse(_ text: String) -> OpusPayload? {
        withBytes(hex(text)) { OpusPayload.parse($0, length: $1) }
    }

    @Test func durationsOfEveryConfiguration() throws {
        let silk: [UInt16] = [480, 960, 1920, 2880]
        let celt: [UInt16] = [120, 240, 480, 960]
        for configuration in 0..<32 {
            let toc = UInt8(configuration << 3)
            let expected =
                configuration < 12
                ? silk[configuration % 4]
                : configuration < 16 ? silk[configuration % 2] : celt[configuration % 4]
            let it = try #require(withBytes([toc, 0, 0]) { OpusPayload.parse($0, length: $1) })
            #expect(it.duration == expected && it.frameCount == 1 && !it.isStereo, "\(configuration)")
        }
    }

    @Test func frameCountCodes() throws {
        #expect(try #require(parse("79 0000")).duration == 1920, "two frames, hybrid 20 ms")
        #expect(try #require(parse("7e 0000")).isStereo)
        let three = try #require(parse("fb 03 00"))
        #expect(three.frameCount == 3 && three.duration == 2880)
        #expect(parse("fb") == nil && parse("fb 00 00") == nil)
        #expect(parse("1b 03 00") == nil, "180 ms")
        #expect(parse("1b 3f 00") == nil)
        #expect(try #require(parse("83 30 00")).duration == 5760)
        #expect(parse("") == nil)
    }

    @Test func silenceIsDTX_mediasoup1357() throws {
        #expect(try #require(parse("f8")).isDTX)
        #expect(try #require(parse("f8ff")).isDTX)
        #expect(!(try #require(parse("f8fffe")).isDTX), "the silence frame of three bytes is sound")
    }

    @Test func randomBytesNeverCrash() {
        fuzz(seed: 15, maxLength: 4, corpus: []) { p, count in
            if let it = OpusPayload.parse(p, length: count) {
                #expect(it.duration >= 120 && it.duration <= 5760)
            }
        }
    }
}

@Suite struct REDPayloadTests {
    /// PT 111: -1920 of 50 bytes, -960 of 48, the primary of 3.
    private let headers = hex("ef1e0032 ef0f0030 6f")
    private var payload: [UInt8] {
        headers + [UInt8](repeating: 1, count: 50) + [UInt8](repeating: 2, count: 48) + [3, 3, 3]
    }

    @Test func walksBlocks() {
        let blocks = withBytes(payload) { p, count -> [REDBlock] in
            guard var walk = REDPayload(p, length: count) else { return [] }
            #expect(walk.blockCount == 3)
            var found: [REDBlock] = []
            while let block = walk.next() { found.append(block) }
            #expect(found.last == walk.primary)
            return found
        }
        #expect(
            blocks == [
                REDBlock(payloadType: 111, timestampOffset: 1920, offset: 9, length: 50, isPrimary: false),
                REDBlock(payloadType: 111, timestampOffset: 960, offset: 59, length: 48, isPrimary: false),
                REDBlock(payloadType: 111, timestampOffset: 0, offset: 107, length: 3, isPrimary: true),
            ]
        )
    }

    @Test func headersAreWrittenAsTheyAreRead() {
        let bytes = written { p in
            let first = REDPayload.writeHeader(p, payloadType: 111, timestampOffset: 1920, length: 50)
            let second = REDPayload.writeHeader(p + 4, payloadType: 111, timestampOffset: 960, length: 48)
            #expect(first && second)
            #expect(!REDPayload.writeHeader(p, payloadType: 111, timestampOffset: 16384, length: 1))
            #expect(!REDPayload.writeHeader(p, payloadType: 111, timestampOffset: 1, length: 1024))
            p[8] = 111
            return 9
        }
        #expect(bytes == headers)
    }

    @Test func primaryAloneIsOneBlock() {
        withBytes(hex("6f 0102")) { p, count in
            let primary = REDPayload(p, length: count)?.primary
            #expect(
                primary
                    == REDBlock(payloadType: 111, timestampOffset: 0, offset: 1, length: 2, isPrimary: true)
            )
        }
    }

    @Test func everyCutIsRefused() {
        // Cutting the primary shortens it, cutting more is an error.
        for length in 0..<payload.count {
            let isWhole = withBytes(Array(payload.prefix(length))) { REDPayload($0, length: $1) != nil }
            #expect(isWhole == (length > 107), "\(length)")
        }
    }

    @Test func payloadTypesAreRewritten() {
        withBytes(payload) { p, count in
            #expect(REDPayload.rewritePayloadTypes(p, length: count, to: 45))
            #expect((0..<9).map { p[$0] } == hex("ad1e0032 ad0f0030 2d"))
            #expect(p[9] == 1 && p[107] == 3)
        }
        withBytes(Array(payload.prefix(60))) { p, count in
            #expect(!REDPayload.rewritePayloadTypes(p, length: count, to: 45))
            #expect(p[0] == 0xEF)
        }
    }

    @Test func randomBytesNeverLeaveThePayload() {
        fuzz(seed: 16, maxLength: 160, corpus: [payload]) { p, count in
            guard var walk = REDPayload(p, length: count) else { return }
            var blocks = 0
            while let block = walk.next() {
                #expect(block.offset + block.length <= count)
                blocks += 1
            }
            #expect(blocks == walk.blockCount)
        }
    }
}

@Suite struct RTXPayloadTests {
    @Test func originalSequenceIsTheFirstTwoBytes() {
        #expect(withBytes(hex("123456")) { RTXPayload.originalSequence($0, length: $1) } == 0x1234)
        #expect(withBytes(hex("12")) { RTXPayload.originalSequence($0, length: $1) } == nil)
        #expect(
            written {
                RTXPayload.writeOriginalSequence(0x1234, to: $0)
                return 2
            } == hex("1234")
        )
    }

    @Test func restoresTheOriginalPacket() {
        let rtx = hex("b0e10005 00000064 0000aaaa bede0001 10310000 1234 a1a2a3")
        let original = withBytes(rtx) { p, count -> [UInt8] in
            let length = RTXPayload.restore(
                p,
                length: count,
                headerLength: 20,
                payloadType: 96,
                ssrc: 0x0000_BBBB
            )
            return (0..<(length ?? 0)).map { p[$0] }
        }
        #expect(original == hex("90e01234 00000064 0000bbbb bede0001 10310000 a1a2a3"))
        withBytes(Array(rtx.prefix(22))) { p, count in
            #expect(
                RTXPayload.restore(p, length: count, headerLength: 20, payloadType: 96, ssrc: 1) == nil
            )
        }
    }
}
