// How simulated peers number codecs and header extensions.
import RTP

extension SimulatedPeer {
    public static let extensions: [HeaderExtensionID] = [
        HeaderExtensionID(.audioLevel, id: 1), HeaderExtensionID(.absoluteSendTime, id: 2),
        HeaderExtensionID(.transportSequence, id: 3), HeaderExtensionID(.mid, id: 4),
        HeaderExtensionID(.rid, id: 10), HeaderExtensionID(.repairedRid, id: 11),
        HeaderExtensionID(.playoutDelay, id: 5), HeaderExtensionID(.videoContentType, id: 6),
        HeaderExtensionID(.dependencyDescriptor, id: 8), HeaderExtensionID(.colorSpace, id: 9),
        HeaderExtensionID(.videoLayersAllocation, id: 12), HeaderExtensionID(.videoOrientation, id: 13),
        HeaderExtensionID(.absoluteCaptureTime, id: 14),
    ]
    public static let opus = CodecParameters(
        payloadType: 111,
        name: .opus,
        clockRate: 48_000,
        channels: 2,
        feedback: [.nack, .transportCC]
    )
    public static let red = CodecParameters(
        payloadType: 63,
        name: .red,
        clockRate: 48_000,
        channels: 2,
        formatParameters: "111/111",
        feedback: [.transportCC]
    )
    public static let vp8 = video(.vp8, 96)
    public static let vp9 = video(.vp9, 98, "profile-id=0")
    public static let h264 = video(
        .h264,
        102,
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
    )
    public static let av1 = video(.av1, 45, "level-idx=5;profile=0;tier=0")

    private static func video(_ name: CodecName, _ type: UInt8, _ format: String = "") -> CodecParameters {
        CodecParameters(
            payloadType: type,
            name: name,
            clockRate: 90_000,
            formatParameters: format,
            rtxPayloadType: type + 1,
            feedback: [.nack, .pli, .fir, .transportCC]
        )
    }

    /// How a simulated peer numbers a codec.
    public static func parameters(of name: CodecName) -> CodecParameters {
        switch name {
        case .opus: opus
        case .red: red
        case .vp8: vp8
        case .vp9: vp9
        case .h264: h264
        case .av1: av1
        }
    }
}
