import RTP
import Testing

@Suite struct H264PayloadTests {
    private func parse(_ text: String) -> H264Payload? { parse(hex(text)) }
    private func parse(_ bytes: [UInt8]) -> H264Payload? {
        withBytes(bytes) { H264Payload.parse($0, length: $1) }
    }

    /// Baseline 128×96, and High 1920×1080 with cropping.
    private let smallSPS = hex("6742000af841a2")
    private let largeSPS = hex("67640028acd940780227e5c05a808080a0000003002000000781e30632c0")

    @Test func singleUnits() throws {
        let sps = try #require(parse(smallSPS))
        #expect(sps.hasSPS && sps.startsFrame && !sps.hasIDR)
        #expect(sps.width == 128 && sps.height == 96)
        let large = try #require(parse(largeSPS))
        #expect(large.width == 1920 && large.height == 1080)
        let idr = try #require(parse("658880"))
        #expect(idr.hasIDR && !idr.hasSPS && idr.startsFrame && !idr.isNonReference)
        let second = try #require(parse("6548"))
        #expect(second.hasIDR && !second.startsFrame, "first_mb_in_slice > 0")
        let disposable = try #require(parse("0188"))
        #expect(disposable.isNonReference && disposable.startsFrame && !disposable.hasIDR)
        #expect(try #require(parse("68ce")).hasPPS)
        #expect(try #require(parse("0910")).startsFrame)
        #expect(try #require(parse("67")).hasSPS, "an SPS of one byte still is one")
    }

    @Test func emulationPreventionIsTakenOut() throws {
        // The level byte and what follows start with 00 00: the size is behind an inserted 03.
        let bytes: [UInt8] = [0x67, 0x42, 0x00, 0x00, 0x03, 0xF8, 0x41, 0xA2]
        let it = try #require(parse(bytes))
        #expect(it.width == 128 && it.height == 96)
    }

    @Test func aggregates() throws {
        let both = hex("78 0007") + smallSPS + hex("0004 68ce3880 0003 658880")
        let it = try #require(parse(both))
        #expect(it.hasSPS && it.hasPPS && it.hasIDR && it.startsFrame && it.width == 128)
        // A cut falls between units or inside one; only the former is a shorter aggregate.
        let whole = [10, 16, both.count]
        for length in 0...both.count {
            #expect((parse(Array(both.prefix(length))) != nil) == whole.contains(length), "\(length)")
        }
        #expect(parse("78 0000") == nil, "empty unit")
        #expect(parse("78") == nil)
    }

    @Test func fragments() throws {
        let start = try #require(parse([0x7C, 0x87] + smallSPS.dropFirst()))
        #expect(start.hasSPS && start.startsFrame && start.width == 128)
        let idr = try #require(parse("7c85 88"))
        #expect(idr.hasIDR && idr.startsFrame && !idr.hasSPS)
        let middle = try #require(parse("7c05 88"))
        #expect(!middle.hasIDR && !middle.startsFrame)
        #expect(!(try #require(parse("7c07 88"))).hasSPS, "not the first fragment")
        #expect(parse("7c85") == nil && parse("7c") == nil)
    }

    @Test func sizesOutOfRangeAreUnknown() throws {
        for cut in 1..<smallSPS.count {
            let it = try #require(parse(Array(smallSPS.prefix(cut))))
            #expect(it.width == 0 && it.height == 0, "\(cut)")
        }
        // ue(v) with 40 leading zeros
        #expect(try #require(parse("67 42000a 0000000000 ff")).width == 0)
    }

    @Test func randomBytesNeverCrash() {
        let corpus = [smallSPS, largeSPS, hex("78 0007") + smallSPS + hex("0004 68ce3880"), hex("7c8588")]
        fuzz(seed: 14, corpus: corpus) { p, count in
            if let it = H264Payload.parse(p, length: count) {
                #expect(it.width <= 16384 && it.height <= 16384)
                #expect((it.width == 0) == (it.height == 0))
            }
        }
    }
}
