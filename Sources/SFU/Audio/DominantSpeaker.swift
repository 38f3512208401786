// Who has the floor: I. Volfin, I. Cohen, "Dominant speaker identification for multipoint videoconferencing" (2012),
// with the constants that the common servers use. Knows ids and levels, no packet and no room.
import RTP

struct DominantSpeaker {
    /// Who has the floor. Silence does not change it; `forget` does.
    private(set) var dominant: UInt64?
    /// Who had the floor, the present one first.
    private(set) var recent: [UInt64] = []
    private var talkers: ContiguousArray<Talker>
    private var nextDecision = VoiceActivity.never

    static let interval = Interval.milliseconds(300)

    init() {
        talkers = ContiguousArray(repeating: Talker(), count: Limits.Audio.talkers)
    }

    // MARK: The road

    /// A packet of whoever has this place.
    /// - Parameter level: 0 silent to 127.
    @inline(__always)
    mutating func note(_ place: Int16, level: UInt8, isVoice: Bool, at now: Instant) {
        talkers[Int(place)].note(level, at: now)
        if isVoice { talkers[Int(place)].lastVoiceAt = now }
    }

    // MARK: Control path

    /// Whoever spoke takes part from now on. Returns the place and who had it before, if all were taken: the one that
    /// has been silent longest.
    /// - Parameter noise: the level before the first word.
    mutating func enter(_ id: UInt64, noise: UInt8, at now: Instant) -> (place: Int16, replaced: UInt64?) {
        var place = 0
        for other in talkers.indices where talkers[other].lastVoiceAt < talkers[place].lastVoiceAt {
            place = other
        }
        if let free = talkers.firstIndex(where: { !$0.isPresent }) { place = free }
        let replaced = talkers[place].isPresent ? talkers[place].id : nil
        talkers[place] = Talker(id: id, noise: noise, at: now)
        return (Int16(place), replaced)
    }

    /// Takes part no more, and may still have the floor: muted, or silent for long.
    mutating func leave(_ place: Int16) { talkers[Int(place)] = Talker() }

    /// Is gone.
    mutating func forget(_ id: UInt64) {
        if dominant == id { dominant = nil }
        recent.removeAll { $0 == id }
        for place in talkers.indices where talkers[place].isPresent && talkers[place].id == id {
            talkers[place] = Talker()
        }
    }

    /// Those who have not spoken for long.
    func idle(at now: Instant) -> [(place: Int16, id: UInt64)] {
        talkers.indices.filter {
            talkers[$0].isPresent && now - talkers[$0].lastVoiceAt > Limits.Audio.talkerTimeout
        }
        .map { (Int16($0), talkers[$0].id) }
    }

    /// Decides every 300 ms. Returns whether somebody else has the floor.
    mutating func evaluate(at now: Instant) -> Bool {
        guard now >= nextDecision else { return false }
        nextDecision = now + DominantSpeaker.interval
        var current = Scores()
        for place in talkers.indices where talkers[place].isPresent {
            talkers[place].evaluate(at: now)
            if talkers[place].id == dominant { current = talkers[place].scores }
        }
        var best: UInt64?
        var bestMedium = Scores.minimum
        for talker in talkers where talker.isPresent && talker.id != dominant {
            if dominant == nil {
                // The first one needs a voice, and no more.
                guard now - talker.lastVoiceAt < DominantSpeaker.interval else { continue }
                guard best == nil || talker.scores.medium > bestMedium else { continue }
            } else {
                guard talker.scores.wins(over: current), talker.scores.medium > bestMedium else { continue }
            }
            best = talker.id
            bestMedium = talker.scores.medium
        }
        guard let best else { return false }
        dominant = best
        recent.removeAll { $0 == best }
        recent.insert(best, at: 0)
        recent.removeLast(max(0, recent.count - Limits.Audio.recentSpeakers))
        return true
    }
}

