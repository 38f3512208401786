// The `data` of `quality`: how well a participant's media arrives, and in which words that is said to people.
// Must not know how it is found out.
import RTP
import Seam

/// How well a participant's media arrives; without `up` and `down` nothing is known any more.
public struct ParticipantQuality: Codable, Sendable, Equatable {
    public var pid: String
    /// What it sends to the server; absent: nothing to judge by.
    public var up: Direction?
    /// What it receives from the server; absent: nothing to judge by.
    public var down: Direction?

    public struct Direction: Codable, Sendable, Equatable {
        /// Tenths of a point: 10 (bad) to 50 (excellent). Of others in steps of half a point.
        public var score: UInt8
        /// What takes most off the score.
        public var reason: DirectionQuality.Reason
        /// Of oneself alone.
        public var detail: Detail?
    }

    public struct Detail: Codable, Sendable, Equatable {
        /// Scores of audio and video alone, tenths; absent: there is none.
        public var audio: UInt8?
        public var video: UInt8?
        /// Packets that did not arrive at first, of a thousand.
        public var lossPermille: UInt16
        /// Milliseconds; absent: unknown.
        public var rttMs: UInt16?
        public var jitterMs: UInt16
        /// What is sent or received at the moment.
        public var kbps: UInt32
        /// What the path carries, as far as is known; absent: unknown.
        public var estimateKbps: UInt32?
        /// How long packets wait in front of the narrowest link, milliseconds.
        public var queueMs: UInt16?
        /// What holds the estimate where it is; absent: there is no estimate.
        public var bound: DirectionQuality.Bound?
        /// The reason for people, in English.
        public var text: String
    }
}

extension ParticipantQuality {
    /// As the participant itself is told.
    init(of pid: String, _ quality: SessionQuality) {
        self.pid = pid
        up = quality.up.map { Direction($0, isUp: true) }
        down = quality.down.map { Direction($0, isUp: false) }
    }
}

extension ParticipantQuality.Direction {
    init(_ quality: DirectionQuality, isUp: Bool) {
        func known<T: BinaryInteger>(_ value: T) -> T? { value == 0 ? nil : value }
        score = quality.score
        reason = quality.reason
        detail = ParticipantQuality.Detail(
            audio: quality.audio,
            video: quality.video,
            lossPermille: quality.lossPermille,
            rttMs: known(quality.roundTripMs),
            jitterMs: quality.jitterMs,
            kbps: quality.bitsPerSecond / 1000,
            estimateKbps: known(quality.estimateBitsPerSecond / 1000),
            queueMs: known(quality.queueMs),
            bound: quality.bound,
            text: QualityWords.sentence(quality, isUp: isUp)
        )
    }
}

/// What others are told of a direction: steps of half a point, and no more often than somebody looks.
struct CoarseQuality: Equatable {
    struct Direction: Equatable {
        /// Tenths, a multiple of five.
        var step: UInt8
        var reason: DirectionQuality.Reason

        var told: ParticipantQuality.Direction { .init(score: step, reason: reason) }
    }

    var up: Direction?
    var down: Direction?

    /// - Parameter last: what was told before: a score at the edge of a step does not go to and fro.
    init(_ quality: SessionQuality, after last: CoarseQuality?) {
        up = CoarseQuality.direction(quality.up, after: last?.up)
        down = CoarseQuality.direction(quality.down, after: last?.down)
    }

    private static func direction(_ quality: DirectionQuality?, after last: Direction?) -> Direction? {
        guard let quality else { return nil }
        let nearest = (quality.score + 2) / 5 * 5
        let isNear = last.map { abs(Int(quality.score) - Int($0.step)) <= 3 } ?? false
        let step = isNear ? last?.step ?? nearest : nearest
        // A reason is told along with the score that it explains.
        let reason = step == last?.step && quality.reason != .none ? last?.reason : nil
        return Direction(
            step: step,
            reason: reason == .some(.none) ? quality.reason : reason ?? quality.reason
        )
    }

    func told(of pid: String) -> ParticipantQuality {
        ParticipantQuality(pid: pid, up: up?.told, down: down?.told)
    }
}

/// Sentences with figures. English, short; other languages are made of reason and figures.
enum QualityWords {
    /// Of a whole direction.
    static func sentence(_ quality: DirectionQuality, isUp: Bool) -> String {
        let link = isUp ? "uplink" : "downlink"
        let loss = percent(quality.lossPermille)
        return switch quality.reason {
        case .none: "Your \(link) is fine."
        case .loss: "Your \(link) loses \(loss) of the packets."
        case .delay: "Your \(link) is slow: \(quality.roundTripMs) ms there and back."
        case .jitter: "Packets come unevenly over your \(link): they differ by \(quality.jitterMs) ms."
        case .bandwidth: limits(quality).map { "Your \(link) \($0)." } ?? "Your \(link) has too little room."
        case .frozen:
            isUp ? "Your pictures reach the server with gaps." : "Your pictures stood still for moments."
        case .layer: "Your device sends smaller or fewer pictures than the others could show."
        case .silent:
            isUp ? "Nothing of your media reaches the server." : "The server does not reach your device."
        }
    }

    /// "is about 620 kbit/s, 4 % loss"; nil where nothing is known.
    static func limits(_ quality: DirectionQuality) -> String? {
        guard quality.estimateBitsPerSecond > 0 else { return nil }
        return "is about \(rate(quality.estimateBitsPerSecond))\(lossAside(quality))"
    }

    /// "360p: your downlink is about 620 kbit/s, 4 % loss; 720p needs about 1 900 kbit/s."
    ///
    /// - Parameters:
    ///   - shown: lines of what is shown; 0: nothing.
    ///   - better: lines of the next larger layer; 0: unknown.
    static func layer(
        shown: UInt16,
        better: UInt16,
        needed: UInt32,
        available: UInt32,
        down: DirectionQuality?
    ) -> String {
        let what = shown > 0 ? "\(shown)p" : "Paused"
        let loss = down.map(lossAside) ?? ""
        let none = shown > 0 ? "has no room for more" : "has no room for it"
        let room = available > 0 ? "is about \(rate(available))\(loss)" : none
        let next = better > 0 ? "\(better)p" : shown > 0 ? "the next layer" : "the lowest layer"
        let needs = needed > 0 ? "; \(next) needs about \(rate(needed))" : ""
        return "\(what): your downlink \(room)\(needs)."
    }

    private static func lossAside(_ quality: DirectionQuality) -> String {
        quality.lossPermille >= 10 ? ", \(percent(quality.lossPermille)) loss" : ""
    }

    static func percent(_ permille: UInt16) -> String {
        permille >= 20 || permille == 0 ? "\((permille + 5) / 10) %" : "\(permille / 10).\(permille % 10) %"
    }

    /// Two figures are as exact as an estimate is: "620 kbit/s", "1 900 kbit/s".
    static func rate(_ bitsPerSecond: UInt32) -> String {
        var kilobits = (UInt64(bitsPerSecond) + 500) / 1000
        var unit: UInt64 = 1
        while kilobits / unit >= 100 { unit *= 10 }
        kilobits = (kilobits + unit / 2) / unit * unit
        // Thousands apart, as in "1 900".
        let digits = Array(String(kilobits))
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0 && (digits.count - index) % 3 == 0 { text += "\u{202f}" }
            text.append(digit)
        }
        return "\(text) kbit/s"
    }
}
