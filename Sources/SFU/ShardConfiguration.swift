// What a shard is told once, when its worker makes it.
import PeerTransport
import RTP

/// Randomness as the caller wants it: the system's in production, a seeded one on virtual time.
public struct RandomSource: RandomNumberGenerator {
    private let source: () -> UInt64

    public init(_ source: @escaping () -> UInt64) { self.source = source }

    /// The same numbers for the same seed (SplitMix64); never for production.
    public static func seeded(_ seed: UInt64) -> RandomSource {
        var state = seed
        return RandomSource {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }

    public static var system: RandomSource {
        RandomSource {
            var generator = SystemRandomNumberGenerator()
            return generator.next()
        }
    }

    public mutating func next() -> UInt64 { source() }
}

public struct ShardConfiguration: Sendable {
    /// This shard's number; it is written into the ICE username fragments that it gives out.
    public var worker: Int
    public var certificate: DTLSCertificate
    /// What every answer offers to peers.
    public var candidates: [Candidate]
    /// Names this run of the media plane; a gateway that sees another one knows that all sessions are gone.
    public var epoch: String
    /// NTP time (RFC 5905 64-bit format) at `Instant.zero`.
    public var ntpAtZero: UInt64
    public var sessionLimit: Int
    /// How long audio may wait so that several packets share one send.
    public var audioWindow: Interval
    /// How long video may wait for the end of its frame.
    public var videoWindow: Interval
    /// Subscribers get as much as their path carries; else as much as they want.
    public var limitsBandwidth: Bool

    public init(
        worker: Int,
        certificate: DTLSCertificate,
        candidates: [Candidate],
        epoch: String,
        ntpAtZero: UInt64,
        sessionLimit: Int = Limits.Media.sessionsPerWorker,
        audioWindow: Interval = .zero,
        videoWindow: Interval = .milliseconds(1),
        limitsBandwidth: Bool = true
    ) {
        self.worker = worker
        self.certificate = certificate
        self.candidates = candidates
        self.epoch = epoch
        self.ntpAtZero = ntpAtZero
        self.sessionLimit = sessionLimit
        self.audioWindow = audioWindow
        self.videoWindow = videoWindow
        self.limitsBandwidth = limitsBandwidth
    }
}

/// What became of a datagram.
public enum ShardReceive: Equatable, Sendable {
    case handled
    /// A check for a session of another worker: hand the datagram over.
    case belongsTo(worker: Int)
}

public enum PathChange: Equatable, Sendable {
    case confirmed, forgotten
}
