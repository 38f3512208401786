// What each kind of source may send at most. Knows nobody who sends.
import RTP
import Seam

/// Bits per second of all encodings of a publication together, without headers; absent: no maximum.
public struct SourceBitrates: Codable, Sendable, Equatable {
    public var camera: UInt32?
    public var mic: UInt32?
    public var screen: UInt32?
    public var screenAudio: UInt32?

    public init(
        camera: UInt32? = UInt32(Limits.BitrateLimit.camera),
        mic: UInt32? = UInt32(Limits.BitrateLimit.mic),
        screen: UInt32? = UInt32(Limits.BitrateLimit.screen),
        screenAudio: UInt32? = UInt32(Limits.BitrateLimit.screenAudio)
    ) {
        self.camera = camera
        self.mic = mic
        self.screen = screen
        self.screenAudio = screenAudio
    }

    func maximum(of source: Source) -> UInt32? {
        switch source {
        case .camera: camera
        case .mic: mic
        case .screen: screen
        case .screenAudio: screenAudio
        }
    }
}
