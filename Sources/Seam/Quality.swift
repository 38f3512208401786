// How well a session's media arrives, in each direction, and what costs most. Knows no formula: the media plane rates.

/// What a session's media is like, about the last seconds.
public struct SessionQuality: Codable, Sendable, Equatable {
    /// What the session sends; nil: nothing to judge by.
    public var up: DirectionQuality?
    /// What it receives; nil: nothing to judge by.
    public var down: DirectionQuality?

    public init(up: DirectionQuality? = nil, down: DirectionQuality? = nil) {
        self.up = up
        self.down = down
    }
}

public struct DirectionQuality: Codable, Sendable, Equatable {
    /// What takes most off the score.
    public enum Reason: String, Codable, Sendable, CaseIterable {
        /// Nothing that anybody would notice.
        case none
        /// Packets that do not arrive.
        case loss
        /// The way takes long.
        case delay
        /// Packets come unevenly, and the player has to wait for them.
        case jitter
        /// The path carries too little for what is to be shown.
        case bandwidth
        /// Pictures stood still.
        case frozen
        /// Layers that somebody wants are not sent, or few pictures; up alone.
        case layer
        /// Nothing comes that should.
        case silent
    }

    /// What holds the estimate where it is.
    public enum Bound: String, Codable, Sendable, CaseIterable {
        /// What was assumed at first.
        case start
        case delay, loss
        /// The peer's own estimate.
        case receiver
        /// The path fell, and its queue drains.
        case draining
        /// Nothing is heard of what was sent.
        case silence
        /// What waits in front of a stream connection.
        case backlog
        /// As much as the server ever sends to one session.
        case maximum
    }

    /// Mean opinion score in tenths, 10 (bad) to 50 (excellent).
    public var score: UInt8
    public var reason: Reason
    /// The score of audio and of video alone, tenths; nil: there is none.
    public var audio: UInt8?
    public var video: UInt8?
    /// Packets that did not arrive at first, of a thousand.
    public var lossPermille: UInt16
    /// Milliseconds; 0: unknown.
    public var roundTripMs: UInt16
    public var jitterMs: UInt16
    /// What arrives (up) or is sent (down), payloads of RTP.
    public var bitsPerSecond: UInt32
    /// What the path carries, as far as is known; 0: unknown.
    public var estimateBitsPerSecond: UInt32
    /// How long packets wait in front of the narrowest link, milliseconds.
    public var queueMs: UInt16
    /// nil: there is no estimate.
    public var bound: Bound?

    public init(
        score: UInt8,
        reason: Reason = .none,
        audio: UInt8? = nil,
        video: UInt8? = nil,
        lossPermille: UInt16 = 0,
        roundTripMs: UInt16 = 0,
        jitterMs: UInt16 = 0,
        bitsPerSecond: UInt32 = 0,
        estimateBitsPerSecond: UInt32 = 0,
        queueMs: UInt16 = 0,
        bound: Bound? = nil
    ) {
        self.score = score
        self.reason = reason
        self.audio = audio
        self.video = video
        self.lossPermille = lossPermille
        self.roundTripMs = roundTripMs
        self.jitterMs = jitterMs
        self.bitsPerSecond = bitsPerSecond
        self.estimateBitsPerSecond = estimateBitsPerSecond
        self.queueMs = queueMs
        self.bound = bound
    }
}
