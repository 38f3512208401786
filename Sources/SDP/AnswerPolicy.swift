// What we are willing to answer. A value that the gateway fills from its configuration, the token and the
// endpoint.
import RTP

public struct AnswerPolicy: Sendable, Hashable {
    /// Accepted video codecs, preferred first.
    public var videoCodecs: [CodecName]
    /// Accepted audio codecs, preferred first. Where the peer sends, its own order counts: RED before Opus says
    /// that it wants to send redundancy.
    public var audioCodecs: [CodecName]
    /// By mid: the accepted codec that the peer itself wants to send there, before all others.
    public var wantedCodecs: [String: CodecName]
    /// Kinds that the peer may send.
    public var publish: Set<MediaKind>
    /// Kinds that the peer may receive.
    public var receive: Set<MediaKind>
    public var acceptsSimulcast: Bool
    /// Header extensions that are accepted where they are offered.
    public var extensions: Set<HeaderExtension>
    /// All or nothing, as WHIP demands (RFC 9725): an m-section that cannot be accepted, and that the peer
    /// has not stopped itself, fails the offer.
    public var requiresEverySection: Bool

    public init(
        videoCodecs: [CodecName] = [.vp8, .vp9, .h264, .av1],
        audioCodecs: [CodecName] = [.opus, .red],
        wantedCodecs: [String: CodecName] = [:],
        publish: Set<MediaKind> = [.audio, .video],
        receive: Set<MediaKind> = [.audio, .video],
        acceptsSimulcast: Bool = true,
        extensions: Set<HeaderExtension> = Set(HeaderExtension.allCases),
        requiresEverySection: Bool = false
    ) {
        self.videoCodecs = videoCodecs
        self.audioCodecs = audioCodecs
        self.wantedCodecs = wantedCodecs
        self.publish = publish
        self.receive = receive
        self.acceptsSimulcast = acceptsSimulcast
        self.extensions = extensions
        self.requiresEverySection = requiresEverySection
    }

    func codecs(of kind: MediaKind) -> [CodecName] {
        switch kind {
        case .audio: audioCodecs
        case .video: videoCodecs
        }
    }
}
