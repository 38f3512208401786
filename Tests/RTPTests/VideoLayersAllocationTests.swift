import RTP
import Testing

@Suite struct VideoLayersAllocationTests {
    /// Three streams L1T3 with resolutions, 720p at the top.
    private let vector = hex(
        "21 a8 3c 5a9601 c801ac02f403 e807dc0bc413 013f00b31e 027f01671e 04ff02cf1e"
    )

    private func parse(_ bytes: [UInt8]) -> VideoLayersAllocation? {
        withBytes(bytes) { VideoLayersAllocation.parse($0, length: $1) }
    }

    @Test func threeSimulcastStreams() throws {
        let it = try #require(parse(vector))
        #expect(it.streamIndex == 0 && it.streamCount == 3 && it.hasResolutions)
        let expected: [[UInt32]] = [[60, 90, 150], [200, 300, 500], [1000, 1500, 2500]]
        for stream in 0..<3 {
            #expect(it.temporalLayerCount(stream: stream, spatialLayer: 0) == 3)
            #expect(it.temporalLayerCount(stream: stream, spatialLayer: 1) == 0)
            for layer in 0..<3 {
                #expect(
                    it.bitrate(stream: stream, spatialLayer: 0, temporalLayer: layer)
                        == expected[stream][layer]
                )
            }
            #expect(it.width(stream: stream, spatialLayer: 0) == [320, 640, 1280][stream])
            #expect(it.height(stream: stream, spatialLayer: 0) == [180, 360, 720][stream])
            #expect(it.frameRate(stream: stream, spatialLayer: 0) == 30)
        }
        #expect(it.bitrate(stream: 3, spatialLayer: 0, temporalLayer: 0) == 0)
        #expect(it.bitrate(stream: -1, spatialLayer: 9, temporalLayer: 9) == 0)
    }

    @Test func everyCutIsRefusedExceptWithoutResolutions() {
        // Behind the bit rates, byte 18, the resolutions may be missing as a whole.
        let withoutResolutions = vector.count - 15
        for length in 0..<vector.count {
            #expect(
                (parse(Array(vector.prefix(length))) != nil) == (length == withoutResolutions),
                "\(length)"
            )
        }
    }

    @Test func spatialLayersDifferPerStream() throws {
        // Stream 1 of 2; masks 0011 and 0001; T counts 2, 1, 3; kbps 10 20, 300, 1 2 3.
        let it = try #require(parse(hex("50 31 48 0a14 ac02 010203")))
        #expect(it.streamIndex == 1 && it.streamCount == 2 && !it.hasResolutions)
        #expect(it.temporalLayerCount(stream: 0, spatialLayer: 0) == 2)
        #expect(it.temporalLayerCount(stream: 0, spatialLayer: 1) == 1)
        #expect(it.temporalLayerCount(stream: 1, spatialLayer: 0) == 3)
        #expect(it.bitrate(stream: 0, spatialLayer: 0, temporalLayer: 1) == 20)
        #expect(it.bitrate(stream: 0, spatialLayer: 1, temporalLayer: 0) == 300)
        #expect(it.bitrate(stream: 1, spatialLayer: 0, temporalLayer: 2) == 3)
    }

    @Test func nothingIsSent() throws {
        let it = try #require(parse([0]))
        #expect(it.streamCount == 1 && it.temporalLayerCount(stream: 0, spatialLayer: 0) == 0)
    }

    @Test func numbersTooLongAreRefused() {
        #expect(parse(hex("01 00 ffffffffff01")) == nil)
        #expect(parse(hex("01 00 ffffffff7f")) == nil)
        #expect(parse(hex("01 00 ffffffff0f")) != nil)
    }

    @Test func randomBytesNeverCrash() {
        fuzz(seed: 51, corpus: [vector, hex("50 31 48 0a14 ac02 010203")]) { p, count in
            if let it = VideoLayersAllocation.parse(p, length: count) {
                #expect((1...4).contains(it.streamCount))
            }
        }
    }
}
