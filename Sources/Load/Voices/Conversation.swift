// Who speaks when and how loud: a conversation from a seed, in frames of 20 ms. Must not know packets or clocks.

/// SplitMix64: the same numbers for the same seed, on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}

/// Some people take turns, and sometimes talk at the same time.
struct Conversation {
    /// One talkspurt.
    struct Turn: Equatable {
        var speaker: Int
        /// First voiced frame.
        var first: Int64
        /// Voiced frames.
        var frames: Int64

        var end: Int64 { first + frames }
    }

    /// Milliseconds of a frame.
    static let frameMilliseconds: Int64 = 20
    /// 0.6 to 2.5 s.
    private static let lengths: ClosedRange<Int64> = 30...125
    /// From the end of a turn to the next; negative ones overlap. -0.4 to 0.6 s.
    private static let gaps: ClosedRange<Int64> = -20...30
    /// Loud and soft by syllables, -dBov.
    private static let levels: ClosedRange<UInt8> = 20...36

    private let speakers: Int
    private let overlap: Int
    private var random: SeededGenerator
    private var next: Int64
    private var last = -1
    /// The newest turn of each speaker.
    private var newest: [Turn?]

    /// - Parameters:
    ///   - overlap: how many speak at once at most.
    ///   - start: the frame in which the first turn begins.
    init(seed: UInt64, speakers: Int, overlap: Int, from start: Int64) {
        self.speakers = max(1, speakers)
        self.overlap = max(1, overlap)
        random = SeededGenerator(seed: seed)
        next = start
        newest = Array(repeating: nil, count: max(1, speakers))
    }

    /// Goes on to this frame; frames come in order. The turn that begins with it.
    mutating func advance(to frame: Int64) -> Turn? {
        guard frame >= next else { return nil }
        let silent = (0..<speakers).filter { !isSpeaking($0, in: frame) }
        guard speakers - silent.count < overlap else { return nil }
        let others = silent.filter { $0 != last }
        guard let speaker = (others.isEmpty ? silent : others).randomElement(using: &random) else {
            return nil
        }
        let turn = Turn(
            speaker: speaker,
            first: frame,
            frames: Int64.random(in: Self.lengths, using: &random)
        )
        last = speaker
        newest[speaker] = turn
        next = turn.end + Int64.random(in: Self.gaps, using: &random)
        return turn
    }

    func isSpeaking(_ speaker: Int, in frame: Int64) -> Bool {
        guard let turn = newest[speaker] else { return false }
        return turn.first <= frame && frame < turn.end
    }

    /// How loud the next voiced frame is, -dBov.
    mutating func level() -> UInt8 { UInt8.random(in: Self.levels, using: &random) }
}
