import RTP
import Testing

@Suite struct CodecMatchingTests {
    private func h264(_ level: String?, mode: String? = "1") -> CodecParameters {
        var parameters = ["level-asymmetry-allowed=1"]
        if let mode { parameters.append("packetization-mode=\(mode)") }
        if let level { parameters.append(" Profile-Level-ID = \(level) ") }
        return CodecParameters(
            payloadType: 102,
            name: .h264,
            clockRate: 90_000,
            formatParameters: parameters.joined(separator: ";")
        )
    }

    private func codec(_ name: CodecName, _ parameters: String = "", type: UInt8 = 96) -> CodecParameters {
        CodecParameters(
            payloadType: type,
            name: name,
            clockRate: name.kind == .audio ? 48_000 : 90_000,
            channels: name.kind == .audio ? 2 : 1,
            formatParameters: parameters
        )
    }

    /// RFC 6184 §8.1, table 5
    @Test(
        arguments: [
            ("42e01f", .constrainedBaseline), ("42C02A", .constrainedBaseline),
            ("4d801f", .constrainedBaseline),
            ("58c01f", .constrainedBaseline), ("42001f", .baseline), ("42801f", .baseline),
            ("58801f", .baseline),
            ("4d001f", .main), ("4D401F", .main), ("64001f", .high), ("640c1f", .constrainedHigh),
            ("58001f", nil), ("6e001f", nil), ("f4001f", nil), ("", nil), ("42e01", nil), ("42e01f0", nil),
            ("+2e01f", nil),
            ("zzzzzz", nil),
        ] as [(String, H264Profile?)]
    )
    func profiles(text: String, expected: H264Profile?) {
        #expect(H264Profile(profileLevelID: text[...]) == expected)
    }

    @Test func defaultsOfH264() {
        #expect(h264(nil).h264Profile == .constrainedBaseline)
        #expect(h264("42e01f", mode: nil).formatParameter("packetization-mode") == nil)
        #expect(isCompatible(h264(nil, mode: nil), h264("42e034", mode: "0")))
        #expect(codec(.vp8).h264Profile == nil)
    }

    @Test func sameCodecOfTwoPeers() {
        #expect(isCompatible(codec(.vp8, type: 96), codec(.vp8, "max-fs=12288", type: 120)))
        #expect(isCompatible(codec(.opus, "stereo=1"), codec(.opus, "usedtx=1")))
        #expect(!isCompatible(codec(.vp8), codec(.vp9)))
        #expect(isCompatible(codec(.vp9), codec(.vp9, "profile-id=0")))
        #expect(!isCompatible(codec(.vp9), codec(.vp9, "profile-id=2")))
        #expect(isCompatible(codec(.av1, "level-idx=5;profile=0;tier=0"), codec(.av1)))
        #expect(!isCompatible(codec(.av1, "profile=1"), codec(.av1)))
        var mono = codec(.opus)
        mono.channels = 1
        #expect(!isCompatible(mono, codec(.opus)))
        var fast = codec(.vp8)
        fast.clockRate = 48_000
        #expect(!isCompatible(fast, codec(.vp8)))
    }

    @Test func sameH264OfTwoPeers() {
        #expect(isCompatible(h264("42e01f"), h264("42e034")))
        #expect(!isCompatible(h264("42e01f"), h264("42001f")))
        #expect(!isCompatible(h264("42e01f"), h264("42e01f", mode: "0")))
        #expect(!isCompatible(h264("f4001f"), h264("f4001f")))
    }

    @Test func decodersTakeMoreThanTheyName() {
        #expect(isDecodable(h264("42e01f"), by: h264("64001f")))
        #expect(isDecodable(h264("42001f"), by: h264("42e01f")))
        #expect(isDecodable(h264("4d001f"), by: h264("64001f")))
        #expect(isDecodable(h264("640c1f"), by: h264("64001f")))
        #expect(!isDecodable(h264("64001f"), by: h264("640c1f")))
        #expect(!isDecodable(h264("64001f"), by: h264("42e01f")))
        #expect(!isDecodable(h264("4d001f"), by: h264("42e01f")))
        #expect(isDecodable(h264("42e01f", mode: "0"), by: h264("42e01f", mode: "1")))
        #expect(!isDecodable(h264("42e01f", mode: "1"), by: h264("42e01f", mode: "0")))
        #expect(isDecodable(codec(.vp8), by: codec(.vp8)))
        #expect(!isDecodable(codec(.vp8), by: h264("42e01f")))
    }

    @Test func parametersAreFoundWithoutCaseAndBlanks() {
        let codec = codec(.opus, "minptime=10; useinbandfec = 1 ;STEREO=1;flag")
        #expect(codec.formatParameter("minptime") == "10")
        #expect(codec.formatParameter("useinbandfec") == "1")
        #expect(codec.formatParameter("stereo") == "1")
        #expect(codec.formatParameter("flag") == nil)
        #expect(codec.formatParameter("min") == nil)
    }
}
