import RTP
import Testing

@Suite struct VP8DescriptorTests {
    /// X, S | I L T K, 15-bit id 0x1234, TL0 0x20, TID 0, KEYIDX 5.
    private let vector = hex("90f092342005")
    /// Tag, start code, 640×360 with scaling bits set.
    private let keyFrame = hex("100200 9d012a 8042 6881")

    private func parse(_ bytes: [UInt8]) -> VP8Descriptor? {
        withBytes(bytes) { VP8Descriptor.parse($0, length: $1) }
    }

    @Test func readsEveryField() throws {
        let it = try #require(parse(vector + keyFrame))
        #expect(it.length == 6)
        #expect(it.startsPartition && it.partition == 0 && it.startsFrame && !it.isNonReference)
        #expect(it.pictureID == 0x1234 && it.pictureIDBits == 15)
        #expect(it.tl0PicIndex == 0x20)
        #expect(it.hasTemporalLayer && it.temporalLayer == 0 && !it.isLayerSync)
        #expect(it.keyIndex == 5)
        #expect(it.isKeyFrameStart)
        #expect(it.width == 640 && it.height == 360)
    }

    @Test func everyCutIsRefused() {
        for length in 0...vector.count { #expect(parse(Array(vector.prefix(length))) == nil, "\(length)") }
        for length in vector.count + 1..<vector.count + 10 {
            let it = parse(Array((vector + keyFrame).prefix(length)))
            #expect(it?.isKeyFrameStart == true && it?.width == 0, "\(length)")
        }
    }

    @Test func patchKeepsWidths() {
        let bytes = withBytes(vector) { p, count in
            #expect(VP8Descriptor.patch(p, length: count, pictureID: 7, tl0PicIndex: 1, keyIndex: 6))
            return (0..<count).map { p[$0] }
        }
        #expect(bytes == hex("90f080070106"))
    }

    @Test func patchTouchesOnlyWhatIsThere() {
        func patch(_ text: String) -> [UInt8] {
            withBytes(hex(text)) { p, count in
                _ = VP8Descriptor.patch(p, length: count, pictureID: 0x7FFF, tl0PicIndex: 0xEE, keyIndex: 31)
                return (0..<count).map { p[$0] }
            }
        }
        #expect(patch("1000") == hex("1000"), "X = 0")
        #expect(patch("908005 00") == hex("90807f 00"), "7-bit id")
        #expect(patch("904005 00") == hex("9040ee 00"), "TL0PICIDX alone")
        #expect(patch("9020a5 00") == hex("9020a5 00"), "T without K")
        #expect(patch("901005 00") == hex("90101f 00"), "K without T")
        #expect(patch("9030e5 00") == hex("9030ff 00"), "T and K")
        #expect(patch("90f09234") == hex("90f09234"), "cut off: untouched")
    }

    @Test func keyFramesNeedTheFirstPartition() throws {
        #expect(try #require(parse(hex("1000"))).isKeyFrameStart)
        #expect(!(try #require(parse(hex("1001"))).isKeyFrameStart), "P bit")
        #expect(!(try #require(parse(hex("0000"))).isKeyFrameStart), "S = 0")
        #expect(!(try #require(parse(hex("1100"))).isKeyFrameStart), "partition 1")
        #expect(try #require(parse(hex("3001"))).isNonReference)
    }

    @Test func temporalLayerAndSync() throws {
        let it = try #require(parse(hex("8020a0 01")))
        #expect(it.temporalLayer == 2 && it.isLayerSync && it.keyIndex == -1 && it.pictureID == -1)
        let bare = try #require(parse(hex("9010ff 01")))
        #expect(!bare.hasTemporalLayer && bare.temporalLayer == 0 && !bare.isLayerSync && bare.keyIndex == 31)
    }

    @Test func writeIsTheInverseOfParse() throws {
        var random = SeededGenerator(seed: 11)
        for iteration in 0..<20_000 {
            // Reserved bits are not kept: clear them.
            var bytes = random.bytes(8)
            bytes[0] &= 0xB7
            bytes[1] &= 0xF0
            if bytes[0] & 0x80 != 0 && bytes[1] & 0xF0 == 0 { continue }
            guard let it = parse(bytes) else { continue }
            let again = written { it.write(to: $0) }
            let parsed = try #require(parse(again + [bytes[it.length], 0, 0, 0, 0, 0, 0]))
            #expect(parsed.pictureID == it.pictureID && parsed.tl0PicIndex == it.tl0PicIndex, "\(iteration)")
            #expect(parsed.keyIndex == it.keyIndex && parsed.length == it.length, "\(iteration)")
            #expect(parsed.temporalLayer == it.temporalLayer && parsed.isLayerSync == it.isLayerSync)
            #expect(parsed.isKeyFrameStart == it.isKeyFrameStart, "\(iteration)")
        }
    }

    @Test func widensAPictureID() throws {
        var it = try #require(parse(hex("90f0 7f 20 05 00")))
        #expect(it.pictureIDBits == 7 && it.pictureID == 127)
        it.pictureIDBits = 15
        it.pictureID = 128
        #expect(written { it.write(to: $0) } == hex("90f080802005"))
    }

    @Test func randomBytesNeverCrash() {
        fuzz(seed: 12, maxLength: 16, corpus: [vector + keyFrame, hex("908005 00")]) { p, count in
            if let it = VP8Descriptor.parse(p, length: count) {
                #expect(it.length < count)
                #expect(it.pictureID >= -1 && it.pictureID <= 0x7FFF && it.temporalLayer < 4)
                #expect(VP8Descriptor.patch(p, length: count, pictureID: 1, tl0PicIndex: 2, keyIndex: 3))
                #expect(VP8Descriptor.parse(p, length: count)?.length == it.length)
            } else {
                VP8Descriptor.patch(p, length: count, pictureID: 1, tl0PicIndex: 2, keyIndex: 3)
            }
        }
    }
}