extension DominantSpeaker {
    /// Speech activity over the last 20 ms, 100 ms and second.
    fileprivate struct Scores {
        var immediate = Scores.minimum
        var medium = Scores.minimum
        var long = Scores.minimum

        static let minimum = 1e-10

        /// Challenges the one who has the floor: ln of the ratios above 3, 2 and 0.
        func wins(over other: Scores) -> Bool {
            immediate > other.immediate * 20.085_536_923_187_668
                && medium > other.medium * 7.389_056_098_930_65 && long > other.long
        }

        /// The likelihood that `active` of `count` parts are active in speech, over that in silence; as a logarithm.
        static func score(_ active: Int, of count: Int, lambda: Double) -> Double {
            var binomial = 1.0
            for k in 0..<active { binomial = binomial * Double(count - k) / Double(k + 1) }
            let score =
                Decibels.ln(binomial) - Double(count) * 0.693_147_180_559_945_3 - Decibels.ln(lambda)
                + lambda * Double(active)
            return max(score, minimum)
        }

        static let immediates = (0...13).map { score($0, of: 13, lambda: 0.78) }
        static let mediums = (0...5).map { score($0, of: 5, lambda: 24) }
        static let longs = (0...10).map { score($0, of: 10, lambda: 47) }
    }

    fileprivate struct Talker {
        var id: UInt64 = 0
        var isPresent = false
        var lastVoiceAt = VoiceActivity.never
        private(set) var scores = Scores()
        /// The last second, one level per 20 ms; the newest is at `newest`.
        private var levels = InlineArray<50, UInt8>(repeating: 0)
        private var newest = 0
        private var lastAt = VoiceActivity.never
        /// The lowest level of the last windows: noise.
        private var floor: UInt8 = 0
        private var nextFloor: UInt8 = 0
        private var windowCount = 0

        private static let samples = 50
        private static let sample = Interval.milliseconds(20)
        /// 15 s.
        private static let floorWindow = 750
        private static let unit: UInt8 = 10
        private static let mediumThreshold: UInt8 = 7
        private static let longThreshold = 4
        /// The longest Opus packet (RFC 6716 §2.1.4). A longer pause is silence (DTX) or loss.
        private static let longestPacket = Interval.milliseconds(120)

        init() {}

        init(id: UInt64, noise: UInt8, at now: Instant) {
            self.id = id
            floor = max(noise, 1)
            isPresent = true
            lastVoiceAt = now
            lastAt = now
        }

        /// A packet may stand for more than one sample.
        @inline(__always)
        mutating func note(_ level: UInt8, at now: Instant) {
            let gap = now - lastAt
            if gap > .milliseconds(40) { fill(gap, with: level) }
            push(level)
            lastAt = now
            lower(level)
        }

        private mutating func fill(_ gap: Interval, with level: UInt8) {
            let missing = min(Int(gap.microseconds / Talker.sample.microseconds) - 1, Talker.samples)
            let value = gap > Talker.longestPacket ? 0 : level
            for _ in 0..<max(missing, 0) { push(value) }
        }

        @inline(__always)
        private mutating func push(_ level: UInt8) {
            newest = newest + 1 == Talker.samples ? 0 : newest + 1
            levels[newest] = level
        }

        @inline(__always)
        private mutating func lower(_ level: UInt8) {
            guard level > 0 else { return }
            if floor == 0 || level < floor {
                floor = level
                nextFloor = 0
                windowCount = 0
                return
            }
            nextFloor = nextFloor == 0 ? level : min(nextFloor, level)
            windowCount += 1
            guard windowCount >= Talker.floorWindow else { return }
            floor = Talker.mean(floor, nextFloor)
            nextFloor = 0
            windowCount = 0
        }

        /// The geometric one, rounded down.
        private static func mean(_ a: UInt8, _ b: UInt8) -> UInt8 {
            var mean = min(a, b)
            while mean < max(a, b), (Int(mean) + 1) * (Int(mean) + 1) <= Int(a) * Int(b) { mean += 1 }
            return mean
        }

        mutating func evaluate(at now: Instant) {
            let gap = now - lastAt
            if gap > Talker.longestPacket {
                fill(gap, with: 0)
                lastAt = now
            }
            var immediate = 0
            var medium = 0
            var long = 0
            var index = newest
            for block in 0..<10 {
                var active = 0
                for part in 0..<5 {
                    let level = levels[index] < floor + Talker.unit ? 0 : levels[index] / Talker.unit
                    if block == 0 && part == 0 { immediate = Int(level) }
                    if level > Talker.mediumThreshold { active += 1 }
                    index = index == 0 ? Talker.samples - 1 : index - 1
                }
                if block == 0 { medium = active }
                if active > Talker.longThreshold { long += 1 }
            }
            scores.immediate = Scores.immediates[min(immediate, 13)]
            scores.medium = Scores.mediums[medium]
            scores.long = Scores.longs[long]
        }
    }
}
