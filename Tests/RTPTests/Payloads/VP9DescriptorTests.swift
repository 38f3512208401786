import RTP
import Testing

@Suite struct VP9DescriptorTests {
    private func parse(_ text: String) -> VP9Descriptor? { parse(hex(text)) }
    private func parse(_ bytes: [UInt8]) -> VP9Descriptor? {
        withBytes(bytes) { VP9Descriptor.parse($0, length: $1) }
    }

    /// I L B V, 15-bit id, TID 0 U SID 0, TL0 5, three spatial layers with sizes, a group of two pictures.
    private let structured = hex(
        "aa 8123 10 05 58 0140 00b4 0280 0168 0500 02d0 02 01 48 ff 30 04 01 00"
    )

    @Test func nonFlexibleKeyFrameWithStructure() throws {
        // G pictures: 0x04 = TID 0, R 1, P_DIFF 1; 0x30 is TID 1, U, no reference.
        let bytes = hex("aa 8123 10 05 58 014000b4 02800168 050002d0 02 0401 30 99")
        let it = try #require(parse(bytes))
        #expect(it.length == bytes.count - 1)
        #expect(it.pictureID == 0x123 && it.pictureIDBits == 15)
        #expect(!it.isInterPredicted && !it.isFlexible && it.startsFrame && !it.endsFrame)
        #expect(it.hasLayerIndices && it.temporalLayer == 0 && it.spatialLayer == 0 && it.isSwitchingUpPoint)
        #expect(it.tl0PicIndex == 5)
        #expect(it.spatialLayerCount == 3 && it.hasResolutions)
        #expect(it.widths[0] == 320 && it.heights[0] == 180)
        #expect(it.topWidth == 1280 && it.topHeight == 720)
        #expect(it.pictureGroupLength == 2 && it.pictureGroupMaxTemporalLayer == 1)
        #expect(it.isKeyFrameStart)
        for length in 0..<bytes.count { #expect(parse(Array(bytes.prefix(length))) == nil, "\(length)") }
    }

    @Test func flexibleModeReadsUpToThreeDifferences() throws {
        // I P L F B E, 7-bit id, TID 2, SID 1, D; P_DIFFs 1, 2, 3.
        let it = try #require(parse("fc 45 43 03 05 06 00"))
        #expect(it.isFlexible && it.isInterPredicted && it.startsFrame && it.endsFrame)
        #expect(it.pictureID == 0x45 && it.pictureIDBits == 7)
        #expect(it.temporalLayer == 2 && it.spatialLayer == 1 && it.isInterLayerPredicted)
        #expect(it.tl0PicIndex == -1, "flexible mode has none")
        #expect(it.referenceCount == 3)
        #expect(it.references[0] == 1 && it.references[1] == 2 && it.references[2] == 3)
        #expect(it.length == 6)
        #expect(!it.isKeyFrameStart)
        #expect(parse("fc 45 43 03 05 07 09 00") == nil, "a fourth difference")
        #expect(parse("fc 45 43 03") == nil, "another one was promised")
    }

    @Test func keyFrameRule() throws {
        #expect(try #require(parse("0800")).isKeyFrameStart, "no layers")
        #expect(!(try #require(parse("0000")).isKeyFrameStart), "B = 0")
        #expect(!(try #require(parse("4800")).isKeyFrameStart), "P = 1")
        #expect(!(try #require(parse("28 02 00 00")).isKeyFrameStart), "SID 1")
        #expect(!(try #require(parse("28 01 00 00")).isKeyFrameStart), "D = 1")
        #expect(try #require(parse("0900")).isNotReferenceForUpperLayers)
    }

    @Test func patchKeepsWidths() {
        func patch(_ text: String) -> [UInt8] {
            withBytes(hex(text)) { p, count in
                VP9Descriptor.patch(p, length: count, pictureID: 0x1FF, tl0PicIndex: 0xEE)
                return (0..<count).map { p[$0] }
            }
        }
        #expect(patch("a8 8123 10 05 77") == hex("a8 81ff 10 ee 77"))
        #expect(patch("a8 23 10 05 77") == hex("a8 7f 10 ee 77"))
        #expect(patch("b8 23 10 05 77") == hex("b8 7f 10 05 77"), "flexible: no TL0PICIDX")
        #expect(patch("28 10 05 77") == hex("28 10 ee 77"))
        #expect(patch("0805") == hex("0805"))
        #expect(patch("a8 8123 10") == hex("a8 8123 10"), "cut off: untouched")
    }

    @Test func randomBytesNeverCrash() {
        fuzz(seed: 13, maxLength: 80, corpus: [structured, hex("fc 45 43 03 05 06 00")]) { p, count in
            if let it = VP9Descriptor.parse(p, length: count) {
                #expect(it.length < count && it.spatialLayer < 8 && it.temporalLayer < 8)
            }
            VP9Descriptor.patch(p, length: count, pictureID: 1, tl0PicIndex: 2)
        }
    }
}
