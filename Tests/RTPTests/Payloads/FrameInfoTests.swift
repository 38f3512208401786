import RTP
import Testing

@Suite struct FrameInfoTests {
    private func parse(_ codec: CodecName, _ text: String) -> FrameInfo? {
        withBytes(hex(text)) { FrameInfo.parse(codec: codec, $0, length: $1) }
    }

    @Test func vp8() throws {
        let it = try #require(parse(.vp8, "90f092342025 100200 9d012a 8002 6801"))
        #expect(it.isKeyFrameStart && it.startsFrame && it.isLayerSync && !it.isInterPredicted)
        #expect(
            it.pictureID == 0x1234 && it.pictureIDBits == 15 && it.tl0PicIndex == 0x20 && it.keyIndex == 5
        )
        #expect(it.width == 640 && it.height == 360 && it.descriptorLength == 6)
    }

    @Test func vp9() throws {
        let it = try #require(parse(.vp9, "ac 8123 36 05 99"))
        #expect(it.spatialLayer == 3 && it.temporalLayer == 1 && it.isLayerSync)
        #expect(it.startsFrame && it.endsFrame && !it.isKeyFrameStart && it.tl0PicIndex == 5)
        #expect(it.keyIndex == -1 && it.descriptorLength == 5)
    }

    @Test func h264() throws {
        #expect(try #require(parse(.h264, "6742000af841a2")).isKeyFrameStart)
        #expect(!(try #require(parse(.h264, "658880")).isKeyFrameStart), "an IDR alone is no switch point")
        #expect(parse(.h264, "") == nil)
    }

    @Test func av1() throws {
        let key = try #require(parse(.av1, "18 0a"))
        #expect(key.isKeyFrameStart && key.startsFrame && key.descriptorLength == 1)
        let more = try #require(parse(.av1, "90 0a"))
        #expect(!more.isKeyFrameStart && !more.startsFrame)
        #expect(parse(.av1, "88 0a") == nil, "Z and N exclude each other")
        #expect(parse(.av1, "18") == nil)
        let header = try #require(withBytes(hex("7000")) { AV1AggregationHeader.parse($0, length: $1) })
        #expect(header.isContinued && header.elementCount == 3 && !header.continuesOBU)
    }

    @Test func audioIsAlwaysASwitchPoint() throws {
        for codec in [CodecName.opus, .red] {
            let it = try #require(parse(codec, "f8"))
            #expect(it.isKeyFrameStart && it.startsFrame && it.pictureID == -1)
            #expect(parse(codec, "") == nil)
        }
    }

    @Test(arguments: CodecName.allCases) func randomBytesNeverCrash(codec: CodecName) {
        fuzz(seed: 17, maxLength: 48, corpus: []) { p, count in
            if let it = FrameInfo.parse(codec: codec, p, length: count) {
                #expect(Int(it.descriptorLength) < count)
            }
        }
    }
}
